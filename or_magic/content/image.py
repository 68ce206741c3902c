"""Pictures, in a question and in an answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .address import is_address
from .data_url import data_url, split_data_url


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by ``url`` (fetched by the provider, never here) or by its bytes; ``note`` says what was done to it."""

    kind: ClassVar[str] = "image"

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str = "image/png"
    note: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the request's content part (WIRE.md §3)."""
        url = self.url if self.data is None else data_url(self.media_type, self.data)
        return {"type": "image_url", "image_url": {"url": url}}


def read(value: object) -> Iterator[Image]:
    """Yield the pictures of an ``images`` list; each comes whole, in one piece (WIRE.md §3)."""
    for item in value if isinstance(value, list) else ():
        link = item.get("image_url") if isinstance(item, Mapping) else None
        url = link.get("url") if isinstance(link, Mapping) else None
        if isinstance(url, str) and is_address(url):  # another one names nothing that anybody could look at
            yield _from_url(url)


def join(fragments: Sequence[Image]) -> Image:
    """Return the only fragment: pictures are never cut."""
    return fragments[0]


def _from_url(url: str) -> Image:
    parsed = split_data_url(url)
    return Image(url=url) if parsed is None else Image(data=parsed[1], media_type=parsed[0])
