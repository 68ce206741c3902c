"""The command ``report``: what this session, or a saved notebook, cost; as a table, a page and a CSV file."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

from ...errors import OptionError
from .command import Command, Parser, is_terminal, say

if TYPE_CHECKING:
    import pandas as pd

    from ...features.report import Group, Report
    from ..face import Face

_OPTIONS = ("--by", "--html", "--csv", "--all", "--since")
_IN_A_TERMINAL = ["cost_usd", "unknown_calls", "answers"]  # more columns would hide those in the middle


def report(face: Face, rest: str) -> pd.DataFrame | None:
    """Say what was spent, return it by cell, model or tag, and write the files that are asked for."""
    from ...features import report as reports
    from ...features.report_files import write_csv, write_html

    told = _view(rest)
    found = _of_notebook(told.notebook) if told.notebook else _of_ledger(face, told)
    groups = found.groups(told.by)  # an unknown view must not write anything
    say("\n".join([reports.headline(found), *reports.remarks(found)]))
    if told.html:
        say(f"The page is in {write_html(found, told.html, datetime.now().astimezone())}.")
    if told.csv:
        say(f"One line per answer is in {write_csv(found, told.csv)}.")
    if not groups:
        return None
    table = _table(groups, told.by)
    return table[_IN_A_TERMINAL] if is_terminal(face) else table


def _view(rest: str) -> argparse.Namespace:
    parser = Parser()
    parser.add_argument("notebook", nargs="?")
    parser.add_argument("--by", default="model")
    for option in ("--html", "--csv", "--since"):
        parser.add_argument(option)
    parser.add_argument("--all", action="store_true")
    told = parser.read(rest)
    if told.notebook and (told.all or told.since):
        raise OptionError("--all and --since choose from the ledger; a notebook's receipts carry no date.")
    return told


def _of_notebook(path: str) -> Report:
    from ...features.receipts import read_notebooks
    from ...features.report import report_of

    return report_of(read_notebooks([path]))


def _of_ledger(face: Face, told: argparse.Namespace) -> Report:
    from ...features.report import report as report_from

    session = face.session()
    frame = session.tracker.frame(all=told.all, since=told.since)
    return report_from(frame, running=session.engine.session)


def _table(groups: list[Group], by: str) -> pd.DataFrame:
    import pandas as pd

    from ...features.report import label

    figures = [group.figures for group in groups]
    columns = {
        "answers": [told.calls for told in figures],
        "cost_usd": [_usd(told.billed_pico, known=told.calls > told.unknown_calls + told.running) for told in figures],
        "estimated_usd": [told.estimated_pico / 1e12 for told in figures],
        "unknown_calls": [told.unknown_calls for told in figures],
        "prompt_tokens": pd.array([told.prompt_tokens for told in figures], dtype="Int64"),
        "completion_tokens": pd.array([told.completion_tokens for told in figures], dtype="Int64"),
        "simulated": [told.simulated for told in figures],
    }
    return pd.DataFrame(columns, index=pd.Index([label(group, by) for group in groups], name=by, dtype="object"))


def _usd(pico: int, *, known: bool) -> float:
    return pico / 1e12 if known else float("nan")


COMMANDS = {
    "report": Command(
        report,
        "report [NOTEBOOK] [--by cell|model|tag] [--html FILE] [--csv FILE] [--all] [--since 7d]",
        "what this session or a saved notebook cost, also as a page or CSV",
        _OPTIONS,
    ),
}
