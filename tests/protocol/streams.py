"""Streams for the protocol's tests: how to write, read and cut them. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from or_magic.events import Closed, Event
from or_magic.protocol.accumulate import Accumulation
from or_magic.protocol.decode import decode, decode_whole
from or_magic.protocol.sse import Comment, payloads
from or_magic.values import Reply

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Told:
    """What decoding gave: the events, the Closed that was returned, and the Reply they fold into."""

    events: tuple[Event, ...]
    closed: Closed
    reply: Reply


def read(raw: bytes | Iterable[bytes], generation_id: str | None = None) -> Told:
    """Decode the bytes of a stream, in the chunks in which they are given."""
    chunks = [raw] if isinstance(raw, bytes) else raw
    return _told(decode(payloads(chunks), generation_id))


def read_whole(body: bytes | dict[str, Any], generation_id: str | None = None) -> Told:
    """Decode an answer that was not streamed."""
    return _told(decode_whole(body if isinstance(body, bytes) else json.dumps(body).encode(), generation_id))


def _told(generator: Any) -> Told:
    accumulation = Accumulation("test")
    events: list[Event] = []
    while True:
        try:
            event = next(generator)
        except StopIteration as end:
            closed = end.value
            break
        events.append(event)
        accumulation.add(event)
    assert isinstance(closed, Closed)
    assert not any(isinstance(event, Closed) for event in events)
    accumulation.add(closed)
    return Told(tuple(events), closed, accumulation.reply())


def sse(*chunks: dict[str, Any] | bytes | str, done: bool = True) -> bytes:
    """Write chunks as a stream; bytes go in as they are, text becomes a comment."""
    written = [
        chunk if isinstance(chunk, bytes) else f": {chunk}\n\n".encode() if isinstance(chunk, str) else event(chunk)
        for chunk in chunks
    ]
    return b"".join(written) + (DONE if done else b"")


def event(chunk: object) -> bytes:
    """Write one chunk as an event."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def say(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk of an answer, as OpenRouter words it."""
    told = {"role": "assistant", "content": content} | delta
    return {
        "id": "gen-1-abc",
        "provider": "Somebody",
        "model": "some/model-2026",
        "object": "chat.completion.chunk",
        "created": 1,
        "choices": [{"index": 0, "delta": told, "finish_reason": finish, "logprobs": None}],
    }


def usage(cost: str = "0.00001234567890123", **more: Any) -> bytes:
    """Return the last chunk, with usage; the cost is written as the given text."""
    told = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7} | more
    chunk = say("") | {"usage": told | {"cost": "COST"}}
    return event(chunk).replace(b'"COST"', cost.encode())


def cut(raw: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the bytes cut at the places."""
    ends = sorted({*places, len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def scattered(raw: bytes, rng: random.Random, most: int = 40) -> list[bytes]:
    """Return the bytes cut at random places."""
    return cut(raw, (rng.randrange(len(raw) + 1) for _ in range(rng.randint(1, most))))


def recordings(shared: Path) -> list[dict[str, Any]]:
    """Return the index of the recorded chat completions; other endpoints and catalogues are left out."""
    index = json.loads((shared / "openrouter/recorded/index.json").read_bytes())
    return [item for item in index if str(item.get("uri", "")).endswith("/chat/completions") and _is_answer(item)]


def _is_answer(item: dict[str, Any]) -> bool:
    return not item["file"].endswith(".request.json") and not item["file"].startswith("models-")


def datas(chunks: Iterable[bytes], **caps: int) -> list[bytes | Comment]:
    """Return what the SSE reader tells, as a list."""
    return list(payloads(chunks, **caps))
