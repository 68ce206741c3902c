"""The ledger's records as the DataFrame of DESIGN §2: typed columns, NA where something is unknown. Pure.

The slow part of reading a long history is the making of a Python object per field. So all labels of a record travel
as one JSON array: there are few different arrays, and only those are parsed.
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

# The frame's columns in order. A label is a text of few values, an id one of many; a word, which people choose, may
# be either. Labels and words become categorical, ids string.
COLUMNS = {
    "started_at": "time",
    "session": "label",
    "user": "label",
    "notebook": "label",
    "cell_id": "id",
    "source": "label",
    "purpose": "label",
    "tag": "word",
    "chat": "word",
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
# What is read, by kind: the array of the labels first.
_READ = {"labels": "word"} | {name: kind for name, kind in COLUMNS.items() if kind not in ("label", "derived")}


def select() -> tuple[str | tuple[str, ...], ...]:
    """Return the columns of a record that ``build`` understands, as ``Ledger.batches`` takes them."""
    return tuple(map(_expression, _READ))


def build(batches: Batches) -> pd.DataFrame:
    """Return the frame of the records of ``select()``: one row per attempt, oldest first."""
    import numpy as np
    import pandas as pd

    pieces, words = _collect(batches)
    columns: dict[str, Any] = {name: _joined(kind, pieces[name]) for name, kind in _READ.items()}
    arrays = list(map(json.loads, words.pop("labels")))
    for place, name in enumerate(_LABELS):
        columns[name] = _categorical(columns["labels"], [array[place] for array in arrays])
    for name, texts in words.items():
        columns[name] = _categorical(columns[name], texts)
    _complete(columns)
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)
    started = frame["started_at"].array.asi8
    if (started[1:] < started[:-1]).any():  # the spool and other kernels write a little later than they ask
        return frame.take(np.argsort(started, kind="stable")).reset_index(drop=True)
    return frame


class _Codes(dict[Any, int]):
    """A number for every different text, in order of appearance."""

    def __missing__(self, text: str | None) -> int:
        code = self[text] = len(self)
        return code


def _expression(name: str) -> str | tuple[str, ...]:
    if name == "labels":
        return _LABELS
    if COLUMNS[name] == "count":
        return f"coalesce({name}, -1)"  # a column of integers alone is read exactly, and faster
    return name.replace("_usd", "_pico")


def _collect(batches: Batches) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return the pieces of every column, and for those of words, which are numbers, the words."""
    codes = {name: _Codes() for name, kind in _READ.items() if kind == "word"}
    pieces: dict[str, list[Any]] = {name: [_typed(kind, ())] for name, kind in _READ.items()}
    width = len(_READ)
    for batch in batches:
        flat = list(chain.from_iterable(batch))  # a third of the time of zip(*batch)
        for place, (name, kind) in enumerate(_READ.items()):
            values = flat[place::width]
            if kind == "word":
                values = list(map(codes[name].__getitem__, values))
            pieces[name].append(_typed(kind, values))
    return pieces, {name: list(found) for name, found in codes.items()}


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


def _categorical(codes: Integers, texts: Sequence[str | None]) -> pd.Categorical:
    """Return the column whose values are ``texts[code]``; its categories are sorted."""
    import numpy as np
    import pandas as pd

    categories = sorted({text for text in texts if text is not None})
    number: dict[str | None, int] = {text: code for code, text in enumerate(categories)} | {None: -1}
    small = np.min_scalar_type(-len(categories) - 1)
    numbers = np.fromiter(map(number.__getitem__, texts), small, len(texts))
    return pd.Categorical.from_codes(numbers[codes], pd.Index(categories, dtype="str"))


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
