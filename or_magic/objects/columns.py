"""What stands in one column of a table, in one line: missing values, figures, the commonest values. Pure."""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any, NamedTuple

from .bound import plain, short

_WIDTH = 40  # characters of a value
_FEW = 8  # so many different values are all named, with how often each is there
_CELL_DIGITS = 8  # coordinates have as many
_LONG_TEXT = 60  # characters; longer texts are also said to be long
_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 120


class Look(NamedTuple):
    """The rows that figures are taken of (None: all), and the sentence that says so."""

    places: list[int] | None
    told: str


def column_text(series: Any, look: Look) -> str:
    """Return what a column holds."""
    missing = int(series.isna().sum())
    told = [f"{missing:,} missing"] if missing else []
    values = (series if look.places is None else series.iloc[look.places]).dropna()
    if len(values):
        told.append(_content(series, values))
    elif len(series) == missing:
        told = ["all missing"] if missing else ["no values"]
    return ", ".join(told)


def _content(series: Any, values: Any) -> str:
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(getattr(series.dtype, "categories", None), object) and str(series.dtype) == "category":
        kind = "O"
    if kind in "mM":
        return f"{shown(series.min(), _WIDTH)} to {shown(series.max(), _WIDTH)}"
    if kind == "f" or (kind in "iu" and values.nunique() > _FEW):
        return _figures(series, values)
    return _counts(values)


def _figures(series: Any, values: Any) -> str:
    quarters = [number(value) for value in values.quantile([0.25, 0.5, 0.75])]
    return (
        f"min {number(series.min())}, quartiles {' '.join(quarters)}, max {number(series.max())}, "
        f"mean {number(values.mean())}, std {number(values.std())}"
    )


def _counts(values: Any) -> str:
    try:
        counts = values.value_counts()
    except TypeError:  # lists, dicts: they cannot be counted
        return f"e.g. {', '.join(shown(value, _WIDTH) for value in values.iloc[:2])}"
    counts = counts[counts > 0]
    if len(counts) > 1 and len(counts) == len(values):
        told = f"all different, e.g. {', '.join(shown(value, _WIDTH) for value in values.iloc[:3])}"
    else:
        named = [f"{shown(value, _WIDTH)} ×{count:,}" for value, count in counts.iloc[:_FEW].items()]
        if len(counts) <= _FEW:
            told = ", ".join(named) if len(counts) > 1 else f"only {shown(counts.index[0], _WIDTH)}"
        else:
            told = f"{len(counts):,} different, most often {', '.join(named[:3])}"
    lengths = [len(value) for value in values.iloc[:1000] if isinstance(value, str)]
    if lengths and (mean := sum(lengths) / len(lengths)) > _LONG_TEXT:
        told += f"; about {mean:,.0f} characters each"
    return told


def number(value: Any, digits: int = 5) -> str:
    """Return a figure with as many digits as matter; those before the point are all there."""
    try:
        exact = float(value)
    except (TypeError, ValueError):
        return shown(value, _WIDTH, quoted=False)
    if not math.isfinite(exact):
        return "missing" if math.isnan(exact) else str(exact)
    if exact == int(exact) and abs(exact) < 2**53:
        return str(int(exact))
    size = abs(exact)
    return f"{exact:.{digits}g}" if size < 10 ** (digits - 2) or size >= 1e15 else f"{exact:.2f}"


def shown(value: Any, width: int, *, quoted: bool = True) -> str:
    """Return a value in at most about ``width`` characters."""
    if isinstance(value, str):
        text = short(value, width)
        return json.dumps(text.replace("\\n", " "), ensure_ascii=False) if quoted else text
    if isinstance(value, (bool, int)):
        return str(value)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(value, float) or (kind == "f" and getattr(value, "ndim", 1) == 0):
        return "" if math.isnan(value) and not quoted else number(value, 5 if quoted else _CELL_DIGITS)
    if type(value).__name__ in ("NAType", "NaTType") or value is None:
        return "" if not quoted else str(value)
    if hasattr(value, "isoformat"):
        return str(value).removesuffix(" 00:00:00")
    container = isinstance(value, (list, tuple, dict, set, frozenset, bytes))
    return short(_brief.repr(value) if container else plain(value), width)
