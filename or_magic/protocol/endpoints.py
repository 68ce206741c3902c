"""Where a Request goes, what its body is, and how an answer in one piece is read: one row for each endpoint. Pure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..events import Closed, Event
from ..values import Endpoint, Request
from .decode import decode_whole
from .encode import encode
from .media import (
    decode_image,
    decode_speech,
    decode_transcription,
    encode_image,
    encode_speech,
    encode_transcription,
)


class Way(NamedTuple):
    """An endpoint; ``decode`` takes the body, the generation id of the header, and the content type."""

    path: str
    encode: Callable[[Request], dict[str, Any]]
    decode: Callable[[bytes, str | None, str], Generator[Event, None, Closed]]


WAYS: Mapping[Endpoint, Way] = {
    "chat": Way("/chat/completions", encode, lambda body, generation_id, _: decode_whole(body, generation_id)),
    "image": Way("/images", encode_image, decode_image),
    "speech": Way("/audio/speech", encode_speech, decode_speech),
    "transcription": Way("/audio/transcriptions", encode_transcription, decode_transcription),
}


def named(closed: Closed, request: Request) -> Closed:
    """Return the end with its model where a body names none: what only makes takes no fallback, so nobody else did."""
    made = request.endpoint != "chat" and closed.status == "ok" and closed.model is None
    return replace(closed, model=request.model) if made else closed
