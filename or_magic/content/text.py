"""Text, and refusals, which are text the model marks as such. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text: a fragment of a stream or a whole part; the two are the same type.

    ``cache_control`` asks the provider to keep the prompt up to here, such as ``{"type": "ephemeral"}`` (WIRE.md §2).
    """

    kind: ClassVar[str] = "text"

    text: str
    refusal: bool = False
    cache_control: Mapping[str, Any] | None = field(default=None, hash=False)

    def to_json(self) -> dict[str, Any]:
        """Return the request's content part (WIRE.md §3)."""
        told: dict[str, Any] = {"type": "text", "text": self.text}
        return told if self.cache_control is None else {**told, "cache_control": dict(self.cache_control)}


def read_content(value: object) -> Iterator[Text]:
    """Yield the text of a ``content`` field: a string, or the list of parts that some servers send."""
    if isinstance(value, str):
        yield Text(value)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping) and isinstance(item.get("text"), str) and item["text"]:
                yield Text(item["text"])


def read_refusal(value: object) -> Iterator[Text]:
    """Yield the text of a ``refusal`` field, marked."""
    if isinstance(value, str):
        yield Text(value, refusal=True)


def join(fragments: Sequence[Text]) -> Text:
    """Return one part that holds all fragments in order."""
    return Text("".join([f.text for f in fragments]), refusal=fragments[0].refusal)
