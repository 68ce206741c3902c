"""A report: answers added up by cell, model and tag, real and simulated money apart, as nouns, text and JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .. import neutral
from ..errors import OptionError
from ..values import Total, dollars, from_pico, to_pico
from .receipts import Notebook, Receipt, of_frame, once

if TYPE_CHECKING:
    import pandas as pd

BY = ("cell", "model", "tag")


@dataclass(frozen=True, slots=True)
class Figures:
    """What answers took together; ``unknown_calls`` cost nobody knows what, ``running`` ones are not due yet."""

    calls: int = 0
    attempts: int = 0  # the ledger has a row for each; a notebook has one receipt for all of a call
    unknown_calls: int = 0
    running: int = 0
    billed_pico: int = 0
    estimated_pico: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    simulated: bool = False

    @property
    def pico(self) -> int:
        """All that is known or estimated, in pico-dollars."""
        return self.billed_pico + self.estimated_pico

    @property
    def total(self) -> Total:
        """The same as money for people."""
        return Total(from_pico(self.billed_pico), from_pico(self.estimated_pico), self.unknown_calls, self.simulated)


@dataclass(frozen=True, slots=True)
class Group:
    """The answers of one cell, model or tag; ``label`` is what people wrote or were told, None where there is none."""

    label: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Answers and where they were found; ``unanswered_cells`` ask a model but hold no output."""

    names: tuple[str, ...]
    receipts: tuple[Receipt, ...]
    unanswered_cells: int = 0

    @property
    def real(self) -> Figures:
        """What the answers of models took."""
        return figures([receipt for receipt in self.receipts if not receipt.simulated])

    @property
    def simulated(self) -> Figures:
        """What the answers of the simulator took: no real money."""
        return figures([receipt for receipt in self.receipts if receipt.simulated])

    def groups(self, by: str) -> list[Group]:
        """Return the sums by ``cell`` (in the order of the cells), ``model`` or ``tag`` (the dearest first).

        Real ones come before simulated ones.

        Raises:
            OptionError: ``by`` is none of these.
        """
        key = _key(by, several=len(self.names) > 1)
        found: dict[tuple[bool, str | None, Any], list[Receipt]] = {}
        for receipt in self.receipts:
            found.setdefault((receipt.simulated, *key(receipt)), []).append(receipt)
        groups = [(place[0], Group(place[1], figures(members))) for place, members in found.items()]
        if by != "cell":
            groups.sort(key=lambda each: (-each[1].figures.pico, each[1].label is None, each[1].label or ""))
        return [group for _, group in sorted(groups, key=lambda each: each[0])]


def report_of(notebooks: Sequence[Notebook]) -> Report:
    """Return the report of notebook files; an answer that two of them hold is counted once."""
    receipts = once(receipt for notebook in notebooks for receipt in notebook.receipts)
    names = tuple(notebook.name for notebook in notebooks)
    return Report(names, receipts, sum(notebook.unanswered_cells for notebook in notebooks))


def report(table: pd.DataFrame, name: str = "", *, running: str | None = None) -> Report:
    """Return the report of a frame of the tracker, or of a part of one."""
    return Report((name,) if name else (), of_frame(table, running=running))


def figures(receipts: Sequence[Receipt]) -> Figures:
    """Return the sums of receipts that are all real or all simulated."""
    estimated = [r.cost_pico for r in receipts if r.cost_source == "estimated" and r.cost_pico is not None]
    billed = [r.cost_pico for r in receipts if r.cost_source != "estimated" and r.cost_pico is not None]
    unknown = [r for r in receipts if r.cost_pico is None]
    running = sum(r.running for r in unknown)
    return Figures(
        calls=len({receipt.call_id or place for place, receipt in enumerate(receipts)}),
        attempts=len(receipts),
        unknown_calls=len(unknown) - running,
        running=running,
        billed_pico=sum(billed),
        estimated_pico=sum(estimated),
        prompt_tokens=_sum([r.prompt_tokens for r in receipts]),
        completion_tokens=_sum([r.completion_tokens for r in receipts]),
        simulated=any(r.simulated for r in receipts),
    )


def decimals(groups: Iterable[Group]) -> int:
    """Return how many decimals show every cost of these groups exactly, four at least."""
    return max([4, *[_places(group.figures.pico) for group in groups]])


def cost(told: Figures, digits: int) -> str:
    """Return a cost with what is missing from it: ``≥ $0.0412``, ``unknown``, ``$0.0023``."""
    missing = told.unknown_calls or told.running
    if missing and not told.pico and missing == told.attempts:
        return "unknown" if told.unknown_calls else "running"
    about = "~" * bool(told.estimated_pico)
    return f"{'≥ ' * bool(told.unknown_calls)}{about}{dollars(from_pico(told.pico), digits)}"


def tokens(told: Figures) -> str:
    """Return the tokens read and written, as far as they are known."""
    pair = ["?" if count is None else f"{count:,}" for count in (told.prompt_tokens, told.completion_tokens)]
    return " → ".join(pair) if pair != ["?", "?"] else "?"


def label(group: Group, by: str) -> str:
    """Return a group's name on one line; it comes from files, and must look like nothing else."""
    return neutral.line(group.label or "")[:120] or ("unknown model" if by == "model" else f"no {by}")


