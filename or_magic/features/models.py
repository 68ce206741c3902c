"""The catalogue as a DataFrame, whole or by what the models can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..budget import parse_usd
from ..errors import OptionError
from ..gateway.catalog import Catalog, Model, Models
from ..options import closest

if TYPE_CHECKING:
    import pandas as pd

_PER_MILLION = 10**6
_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([kM]?)", re.IGNORECASE)


class Filters(TypedDict, total=False):
    """The keywords of ``models``; see ``or_magic.models``."""

    text: bool
    vision: bool
    audio: bool
    video: bool
    files: bool
    pictures: bool
    tools: bool
    structured: bool
    reasoning: bool
    free: bool
    context: int | str
    max_price: Decimal | float | str


# Flags as on the line of ``%or models``; what they tell is shown in its help and completion.
ABILITIES: Mapping[str, Callable[[Model], bool]] = {
    "text": lambda model: set(model.output_modalities) <= {"text"},
    "vision": lambda model: "image" in model.input_modalities,
    "audio": lambda model: "audio" in model.input_modalities,
    "video": lambda model: "video" in model.input_modalities,
    "files": lambda model: "file" in model.input_modalities,
    "pictures": lambda model: "image" in model.output_modalities,
    "tools": lambda model: "tools" in model.supported,
    "structured": lambda model: "structured_outputs" in model.supported,
    "reasoning": lambda model: "reasoning" in model.supported,
    "free": lambda model: model.is_free,
}


def models_frame(catalog: Catalog, query: str = "", **filters: Unpack[Filters]) -> pd.DataFrame:
    """Return the models whose id or name holds every word of ``query``, as the gateway lists them.

    Prices are dollars per million tokens, NaN where they are not known beforehand (routers). ``frame.attrs`` has
    the ``date`` and the ``source`` of the catalogue: live, on disk, or the bundled one.

    Raises:
        OptionError: a filter is unknown or wrong.
    """
    import pandas as pd

    if not isinstance(query, str):
        raise OptionError(f"query={query!r:.60} is not a text of words to find.")
    models = catalog.refresh()
    found = _found(models, query, filters)
    frame = pd.DataFrame([_record(model) for model in found], columns=_COLUMNS).astype(_DTYPES)
    frame.attrs = {"date": models.date.date().isoformat(), "source": models.source}
    return frame


def why_none(models: Models, query: str, filters: Filters) -> str:
    """Return one line on what left no model, and what would be found without it."""
    said = {name: value for name, value in filters.items() if value is not None}
    if not _found(models, query, {}):
        flags = " ".join([f"--{word}" for word in query.lower().split() if word in ABILITIES])
        near = flags or " or ".join(models.closest(query))
        return f"No model's name has {query!r} in it." + (f" Did you mean {near}?" if near else "")
    without = {name: _found(models, query, {**said, name: None}) for name in said}
    if not any(without.values()):  # what was looked for by name is given up last
        without = {"": _found(models, "", said)}
    best = max(without, key=lambda name: len(without[name]), default="")
    if not without.get(best):
        return "No model does all of that, and leaving out one filter helps nothing: leave out two."
    flag = f"--{best.replace('_', '-')}" + (f" {said[best]}" if not isinstance(said.get(best, True), bool) else "")
    hits, name = without[best], flag if best else repr(query)
    told = ", ".join([model.id for model in hits[:3]]) + ", …" * (len(hits) > 3)
    return f"No model matches. Without {name} there {_are(len(hits))}: {told}"


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


def _found(models: Models, query: str, filters: Mapping[str, Any]) -> list[Model]:
    tests = [_test(name, value) for name, value in filters.items() if value is not None]
    words = query.lower().split()
    named = [model for model in models.entries if all(word in f"{model.id} {model.name}".lower() for word in words)]
    return [model for model in named if all(test(model) for test in tests)]


def _test(name: str, value: Any) -> Callable[[Model], bool]:
    if name in ABILITIES:
        if not isinstance(value, bool):
            raise OptionError(f"{name}={value!r} is not True or False.")
        return lambda model: ABILITIES[name](model) is value
    if name == "context":
        tokens = parse_tokens(value)
        return lambda model: (model.context_tokens or 0) >= tokens
    if name == "max_price":
        return _within(value)
    raise OptionError(f"{name!r} is nothing to choose models by.{closest(name, list(Filters.__annotations__))}")


def parse_tokens(value: object) -> int:
    """Return a number of tokens, also from 200k or 1M.

    Raises:
        OptionError: it is none.
    """
    found = _TOKENS.fullmatch(str(value).replace("_", ""))
    if found is None or isinstance(value, bool):
        raise OptionError(f"context={value!r} is no number of tokens, such as 200000 or 200k.")
    return int(Decimal(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()])


def _within(value: Any) -> Callable[[Model], bool]:
    try:
        limit = parse_usd(value)
    except ValueError as error:
        raise OptionError(f"max_price: {error}.") from None
    if limit is None:
        return lambda _: True
    most = limit / _PER_MILLION
    return lambda model: model.prices.known() and max(model.prices.usd[n] for n in ("prompt", "completion")) <= most


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
    "structured": "bool",
    "reasoning": "bool",
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
        *[ABILITIES[name](model) for name in ("tools", "structured", "reasoning")],
        model.expires,
    )


def _per_million(usd: Mapping[str, Decimal], name: str) -> float | None:
    price = usd.get(name)
    return None if price is None else float(price * _PER_MILLION)
