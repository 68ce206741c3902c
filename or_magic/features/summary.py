"""A ledger's frame in figures: sums and shares by any of its columns, and the total. Pure.

Money is added as whole pico-dollars, so that 20 × 0.05 is 1 here too. ``running`` is the session whose open rows
are calls under way: their cost is not unknown, it is not due yet. Open rows of other sessions may be all that a
crash left, and count as unknown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..values import Total, from_pico
from .frame import COLUMNS, PICO_PER_USD
from .groups import DERIVED, column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")


def summarize(frame: pd.DataFrame, by: str | Sequence[str] = "model", *, running: str | None = None) -> pd.DataFrame:
    """Return one row per group, the dearest first; what no row of a group tells is NA, never 0.

    ``calls`` counts attempts. ``success_rate`` is the share of ok and cached among the settled ones. ``cost_usd`` is
    the sum of what was billed, ``estimated_usd`` of what was not told and is estimated; ``unknown_calls`` are those
    that neither sum holds. ``saved_usd`` is what providers' caches of prompts saved, net of what writing them cost.
    By "model", a call that no model answered counts to the one that was asked.

    Raises:
        OptionError: there is no such column.
    """
    import numpy as np
    import pandas as pd

    names = check_columns([by] if isinstance(by, str) else by)
    codes, keys = _groups(frame, names)
    calls, settled, good = _outcomes(codes, frame["status"], len(keys))
    billed, estimated, unknown = money(frame, running)
    cost_usd, priced = _sums(codes, billed, calls)
    mean_s, p95_s = _latency(codes, frame["latency_s"].to_numpy(), calls)
    with np.errstate(invalid="ignore", divide="ignore"):
        figures: dict[str, Any] = {
            "calls": calls,
            "success_rate": good / settled,
            "mean_latency_s": mean_s,
            "p95_latency_s": p95_s,
            **{name: _tokens(codes, frame[name], calls) for name in _TOKENS},
            "cost_usd": cost_usd / PICO_PER_USD,
            "mean_cost_usd": cost_usd / priced / PICO_PER_USD,
            "estimated_usd": _sums(codes, estimated, calls)[0] / PICO_PER_USD,
            "saved_usd": _sums(codes, np.rint(frame["saved_usd"].to_numpy() * PICO_PER_USD), calls)[0] / PICO_PER_USD,
            "unknown_calls": np.bincount(codes[unknown], minlength=len(keys)),
        }
    order = np.argsort(-figures["cost_usd"], kind="stable")  # NaN last; equal costs stay in the keys' order
    return pd.DataFrame(figures, index=keys).iloc[order]


def total_of(frame: pd.DataFrame, *, running: str | None = None, simulated: bool = False) -> Total:
    """Return what the rows cost together."""
    import numpy as np

    billed, estimated, unknown = money(frame, running)
    pico = [from_pico(int(part[~np.isnan(part)].astype(np.int64).sum())) for part in (billed, estimated)]
    return Total(pico[0], pico[1], int(unknown.sum()), simulated)


def check_columns(names: Sequence[str], also: Iterable[str] = ()) -> list[str]:
    """Return the names, all of which can be grouped by, columns of the frame, "day" or "cell", or are in ``also``.

    Raises:
        OptionError: one is not; the message names the closest.
    """
    if not isinstance(names, Sequence):
        raise OptionError(f"by={names!r:.60} is not a column or a list of columns, as in by='model'.")
    known = [*dict.fromkeys([*COLUMNS, *DERIVED, *also])]
    for name in names:
        if name not in known:
            closest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            advice = f"Did you mean {closest[0]!r}?" if closest else "There are for example 'model', 'tag', 'notebook'."
            raise OptionError(f"The ledger has no column {name!r}. {advice}")
    if not names:
        raise OptionError("A summary needs a column to group by, for example by='model'.")
    return list(names)


def _groups(frame: pd.DataFrame, names: Sequence[str]) -> tuple[Codes, pd.Index]:
    """Return the number of every row's group, and the groups' keys in order; NA is a group, the last one."""
    import numpy as np
    import pandas as pd

    found = pd.DataFrame({name: column(frame, name) for name in names}, copy=False)
    codes, width = np.zeros(len(frame), np.int64), 1
    for name in names:
        values = found[name].astype("category").cat
        size = len(values.categories) + 1
        own = values.codes.to_numpy().astype(np.int64)
        codes, width = codes * size + np.where(own < 0, size - 1, own), width * size
        if width > 2**31:
            codes, width = _dense(codes)
    codes, _ = _dense(codes)
    firsts = np.full(codes.max(initial=-1) + 1, -1)
    firsts[codes[::-1]] = np.arange(len(codes))[::-1]
    found = found.iloc[firsts]
    if len(names) == 1:
        return codes, pd.Index(found[names[0]].astype(_plain(found[names[0]])), name=names[0])
    return codes, pd.MultiIndex.from_frame(found.astype({name: _plain(found[name]) for name in names}))


def _dense(codes: Codes) -> tuple[Codes, int]:
    import numpy as np

    if codes.max(initial=0) < 1_000_000:  # numbering by counting is ten times as fast as by sorting
        there = np.bincount(codes, minlength=1) > 0
        return (np.cumsum(there) - 1)[codes], int(there.sum())
    different, dense = np.unique(codes, return_inverse=True)
    return dense, len(different)


def _plain(column: pd.Series[Any]) -> Any:
    return column.cat.categories.dtype if hasattr(column, "cat") else column.dtype


def money(frame: pd.DataFrame, running: str | None) -> tuple[Floats, Floats, Mask]:
    """Return billed and estimated pico-dollars of every row, NaN where it has none, and whose cost is unknown."""
    import numpy as np

    pico = np.rint(frame["cost_usd"].to_numpy() * PICO_PER_USD)
    estimated = _is(frame, "cost_source", "estimated")
    unknown = np.isnan(pico)
    if running is not None:
        unknown &= ~(_is(frame, "status", "open") & _is(frame, "session", running))
    return np.where(estimated, np.nan, pico), np.where(estimated, pico, np.nan), unknown


def _is(frame: pd.DataFrame, name: str, value: str) -> Mask:
    import numpy as np

    column = frame[name].cat
    wanted = np.append(column.categories == value, False)  # the last one answers for -1, which is NA
    return wanted[column.codes.to_numpy()]


def _outcomes(codes: Codes, status: pd.Series[Any], size: int) -> tuple[Codes, Codes, Codes]:
    """Return of each group how many rows there are, how many of them are settled, and how many well."""
    import numpy as np

    names = status.cat.categories
    width = max(len(names), 1)
    table = np.bincount(codes * width + status.cat.codes.to_numpy(), minlength=size * width).reshape(size, width)
    calls = table.sum(axis=1)
    return calls, calls - table[:, names == "open"].sum(axis=1), table[:, names.isin(("ok", "cached"))].sum(axis=1)


def _sums(codes: Codes, values: Floats, calls: Codes) -> tuple[Floats, Codes]:
    """Return the sum of each group's known values, NaN where there are none, and how many there are."""
    import numpy as np

    missing, counts = np.isnan(values), calls
    if missing.any():
        counts = calls - np.bincount(codes[missing], minlength=len(calls))
        values = np.where(missing, 0.0, values)
    sums = np.bincount(codes, weights=values, minlength=len(calls))
    return np.where(counts > 0, sums, np.nan), counts