def lines(told: Report, by: str) -> Iterator[str]:
    """Yield the report for a terminal or a log."""
    yield headline(told)
    yield from remarks(told)
    groups = told.groups(by)
    if not groups:
        return
    digits = decimals(groups)
    # The name comes last: programs that read logs take some words at the beginning of a line for commands.
    table = [("cost", "tokens", "answers", f"by {by}")]
    for group in groups:
        # What some build servers take for a command anywhere in a line.
        name = re.sub("##+", "#", label(group, by))
        mark = " (simulated)" * group.figures.simulated
        table.append((cost(group.figures, digits), tokens(group.figures), f"{group.figures.calls:,}", name + mark))
    widths = [max(len(row[place]) for row in table) for place in range(3)]
    yield ""
    for row in table:
        yield "  ".join([*[f"{word:>{width}}" for word, width in zip(row[:3], widths, strict=True)], row[3]])


def headline(told: Report) -> str:
    """Return the sums as one sentence; simulated money is apart."""
    real, simulated = told.real, told.simulated
    if not told.receipts:
        return "No answers."
    parts = []
    if real.calls or not simulated.calls:
        parts.append(f"{_money(real)} for {counted(real.calls, 'answer')}")
    if simulated.calls:
        parts.append(f"{_money(simulated)} for {counted(simulated.calls, 'answer')}")
    return "; ".join(parts) + "."


def remarks(told: Report) -> Iterator[str]:
    """Yield what the sums do not say by themselves."""
    if running := told.real.running + told.simulated.running:
        yield f"{counted(running, 'call')} running now; what they cost is not in the sum."
    if told.unanswered_cells:
        yield (
            f"{counted(told.unanswered_cells, 'cell')} with a question but no output, not run or cleared since: "
            "a cost there would not be in the sum."
        )
    if copies := sum(receipt.copies - 1 for receipt in told.receipts):
        yield f"{counted(copies, 'repeated answer')} counted once."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def as_json(told: Report) -> dict[str, Any]:
    """Return the report for other programs: amounts as exact text, None where something is not known."""
    return {
        "notebooks": list(told.names),
        "real": _figures_json(told.real),
        "simulated": _figures_json(told.simulated),
        "unanswered_cells": told.unanswered_cells,
        "by": {
            by: [
                {by: group.label, "simulated": group.figures.simulated, **_figures_json(group.figures)}
                for group in told.groups(by)
            ]
            for by in BY
        },
    }


def exact(pico: int) -> str:
    """Return whole pico-dollars as dollars in plain digits, none of them lost or idle."""
    text = f"{from_pico(pico):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _figures_json(told: Figures) -> Mapping[str, Any]:
    return {
        "answers": told.calls,
        "billed_usd": exact(told.billed_pico),
        "estimated_usd": exact(told.estimated_pico),
        "unknown_calls": told.unknown_calls,
        "running": told.running,
        "prompt_tokens": told.prompt_tokens,
        "completion_tokens": told.completion_tokens,
    }


def _money(told: Figures) -> str:
    words = _shown(told.billed_pico) + " simulated" * told.simulated
    if told.estimated_pico:
        words += f" + ~{_shown(told.estimated_pico)} estimated"
    if told.unknown_calls:
        words += f" + {told.unknown_calls:,} unknown"
    return words


def _shown(pico: int) -> str:
    return dollars(from_pico(pico), _places(pico))


def _places(pico: int) -> int:
    return max(4, len(exact(pico).partition(".")[2]))


def _key(by: str, *, several: bool) -> Any:
    """Return what gives a receipt's label in this view, and what else tells it from others of that label."""
    if by not in BY:
        raise OptionError(f"A report is by cell, model or tag, not by {by!r}.")
    if by == "model":
        return lambda receipt: (receipt.model or receipt.model_requested, None)
    if by == "tag":
        return lambda receipt: (receipt.tag, None)
    return lambda receipt: (_place(receipt, several=several), receipt.notebook)


def _place(receipt: Receipt, *, several: bool) -> str | None:
    if receipt.cell is not None:
        return f"{receipt.notebook} · cell {receipt.cell}" if several else f"cell {receipt.cell}"
    return " · ".join([word for word in (receipt.notebook, receipt.cell_id) if word]) or None


def within(told: Report, most_usd: Decimal, *, allow_unknown: bool = False) -> tuple[bool, str]:
    """Return whether real money is shown to be within ``most_usd``, and the sentence that says why (not).

    A cost that nobody knows may be anything: unless it is allowed, it is not within.
    """
    real, most_pico = told.real, to_pico(most_usd)
    spent, most = _shown(real.pico), _shown(most_pico)
    if real.pico > most_pico:
        return False, f"Over the budget: {spent} is {_shown(real.pico - most_pico)} more than {most}."
    doubts = [counted(real.unknown_calls, "answer") + " of unknown cost"] * bool(real.unknown_calls)
    if told.unanswered_cells:
        doubts.append(counted(told.unanswered_cells, "cell") + " with a question but no output")
    if doubts and not allow_unknown:
        return False, (
            f"Not shown to be within the budget of {most}: {spent} is known, and there {_are(real, told)} "
            f"{' and '.join(doubts)}. --allow-unknown lets that pass."
        )
    return True, f"Within the budget: {spent} of {most}." + (f" Not counted: {' and '.join(doubts)}." if doubts else "")


def _are(real: Figures, told: Report) -> str:
    return "is" if (real.unknown_calls or told.unanswered_cells) == 1 else "are"


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
