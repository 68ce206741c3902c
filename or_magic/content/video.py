"""Video, in a question. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .data_url import data_url


@dataclass(frozen=True, slots=True)
class Video:
    """A video by ``url`` (which ones work depends on the provider) or by its bytes; ``note`` is for the user."""

    kind: ClassVar[str] = "video"

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str = "video/mp4"
    note: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the request's content part (WIRE.md §3)."""
        url = self.url if self.data is None else data_url(self.media_type, self.data)
        return {"type": "video_url", "video_url": {"url": url}}
