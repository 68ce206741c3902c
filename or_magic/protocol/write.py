"""The bytes of a body that carries large pictures or files: each is written as base64 and joined in, no more. Pure.

As text in a dict it would be copied six times on its way: base64, text, data URL, JSON, bytes, body.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import replace

from ..content import File, Image, Part, Video
from ..values import Request
from .encode import encode

HEAVY_BYTES = 256 * 1024  # below it a few copies cost nothing that anybody feels
# JSON writes NUL as \u0000, so that the mark is nothing that a file's name or a URL could be.
_MARK = "\0or_magic:{}\0"
_MARKED = re.compile(rb'"\\u0000or_magic:(\d+)\\u0000"')


def write_heavy(request: Request, *, ask_usage: bool = True) -> bytes | None:
    """Return the JSON body of a request that has large parts, or None where ``encode`` does as well."""
    found = [part for message in request.messages for part in message.parts if _is_heavy(part)]
    if not found or request.endpoint != "chat":
        return None
    heavy = list({id(part): part for part in found}.values())
    number = {id(part): place for place, part in enumerate(heavy)}
    messages = tuple(
        replace(message, parts=tuple(_light(part, number.get(id(part))) for part in message.parts))
        for message in request.messages
    )
    light = encode(replace(request, messages=messages), ask_usage=ask_usage)
    text = json.dumps(light, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    pieces = _MARKED.split(text)
    if len(pieces) // 2 != len(found):
        return None  # a text of the prompt has such a mark in it: it goes the long way
    return b"".join(_filled(pieces, heavy))


def _is_heavy(part: Part) -> bool:
    return isinstance(part, (Image, File, Video)) and part.data is not None and len(part.data) >= HEAVY_BYTES


def _light(part: Part, place: int | None) -> Part:
    if place is None or not isinstance(part, (Image, File, Video)):
        return part
    return replace(part, data=None, url=_MARK.format(place))


def _filled(pieces: list[bytes], heavy: list[Part]) -> Iterator[bytes]:
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            yield piece
        elif isinstance(part := heavy[int(piece)], (Image, File, Video)) and part.data is not None:
            yield b'"data:' + json.dumps(part.media_type)[1:-1].encode() + b";base64,"
            yield binascii.b2a_base64(part.data, newline=False)
            yield b'"'
