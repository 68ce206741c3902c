"""The ledger's records as the DataFrame of DESIGN §2: typed columns, NA where something is unknown. Pure.

The slow part of reading a long history is the making of a Python object per field. So all texts of few values
travel in one JSON array per record: there are few different arrays, and only those are parsed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

PICO_PER_USD = 1e12
Batches = Iterable[Sequence[tuple[Any, ...]]]

# The frame's columns in order. A label is a text of few values (categorical), an id one of many (string).
COLUMNS = {
    "started_at": "time",
    "session": "label",
    "user": "label",
    "notebook": "label",
    "cell_id": "id",
    "source": "label",
    "purpose": "label",
    "tag": "label",
    "chat": "label",
    "call_id": "id",
    "parent_call_id": "id",
    "attempt": "number",
    "gateway": "label",
    "model_requested": "label",
    "model": "label",
    "provider": "label",
    "status": "label",
    "finish_reason": "label",
    "error": "label",
    "prompt_tokens": "count",
    "completion_tokens": "count",
    "reasoning_tokens": "count",
    "cached_tokens": "count",
    "cache_write_tokens": "count",
    "total_tokens": "count",
    "cost_usd": "money",
    "cost_source": "label",
    "upstream_usd": "money",
    "saved_usd": "money",
    "first_token_s": "seconds",
    "latency_s": "seconds",
    "tokens_per_s": "derived",
    "generation_id": "id",
}
_LABELS = tuple(name for name, kind in COLUMNS.items() if kind == "label")
_READ = tuple(name for name, kind in COLUMNS.items() if kind not in ("label", "derived"))


def select() -> tuple[str, ...]:
    """Return the SQL expressions of a record that ``build`` understands."""
    return (f"json_array({', '.join(_LABELS)})", *map(_expression, _READ))


def build(batches: Batches) -> pd.DataFrame:
    """Return the frame of the records of ``select()``: one row per attempt, oldest first."""
    import numpy as np
    import pandas as pd

    codes, texts, pieces = _collect(batches)
    columns: dict[str, Any] = {name: _joined(COLUMNS[name], pieces[name]) for name in _READ}
    columns |= _labels(codes, texts)
    _complete(columns)
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)
    started = frame["started_at"].array.asi8
    if (started[1:] < started[:-1]).any():  # the spool and other kernels write a little later than they ask
        return frame.take(np.argsort(started, kind="stable")).reset_index(drop=True)
    return frame


class _Codes(dict[str, int]):
    """A number for every different text, in order of appearance."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code


def _expression(name: str) -> str:
    if COLUMNS[name] == "count":
        return f"coalesce({name}, -1)"  # a column of integers alone is read exactly, and faster
    return name.replace("_usd", "_pico")


def _collect(batches: Batches) -> tuple[Integers, list[str], dict[str, list[Any]]]:
    import numpy as np

    codes = _Codes()
    found = [np.empty(0, np.int64)]
    pieces: dict[str, list[Any]] = {name: [_typed(COLUMNS[name], ())] for name in _READ}
    for batch in batches:
        flat, width = list(chain.from_iterable(batch)), 1 + len(_READ)  # a third of the time of zip(*batch)
        found.append(np.fromiter(map(codes.__getitem__, flat[::width]), np.int64, len(batch)))
        for place, name in enumerate(_READ, start=1):
            pieces[name].append(_typed(COLUMNS[name], flat[place::width]))
    return np.concatenate(found), list(codes), pieces


def _typed(kind: str, values: Sequence[Any]) -> Any:
    import numpy as np
    import pandas as pd

    if kind == "id":
        return pd.array(list(values), dtype="string")
    return np.array(values, dtype=np.float64 if kind in ("money", "seconds") else np.int64)  # None becomes NaN


def _joined(kind: str, pieces: list[Any]) -> Any:
    import numpy as np
    import pandas as pd

    if kind == "id":
        return pd.concat([pd.Series(piece) for piece in pieces], ignore_index=True).array
    whole = np.concatenate(pieces)
    if kind == "time":
        return pd.DatetimeIndex(whole.view("M8[us]"), tz="UTC")
    if kind == "count":
        return pd.arrays.IntegerArray(whole, whole < 0)
    return whole / PICO_PER_USD if kind == "money" else whole


def _labels(codes: Integers, texts: Sequence[str]) -> dict[str, pd.Categorical]:
    """Return the categorical columns; ``texts[code]`` is the JSON array of a row's labels."""
    import numpy as np
    import pandas as pd

    rows = list(map(json.loads, texts))
    columns = {}
    for place, name in enumerate(_LABELS):
        values = [row[place] for row in rows]
        categories = sorted({value for value in values if value is not None})
        number = {value: code for code, value in enumerate(categories)} | {None: -1}
        small = np.min_scalar_type(-len(categories) - 1)
        numbers = np.fromiter(map(number.__getitem__, values), small, len(values))
        columns[name] = pd.Categorical.from_codes(numbers[codes], pd.Index(categories, dtype="str"))
    return columns


def _complete(columns: dict[str, Any]) -> None:
    """Fill in what follows from other columns, and take away a cost that only looks known."""
    import numpy as np

    source, cost_usd = columns["cost_source"], columns["cost_usd"]
    cost_usd[np.asarray(source == "unknown")] = np.nan
    cost_usd[np.asarray(source == "none") & np.isnan(cost_usd)] = 0.0  # nothing billable: that is known to cost 0
    prompt, completion, total = (columns[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
    columns["total_tokens"] = _filled(total, prompt + completion)
    written_s = columns["latency_s"] - columns["first_token_s"]
    written_s[~(written_s > 0)] = np.nan
    columns["tokens_per_s"] = completion.to_numpy(dtype=np.float64, na_value=np.nan) / written_s


def _filled(counts: pd.arrays.IntegerArray, other: pd.arrays.IntegerArray) -> Any:
    missing = counts.isna()
    filled = counts.copy()
    filled[missing] = other[missing]
    return filled
