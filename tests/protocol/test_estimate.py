"""Estimates of prompt tokens: near what was counted in recorded calls, linear, and learning from the ledger."""

from __future__ import annotations

import base64
import json
import statistics
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.content import Audio, File, Image, Reasoning, Text, ToolCall, ToolResult, Video
from or_magic.estimate import Calibration, Range, calibrate, estimate, estimate_tokens
from or_magic.estimate.media import audio_s, pdf_pages, picture_size, picture_tokens
from or_magic.estimate.text import text_tokens
from or_magic.values import Message, Request

from .oracle import naive, naive_whole
from .streams import recordings

# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        # What four public tokenizers count, from the least to the most.
        ("The quick brown fox jumps over the lazy dog.", (10, 12)),
        ("def add(first: int, second: int) -> int:\n    return first + second\n", (18, 26)),
        ('{"name": "Ella", "age": 42, "tags": ["a", "b"]}', (19, 27)),
        ("Съешь же ещё этих мягких французских булок", (11, 30)),
        ("素早い茶色の狐がのろまな犬を飛び越える", (16, 30)),
        ("0.4821 19.23 881.002 7.5", (14, 25)),
        ("a" * 4000, (400, 2000)),
    ],
)
def test_a_text_is_about_as_long_as_tokenizers_count_it(text: str, counted: tuple[int, int]) -> None:
    """Words, code, JSON, other scripts, numbers: no letter count would fit them all."""
    tokens = text_tokens(text)
    assert counted[0] * 0.75 <= tokens.likely <= counted[1] * 1.25
    assert tokens.low <= tokens.likely <= tokens.high


@given(st.text(max_size=300), st.text(max_size=300))
def test_text_is_counted_in_order_and_without_surprises(text: str, more: str) -> None:
    """Low, likely, high; nothing for nothing; a longer text is not shorter by more than a joined word or two."""
    tokens, longer = text_tokens(text), text_tokens(text + more)
    assert 0 <= tokens.low <= tokens.likely <= tokens.high
    assert longer.likely >= tokens.likely - 4
    assert tokens.likely <= 7 * len(text) + 1
    assert Range() == text_tokens("")


def test_a_long_text_is_measured_on_windows_of_it() -> None:
    """A megabyte must not hold up a cell; the figure stays within two per cent of the sum of its parts."""
    piece = "The quick brown fox, 42 times: {'jumps': [over]}\nЛенивая собака.\n" * 200
    parts = sum((text_tokens(piece).likely for _ in range(60)), start=0)
    assert parts * 0.98 <= text_tokens(piece * 60).likely <= parts * 1.02


# --- media ---------------------------------------------------------------------------------------------------------


def _jpeg(width: int, height: int) -> bytes:
    filler = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + b"\xff\xff\xdb" + struct.pack(">H", 4) + b"xx"
    return b"\xff\xd8" + filler + b"\xff\xc2" + struct.pack(">HBHH", 11, 8, height, width) + bytes(6)


def _webp(kind: bytes, head: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + head


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480), (640, 480)),
        (b"GIF89a" + struct.pack("<HH", 640, 480), (640, 480)),
        (_jpeg(640, 480), (640, 480)),
        (_webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")), (640, 480)),
        (_webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)), (640, 480)),
        (_webp(b"VP8 ", bytes(6) + struct.pack("<HH", 640, 480)), (640, 480)),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff\xe0\0", None),
        (b"\xff\xd8abcd", None),
        (b"RIFF\0\0\0\0WEBPVP8L", None),
        (b"", None),
        (b"BM", None),
        (b"GIF89a\0\0\0\0", None),
    ],
    ids=lambda value: value[:16] if isinstance(value, bytes) else str(value),
)
def test_a_pictures_size_is_read_from_its_first_bytes(data: bytes, size: tuple[int, int] | None) -> None:
    """No picture library is needed, and a broken picture is one of unknown size."""
    assert size == picture_size(data)


@given(st.sampled_from([b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n", b"GIF8"]), st.binary(max_size=60))
def test_no_bytes_break_the_reader_of_sizes(head: bytes, rest: bytes) -> None:
    """Attachments come from anywhere."""
    size = picture_size(head + rest)
    assert size is None or min(size) > 0


def test_a_larger_picture_takes_more_up_to_what_models_look_at() -> None:
    """They are scaled down to about 1568 pixels."""
    tokens = [picture_tokens(Image(data=_jpeg(side, side))).likely for side in (10, 400, 1000, 1568, 9000)]
    assert [85, 213, 1333, 3278, 3278] == tokens


def _pdf(pages: int, *, packed: bool) -> bytes:
    objects = b"<</Type /Pages /Kids [] /Count %d>>\n" % pages + b"<< /Type/Page /Parent 1 0 R >>\n" * pages
    if not packed:
        return b"%PDF-1.4\n" + objects
    stream = zlib.compress(objects)
    return b"%PDF-1.5\n<</Type /ObjStm /Length " + str(len(stream)).encode() + b">> stream\n" + stream + b"\nendstream"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pages", [1, 7, 800])
def test_pages_of_a_document_are_counted(pages: int, packed: bool) -> None:
    """Newer files keep their page objects compressed."""
    assert pages == pdf_pages(_pdf(pages, packed=packed))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.4",
        b"%PDF-1.5 /Encrypt 5 0 R <</Type/Page>>",
        b"PK\3\4",
        b"%PDF-1.5 /Type /ObjStm stream\nnot packed",
    ],
)
def test_a_document_that_cannot_be_read_has_no_number_of_pages(data: bytes) -> None:
    """Unknown, not 0."""
    assert pdf_pages(data) is None


def test_the_length_of_sound_is_read_or_guessed() -> None:
    """A WAV says how many bytes a second takes; of others the size has to do."""
    head = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16_000, 2, 16) + b"data\0\0\0\0"
    wav = base64.b64encode(head + bytes(48_000)).decode()
    assert (3.0, True) == audio_s(Audio(wav, "wav"))
    seconds, known = audio_s(Audio(base64.b64encode(bytes(160_000)).decode(), "mp3"))
    assert not known
    assert 10 == pytest.approx(seconds, rel=0.01)
    assert (0.0, False) == audio_s(Audio("", "wav"))


