"""Content parts: what messages and answers are made of, one file per kind. Pure.

A fragment of a stream and a whole part are the same type; ``join`` is the only accumulation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import audio, citation, file, image, reasoning, text, tool_call
from .audio import Audio
from .citation import Citation
from .file import File, ParsedFile
from .image import Image
from .reasoning import Reasoning
from .text import Text
from .tool_call import ToolCall
from .tool_result import ToolResult
from .video import Video

Part = Text | Reasoning | Image | Audio | Video | File | ParsedFile | Citation | ToolCall | ToolResult

__all__ = [
    "KINDS",
    "READERS",
    "Audio",
    "Citation",
    "File",
    "Image",
    "Kind",
    "ParsedFile",
    "Part",
    "Reasoning",
    "Text",
    "ToolCall",
    "ToolResult",
    "Video",
    "join",
    "read_delta",
]


class Kind(NamedTuple):
    """How fragments of one kind find each other and become one part."""

    type: type
    slots: Callable[[], Callable[[Any], Hashable]]  # for each join a function; fragments of equal slots belong together
    join: Callable[[Any], Part]
    own_place: bool = False  # text after such a part is a part of its own


KINDS: dict[str, Kind] = {
    "text": Kind(Text, lambda: lambda part: part.refusal, text.join),
    "reasoning": Kind(Reasoning, lambda: lambda _: None, reasoning.join),
    "image": Kind(Image, lambda: lambda _: object(), image.join, own_place=True),
    "audio": Kind(Audio, lambda: lambda _: None, audio.join, own_place=True),
    "citation": Kind(Citation, lambda: lambda part: part.url, citation.join),
    "parsed_file": Kind(ParsedFile, lambda: lambda part: repr(part.annotation), file.join_parsed),
    "tool_call": Kind(ToolCall, tool_call.slots, tool_call.join),
}

Reader = Callable[[object], Iterator[Part]]

# Field of a delta or of a message -> what is read from it. Other fields are not content.
READERS: dict[str, Reader] = {
    "content": text.read_content,
    "refusal": text.read_refusal,
    "reasoning_details": reasoning.read_details,
    "reasoning": reasoning.read_plain,
    "reasoning_content": reasoning.read_plain,
    "images": image.read,
    "audio": audio.read,
    "annotations": citation.read,
    "tool_calls": tool_call.read,
}
_SAME_AS_DETAILS = ("reasoning", "reasoning_content")


def read_delta(delta: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the fragments of a ``delta`` or a ``message``, in the order of its fields."""
    for key, value in delta.items():
        if value and (reader := READERS.get(key)) and not (key in _SAME_AS_DETAILS and _told_before(delta, key)):
            yield from reader(value)


def join(fragments: Iterable[Part]) -> tuple[Part, ...]:
    """Return whole parts in the order in which each began; linear in the number of fragments."""
    slots = {name: kind.slots() for name, kind in KINDS.items()}
    groups: dict[Hashable, list[Part]] = {}
    place = 0
    for part in fragments:
        if part.kind not in KINDS:
            groups[object()] = [part]
            continue
        slot = (part.kind, slots[part.kind](part), place if part.kind == "text" else 0)
        place += KINDS[part.kind].own_place and slot not in groups
        groups.setdefault(slot, []).append(part)
    return tuple(_joined(group) for group in groups.values())


def _joined(group: list[Part]) -> Part:
    kind = KINDS.get(group[0].kind)
    return group[0] if kind is None or len(group) == 1 else kind.join(group)


def _told_before(delta: Mapping[str, Any], key: str) -> bool:
    # All spellings tell the same words: print one (WIRE.md §5.3).
    if any(delta.get(other) for other in _SAME_AS_DETAILS[: _SAME_AS_DETAILS.index(key)]):
        return True
    return any(part.text for part in reasoning.read_details(delta.get("reasoning_details")))
