"""A dry run: what a cell would send and what that may cost, printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .. import neutral
from ..content import Part, Text
from ..engine.compose import Preview
from ..values import dollars


def draw(preview: Preview) -> None:
    """Print the messages exactly, the other fields, about how many tokens they take, and the bound."""
    print("\n".join(_lines(preview)))


def _lines(preview: Preview) -> Iterator[str]:
    yield f"Dry run of {preview.request.model}: nothing was sent."
    for message in preview.request.messages:
        yield ""
        yield f"── {message.role}"
        yield from (_told(part) for part in message.parts)
    yield ""
    other = {name: value for name, value in preview.body.items() if name not in ("model", "messages")}
    yield f"── other fields: {json.dumps(other, ensure_ascii=False, default=str)}"
    if preview.bound_usd is None:
        bound = "what it costs at most cannot be said beforehand"
    else:
        bound = f"at most {dollars(preview.bound_usd)} at the catalogue's prices"
    yield f"About {preview.prompt_tokens:,} prompt tokens · {bound}"


def _told(part: Part) -> str:
    if isinstance(part, Text):
        return neutral.plain(part.text)
    return f"[{part.kind}: {_size(part.to_json()):,} characters of JSON]"


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str))
