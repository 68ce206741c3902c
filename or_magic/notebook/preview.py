"""A dry run: what a cell would send and what that may cost, printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .. import neutral
from ..budget import amount
from ..content import Audio, File, Image, Part, Text, Video
from ..engine.bills import Expected
from ..engine.compose import Preview
from ..estimate import PartTokens, parts_tokens
from ..estimate.media import picture_size
from ..values import dollars

_MOST_NAMED = 20


def draw(preview: Preview) -> None:
    """Print the messages exactly, the other fields, what the call will likely take, and the bound."""
    print("\n".join(_lines(preview)))


def _lines(preview: Preview) -> Iterator[str]:
    yield f"Dry run of {preview.request.model}: nothing was sent."
    yield from (neutral.line(notice.text) for notice in preview.notices)
    for message in preview.request.messages:
        yield ""
        yield f"── {message.role}"
        yield from (_told(part) for part in message.parts)
    yield from (f"── conversation: {neutral.line(note)}" for note in preview.notes)
    yield ""
    other = {name: value for name, value in preview.body.items() if name not in ("model", "messages")}
    yield f"── other fields: {json.dumps(other, ensure_ascii=False, default=str)}"
    yield from _parts(preview.expected)
    yield from _inserted(preview)
    yield " · ".join(_money(preview))
    for standing in preview.standings:
        left = f"{amount(max(standing.left_usd, Decimal(0)))} is left of {neutral.line(standing.limit.name)}"
        covered = "" if standing.covers(preview.bound_usd) else ": not enough"
        yield f"{left}, {amount(standing.limit.usd)}{covered}"


def _parts(expected: Expected) -> Iterator[str]:
    """Yield what every part takes, where there are several."""
    told = [f"{part.role} {part.kind} {_about(part)}" for part in expected.parts]
    if len(told) > 1:
        yield f"── tokens: {', '.join(told)}"


def _inserted(preview: Preview) -> Iterator[str]:
    """Yield what each expression and each object adds, the largest first."""
    told = []
    for one in preview.inserted:
        tokens = parts_tokens(one.parts)
        tokens = tokens * preview.expected.share if tokens else tokens
        kinds = ", ".join(dict.fromkeys(part.kind for part in one.parts if not isinstance(part, Text)))
        about = "not known" if tokens is None else f"~{tokens.likely:,} token{'' if tokens.likely == 1 else 's'}"
        size = float("inf") if tokens is None else tokens.likely
        told.append((size, f"{neutral.line(one.name)}: {kinds + ', ' if kinds else ''}{about}"))
    told.sort(key=lambda pair: -pair[0])
    yield from (f"── inserted {line}" for _, line in told[:_MOST_NAMED])
    if len(told) > _MOST_NAMED:
        yield f"── inserted: {len(told) - _MOST_NAMED:,} smaller ones"


def _about(part: PartTokens) -> str:
    return "not known" if part.tokens is None else f"~{part.tokens.likely:,}"


def _money(preview: Preview) -> Iterator[str]:
    prompt = preview.expected.prompt
    yield f"About {prompt.likely:,} prompt tokens ({prompt.low:,}–{prompt.high:,})"
    if preview.expected.usd is not None:
        least, most = (dollars(usd, digits=4) for usd in preview.expected.usd)
        yield f"{least} likely" if least == most else f"{least}–{most} likely"
    if preview.bound_usd is None:
        yield "what it costs at most cannot be said beforehand"
    else:
        yield f"at most {dollars(preview.bound_usd)} at the catalogue's prices"


def _told(part: Part) -> str:
    if isinstance(part, Text):
        kept = (
            "" if part.cache_control is None else f"\n[the provider is asked to keep the prompt up to here{_ttl(part)}]"
        )
        return neutral.plain(part.text) + kept
    if isinstance(part, Audio):
        return f"[audio: {part.format}, {len(part.base64) * 3 // 4:,} bytes]"
    if isinstance(part, (Image, File, Video)):
        return neutral.plain(f"[{part.kind}: {', '.join(_facts(part))}]")
    return f"[{part.kind}: {_size(part.to_json()):,} characters of JSON]"


def _facts(part: Image | File | Video) -> Iterator[str]:
    if isinstance(part, File):
        yield part.filename
    if part.data is None:
        yield f"at {part.url}, not fetched here"
    else:
        size = picture_size(part.data) if isinstance(part, Image) else None
        yield part.media_type
        yield from [f"{size[0]:,} × {size[1]:,} pixels"] if size else []
        yield f"{len(part.data):,} bytes"
    if part.note:
        yield part.note


def _ttl(part: Text) -> str:
    ttl = (part.cache_control or {}).get("ttl")
    return f" for {ttl}" if ttl else ""


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str))
