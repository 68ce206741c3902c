"""Pictures, speech and transcripts over endpoints of their own: a Request in, Events out (WIRE.md §9). Pure.

Their answers have no finish reason: they are whole, or they are an error. What they cost is in their usage; speech
tells none, so that its cost is not known until the gateway is asked for it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..content import Audio, Image, Part, Text
from ..content.address import is_address
from ..errors import CallError, RefusedError
from ..events import Closed, Event, Metered, Opened, Piece
from ..values import Request, Usage
from .decode import parse_json, usage_of
from .faults import fault_of_error, not_the_protocol

_UNTOLD = "application/octet-stream"
_FORMATS = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/pcm": "pcm", "audio/l16": "pcm", "audio/wav": "wav"}
_RATE = re.compile(r"rate=(\d{4,6})")


def encode_image(request: Request) -> dict[str, Any]:
    """Return the body of ``POST /images``: the texts are the prompt, pictures are references."""
    references = [part.to_json() for part in _parts(request) if isinstance(part, Image)]
    body: dict[str, Any] = {"model": request.model, "prompt": _text(request)}
    return body | ({"input_references": references} if references else {}) | dict(request.params)


def encode_speech(request: Request) -> dict[str, Any]:
    """Return the body of ``POST /audio/speech``."""
    return {"model": request.model, "input": _text(request), **request.params}


def encode_transcription(request: Request) -> dict[str, Any]:
    """Return the body of ``POST /audio/transcriptions``; the JSON form takes any size, that of forms 25 MB."""
    sound = next((part for part in _parts(request) if isinstance(part, Audio)), Audio())
    told = {"data": sound.base64, "format": sound.format or "wav"}
    return {"model": request.model, "input_audio": told, **request.params}


Decoded = Generator[Event, None, Closed]
Read = Callable[[Mapping[str, Any]], tuple[list[Part], Usage]]


def decode_image(body: bytes, generation_id: str | None, content_type: str) -> Decoded:
    """Yield the events of a ``POST /images`` answer, and return its Closed."""
    return (yield from _decode(body, generation_id, content_type, _pictures))


def decode_transcription(body: bytes, generation_id: str | None, content_type: str) -> Decoded:
    """Yield the events of a ``POST /audio/transcriptions`` answer, and return its Closed."""
    return (yield from _decode(body, generation_id, content_type, _transcript))


def decode_speech(body: bytes, generation_id: str | None, content_type: str) -> Decoded:
    """Yield the events of a ``POST /audio/speech`` answer, whose body is the sound itself; return its Closed."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind.startswith("audio/") and kind != _UNTOLD:
        return (yield from _decode(body, generation_id, content_type, _no_sound))
    if generation_id:
        yield Opened(generation_id)
    if not body:
        return _failed(not_the_protocol("The gateway answered with a sound of no bytes"), generation_id)
    rate = _RATE.search(content_type)
    yield Piece(
        Audio(
            base64.b64encode(body).decode("ascii"),
            format=_FORMATS.get(kind),
            rate_hz=int(rate[1]) if rate else None,
        )
    )
    return Closed("ok", generation_id=generation_id)


def _decode(body: bytes, generation_id: str | None, content_type: str, read: Read) -> Decoded:
    if generation_id:
        yield Opened(generation_id)
    try:
        told = parse_json(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return _failed(not_the_protocol(f"The gateway answered with {content_type or 'no JSON'}", body), generation_id)
    usage = usage_of(told["usage"]) if isinstance(told.get("usage"), dict) else None
    try:
        parts, counted = ([], Usage()) if told.get("error") else read(told)
    except _NotOneError as error:
        parts, counted, told = [], Usage(), {"error": error}
    for part in parts:
        yield Piece(part)
    if usage:
        yield Metered(usage | counted)
    if told.get("error"):
        return _reported(told["error"], usage, generation_id)
    model = told.get("model")
    return Closed("ok", generation_id=generation_id, model=model if isinstance(model, str) and model else None)


def _reported(told: object, usage: Usage | None, generation_id: str | None) -> Closed:
    """Return the end of an answer that is an error, or no answer of this endpoint."""
    error = not_the_protocol(str(told)) if isinstance(told, _NotOneError) else fault_of_error(told, began=False)
    if usage and usage.cost_usd:
        error.billed = "It was billed."
        return _failed(error, generation_id)
    return _failed(error, generation_id, refused=isinstance(error, RefusedError))


class _NotOneError(Exception):
    """The JSON is no answer of this endpoint."""


def _failed(error: CallError, generation_id: str | None, *, refused: bool = False) -> Closed:
    return Closed("refused" if refused else "error", error=error, generation_id=generation_id)


def _pictures(told: Mapping[str, Any]) -> tuple[list[Part], Usage]:
    items = told.get("data")
    found: list[Part] = [
        part
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and (part := _picture(item))
    ]
    if not found:
        raise _NotOneError("The gateway answered without any picture")
    return found, Usage()


def _picture(item: Mapping[str, Any]) -> Image | None:
    data, url, media_type = (item.get(name) for name in ("b64_json", "url", "media_type"))
    if isinstance(data, str):
        try:
            decoded = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return None
        return Image(data=decoded, media_type=media_type if isinstance(media_type, str) else "image/png")
    return Image(url=url) if isinstance(url, str) and is_address(url) else None


def _transcript(told: Mapping[str, Any]) -> tuple[list[Part], Usage]:
    text, usage = told.get("text"), told.get("usage")
    if not isinstance(text, str):
        raise _NotOneError("The gateway answered without any text")
    # This endpoint has names of its own for what it counts.
    named = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    counted = {name: usage.get(other) for name, other in named.items()} if isinstance(usage, Mapping) else {}
    return [Text(text)], usage_of(counted)


def _no_sound(_: Mapping[str, Any]) -> tuple[list[Part], Usage]:
    raise _NotOneError("The gateway answered without any sound")


def _parts(request: Request) -> tuple[Part, ...]:
    return tuple(part for message in request.messages for part in message.parts)


def _text(request: Request) -> str:
    return "".join([part.text for part in _parts(request) if isinstance(part, Text)])
