"""Citations: the web pages an answer stands on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .file import ParsedFile


@dataclass(frozen=True, slots=True)
class Citation:
    """A page that was read: ``content`` can be kilobytes; ``start`` and ``end`` are often 0 (WIRE.md §5.5)."""

    kind: ClassVar[str] = "citation"

    url: str
    title: str = ""
    content: str = field(default="", repr=False)
    start: int | None = None
    end: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the annotation of an assistant message."""
        told = {"url": self.url, "title": self.title, "start_index": self.start or 0, "end_index": self.end or 0}
        return {"type": "url_citation", "url_citation": told}


def read(value: object) -> Iterator[Citation | ParsedFile]:
    """Yield the citations and parsed files of an ``annotations`` list; other kinds are passed over."""
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, Mapping):
            continue
        if item.get("type") == "file" and isinstance(item.get("file"), Mapping):
            yield ParsedFile(item)
        elif isinstance(told := item.get("url_citation"), Mapping) and isinstance(told.get("url"), str):
            yield _citation(told)


def join(fragments: Sequence[Citation]) -> Citation:
    """Return one page with what each telling of it knew first: a page may be told again with less, or with more."""
    place = next((f for f in fragments if f.start is not None), fragments[0])
    return Citation(
        url=fragments[0].url,
        title=next((f.title for f in fragments if f.title), ""),
        content=next((f.content for f in fragments if f.content), ""),
        start=place.start,
        end=place.end,
    )


def _citation(told: Mapping[str, Any]) -> Citation:
    words = {key: told[key] for key in ("title", "content") if isinstance(told.get(key), str)}
    start, end = (told.get(name) for name in ("start_index", "end_index"))
    return Citation(
        told["url"],
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        **words,
    )
