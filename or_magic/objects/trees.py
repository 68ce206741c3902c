"""Dicts, lists, dataclasses and models as JSON; large ones with fewer items, and notes of what is missing. Pure."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, MappingView
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from .bound import cut, tokens_of
from .columns import shown

_LINE = 100  # characters; what fits into one line is not broken
_STEPS = ((None, None, 30), (200, 4_000, 20), (50, 1_000, 12), (20, 300, 8), (8, 120, 6), (4, 60, 4), (3, 40, 3))
_LEAF = 200  # characters of what is no JSON
_ARRAY = 1_000  # numbers of an array


class _TooMuchError(Exception):
    """More values than may be shown."""


def is_tree(thing: object) -> bool:
    """Whether it is written as JSON."""
    return isinstance(thing, (Mapping, MappingView, list, tuple, AbstractSet, deque)) or _fields(thing) is not None


def tree_text(thing: Any, tokens: int) -> str:
    """Return JSON of about so many tokens: first whole, then with ever fewer items and shorter texts."""
    for items, characters, depth in _STEPS:
        try:
            text = _written(_Copier(items, characters, 2 * tokens).copy(thing, depth), "")
        except _TooMuchError:
            continue
        if tokens_of(text) <= tokens:
            return text
    items, characters, depth = _STEPS[-1]
    return cut(_written(_Copier(items, characters, 10_000).copy(thing, depth), ""), tokens)


class _Copier:
    """Makes what ``json`` writes out of anything, within limits; what stands inside itself is named, not followed."""

    def __init__(self, items: int | None, characters: int | None, values: int) -> None:
        self._items = items
        self._characters = characters
        self._left = values
        self._above: set[int] = set()

    def copy(self, thing: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooMuchError
        if not is_tree(thing):
            return self._leaf(thing, depth)
        if id(thing) in self._above:
            return f"<{type(thing).__name__} that this stands in>"
        if depth <= 0:
            return f"<{type(thing).__name__}>"
        self._above.add(id(thing))
        try:
            return self._container(thing, depth - 1)
        finally:
            self._above.discard(id(thing))

    def _container(self, thing: Any, depth: int) -> Any:
        named = thing if isinstance(thing, Mapping) else _fields(thing)
        if named is not None:
            pairs = list(islice(named.items(), self._items))
            told = {self._text(_name(key)): self.copy(value, depth) for key, value in pairs}
            if (left := len(named) - len(pairs)) > 0:
                told["…"] = f"{left:,} more"
            return told
        found: Iterable[Any] = thing
        if isinstance(thing, (set, frozenset)) and len(thing) <= 10_000:  # the order of a set changes from run to run
            found = sorted(thing, key=lambda value: (type(value).__name__, repr(value)))
        items = [self.copy(value, depth) for value in islice(found, self._items)]
        left = len(thing) - len(items)
        return [*items, f"… {left:,} more"] if left > 0 else items

    def _text(self, text: str) -> str:
        text = str.__str__(text)
        if self._characters is None or len(text) <= self._characters:
            return text
        return f"{text[: self._characters]}… ({len(text) - self._characters:,} more characters)"

    def _leaf(self, thing: Any, depth: int) -> Any:
        if isinstance(thing, enum.Enum):
            return self.copy(thing.value, depth)
        if isinstance(thing, str):
            return self._text(thing)
        if isinstance(thing, float):
            return float(thing) if math.isfinite(thing) else str(float(thing))  # JSON has no NaN and no infinity
        if thing is None or isinstance(thing, int):
            return thing if thing is None or isinstance(thing, bool) else int(thing)
        return self._other(thing, depth)

    def _other(self, thing: Any, depth: int) -> Any:
        if isinstance(thing, (bytes, bytearray, memoryview)):
            return f"<{len(thing):,} bytes>"
        kind = getattr(getattr(thing, "dtype", None), "kind", None)
        if kind in ("b", "i", "u", "f") and hasattr(thing, "tolist") and thing.size <= _ARRAY:
            return self.copy(thing.tolist(), depth)  # a number of numpy's, or a short array
        return shown(thing, _LEAF, quoted=False) or str(thing)


def _name(key: object) -> str:
    return key if isinstance(key, str) else str(key)


def _fields(thing: object) -> Mapping[str, Any] | None:
    """Return the named fields of a record, without those that its author hides from its repr."""
    if isinstance(thing, type):
        return None
    if dataclasses.is_dataclass(thing):
        return {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing) if f.repr and hasattr(thing, f.name)}
    declared = getattr(type(thing), "__pydantic_fields__", None)
    if isinstance(declared, dict):
        return {name: getattr(thing, name) for name, field in declared.items() if field.repr and hasattr(thing, name)}
    if isinstance(thing, tuple) and isinstance(names := getattr(type(thing), "_fields", None), tuple):
        return dict(zip(names, thing, strict=False))
    return None


def _written(value: Any, indent: str) -> str:
    """Return JSON that is broken into lines only where one would be too long."""
    compact = json.dumps(value, ensure_ascii=False)
    if len(compact) + len(indent) <= _LINE or not isinstance(value, (dict, list)) or not value:
        return compact
    inner = f"{indent}  "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {_written(each, inner)}" for key, each in value.items()]
        return f",\n{inner}".join(lines).join((f"{{\n{inner}", f"\n{indent}}}"))
    if any(isinstance(each, (dict, list)) for each in value):
        return f",\n{inner}".join([_written(each, inner) for each in value]).join((f"[\n{inner}", f"\n{indent}]"))
    return f",\n{inner}".join(_filled(value, _LINE - len(inner))).join((f"[\n{inner}", f"\n{indent}]"))


def _filled(values: list[Any], width: int) -> Iterator[str]:
    """Yield numbers and short texts, as many in a line as there is room for."""
    line: list[str] = []
    used = 0
    for value in values:
        told = json.dumps(value, ensure_ascii=False)
        if line and used + len(told) > width:
            yield ", ".join(line)
            line, used = [], 0
        line.append(told)
        used += len(told) + 2
    yield ", ".join(line)
