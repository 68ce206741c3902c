"""Rows of texts of others as a table of HTML, in which nothing acts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from . import words

_STYLE = "text-align:left;vertical-align:top"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], below: str = "") -> str:
    """Return the table; its cells are HTML, made by :func:`cell`, and ``below`` is one line of text under it."""
    told = "".join([f"<tr>{_cells(row)}</tr>\n" for row in rows])
    names = "".join([f'<th style="{_STYLE}">{cell(name)}</th>' for name in head])
    ending = f'\n<small style="opacity:.75">{cell(below)}</small>' if below else ""
    return f"<table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n{told}</tbody>\n</table>{ending}"


def cell(text: str) -> str:
    """Return text as HTML that shows it: one line, no markup, no formula."""
    # Front ends take what stands between two dollars, or after these backslashes, for a formula, unless an element
    # ends between them.
    shown = escape(words.line(text))
    return shown.replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")


def _cells(row: Sequence[str]) -> str:
    return "".join([f'<td style="{_STYLE}">{html}</td>' for html in row])
