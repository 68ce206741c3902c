"""Payloads become Events: chunks of a stream, or one whole answer (WIRE.md §4-§6). Pure.

An answer is complete only if a finish reason other than ``error`` was seen and nothing reported an error.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jiter

from ..content import Text, read_delta
from ..errors import CallError, RefusedError, TruncatedError
from ..events import Closed, Event, Metered, Notice, Opened, Piece
from ..values import Status, Usage
from .faults import fault_of_error, not_the_protocol
from .sse import Comment

DONE = b"[DONE]"
_FIRST = (0, "0", None)  # the spellings of the index of the only answer
_PLAIN = frozenset({"role", "content"})
_MOST_USD = Decimal(10) ** 6  # a dearer single answer is a broken number, and would overflow the ledger


@dataclass(slots=True)
class _Answer:
    """What has been learnt so far about one answer."""

    generation_id: str | None = None
    model: str | None = None
    provider: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    error: CallError | None = None
    began: bool = False


def decode(payloads: Iterable[bytes | Comment], generation_id: str | None = None) -> Generator[Event, None, Closed]:
    """Yield the events of a stream and return its Closed, which the caller yields after his own checks.

    ``generation_id`` is that of the header; without one, the first chunk's opens the stream.
    """
    answer = _Answer(generation_id)
    if generation_id:
        yield Opened(generation_id)
    for payload in payloads:
        if isinstance(payload, Comment):
            yield Notice("waiting", payload.text)
            continue
        if payload.strip() == DONE:
            break
        chunk = _parse(payload, answer)
        if chunk is not None:
            yield from _events_of_chunk(chunk, answer, whole=False)
    if answer.usage:
        yield Metered(answer.usage)
    return _conclude(answer)


def decode_whole(body: bytes, generation_id: str | None = None) -> Generator[Event, None, Closed]:
    """Yield the events of an answer that was not streamed, and return its Closed."""
    answer = _Answer(generation_id)
    if generation_id:
        yield Opened(generation_id)
    chunk = _parse(body, answer)
    if chunk is not None:
        yield from _events_of_chunk(chunk, answer, whole=True)
    if answer.usage:
        yield Metered(answer.usage)
    return _conclude(answer)


def parse_json(body: bytes) -> Any:
    """Return the JSON value with every non-integer number as Decimal, from its text.

    Bytes that are not UTF-8 become U+FFFD, as the standard of event streams says.

    Raises:
        ValueError: it is not JSON, or nested deeper than 200 levels.
    """
    try:
        return jiter.from_json(body, float_mode="decimal", allow_inf_nan=False)
    except ValueError:
        repaired = body.decode("utf-8", "replace").encode()
        if repaired == body:
            raise
        return jiter.from_json(repaired, float_mode="decimal", allow_inf_nan=False)


def usage_of(told: Mapping[str, Any]) -> Usage:
    """Return a ``usage`` object's figures; what is missing, negative or of a wrong type is None (WIRE.md §6)."""
    prompt, completion = (_mapping(told.get(f"{name}_tokens_details")) for name in ("prompt", "completion"))
    return Usage(
        prompt_tokens=_count(told.get("prompt_tokens")),
        completion_tokens=_count(told.get("completion_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        total_tokens=_count(told.get("total_tokens")),
        cost_usd=money(told.get("cost")),
        upstream_usd=money(_mapping(told.get("cost_details")).get("upstream_inference_cost")),
        byok=told["is_byok"] if isinstance(told.get("is_byok"), bool) else None,
    )


def money(value: object) -> Decimal | None:
    """Return a JSON number of money (credits are dollars) as Decimal; anything else is unknown."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    amount = Decimal(value)
    return amount if amount.is_finite() and 0 <= amount < _MOST_USD else None


def _parse(payload: bytes, answer: _Answer) -> dict[str, Any] | None:
    if not payload.strip():
        return None
    try:
        chunk = parse_json(payload)
    except ValueError:
        chunk = None
    if isinstance(chunk, dict):
        return chunk
    # Reading goes on: the text has a hole, but the usage may still come.
    answer.error = answer.error or not_the_protocol("The gateway sent something that is not an answer", payload)
    return None


def _events_of_chunk(chunk: dict[str, Any], answer: _Answer, *, whole: bool) -> Iterator[Event]:
    if answer.generation_id is None and isinstance(found := chunk.get("id"), str) and found:
        answer.generation_id = found
        yield Opened(found)
    _note_names(chunk, answer)
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in _FIRST:  # one answer; a second one would mix with it
            yield from _events_of_choice(choice, answer)
    if isinstance(told := chunk.get("usage"), dict):
        usage = usage_of(told)
        answer.usage = answer.usage | usage if answer.usage else usage
    if chunk.get("error"):
        answer.error = answer.error or fault_of_error(chunk["error"], began=answer.began)
    elif whole and not isinstance(choices, list):
        answer.error = not_the_protocol("The gateway answered without any choices")


def _events_of_choice(choice: dict[str, Any], answer: _Answer) -> Iterator[Event]:
    delta = choice.get("delta") or choice.get("message")
    if isinstance(delta, dict):
        if isinstance(content := delta.get("content"), str) and content and delta.keys() <= _PLAIN:
            answer.began = True  # the common chunk, without looking at every other field
            yield Piece(Text(content))
        else:
            for part in read_delta(delta):
                answer.began = True
                yield Piece(part)
    if isinstance(reason := choice.get("finish_reason"), str) and reason:
        answer.finish_reason = answer.finish_reason if answer.finish_reason == "error" else reason
    if choice.get("error"):
        answer.error = answer.error or fault_of_error(choice["error"], began=answer.began)


def _note_names(chunk: dict[str, Any], answer: _Answer) -> None:
    if isinstance(model := chunk.get("model"), str):
        answer.model = model or answer.model
    if isinstance(provider := chunk.get("provider"), str):
        answer.provider = provider or answer.provider


def _conclude(answer: _Answer) -> Closed:
    error, status = answer.error, "error"
    if error is None and answer.finish_reason == "error":
        error = fault_of_error({"message": "the provider reported an error"}, began=answer.began)
    elif error is None and answer.finish_reason is None:
        error, status = _truncated(answer), "partial"
    elif error is None:
        status = "ok"
    elif isinstance(error, RefusedError) and not answer.began and not _cost_something(answer):
        status = "refused"  # HTTP 200 around a refusal
    if error is not None and _cost_something(answer):
        error.billed = "It was billed."
    return Closed(
        status=_checked(status),
        error=error,
        finish_reason=answer.finish_reason,
        model=answer.model,
        provider=answer.provider,
        generation_id=answer.generation_id,
    )


def _cost_something(answer: _Answer) -> bool:
    return bool(answer.usage and answer.usage.cost_usd)


def _checked(status: str) -> Status:
    statuses: dict[str, Status] = {"ok": "ok", "partial": "partial", "error": "error", "refused": "refused"}
    return statuses[status]


def _truncated(answer: _Answer) -> TruncatedError:
    came = "; what came is kept" if answer.began else ", and nothing had come"
    return TruncatedError(f"The answer ended before it was finished{came}.", "Run it again.")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
