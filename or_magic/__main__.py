"""``python -m or_magic report``: what saved notebooks cost, and whether that is within a budget; for people and CI."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from .errors import OrMagicError

_DOES = """Add up the receipts that saved notebooks keep of their answers.

Each answer counts once, however often the files show it. Simulated money is told apart and never counts against
--max-usd. Cells leave receipts, calls from Python code (orm.ask) do not: they are in the ledger only, as is what an
earlier run of a cell cost."""
_EXITS = """exit status:
  0  read; with --max-usd: what real answers cost is within it
  1  with --max-usd: it is more, or cannot be shown to be within: an answer has no known cost, or a cell asks a model
     but holds no output (not run, or cleared); --allow-unknown lets the latter two pass
  2  a notebook cannot be read, a file cannot be written, or the command is wrong"""
_MOST_USD = Decimal(10**9)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    told = _parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a log that cannot show ≥ must not fail the job
    try:
        return _report(told)
    except OrMagicError as error:
        print(f"or_magic: {error}", file=sys.stderr)
        return 2


def _report(told: argparse.Namespace) -> int:
    from .features.receipts import read_notebooks
    from .features.report import as_json, lines, report_of, within
    from .features.report_files import write_csv, write_html

    found = report_of(read_notebooks(told.notebooks))
    if told.html:
        write_html(found, told.html, datetime.now().astimezone())
    if told.csv:
        write_csv(found, told.csv)
    fits, why = (True, "") if told.max_usd is None else within(found, told.max_usd, allow_unknown=told.allow_unknown)
    if told.json:
        verdict = {} if told.max_usd is None else {"max_usd": f"{told.max_usd:f}", "within": fits, "verdict": why}
        print(json.dumps(as_json(found) | verdict, indent=2))
    else:
        print("\n".join(lines(found, told.by)))
    if why:
        print(why, file=sys.stderr if told.json or not fits else sys.stdout)
    return 0 if fits else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m or_magic", description="What notebooks spent on models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser(
        "report", help="what saved notebooks cost", description=_DOES, epilog=_EXITS, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    report.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="a saved notebook (.ipynb)")
    report.add_argument("--max-usd", type=_usd, metavar="X", help="fail unless the real money is at most X dollars")
    report.add_argument("--allow-unknown", action="store_true", help="let unknown costs pass --max-usd")
    report.add_argument("--by", choices=("cell", "model", "tag"), default="model", help="what to add up by (model)")
    report.add_argument("--html", metavar="FILE", help="write a page: by model, tag and cell")
    report.add_argument("--csv", metavar="FILE", help="write one line per answer, safe for spreadsheets")
    report.add_argument("--json", action="store_true", help="print JSON, with exact amounts as text")
    return parser


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= _MOST_USD):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars, for example 0.50")
    return amount


if __name__ == "__main__":
    sys.exit(main())
