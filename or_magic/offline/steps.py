"""What happens on the wire during one answer, as values: head, events, raw bytes, silence, reset. Pure.

An answer is an iterator of steps; a fault is a function from such an iterator to another one. When the steps are over,
the body ends the way its head promised, if it can.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from or_magic.offline.money import number_text

Headers = tuple[tuple[str, str], ...]

# The json module can print no Decimal; it goes through as a string between marks that no request can contain.
_MARK = os.urandom(12).hex()


@dataclass(frozen=True)
class Head:
    """Status line and headers; without a length the body is chunked."""

    status: int = 200
    headers: Headers = ()
    length: int | None = None
    byte_pause_s: float = 0.0


@dataclass(frozen=True)
class Event:
    """One JSON message: a server-sent event, or with the tag ``body`` the whole body."""

    data: dict[str, Any]
    tag: str
    tokens: int = 0


@dataclass(frozen=True)
class Raw:
    """Bytes of the body; ``flush`` sends them at once, on their own."""

    data: bytes
    tag: str = "raw"
    tokens: int = 0
    flush: bool = False


@dataclass(frozen=True)
class Pause:
    """Silence; None is for ever, that is until the client leaves."""

    seconds: float | None = None


@dataclass(frozen=True)
class Reset:
    """The connection dies with RST."""


@dataclass(frozen=True)
class Close:
    """The connection ends in an orderly way, whatever was promised."""


Step = Head | Event | Raw | Pause | Reset | Close
Steps = Iterator[Step]

COMMENT = Raw(b": OPENROUTER PROCESSING\n\n", "comment")
DONE = Raw(b"data: [DONE]\n\n", "done")


def _mark(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{number_text(value)}{_MARK}"
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_mark)


def dump(value: object) -> bytes:
    """Return compact JSON; a Decimal becomes exactly its own digits."""
    text = _ENCODER.encode(value)
    if _MARK in text:
        text = text.replace(f'"{_MARK}', "").replace(f'{_MARK}"', "")
    # A lone surrogate is not UTF-8; its backslash form is also its JSON escape.
    return text.encode("utf-8", "backslashreplace")


def body_bytes(step: Event | Raw) -> bytes:
    """Return the bytes that a step puts into the body."""
    if isinstance(step, Raw):
        return step.data
    if step.tag == "body":
        return dump(step.data)
    return b"data: " + dump(step.data) + b"\n\n"


@dataclass(frozen=True)
class Plain:
    """A whole HTTP answer that runs no generation."""

    status: int
    body: bytes
    headers: Headers = (("Content-Type", "application/json"),)

    def steps(self) -> Steps:
        """Return the answer as steps."""
        if self is DROPPED:
            yield Reset()
            return
        yield Head(self.status, self.headers, len(self.body))
        yield Raw(self.body, "plain")


# Stands where an answer would: the connection is reset instead.
DROPPED = Plain(0, b"", ())


def json_answer(value: object, status: int = 200, headers: Headers = ()) -> Plain:
    """Return a JSON answer."""
    return Plain(status, dump(value), (("Content-Type", "application/json"), *headers))
