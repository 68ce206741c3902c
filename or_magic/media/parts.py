"""Paths, bytes and parts become content parts. Reads the files that a Path names."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from pathlib import Path

from ..content import Audio, File, Part, Reasoning, Text, ToolCall, ToolResult, Video
from ..content import Image as Picture
from ..errors import MediaError
from . import files
from .kinds import Kind, kind_of, suffix_of
from .notebooks import notebook_text
from .pictures import picture

MAX_TEXT_BYTES = 2 * 2**20  # about 600,000 tokens: few models take more, and nobody reads such a bill with joy
_PARTS = (Text, Picture, Audio, Video, File, Reasoning, ToolCall, ToolResult)


def part_of(thing: object) -> Part:
    """Return the content part for a str, a Path, bytes or a part.

    Raises:
        MediaError: the file cannot be read, is too large, or is of no kind that a model takes.
    """
    if isinstance(thing, _PARTS):
        return thing
    if isinstance(thing, str):
        return Text(thing)
    if isinstance(thing, Path):
        return part_of_bytes(files.read_file(thing), thing.name)
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return part_of_bytes(bytes(thing), None)
    raise MediaError(
        f"A {type(thing).__name__} cannot be sent. Nothing was sent. Give text, a Path, bytes, or a part such as "
        "or_magic.content.Image(url=...)."
    )


def part_of_bytes(data: bytes, name: str | None) -> Part:
    """Return the content part for bytes; ``name`` is the file's.

    Raises:
        MediaError: they are of no kind that a model takes, or not what the name promises.
    """
    if len(data) > files.MAX_BYTES:
        raise MediaError(files.too_large(name or "The attachment", len(data)))
    kind = kind_of(data, name)
    return _MADE[kind.family](data, kind, name)


def _sound(data: bytes, kind: Kind, _name: str | None) -> Audio:
    return Audio(base64=binascii.b2a_base64(data, newline=False).decode("ascii"), format=kind.form)


def _text(data: bytes, _kind: Kind, name: str | None) -> Text:
    text = notebook_text(data) if suffix_of(name) == "ipynb" else None
    if text is None:
        _check_length(len(data), name)
        text = data.decode("utf-8-sig")
    else:
        _check_length(len(text.encode("utf-8", "replace")), name)
    return Text(f"{_one_line(name)}:\n\n{text}" if name else text)


def _check_length(size_bytes: int, name: str | None) -> None:
    if size_bytes > MAX_TEXT_BYTES:
        raise MediaError(
            f"{name or 'The text'} has {size_bytes / 2**20:,.1f} MiB of text, about {size_bytes // 3_500:,} thousand "
            f"tokens; at most {MAX_TEXT_BYTES // 2**20} MiB go. Nothing was sent. Of a table, read it with pandas "
            "and write {{ df }}: that sends its columns, figures and a sample. Of a text, send the part that matters."
        )


def _one_line(name: str) -> str:
    return "".join([character if character.isprintable() else "?" for character in name])


_MADE: dict[str, Callable[[bytes, Kind, str | None], Part]] = {
    "picture": lambda data, kind, name: picture(data, kind.form, name),
    "PDF": lambda data, _kind, name: File(filename=_one_line(name or "document.pdf"), data=data),
    "sound": _sound,
    "video": lambda data, kind, _name: Video(data=data, media_type=kind.form),
    "text": _text,
}
