"""Commands about money: what was spent, as a sentence, a table and a picture."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from ...errors import CallError
from ...values import Total
from .command import Command, Parser, is_terminal, say

if TYPE_CHECKING:
    import pandas as pd

    from ..face import Face

_SHOWN = ["calls", "cost_usd", "unknown_calls", "total_tokens", "mean_cost_usd", "mean_latency_s", "success_rate"]
_IN_A_TERMINAL = 4  # more columns would hide those in the middle


def spend(face: Face, rest: str) -> pd.DataFrame | None:
    """Say what was spent, or would have been with another model, and return it as a table."""
    told = _view(rest, what_if=True)
    tracker = face.session().tracker
    if told.what_if:
        table = tracker.what_if(told.what_if, all=told.all, since=told.since)
        say(_comparison(table))
        return table[_COMPARED]
    total = tracker.total(all=told.all, since=told.since)
    if total == Total(simulated=total.simulated) and tracker.frame(all=told.all, since=told.since).empty:
        say(_nothing(told))
        return None
    say(str(total))
    table = tracker.summary(by=told.by or "model", all=told.all, since=told.since)
    return table[_SHOWN[:_IN_A_TERMINAL] if is_terminal(face) else _SHOWN]


def plot(face: Face, rest: str) -> None:
    """Plot the spend over time, by day or by a column, or how long answers took."""
    told = _view(rest)
    if is_terminal(face):
        say("A terminal shows no pictures. In Python: orm.tracker.plot().figure.savefig('spend.png')")
        return
    face.session().tracker.plot(by=told.by, all=told.all, since=told.since)


def reconcile(face: Face, rest: str) -> None:  # noqa: ARG001 - every command takes the rest of the line
    """Ask the gateway what calls cost whose cost is not known, and say how many are left."""
    from ...features.report import counted

    session = face.session()
    _, unknown = session.reconcile()
    if unknown:
        say(f"What {counted(unknown, 'call')} cost the gateway does not tell (yet).")
    else:
        say("Nothing is left to ask: every cost that the gateway knows is in the ledger.")
    try:
        found = session.engine.key_watch.compare()
    except CallError as error:
        say(f"What the key was charged could not be asked for: {error.happened}")
    else:
        if found is not None and found.word != "agrees":
            say(f"! {str(found)[0].upper()}{str(found)[1:]}.")


def _nothing(told: argparse.Namespace) -> str:
    if told.since:
        return "Nothing was asked since then."
    return "Nothing was asked yet." if told.all else "Nothing was asked in this session yet; --all shows the others."


def _comparison(table: pd.DataFrame) -> str:
    """Return the first model's figures as a sentence."""
    from ...features.report import counted

    first = table.iloc[0]
    simulated = " simulated" if first["simulated"] else ""
    told = f"{counted(int(first['calls']), 'call')} cost ${first['cost_usd']:.4f}{simulated}"
    if first["unknown_calls"]:
        told += f" (not known and left out: {first['unknown_calls']})"
    if math.isnan(first["would_usd"]):
        return f"{told}; what {table.index[0]} would have cost cannot be said: it has no fixed price."
    return f"{told}; the same tokens would have cost ${first['would_usd']:.4f} with {table.index[0]}, at list prices."


def _view(rest: str, *, what_if: bool = False) -> argparse.Namespace:
    parser = Parser()
    if what_if:
        parser.add_argument("--what-if", action="append")
    parser.add_argument("--by")
    parser.add_argument("--since")
    parser.add_argument("--all", action="store_true")
    return parser.read(rest)


_VIEW = ("--by", "--since", "--all")
_COMPARED = ["calls", "cost_usd", "would_usd", "difference_usd", "unknown_calls"]

COMMANDS = {
    "spend": Command(
        spend,
        "spend [--by COLUMN] [--since 7d] [--all] [--what-if MODEL]",
        "what was spent, in all and by COLUMN, or would have been with MODEL",
        (*_VIEW, "--what-if"),
    ),
    "plot": Command(
        plot,
        "plot [--by PICTURE] [--since 7d] [--all]",
        "the spend over time, by day, cell or column; latency, speed",
        _VIEW,
    ),
    "reconcile": Command(reconcile, "reconcile", "ask what broken calls cost"),
}
