"""Decoding: when an answer is complete, who gave it, and what it took."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from or_magic.content import Text
from or_magic.errors import (
    ProtocolError,
    ProviderError,
    TruncatedError,
)
from or_magic.events import Metered, Notice, Opened, Piece
from or_magic.protocol.decode import money, parse_json, usage_of
from or_magic.protocol.sse import Comment

from .streams import event, read, read_whole, say, sse, usage

COST = Decimal("0.00001234567890123")


def _meter(cost: str = "0.5", **more: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": float(cost)} | more}


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls", "a_new_one"])
def test_a_finish_reason_makes_an_answer_complete(reason: str) -> None:
    """``length`` and ``content_filter`` are complete, and shown; the list of reasons grows."""
    told = read(sse(say("hi"), say("", finish=reason)))
    assert ("ok", reason, None) == (told.closed.status, told.closed.finish_reason, told.closed.error)


def test_an_end_without_finish_reason_is_partial() -> None:
    """``[DONE]`` is the end of the bytes, not of the answer."""
    told = read(sse(say("half an ans")))
    assert "partial" == told.closed.status
    assert isinstance(told.closed.error, TruncatedError)
    assert "half an ans" == told.reply.text
    assert "What it cost is not known yet." in str(told.closed.error)


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"data: [DONE]\n\n", b": OPENROUTER PROCESSING\n\n", b"data: \n\n"])
def test_a_stream_of_nothing_is_partial(raw: bytes) -> None:
    """The worst truncation is the one that leaves nothing to see."""
    told = read(raw)
    assert ("partial", "") == (told.closed.status, told.reply.text)
    assert "nothing had come" in str(told.closed.error)


def test_a_finish_reason_without_the_end_mark_is_complete() -> None:
    """What the connection does after the last word does not matter."""
    assert "ok" == read(sse(say("hi", finish="stop"), done=False)).closed.status


def test_a_finish_reason_in_an_event_without_its_blank_line_is_not_seen() -> None:
    """It may be half of an event."""
    raw = sse(say("hi"), say("", finish="stop"), done=False)
    assert "partial" == read(raw.rstrip(b"\n")).closed.status
    assert "partial" == read(raw[:-1]).closed.status


def test_a_later_null_does_not_undo_a_finish_reason() -> None:
    """Recorded in 2025: the usage chunk repeats the choice with a null."""
    told = read(sse(say("hi", finish="length"), say("", finish=None) | _meter()))
    assert ("ok", "length") == (told.closed.status, told.closed.finish_reason)


def test_an_error_as_finish_reason_is_an_error_and_stays_one() -> None:
    """Whatever is told later."""
    for chunks in ([say("hi", finish="error")], [say("hi", finish="error"), say("", finish="stop")]):
        told = read(sse(*chunks))
        assert ("error", "error") == (told.closed.status, told.closed.finish_reason)
        assert isinstance(told.closed.error, ProviderError)


@pytest.mark.parametrize("reason", [5, 0.5, True, {"a": 1}, ["stop"], [], {}, "", 0, False])
def test_a_finish_reason_that_is_no_text_is_none(reason: object) -> None:
    """A cell never lies: junk does not make an answer complete."""
    chunk = say("hi")
    chunk["choices"][0]["finish_reason"] = reason
    told = read(sse(chunk))
    assert ("partial", None) == (told.closed.status, told.closed.finish_reason)


def test_what_comes_after_the_end_mark_is_not_read() -> None:
    """The body is drained elsewhere; its words are not the answer's."""
    assert "hi" == read(sse(say("hi", finish="stop")) + event(say("!"))).reply.text


