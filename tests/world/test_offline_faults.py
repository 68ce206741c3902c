"""Every fault of the offline simulator shows its defining property on the wire, read with a bare socket."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from or_magic.offline import Server, serve
from or_magic.offline.faults.table import ERRORS, TABLE

from ..guards import HANG_S

PROMPT = "Tell me what you received, please."


@dataclass(frozen=True)
class Seen:
    """What a client saw of one answer until the connection ended or its patience did."""

    raw: bytes
    how: str
    sizes: tuple[int, ...]
    body: bytes
    whole: bool

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def payloads(self) -> list[bytes]:
        return [event[6:] for event in self.body.split(b"\n\n") if event.startswith(b"data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads if payload != b"[DONE]"]

    @property
    def done(self) -> bool:
        return self.body.rstrip().endswith(b"data: [DONE]")

    def deltas(self, key: str) -> list[Any]:
        choices = (choice for chunk in self.chunks for choice in chunk.get("choices", []))
        return [choice["delta"][key] for choice in choices if choice["delta"].get(key)]

    @property
    def text(self) -> str:
        return "".join(self.deltas("content"))

    @property
    def usages(self) -> list[dict[str, Any]]:
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]

    @property
    def finishes(self) -> list[str]:
        choices = (choice for chunk in self.chunks for choice in chunk.get("choices", []))
        return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def dechunked(data: bytes) -> tuple[bytes, tuple[int, ...], bool]:
    body, sizes, place = b"", [], 0
    while (end := data.find(b"\r\n", place)) >= 0:
        size = int(data[place:end], 16)
        body += data[end + 2 : end + 2 + size]
        sizes.append(size)
        if size == 0:
            return body, tuple(sizes), True
        place = end + 2 + size + 2
    return body, tuple(sizes), False


def ask(server: Server, model: str, *, patience_s: float = HANG_S, headers: str = "", **more: Any) -> Seen:
    """Ask one question and read until the end, a reset, or the end of patience."""
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": True, **more}
    data = json.dumps(body).encode()
    head = "POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"{headers}Content-Length: {len(data)}\r\n\r\n"
    raw, how, deadline = b"", "end", time.monotonic() + patience_s
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as sock:
        try:
            sock.sendall(head.encode() + data)
            while True:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                piece = sock.recv(1 << 20)
                if not piece:
                    break
                raw += piece
        except TimeoutError:
            how = "silence"
        except ConnectionError:
            how = "reset"
    rest = raw.partition(b"\r\n\r\n")[2]
    if b"chunked" in raw.partition(b"\r\n\r\n")[0]:
        body_bytes, sizes, whole = dechunked(rest)
        return Seen(raw, how, sizes, body_bytes, whole)
    return Seen(raw, how, (), rest, how == "end")


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def complete(seen: Seen) -> bool:
    """An undamaged stream: text, finish reason, one usage, [DONE], an orderly end."""
    return (
        seen.whole
        and seen.done
        and "Offline simulator" in seen.text
        and "stop" in seen.finishes
        and len(seen.usages) == 1
    )


def ends(reason: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.done and set(seen.finishes) == {reason}


def unfinished(seen: Seen) -> bool:
    return not seen.finishes and not seen.usages and bool(seen.text)


def holds(payload: bytes) -> Callable[[Seen], bool]:
    return lambda seen: any(payload in each for each in seen.payloads) and seen.done


def broken_json(seen: Seen) -> bool:
    broken = [each for each in seen.payloads if each != b"[DONE]" and not is_json(each)]
    return len(broken) == 1 and seen.done


def is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


def relined(end: bytes) -> Callable[[Seen], bool]:
    def check(seen: Seen) -> bool:
        plain = seen.body.replace(end, b"\n")
        return end in seen.body and complete(Seen(seen.raw, seen.how, seen.sizes, plain, seen.whole))

    return check


def unzipped(seen: Seen) -> bool:
    packer = zlib.decompressobj(31)
    plain = packer.decompress(seen.body)
    return packer.eof and complete(Seen(seen.raw, seen.how, seen.sizes, plain, seen.whole))


def half_unzipped(seen: Seen) -> bool:
    packer = zlib.decompressobj(31)
    plain = packer.decompress(seen.body)
    return seen.whole and not packer.eof and b"data: " in plain and b"[DONE]" not in plain


def split_inside(seen: Seen) -> bool:
    starts = list(itertools.accumulate(seen.sizes))[:-1]
    inside = [start for start in starts if seen.body[start : start + 1] and 0x80 <= seen.body[start] < 0xC0]
    return len(inside) >= 3 and complete(seen) and "🙂" in seen.text


def multi_line(seen: Seen) -> bool:
    events = [event for event in seen.body.decode().split("\n\n") if event.startswith("data: {")]
    joined = ["\n".join(line[6:] for line in event.split("\n")) for event in events]
    return all(event.count("\ndata: ") == 2 for event in events) and len([json.loads(each) for each in joined]) > 3


def strange(seen: Seen) -> bool:
    return b"event: ping" in seen.body and any(chunk.get("x_list") for chunk in seen.chunks) and seen.done


def plain_openai(seen: Seen) -> bool:
    ids = {chunk["id"].split("-")[0] for chunk in seen.chunks}
    return (
        ids == {"chatcmpl"}
        and not seen.usages
        and "x-generation-id" not in seen.headers
        and b"provider" not in seen.body
    )


def pieces(seen: Seen) -> dict[int, str]:
    calls: dict[int, str] = {}
    for piece in (piece for group in seen.deltas("tool_calls") for piece in group):
        calls[piece["index"]] = calls.get(piece["index"], "") + piece["function"].get("arguments", "")
    return calls


def one_call(seen: Seen) -> bool:
    return set(seen.finishes) == {"tool_calls"} and json.loads(pieces(seen)[0]) == {"text": "simulated", "count": 1}


def shuffled(seen: Seen) -> bool:
    order = [piece["index"] for group in seen.deltas("tool_calls") for piece in group]
    names = [piece["function"].get("name") for group in seen.deltas("tool_calls") for piece in group]
    calls = {index: json.loads(arguments) for index, arguments in pieces(seen).items()}
    return order[:4] == [1, 0, 1, 0] and names.count("simulated_tool") > 2 and set(calls) == {0, 1}


def picture(seen: Seen) -> bool:
    url = seen.deltas("images")[0][0]["image_url"]["url"]
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", data[16:24])
    place = data.index(b"IDAT")
    size = struct.unpack(">I", data[place - 4 : place])[0]
    return (
        len(zlib.decompress(data[place + 4 : place + 4 + size])) == (width + 1) * height
        and b"offline simulator" in data
    )


def between(seen: Seen) -> bool:
    deltas = [choice["delta"] for chunk in seen.chunks for choice in chunk["choices"]]
    place = next(n for n, delta in enumerate(deltas) if "images" in delta)
    before, after = (any(delta["content"] for delta in some) for some in (deltas[:place], deltas[place + 1 :]))
    return picture(seen) and before and after and len(seen.deltas("images")) == 1


def sound(seen: Seen) -> bool:
    found = seen.deltas("audio")
    data = base64.b64decode("".join(piece.get("data", "") for piece in found))
    return (
        data[:4] == b"RIFF"
        and struct.unpack("<I", data[4:8])[0] == len(data) - 8
        and "simulated" in found[0]["transcript"]
    )


def cited(seen: Seen) -> bool:
    urls = [citation["url_citation"]["url"] for group in seen.deltas("annotations") for citation in group]
    return len(urls) == 3 and len(set(urls)) == 2


def cumulative(seen: Seen) -> bool:
    counts = [usage["completion_tokens"] for usage in seen.usages]
    return counts == sorted(counts) and len(set(counts)) > 5 and seen.done


def sealed(seen: Seen) -> bool:
    kinds = [detail["type"] for group in seen.deltas("reasoning_details") for detail in group]
    return (
        "simulated thinking" in "".join(seen.deltas("reasoning")) and kinds[-1] == "reasoning.encrypted" and seen.done
    )


def early(seen: Seen) -> bool:
    place = next(index for index, chunk in enumerate(seen.chunks) if "usage" in chunk)
    return bool(seen.chunks[place + 1]["choices"][0]["delta"]["content"]) and len(seen.usages) == 1


def charged(seen: Seen) -> float:
    """The cost as a share of what the provider asks for."""
    return float(seen.usages[0]["cost"] / seen.usages[0]["cost_details"]["upstream_inference_cost"])


def from_cache(seen: Seen) -> bool:
    (usage,) = seen.usages
    counts = [value for value in usage.values() if not isinstance(value, (bool, dict))]
    return seen.headers["x-openrouter-cache-status"] == "HIT" and counts == [0, 0, 0] and "cost" not in usage


CASES: list[tuple[str, Callable[[Seen], bool], dict[str, Any]]] = [
    ("plain", complete, {}),
    ("echo", lambda seen: seen.text == PROMPT, {}),
    ("long:700", lambda seen: len(seen.deltas("content")) == 700 and seen.done, {}),
    ("no-cancel", complete, {}),
    ("tiered", complete, {}),
    ("request-fee", lambda seen: seen.usages[0]["cost"] > 0.005, {}),
    ("flaky:0", complete, {}),
    ("flaky", lambda seen: seen.status == 503, {}),
    ("flaky-reset:0", complete, {}),
    ("flaky-reset", lambda seen: seen.raw == b"" and seen.how == "reset", {}),
    ("fails-first:0", complete, {}),
    ("fails-first", lambda seen: seen.status == 503, {}),
    ("fails-every", complete, {}),
    ("fails-every:1", lambda seen: seen.status == 503, {}),
    ("fails-by-turns", complete, {}),
    ("down:0", complete, {}),
    ("down", lambda seen: seen.status == 503, {}),
    ("tides", complete, {}),
    ("quota", complete, {}),
    ("quota:0", lambda seen: seen.status == 429 and "retry-after" not in seen.headers, {}),
    ("quota-key", complete, {}),
    ("quota-bare", complete, {}),
    ("quota-tokens", complete, {}),
    ("quota-tokens:1", lambda seen: seen.status == 429 and "retry-after" not in seen.headers, {}),
    ("quota-daily", complete, {}),
    ("quota-daily:0", lambda seen: seen.status == 429 and b"openrouter_free_tier_daily" in seen.body, {}),
    (
        "mid-stream-error",
        lambda seen: seen.chunks[-1]["error"]["code"] == 502 and seen.finishes == ["error"] and bool(seen.text),
        {},
    ),
    ("mid-stream-error:server_error", lambda seen: seen.chunks[-1]["error"]["code"] == "server_error", {}),
    (
        "mid-stream-error-usage",
        lambda seen: "error" in seen.chunks[-1] and seen.usages[0]["cost"] > 0 and not seen.finishes and seen.done,
        {},
    ),
    (
        "choice-error",
        lambda seen: any("error" in choice for chunk in seen.chunks for choice in chunk["choices"]) and seen.done,
        {},
    ),
    ("cut", lambda seen: unfinished(seen) and seen.whole and not seen.done, {}),
    ("cut:4", lambda seen: unfinished(seen) and len(seen.deltas("content")) == 4 and seen.whole, {}),
    ("cut-done", lambda seen: unfinished(seen) and seen.done, {}),
    ("no-done", lambda seen: not seen.done and "stop" in seen.finishes and len(seen.usages) == 1 and seen.whole, {}),
    ("no-end", lambda seen: seen.done and not seen.whole and seen.how == "silence", {"patience_s": 0.3}),
    ("length", ends("length"), {}),
    ("content-filter", ends("content_filter"), {}),
    ("refusal", lambda seen: not seen.text and bool(seen.deltas("refusal")) and seen.done, {}),
    ("json-misfit", lambda seen: seen.text == '{"simulated_misfit": true}' and seen.whole, {}),
    ("json-misfit-once", lambda seen: seen.text == '{"simulated_misfit": true}' and seen.whole, {}),
    ("json-fenced", lambda seen: seen.text.count("```") == 2 and seen.whole, {}),
    ("json-chatty", lambda seen: seen.text.startswith("Here is the simulated answer: ") and seen.whole, {}),
    ("empty", lambda seen: not seen.text and seen.usages[0]["completion_tokens"] == 0 and "stop" in seen.finishes, {}),
    ("generation-late", lambda seen: unfinished(seen) and seen.whole, {}),
    ("reset:250", lambda seen: seen.how == "reset" and len(seen.body) == 250, {}),
    ("close-early", lambda seen: seen.raw == b"" and seen.how == "end", {}),
    (
        "reset-in-headers",
        lambda seen: seen.raw.startswith(b"HTTP/1.1 200") and b"\r\n\r\n" not in seen.raw and seen.how == "reset",
        {},
    ),
    ("reset-headers", lambda seen: seen.how == "reset" and seen.status == 200 and not seen.body, {}),
    ("reset-early", lambda seen: seen.how == "reset" and not seen.raw, {}),
    ("reset-early-billed", lambda seen: seen.how == "reset" and not seen.raw, {}),
    ("refuse", lambda seen: seen.how == "reset" and not seen.raw, {}),
    ("stall", lambda seen: unfinished(seen) and seen.how == "silence", {"patience_s": 0.3}),
    ("stall:0.01", complete, {}),
    ("stall-first", lambda seen: seen.status == 200 and not seen.body and seen.how == "silence", {"patience_s": 0.3}),
    ("stall-first:0.01", complete, {}),
    ("stall-headers", lambda seen: not seen.raw and seen.how == "silence", {"patience_s": 0.3}),
    ("stall-headers:0.01", complete, {}),
    ("slow-headers", lambda seen: 0 < len(seen.raw) < 40 and seen.how == "silence", {"patience_s": 0.3}),
    ("slow-headers:0.001", complete, {}),
    ("drip", lambda seen: 0 < len(seen.body) < 900 and set(seen.sizes) == {1}, {"patience_s": 0.4}),
    ("drip:0", complete, {}),
    ("comments:0.01", lambda seen: not seen.payloads and seen.body.count(b": OPENROUTER") > 2, {"patience_s": 0.4}),
    ("comments-then-answer:50", lambda seen: complete(seen) and seen.body.count(b": OPENROUTER") == 52, {}),
    ("wrong-length:9", lambda seen: int(seen.headers["content-length"]) == len(seen.body) + 9 and seen.done, {}),
    ("gzip", complete, {}),
    ("gzip", unzipped, {"headers": "Accept-Encoding: gzip\r\n"}),
    ("gzip-cut", half_unzipped, {"headers": "Accept-Encoding: gzip\r\n"}),
    ("gzip-cut", lambda seen: unfinished(seen) and seen.whole, {}),
    ("usage-missing", lambda seen: not seen.usages and "stop" in seen.finishes and seen.done, {}),
    ("usage-no-cost", lambda seen: "cost" not in seen.usages[0] and seen.usages[0]["prompt_tokens"] > 0, {}),
    ("usage-twice", lambda seen: len(seen.usages) == 2 and seen.usages[0] == seen.usages[1], {}),
    ("usage-early", early, {}),
    ("usage-cumulative", cumulative, {}),
    ("usage-zero", lambda seen: seen.usages[0]["cost"] == 0 and seen.usages[0]["total_tokens"] > 50, {}),
    ("usage-markup:3", lambda seen: charged(seen) == pytest.approx(3), {}),
    ("byok", lambda seen: charged(seen) == pytest.approx(0.05) and seen.usages[0]["is_byok"], {}),
    ("cache-hit", from_cache, {}),
    (
        "usage-2025",
        lambda seen: seen.chunks[-1]["choices"][0]["finish_reason"] is None and seen.finishes == ["stop"],
        {},
    ),
    ("usage-2026-03", lambda seen: seen.chunks[-1]["choices"] == [] and len(seen.usages) == 1, {}),
    ("usage-2026-08", lambda seen: complete(seen) and seen.finishes == ["stop", "stop"], {}),
    ("bad-utf8", holds(b'"content":"\xff'), {}),
    ("bad-json", broken_json, {}),
    ("null-data", holds(b"null"), {}),
    ("deep-json", holds(b'{"a":' * 100_000), {}),
    ("huge-line:2", lambda seen: max(map(len, seen.payloads)) > 2 * 1024 * 1024 and complete(seen), {}),
    ("crlf", relined(b"\r\n"), {}),
    ("cr", relined(b"\r"), {}),
    ("bom", lambda seen: seen.body.startswith(b"\xef\xbb\xbf") and complete(seen), {}),
    ("split-utf8", split_inside, {}),
    ("multi-line-data", multi_line, {}),
    ("unknown-keys", strange, {}),
    ("openai-plain", plain_openai, {}),
    ("openai-plain", lambda seen: "cost" not in seen.usages[0], {"stream_options": {"include_usage": True}}),
    ("reasoning", sealed, {}),
    ("tools", one_call, {}),
    ("tools-forever", one_call, {}),
    ("tools-shuffled", shuffled, {}),
    ("tools-empty-args", lambda seen: pieces(seen) == {0: ""} and set(seen.finishes) == {"tool_calls"}, {}),
    ("tools-broken-args", lambda seen: pieces(seen) == {0: '{"text": "simul'}, {}),
    ("image", picture, {}),
    ("image-between", between, {}),
    ("audio", sound, {}),
    ("citations", cited, {}),
]


@pytest.mark.parametrize(("model", "check", "more"), CASES, ids=[repr(case[0]) for case in CASES])
def test_a_fault_shows_its_defining_property(
    server: Server, model: str, check: Callable[[Seen], bool], more: dict[str, Any]
) -> None:
    """What a test of the client relies on is pinned here, independently of the client."""
    for longer in (1, 10, 75):  # what comes before a silence takes as long as the machine is busy
        if check(seen := ask(server, f"offline/{model}", **_patience(more, longer))) or "patience_s" not in more:
            break
    assert check(seen), (seen.how, seen.raw[:3000], seen.raw[-1000:])


def _patience(more: dict[str, Any], longer: int) -> dict[str, Any]:
    return more | {name: longer * more[name] for name in more if name == "patience_s"}


def test_every_fault_of_the_table_has_a_case() -> None:
    """A fault that nobody checked is a promise that nobody keeps."""
    assert {fault.name for fault in TABLE if fault not in ERRORS} == {model.partition(":")[0] for model, _, _ in CASES}


@pytest.mark.parametrize("name", [fault.name for fault in TABLE])
def test_a_fault_of_a_whole_answer_neither_hangs_nor_breaks_the_server(server: Server, name: str) -> None:
    """The table is written for streams; a request without one gets the nearest thing, and the server lives on."""
    ask(server, f"offline/{name}", stream=False, patience_s=0.3)
    assert complete(ask(server, "offline/plain"))
    assert server.idle(HANG_S)
