"""What all pictures share: a figure without background, inks, axes of dollars, legends and short words. Pure.

A notebook's page may be white or nearly black and a picture does not know which, so its background is transparent
and every colour stands out from both (contrast ≥ 3.4).
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...values import Total, dollars, from_pico
from ..frame import PICO_PER_USD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = ("#3b82f6", "#d96a10", "#16934a", "#d9468f", "#8b5cf6", "#0e8fa8", "#a37a00")
OTHER = "#808080"
ALARM = "#dc3d43"
# JupyterLab lays a white plate under a transparent picture whose tick labels are all dark, or all light, by its
# measure. These two greys look alike and lie on either side of it.
X_INK, Y_INK = "#7a7a7a", "#828282"
_WIDTH_IN = 8.6
_LONGEST_LABEL = 40
_LONGEST_IN_LEGEND = 30
NOTHING = "No calls to plot yet."


def axes(height_in: float) -> Axes:
    """Return the axes of a new figure."""
    # pyplot's figures, and only they, are shown once at the end of a cell, whatever the cell does with the axes.
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(_WIDTH_IN, height_in), layout="constrained")
    figure.patch.set_facecolor("none")
    ax.set_facecolor("none")
    return ax


def style(ax: Axes, title: str, *, ours: bool) -> None:
    """Give the axes their title; axes of the user's keep the colours of their own figure."""
    words = ax.set_title(title, loc="left", parse_math=False, fontsize=11)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    if ours:
        words.set_color(X_INK)
        ax.spines["bottom"].set_color(X_INK)
        ax.tick_params(axis="x", which="both", colors=X_INK, labelsize=9)
        ax.tick_params(axis="y", colors=Y_INK, labelsize=9)


def legend(ax: Axes, *, ours: bool) -> None:
    """Name what is drawn: beside our axes, below the user's if their figure makes room for it, else in them."""
    from matplotlib.colors import to_rgb

    place: dict[str, Any] = {"loc": "best", "fontsize": 8}
    if ours:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02), "fontsize": 9}
    elif ax.figure.get_layout_engine() is not None:
        place |= {"loc": "upper left", "bbox_to_anchor": (0, 0), "borderaxespad": 4}
    drawn = ax.legend(**place, frameon=False, handlelength=1.2, labelcolor="linecolor")
    for text in drawn.get_texts():
        text.set_parse_math(False)  # two dollar signs would be a formula
        text.set_color(to_rgb(text.get_color()))  # what is hatched is drawn pale


def caption(ax: Axes, words: str, *, ours: bool) -> None:
    """Write below the axes how to read them."""
    text = ax.set_xlabel(words, loc="left", fontsize=9, labelpad=6, parse_math=False)
    if ours:
        text.set_color(X_INK)


def hatched(colours: Any) -> dict[str, Any]:
    """Return the look of what is estimated."""
    from matplotlib.colors import to_rgba_array

    look: Any = to_rgba_array(colours)
    return {"facecolor": look * (1, 1, 1, 0.22), "edgecolor": look, "hatch": "////", "linewidth": 0}


def say(ax: Axes, sentence: str) -> Axes:
    """Write a sentence where there is nothing to draw."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, sentence, ha="center", va="center", transform=ax.transAxes, color=X_INK, parse_math=False)
    return ax


def why_nothing(frame: pd.DataFrame, total: Total) -> str:
    """Return why no money can be drawn."""
    if frame.empty:
        return NOTHING
    if missing := beyond(total):
        return f"No cost is known yet: {missing}."
    if (frame["status"] == "open").any():
        return "No cost is known yet: the calls are running."
    calls = "1 call" if len(frame) == 1 else f"{len(frame):,} calls"
    return f"No model ran, and nothing was billed: {calls}."


def beyond(total: Total) -> str:
    """Return what a total says after the billed money: nothing was billed that could be added up."""
    return str(total).partition(" + ")[2]


def exact(usd: float) -> Decimal:
    """Return money that was added up for a picture, to the pico-dollar."""
    return from_pico(0 if math.isnan(usd) else round(usd * PICO_PER_USD))


def told(usd: float) -> str:
    """Return an amount for a legend or a label."""
    return dollars(exact(usd), digits=4)


def short(name: str, longest: int = _LONGEST_LABEL) -> str:
    """Return a name without its middle where it is long: beginning and end tell it from others."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def entry(name: str, words: str) -> str:
    """Return a line of a legend."""
    return f"{short(name, _LONGEST_IN_LEGEND)}  {words}"


def dollars_text(amount_usd: float, step_usd: float) -> str:
    """Return an amount with as many decimals as tell it from one that is ``step_usd`` away."""
    digits = 0 if step_usd <= 0 else max(0, -math.floor(math.log10(step_usd) + 1e-9))
    if round(step_usd * 10**digits, 6) % 1:
        digits += 1  # steps of 2.5 or 0.025
    return f"${amount_usd:,.{2 if digits == 1 else digits}f}"


def dollar_axis(axis: Any, most_usd: float) -> None:
    """Let an axis reach from 0 to a little more than ``most_usd``."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    def label(amount_usd: float, _place: int | None) -> str:
        ticks = axis.get_majorticklocs()
        return dollars_text(amount_usd, float(ticks[1] - ticks[0]) if len(ticks) > 1 else amount_usd)

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]) if most_usd else FixedLocator([0.0]))
    axis.set_major_formatter(FuncFormatter(label))
    limit = axis.axes.set_ylim if axis.axis_name == "y" else axis.axes.set_xlim
    limit(0, most_usd * 1.05 or 1)
    grid(axis)


def grid(axis: Any) -> None:
    """Draw quiet lines at the ticks, behind everything."""
    axis.axes.grid(axis=axis.axis_name, color=OTHER, alpha=0.25, linewidth=0.8)
    axis.axes.set_axisbelow(True)
