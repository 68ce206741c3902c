"""The fault table: the same faults through ours and the peers, and what their users are left with.

Every client asks the offline simulator one question for each fault, with its own defaults, streaming where it can.
Writes ``faults.md`` beside this file and ``results/faults.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import peers
from _common import HERE, RESULTS, environment, home
from _fault_clients import CLIENTS, MODEL, PROMPT, Client

from or_magic.offline import Server, serve

_PATIENCE_S = 15.0
_LIMIT_S = 2.0
_START_S = 90.0
_PRESS_AFTER_S = 1.0
_SEEN_WITHIN_S = 1.0
_ALMOST = Decimal("0.000001")


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
    Case(f"silence in the middle, told {_LIMIT_S:g} s", "stall", limit_s=_LIMIT_S),
    Case(f"only comments, told {_LIMIT_S:g} s", "comments", limit_s=_LIMIT_S),
    Case("whole, but the body never ends", "no-end"),
    Case("no usage", "usage-missing"),
    Case("usage without a cost", "usage-no-cost"),
    Case("a byte that is not UTF-8", "bad-utf8"),
    Case("one event of broken JSON", "bad-json"),
    Case("one event `null`", "null-data"),
    Case("one event nested 100,000 deep", "deep-json"),
    Case("tool arguments that break off", "tools-broken-args", tool=True),
    Case("interrupted while it flows", "long:3000", pressed=True),
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


@dataclass
class Worker:
    """A process of one client, made anew when it does not answer any more."""

    name: str
    python: Path
    env: Mapping[str, str]
    whole: str = ""  # the answer without a fault
    process: subprocess.Popen[str] | None = field(default=None)

    def ask(self, url: str, case: Case, patience_s: float) -> dict[str, Any] | None:
        """Return what the client says, None if it says nothing in time."""
        self.begin(url, case)
        return self.answer(patience_s)

    def begin(self, url: str, case: Case) -> None:
        """Let the client ask."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"url": url, "limit_s": case.limit_s, "tool": case.tool}) + "\n")
        self.process.stdin.flush()

    def answer(self, patience_s: float) -> dict[str, Any] | None:
        """Return what the client says; a process that says nothing is ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], patience_s)[0]:
            self.close()
            return None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            return None
        told: dict[str, Any] = json.loads(line)
        return told

    def _start(self) -> None:
        command = [self.python, HERE / "_fault_clients.py", self.name]
        self.process = subprocess.Popen(
            [*map(str, command)], env=dict(self.env), cwd=self.env["HOME"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with serve() as server:  # imports are paid here
            told = self.ask(server.url, CASES[0], _START_S)
        if told is None or told["error"]:
            raise RuntimeError(f"{self.name} does not work: {told and told['message']}")
        self.whole = told["text"]

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def meet(worker: Worker, made: type[Client], case: Case) -> Met:
    """Let one client meet one fault."""
    if (case.limit_s and not made.takes_limit) or (case.tool and not made.takes_tool):
        return Met("none")
    if case.dead:
        told = worker.ask(f"http://127.0.0.1:{_dead_port()}/api/v1", case, _PATIENCE_S)
        return _judged(worker, told)
    fault = case.fault and f"offline/{case.fault}"
    with serve(fault=fault, pace_s=0.01 if case.pressed else 0.0) as server:
        if case.pressed:
            return _pressed(worker, server, case)
        if case.primed:
            _prime(server)
        before, paid = server.received(), len(server.billed())
        told = worker.ask(server.url, case, _PATIENCE_S)
        server.idle(1.0)
        billed = server.billed()[paid:]
        total = sum((Decimal(each.cost_text) for each in billed), Decimal(0))
        attempts = server.received() - before
        return _judged(worker, told, attempts=attempts, billed=f"{total:f}", generations=len(billed))


def _judged(worker: Worker, told: dict[str, Any] | None, **facts: Any) -> Met:
    if told is None:
        return Met("waits", took_s=None, **facts)
    text, whole = told["text"], worker.whole
    kept = min(1.0, len(text) / len(whole))
    if told["error"] == "PrintedError":
        outcome = "printed"
    elif told["error"]:
        outcome = "error" if told["typed"] else "untyped"
    elif text == whole:
        outcome = "answer"
    else:
        outcome = "marked" if text.replace("\ufffd", "") == whole else "silent"
    return Met(
        outcome, told["error"] or "", told["message"], round(kept, 3), took_s=round(told["took_s"], 3),
        told=told["cost"], **facts,
    )  # fmt: skip


def _pressed(worker: Worker, server: Server, case: Case) -> Met:
    """Interrupt, and look whether the server loses its reader."""
    worker.begin(server.url, case)
    time.sleep(_PRESS_AFTER_S)
    assert worker.process is not None
    began = time.perf_counter()
    os.kill(worker.process.pid, signal.SIGINT)
    closed = server.idle(_SEEN_WITHIN_S)
    took_s = time.perf_counter() - began
    told = worker.answer(_PATIENCE_S)
    worker.close()
    outcome = "closed" if closed else "open"
    error = (told["error"] or "") if told else "no answer"
    return Met(outcome, error, attempts=server.received(), took_s=round(took_s, 4))


def _prime(server: Server) -> None:
    import http.client

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
        connection.request("POST", "/api/v1/chat/completions", json.dumps(body))
        connection.getresponse().read()


def _dead_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def said_of_cost(met: Met) -> str:
    """Return what the client's word on the cost is worth: known, unknown, estimated, or what is wrong with it."""
    billed = Decimal(met.billed)
    if met.told is None:
        return "unknown" if billed else "nothing billed"
    amount = Decimal(met.told.removeprefix("~"))
    if met.told.startswith("~"):
        return "estimated" if amount >= billed else "**too little**"
    if abs(amount - billed) <= _ALMOST * max(billed, Decimal("1e-12")):
        return "known" if billed else "nothing billed"
    if not amount:
        return "**0 claimed**"
    return f"**{amount / billed:.2f} × the bill**" if billed else "**claimed, nothing billed**"


