"""Spend as pictures: money over time, or bars by a column. Draws on matplotlib axes; reads and shows nothing.

A notebook's page may be white or nearly black and a picture does not know which, so its background is transparent
and every colour stands out from both (contrast ≥ 3.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..values import Total, from_pico
from .frame import PICO_PER_USD
from .summary import summarize

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MOST_LINES = 7
MOST_BARS = 15
MOST_POINTS = 2000
COLOURS = ("#3b82f6", "#d96a10", "#16934a", "#d9468f", "#8b5cf6", "#0e8fa8", "#a37a00")
OTHER = "#808080"
# JupyterLab lays a white plate under a transparent picture whose tick labels are all dark, or all light, by its
# measure. These two greys look alike and lie on either side of it.
X_INK, Y_INK = "#7a7a7a", "#828282"
_WIDTH_IN = 8.6
_SECOND = 1 / 86_400  # of a day, which is matplotlib's unit of time
_LONGEST_LABEL = 40
_NOTHING = "No calls to plot yet."


def plot_over_time(frame: pd.DataFrame, total: Total, ax: Axes | None = None) -> Axes:
    """Draw what was billed, added up over time, one line per model; the title says what the lines leave out."""
    ours = ax is None
    lines = _lines(frame)
    ax = _axes(3.6 if lines else 1) if ax is None else ax
    if not lines:
        unknown = f"No cost is known yet: {_beyond(total) or 'the calls are running'}."
        return _say(ax, _NOTHING if frame.empty else unknown)
    started = _days(frame["started_at"])
    last = max(float(started[-1]), float(started[0]) + _SECOND)
    for name, colour, rows, usd in lines:
        ax.plot(
            *_steps(started[rows], usd, last),
            drawstyle="steps-post",
            color=colour,
            linewidth=1.8,
            marker="o",
            markersize=4,
            markevery=[-1],
            label=f"{_short(name)}  {_told(usd)}",
            clip_on=False,
            solid_capstyle="round",
        )
    _time_axis(ax)
    ax.set_xlim(float(started[0]), last)
    _dollar_axis(ax.yaxis, max(float(usd.sum()) for _, _, _, usd in lines))
    _style(ax, f"Spend over time: {total}", ours=ours)
    _legend(ax, ours=ours)
    return ax


def plot_by(frame: pd.DataFrame, by: str, total: Total, ax: Axes | None = None, *, running: str | None = None) -> Axes:
    """Draw a bar per value of a column, the dearest on top, with the amount at its end; estimates are hatched.

    Raises:
        OptionError: there is no such column.
    """
    import numpy as np

    table = summarize(frame, by, running=running)
    names, billed_usd, estimated_usd, unknown = _bars(table, by)
    ours = ax is None
    ax = _axes(0.9 + 0.34 * max(len(names), 2) if names else 1) if ax is None else ax
    if not names:
        return _say(ax, _NOTHING)
    places = np.arange(len(names))
    known, guessed = np.nan_to_num(billed_usd), np.nan_to_num(estimated_usd)
    colours = [COLOURS[0] if place < MOST_BARS or len(table) == len(names) else OTHER for place in places]
    _dollar_axis(ax.xaxis, float((known + guessed).max()))
    ax.barh(places, known, height=0.62, color=colours)
    ax.barh(places, guessed, left=known, height=0.62, color="none", edgecolor=colours, hatch="////", linewidth=0)
    for place in places:
        words = _amount(billed_usd[place], estimated_usd[place], int(unknown[place]))
        _beside(ax, words, float(known[place] + guessed[place]), int(place), ours=ours)
    ax.set_yticks(places, [_short(name) for name in names], parse_math=False)
    ax.invert_yaxis()
    _style(ax, f"Spend by {by}: {total}", ours=ours)
    ax.tick_params(axis="y", length=0)
    return ax


def thin(x: Floats, y: Floats, limit: int = MOST_POINTS) -> Numbers:
    """Return the places of at most ``limit`` points that look like all of them; ``x`` rises.

    Of every equal stretch of ``x`` its first, last, lowest and highest point stay.
    """
    import numpy as np

    if len(x) <= limit:
        return np.arange(len(x))
    edges = np.linspace(x[0], x[-1], limit // 4 + 1)[:-1]
    firsts = np.unique(np.searchsorted(x, edges))
    ends = np.append(firsts[1:], len(x))
    stretches = [y[first:end] for first, end in zip(firsts, ends, strict=True)]
    lows = firsts + [stretch.argmin() for stretch in stretches]
    highs = firsts + [stretch.argmax() for stretch in stretches]
    return np.unique(np.concatenate([firsts, ends - 1, lows, highs]))


def dollars_text(amount_usd: float, step_usd: float) -> str:
    """Return an amount with as many decimals as tell it from one that is ``step_usd`` away."""
    digits = 0 if step_usd <= 0 else max(0, -math.floor(math.log10(step_usd) + 1e-9))
    if round(step_usd * 10**digits, 6) % 1:
        digits += 1  # steps of 2.5 or 0.025
    return f"${amount_usd:,.{2 if digits == 1 else digits}f}"


def _lines(frame: pd.DataFrame) -> list[tuple[str, str, Numbers, Floats]]:
    """Return name, colour, rows and known costs of each line: the dearest models, then all others together."""
    import numpy as np

    known = (~frame["cost_usd"].isna() & (frame["cost_source"] != "estimated")).to_numpy()
    rows = np.flatnonzero(known)
    usd = frame["cost_usd"].to_numpy()[rows]
    models = frame["model"].cat
    names = [*map(str, models.categories), "no model"]
    codes = models.codes.to_numpy().astype(np.int64)[rows] % len(names)  # -1, which is NA, becomes the last
    calls = np.bincount(codes, minlength=len(names))
    sums = np.bincount(codes, weights=usd, minlength=len(names))
    if calls[:-1].any() and not sums[-1]:
        calls[-1] = 0  # refused: no model ran, and nothing was billed
    ranked = [code for code in np.lexsort((np.arange(len(names)), -sums)) if calls[code]]
    shown = ranked if len(ranked) <= MOST_LINES + 1 else ranked[:MOST_LINES]
    lines = []
    for code, colour in zip(shown, (*COLOURS, OTHER), strict=False):
        own = codes == code
        lines.append((names[code], colour, rows[own], usd[own]))
    if len(shown) < len(ranked):
        own = np.isin(codes, ranked[MOST_LINES:])
        lines.append((f"{len(ranked) - MOST_LINES} others", OTHER, rows[own], usd[own]))
    return lines


def _steps(days: Floats, usd: Floats, last: float) -> tuple[Floats, Floats]:
    """Return a line from 0 at its first call to its sum at the end of the picture."""
    import numpy as np

    sums = np.rint(usd * PICO_PER_USD).cumsum() / PICO_PER_USD
    kept = thin(days, sums, MOST_POINTS - 2)
    return np.concatenate([days[:1], days[kept], [last]]), np.concatenate([[0.0], sums[kept], sums[-1:]])


def _days(started: pd.Series[Any]) -> Floats:
    """Return matplotlib's time."""
    from matplotlib import dates

    date2num: Callable[[Any], Floats] = dates.date2num
    return date2num(started.array.asi8.view("M8[us]"))


