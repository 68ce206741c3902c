"""Decoding junk: any JSON value in the place of any other raises nothing and never makes an answer complete."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from or_magic import neutral
from or_magic.errors import CallError, OrMagicError
from or_magic.events import Metered, Opened, Piece
from or_magic.protocol.encode import encode
from or_magic.values import Message, Request

from .streams import Told, read, read_whole, say, sse

DETAIL = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "f", "id": "i", "index": 0}
PAGE = {
    "type": "url_citation",
    "url_citation": {"url": "https://a", "title": "A", "content": "c", "start_index": 0, "end_index": 1},
}
FILE = {"type": "file", "file": {"hash": "h", "name": "n", "content": [{"type": "text", "text": "t"}]}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
PICTURE = {"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AAAA"}}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "total_tokens": 7,
    "cost": 0.5,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": 0.5},
    "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
ERROR = {
    "code": 429,
    "message": "Provider returned error",
    "error_type": "rate_limit_exceeded",
    "metadata": {
        "error_type": "x",
        "provider_name": "P",
        "raw": '{"error": {"message": "slow down"}}',
        "reasons": ["r"],
    },
    "availability": {"code": "x", "retryable": True, "retry_after": 3, "fallback_models": ["a/b", "c/d"]},
}


def _seed(*, error: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return a stream that holds every field we read, once."""
    rich = say(
        "a", reasoning="hm", reasoning_details=[DETAIL], refusal="no", images=[PICTURE], annotations=[PAGE, FILE]
    )
    rich["choices"][0]["delta"] |= {"tool_calls": [CALL], "audio": {"id": "x", "data": "AAAA", "transcript": "t"}}
    chunks = [say("hi"), rich, say("", finish="stop"), say("") | {"usage": USAGE}]
    return [*chunks[:2], say("", finish="error") | {"error": error}, *chunks[2:]] if error else chunks


SEEDS = {
    "an answer": _seed(),
    "an error in the middle": _seed(error=ERROR),
    "an error at once": [{"error": ERROR}],
    "an error in a choice": [{"choices": [{"index": 0, "error": ERROR, "finish_reason": "error"}]}],
}
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    7.5,
    1e300,
    10**18,
    10**400,
    "",
    "x",
    "0",
    "error",
    "\0\x1b[2J\u202e",
    "🙂" * 3,
    "[DONE]",
    [],
    [None],
    [[]],
    ["x"],
    [7],
    [{}],
    {},
    {"x": 1},
    {"text": 7},
    {"error": 7},
    {"url": {}},
    [{"index": "x"}],
    [{"index": -1}],
    {"message": []},
    "9" * 5000,
    "[" * 2000,
    '{"error":{"message":{"a":1}}}',
    '{"a":' * 900 + "1" + "}" * 900,
]


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*at, key))


def _with(chunks: list[Any], path: tuple[Any, ...], value: Any, *, drop: bool = False) -> list[Any]:
    changed = copy.deepcopy(chunks)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


def _reasons(chunks: list[Any]) -> list[str]:
    """Return the finish reasons that the chunks really hold, in the place where they count."""
    found = []
    for chunk in chunks:
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else []:
            reason = choice.get("finish_reason") if isinstance(choice, dict) else None
            found += [reason] if isinstance(reason, str) and reason else []
    return found


def _is_sane(told: Told, chunks: list[Any]) -> None:
    """Check what holds for every answer, whatever came."""
    closed = told.closed
    assert closed.status in ("ok", "partial", "error", "refused")
    assert (closed.status == "ok") == (closed.error is None)
    if closed.status == "ok":
        assert [reason for reason in _reasons(chunks) if reason != "error"]
        assert not any(isinstance(chunk, dict) and chunk.get("error") for chunk in chunks)
    if closed.error is not None:
        assert isinstance(closed.error, CallError)
        assert neutral.line(str(closed.error)) == str(closed.error)  # nothing that a terminal would obey
        assert len(str(closed.error)) < 1500
        assert all(str(word) for word in (closed.error.label, repr(closed.error)))
    assert sum(isinstance(item, Opened) for item in told.events) <= 1
    assert sum(isinstance(item, Metered) for item in told.events) <= 1
    _has_types(told)
    body = encode(Request("some/model-2026", (Message("assistant", told.reply.parts),)))
    json.dumps(body, default=_number)


