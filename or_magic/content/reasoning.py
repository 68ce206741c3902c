"""Reasoning: what a model thought aloud, and the pieces that must go back to it unchanged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

# Of a detail that arrives in pieces only these grow; every other key is told once or repeated.
_GROWING = ("text", "summary")


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Thinking: ``text`` is for people, ``details`` (WIRE.md §5.3) are for the model that made them.

    ``model`` is the one that answered; another model must not be sent these pieces.
    """

    kind: ClassVar[str] = "reasoning"

    text: str = ""
    details: tuple[Mapping[str, Any], ...] = ()
    model: str | None = None

    def to_json(self) -> list[Mapping[str, Any]]:
        """Return the ``reasoning_details`` of an assistant message."""
        return list(self.details)


def read_details(value: object) -> Iterator[Reasoning]:
    """Yield one fragment for a ``reasoning_details`` list; its text is that of its items."""
    if not isinstance(value, list):
        return
    details = tuple(item for item in value if isinstance(item, Mapping))
    if details:
        yield Reasoning("".join([_words(item) for item in details]), details)


def read_plain(value: object) -> Iterator[Reasoning]:
    """Yield the ``reasoning`` string, which tells the same as the details and is read only without them."""
    if isinstance(value, str):
        yield Reasoning(value)


def join(fragments: Sequence[Reasoning]) -> Reasoning:
    """Return one part: the text in order, the details merged per index and type."""
    details = _merge([item for f in fragments for item in f.details])
    model = next((f.model for f in fragments if f.model), None)
    return Reasoning("".join([f.text for f in fragments]), details, model)


def _words(item: Mapping[str, Any]) -> str:
    return "".join([item[key] for key in _GROWING if isinstance(item.get(key), str)])


def _merge(items: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return whole details: pieces of one index and type together, in the order in which each began."""
    whole: list[dict[str, Any]] = []
    growing: list[dict[str, list[str]]] = []
    latest: dict[str, int] = {}
    before = ""
    for item in items:
        name = _name(item)
        place = latest.get(name)
        if place is None or _begins_another(whole[place], item) or (name[:1] == "?" and name != before):
            place = latest[name] = len(whole)
            whole.append({})
            growing.append({})
        _add(item, whole[place], growing[place])
        before = name
    for known, pieces in zip(whole, growing, strict=True):
        known.update({key: "".join(words) for key, words in pieces.items()})
    return tuple(whole)


def _add(item: Mapping[str, Any], known: dict[str, Any], growing: dict[str, list[str]]) -> None:
    for key, value in item.items():
        if key in _GROWING and isinstance(value, str):
            growing.setdefault(key, []).append(value)
            known.setdefault(key, "")  # keeps the place of the key
        elif key not in known or value not in (None, ""):
            known[key] = value


def _name(item: Mapping[str, Any]) -> str:
    # A summary and its encrypted twin carry the same index (recorded), so the type belongs to the name.
    index = item.get("index", item.get("id"))
    return f"?{item.get('type')}" if index is None else f"{index}/{item.get('type')}"


def _begins_another(known: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    return any(known.get(key) and item.get(key) and known[key] != item[key] for key in ("id", "data", "signature"))
