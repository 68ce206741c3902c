"""Spend by a column: a bar per value, the dearest on top. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...values import Total
from ..summary import summarize
from . import paper

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    Numbers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

MOST_BARS = 15
_WHO_RAN = ("model", "provider")


def plot_by(frame: pd.DataFrame, by: str, total: Total, ax: Axes | None = None, *, running: str | None = None) -> Axes:
    """Draw a bar per value of a column, the dearest on top, with the amount at its end; estimates are hatched.

    Raises:
        OptionError: there is no such column.
    """
    import numpy as np

    table = summarize(frame, by, running=running)
    if by in _WHO_RAN:
        table = _without_refused(table)
    names, billed_usd, estimated_usd, unknown = _bars(table, by)
    ours = ax is None
    ax = paper.axes(0.9 + 0.34 * max(len(names), 2) if names else 1) if ax is None else ax
    if not names:
        return paper.say(ax, paper.why_nothing(frame, total))
    places = np.arange(len(names))
    known, guessed = np.nan_to_num(billed_usd), np.nan_to_num(estimated_usd)
    colours = [paper.COLOURS[0] if place < MOST_BARS or len(table) == len(names) else paper.OTHER for place in places]
    paper.dollar_axis(ax.xaxis, float((known + guessed).max()))
    ax.barh(places, known, height=0.62, color=colours)
    ax.barh(places, guessed, left=known, height=0.62, **paper.hatched(colours))
    for place in places:
        words = _amount(billed_usd[place], estimated_usd[place], int(unknown[place]))
        _beside(ax, words, float(known[place] + guessed[place]), int(place), ours=ours)
    ax.set_yticks(places, [paper.short(name) for name in names], parse_math=False)
    middle, half = (len(names) - 1) / 2, max(len(names), 2) / 2  # a single bar is a bar, not a wall
    ax.set_ylim(middle + half, middle - half)
    paper.style(ax, f"Spend by {by}: {total}", ours=ours)
    ax.tick_params(axis="y", length=0)
    if by == "cell":
        paper.caption(ax, "notebook · number in the order of asking · beginning of the cell's id", ours=ours)
    return ax


def _without_refused(table: pd.DataFrame) -> pd.DataFrame:
    """Return the groups but those where nobody ran: no answer, no tokens, nothing spent."""
    spent = table[["cost_usd", "estimated_usd", "unknown_calls"]].fillna(0).any(axis=1)
    return table[spent | (table["success_rate"] > 0) | table["total_tokens"].notna()]


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
    total = Total(paper.exact(billed_usd), paper.exact(estimated_usd), unknown_calls)
    return (paper.beyond(total) if math.isnan(billed_usd) else "") or str(total)


def _beside(ax: Axes, words: str, x: float, y: int, *, ours: bool) -> None:
    text = ax.annotate(
        words, (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, parse_math=False
    )
    if ours:
        text.set_color(paper.Y_INK)
