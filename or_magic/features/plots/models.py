"""Which models a picture shows, in which colours: the dearest, then all others together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..groups import column
from .paper import COLOURS, OTHER

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Numbers = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

MOST_MODELS = 7


@dataclass(frozen=True, slots=True)
class Share:
    """Rows of the frame that are drawn as one."""

    name: str
    colour: str
    rows: Numbers


def shares(frame: pd.DataFrame, wanted: Mask) -> list[Share]:
    """Return the wanted rows, whose cost is known, by model, the dearest first.

    Rows that no model answered, and that cost nothing, are in none: no model ran.
    """
    import numpy as np

    cost_usd = frame["cost_usd"].to_numpy()
    ran = (frame["model"].cat.codes.to_numpy() >= 0) | (cost_usd > 0)
    rows = np.flatnonzero(wanted & ran)
    models = column(frame, "model").cat
    names = [*map(str, models.categories), "no model"]
    codes = models.codes.to_numpy().astype(np.int64)[rows] % len(names)  # -1, which is NA, becomes the last
    calls = np.bincount(codes, minlength=len(names))
    sums = np.bincount(codes, weights=cost_usd[rows], minlength=len(names))
    ranked = [code for code in np.lexsort((np.arange(len(names)), -sums)) if calls[code]]
    shown = ranked if len(ranked) <= MOST_MODELS + 1 else ranked[:MOST_MODELS]
    found = [
        Share(names[code], colour, rows[codes == code]) for code, colour in zip(shown, (*COLOURS, OTHER), strict=False)
    ]
    if len(shown) < len(ranked):
        others = np.isin(codes, ranked[MOST_MODELS:])
        found.append(Share(f"{len(ranked) - MOST_MODELS} others", OTHER, rows[others]))
    return found
