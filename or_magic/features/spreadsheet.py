r"""Rows as CSV that no spreadsheet program takes for formulas. Pure.

Excel, LibreOffice and Google Sheets run a cell that begins with ``= + - @`` (also in their wide forms), and skip what
cannot be seen before it. Where a machine's own separator is ``;`` or a tab, or quotes are not honoured, a cell may also
begin in the middle of ours. An apostrophe goes in front of every such sign; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

Value = str | int | float | Decimal | bool | None

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\u2212\ufe62\ufe63\ufe66\ufe6b"
_ENDS = ";\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
_UNSEEN = r"""[\s"'`\x00-\x20\x7f-\xa0\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"""
# What follows the beginning of a cell is looked at, not taken: it may itself hold the beginning of another.
_FORMULA = re.compile(rf"(?:\A|[{_ENDS}])(?={_UNSEEN}[{_SIGNS}]|'*[\t\r])")
_ESCAPED = re.compile(rf"(\A|[{_ENDS}])'(?={_UNSEEN}[{_SIGNS}]|'*[\t\r])")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Value]], *, raw: bool = False) -> str:
    """Return the table as CSV (commas, quotes where needed, UTF-8 when it is written).

    Args:
        header: the names of the columns.
        rows: what is unknown is None, and becomes an empty cell.
        raw: leave texts as they are, for programs that read the file and never a spreadsheet.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_cell(name, raw=raw) for name in header])
    writer.writerows([_cell(value, raw=raw) for value in row] for row in rows)
    return file.getvalue()


def escape(text: str) -> str:
    """Return text with an apostrophe before whatever a spreadsheet may take for the beginning of a formula."""
    return _FORMULA.sub(lambda found: f"{found[0]}'", text)


def unescape(text: str) -> str:
    """Return what ``escape`` was given."""
    return _ESCAPED.sub(r"\1", text)


def _cell(value: Value, *, raw: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if raw else escape(value)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return "" if value is None else str(value)
