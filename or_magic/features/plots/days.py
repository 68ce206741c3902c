"""Spend by day of the user's calendar: stacked by model, estimates hatched, days without calls left free. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...values import Total
from ..frame import PICO_PER_USD
from ..groups import local_days
from ..summary import money
from . import paper
from .budget import ALARM_SHARE, draw_budget, in_picture
from .models import Share, shares

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_EPOCH = date(1970, 1, 1).toordinal()  # where matplotlib's days begin
_FEW_DAYS = 10  # as many have room for a label each
_FEWEST_SLOTS = 7  # a single day is a bar among free places, not a wall


@dataclass(frozen=True, slots=True)
class _Days:
    """Consecutive days, the day of every row, and pico-dollars and unknown calls of every row."""

    dates: list[date]
    codes: Numbers
    billed: Floats
    estimated: Floats
    unknown: npt.NDArray[np.bool_]

    def sums(self, pico: Floats, rows: Numbers) -> Floats:
        """Return dollars of every day."""
        import numpy as np

        return np.bincount(self.codes[rows], np.nan_to_num(pico[rows]), len(self.dates)) / PICO_PER_USD


def plot_days(
    frame: pd.DataFrame,
    total: Total,
    ax: Axes | None = None,
    *,
    budgets: Mapping[str, Decimal] | None = None,
    whole: bool = True,
    running: str | None = None,
) -> Axes:
    """Draw a bar per calendar day, stacked by model, the dearest at the bottom; "?" marks days of unknown calls.

    The budget "day" is a dashed line, and a bar past 80 % of it ends in red. It counts all sessions: ``whole`` says
    whether ``frame`` does so too.
    """
    import numpy as np

    ours = ax is None
    found = shares(frame, ~frame["cost_usd"].isna().to_numpy())
    ax = paper.axes(3.6 if found else 1) if ax is None else ax
    if not found:
        return paper.say(ax, paper.why_nothing(frame, total))
    codes, dates = local_days(frame["started_at"])
    days = _Days(dates, codes, *money(frame, running))
    x = np.arange(len(dates), dtype=np.float64) + (dates[0].toordinal() - _EPOCH)
    width = 0.72 if len(dates) <= 62 else 0.9
    tops = _stack(ax, days, found, x, width)
    most_usd = _budget(ax, tops, x, width, (budgets or {}).get("day"), whole=whole)
    _marks(ax, days, x, tops, ours=ours)
    _day_axis(ax, dates, x)
    paper.dollar_axis(ax.yaxis, most_usd)
    if days.unknown.any():
        ax.set_ylim(0, most_usd * 1.12 or 1)  # room for the "?" above the highest
    paper.style(ax, f"Spend by day: {total}", ours=ours)
    paper.legend(ax, ours=ours)
    return ax


def _stack(ax: Axes, days: _Days, found: list[Share], x: Floats, width: float) -> Floats:
    """Draw the models' parts on each other, and return where the bars end."""
    import numpy as np

    tops = np.zeros(len(x))
    for share in found:
        billed, estimated = (days.sums(pico, share.rows) for pico in (days.billed, days.estimated))
        words = " + ".join(
            [paper.told(billed.sum())] * bool(billed.any() or not estimated.any())
            + [f"~{paper.told(estimated.sum())}"] * bool(estimated.any())
        )
        label = paper.entry(share.name, words)
        _parts(ax, x, tops, tops + billed, width, facecolor=share.colour, linewidth=0, label=label)
        tops = tops + billed
        if estimated.any():
            _parts(ax, x, tops, tops + estimated, width, **paper.hatched(share.colour))
            tops = tops + estimated
    if not np.isnan(days.estimated).all():
        nobody = np.zeros(len(x))
        _parts(ax, x, nobody, nobody, width, **paper.hatched(paper.OTHER), label="estimated")
    return tops


def _parts(ax: Axes, x: Floats, bottoms: Floats, tops: Floats, width: float, **look: Any) -> None:
    """Draw a rectangle per day, all in one artist: years of days would take seconds otherwise."""
    import numpy as np
    from matplotlib.collections import PolyCollection

    there = tops > bottoms
    left, right = x[there] - width / 2, x[there] + width / 2
    low, high = bottoms[there], tops[there]
    corners = np.stack([left, low, left, high, right, high, right, low], axis=1).reshape(-1, 4, 2)
    ax.add_collection(PolyCollection(list(corners), **look), autolim=False)


def _budget(ax: Axes, tops: Floats, x: Floats, width: float, limit_usd: Decimal | None, *, whole: bool) -> float:
    """Draw the day's budget, if there is one, and return the highest dollar of the picture."""
    most_usd = float(tops.max())
    if limit_usd is None:
        return most_usd
    past = (tops > 0) & (tops >= ALARM_SHARE * float(limit_usd))
    over = int((tops > float(limit_usd)).sum())
    state = " · ".join([f"{over} over"] * bool(over) + [f"{past.sum() - over} past 80 %"] * bool(past.sum() - over))
    draw_budget(ax, "day budget" if whole else "day budget (all sessions)", limit_usd, most_usd, state)
    ax.hlines(tops[past], x[past] - width / 2, x[past] + width / 2, color=paper.ALARM, linewidth=3)
    return max(most_usd, float(limit_usd)) if in_picture(limit_usd, most_usd) else most_usd


def _marks(ax: Axes, days: _Days, x: Floats, tops: Floats, *, ours: bool) -> None:
    """Put a "?" above the days of which something is unknown."""
    import numpy as np
    from matplotlib.transforms import ScaledTranslation

    calls = int(days.unknown.sum())
    if not calls:
        return
    there = np.bincount(days.codes[days.unknown], minlength=len(x)) > 0
    ax.plot(
        x[there],
        tops[there],
        transform=ax.transData + ScaledTranslation(0, 7 / 72, ax.figure.dpi_scale_trans),
        linestyle="none",
        marker="$?$",
        markersize=6 if len(x) <= 62 else 4,
        color=paper.Y_INK if ours else paper.OTHER,
        label=f"{calls:,} {'call' if calls == 1 else 'calls'} of unknown cost",
        clip_on=False,
    )


def _day_axis(ax: Axes, dates: list[date], x: Floats) -> None:
    from datetime import UTC

    from matplotlib import dates as scale
    from matplotlib.ticker import FixedFormatter, FixedLocator

    free = max(0, _FEWEST_SLOTS - len(dates)) / 2
    ax.set_xlim(x[0] - 0.6 - free, x[-1] + 0.6 + free)
    if len(dates) <= _FEW_DAYS:
        ax.xaxis.set_major_locator(FixedLocator(list(x)))
        ax.xaxis.set_major_formatter(FixedFormatter([f"{day.day} {day:%b}" for day in dates]))
        ax.tick_params(axis="x", length=0)
        return
    mdates: Any = scale  # these classes have no types
    locator = mdates.AutoDateLocator(tz=UTC, minticks=3, maxticks=9)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, tz=UTC))
