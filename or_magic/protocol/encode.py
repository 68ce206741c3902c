"""A Request becomes the JSON body of ``POST /chat/completions`` (WIRE.md §2, §3). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..content import Audio, Citation, Image, ParsedFile, Part, Reasoning, Text, ToolCall, ToolResult
from ..values import Message, Request

_FIELDS_OF_ITS_OWN = (Image, Audio)  # what a model made; in a question they are content
_ASSISTANT_ONLY = (Reasoning, ToolCall, Citation, ParsedFile)


def encode(request: Request, *, ask_usage: bool = True) -> dict[str, Any]:
    """Return the body; ``params`` come last, so that what the user says wins over what we add.

    ``ask_usage``: OpenRouter always tells the usage; other OpenAI-compatible servers tell it only when asked.
    """
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [encoded for message in request.messages for encoded in _encode_message(message, request.model)],
        "stream": request.stream,
    }
    if request.stream and ask_usage:
        body["stream_options"] = {"include_usage": True}
    return body | dict(request.params)


def _encode_message(message: Message, model: str) -> Iterator[dict[str, Any]]:
    yield from (part.to_json() for part in message.parts if isinstance(part, ToolResult))
    own = _FIELDS_OF_ITS_OWN if message.role == "assistant" else ()
    content = [part for part in message.parts if not isinstance(part, (*_ASSISTANT_ONLY, *own, ToolResult))]
    if not content and message.role == "tool":
        return
    encoded: dict[str, Any] = {"role": message.role, "content": _encode_content(content)}
    if message.role == "assistant":
        encoded |= _encode_assistant(message.parts, model)
    yield encoded


def _encode_content(parts: Sequence[Part]) -> str | list[Any]:
    if all(isinstance(part, Text) and part.cache_control is None for part in parts):
        return "".join([part.text for part in parts if isinstance(part, Text)])
    return [part.to_json() for part in parts]


def _encode_assistant(parts: tuple[Part, ...], model: str) -> dict[str, Any]:
    # Signed reasoning is readable only by the model that wrote it; another one may refuse it.
    own = [part for part in parts if isinstance(part, Reasoning) and part.model in (None, model)]
    fields = {
        "reasoning_details": [_numbers(detail) for part in own for detail in part.to_json()],
        "tool_calls": [part.to_json() for part in parts if isinstance(part, ToolCall)],
        "images": [part.to_json() for part in parts if isinstance(part, Image)],
        "audio": next((_spoken(part) for part in parts if isinstance(part, Audio)), None),
        "annotations": [_numbers(part.to_json()) for part in parts if isinstance(part, ParsedFile)],
    }
    return {name: value for name, value in fields.items() if value}


def _spoken(part: Audio) -> dict[str, Any]:
    told = {"id": part.id, "data": part.base64, "transcript": part.transcript}
    return {name: value for name, value in told.items() if value}


def _numbers(value: Any) -> Any:
    """Return what came from the gateway with its Decimals as the numbers they were."""
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value
