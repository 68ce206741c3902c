"""The catalogue as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from ..gateway.catalog import Catalog, Model

if TYPE_CHECKING:
    import pandas as pd

_PER_MILLION = 10**6


def models_frame(catalog: Catalog, query: str = "") -> pd.DataFrame:
    """Return the models whose id or name holds every word of ``query``, as the gateway lists them.

    Prices are dollars per million tokens, NaN where they are not known beforehand (routers). ``frame.attrs`` has
    the ``date`` and the ``source`` of the catalogue: live, on disk, or the bundled one.
    """
    import pandas as pd

    models = catalog.refresh()
    words = query.lower().split()
    found = [model for model in models.entries if all(word in f"{model.id} {model.name}".lower() for word in words)]
    frame = pd.DataFrame([_record(model) for model in found], columns=_COLUMNS).astype(_DTYPES)
    frame.attrs = {"date": models.date.date().isoformat(), "source": models.source}
    return frame


_DTYPES = {
    "id": "string",
    "name": "string",
    "context_tokens": "Int64",
    "max_completion_tokens": "Int64",
    "prompt_usd_per_million": "float64",
    "completion_usd_per_million": "float64",
    "input": "string",
    "output": "string",
    "tools": "bool",
    "expires": "string",
}
_COLUMNS = list(_DTYPES)


def _record(model: Model) -> tuple[object, ...]:
    return (
        model.id,
        model.name,
        model.context_tokens,
        model.max_completion_tokens,
        _per_million(model.prices.usd, "prompt"),
        _per_million(model.prices.usd, "completion"),
        " ".join(model.input_modalities),
        " ".join(model.output_modalities),
        "tools" in model.supported,
        model.expires,
    )


def _per_million(usd: Mapping[str, Decimal], name: str) -> float | None:
    price = usd.get(name)
    return None if price is None else float(price * _PER_MILLION)
