"""About how many tokens pictures, documents and sound take, by their size: read from their first bytes. Pure."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from math import ceil

from ..content import Audio, File, Image, Video
from .text import Range

Size = tuple[int, int]

# No vendor documents more for one picture, except for the two below; smaller pictures are not cheaper everywhere.
_PICTURE_TOKENS, _SMALL_PICTURE_TOKENS = 16_384, 4_096
_VENDORS = ("openai/", "anthropic/", "google/", "qwen/", "mistralai/", "amazon/", "meta-llama/", "x-ai/")
# It counts a picture 33 times, so that it costs what it costs in gpt-4o: 2,833 and 8 tiles of 5,667.
_COUNTED_MORE, _COUNTED_TOKENS = "gpt-4o-mini", 48_169
_FINEST = 14  # pixels a side of the smallest square that any vision model takes for a token
_PAGE = Range(250, 1_000, 3_500)  # text alone, text with a small picture of the page, text with a large one
_SECOND = Range(10, 25, 32)
_KNOWN_BYTES_PER_S = {"mp3": 16_000, "ogg": 12_000, "aac": 16_000, "m4a": 16_000, "flac": 70_000}
_PCM_BYTES_PER_S = 48_000
_INFLATED = 32 * 2**20  # of a document's objects; what is larger is not looked through


def picture_tokens(part: Image) -> Range:
    """Return about what a picture takes; one by URL is taken for a photograph of usual size."""
    size = picture_size(part.data) if part.data is not None else None
    width, height = size or (1024, 1024)
    scale = min(1.0, 1568 / max(width, height, 1))
    likely = max(85, round(width * height * scale * scale / 750))
    return Range(min(85, likely), likely, max(1_600, 2 * likely) if size is None else max(1_120, 2 * likely))


def most_picture_tokens(part: Image, model: str) -> int | None:
    """Return what no picture of this size passes with this model, or None where nobody says so."""
    if _COUNTED_MORE in model:
        return _COUNTED_TOKENS
    size = picture_size(part.data) if part.data is not None else None
    documented = _PICTURE_TOKENS if model.startswith(_VENDORS) else None
    if size is None:
        return documented
    by_size = max(_SMALL_PICTURE_TOKENS, ceil(size[0] / _FINEST) * (ceil(size[1] / _FINEST) + 1))
    return by_size if documented is None else min(documented, by_size)


def picture_size(data: bytes) -> Size | None:
    """Return width and height in pixels, or None where the bytes do not say."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            found: Size = struct.unpack(">II", data[16:24])
        elif data.startswith(b"GIF8"):
            found = struct.unpack("<HH", data[6:10])
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            found = _webp(data)
        elif data.startswith(b"\xff\xd8"):
            found = _jpeg(data)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return found if 0 < found[0] < 2**24 and 0 < found[1] < 2**24 else None


def file_tokens(part: File) -> Range | None:
    """Return about what a document takes; None for one by URL."""
    if part.data is None:
        return None
    pages = pdf_pages(part.data) or max(1, len(part.data) // 50_000)
    return _PAGE * pages


def pdf_pages(data: bytes) -> int | None:
    """Return how many pages a PDF has, or None where that cannot be read: it is encrypted, or no PDF."""
    seen = (len(data), hash(data))
    if seen not in _PAGES:
        if len(_PAGES) >= _KEPT:
            _PAGES.clear()
        _PAGES[seen] = _read_pages(data)
    return _PAGES[seen]


_KEPT = 256
_PAGES: dict[tuple[int, int], int | None] = {}  # a call asks several times, and a document may be long


def _read_pages(data: bytes) -> int | None:
    if not data.startswith(b"%PDF-") or b"/Encrypt" in data:
        return None
    pages, told = 0, 0
    for objects in (data, *_object_streams(data)):
        pages += len(re.findall(rb"/Type\s*/Page(?![A-Za-z])", objects))
        told = max([told, *(int(n) for n in re.findall(rb"/Type\s*/Pages\b[^>]{0,4000}?/Count\s+(\d{1,7})", objects))])
    return max(pages, told) or None


def audio_tokens(part: Audio) -> Range:
    """Return about what sound takes."""
    seconds, sure = audio_s(part)
    tokens = _SECOND * seconds
    return tokens if sure else Range(tokens.low // 3, tokens.likely, tokens.high * 3)


def audio_s(part: Audio) -> tuple[float, bool]:
    """Return how long sound lasts, and whether that is known and not guessed from its size."""
    size_bytes = len(part.base64.rstrip("=")) * 3 // 4
    if part.format == "wav":
        head = base64.b64decode(part.base64[:64] + "==", validate=False)
        rate = int.from_bytes(head[28:32], "little") if head[8:16] == b"WAVEfmt " else 0
        if rate:
            return max(0, size_bytes - 44) / rate, True
    return size_bytes / _KNOWN_BYTES_PER_S.get(part.format or "", _PCM_BYTES_PER_S), False


def video_tokens(part: Video) -> Range | None:
    """Return about what a video takes, guessed from its size; None for one by URL."""
    if part.data is None:
        return None
    likely = max(300, 300 * len(part.data) // 250_000)  # 300 a second at 2 megabits
    return Range(likely // 5, likely, likely * 5)


def _jpeg(data: bytes) -> Size:
    place = 2
    while True:
        if data[place] != 0xFF:
            raise IndexError
        marker = data[place + 1]
        if marker == 0xFF:  # fill
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        elif marker in (0x01, *range(0xD0, 0xD8)):
            place += 2
        else:
            place += 2 + max(2, int(struct.unpack(">H", data[place + 2 : place + 4])[0]))


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return (int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _object_streams(data: bytes) -> Iterator[bytes]:
    """Yield the contents of the streams in which newer PDFs keep their page objects."""
    left = _INFLATED
    for found in re.finditer(rb"/Type\s*/ObjStm[^\0]{0,400}?stream\r?\n", data):
        try:
            inflated = zlib.decompressobj().decompress(data[found.end() :], left)
        except zlib.error:
            continue
        left -= len(inflated)
        yield inflated
        if left <= 0:
            return
