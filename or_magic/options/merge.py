"""Two sets of options become one: the later word wins, whether it was said as an option or as a field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Path = tuple[str, ...]

# The field of the request that an option writes (engine/compose.py): -t 0 wins over an earlier -p temperature=1.
FIELDS: Mapping[str, tuple[Path, ...]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "max_tokens": (("max_tokens",),),
    "seed": (("seed",),),
    "stop": (("stop",),),
    "reasoning": (("reasoning", "effort"), ("reasoning", "max_tokens")),
    "provider": (("provider", "only"),),
    "sort": (("provider", "sort"),),
    "zdr": (("provider", "zdr"),),
    "fallback": (("models",),),
}


def merged(params: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, nested ones put together; ``later`` wins."""
    both = dict(params)
    for name, value in later.items():
        mine = both.get(name)
        both[name] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return both


def says(params: Mapping[str, Any], path: Path) -> bool:
    """Whether ``params`` have a value at ``path``."""
    name, *rest = path
    inner = params.get(name)
    return name in params and (not rest or (isinstance(inner, Mapping) and says(inner, tuple(rest))))


def without(params: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return ``params`` without what stands at ``path``, nor what is empty by that."""
    if not says(params, path):
        return params
    name, *rest = path
    left = without(params[name], tuple(rest)) if rest else {}
    others = {key: value for key, value in params.items() if key != name}
    return {**others, name: left} if left else others
