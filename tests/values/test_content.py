"""Content parts: fragments of any cut join to the whole, in order, in proportion, and nothing is told twice."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic import content
from or_magic.content import (
    KINDS,
    Audio,
    Citation,
    File,
    Image,
    ParsedFile,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
    join,
)
from or_magic.content.data_url import data_url, split_data_url
from or_magic.content.reasoning import read_details
from or_magic.values import Reply


def _cut(text: str, places: list[int]) -> list[str]:
    ends = [*sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


CUTS = st.lists(st.integers(0, 999), max_size=8)


@given(st.text(), CUTS)
def test_text_of_any_cut_is_the_whole_text(text: str, places: list[int]) -> None:
    """Also inside a character that Python holds in two halves."""
    assert (Text(text),) == join(Text(piece) for piece in _cut(text, places))


@given(st.text(), CUTS)
def test_thoughts_of_any_cut_are_the_whole_thought(text: str, places: list[int]) -> None:
    """Words for people and pieces for the model."""
    whole = {"type": "reasoning.text", "text": text, "format": None, "index": 0, "signature": "s"}
    pieces = [{"type": "reasoning.text", "text": piece, "format": None, "index": 0} for piece in _cut(text, places)]
    pieces.append({"type": "reasoning.text", "signature": "s", "index": 0})
    (part,) = join([fragment for piece in pieces for fragment in read_details([piece])])
    assert isinstance(part, Reasoning)
    assert text == part.text
    assert [whole] == [dict(detail) for detail in part.details]


@given(st.binary(), CUTS)
def test_sound_of_any_cut_is_the_whole_sound(sound: bytes, places: list[int]) -> None:
    """Base64 is cut at any character."""
    (part,) = join([Audio(), *(Audio(piece) for piece in _cut(base64.b64encode(sound).decode(), places))])
    assert isinstance(part, Audio)
    assert sound == part.data


@given(st.lists(st.sampled_from(["text", "refusal", "reasoning", "image", "citation", "tool_call"]), max_size=20))
def test_any_mixture_keeps_every_word_of_each_kind_in_order(kinds: list[str]) -> None:
    """Kinds arrive shuffled together."""
    parts: list[Part] = []
    for number, kind in enumerate(kinds):
        made: dict[str, Part] = {
            "text": Text(f"{number} "),
            "refusal": Text(f"{number} ", refusal=True),
            "reasoning": Reasoning(f"{number} "),
            "image": Image(url=f"https://x/{number}"),
            "citation": Citation(f"https://x/{number % 3}"),
            "tool_call": ToolCall(number % 2, f"id{number % 2}", "f", f"{number} "),
        }
        parts.append(made[kind])
    whole = join(parts)
    for refusal in (False, True):
        expected = [part.text for part in parts if isinstance(part, Text) and part.refusal is refusal]
        assert "".join(expected) == "".join(
            [part.text for part in whole if isinstance(part, Text) and part.refusal is refusal]
        )
    reply = Reply(whole)
    assert "".join([part.text for part in parts if isinstance(part, Reasoning)]) == reply.reasoning
    assert tuple(part for part in parts if isinstance(part, Image)) == reply.images.parts
    assert len({part.url for part in parts if isinstance(part, Citation)}) == len(reply.citations)
    for call in reply.tool_calls:
        assert (
            "".join([p.arguments for p in parts if isinstance(p, ToolCall) and p.index == call.index]) == call.arguments
        )


@given(
    st.lists(
        st.sampled_from(
            [Text("a"), Reasoning("b"), Image(url="https://x"), Citation("https://y"), ToolCall(0, "c", "f", "{")]
        )
    )
)
def test_joining_twice_is_joining_once(parts: list[Part]) -> None:
    """A reply that is looked at twice says the same."""
    assert join(parts) == join(join(parts))


def test_text_around_pictures_stays_around_them() -> None:
    """A story with pictures is not a text and then pictures."""
    one, two = Image(url="https://1"), Image(url="https://2")
    parts = [Text("a"), Text("b"), one, Text("c"), two, one, Text("d"), Text("e")]
    assert (Text("ab"), one, Text("c"), two, one, Text("de")) == join(parts)


def test_citations_and_thoughts_between_words_do_not_cut_the_text() -> None:
    """They come in the middle of a sentence."""
    parts = [
        Text("a"),
        Citation("https://x", "X"),
        Text("b"),
        Reasoning("hm"),
        Text("c"),
        ToolCall(0, "c", "f"),
        Text("d"),
    ]
    assert [Text("abcd"), Citation("https://x", "X"), Reasoning("hm"), ToolCall(0, "c", "f")] == list(join(parts))


def test_what_a_stream_does_not_cut_passes_through() -> None:
    """Parts of a question and results of tools."""
    parts: list[Part] = [File(data=b"x"), ToolResult("c", "r"), Video(url="https://v"), ToolResult("c", "r")]
    assert parts == list(join(parts))
    assert () == join([])


def test_a_page_told_again_is_told_once_with_all_that_was_told() -> None:
    """Neither telling need be complete."""
    pages = [
        Citation("https://a", "", "long", 3, 4),
        Citation("https://b"),
        Citation("https://a", "A"),
        Citation("https://a", "B", ""),
    ]
    first, second = join(pages)
    assert Citation("https://b") == second
    assert isinstance(first, Citation)
    assert ("https://a", "A", "long", 3, 4) == (first.url, first.title, first.content, first.start, first.end)


def test_a_file_told_again_is_told_once() -> None:
    """By all that it holds."""
    one, two = ParsedFile({"type": "file", "file": {"hash": "1"}}), ParsedFile({"type": "file", "file": {"hash": "2"}})
    assert (one, two) == join([one, two, one, ParsedFile(dict(one.annotation))])


# --- data URLs ---------------------------------------------------------------------------------------------------


@given(st.from_regex(r"[a-z]{1,12}/[a-z0-9.+-]{1,20}(;charset=[a-z0-9-]{1,8})?", fullmatch=True), st.binary())
def test_a_data_url_there_and_back_is_the_same(media_type: str, data: bytes) -> None:
    """Bytes and their kind."""
    assert (media_type, data) == split_data_url(data_url(media_type, data))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data:",
        "data:,x",
        "data:image/png,AAAA",
        "data:image/png;base64",
        "data:image/png;base64,A",
        "data:image/png;base64,é",
        "data:image/png;base64,A A=",
        "https://x/y,z",
        "xdata:image/png;base64,AAAA",
    ],
)
def test_what_is_no_whole_data_url_is_none(url: str) -> None:
    """Better a link than wrong bytes."""
    assert split_data_url(url) is None


def test_a_data_url_without_a_type_is_bytes_of_no_known_kind() -> None:
    """The type may be left out."""
    assert ("application/octet-stream", b"\0\0\0") == split_data_url("data:;base64,AAAA")
    assert ("image/png", b"") == split_data_url("data:image/png;base64,")


# --- in proportion -----------------------------------------------------------------------------------------------


class Counted(str):
    """Text that counts how often it is copied into something longer."""

    __slots__ = ()
    copies = 0

    def __add__(self, other: str) -> Counted:
        Counted.copies += len(self)
        return Counted(str(self) + other)


def test_joining_costs_in_proportion_to_the_fragments() -> None:
    """Repeated ``+`` over 100,000 fragments took 15.9 s against 0.17 s; here no fragment is ever copied by ``+``."""
    for make in (Text, Reasoning, lambda piece: ToolCall(0, "c", "f", piece), lambda piece: Audio(piece)):
        Counted.copies = 0
        (part,) = join(make(Counted("abcd")) for _ in range(20_000))
        assert "abcd" * 20_000 in (getattr(part, name, None) for name in ("text", "arguments", "base64"))
        assert 0 == Counted.copies


# --- the table of kinds ------------------------------------------------------------------------------------------


def test_every_kind_that_can_be_cut_has_a_row_and_its_name() -> None:
    """Growth touches one place."""
    for name, kind in KINDS.items():
        assert name == kind.type.kind
    assert all(hasattr(content, name) for name in content.__all__)


def test_readers_take_any_value_without_raising() -> None:
    """Fields of a delta are whatever a server sends."""
    rng = random.Random(0)
    values: list[Any] = [
        None,
        0,
        1.5,
        True,
        "",
        "x",
        [],
        [None],
        [0],
        [[]],
        ["x"],
        {},
        {"x": 1},
        [{}],
        [{"type": None}],
        b"x",
        object(),
    ]
    for reader in content.READERS.values():
        for value in values:
            assert all(hasattr(part, "kind") for part in reader(value))
        assert all(hasattr(part, "kind") for part in reader([rng.choice(values) for _ in range(50)]))


def test_parts_do_not_print_their_bytes() -> None:
    """A megabyte in a traceback helps nobody."""
    secret = b"\x01" * 5000
    for part in (
        Image(data=secret),
        File(data=secret),
        Video(data=secret),
        Audio(base64="A" * 5000),
        Citation("https://x", content="A" * 5000),
    ):
        assert len(repr(part)) < 300