def cell(met: Met) -> str:
    """Return the cell of the table of outcomes."""
    words = {
        "answer": "answer", "marked": "answer with a �", "error": f"`{met.error}`",
        "untyped": f"**untyped** `{met.error}`", "printed": "**printed**, the cell succeeds",
        "waits": f"**waits** > {_PATIENCE_S:g} s", "open": f"**open** after {_SEEN_WITHIN_S:g} s",
        "none": "–", "silent": f"**silent**, {100 * (met.kept or 0):.0f} % of the text",
        "closed": f"closed, {1000 * (met.took_s or 0):.0f} ms",
    }  # fmt: skip
    told = words[met.outcome]
    if met.attempts and met.attempts > 1:
        told += f" ×{met.attempts}"
    slow = met.outcome not in ("closed", "open") and (met.took_s or 0) >= 0.95
    return told + (f", {met.took_s:.1f} s" if slow else "")


def tables(found: Mapping[str, Mapping[str, Met]], versions: Mapping[str, str]) -> str:
    """Return the whole page."""
    names = list(found)
    heads = [f"**{name}**" if name == "or_magic" else f"{name} {versions[name]}" for name in names]
    lines = [
        _HEAD.format(date=datetime.now(UTC).date(), model=MODEL, patience=_PATIENCE_S),
        "",
        *_summary(found, heads),
    ]
    lines += ["", "## What the user is left with", "", *_row("fault", *heads), _rule(len(heads) + 1)]
    lines += [line for case in CASES for line in _row(case.label, *(cell(found[name][case.label]) for name in names))]
    lines += [
        "",
        "## What they say that it cost, where something was billed",
        "",
        *_row("fault", "billed, USD", *heads),
    ]
    lines += [_rule(len(heads) + 2)]
    for case in CASES:
        each = [found[name][case.label] for name in names]
        if case.pressed or not any(met.generations for met in each):
            continue
        amounts = Counter(met.billed for met in each if met.generations).most_common(1)[0][0]
        lines += _row(case.label, amounts, *("–" if met.outcome == "none" else said_of_cost(met) for met in each))
    return "\n".join([*lines, ""])


