"""Small real pictures and sounds that say what they are, made at run time. Pure."""

from __future__ import annotations

import base64
import math
import struct
import zlib

MADE_BY = "Made by the or_magic offline simulator; no model drew or spoke this."
# Seven rows of five dots for each letter of the word that the picture shows.
_LETTERS = {
    "S": "0e 10 10 0e 01 01 1e", "I": "0e 04 04 04 04 04 0e", "M": "11 1b 15 15 11 11 11", "U": "11 11 11 11 11 11 0e",
    "L": "10 10 10 10 10 10 1f", "A": "0e 11 11 1f 11 11 11", "T": "1f 04 04 04 04 04 04", "E": "1f 10 10 1e 10 10 1f",
    "D": "1e 11 11 11 11 11 1e",
}  # fmt: skip
_DOT = 4
_RATE = 24_000  # what models send as bare samples; nothing in them says it
# One frame of MPEG-1 layer III, 128 kbit/s at 44.1 kHz: its side information says that there is nothing in it.
_SILENT_FRAME = b"\xff\xfb\x90\xc4" + bytes(413)
_FRAMES_PER_S = 38


def png(seed: int = 0, size: tuple[int, int] | None = None) -> bytes:
    """Return a PNG that shows the word SIMULATED; the seed chooses its colour, ``size`` is of another paper."""
    rows = _rows("SIMULATED", _DOT) if size is None else _on_paper(*size)
    colour = bytes((60 + seed % 130, 60 + seed // 130 % 130, 120))
    palette = b"\xff\xff\xff" + colour
    width, height = len(rows[0]), len(rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    comment = b"Comment\0" + MADE_BY.encode("latin-1")
    parts = (b"IHDR", header), (b"PLTE", palette), (b"tEXt", comment), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _on_paper(width: int, height: int) -> list[bytes]:
    rows = _rows("SIMULATED", max(1, min(width // 60, height // 12)))
    left, above = max(0, width - len(rows[0])) // 2, max(0, height - len(rows)) // 2
    lines = [bytes(left) + row + bytes(max(0, width - left - len(row))) for row in rows]
    blank = bytes(len(lines[0]))
    return [blank] * above + lines + [blank] * max(0, height - above - len(lines))


def _rows(word: str, size: int) -> list[bytes]:
    glyphs = [[int(row, 16) for row in _LETTERS[letter].split()] for letter in word]
    lines = [b"\0" * (6 * len(word) + 1)]
    for row in range(7):
        bits = [(glyph[row] >> (4 - column)) & 1 for glyph in glyphs for column in range(5)]
        line = b"".join(b"\0" + bytes(bits[start : start + 5]) for start in range(0, len(bits), 5))
        lines.append(line + b"\0")
    lines.append(lines[0])
    wide = [bytes(dot for dot in line for _ in range(size)) for line in lines]
    return [line for line in wide for _ in range(size)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Return the bytes as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def tone(seconds: float = 0.25) -> bytes:
    """Return a 440 Hz tone as 16-bit mono samples without a header."""
    count = int(_RATE * seconds)
    samples = (int(8000 * math.sin(2 * math.pi * 440 * index / _RATE)) for index in range(count))
    return struct.pack(f"<{count}h", *samples)


def wav(samples: bytes) -> bytes:
    """Return the samples as a WAV file with a comment that says what it is."""
    comment = MADE_BY.encode("latin-1") + b"\0"
    comment += b"\0" * (len(comment) % 2)
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment
    fmt = struct.pack("<HHIIHH", 1, 1, _RATE, 2 * _RATE, 2, 16)
    parts = b"".join(
        kind + struct.pack("<I", len(data)) + data
        for kind, data in ((b"fmt ", fmt), (b"LIST", info), (b"data", samples))
    )
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WAVE" + parts


def mp3(seconds: float) -> bytes:
    """Return an MP3 file of silence with a comment that says what it is: a tone would need an encoder."""
    comment = b"\0eng\0" + MADE_BY.encode("latin-1")
    frame = b"COMM" + struct.pack(">I", len(comment)) + b"\0\0" + comment
    size = len(frame)
    head = b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return head + frame + _SILENT_FRAME * max(1, round(seconds * _FRAMES_PER_S))
