"""An answer as OpenRouter sends it: stream chunks, usage in its three recorded shapes, or one whole body. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from or_magic.offline import tokens
from or_magic.offline.ledger import PROVIDER, Job, cost_of
from or_magic.offline.steps import COMMENT, DONE, Event, Head, Raw, Steps, dump
from or_magic.offline.words import Answer, ToolCall, call_tokens

_FRAGMENT_CHARACTERS = 8
_AUDIO_PIECE = 1024
_PLAIN_FORMAT = "unknown"


@dataclass(frozen=True)
class Call:
    """One generation that is about to be sent."""

    job: Job
    created: int
    answer: Answer
    arg: str = ""
    shape: str = "2026-08"
    include_usage: bool = False
    accepts_gzip: bool = False


def head(call: Call) -> Head:
    """Return the head of a streamed or whole answer."""
    kind = "text/event-stream" if call.job.streamed else "application/json"
    identity = ("X-Generation-Id", call.job.generation_id)
    return Head(200, (("Content-Type", kind), ("Cache-Control", "no-cache"), identity))


def steps(call: Call) -> Steps:
    """Return all steps of the answer."""
    return _stream(call) if call.job.streamed else iter((head(call), Event(body(call), "body", _all(call))))


def whole(call: Call) -> Steps:
    """Return a whole body with its length known, as an undamaged answer has it."""
    data = dump(body(call))
    first = head(call)
    return iter((Head(first.status, first.headers, len(data)), Raw(data, "body", _all(call))))


def _all(call: Call) -> int:
    return call.job.completion_tokens


def _stream(call: Call) -> Steps:
    yield head(call)
    yield from (COMMENT, COMMENT)
    answer = call.answer
    yield from (cited(call, citation) for citation in answer.citations)
    yield from reasoned(call)
    yield from said(call)
    for index, tool in enumerate(answer.calls):
        yield from called(call, index, tool)
    yield from drawn(call)
    yield from spoken(call)
    if answer.finish_reason is not None:
        yield finish(call)
    yield usage_event(call)
    yield DONE


def chunk(
    call: Call, delta: dict[str, Any], *, finish_reason: str | None = None, native: str | None = None
) -> dict[str, Any]:
    """Return one stream chunk around a delta; the keys stand in the order of the newest recordings."""
    delta = {"content": delta.pop("content", ""), "role": "assistant", **delta}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "native_finish_reason": native}
    if call.shape == "2025-12":
        ordered = {"role": "assistant", **delta}
        return _chunk_2025(call, {**choice, "delta": ordered, "logprobs": None})
    return {**base(call, "chat.completion.chunk"), "choices": [choice]}


def base(call: Call, kind: str) -> dict[str, Any]:
    """Return the keys that every chunk and every body begins with."""
    return {
        "id": call.job.generation_id, "object": kind, "created": call.created, "model": call.job.model,
        "provider": PROVIDER,
    }  # fmt: skip


def _chunk_2025(call: Call, choice: dict[str, Any]) -> dict[str, Any]:
    first = {"id": call.job.generation_id, "provider": PROVIDER, "model": call.job.model}
    return {**first, "object": "chat.completion.chunk", "created": call.created, "choices": [choice]}


def cited(call: Call, citation: Any) -> Event:
    """Return the chunk of one citation."""
    return Event(chunk(call, {"annotations": [citation]}), "citation")


def reasoned(call: Call) -> Iterator[Event]:
    """Return the chunks of the thinking; both spellings carry the same text."""
    for text, size in tokens.pieces(call.answer.reasoning, call.answer.chunk_tokens):
        detail = {"type": "reasoning.text", "text": text, "format": _PLAIN_FORMAT, "index": 0}
        yield Event(chunk(call, {"reasoning": text, "reasoning_details": [detail]}), "reasoning", size)


def said(call: Call) -> Iterator[Event]:
    """Return the chunks of the text, or of the refusal that stands in its place."""
    key, text = ("refusal", call.answer.refusal) if call.answer.refusal else ("content", call.answer.text)
    for piece, size in tokens.pieces(text, call.answer.chunk_tokens):
        yield Event(chunk(call, {key: piece}), "text", size)


def called(call: Call, index: int, tool: ToolCall) -> Iterator[Event]:
    """Return the chunks of one tool call: name first, then its arguments in fragments."""
    yield tool_event(call, {"index": index, **_opening(tool)}, call_tokens(tool))
    for start in range(0, len(tool.arguments), _FRAGMENT_CHARACTERS):
        fragment = tool.arguments[start : start + _FRAGMENT_CHARACTERS]
        yield tool_event(call, {"index": index, "function": {"arguments": fragment}})


def _opening(tool: ToolCall) -> dict[str, Any]:
    return {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": ""}}


def tool_event(call: Call, piece: dict[str, Any], size: int = 0) -> Event:
    """Return the chunk of one piece of a tool call."""
    return Event(chunk(call, {"content": None, "tool_calls": [piece]}), "tool", size)


def image(url: str, index: int = 0) -> dict[str, Any]:
    """Return one picture of a delta or message."""
    return {"type": "image_url", "index": index, "image_url": {"url": url}}


def drawn(call: Call) -> Iterator[Event]:
    """Return the chunks of the pictures, each whole."""
    for index, url in enumerate(call.answer.images):
        yield Event(chunk(call, {"images": [image(url, index)]}), "image", tokens.PICTURE)


def spoken(call: Call) -> Iterator[Event]:
    """Return the chunks of the sound: transcript first, then base64 in pieces."""
    sound = call.answer.sound
    if sound is None:
        return
    identity = f"audio_{call.job.generation_id[-20:]}"
    opening = {"id": identity, "transcript": sound.transcript}
    yield Event(chunk(call, {"audio": opening}), "audio", tokens.SECOND_OF_AUDIO)
    for start in range(0, len(sound.data), _AUDIO_PIECE):
        yield Event(chunk(call, {"audio": {"data": sound.data[start : start + _AUDIO_PIECE]}}), "audio")
    yield Event(chunk(call, {"audio": {"expires_at": call.created + 3600}}), "audio")


def finish(call: Call) -> Event:
    """Return the chunk that ends the text."""
    answer = call.answer
    ended = chunk(call, {}, finish_reason=answer.finish_reason, native=answer.native_finish_reason)
    return Event(ended, "finish")


def usage_event(call: Call) -> Event:
    """Return the chunk with the usage, in the shape of the year that was asked for."""
    if call.shape == "2026-08":
        data = {
            **base(call, "chat.completion.chunk"),
            "service_tier": "default",
            "choices": finish(call).data["choices"],
        }
    elif call.shape == "2026-03":
        data = {**base(call, "chat.completion.chunk"), "choices": []}
    else:
        data = chunk(call, {})
    return Event({**data, "usage": usage(call)}, "usage")


def usage(call: Call, completion_tokens: int | None = None) -> dict[str, Any]:
    """Return the usage of the whole answer, or of so many tokens of it."""
    job, answer = call.job, call.answer
    count = job.completion_tokens if completion_tokens is None else completion_tokens
    cost = cost_of(job, count, answer.finish_reason)
    reasoning, media, audio = min(answer.reasoning_tokens, count), answer.media_tokens, answer.audio_tokens
    return {
        "prompt_tokens": job.prompt_tokens,
        "completion_tokens": count,
        "total_tokens": job.prompt_tokens + count,
        "cost": cost.total_usd,
        "is_byok": job.byok,
        "prompt_tokens_details": {
            "cached_tokens": job.cached_tokens,
            "cache_write_tokens": job.cache_write_tokens,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": None if call.shape == "2025-12" else cost.list_usd,
            "upstream_inference_prompt_cost": cost.prompt_usd,
            "upstream_inference_completions_cost": cost.completion_usd,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning, "image_tokens": media, "audio_tokens": audio},
    }


def body(call: Call) -> dict[str, Any]:
    """Return the answer as one whole body."""
    choice = {
        "index": 0, "logprobs": None, "finish_reason": call.answer.finish_reason,
        "native_finish_reason": call.answer.native_finish_reason, "message": _message(call),
    }  # fmt: skip
    tiers = {"system_fingerprint": None, "service_tier": "default"}
    return {**base(call, "chat.completion"), **tiers, "choices": [choice], "usage": usage(call)}


def _message(call: Call) -> dict[str, Any]:
    answer = call.answer
    message: dict[str, Any] = {
        "role": "assistant", "content": answer.text or (None if answer.images or answer.refusal else ""),
        "refusal": answer.refusal, "reasoning": answer.reasoning or None,
    }  # fmt: skip
    if answer.reasoning:
        detail = {"type": "reasoning.text", "text": answer.reasoning, "format": _PLAIN_FORMAT, "index": 0}
        message["reasoning_details"] = [detail]
    if answer.calls:
        message["tool_calls"] = [
            {
                "index": index,
                "id": tool.id,
                "type": "function",
                "function": {"name": tool.name, "arguments": tool.arguments},
            }
            for index, tool in enumerate(answer.calls)
        ]
    if answer.images:
        message["images"] = [image(url, index) for index, url in enumerate(answer.images)]
    if answer.sound:
        message["audio"] = {
            "id": f"audio_{call.job.generation_id[-20:]}",
            "data": answer.sound.data,
            "transcript": answer.sound.transcript,
        }
    if answer.citations:
        message["annotations"] = list(answer.citations)
    return message
