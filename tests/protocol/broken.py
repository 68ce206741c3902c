"""Streams that are generated, and streams that are broken, from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from .streams import say, sse

WORDS = (
    "the ",
    "answer",
    " is\n",
    "42",
    " — ",
    "naïve ",
    "日本語",
    "🙂",
    "👩🏽‍🚀",
    "\\n",
    '"',
    "{{x}}",
    "\u2028",
    "é\r\n",
    "\ufeff",
    "\t",
)
ENDS = (b"\n", b"\r\n", b"\r")


def generated(rng: random.Random) -> bytes:
    """Return a whole, real-shaped stream: text, reasoning, tools, comments, usage in one of its three shapes."""
    chunks: list[dict[str, Any] | str] = ["OPENROUTER PROCESSING"] * rng.randint(0, 2)
    if rng.random() < 0.4:
        for _ in range(rng.randint(1, 3)):
            word = rng.choice(WORDS)
            detail = {"type": "reasoning.text", "text": word, "format": None, "index": 0}
            chunks.append(say("", reasoning=word, reasoning_details=[detail]))
    chunks += [say(rng.choice(WORDS)) for _ in range(rng.randint(0, 6))]
    calls = rng.randint(0, 2) if rng.random() < 0.3 else 0
    for index in range(calls):
        start = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": "f", "arguments": ""}}
        chunks.append(say(None, tool_calls=[start]))
        for piece in ('{"city": "K', 'yoto 🙂"', "}"):
            chunks.append(say(None, tool_calls=[{"index": index, "function": {"arguments": piece}}]))
    reason = "tool_calls" if calls else rng.choice(("stop", "length", "content_filter"))
    chunks.append(say("", finish=reason))
    chunks += ["OPENROUTER PROCESSING"] * rng.randint(0, 1)
    last = say("", finish=rng.choice((None, reason))) if rng.random() < 0.6 else say() | {"choices": []}
    told = {"prompt_tokens": rng.randrange(9999), "completion_tokens": 5, "cost": rng.randrange(10**9) / 10**12}
    chunks.append(last | {"usage": told})
    raw = sse(*chunks)
    if rng.random() < 0.5:
        raw = raw.replace(b"\n", rng.choice(ENDS))
    return b"\xef\xbb\xbf" + raw if rng.random() < 0.2 else raw


SPLINTERS: Sequence[bytes] = (
    b"\r",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf0\x9f",
    b"\xef\xbb\xbf",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"data: [DONE]\n\n",
    b"data:",
    b"data: null\n\n",
    b"data: {}\n\n",
    b"data: []\n\n",
    b": \n",
    b'"error":{"code":500,"message":"x"},',
    b'"error":"boom",',
    b'"error":{"code":"server_error","metadata":{"raw":7}},',
    b'"finish_reason":null,',
    b'"choices":null,',
    b'"choices":[null],',
    b'"index":1,',
    b"1e999999999",
    b"-1",
    b"NaN",
    b"null",
    b"true",
    b"9" * 400,
    b"\\ud83d",
    b"\\u0000",
    b'{"a":' * 250,
    b'"delta":[],',
    b'"usage":{"cost":"0"},',
    b'"usage":null,',
)


def mutants(originals: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield broken streams: one to four breaks each, of bytes, cuts, inserts, repeats and swaps."""
    rng = random.Random(seed)
    for number in range(count):
        raw = bytearray(originals[number % len(originals)])
        for _ in range(rng.choice((1, 1, 2, 4))):
            _break(raw, rng)
        yield bytes(raw)


def _break(raw: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(raw) + 1)
    kind = rng.randrange(8)
    if kind == 0 and place < len(raw):
        raw[place] ^= 1 << rng.randrange(8)
    elif kind == 1 and place < len(raw):
        raw[place] = rng.randrange(256)
    elif kind == 2:
        del raw[place:]
    elif kind == 3:
        del raw[place : place + rng.randint(1, 60)]
    elif kind == 4:
        raw[place:place] = rng.choice(SPLINTERS)
    elif kind == 5:
        raw[place:place] = raw[place : place + rng.randint(1, 400)]
    else:
        _break_lines(raw, rng, drop=kind == 6)


def _break_lines(raw: bytearray, rng: random.Random, *, drop: bool) -> None:
    lines = raw.split(b"\n\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    if drop:
        del lines[first]
    else:
        lines[first], lines[second] = lines[second], lines[first]
    raw[:] = b"\n\n".join(lines)
