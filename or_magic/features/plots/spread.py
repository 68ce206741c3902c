"""How seconds and speeds are spread, a row per model: every answer a dot, and median and 95th percentile. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..groups import column
from . import paper

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]

MOST_ROWS = 12
MOST_DOTS = 300
_FEW = 5  # fewer dots say all that a box could
_LOG_BEYOND = 15  # times the smallest median: on a plain axis the quick models would be one blot
_COLUMN_PT = 58
_GOLDEN = (math.sqrt(5) - 1) / 2


class Spread(NamedTuple):
    """A column of the frame, what a title calls it, its unit, and which end of it is the good one."""

    column: str
    title: str
    unit: str
    more_is_better: bool = False


SPREADS: Mapping[str, Spread] = {
    "latency": Spread("latency_s", "Time to the whole answer", " s"),
    "latency_s": Spread("latency_s", "Time to the whole answer", " s"),
    "first_token_s": Spread("first_token_s", "Time to the first token", " s"),
    "speed": Spread("tokens_per_s", "Tokens per second", "", more_is_better=True),
    "tokens_per_s": Spread("tokens_per_s", "Tokens per second", "", more_is_better=True),
}


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    colour: str
    values: Floats  # they rise

    @property
    def figures(self) -> tuple[float, float]:
        """Median and 95th percentile."""
        median, p95 = _quantiles(self.values, (0.5, 0.95))
        return float(median), float(p95)


def plot_spread(frame: pd.DataFrame, kind: str, ax: Axes | None = None, *, simulated: bool = False) -> Axes:
    """Draw a row per model, the best on top, of the finished answers; what is left out is said below.

    ``kind`` is a key of ``SPREADS``. Up to 300 answers of a model every one is a dot, beyond that every dot stands for
    as many answers, the quickest and the slowest among them.
    """
    spread = SPREADS[kind]
    rows = _rows(frame, spread)
    ours = ax is None
    ax = paper.axes(0.95 + 0.46 * len(rows) if rows else 1) if ax is None else ax
    if not rows:
        return paper.say(ax, _why_nothing(frame, spread))
    for place, row in enumerate(rows):
        _draw_row(ax, place, row)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    shown = sum(len(row.values) for row in rows)
    log = _value_axis(ax, rows, spread)
    paper.style(ax, spread.title + ", simulated" * simulated, ours=ours)
    paper.caption(ax, _how_to_read(len(frame) - shown, len(frame), log=log), ours=ours)
    ax.tick_params(axis="y", length=0)
    _figures(ax, rows, spread, ours=ours)
    return ax


def _rows(frame: pd.DataFrame, spread: Spread) -> list[_Row]:
    """Return the values of the models asked most often, best median first, then all others' together."""
    import numpy as np

    values = frame[spread.column].to_numpy()
    status = frame["status"].cat
    finished = np.append(status.categories == "ok", False)[status.codes.to_numpy()]
    places = np.flatnonzero(finished & (values > 0))
    models = column(frame, "model").cat
    names = [*map(str, models.categories), "no model"]
    codes = models.codes.to_numpy().astype(np.int64)[places] % len(names)
    calls = np.bincount(codes, minlength=len(names))
    ranked = [code for code in np.lexsort((np.arange(len(names)), -calls)) if calls[code]]
    shown = ranked if len(ranked) <= MOST_ROWS + 1 else ranked[:MOST_ROWS]
    rows = [_Row(names[code], paper.COLOURS[0], np.sort(values[places[codes == code]])) for code in shown]
    rows.sort(key=lambda row: row.figures[0] * (-1 if spread.more_is_better else 1))
    if len(shown) < len(ranked):
        others = np.isin(codes, ranked[MOST_ROWS:])
        rows.append(_Row(f"{len(ranked) - MOST_ROWS} others", paper.OTHER, np.sort(values[places[others]])))
    return rows


def _quantiles(values: Floats, at: Sequence[float] | Floats) -> Floats:
    """Return what numpy's function of that name does, of values that rise: those need no second sorting."""
    import numpy as np

    places = (len(values) - 1) * np.asarray(at)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (places - low)


