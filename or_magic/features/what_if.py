"""What the same tokens would have cost with another model, at its list prices. Pure.

Another model would count the same words a little differently, and answer at another length: it is a comparison of
prices, not a forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from ..gateway.catalog import Catalog, Model
from ..pricing import Prices, parse_prices
from ..values import EXACT, from_pico
from .frame import PICO_PER_USD

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Counts = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_KINDS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_BILLED = ("billed", "reconciled")


def known_model(catalog: Catalog, name: str) -> Model:
    """Return the model of the catalogue that goes by this name.

    Raises:
        OptionError: there is none; the message names the closest.
    """
    models = catalog.models()
    model = models.find(name)
    if model is None:
        near = models.closest(name)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise OptionError(f"The catalogue has no prices of {name!r}.{hint}")
    return model


def reprice(frame: pd.DataFrame, models: Sequence[Model], *, simulated: bool = False) -> pd.DataFrame:
    """Return one row per model, the cheapest first: what the frame's calls cost, and would have cost.

    ``would_usd`` takes tokens that came from a cache at the model's price for those, ``uncached_usd`` at its price of
    a prompt; both are NaN where a price is not known beforehand. Calls whose tokens or bill are not known are in none
    of the figures but ``unknown_calls``.
    """
    import numpy as np
    import pandas as pd

    source = frame["cost_source"].astype("object")
    known = frame[["prompt_tokens", "completion_tokens", "cost_usd"]].notna().all(axis=1)
    used: Mask = (known & source.isin(_BILLED)).to_numpy(dtype=bool)
    tokens = {name: frame[name].fillna(0).to_numpy(dtype=np.int64)[used] for name in _KINDS}
    pico = np.rint(frame["cost_usd"].to_numpy()[used] * PICO_PER_USD).astype(np.int64)
    cost_usd = from_pico(int(pico.sum()))
    unknown = int(
        (~used & (source != "none").to_numpy() & (frame["status"].astype("object") != "open").to_numpy()).sum()
    )
    rows = []
    for model in models:
        would_usd, uncached_usd = (_sum(model.prices, tokens, cached=cached) for cached in (True, False))
        rows.append(
            {
                "calls": int(used.sum()),
                "prompt_tokens": int(tokens["prompt_tokens"].sum()),
                "cached_tokens": int(tokens["cached_tokens"].sum()),
                "completion_tokens": int(tokens["completion_tokens"].sum()),
                "cost_usd": float(cost_usd),
                "would_usd": _float(would_usd),
                "uncached_usd": _float(uncached_usd),
                "difference_usd": _float(None if would_usd is None else EXACT.subtract(would_usd, cost_usd)),
                "unknown_calls": unknown,
                "simulated": simulated,
            }
        )
    index = pd.Index([model.id for model in models], name="model", dtype="str")
    return pd.DataFrame(rows, index=index).sort_values("would_usd", kind="stable")


def _sum(prices: Prices, tokens: dict[str, Counts], *, cached: bool) -> Decimal | None:
    """Return the exact sum: prices change at a few sizes of a prompt, so that only sums are multiplied."""
    import numpy as np

    if not prices.known():
        return None
    steps = sorted(_steps(prices))
    tier = np.searchsorted(np.array(steps), tokens["prompt_tokens"], side="left") if steps else 0
    tier = np.zeros(len(tokens["prompt_tokens"]), np.int64) + tier
    total = Decimal(0)
    for number in np.unique(tier):
        inside = tier == number
        usd = prices.of(0 if number == 0 else steps[number - 1] + 1)
        if usd is None:
            return None
        sums = {name: int(counts[inside].sum()) for name, counts in tokens.items()}
        total = EXACT.add(total, _cost(usd, sums, int(inside.sum()), cached=cached))
    return total


def _steps(prices: Prices) -> set[int]:
    """Return the sizes of a prompt beyond which other prices hold."""
    told = [parse_prices({"step": override.get("min_prompt_tokens")}).usd.get("step") for override in prices.overrides]
    return {int(step) for step in told if step is not None}


def _cost(usd: Any, sums: dict[str, int], calls: int, *, cached: bool) -> Decimal:
    read, written = (sums["cached_tokens"], sums["cache_write_tokens"]) if cached else (0, 0)
    thought = sums["reasoning_tokens"]
    with localcontext(EXACT):
        answer_usd = usd["completion"] * (sums["completion_tokens"] - thought)
        return Decimal(
            usd["prompt"] * (sums["prompt_tokens"] - read - written)
            + usd.get("input_cache_read", usd["prompt"]) * read
            + usd.get("input_cache_write", usd["prompt"]) * written
            + answer_usd
            + usd.get("internal_reasoning", usd["completion"]) * thought
            + usd.get("request", Decimal(0)) * calls
        )


def _float(amount_usd: Decimal | None) -> float:
    return float("nan") if amount_usd is None else float(amount_usd)
