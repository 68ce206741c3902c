"""The page of the fault table, from what was noted. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from _fault_cases import CASES, PATIENCE_S, Met, Record
from _fault_clients import MODEL

_WHOLE = ("answer", "marked")
_USEFUL = ("known", "estimated")
_ALMOST = Decimal("0.000001")

_HEAD = """# The same faults through ours and the peers

`python benchmarks/bench_faults.py` makes this page; measured on {dates}, one run for each cell. Everybody asks
`{model}` of the offline simulator on loopback, with the defaults and in the form of its documents, streaming
where it can. jupyter-ai's magic cannot: it gets of each fault the nearest thing for a whole body, and has no half
answers to lose.

- **answer**: the whole text. `SomeError`: an exception of the client's own family, or of the SDK that its documents
  name; what came before it is in the user's hands.
- **untyped**: an exception that no document of the client names. **silent**: the call succeeded with less than the
  answer. **printed**: the error is shown, and the cell succeeds, so that *Run all* goes on.
- *error inside the choice*: its finish reason is `error`, for who looks at it.
- **×n**: requests that reached the server, where there was more than one. Seconds are until the user knew, where it
  was about a second or more.
- **waits**: nothing after {patience:g} s, when the process was ended. Silence ends by default after 600 s with openai,
  chatlas, llm and litellm, after 120 s with or_magic.
- *told 2 s* is said by the client's own option. –: there is none, or none that a plain installation can run, or there
  is no code of the user's own between two pieces.
- *interrupted*: SIGINT a second after the question arrived; the last exception is kept, as a notebook keeps it.
  **open** is a stream that still flows, and is billed, a second later.
- openai's cost is `usage.cost`, for who looks for it there; litellm's is what its callback is told, chatlas's is
  `get_cost()`, or_magic's is the tracker's total after `reconcile`. llm and jupyter-ai count no money."""


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
        "waits": f"**waits** > {PATIENCE_S:g} s", "open": "**open** after 1 s",
        "none": "–", "silent": f"**silent**, {100 * (met.kept or 0):.0f} % of the text",
        "closed": f"closed, {1000 * (met.took_s or 0):.0f} ms",
    }  # fmt: skip
    told = words[met.outcome]
    if met.attempts and met.attempts > 1:
        told += f" ×{met.attempts}"
    slow = met.outcome not in ("closed", "open") and (met.took_s or 0) >= 0.95
    return told + (f", {met.took_s:.1f} s" if slow else "")


def page(found: Mapping[str, Record]) -> str:
    """Return the whole page."""
    heads = [f"**{name}**" if name == "or_magic" else f"{name} {each.version}" for name, each in found.items()]
    dates = sorted({each.measured for each in found.values()})
    told = {"dates": " and ".join(dates), "model": MODEL, "patience": PATIENCE_S}
    lines = [_HEAD.format(**told), "", *_summary(found, heads)]
    lines += ["", "## What the user is left with", "", *_row("fault", *heads), _rule(len(heads) + 1)]
    for case in CASES:
        lines += _row(case.label, *(cell(each.met[case.label]) for each in found.values()))
    lines += ["", *_better(found)]
    lines += ["", "## What they say that it cost, where a generation ran", "", *_row("fault", *heads)]
    lines += [_rule(len(heads) + 1)]
    for case in CASES:
        mets = [each.met[case.label] for each in found.values()]
        if not case.pressed and any(met.generations for met in mets):
            lines += _row(case.label, *("–" if met.outcome == "none" else said_of_cost(met) for met in mets))
    return "\n".join([*lines, ""])


def _better(found: Mapping[str, Record]) -> Iterator[str]:
    """Return a line for each fault where somebody has the whole answer and we have not."""
    ours = found.get("or_magic")
    for case in CASES if ours else ():
        if ours is None or ours.met[case.label].outcome in _WHOLE:
            continue
        others = [name for name, each in found.items() if each.met[case.label].outcome in _WHOLE]
        if others:
            yield f"- Others do better at *{case.label}*, where they have the whole answer: {', '.join(others)}."


def _summary(found: Mapping[str, Record], heads: list[str]) -> Iterator[str]:
    faults = [case.label for case in CASES if case.fault or case.dead]
    kinds = {
        "whole answer": _WHOLE, "an error of its own family": ("error",), "interrupt closes": ("closed",),
        "**untyped error**": ("untyped",), "**error printed, cell succeeds**": ("printed",),
        "**part of the answer as if it were all**": ("silent",), "**still waiting**": ("waits",),
        "**interrupt leaves it open**": ("open",), "cannot be tried": ("none",),
    }  # fmt: skip
    yield from _row(f"of {len(faults)} faults", *heads)
    yield _rule(len(heads) + 1)
    for label, outcomes in kinds.items():
        counts = [sum(each.met[fault].outcome in outcomes for fault in faults) for each in found.values()]
        yield from _row(label, *map(str, counts))
    paid = [[said_of_cost(met) for met in each.met.values() if Decimal(met.billed)] for each in found.values()]
    useful = [f"{sum(word in _USEFUL for word in words)} of {len(words)}" for words in paid]
    yield from _row("cost known or estimated, where something was billed", *useful)
    wrong = [sum(said_of_cost(met).startswith("**") for met in each.met.values()) for each in found.values()]
    yield from _row("**cost wrong, or 0 claimed**", *map(str, wrong))
    attempts = [sum(met.attempts or 0 for met in each.met.values()) for each in found.values()]
    yield from _row("requests sent, in all", *map(str, attempts))


def _row(*cells: str) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _rule(columns: int) -> str:
    return f"|{' --- |' * columns}"