def _draw_row(ax: Axes, place: int, row: _Row) -> None:
    """Draw the dots, and below them from the 5th to the 95th percentile a line, over the middle half a bar."""
    import numpy as np

    dots = row.values
    if len(dots) > MOST_DOTS:
        dots = _quantiles(dots, np.linspace(0, 1, MOST_DOTS))
    # Multiples of the golden ratio lie far from each other: no chance, no two pictures of the same calls.
    aside = (np.arange(len(dots)) * _GOLDEN % 1 - 0.5) if len(dots) > 1 else np.zeros(1)
    size, alpha = (16, 0.8) if len(dots) < 30 else (9, 0.6)
    ax.scatter(dots, place - 0.1 + 0.4 * aside, s=size, color=row.colour, alpha=alpha, linewidths=0)
    median, p95 = row.figures
    low = place + 0.27
    if len(row.values) >= _FEW:
        p5, p25, p75 = _quantiles(row.values, (0.05, 0.25, 0.75))
        ax.plot([p5, p95], [low, low], color=row.colour, linewidth=1.2, solid_capstyle="butt")
        ax.plot([p25, p75], [low, low], color=row.colour, linewidth=4, solid_capstyle="butt")
    ax.plot([median], [low], "|", color=row.colour, markersize=9, markeredgewidth=2.2)


def _value_axis(ax: Axes, rows: list[_Row], spread: Spread) -> bool:
    """Scale the axis, and return whether it is logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    least, most = min(row.values[0] for row in rows), max(row.values[-1] for row in rows)
    log = bool(most > _LOG_BEYOND * min(row.figures[0] for row in rows))
    if log:
        ax.set_xscale("log")
        ax.set_xlim(least / 1.2, most * 1.2)
        narrow = most < 300 * least
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_xlim(0, most * 1.05)
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.10g}{spread.unit}"))
    paper.grid(ax.xaxis)
    return log


def _figures(ax: Axes, rows: list[_Row], spread: Spread, *, ours: bool) -> None:
    """Name the rows, with count, median and 95th percentile: right of our axes, in the names of the user's."""
    told = [(f"{len(row.values):,}", *(_figure(value) + spread.unit for value in row.figures)) for row in rows]
    names = [paper.short(row.name) for row in rows]
    if not ours:
        names = [f"{name}\n{n} · {median} · p95 {p95}" for name, (n, median, p95) in zip(names, told, strict=True)]
    ax.set_yticks(range(len(rows)), names, parse_math=False)
    if ours:
        for column, cells in enumerate(zip(("answers", "median", "p95"), *told, strict=True)):
            _write_column(ax, cells, right_pt=_COLUMN_PT * (column + 1) - 4)


def _write_column(ax: Axes, cells: Sequence[str], right_pt: float) -> None:
    """Write a head and a figure per row, that end so far right of the axes."""
    for place, cell in enumerate(cells, start=-1):
        at = (1, 1) if place < 0 else (1, place)
        ax.annotate(
            cell,
            at,
            xycoords="axes fraction" if place < 0 else ax.get_yaxis_transform(),
            xytext=(right_pt, 2 if place < 0 else 0),
            textcoords="offset points",
            ha="right",
            va="bottom" if place < 0 else "center",
            fontsize=9,
            color=paper.Y_INK,
        )


def _figure(value: float) -> str:
    """Return two significant digits, and all digits before the point."""
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{value:,.{digits}f}"


def _how_to_read(left_out: int, calls: int, *, log: bool) -> str:
    """Return what must be known of the picture: its scale and what is missing from it."""
    words = ["logarithmic scale"] * log
    if left_out:
        words.append(f"{left_out:,} of {calls:,} calls left out: not finished, or not measured")
    return " · ".join(words)


def _why_nothing(frame: pd.DataFrame, spread: Spread) -> str:
    if frame.empty:
        return paper.NOTHING
    return f"{spread.title}: no call is finished and measured ({len(frame):,} made)."
