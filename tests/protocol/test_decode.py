"""Decoding: every state that an answer can be in when its bytes end, and nothing taken for what it is not."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from or_magic.content import Audio, Citation, Image, ParsedFile, Text
from or_magic.errors import (
    CallError,
    ForbiddenError,
    PaymentError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    TruncatedError,
    UnknownModelError,
)
from or_magic.events import Metered, Notice, Opened, Piece
from or_magic.protocol.decode import money, parse_json, usage_of
from or_magic.protocol.sse import Comment

from .streams import event, read, read_whole, say, sse, usage

COST = Decimal("0.00001234567890123")


def _meter(cost: str = "0.5", **more: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": float(cost)} | more}


# --- the end of an answer ----------------------------------------------------------------------------------------


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


# --- usage -------------------------------------------------------------------------------------------------------


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
    assert (3, 4) == (told.reply.usage.prompt_tokens, told.reply.usage.completion_tokens)  # type: ignore[union-attr]


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
    assert 4 == told.reply.usage.completion_tokens  # type: ignore[union-attr]
    assert 1 == sum(isinstance(item, Metered) for item in told.events)


@pytest.mark.parametrize("later", [{}, {"cost": None}, {"prompt_tokens": None, "cost": None, "cost_details": None}])
def test_later_usage_that_knows_less_undoes_nothing(later: dict[str, Any]) -> None:
    """openai-agents#2126: a later None overwrote the figures."""
    told = read(sse(say("x", finish="stop") | _meter(), say("") | {"usage": later}, say("") | {"usage": None}))
    assert Decimal("0.5") == told.reply.cost_usd
    assert 3 == told.reply.usage.prompt_tokens  # type: ignore[union-attr]


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


# --- errors ------------------------------------------------------------------------------------------------------


def _error(code: object = 502, message: str = "it fell over", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message} | more}


@pytest.mark.parametrize("code", [502, 400, 429, "server_error", "502", None, 0, 1.5, {"a": 1}, [1]], ids=repr)
@pytest.mark.parametrize("finish", ["error", None, "stop"])
def test_an_error_after_the_first_word_is_an_error_with_the_words_kept(code: object, finish: str | None) -> None:
    """Codes are numbers, names or missing; the presence of ``error`` decides, not the finish reason."""
    told = read(sse(say("some"), say("", finish=finish) | _error(code)))
    assert ("error", "some") == (told.closed.status, told.reply.text)
    assert isinstance(told.closed.error, ProviderError)
    assert "it fell over" in str(told.closed.error)
    assert "nothing was billed" not in str(told.closed.error)


def test_an_error_without_any_code_is_an_error() -> None:
    """Availability errors have none."""
    told = read(sse(say("some"), {"error": {"message": "gone"}}))
    assert ("error", None) == (told.closed.status, told.closed.error.status_code)  # type: ignore[union-attr]


def test_an_error_inside_a_choice_is_an_error() -> None:
    """The openai SDK takes it for a success."""
    chunk = say("", finish="stop")
    chunk["choices"][0]["error"] = {"code": 502, "message": "inside"}
    told = read(sse(say("some"), chunk))
    assert "error" == told.closed.status
    assert "inside" in str(told.closed.error)


def test_an_error_chunk_keeps_its_usage() -> None:
    """The openai SDK loses the rest of that chunk; it is the only one with the money."""
    told = read(sse(say("some"), say("", finish=None) | _error() | _meter()))
    assert ("error", Decimal("0.5")) == (told.closed.status, told.reply.cost_usd)


def test_usage_after_an_error_is_still_read() -> None:
    """A failed answer costs as well."""
    told = read(sse(say("some"), _error(), say("") | _meter()))
    assert ("error", Decimal("0.5")) == (told.closed.status, told.reply.cost_usd)


def test_the_first_error_is_the_one_that_is_told() -> None:
    """What follows is its consequence."""
    told = read(sse(say("some"), _error(message="first"), _error(message="second")))
    assert "first" in str(told.closed.error)


@pytest.mark.parametrize("error", ["boom", 7, ["boom"], True, {"message": None}, {"code": None}, {"metadata": 7}])
def test_an_error_of_any_shape_is_an_error(error: object) -> None:
    """Its presence decides."""
    told = read(sse(say("some", finish="stop"), {"error": error}))
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, CallError)


def test_a_null_error_is_none() -> None:
    """Some servers send the field always."""
    assert "ok" == read(sse(say("some", finish="stop") | {"error": None})).closed.status


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (402, PaymentError),
        (403, ForbiddenError),
        (404, UnknownModelError),
        (429, RateLimitedError),
        (400, RefusedError),
    ],
)
def test_a_refusal_inside_http_200_is_a_refusal(code: int, kind: type[CallError]) -> None:
    """Nothing ran, in a stream as in a whole answer."""
    for told in (read(sse(_error(code))), read_whole(_error(code))):
        assert "refused" == told.closed.status
        assert kind is type(told.closed.error)
        assert "Nothing ran and nothing was billed." in str(told.closed.error)


