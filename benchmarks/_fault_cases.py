"""The faults of the table, and what is noted of each client that meets one. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_S = 15.0
LIMIT_S = 2.0


@dataclass(frozen=True)
class Case:
    """One fault: how the table names it, the simulator's row, and what else is done."""

    label: str
    fault: str | None
    limit_s: float | None = None
    tool: bool = False
    primed: bool = False  # somebody else has just asked
    dead: bool = False  # nobody listens
    pressed: bool = False  # the user interrupts while the answer flows
    pause_s: float = 0.0  # what the user's own code takes between two pieces


CASES = (
    Case("no fault", None),
    Case("connection refused", None, dead=True),
    Case("reset before the headers, once", "flaky-reset"),
    Case("reset before the headers, always", "reset-early"),
    Case("the same, and billed each time", "reset-early-billed"),
    Case("429, Retry-After 2 s, then well", "quota:1/2", primed=True),
    Case("429, Retry-After 1 h", "error-429:3600"),
    Case("429, the free requests of the day", "error-429-daily"),
    Case("402, not enough credits", "error-402"),
    Case("503 once, then well", "flaky"),
    Case("503 for good", "error-503"),
    Case("502 with an HTML page", "html:502"),
    Case("200 with an HTML page", "html"),
    Case("200 with an error as its body", "error-body"),
    Case("reset in the middle", "reset:3000"),
    Case("orderly end in the middle, no [DONE]", "cut:20"),
    Case("error event in the middle", "mid-stream-error"),
    Case("error inside the choice", "choice-error"),
    Case("silence in the middle, defaults", "stall"),
    Case(f"silence in the middle, told {LIMIT_S:g} s", "stall", limit_s=LIMIT_S),
    Case(f"only comments, told {LIMIT_S:g} s", "comments", limit_s=LIMIT_S),
    Case("whole, but the body never ends", "no-end"),
    Case("no usage", "usage-missing"),
    Case("usage without a cost", "usage-no-cost"),
    Case("a byte that is not UTF-8", "bad-utf8"),
    Case("one event of broken JSON", "bad-json"),
    Case("one event `null`", "null-data"),
    Case("one event nested 100,000 deep", "deep-json"),
    Case("tool arguments that break off", "tools-broken-args", tool=True),
    Case("interrupted, waiting for the next word", "stall", pressed=True),
    Case("interrupted, showing the last one", "long:3000", pressed=True, pause_s=0.05),
)


@dataclass(frozen=True)
class Met:
    """What one client made of one fault; ``attempts`` are requests that arrived whole, money is USD as text."""

    outcome: str  # answer, marked, error, untyped, silent, printed, waits, closed, open, none
    error: str = ""
    message: str = ""
    kept: float | None = None
    attempts: int | None = None
    took_s: float | None = None
    told: str | None = None
    billed: str = "0"
    generations: int = 0


@dataclass(frozen=True)
class Record:
    """Every fault as one client met it, by the fault's label."""

    version: str
    measured: str
    met: dict[str, Met]
