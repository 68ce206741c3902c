"""R8: the reader of server-sent events obeys the standard, in any cut of the bytes.

The cases of web-platform-tests ``eventsource/format-*`` are ported by hand, as far as data and comments are
concerned; names, ids and retry times of events say nothing about an answer and are not told.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from or_magic.errors import ProtocolError
from or_magic.protocol import sse
from or_magic.protocol.sse import Comment, payloads

from .broken import ENDS, WORDS, generated
from .oracle import naive_data
from .streams import DONE, cut, datas, event, read, recordings, say, scattered
from .streams import sse as written

WPT = {
    "bom": ("\ufeffdata:1\n\n\ndata:2\n\ndata:3\n\n", ["1", "2", "3"]),
    "bom-2: only one mark is taken off": ("\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n", ["2", "3"]),
    "bom-in-the-middle is part of a name": ("data:1\n\n\ufeffdata:2\n\ndata:3\n\n", ["1", "3"]),
    "comments": (
        "data:1\r:\0\n:\r\ndata:2\n:" + "x" * 2048 + "\rdata:3\n:data:fail\r:" + "x" * 2048 + "\ndata:4\n\n",
        ["1\n2\n3\n4"],
    ),
    "data-before-final-empty-line: not dispatched": ("retry:1000\ndata:test1\n\nid:test\ndata:test2", ["test1"]),
    "data-before-final-empty-line, one end only": ("data:test1\n\ndata:test2\n", ["test1"]),
    "field-data": ("data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
    "field-event": ("event:test\ndata:x\n\ndata:x\n\n", ["x", "x"]),
    "field-event-empty": ("event: \ndata:data\n\n", ["data"]),
    "an event without data is not dispatched": ("event:meta\n\nid:7\n\ndata:x\n\n", ["x"]),
    "field-id": ("id: 5\ndata: 1\n\n", ["1"]),
    "field-id-2": ("id\ndata:1\n\nid:5\ndata:2\n\n", ["1", "2"]),
    "field-id-3": ("id:…\ndata:1\n\nid\ndata:2\n\n", ["1", "2"]),
    "field-id-null": ("id: \0\ndata:x\n\n", ["x"]),
    "field-parsing": (
        "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
        ["\0\n 2\n1\n3\n\n4"],
    ),
    "field-retry": ("retry:3000\ndata:x\n\n", ["x"]),
    "field-retry-bogus": ("retry:3000\nretry:1000x\ndata:x\n\n", ["x"]),
    "field-retry-empty": ("retry\ndata:test\n\n", ["test"]),
    "field-unknown": (
        "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        ["test\n\ntest"],
    ),
    "leading-space: one is taken off, a tab is not": ("data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "newlines": ("data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]),
    "null-character": ("data:\0\n\n\n\n", ["\0"]),
    "utf-8": ("data:ok…\n\n", ["ok…"]),
    "utf-8 of four bytes": ("data:🙂\r\rdata:👩🏽‍🚀\r\n\r\n", ["🙂", "👩🏽‍🚀"]),
    "line separators of Unicode end no line": ("data:a\u2028b\u0085c\x0bd\x0ce\n\n", ["a\u2028b\u0085c\x0bd\x0ce"]),
    "nothing": ("", []),
    "only a mark": ("\ufeff", []),
}


@pytest.mark.parametrize("name", WPT)
def test_every_case_of_web_platform_tests_gives_the_data_of_the_standard(name: str) -> None:
    """Servers and proxies lean on the letter of the standard."""
    text, expected = WPT[name]
    assert [data.encode() for data in expected] == [x for x in datas([text.encode()]) if not isinstance(x, Comment)]


@pytest.mark.parametrize("name", WPT)
def test_every_case_gives_the_same_in_single_bytes_and_in_every_two_pieces(name: str) -> None:
    """A network may cut anywhere: inside a mark, between CR and LF, inside a character."""
    raw = WPT[name][0].encode()
    whole = datas([raw])
    assert whole == datas([bytes([byte]) for byte in raw])
    for place in range(len(raw) + 1):
        assert whole == datas([raw[:place], b"", raw[place:]])


def test_comments_are_told_in_their_place_without_colon_and_blanks() -> None:
    """They are shown as waiting."""
    raw = b": OPENROUTER PROCESSING\n\n:\n: \r\ndata:1\n\n:x:y\r\r"
    assert [Comment("OPENROUTER PROCESSING"), Comment(""), Comment(""), b"1", Comment("x:y")] == datas([raw])


def test_a_comment_that_is_not_utf8_is_told_with_replacement() -> None:
    """A comment must never break an answer."""
    assert [Comment("\ufffd")] == datas([b": \xff\n"])


def test_an_event_is_told_as_soon_as_its_blank_line_is_there() -> None:
    """The words on the screen must not wait for the next chunk, even where lines end with CR alone."""
    given: list[bytes] = []

    def network(pieces: list[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            given.append(piece)
            yield piece

    for raw in (b"data:1\n\n", b"data:1\r\n\r", b"data:1\r\r"):
        given.clear()
        assert b"1" == next(payloads(network([raw, b"data:2\n\n"])))
        assert [raw] == given


@pytest.mark.parametrize("mark", [b"[DONE]", b" [DONE]", b"[DONE] ", b"[DONE]\t", b"  [DONE]  "])
@pytest.mark.parametrize("end", ENDS)
def test_the_end_mark_is_known_with_blanks_and_any_line_end(mark: bytes, end: bytes) -> None:
    """Servers send ``[DONE] `` and ``[DONE]\\r``."""
    raw = event(say("hi", finish="stop")) + b"data:" + mark + end + end + event(say("too late"))
    told = read([raw])
    assert ("hi", "ok") == (told.reply.text, told.closed.status)


def test_a_done_that_is_text_of_the_answer_does_not_end_it() -> None:
    """Only an event that is nothing else ends a stream."""
    told = read(written(say("[DONE]"), say(" and more", finish="stop")))
    assert "[DONE] and more" == told.reply.text


@pytest.fixture(scope="module")
def streams(shared: Path) -> list[bytes]:
    """200 real-shaped streams: the recorded ones (the longest abridged in the middle) and generated ones."""
    found = [shared / "openrouter/recorded" / item["file"] for item in recordings(shared)]
    raws = [path.read_bytes() for path in found if path.suffix == ".sse"]
    raws = [raw if len(raw) <= 4000 else raw[:2000] + raw[-2000:] for raw in raws]
    rng = random.Random(8)
    return raws + [generated(rng) for _ in range(200 - len(raws))]


def test_the_reader_agrees_with_the_naive_reader_on_every_stream(streams: list[bytes]) -> None:
    """The slow reader is short enough to be seen to be right."""
    assert 200 == len(streams)
    for raw in streams:
        told = [data.decode("utf-8", "replace") for data in datas([raw]) if not isinstance(data, Comment)]
        assert naive_data(raw) == told


def test_every_cut_in_two_gives_the_same_payloads(streams: list[bytes]) -> None:
    """Exhaustive: each place of each stream."""
    cuts = 0
    for raw in streams:
        whole = datas([raw])
        for place in range(len(raw)):
            assert whole == datas([raw[:place], raw[place:]]), (place, raw)
            cuts += 1
    assert cuts > 200_000


def test_cuts_into_many_pieces_give_the_same_payloads(streams: list[bytes]) -> None:
    """Three pieces, forty pieces, and single bytes."""
    rng = random.Random(3)
    for raw in streams:
        whole = datas([raw])
        for _ in range(10):
            assert whole == datas(cut(raw, (rng.randrange(len(raw)), rng.randrange(len(raw)))))
        assert whole == datas(scattered(raw, rng))
        assert whole == datas([bytes([byte]) for byte in raw])


@pytest.mark.parametrize("end", ENDS)
def test_every_line_end_gives_the_same_payloads(streams: list[bytes], end: bytes) -> None:
    """LF, CR and CRLF are one."""
    for raw in streams:
        if b"\r" not in raw:
            assert datas([raw]) == datas([raw.replace(b"\n", end)])


def test_a_line_longer_than_its_cap_is_an_error() -> None:
    """A hostile stream must not eat the memory."""
    raw = b"data:" + b"x" * 100
    for chunks in ([raw + b"\n\n"], [raw], [bytes([byte]) for byte in raw]):
        with pytest.raises(ProtocolError, match="longer than 64 bytes"):
            datas(chunks, max_line_bytes=64)


def test_an_event_longer_than_its_cap_is_an_error() -> None:
    """Many lines of one event are as large as one long line."""
    with pytest.raises(ProtocolError, match="larger than 64 bytes"):
        datas([b"data:xxxxxxxxxxxxxxx\n"] * 5, max_event_bytes=64)
    with pytest.raises(ProtocolError, match="larger than 64 bytes"):
        datas([b"data\n"] * 100, max_event_bytes=64)


def test_a_line_at_its_cap_is_read() -> None:
    """The cap is inclusive, in whole lines and in pieces."""
    raw = b"data:" + b"x" * 59 + b"\n\n"
    assert [b"x" * 59] == datas([raw], max_line_bytes=64)
    assert [b"x" * 59] == datas([bytes([byte]) for byte in raw], max_line_bytes=64)


def test_what_came_before_a_too_long_line_is_told_in_every_cut() -> None:
    """An answer's first words must not depend on how the network cut what follows."""
    raw = b"data:1\n\n:c\ndata:" + b"x" * 100 + b"\n\n"

    def told(chunks: list[bytes]) -> list[bytes | Comment]:
        found: list[bytes | Comment] = []
        source = payloads(chunks, max_line_bytes=64)
        with pytest.raises(ProtocolError):
            deque(map(found.append, source), maxlen=0)
        return found

    expected = [b"1", Comment("c")]
    assert expected == told([bytes([byte]) for byte in raw])
    assert expected == told([raw[:30], raw[30:]])
    assert expected == told([raw])