def test_a_refusal_that_was_billed_is_not_called_free() -> None:
    """The code says refused, the usage says money: the money is right."""
    for told in (
        read(sse(_error(429) | _meter())),
        read(sse(_error(429), say("") | _meter())),
        read_whole(_error(429) | _meter()),
    ):
        assert Decimal("0.5") == told.reply.cost_usd
        assert "error" == told.closed.status
        assert "nothing was billed" not in str(told.closed.error)


def test_a_server_error_inside_http_200_is_an_error() -> None:
    """The provider failed before the first word."""
    for told in (read(sse(_error(502))), read_whole(_error(502))):
        assert "error" == told.closed.status
        assert isinstance(told.closed.error, ProviderError)


def test_html_instead_of_an_answer_is_not_the_protocol() -> None:
    """A proxy or an edge answered, with status 200."""
    page = b"<!DOCTYPE html><html><head><title>Welcome to\nnginx</title></head></html>"
    told = read_whole(page)
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, ProtocolError)
    assert "Welcome to nginx" in str(told.closed.error)
    assert "ok" != read(page + b"\n\n").closed.status


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"null", b"[]", b'"hi"', b"7", b"{}", b'{"choices": null}', b'{"choices": 7}', b"\xff\xfe"]
)
def test_a_whole_answer_without_choices_is_never_complete(body: bytes) -> None:
    """HTTP 200 promises nothing."""
    told = read_whole(body)
    assert told.closed.status in ("error", "partial")
    assert told.closed.error is not None


def test_leading_blanks_before_a_whole_answer_do_no_harm() -> None:
    """Reported of old as keep-alive of long answers."""
    body = {"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}]}
    assert "ok" == read_whole(b"  \n\n " + json.dumps(body).encode()).closed.status


@pytest.mark.parametrize(
    "payload", [b"{", b"null", b"[]", b"7", b'"text"', b"{}}", b'{"a":' * 250, b"\xff", b"undefined"], ids=repr
)
def test_a_chunk_that_cannot_be_read_is_an_error_and_reading_goes_on(payload: bytes) -> None:
    """The text has a hole, but the usage may still come."""
    told = read(sse(say("a"), b"data: " + payload + b"\n\n", say("b", finish="stop"), usage()))
    assert "error" == told.closed.status
    assert isinstance(told.closed.error, ProtocolError)
    assert ("ab", COST) == (told.reply.text, told.reply.cost_usd)


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    """As the standard of event streams says; the rest of the answer is whole."""
    raw = sse(say("a@b", finish="stop")).replace(b"a@b", b"a\xffb")
    told = read(raw)
    assert ("ok", "a\ufffdb") == (told.closed.status, told.reply.text)


# --- choices and deltas ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choices", [None, [], {}, "x", 7, [None], [7], ["x"], [[]], [{}], [{"delta": None}], [{"delta": []}]], ids=repr
)
def test_choices_of_any_shape_do_no_harm(choices: object) -> None:
    """Never index ``choices[0]`` unchecked."""
    told = read(sse(say("a"), say("") | {"choices": choices}, say("b", finish="stop")))
    assert ("ok", "ab") == (told.closed.status, told.reply.text)


def test_chunks_without_choices_do_no_harm() -> None:
    """Debug chunks and unknown events of the gateway."""
    told = read(sse({"id": "gen-1-abc", "debug": {"x": 1}}, {"type": "ping"}, {}, say("a", finish="stop")))
    assert ("ok", "a") == (told.closed.status, told.reply.text)


def test_a_second_choice_does_not_mix_with_the_first() -> None:
    """One answer is asked for; two interleaved texts would be neither."""
    second = say(" MIXED ", finish="stop")
    second["choices"][0]["index"] = 1
    told = read(sse(say("a"), second, say("b", finish="length")))
    assert ("ab", "length") == (told.reply.text, told.closed.finish_reason)


@pytest.mark.parametrize("index", [None, "0", "missing", 0])
def test_a_choice_whose_index_is_zero_in_any_spelling_is_the_answer(index: object) -> None:
    """Other servers leave it out."""
    chunk = say("a", finish="stop")
    chunk["choices"][0] |= {"index": index}
    if index == "missing":
        del chunk["choices"][0]["index"]
    assert "a" == read(sse(chunk)).reply.text


def test_content_as_a_list_of_parts_is_read() -> None:
    """Mistral and other servers send it so."""
    content = [
        {"type": "text", "text": "a"},
        {"type": "thinking"},
        None,
        7,
        {"type": "text", "text": "b"},
        {"text": None},
    ]
    assert "ab" == read(sse(say(content, finish="stop"))).reply.text  # type: ignore[arg-type]  # that is the point


def test_a_refusal_is_marked_and_kept_apart() -> None:
    """It is text the model marks as such."""
    told = read(sse(say("a"), say(None, refusal="I will "), say(None, refusal="not."), say("", finish="stop")))
    assert (Text("a"), Text("I will not.", refusal=True)) == told.reply.parts


