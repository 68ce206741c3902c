"""A typed answer as inert Markdown: a table for a list of flat objects, an outline for anything else. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .neutral import line, literal
from .tables import Typed

_MOST_ROWS, _MOST_COLUMNS = 200, 20
_MOST_LINES, _LONGEST_TEXT = 400, 400
_DEEPEST = 8
_FIGURES = re.compile(r"\d[\d:.+TZ-]{,40}\d", re.ASCII)


def outline(typed: Typed) -> str:
    """Return a table for a list of flat objects, else an outline; inert, and cut with a note where it is too long."""
    value = typed.value
    if isinstance(value, list) and value and all(_is_flat(row) for row in value):
        columns = list(typed.columns)
        if len(columns) <= _MOST_COLUMNS:
            return "\n".join(_table(columns, value))
    lines = list(_lines(value, 0))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"- *… {len(lines) - _MOST_LINES:,} more lines are in reply.data*"]
    return "\n".join(lines)


def _is_flat(row: Any) -> bool:
    return isinstance(row, dict) and bool(row) and not any(isinstance(each, (dict, list)) for each in row.values())


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    shown = rows[:_MOST_ROWS]
    yield _row([literal(name) for name in columns])
    yield _row(["---:" if _is_numeric([row.get(name) for row in shown]) else "---" for name in columns])
    for row in shown:
        yield _row([_scalar(row.get(name), missing="") for name in columns])
    if len(rows) > len(shown):
        yield f"\n*… {len(rows) - len(shown):,} more rows are in reply.data*"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _is_numeric(values: list[Any]) -> bool:
    told = [value for value in values if value is not None]
    return bool(told) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in told)


def _lines(value: Any, depth: int) -> Iterator[str]:
    """Yield the lines of a nested list: ``- **name**: value``."""
    lead = "    " * depth
    if depth >= _DEEPEST:
        yield f"{lead}- {literal(_short(json.dumps(value, ensure_ascii=False)))}"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _item(f"{lead}- **{literal(name) or '·'}**", inner, depth)
        if not value:
            yield f"{lead}- *an empty object*"
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _item(f"{lead}- *{number}*", inner, depth)
        if not value:
            yield f"{lead}- *an empty list*"
    else:
        told = _scalar(value)
        yield f"{lead}- {literal(told) if told.startswith('-') else told}"  # a dash would begin another list


def _item(head: str, inner: Any, depth: int) -> Iterator[str]:
    if isinstance(inner, list) and inner and not any(isinstance(each, (dict, list)) for each in inner):
        yield f"{head}: {', '.join(map(_scalar, inner))}"
    elif isinstance(inner, (dict, list)) and inner:
        yield head
        yield from _lines(inner, depth + 1)
    elif isinstance(inner, (dict, list)):
        yield f"{head}: *empty*"
    else:
        yield f"{head}: {_scalar(inner)}"


def _scalar(value: Any, missing: str = "*null*") -> str:
    if value is None:
        return missing
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if _FIGURES.fullmatch(value):  # a date, say: nothing in it means anything
        return value
    return literal(_short(line(value))) or "*empty text*"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