def test_the_caps_leave_room_for_a_large_picture() -> None:
    """A picture of 1.6 MB in one piece was recorded."""
    assert sse.MAX_LINE_BYTES >= 8 * 2**20
    assert sse.MAX_EVENT_BYTES >= sse.MAX_LINE_BYTES
    picture = event(say(images=[{"image_url": {"url": "data:image/png;base64," + "A" * (4 * 2**20)}}]))
    assert 2 == len(datas(cut(picture + DONE, range(0, len(picture), 65536))))


class Counting(bytes):
    """Bytes that count how many of them are looked at by the operations that copy or scan."""

    seen = 0

    def split(self, *args: object) -> list[bytes]:
        Counting.seen += len(self)
        return super().split(*args)

    def endswith(self, *args: object) -> bool:
        Counting.seen += 1
        return super().endswith(*args)


def test_a_huge_line_in_tiny_chunks_costs_in_proportion() -> None:
    """Doubling the line doubles the bytes that are scanned; scanning it anew for each chunk would quadruple them."""

    def scanned(size: int) -> int:
        Counting.seen = 0
        assert 1 == len(datas([b"data:", *(Counting(b"x" * 16) for _ in range(size // 16)), b"\n\n"]))
        return Counting.seen

    assert scanned(64 * 1024) > 0
    assert scanned(128 * 1024) <= 2.1 * scanned(64 * 1024)


def test_the_generated_streams_have_what_real_ones_have(streams: list[bytes]) -> None:
    """A generator that stopped making a shape would hollow out every test above."""
    everything = b"".join(streams)
    for shape in (
        b"\r\n\r\n",
        b"\r\r",
        b"\xef\xbb\xbfdata",
        "🙂".encode(),
        b": OPENROUTER PROCESSING",
        b'"choices": []',
        b"tool_calls",
    ):
        assert shape in everything
    assert any("🙂" in word for word in WORDS)
