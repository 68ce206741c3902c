"""Decoding choices and deltas: every kind of part in every shape that servers send."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest

from or_magic.content import Audio, Citation, Image, ParsedFile, Text

from .streams import read, read_whole, say, sse

COST = Decimal("0.00001234567890123")


def _meter(cost: str = "0.5", **more: Any) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": float(cost)} | more}


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
    assert "ab" == read(sse(say(content, finish="stop"))).reply.text


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
    assert expected == read(sse(say(None, finish="stop", images=images))).reply.images.parts
    message = {"role": "assistant", "content": None, "images": images}
    assert expected == read_whole({"choices": [{"message": message, "finish_reason": "stop"}]}).reply.images.parts


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
        (part,) = told.reply.parts
        assert isinstance(part, Audio)
        assert (sound, "hello", "audio_1") == (part.data, part.transcript, part.id)


def test_sound_in_pieces_that_are_base64_each_is_whole() -> None:
    """OpenAI's own pieces can each be padded; everything after the first padding must not vanish."""
    pieces = [base64.b64encode(piece).decode() for piece in (b"a", b"bc", b"def", b"g")]
    told = read(sse(*(say(None, audio={"data": piece}) for piece in pieces), say("", finish="stop")))
    assert b"abcdefg" == told.reply.audio


def test_sound_that_was_cut_short_is_kept_as_far_as_it_goes() -> None:
    """A partial answer keeps what came, words and sound alike."""
    text = base64.b64encode(b"abcdefghi").decode()[:-1]
    told = read(sse(say(None, audio={"data": text})))
    assert told.reply.audio.startswith(b"abcdef")


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
    assert "some/model-2026" == part.model
