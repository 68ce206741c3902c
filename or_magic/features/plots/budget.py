"""A budget as a dashed line, and what is past 80 % of it in the colour of an alarm. Pure."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from ...budget import ALERT, amount
from .paper import ALARM, OTHER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALARM_SHARE = float(ALERT)
_FARTHEST = 2.5  # a budget farther away than so many times the spend would press the spend flat


def in_picture(limit_usd: Decimal, most_usd: float) -> bool:
    """Whether the line of a budget fits above a spend without pressing it flat."""
    return float(limit_usd) <= most_usd * _FARTHEST


def draw_budget(ax: Axes, name: str, limit_usd: Decimal, most_usd: float, state: str) -> None:
    """Draw the line, and say its amount and ``state``; where it lies above the picture an arrow says so."""
    limit, alarming = float(limit_usd), 0 < most_usd >= ALARM_SHARE * float(limit_usd)
    there = in_picture(limit_usd, most_usd)
    ax.plot(
        [0, 1],
        [limit, limit] if there else [float("nan")] * 2,
        transform=ax.get_yaxis_transform(),
        linestyle=(0, (2.6, 2)),
        linewidth=1.3,
        color=ALARM if alarming else OTHER,
        label=f"{name}  {amount(limit_usd)}{'' if there else ' ↑'}  {state}".rstrip(),
        zorder=1.9,
    )


def share_text(spent_usd: float, limit_usd: Decimal, *, at_least: bool) -> str:
    """Return how much of a budget is spent; ``at_least`` where calls of unknown cost are missing."""
    share = 100 * spent_usd / float(limit_usd) if limit_usd else 100.0
    if at_least:
        return f"≥ {math.floor(share):,} % spent"
    return f"{'< 1' if 0 < share < 1 else format(math.floor(share), ',')} % spent"  # 100 % is when it is
