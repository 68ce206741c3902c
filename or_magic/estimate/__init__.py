"""About how many tokens a request takes, part by part, before it is sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..content import Audio, File, Image, Part, Reasoning, Text, ToolCall, ToolResult, Video
from ..values import Message, Request
from .calibration import Calibration, Pair, calibrate
from .media import audio_tokens, file_tokens, picture_tokens, video_tokens
from .text import Range, text_tokens

__all__ = [
    "Calibration",
    "Estimate",
    "Pair",
    "PartTokens",
    "Range",
    "calibrate",
    "estimate",
    "estimate_tokens",
    "parts_tokens",
]

_PER_MESSAGE = Range(2, 4, 6)  # role marks and separators
_PER_REQUEST = Range(0, 3, 12)
_IN_PROMPT = ("tools", "response_format")  # these fields become text of the prompt
_SCHEMA = 0.8  # providers write schemas shorter than JSON
_WITH_TOOLS = Range(0, 20, 350)  # and say how to call them


@dataclass(frozen=True, slots=True)
class PartTokens:
    """What one part takes; ``tokens`` is None where nothing can be said: a video or a document by URL."""

    role: str
    kind: str
    tokens: Range | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole prompt, and its parts in order; tools and schemas come last."""

    tokens: Range
    parts: tuple[PartTokens, ...]

    @property
    def uncounted(self) -> tuple[str, ...]:
        """The kinds of parts of which nothing can be said."""
        return tuple(part.kind for part in self.parts if part.tokens is None)


def estimate(request: Request) -> Estimate:
    """Return about how many tokens the prompt takes with a model of which nothing is known."""
    parts = [
        PartTokens(message.role, part.kind, _part(part, message, request.model))
        for message in request.messages
        for part in message.parts
    ]
    for name in _IN_PROMPT:
        if told := request.params.get(name):
            written = text_tokens(json.dumps(told, default=str, ensure_ascii=False)) * _SCHEMA
            parts.append(PartTokens("request", name, written + _WITH_TOOLS if name == "tools" else written))
    total = _PER_REQUEST + _PER_MESSAGE * len(request.messages)
    for part in parts:
        total += part.tokens or Range()
    return Estimate(total, tuple(parts))


def parts_tokens(parts: Iterable[Part]) -> Range | None:
    """Return about what some parts of a question take together; None where of one nothing can be said."""
    total = Range()
    for part in parts:
        tokens = _COUNTS[type(part)](part) if type(part) in _COUNTS else Range()
        if tokens is None:
            return None
        total += tokens
    return total


def estimate_tokens(request: Request) -> int:
    """Return the likely figure alone: what the ledger keeps beside what was counted in the end."""
    return estimate(request).tokens.likely


def _part(part: Part, message: Message, model: str) -> Range | None:
    if isinstance(part, Reasoning) and (message.role != "assistant" or part.model not in (None, model)):
        return Range()  # it is not sent
    count = _COUNTS.get(type(part))
    return count(part) if count else Range()


_COUNTS: dict[type, Callable[[Any], Range | None]] = {
    Text: lambda part: text_tokens(part.text),
    Reasoning: lambda part: text_tokens(part.text),
    ToolResult: lambda part: text_tokens(part.text),
    ToolCall: lambda part: text_tokens(f"{part.name} {part.arguments}") + _PER_MESSAGE,
    Image: picture_tokens,
    File: file_tokens,
    Audio: audio_tokens,
    Video: video_tokens,
}