def _bars(table: pd.DataFrame, by: str) -> tuple[list[str], Floats, Floats, Numbers]:
    """Return names, billed and estimated dollars and unknown calls, of the dearest groups and the others' sum."""
    import numpy as np
    import pandas as pd

    names = [f"no {by}" if pd.isna(name) else str(name) for name in table.index]
    columns = [table[name].to_numpy() for name in ("cost_usd", "estimated_usd", "unknown_calls")]
    if len(names) > MOST_BARS + 1:
        rest = [column[MOST_BARS:] for column in columns]
        sums = [np.nan if np.isnan(part).all() else np.nansum(part) for part in rest]
        columns = [np.append(column[:MOST_BARS], part) for column, part in zip(columns, sums, strict=True)]
        names = [*names[:MOST_BARS], f"{len(names) - MOST_BARS} others"]
    return names, columns[0], columns[1], columns[2]


def _amount(billed_usd: float, estimated_usd: float, unknown_calls: int) -> str:
    """Return a bar's words: as a total's, without the dollars that nobody told."""
    total = Total(_exact(billed_usd), _exact(estimated_usd), unknown_calls)
    return (_beyond(total) if math.isnan(billed_usd) else "") or str(total)


def _beyond(total: Total) -> str:
    """Return what a total says after the billed money: nothing was billed that could be added up."""
    return str(total).partition(" + ")[2]


