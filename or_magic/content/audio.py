"""Sound, in a question and in an answer. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound as base64 text, because a stream cuts it at any character, and what is said in it.

    ``rate_hz`` is that of bare samples, where it was told.
    """

    kind: ClassVar[str] = "audio"

    base64: str = field(default="", repr=False)
    format: str | None = None
    transcript: str = ""
    id: str | None = None
    rate_hz: int | None = None

    @property
    def data(self) -> bytes:
        """The bytes so far, in the format that was asked for; a last group of base64 that was cut is left out."""
        # Some servers pad each piece, so padding may stand in the middle.
        pieces = re.findall(r"[A-Za-z0-9+/]+={0,2}", self.base64)
        return b"".join([base64.b64decode(piece[: len(piece) // 4 * 4]) for piece in pieces])

    def to_json(self) -> dict[str, Any]:
        """Return the request's content part (WIRE.md §3)."""
        return {"type": "input_audio", "input_audio": {"data": self.base64, "format": self.format}}


def read(value: object) -> Iterator[Audio]:
    """Yield the fragment of an ``audio`` object."""
    if isinstance(value, Mapping):
        words = {key: value[key] for key in ("transcript", "id") if isinstance(value.get(key), str)}
        data = value.get("data")
        yield Audio(base64=data if isinstance(data, str) else "", **words)


def join(fragments: Sequence[Audio]) -> Audio:
    """Return one part: the base64 text and the transcript in order."""
    return Audio(
        base64="".join([f.base64 for f in fragments]),
        format=next((f.format for f in fragments if f.format), None),
        transcript="".join([f.transcript for f in fragments]),
        id=next((f.id for f in fragments if f.id), None),
        rate_hz=next((f.rate_hz for f in fragments if f.rate_hz), None),
    )