# --- requests ------------------------------------------------------------------------------------------------------


def test_every_part_is_told_and_what_is_not_known_is_said() -> None:
    """A video by URL may be a second or a film."""
    turns = (
        Message("system", (Text("Be short."),)),
        Message("user", (Text("What is this?"), Image(url="https://x"), Video(url="https://v"), File(url="https://f"))),
        Message("assistant", (Reasoning("hm " * 50, model="m"), Text("Let me see"), ToolCall(0, "c", "look", "{}"))),
        Message("tool", (ToolResult("c", "a cat"),)),
    )
    found = estimate(Request("m", turns, {"tools": [{"type": "function", "function": {"name": "look"}}]}))
    assert ["text", "text", "image", "video", "file", "reasoning", "text", "tool_call", "tool_result", "tools"] == [
        part.kind for part in found.parts
    ]
    assert ("video", "file") == found.uncounted
    assert found.tokens.likely > sum(part.tokens.likely for part in found.parts if part.tokens)
    assert estimate_tokens(Request("m", turns)) < found.tokens.likely


def test_reasoning_of_another_model_is_not_counted() -> None:
    """It is not sent (DESIGN §3)."""
    told = [
        estimate_tokens(Request("m", (Message("assistant", (Reasoning("hm " * 90, model=model),)),)))
        for model in ("m", "other")
    ]
    assert told[0] > told[1] + 70


def _recorded(shared: Path) -> list[tuple[Request, int, int]]:
    """Return (request, counted tokens, letters) of recorded calls whose prompt is all text and all theirs."""
    folder, calls = shared / "openrouter/recorded", []
    for item in recordings(shared):
        asked = folder / str(item.get("request"))
        if not asked.is_file():
            continue
        raw, body = (folder / item["file"]).read_bytes(), json.loads(asked.read_bytes())
        counted = (naive(raw) if item["file"].endswith(".sse") else naive_whole(raw)).usage.get("prompt_tokens")
        adds = "preset" in body or "models" in body or '"openrouter:' in json.dumps(body)
        messages = [_message(told) for told in body["messages"]]
        if counted and not adds and None not in messages:
            whole = tuple(message for message in messages if message is not None)
            params = {name: body[name] for name in ("tools", "response_format") if name in body}
            letters = sum(len(part.text) for message in whole for part in message.parts if isinstance(part, Text))
            calls.append((Request(body["model"], whole, params), counted, letters))
    return calls


def _message(told: dict[str, Any]) -> Message | None:
    content = told.get("content") or ""
    items = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if any(item["type"] != "text" for item in items):
        return None
    return Message(told["role"], tuple(Text(item["text"]) for item in items))


def test_recorded_prompts_are_estimated_better_than_by_four_letters_a_token(shared: Path) -> None:
    """Real requests and what the providers counted; the figures are in benchmarks/README.md."""
    calls = _recorded(shared)
    assert len(calls) >= 25
    ours = [abs(estimate_tokens(request) - counted) / counted for request, counted, _ in calls]
    quarter = [abs(letters / 4 - counted) / counted for _, counted, letters in calls]
    assert statistics.median(ours) < 0.15 < 0.4 < statistics.median(quarter)
    inside = [
        found.low <= counted <= found.high for request, counted, _ in calls for found in [estimate(request).tokens]
    ]
    assert sum(inside) >= 0.8 * len(calls)


# --- calibration ---------------------------------------------------------------------------------------------------


def test_few_pairs_move_an_estimate_little_and_many_move_it_there() -> None:
    """One odd answer is no law."""
    ratios = [calibrate([(1000, 1300)] * count).ratio for count in (0, 1, 4, 100)]
    assert [1.0] == ratios[:1]
    assert 1.0 < ratios[1] < 1.06 < ratios[2] < 1.15 < ratios[3] < 1.3
    assert 1300 == pytest.approx(calibrate([(1000, 1300)] * 1000)(Range(900, 1000, 1100)).likely, rel=0.01)


def test_a_prompt_of_the_providers_own_is_added_and_not_multiplied() -> None:
    """Grok-4 counts 687 tokens for ``Who are you``: a factor would make a million of a long text."""
    found = calibrate([(10, 687)] * 50)
    assert 1.0 == found.ratio
    assert 600 < found.added < 677
    assert found(Range(9_000, 10_000, 12_000)).likely < 10_700


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.integers(-5, 10**6)), max_size=40), st.integers(0, 10**6))
def test_calibration_is_bounded_whatever_it_was_told(pairs: list[tuple[int, int]], likely: int) -> None:
    """A ledger may hold nonsense; the range stays a range."""
    found = calibrate(pairs)
    assert 0.5 <= found.ratio <= 2.0
    tokens = found(Range(likely // 2, likely, likely * 2))
    assert 0 <= tokens.low <= tokens.likely <= tokens.high
    assert tokens.likely <= 2 * likely + 2000


def test_a_third_of_odd_pairs_changes_nothing() -> None:
    """Medians: a cut attachment, a search that added 8000 tokens."""
    honest = [(1000 + n, round((1000 + n) * 1.1)) for n in range(40)]
    odd = [(1000, 9000)] * 19
    assert calibrate(honest).ratio == pytest.approx(calibrate(honest + odd).ratio, rel=0.02)
    assert Calibration() == calibrate([])