def _tokens(codes: Codes, column: pd.Series[Any], calls: Codes) -> Any:
    import numpy as np
    import pandas as pd

    sums, counts = _sums(codes, column.to_numpy(dtype=np.float64, na_value=np.nan), calls)
    return pd.arrays.IntegerArray(np.where(counts > 0, sums, 0).astype(np.int64), counts == 0)


def _latency(codes: Codes, latency_s: Floats, calls: Codes) -> tuple[Floats, Floats]:
    """Return mean and 95th percentile of each group's known values."""
    import numpy as np

    sums, counts = _sums(codes, latency_s, calls)
    small = codes.astype(np.min_scalar_type(len(calls)))  # 16 bits or fewer are sorted by counting
    values = latency_s[np.argsort(small, kind="stable")]
    values = values[~np.isnan(values)]
    ends = np.cumsum(counts)
    p95_s = np.full(len(calls), np.nan)
    for group in np.flatnonzero(counts):
        p95_s[group] = _percentile(values[ends[group] - counts[group] : ends[group]], 0.95)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts, p95_s


def _percentile(values: Floats, share: float) -> float:
    """Return what ``Series.quantile`` does, without its fixed costs: there may be a group per cell."""
    import numpy as np

    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    parted = np.partition(values, (low, high))
    return float(parted[low] + (parted[high] - parted[low]) * (place - low))
