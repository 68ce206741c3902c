"""JSON as its standard has it: a name says one thing, every number is one, and every character is whole. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any


def load(text: str, *, parse_int: Callable[[str], int] = int) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is none; the message says why.
        RecursionError: it is nested too deeply.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite, parse_int=parse_int
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character (a lone surrogate)") from None
    return value


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:60]} is no number of JSON")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is said twice in one object")
    return found
