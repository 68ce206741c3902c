"""What a model's past calls say about our estimates of its prompts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .text import Range

Pair = tuple[int, int]  # estimated, counted by the gateway

_LONG = 200  # tokens; in shorter prompts what a provider adds of its own outweighs the text
_FAITH = 4.0  # as many pairs as weigh as much as the model of all models
_MOST_RATIO, _MOST_ADDED = 2.0, 2_000.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model counts: ``ratio`` times our estimate, and ``added`` tokens a call. It never touches a bound."""

    ratio: float = 1.0
    added: float = 0.0
    pairs: int = 0

    def __call__(self, tokens: Range) -> Range:
        """Return the estimate as this model would count it."""
        figures = (tokens.low, tokens.likely, tokens.high)
        # What was added to calls of another kind, as less than nothing to those with a schema, leaves half at least.
        low, likely, high = (
            max(round(figure / _MOST_RATIO), round(figure * self.ratio + self.added)) for figure in figures
        )
        return Range(low, likely, high)

    def share(self, tokens: Range) -> float:
        """Return what each estimated token of a part of that prompt counts: its parts are no more than the whole."""
        return min(self.ratio, self(tokens).likely / max(1, tokens.likely))


def calibrate(pairs: Iterable[Pair]) -> Calibration:
    """Return what the pairs say: medians, so that a few odd calls change nothing, drawn to 1 and 0 where few tell."""
    told = [(estimated, counted) for estimated, counted in pairs if estimated > 0 and counted > 0]
    long = [counted / estimated for estimated, counted in told if estimated >= _LONG]
    ratio = _drawn(math.log(median(long)), len(long)) if long else 0.0
    ratio = math.exp(min(math.log(_MOST_RATIO), max(-math.log(_MOST_RATIO), ratio)))
    short = [counted - estimated * ratio for estimated, counted in told if estimated < _LONG]
    added = _drawn(median(short), len(short)) if short else 0.0
    return Calibration(ratio, min(_MOST_ADDED, max(-float(_LONG), added)), len(told))


def _drawn(found: float, count: int) -> float:
    return found * count / (count + _FAITH)