def _told(usd: Floats) -> str:
    return str(Total(_exact(float(usd.sum()))))


def _exact(usd: float) -> Decimal:
    return from_pico(0 if math.isnan(usd) else round(usd * PICO_PER_USD))


def _axes(height_in: float) -> Axes:
    # pyplot's figures, and only they, are shown once at the end of a cell, whatever the cell does with the axes.
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(_WIDTH_IN, height_in), layout="constrained")
    figure.patch.set_facecolor("none")
    ax.set_facecolor("none")
    return ax


def _legend(ax: Axes, *, ours: bool) -> None:
    # Beside the axes where the figure is ours and makes room for it; the user's figure may hold a neighbour there.
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02)} if ours else {"loc": "best"}
    legend = ax.legend(**place, frameon=False, handlelength=1.2, labelcolor="linecolor", fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)  # two dollar signs would be a formula


def _beside(ax: Axes, words: str, x: float, y: int, *, ours: bool) -> None:
    text = ax.annotate(
        words, (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, parse_math=False
    )
    if ours:
        text.set_color(Y_INK)


def _say(ax: Axes, sentence: str) -> Axes:
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, ha="center", va="center", transform=ax.transAxes, color=X_INK, parse_math=False)
    return ax


def _style(ax: Axes, title: str, *, ours: bool) -> None:
    words = ax.set_title(title, loc="left", parse_math=False, fontsize=11)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    if ours:  # axes of the user's keep the colours of their own figure
        words.set_color(X_INK)
        ax.spines["bottom"].set_color(X_INK)
        ax.tick_params(axis="x", colors=X_INK, labelsize=9)
        ax.tick_params(axis="y", colors=Y_INK, labelsize=9)


def _dollar_axis(axis: Any, most_usd: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    def label(amount_usd: float, _place: int | None) -> str:
        ticks = axis.get_majorticklocs()
        return dollars_text(amount_usd, float(ticks[1] - ticks[0]) if len(ticks) > 1 else amount_usd)

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]) if most_usd else FixedLocator([0.0]))
    axis.set_major_formatter(FuncFormatter(label))
    limit = axis.axes.set_ylim if axis.axis_name == "y" else axis.axes.set_xlim
    limit(0, most_usd * 1.05 or 1)
    axis.axes.grid(axis=axis.axis_name, color=OTHER, alpha=0.25, linewidth=0.8)
    axis.axes.set_axisbelow(True)


def _time_axis(ax: Axes) -> None:
    from dateutil.tz import tzlocal  # type: ignore[import-untyped]  # its stubs are a package of their own
    from matplotlib import dates

    mdates: Any = dates  # these classes have no types
    locator = mdates.AutoDateLocator(tz=tzlocal(), minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=tzlocal()))


def _short(name: str) -> str:
    half = _LONGEST_LABEL // 2
    return name if len(name) <= _LONGEST_LABEL else f"{name[: half - 1]}…{name[-half:]}"
