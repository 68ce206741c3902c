"""Spend over time: a line per model that rises with every call, and the budget above their sum. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...values import Total
from ..frame import PICO_PER_USD
from . import paper
from .budget import ALARM_SHARE, draw_budget, in_picture, share_text
from .models import shares

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MOST_POINTS = 2000
_SECOND = 1 / 86_400  # of a day, which is matplotlib's unit of time
_MINUTE = 60 * _SECOND
_LINE: Mapping[str, Any] = {"drawstyle": "steps-post", "clip_on": False, "solid_capstyle": "round"}
_END: Mapping[str, Any] = {"marker": "o", "markersize": 4, "markevery": [-1]}


def plot_over_time(
    frame: pd.DataFrame, total: Total, ax: Axes | None = None, *, budgets: Mapping[str, Decimal] | None = None
) -> Axes:
    """Draw what was billed, added up over time, one line per model; the title says what the lines leave out.

    Above them stand the budgets that hold for these rows, by name ("session", "total"), and what all models cost
    together, estimates included, for that is what a budget looks at.
    """
    ours = ax is None
    known = ~frame["cost_usd"].isna().to_numpy()
    lines = shares(frame, known & (frame["cost_source"] != "estimated").to_numpy())
    ax = paper.axes(3.6 if lines else 1) if ax is None else ax
    if not lines:
        return paper.say(ax, paper.why_nothing(frame, total))
    days, usd = _days(frame["started_at"]), frame["cost_usd"].to_numpy()
    last = max(float(days[-1]), float(days[0]) + _SECOND)
    most_usd = 0.0
    together = _steps(days[known], usd[known], last)
    if budgets and (len(lines) > 1 or known.sum() > len(lines[0].rows)):
        label = paper.entry("together", paper.told(float(usd[known].sum())))
        ax.plot(*together, **_LINE, **_END, color=paper.OTHER, linewidth=1.2, label=label)
        most_usd = float(together[1][-1])
    for line in lines:
        label = paper.entry(line.name, paper.told(float(usd[line.rows].sum())))
        x, y = _steps(days[line.rows], usd[line.rows], last)
        most_usd = max(most_usd, float(y[-1]))
        ax.plot(x, y, **_LINE, **_END, color=line.colour, linewidth=1.8, label=label)
    for name, limit_usd in (budgets or {}).items():
        most_usd = max(most_usd, _draw_budget(ax, together, name, limit_usd, at_least=bool(total.unknown_calls)))
    _time_axis(ax)
    free = max(0.0, _MINUTE - (last - float(days[0]))) / 2
    ax.set_xlim(float(days[0]) - free, last + free)
    paper.dollar_axis(ax.yaxis, most_usd)
    paper.style(ax, f"Spend over time: {total}", ours=ours)
    paper.legend(ax, ours=ours)
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


def _draw_budget(ax: Axes, together: tuple[Floats, Floats], name: str, limit_usd: Decimal, *, at_least: bool) -> float:
    """Draw a budget, and in red what all models spent past 80 % of it; return the highest dollar drawn."""
    x, y = together
    spent_usd, limit = float(y[-1]), float(limit_usd)
    state = share_text(spent_usd, limit_usd, at_least=at_least)
    draw_budget(ax, f"{name} budget", limit_usd, spent_usd, state)
    past = (y > 0) & (y >= ALARM_SHARE * limit)
    if past.any():
        x, y = x[past], y[past]
        ax.plot(x, y, **_LINE, color=paper.ALARM, linewidth=2.2, zorder=2.5)
        ax.plot(x[[0, -1]], y[[0, -1]], "o", color=paper.ALARM, markersize=4, clip_on=False, zorder=2.5)
    return limit if in_picture(limit_usd, spent_usd) else spent_usd


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


def _time_axis(ax: Axes) -> None:
    from dateutil.tz import tzlocal  # type: ignore[import-untyped]  # its stubs are a package of their own
    from matplotlib import dates

    mdates: Any = dates  # these classes have no types
    locator = mdates.AutoDateLocator(tz=tzlocal(), minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=tzlocal()))
