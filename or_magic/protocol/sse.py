"""Server-sent events: bytes in any cut become payloads (WHATWG HTML, "Interpreting an event stream"). Pure.

Only what this protocol uses is told: the data of each event, and comments. An event that the body does not
end with a blank line is not dispatched, as the standard says: it may be half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import ProtocolError

MAX_LINE_BYTES = 8 * 2**20
MAX_EVENT_BYTES = 32 * 2**20

_BOM = b"\xef\xbb\xbf"


class Comment(NamedTuple):
    """A line that starts with a colon: the gateway is alive and has nothing to say."""

    text: str


def payloads(
    chunks: Iterable[bytes], max_line_bytes: int = MAX_LINE_BYTES, max_event_bytes: int = MAX_EVENT_BYTES
) -> Iterator[bytes | Comment]:
    """Yield the data of every event, as UTF-8 bytes, and every comment, as soon as each is complete.

    Raises:
        ProtocolError: a line or an event is larger than its cap.
    """
    data: list[bytes] = []
    size = 0
    for line in _lines(chunks, max_line_bytes):
        if line.startswith(b"data:") or line == b"data":
            value = line[6:] if line[5:6] == b" " else line[5:]
            data.append(value)
            size += len(value) + 1
            if size > max_event_bytes:
                raise ProtocolError(
                    f"an event of the answer is larger than {max_event_bytes:,} bytes; it was not read."
                )
        elif not line:
            if data:
                yield data[0] if len(data) == 1 else b"\n".join(data)
                data, size = [], 0
        elif line.startswith(b":"):
            yield Comment(line[1:].strip().decode("utf-8", "replace"))
        # Other fields (event, id, retry, unknown ones) say nothing about an answer.


def _lines(chunks: Iterable[bytes], max_line_bytes: int) -> Iterator[bytes]:
    """Yield complete lines without their ends (LF, CR or CRLF), in any cut of the bytes."""
    held: list[bytes] = []  # pieces of one unfinished line: joined once, so that a huge line stays linear
    held_bytes = 0
    after_cr = False
    for chunk in _without_bom(chunks):
        if after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            after_cr = False
        if not chunk:
            continue
        after_cr = chunk.endswith(b"\r")
        *whole, rest = _split(chunk)
        for line in whole:
            if held:
                line = b"".join([*held, line])
                held, held_bytes = [], 0
            if len(line) > max_line_bytes:
                raise _too_long(max_line_bytes)
            yield line
        if rest:
            held.append(rest)
            held_bytes += len(rest)
            if held_bytes > max_line_bytes:
                raise _too_long(max_line_bytes)


def _split(chunk: bytes) -> list[bytes]:
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return chunk.split(b"\n")


def _without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    head = b""
    started = False
    for chunk in chunks:
        if started:
            yield chunk
            continue
        head += chunk
        if len(head) >= len(_BOM) or not _BOM.startswith(head):
            started = True
            yield head.removeprefix(_BOM)
    if not started and head:
        yield head


def _too_long(max_line_bytes: int) -> ProtocolError:
    return ProtocolError(f"a line of the answer is longer than {max_line_bytes:,} bytes; it was not read.")