@pytest.mark.parametrize(
    "last",
    [
        say("", finish=None) | _meter(),
        say("") | _meter() | {"choices": []},
        say("", finish="stop") | _meter(),
        {"id": "gen-1-abc"} | _meter(),
        {"id": "gen-1-abc", "choices": None} | _meter(),
    ],
    ids=["choice with null", "empty choices", "choice again", "no choices", "choices null"],
)
def test_usage_is_taken_from_any_shape_of_the_last_chunk(last: dict[str, Any]) -> None:
    """Three shapes were recorded; langchain lost the second, and with it the money."""
    told = read(sse(say("hi", finish="stop"), last))
    assert ("ok", "stop") == (told.closed.status, told.closed.finish_reason)
    assert Decimal("0.5") == told.reply.cost_usd
    assert (3, 4) == (told.reply.usage.prompt_tokens, told.reply.usage.completion_tokens)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_usage_may_come_before_the_last_chunk(place: int) -> None:
    """Where it stands is not promised."""
    chunks = [say("a"), say("b", finish="stop")]
    chunks.insert(place, say("") | _meter())
    told = read(sse(*chunks))
    assert ("ab", Decimal("0.5")) == (told.reply.text, told.reply.cost_usd)


def test_cumulative_usage_is_not_added_up() -> None:
    """langchain#31351: the last figures are the figures."""
    told = read(sse(*(say("x") | _meter(str(n / 8), completion_tokens=n) for n in range(1, 5)), say("", finish="stop")))
    assert Decimal("0.5") == told.reply.cost_usd
    assert 4 == told.reply.usage.completion_tokens
    assert 1 == sum(isinstance(item, Metered) for item in told.events)


@pytest.mark.parametrize("later", [{}, {"cost": None}, {"prompt_tokens": None, "cost": None, "cost_details": None}])
def test_later_usage_that_knows_less_undoes_nothing(later: dict[str, Any]) -> None:
    """openai-agents#2126: a later None overwrote the figures."""
    told = read(sse(say("x", finish="stop") | _meter(), say("") | {"usage": later}, say("") | {"usage": None}))
    assert Decimal("0.5") == told.reply.cost_usd
    assert 3 == told.reply.usage.prompt_tokens


def test_no_usage_is_unknown_and_a_cost_of_zero_is_zero() -> None:
    """0 and unknown are different sentences about money."""
    assert read(sse(say("x", finish="stop"))).reply.usage is None
    assert read(sse(say("x", finish="stop") | {"usage": {"prompt_tokens": 1}})).reply.cost_usd is None
    assert Decimal(0) == read(sse(say("x", finish="stop"), usage("0"))).reply.cost_usd
    assert Decimal(0) == read(sse(say("x", finish="stop"), usage("0.0"))).reply.cost_usd


def test_a_cost_keeps_every_digit_of_its_text() -> None:
    """A float has 15 to 17; sums drift."""
    for written in ("0.00001234567890123", "0.0076509169000000005", "1.86e-05", "0.1234567890123456789012345"):
        told = read(sse(say("x", finish="stop"), usage(written)))
        assert Decimal(written) == told.reply.cost_usd
        whole = json.dumps({"choices": [], "usage": {"cost": "COST"}}).replace('"COST"', written).encode()
        assert Decimal(written) == read_whole(whole).reply.cost_usd


@pytest.mark.parametrize(
    "written",
    [
        "1e999999999",
        "1e9999999999999999999999",
        "-1e999999999",
        "-0.01",
        "-1",
        '"0.5"',
        "true",
        "[0.5]",
        "{}",
        "null",
        "1e6",
        "9" * 4000,
    ],
    ids=lambda text: str(text)[:24],
)
def test_a_cost_that_cannot_be_is_unknown(written: str) -> None:
    """A broken number must not become money, nor break the ledger, and the words stay."""
    told = read(sse(say("x", finish="stop"), usage(written)))
    assert told.reply.cost_usd is None
    assert "x" == told.reply.text


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1", "1_0"])
def test_a_cost_that_is_no_json_makes_the_chunk_unreadable(written: str) -> None:
    """The usage is lost with it, so the answer cannot be called complete."""
    told = read(sse(say("x", finish="stop"), usage(written)))
    assert told.reply.cost_usd is None
    assert isinstance(told.closed.error, ProtocolError)
    assert "error" == told.closed.status


