"""A DataFrame or a Series as text: shape, columns, a few rows; of a long one it draws rows and says so."""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Iterator
from typing import Any

from .bound import short, tokens_of
from .columns import Look, column_text

_WHOLE_ROWS = 30  # so few are shown, not summed up
_LONG, _DRAWN = 100_000, 50_000  # of more rows than this, so many are looked at
_FIRST, _FURTHER = 3, 5  # rows shown
_CELL, _NAME = 80, 60  # characters
_MOST_COLUMNS = 200
_SEED = 0  # the same table gives the same text, which providers may have kept


def is_table(thing: object) -> bool:
    """Whether it is a DataFrame or a Series of pandas, or a styled one."""
    pandas: Any = sys.modules.get("pandas")
    kinds = tuple(found for name in ("DataFrame", "Series") if (found := getattr(pandas, name, None)) is not None)
    return isinstance(thing, kinds) or (type(thing).__name__ == "Styler" and hasattr(thing, "data"))


def table_text(table: Any, tokens: int) -> str:
    """Return what fits into about so many tokens; its shape always does."""
    import numpy as np  # pandas brings it

    if type(table).__name__ == "Styler":
        table = table.data
    with np.errstate(all="ignore"):
        return _series(table, tokens) if table.ndim == 1 else _frame(table, tokens)


def _frame(frame: Any, tokens: int) -> str:
    rows, columns = frame.shape
    lines = [f"DataFrame: {_count(rows, 'row')} × {_count(columns, 'column')}{_index(frame.index)}"]
    if rows <= _WHOLE_ROWS and columns <= _MOST_COLUMNS:
        dtypes = "; ".join([f"{_label(name)} {_type(frame.iloc[:, n])}" for n, name in enumerate(frame.columns)])
        whole = [*lines, f"Types: {dtypes}" if dtypes else "", *_rows(frame, range(rows), _FIT_ALL)[0]]
        text = "\n".join([line for line in whole if line])
        if tokens_of(text) <= tokens:
            return text
    look = _look(rows)
    lines += [look.told] if look.told else []
    described = list(_described(frame, look, tokens * 0.6 - tokens_of(lines[0])))
    lines += ["", "Columns:", *described] if described else []
    if left := columns - len(described):
        names = [_label(name) for name in frame.columns[len(described) :][:_MOST_COLUMNS]]
        lines.append(short(f"- and {_count(left, 'column')} more: {', '.join(names)}", max(40, tokens // 3)))
    lines += _sample(frame.iloc[:, : len(described)], tokens - tokens_of("\n".join(lines))) if described else []
    return "\n".join(lines)


def _series(series: Any, tokens: int) -> str:
    rows = len(series)
    name = "" if series.name is None else f" {_label(series.name)}"
    lines = [f"Series{name}: {_count(rows, 'value')}, {_type(series)}{_index(series.index)}"]
    frame = series.to_frame(name="value" if series.name is None else series.name)
    if rows <= _WHOLE_ROWS:
        text = "\n".join([*lines, *_rows(frame, range(rows), _FIT_ALL)[0]])
        if tokens_of(text) <= tokens:
            return text
    look = _look(rows)
    lines += [look.told] if look.told else []
    lines.append(column_text(series, look))
    return "\n".join([*lines, *_sample(frame, tokens - tokens_of("\n".join(lines)))])


def _look(rows: int) -> Look:
    """Return which rows figures are taken of."""
    if rows <= _LONG:
        return Look(None, "")
    drawn = sorted(random.Random(_SEED).sample(range(rows), _DRAWN))  # noqa: S311 - a sample, no secret
    told = (
        "Missing values, and the least and greatest of numbers and dates, are those of all rows; all else here is told "
        f"of {_DRAWN:,} rows drawn at random."
    )
    return Look(drawn, told)


def _described(frame: Any, look: Look, tokens: float) -> Iterator[str]:
    """Yield a line for each column, as long as they fit."""
    for place, name in enumerate(frame.columns[:_MOST_COLUMNS]):
        series = frame.iloc[:, place]  # a name may be there twice
        line = f"- {_label(name)}: {_type(series)}, {column_text(series, look)}"
        tokens -= tokens_of(line) + 1
        if tokens < 0 and place:
            return
        yield line


def _sample(frame: Any, tokens: float) -> list[str]:
    """Return the first rows and some of the others, as many as fit."""
    rows = len(frame)
    others = range(_FIRST, rows)
    drawn = sorted(random.Random(_SEED).sample(others, min(_FURTHER, len(others))))  # noqa: S311
    lines, shown = _rows(frame, [*range(min(_FIRST, rows)), *drawn], tokens - 30)
    if not shown:
        return []
    first = min(shown, _FIRST)
    told = f"First {_count(first, 'row')}" + (f" and {shown - first} drawn at random" if shown > first else "")
    return ["", f"{told} (CSV):", *lines]


_FIT_ALL = float("inf")


def _rows(frame: Any, places: Any, tokens: float) -> tuple[list[str], int]:
    """Return rows as CSV, the index first, and how many of them fitted."""
    index = frame.index
    names = [_label(name) if name is not None else "" for name in index.names]
    lines = [_csv([*names, *[_label(name) for name in frame.columns]])]
    tokens -= tokens_of(lines[0])
    for place in places:
        key = index[place]
        keys = key if index.nlevels > 1 else (key,)
        cells = [frame.iat[place, column] for column in range(frame.shape[1])]
        line = _csv([_cell(cell) for cell in (*keys, *cells)])
        tokens -= tokens_of(line) + 1
        if tokens < 0:
            break
        lines.append(line)
    return (lines, len(lines) - 1) if len(lines) > 1 else ([], 0)


def _csv(cells: list[str]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue()


def _cell(value: Any) -> str:
    from .columns import shown

    return shown(value, _CELL, quoted=False)


def _index(index: Any) -> str:
    """Return what must be known of an index; nothing of one that only counts."""
    if type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1:
        return ""
    named = ", ".join([_label(name) for name in index.names if name is not None])
    return f", index {named + ' ' if named else ''}({'MultiIndex' if index.nlevels > 1 else index.dtype})"


def _type(series: Any) -> str:
    return str(series.dtype)[:_NAME]


def _label(name: Any) -> str:
    return short(" / ".join(map(str, name)) if isinstance(name, tuple) else str(name), _NAME)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