def test_pictures_in_a_delta_and_in_a_message_are_read() -> None:
    """With and without an index; content may be null beside them."""
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    images = [
        {"type": "image_url", "image_url": {"url": url}},
        {"image_url": {"url": "https://x/y.png"}},
        {},
        None,
        {"image_url": 7},
    ]
    expected = (Image(data=b"\x89PNG", media_type="image/png"), Image(url="https://x/y.png"))
    assert expected == read(sse(say(None, finish="stop", images=images))).reply.images
    message = {"role": "assistant", "content": None, "images": images}
    assert expected == read_whole({"choices": [{"message": message, "finish_reason": "stop"}]}).reply.images


def test_sound_cut_at_any_character_is_the_same_sound() -> None:
    """Base64 text is cut without regard to its groups of four."""
    sound = bytes(range(256))
    text = base64.b64encode(sound).decode()
    for place in range(len(text) + 1):
        pieces = [
            {"id": "audio_1", "data": text[:place], "transcript": "hel"},
            {"data": text[place:], "transcript": "lo"},
        ]
        told = read(sse(*(say(None, audio=piece) for piece in pieces), say("", finish="stop")))
        audio = told.reply.audio
        assert isinstance(audio, Audio)
        assert (sound, "hello", "audio_1") == (audio.data, audio.transcript, audio.id)


def test_sound_in_pieces_that_are_base64_each_is_whole() -> None:
    """OpenAI's own pieces can each be padded; everything after the first padding must not vanish."""
    pieces = [base64.b64encode(piece).decode() for piece in (b"a", b"bc", b"def", b"g")]
    told = read(sse(*(say(None, audio={"data": piece}) for piece in pieces), say("", finish="stop")))
    assert b"abcdefg" == told.reply.audio.data  # type: ignore[union-attr]


def test_sound_that_was_cut_short_is_kept_as_far_as_it_goes() -> None:
    """A partial answer keeps what came, words and sound alike."""
    text = base64.b64encode(b"abcdefghi").decode()[:-1]
    told = read(sse(say(None, audio={"data": text})))
    assert told.reply.audio.data.startswith(b"abcdef")  # type: ignore[union-attr]


def test_citations_are_told_once_and_files_are_kept_as_they_came() -> None:
    """They come early, in several deltas, and repeat."""
    page = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "content": "x", "start_index": 0},
    }
    again = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "", "start_index": 4, "end_index": 9},
    }
    other = {"type": "url_citation", "url_citation": {"url": "https://b"}}
    file = {"type": "file", "file": {"hash": "h", "name": "n", "content": [{"type": "text", "text": "t"}], "new": 1}}
    odd = [
        None,
        7,
        {},
        {"type": "file"},
        {"type": "url_citation"},
        {"type": "url_citation", "url_citation": {"url": 7}},
    ]
    told = read(
        sse(say("", annotations=[page, file, *odd]), say("a"), say("", finish="stop", annotations=[again, other, file]))
    )
    assert ["https://a", "https://b"] == [citation.url for citation in told.reply.citations]
    assert Citation("https://a", "A", "x", 0, None) == told.reply.citations[0]
    assert [file] == [part.to_json() for part in told.reply.parts if isinstance(part, ParsedFile)]


def test_a_page_told_first_without_title_keeps_its_content() -> None:
    """Neither telling has all of it."""
    first = {"type": "url_citation", "url_citation": {"url": "https://a", "content": "long"}}
    again = {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A"}}
    (citation,) = read(sse(say("", annotations=[first]), say("", finish="stop", annotations=[again]))).reply.citations
    assert ("A", "long") == (citation.title, citation.content)


def test_thoughts_told_twice_in_a_chunk_are_printed_once() -> None:
    """``reasoning`` and ``reasoning_details`` carry the same text."""
    detail = {"type": "reasoning.text", "text": "hm", "index": 0}
    both = {"reasoning": "hm", "reasoning_details": [detail]}
    for delta in (both, dict(reversed(both.items())), both | {"reasoning_content": "hm"}):
        told = read(sse(say("", **delta), say("", **delta), say("a", finish="stop")))
        assert ("hmhm", "a") == (told.reply.reasoning, told.reply.text)


def test_thoughts_without_details_are_printed() -> None:
    """vLLM and DeepSeek say ``reasoning_content``; encrypted details have no text."""
    sealed = [{"type": "reasoning.encrypted", "data": "x", "index": 0}]
    for delta in ({"reasoning": "hm"}, {"reasoning_content": "hm"}, {"reasoning": "hm", "reasoning_details": sealed}):
        assert "hm" == read(sse(say("", **delta), say("a", finish="stop"))).reply.reasoning


def test_one_chunk_may_carry_the_last_thought_and_the_first_word() -> None:
    """Neither is lost, and thoughts stay before words."""
    told = read(sse(say("a", reasoning="hm"), say("b", finish="stop")))
    assert ("hm", "ab") == (told.reply.reasoning, told.reply.text)


def test_reasoning_of_an_attempt_names_the_model_that_made_it() -> None:
    """Another model must not be sent it."""
    (part, _) = read(sse(say("", reasoning="hm"), say("a", finish="stop"))).reply.parts
    assert "some/model-2026" == part.model  # type: ignore[union-attr]


# --- names and order ---------------------------------------------------------------------------------------------


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


# --- JSON --------------------------------------------------------------------------------------------------------


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
