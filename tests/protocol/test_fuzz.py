"""R7: broken streams raise nothing foreign, never pass for complete, and mean the same in every cut of their bytes."""

from __future__ import annotations

import random
import resource
from collections import deque
from decimal import Decimal
from pathlib import Path

import pytest

from or_magic.content import Text
from or_magic.errors import CallError, ProtocolError
from or_magic.protocol.sse import Comment, payloads

from .broken import generated, mutants
from .oracle import Naive, naive
from .streams import Told, datas, read, recordings, say, scattered, sse

_LINE_CAP = 3000  # small, so that the cap is met too
_MOST_GROWTH_KIB = 50 * 1024


@pytest.fixture(scope="module")
def originals(shared: Path) -> list[bytes]:
    """The recorded streams, a window of the longest ones, and generated ones."""
    rng = random.Random(7)
    found = [shared / "openrouter/recorded" / item["file"] for item in recordings(shared)]
    recorded = [path.read_bytes() for path in found if path.suffix == ".sse"]
    # The middle of a long stream is more of the same, and costs the time of ten others.
    recorded = [raw if len(raw) < 3000 else _window(raw) for raw in recorded]
    refused = sse({"error": {"code": 429, "message": "slow down", "metadata": {"provider_name": "P", "raw": "x"}}})
    failed = sse(say("some"), {"error": {"code": 502, "message": "it fell over"}} | say("", finish="error"))
    return [*recorded, refused, failed, *(generated(rng) for _ in range(80))]


def _window(raw: bytes) -> bytes:
    events = raw.split(b"\n\n")
    return b"\n\n".join(events[:5] + events[-5:])


def test_fifty_thousand_broken_streams(originals: list[bytes]) -> None:
    """The everyday run of R7."""
    _fuzz(originals, 50_000, seed=20261120)


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_a_million_broken_streams(originals: list[bytes], part: int) -> None:
    """R7 in full, in twenty parts that can run beside each other."""
    _fuzz(originals, 50_000, seed=part)


def _fuzz(originals: list[bytes], count: int, seed: int) -> None:
    rng = random.Random(seed)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    statuses = dict.fromkeys(("ok", "partial", "error", "refused"), 0)
    for number, raw in enumerate(mutants(originals, count, seed)):
        told = read(raw)
        statuses[told.closed.status] += 1
        _check_end(told, raw)
        _check_cuts(raw, rng, small=number % 8 == 0)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < _MOST_GROWTH_KIB
    # A mutator that broke everything, or nothing, would prove nothing.
    assert all(seen > count // 1000 for seen in statuses.values()), statuses


def _check_end(told: Told, raw: bytes) -> None:
    closed = told.closed
    if closed.status != "ok":
        assert isinstance(closed.error, CallError), raw
        return
    assert closed.error is None, raw
    _agrees(told, naive(raw, words_only=True), raw)


def _agrees(told: Told, plain: Naive, raw: bytes) -> None:
    """What is called complete has to be what a naive reader of the same bytes finds, money included."""
    assert plain.finish, raw
    assert not plain.broken, raw
    assert not plain.error, raw
    assert told.reply.finish_reason == plain.finish, raw
    assert plain.text == _words(told), raw
    costs = [cost for cost in plain.costs if isinstance(cost, int | Decimal) and not isinstance(cost, bool)]
    costs = [cost for cost in costs if 0 <= cost < 10**6]
    assert told.reply.cost_usd == (costs[-1] if costs else None), raw


def _words(told: Told) -> str:
    return "".join([part.text for part in told.reply.parts if isinstance(part, Text) and not part.refusal])


def _check_cuts(raw: bytes, rng: random.Random, *, small: bool) -> None:
    """Equal payloads in equal order decode to equal events: decoding sees nothing else of the bytes."""
    pieces = [bytes([byte]) for byte in raw] if small and len(raw) < 1500 else scattered(raw, rng)
    assert _capped([raw]) == _capped(pieces), raw
    assert datas([raw]) == datas(pieces), raw


def _capped(chunks: list[bytes]) -> tuple[list[bytes | Comment], bool]:
    found: list[bytes | Comment] = []
    try:
        deque(map(found.append, payloads(chunks, _LINE_CAP, 2 * _LINE_CAP)), maxlen=0)
    except ProtocolError:
        return found, True
    return found, False


def test_every_cut_off_of_a_stream_is_partial_until_the_reason_is_there(originals: list[bytes]) -> None:
    """The openai SDK calls each of these a success: 0 silent truncations, at every byte of every stream."""
    cuts = 0
    for raw in originals:
        if "ok" != read(raw).closed.status:
            continue
        for place in range(0, len(raw), 5):
            status = read(raw[:place]).closed.status
            assert status in ("ok", "partial"), (place, raw)
            assert ("ok" == status) == (naive(raw[:place], words_only=True).finish is not None), (place, raw)
            cuts += 1
    assert cuts > 15_000


def test_the_same_stream_in_any_cut_folds_to_the_same_reply(originals: list[bytes]) -> None:
    """Events and reply themselves, not only payloads."""
    rng = random.Random(5)
    for raw in originals:
        told = read(raw)
        for _ in range(5):
            other = read(scattered(raw, rng))
            assert told.reply == other.reply
            assert [type(event) for event in told.events] == [type(event) for event in other.events]


def test_bytes_of_chance_are_never_an_answer() -> None:
    """Compressed, encrypted or from another port."""
    rng = random.Random(1)
    for _ in range(500):
        assert "partial" == read(rng.randbytes(rng.randrange(400))).closed.status


def test_an_endless_stream_of_comments_costs_no_memory() -> None:
    """A gateway that only says that it lives: time is the caller's matter, memory is ours."""
    given = 0

    def network() -> object:
        nonlocal given
        for _ in range(20_000):
            given += 1
            yield b": OPENROUTER PROCESSING\n\n"

    seen = sum(isinstance(payload, Comment) for payload in payloads(network()))
    assert (20_000, 20_000) == (given, seen)
    assert "partial" == read(sse(done=False)).closed.status