@pytest.mark.parametrize("value", [None, "7", 7.5, -1, 2**53, 10**30, True, [], {}])
def test_a_count_of_a_wrong_type_is_unknown(value: object) -> None:
    """It must not reach an INTEGER column."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    details = {
        "prompt_tokens_details": {"cached_tokens": value},
        "completion_tokens_details": {"reasoning_tokens": value},
    }
    told = usage_of(dict.fromkeys(names, value) | details)
    assert all(getattr(told, name) is None for name in (*names, "cached_tokens", "reasoning_tokens"))


def test_money_is_whole_numbers_and_decimals_and_nothing_else() -> None:
    """The boundary of money, by value."""
    assert Decimal(3) == money(3)
    assert Decimal("0.25") == money(Decimal("0.25"))
    for value in (True, 0.25, "1", None, -1, Decimal("-0.1"), Decimal("NaN"), Decimal("Infinity"), 10**6, 10**400):
        assert money(value) is None


def test_a_header_id_opens_before_any_byte_and_wins() -> None:
    """It is known even if the stream dies at once."""
    told = read(sse(say("a", finish="stop")), generation_id="gen-header")
    assert Opened("gen-header") == told.events[0]
    assert "gen-header" == told.closed.generation_id
    assert 1 == sum(isinstance(item, Opened) for item in told.events)
    assert (Opened("gen-header"),) == read(b"", generation_id="gen-header").events


@pytest.mark.parametrize("odd", [None, 7, "", [], {}])
def test_an_id_that_is_no_text_opens_nothing(odd: object) -> None:
    """A later chunk may tell it."""
    told = read(sse(say("a") | {"id": odd}, say("b", finish="stop")))
    assert ["gen-1-abc"] == [item.generation_id for item in told.events if isinstance(item, Opened)]


def test_an_id_that_is_told_late_loses_no_words() -> None:
    """The words before it belong to the same attempt."""
    told = read(sse(say("a") | {"id": None}, say("b", finish="stop")))
    assert ("ok", "ab", "gen-1-abc") == (told.reply.status, told.reply.text, told.reply.id)


def test_the_served_model_is_the_one_told_last_and_nulls_undo_nothing() -> None:
    """Fallbacks happen behind the gateway."""
    odd = {"model": None, "provider": None}
    told = read(sse(say("a"), say("") | {"model": "b/c", "provider": "P"}, say("", finish="stop") | odd))
    assert ("b/c", "P") == (told.reply.model, told.reply.provider)


def test_comments_are_notices_and_never_words() -> None:
    """They are shown as waiting."""
    told = read(sse("OPENROUTER PROCESSING", say("a"), "x", say("", finish="stop")))
    assert [Notice("waiting", "OPENROUTER PROCESSING"), Notice("waiting", "x")] == [
        item for item in told.events if isinstance(item, Notice)
    ]
    assert "a" == told.reply.text
    assert ("x",) == Comment("x")


def test_empty_pieces_are_not_told() -> None:
    """Each event costs a redraw; the gateway repeats ``content: ""`` for every thought."""
    told = read(
        sse(say(""), say("", tool_calls=[], images=[], annotations=[], reasoning=""), say("a"), say("", finish="stop"))
    )
    assert [Piece(Text("a"))] == [item for item in told.events if isinstance(item, Piece)]


def test_json_numbers_with_a_point_are_decimals_of_their_text() -> None:
    """Never through a float."""
    assert Decimal("0.1000") == parse_json(b"0.1000")
    assert "1.10" == str(parse_json(b"1.10"))
    assert 7 == parse_json(b"7")
    assert isinstance(parse_json(b"7"), int)


@pytest.mark.parametrize(
    "text", [b"[" * 300 + b"]" * 300, b"[" * 100_000, b'{"a":' * 100_000, b"", b"NaN", b"[1,]", b"{'a':1}", b"1 2"]
)
def test_what_is_no_json_is_a_value_error(text: bytes) -> None:
    """One error to catch, also for depth."""
    with pytest.raises(ValueError):
        parse_json(text)