def _number(value: object) -> float:
    assert isinstance(value, Decimal)
    return float(value)


def _has_types(told: Told) -> None:
    reply = told.reply
    texts = (reply.text, reply.reasoning, *(piece.part.kind for piece in told.events if isinstance(piece, Piece)))
    assert all(isinstance(text, str) for text in texts)
    for optional in (reply.model, reply.provider, reply.id, reply.finish_reason):
        assert optional is None or isinstance(optional, str)
    if reply.usage is not None:
        assert reply.cost_usd is None or (type(reply.cost_usd) is Decimal and 0 <= reply.cost_usd < 10**6)
        counts = (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens)
        assert all(count is None or type(count) is int for count in counts)
    for call in reply.tool_calls:
        assert call.index is None or isinstance(call.index, int)
        assert isinstance(call.arguments, str)
        assert call.name is None or isinstance(call.name, str)
    for page in reply.citations:
        assert all(isinstance(text, str) for text in (page.url, page.title, page.content))
    for image in reply.images.parts:
        assert isinstance(image.url or image.data, str | bytes)


@pytest.mark.parametrize("name", SEEDS)
def test_every_hostile_value_in_every_place_is_taken_calmly(name: str) -> None:
    """Exhaustive over the fields we read: no exception, one end, and no complete answer without its reason."""
    seed = SEEDS[name]
    tried = 0
    for path in _paths(seed):
        for value in VALUES:
            changed = _with(seed, path, value)
            _is_sane(read(sse(*(json_event(chunk) for chunk in changed))), changed)
            tried += 1
        changed = _with(seed, path, None, drop=True)
        _is_sane(read(sse(*(json_event(chunk) for chunk in changed))), changed)
    assert tried > 300


def json_event(chunk: object) -> bytes:
    """Return any JSON value as an event."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_every_hostile_value_in_every_place_of_a_whole_answer_is_taken_calmly() -> None:
    """The same fields, not streamed."""
    message = SEEDS["an answer"][1]["choices"][0]["delta"]
    whole = {
        "id": "gen-1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    for path in _paths([whole]):
        for value in VALUES:
            (changed,) = _with([whole], path, value)
            _is_sane(read_whole(json.dumps(changed).encode()), [changed])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["error", "stop", "call_1", "[DONE]", "data:image/png;base64,!!", "https://a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "index", "text", "url", "function", "arguments", "name", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_any_json_in_any_places_is_taken_calmly(name: str, data: st.DataObject) -> None:
    """What nobody thought of: up to three places at once, any value."""
    changed: list[Any] = SEEDS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(_paths(changed)) or [(0,)]))
        changed = _with(changed, path, data.draw(JSON)) if changed else [data.draw(JSON)]
    _is_sane(read(sse(*(json_event(chunk) for chunk in changed))), changed)


def test_the_seeds_themselves_are_what_they_say() -> None:
    """A seed that was broken from the start would test nothing."""
    told = read(sse(*(json_event(chunk) for chunk in SEEDS["an answer"])))
    assert ("ok", "hia") == (told.closed.status, told.reply.text.removesuffix("no"))
    assert {"text", "reasoning", "image", "citation", "parsed_file", "tool_call", "audio"} == {
        part.kind for part in told.reply.parts
    }
    assert Decimal("0.5") == told.reply.cost_usd
    assert "error" == read(sse(*(json_event(chunk) for chunk in SEEDS["an error in the middle"]))).closed.status
    assert "refused" == read(sse(*(json_event(chunk) for chunk in SEEDS["an error at once"]))).closed.status
    assert issubclass(CallError, OrMagicError)
