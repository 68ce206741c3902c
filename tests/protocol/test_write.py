"""Large bodies: the same JSON as ever, written with two copies of what is large."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic.content import Audio, File, Image, Part, Text, Video
from or_magic.protocol import write
from or_magic.protocol.encode import encode
from or_magic.protocol.write import HEAVY_BYTES, write_heavy
from or_magic.values import Message, Request

HEAVY = bytes(range(256)) * (HEAVY_BYTES // 256)
TEXTS = st.text(max_size=40) | st.sampled_from(["\0or_magic:0\0", '"\0or_magic:1\0"', "\\u0000or_magic:0\\u0000"])
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(
        Image, data=st.sampled_from([HEAVY, HEAVY + b"x", b"small"]), media_type=st.sampled_from(["image/png", 'a"b\\'])
    ),
    st.builds(File, filename=TEXTS, data=st.sampled_from([HEAVY, b"%PDF-"])),
    st.builds(Video, data=st.just(HEAVY)),
    st.builds(Image, url=TEXTS),
    st.just(Audio("AAAA", "wav")),
)
MESSAGES = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.lists(PARTS, max_size=5).map(tuple))


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=4), st.booleans())
@example([Message("user", (Text("\0or_magic:0\0"), Image(data=HEAVY)))], True)
@example([Message("user", (Image(url="\0or_magic:0\0"), Image(data=HEAVY)))], True)
def test_the_bytes_are_the_same_json(messages: list[Message], stream: bool) -> None:
    """Whatever stands in the texts: a prompt that looks like our own mark goes the long way."""
    try:
        json.dumps(request := Request("a/b", tuple(messages), {"seed": 1}, stream), default=str).encode()
        written = write_heavy(request)
        expected = json.loads(json.dumps(encode(request)))
    except UnicodeEncodeError:  # half a character cannot be sent at all
        return
    assert written is None or expected == json.loads(written)
    heavy = [
        part for message in messages for part in message.parts if getattr(part, "data", b"") and len(part.data) > 9
    ]  # type: ignore[union-attr]
    assert heavy or written is None


def test_one_picture_in_several_places_is_in_all_of_them() -> None:
    """As in a conversation that shows it again."""
    picture = Image(data=HEAVY)
    request = Request("a/b", (Message("user", (Text("a"), picture, picture)), Message("user", (picture, Text("b")))))
    written = write_heavy(request)
    assert written is not None
    assert encode(request) == json.loads(written)


@pytest.mark.parametrize("part", [Text("x" * HEAVY_BYTES * 2), Image(data=b"\x89PNG"), Image(url="https://x/a.png")])
def test_ordinary_requests_go_as_before(part: Part) -> None:
    """Only what is large is worth another way."""
    assert None is write_heavy(Request("a/b", (Message("user", (part,)),)))


def test_a_large_picture_is_copied_twice() -> None:
    """Once into base64, once into the body, each a third longer than the picture; nothing else grows with it."""
    data = bytes(20_000_000)
    request = Request("a/b", (Message("user", (Text("what?"), Image(data=data))),))
    write.write_heavy(request)
    tracemalloc.start()
    try:
        written = write_heavy(request)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written is not None
    assert peak < 2.7 * len(data)
