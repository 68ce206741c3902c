"""Conversations: what a call in a long one costs before it is sent, and that it grows with the turns and nothing else.

    python benchmarks/bench_chat.py [--rounds 7]

A conversation of 1,000 turns is asked once more, against one of 100: the turns before are found and held against the
context window (``Chats.before``), the request becomes the bytes that are sent, and the turn that it has become is kept
(``Chats.after``). Printed are the CPU milliseconds of the best round. Figures go to ``results/chat.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from _common import Target, show, write

from or_magic.content import Text
from or_magic.engine.chat import Chats
from or_magic.protocol.encode import encode
from or_magic.settings import Settings
from or_magic.values import Message, Origin, Reply, Request, Usage

_FEW, _MANY = 100, 1_000
_QUESTION, _ANSWER = (
    "A question of the usual length, of a line or so. " * 3,
    "An answer is longer, with **marks**. " * 30,
)


def _call(number: int) -> Request:
    return Request("m/m", (Message("user", (Text(f"{number}: {_QUESTION}"),)),), origin=Origin(chat="long"))


def _reply(number: int) -> Reply:
    usage = Usage(prompt_tokens=(number + 1) * 320, completion_tokens=280)
    return Reply((Text(f"{number}: {_ANSWER}"),), usage, status="ok", model_requested="m/m")


def _begun(turns: int) -> Chats:
    chats = Chats(lambda: Settings(base_url="offline"), lambda _: 100_000_000)
    for number in range(turns):
        chats.after(chats.before(_call(number)), _reply(number), sent=True)
    return chats


def _sample(turns: int) -> dict[str, float]:
    start = time.process_time()
    chats = _begun(turns)
    began = time.process_time()
    joined = chats.before(_call(turns))
    found = time.process_time()
    body = json.dumps(encode(joined.request), ensure_ascii=False).encode()
    written = time.process_time()
    chats.after(joined, _reply(turns), sent=True)
    kept = time.process_time()
    assert len(joined.request.messages) == 2 * turns + 1
    return {
        "whole": (began - start) * 1000,
        "found": (found - began) * 1000,
        "written": (written - found) * 1000,
        "kept": (kept - written) * 1000,
        "bytes": len(body),
    }


def main() -> int:
    """Measure both lengths in turns; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    samples: dict[int, list[dict[str, float]]] = {_FEW: [], _MANY: []}
    for _ in range(rounds):
        for turns, taken in samples.items():
            taken.append(_sample(turns))
    best = {turns: {name: min(s[name] for s in taken) for name in taken[0]} for turns, taken in samples.items()}
    rows: list[dict[str, Any]] = [
        {
            "turns": f"{turns:,}",
            "turns before found, ms": found["found"],
            "body written, ms": found["written"],
            "turn kept, ms": found["kept"],
            "kB of body": found["bytes"] / 1000,
            "all calls since the first, ms": found["whole"],
        }
        for turns, found in best.items()
    ]
    one = {turns: found["found"] + found["written"] + found["kept"] for turns, found in best.items()}
    targets = [
        Target("a call of ten times the turns, × the time", one[_MANY] / one[_FEW], 10.5),
        Target("a call after 1,000 turns, ms", one[_MANY], 100),
    ]
    show("Conversations", rows, targets)
    write("chat", rows, targets, {str(turns): taken for turns, taken in samples.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
