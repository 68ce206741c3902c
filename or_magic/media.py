"""Paths, bytes and parts become content parts; what a thing is, its first bytes say. Reads files, fetches nothing."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

from .content import Audio, File, Image, Part, Reasoning, Text, ToolCall, ToolResult, Video
from .errors import MediaError

MAX_BYTES = 64 * 2**20
_PARTS = (Text, Image, Audio, Video, File, Reasoning, ToolCall, ToolResult)
_PICTURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_SOUNDS = (
    (b"ID3\x02", "mp3"), (b"ID3\x03", "mp3"), (b"ID3\x04", "mp3"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"),
    (b"fLaC", "flac"), (b"OggS\0", "ogg"),
)  # fmt: skip
_STILL = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


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
        return _part_of_bytes(_read(thing), thing.name)
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return _part_of_bytes(bytes(thing), None)
    raise MediaError(
        f"A {type(thing).__name__} cannot be sent. Nothing was sent. Give text, a Path, bytes, or a part such as "
        "or_magic.content.Image(url=...)."
    )


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device has no end
            raise MediaError(f"{path} is not a file. Nothing was sent.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}. Nothing was sent.") from None
    return data


def _part_of_bytes(data: bytes, name: str | None) -> Part:
    if len(data) > MAX_BYTES:
        raise MediaError(f"The attachment is larger than {MAX_BYTES // 2**20} MiB. Nothing was sent.")
    for magic, media_type in _PICTURES:
        if data.startswith(magic):
            return Image(data=data, media_type=media_type)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Image(data=data, media_type="image/webp")
    if data.startswith(b"%PDF-"):
        return File(filename=name or "document.pdf", data=data)
    if sound := _sound(data):
        return Audio(base64=base64.b64encode(data).decode("ascii"), format=sound)
    if video := _video(data):
        return Video(data=data, media_type=video)
    return _text(data, name)


def _sound(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[4:11] == b"ftypM4A":
        return "m4a"
    if data[:4] == b"FORM" and data[8:12] == b"AIFF":
        return "aiff"
    return next((kind for magic, kind in _SOUNDS if data.startswith(magic)), None)


def _video(data: bytes) -> str | None:
    if data[4:8] == b"ftyp" and data[8:12] in _STILL:
        raise MediaError("HEIC and AVIF pictures are not taken by models. Nothing was sent. Convert it to PNG or JPEG.")
    if data[4:8] == b"ftyp":
        return "video/quicktime" if data[8:10] == b"qt" else "video/mp4"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    return "video/mpeg" if data[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3") else None


def _text(data: bytes, name: str | None) -> Text:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        told = name or f"bytes that begin with {data[:8]!r}"
        raise MediaError(
            f"{told} is no picture, PDF, sound, video or UTF-8 text. Nothing was sent. Convert it to one of these."
        )
    return Text(f"{name}:\n\n{text}" if name else text)
