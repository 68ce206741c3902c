"""Files: documents in a question, and what the gateway read out of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .data_url import data_url


@dataclass(frozen=True, slots=True)
class File:
    """A document by ``url`` or by its bytes; ``note`` is for the user."""

    kind: ClassVar[str] = "file"

    filename: str = "document.pdf"
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str = "application/pdf"
    note: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the request's content part (WIRE.md §3)."""
        data = self.url if self.data is None else data_url(self.media_type, self.data)
        return {"type": "file", "file": {"filename": self.filename, "file_data": data}}


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file annotation: sent back with later turns, it spares paying for the same document again."""

    kind: ClassVar[str] = "parsed_file"

    annotation: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> Mapping[str, Any]:
        """Return the annotation exactly as it came."""
        return self.annotation


def join_parsed(fragments: Sequence[ParsedFile]) -> ParsedFile:
    """Return the first: an annotation comes whole and may be repeated."""
    return fragments[0]