def _summary(found: Mapping[str, Mapping[str, Met]], heads: list[str]) -> Iterator[str]:
    faults = [case.label for case in CASES if case.fault or case.dead]
    kinds = {
        "whole answer": ("answer", "marked"), "an error of its own family": ("error",), "interrupt closes": ("closed",),
        "**untyped error**": ("untyped",), "**error printed, cell succeeds**": ("printed",),
        "**part of the answer as if it were all**": ("silent",), "**still waiting**": ("waits",),
        "**interrupt leaves it open**": ("open",), "cannot be tried": ("none",),
    }  # fmt: skip
    yield from _row(f"of {len(faults)} faults", *heads)
    yield _rule(len(heads) + 1)
    for label, outcomes in kinds.items():
        counts = [sum(found[name][fault].outcome in outcomes for fault in faults) for name in found]
        yield from _row(label, *map(str, counts))
    for label, wrong in (("cost known or estimated", False), ("**cost wrong, or 0 claimed**", True)):
        told = [[said_of_cost(met) for met in found[name].values() if met.generations] for name in found]
        fits = [
            sum(each.startswith("**") if wrong else each in ("known", "estimated") for each in all_) for all_ in told
        ]
        yield from _row(label, *(f"{count} of {len(all_)}" for count, all_ in zip(fits, told, strict=True)))
    attempts = [sum(met.attempts or 0 for met in found[name].values()) for name in found]
    yield from _row("requests sent, in all", *map(str, attempts))


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _rule(columns: int) -> str:
    return f"|{' --- |' * columns}"


_HEAD = """# The same faults through ours and the peers

`python benchmarks/bench_faults.py` makes this page; measured on {date}, one run for each cell. Everybody asks `{model}` of the
offline simulator on loopback, with the defaults of its documents, streaming where it can (jupyter-ai's magic cannot, and gets of each
fault the nearest thing for a whole body; its answers are printed without a stream, so it has no half answers to lose).

- **answer**: the whole text. `SomeError`: an exception of the client's own family, or of the SDK that its documents name; what came before it is in the user's hands.
- **untyped**: an exception that no document of the client names. **silent**: the call succeeded with less than the answer. **printed**: the error is shown, and the cell succeeds, so that *Run all* goes on.
- **×n**: requests that reached the server, where there was more than one. Seconds are until the user knew, where it was about a second or more.
- **waits**: nothing after {patience:g} s, when the process was ended. The defaults: openai, chatlas and llm 600 s, litellm 6,000 s, or_magic 120 s of silence.
- *told 2 s* uses the client's own option for that; –: it has none, or none that a plain installation can run.
- *interrupted*: SIGINT a second after the question; the last exception is kept, as a notebook keeps it. **open** is a stream that still flows, and is billed, a second later."""


def main() -> int:
    """Let everybody meet every fault, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    parser.add_argument("names", nargs="*", metavar="CLIENT", help=f"{', '.join(CLIENTS)}; all where none is named")
    arguments = parser.parse_args()
    found: dict[str, dict[str, Met]] = {}
    versions: dict[str, str] = {}
    for name in arguments.names or CLIENTS:
        peer = peers.find(arguments.envs, name) if name in peers.PEERS else None
        if peer is not None and peer.python is None:
            print(f"left out: {name}: {peer.why}")
            continue
        versions[name] = peer.version if peer else peers.version(name)
        python = peer.python if peer and peer.python else Path(sys.executable)
        with home() as folder:
            worker = Worker(name, python, environment(folder))
            found[name] = {}
            for case in CASES:
                met = meet(worker, CLIENTS[name], case)
                found[name][case.label] = met
                print(f"{name:14} {case.label:38} {cell(met)}  [{said_of_cost(met)}]", flush=True)
            worker.close()
    if arguments.names:
        return 0
    (HERE / "faults.md").write_text(tables(found, versions), encoding="utf-8")
    facts = {name: {label: asdict(met) for label, met in mets.items()} for name, mets in found.items()}
    told = {"measured": datetime.now(UTC).date().isoformat(), "model": MODEL, "versions": versions, "found": facts}
    (RESULTS / "faults.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
