"""A large picture on its way into the request body: how often it is copied, and what that takes; openai beside it.

Both get the picture as bytes and end with what goes to the socket. Memory is the peak above what was held before, by
tracemalloc, in sizes of the picture's base64: each copy of it is one. Time is taken without tracemalloc.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _common as common
import httpx2
import openai

from or_magic.content import Image, Text
from or_magic.media import part_of
from or_magic.protocol.encode import encode
from or_magic.protocol.write import write_heavy
from or_magic.values import Message, Request

_BYTES = 20_000_000
_ROUNDS = 7
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"


class _Caught(httpx2.BaseTransport):
    """Takes the body where the socket would."""

    def __init__(self) -> None:
        self.size = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.size = sum(len(chunk) for chunk in request.stream)  # type: ignore[union-attr]
        return httpx2.Response(400, json={"error": {"message": "not sent", "code": 400}})


def _request(data: bytes) -> Request:
    return Request("google/gemini-2.5-flash", (Message("user", (Text("What is this?"), Image(data=data))),))


def _ours(data: bytes) -> int:
    return len(write_heavy(_request(data)) or b"")


def _as_a_dict(data: bytes) -> int:
    return len(json.dumps(encode(_request(data)), ensure_ascii=False, separators=(",", ":")).encode())


def _openai(data: bytes) -> int:
    caught = _Caught()
    transport = httpx2.Client(transport=caught)
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9", http_client=transport, max_retries=0)
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    content: Any = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    try:
        client.chat.completions.create(model="google/gemini-2.5-flash", messages=[{"role": "user", "content": content}])
    except openai.BadRequestError:
        return caught.size
    raise AssertionError("it was answered")


def _peak(build: Callable[[bytes], int], data: bytes) -> float:
    build(data[:1_000_000])
    tracemalloc.start()
    build(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * len(data) / 3)


def _took_ms(build: Callable[[bytes], int], data: bytes) -> float:
    begun = time.perf_counter()
    assert build(data) > len(data) * 4 / 3
    return 1000 * (time.perf_counter() - begun)


def _reading(data: bytes) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(data)
        part_of(path)
        tracemalloc.start()
        part = part_of(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert isinstance(part, Image)
        assert data == part.data
        return {"peak of reading the file, × its size": peak / len(data)}


def main() -> None:
    data = _PNG + os.urandom(_BYTES - len(_PNG))
    builders = {"**or_magic**": _ours, "as text in a dict": _as_a_dict, f"openai {openai.__version__}": _openai}
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in builders}
    for _ in range(_ROUNDS):
        for name, build in builders.items():
            samples[name].append({"ms": _took_ms(build, data)})
    rows = [
        {
            "body of a 20 MB picture": name,
            "copies at its peak": _peak(build, data),
            "ms, best": common.least(samples[name], "ms"),
            "median": common.middle(samples[name], "ms"),
        }
        for name, build in builders.items()
    ]
    reading = _reading(data)
    targets = [
        common.Target("copies of a 20 MB picture", rows[0]["copies at its peak"], 2.01),  # type: ignore[arg-type]
        common.Target("peak of reading the file, × its size", reading["peak of reading the file, × its size"], 1.01),
    ]
    common.show("A 20 MB picture on its way into the body", rows, targets)
    common.write("attach", rows, targets, samples)


if __name__ == "__main__":
    main()
