"""Clients that ask the same question, one function each, and the process that measures one of them.

``python _clients.py NAME BASE_URL stream CHUNKS`` or ``... small CALLS`` prints one line of JSON. It runs in the
environment of the client it measures, so it imports nothing but the standard library before it knows which.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import resource
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import urlopen

MODEL = "openai/gpt-4o-mini"
_WORD_SIZE = 5
_KEY = "no-key"
_ANSWERS = 3


class Taken(NamedTuple):
    """What one answer was: when its first text came, in how many pieces, and how long it was."""

    first_at: float
    pieces: int
    size: int


Ask = Callable[[str], Taken]


def count(texts: Iterable[str | None]) -> Taken:
    """Read texts to their end."""
    first_at, pieces, size = 0.0, 0, 0
    for text in texts:
        if text:
            if not pieces:
                first_at = time.perf_counter()
            pieces += 1
            size += len(text)
    return Taken(first_at, pieces, size)


def _question(prompt: str) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "stream": True}


def _decoder() -> Callable[[bytes], Any]:
    """Return the fastest decoder of a chunk that there is: typed, and blind to all but the text."""
    import msgspec

    delta = msgspec.defstruct("Delta", [("content", str, "")])
    choice = msgspec.defstruct("Choice", [("delta", delta)])
    return msgspec.json.Decoder(msgspec.defstruct("Chunk", [("choices", list[choice])])).decode  # type: ignore[valid-type]


def raw_socket(base_url: str) -> Ask:
    """Decode what stands between ``data: `` and the blank line, and never look at HTTP: the limit."""
    address, decode = urlsplit(base_url), _decoder()
    connection = socket.create_connection((address.hostname or "", address.port or 80))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def texts(prompt: str) -> Iterable[str]:
        body = json.dumps(_question(prompt)).encode()
        head = f"POST /api/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        held = b""
        while not held.endswith(b"0\r\n\r\n"):
            held += connection.recv(262144)
            *events, held = held.split(b"\n\n")
            for event in events:
                payload = event[event.index(b"data: ") + 6 :]
                if payload != b"[DONE]":
                    yield decode(payload).choices[0].delta.content

    return lambda prompt: count(texts(prompt))


def http_client(base_url: str) -> Ask:
    """Use ``http.client`` and ``json``: what the standard library can do."""
    address = urlsplit(base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def texts(prompt: str) -> Iterable[str]:
        body = json.dumps(_question(prompt)).encode()
        connection.request("POST", address.path + "/chat/completions", body, {"Content-Type": "application/json"})
        response, held = connection.getresponse(), b""
        while read := response.read1(65536):
            *events, held = (held + read).split(b"\n\n")
            for event in events:
                if event != b"data: [DONE]":
                    yield json.loads(event[6:])["choices"][0]["delta"]["content"]

    return lambda prompt: count(texts(prompt))


def httpx_raw(base_url: str) -> Ask:
    """Use httpx2's bytes and a typed msgspec decoder."""
    import httpx2

    client, decode = httpx2.Client(), _decoder()

    def texts(prompt: str) -> Iterable[str]:
        held = b""
        with client.stream("POST", base_url + "/chat/completions", json=_question(prompt)) as response:
            for read in response.iter_raw():
                *events, held = (held + read).split(b"\n\n")
                for event in events:
                    if event != b"data: [DONE]":
                        yield decode(event[6:]).choices[0].delta.content

    return lambda prompt: count(texts(prompt))


def openai_sync(base_url: str) -> Ask:
    """Use openai's own iteration."""
    import openai

    client = openai.OpenAI(base_url=base_url, api_key=_KEY)

    def ask(prompt: str) -> Taken:
        with client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True
        ) as stream:
            return count(chunk.choices[0].delta.content for chunk in stream)

    return ask


def _ours(base_url: str) -> Any:
    import or_magic

    return or_magic.connect(base_url=base_url, model=MODEL)


def or_magic_stream(base_url: str) -> Ask:
    """Use ``orm.stream``: events, books and all."""
    from or_magic.content import Text
    from or_magic.events import Piece

    session = _ours(base_url)

    def ask(prompt: str) -> Taken:
        with session.stream(prompt) as stream:
            parts = (event.part for event in stream if isinstance(event, Piece))
            return count(part.text for part in parts if isinstance(part, Text))

    return ask


def or_magic_ask(base_url: str) -> Ask:
    """Use ``orm.ask``: one whole reply; when its first text came is what the books say."""
    session = _ours(base_url)

    def ask(prompt: str) -> Taken:
        started = time.perf_counter()
        reply = session.ask(prompt)
        if str(reply.cost_usd) != "0.00123":
            raise AssertionError(f"the billed cost was lost: {reply.cost_usd}")
        return Taken(started + (reply.first_token_s or 0.0), reply.usage.completion_tokens, len(reply.text))

    return ask


def litellm(base_url: str) -> Ask:
    """Use litellm, with the garbage collector off.

    It leaves its streams to the collector, which may close one while their pool is locked: then it waits for ever.
    Without the collector its pool is empty after a hundred answers.
    """
    import litellm as peer

    gc.disable()

    def ask(prompt: str) -> Taken:
        messages = [{"role": "user", "content": prompt}]
        stream = peer.completion(f"openrouter/{MODEL}", messages=messages, stream=True, api_base=base_url, api_key=_KEY)
        return count(chunk.choices[0].delta.content for chunk in stream)

    return ask


def chatlas(base_url: str) -> Ask:
    from chatlas import ChatOpenRouter

    chat = ChatOpenRouter(model=MODEL, base_url=base_url, api_key=_KEY)

    def ask(prompt: str) -> Taken:
        chat.set_turns([])  # every question stands alone, as everybody else's do
        return count(str(text) for text in chat.stream(prompt))

    return ask


def langchain(base_url: str) -> Ask:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model=MODEL, base_url=base_url, api_key=_KEY)
    return lambda prompt: count(str(chunk.content) for chunk in chat.stream(prompt))


def llm(base_url: str) -> Ask:
    from llm.default_plugins.openai_models import Chat

    chat = Chat("benchmark", key=_KEY, model_name=MODEL, api_base=base_url)
    return lambda prompt: count(iter(chat.prompt(prompt)))


def openrouter(base_url: str) -> Ask:
    from openrouter import OpenRouter

    client = OpenRouter(api_key=_KEY, server_url=base_url)

    def ask(prompt: str) -> Taken:
        messages = [{"role": "user", "content": prompt}]
        with client.chat.send(model=MODEL, messages=messages, stream=True) as stream:
            return count(chunk.choices[0].delta.content for chunk in stream if chunk.choices)

    return ask


CLIENTS: dict[str, Callable[[str], Ask]] = {
    made.__name__: made
    for made in (
        raw_socket, http_client, httpx_raw, openai_sync, or_magic_stream, or_magic_ask,
        litellm, chatlas, langchain, llm, openrouter,
    )
}  # fmt: skip


def stream(ask: Ask, chunks: int) -> dict[str, float]:
    """Measure a long answer a few times; time and CPU are the best ones, memory is what the first one took."""
    walls, cpus, grown = [], [], 0
    for _ in range(_ANSWERS):
        resident = _resident_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        taken = _checked(ask(f"words-{chunks}"), chunks)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        grown = grown or _peak_bytes() - resident
    return {
        "wall_s": min(walls),
        "cpu_s": min(cpus),
        "pieces": taken.pieces,
        "grown_bytes": grown,
        "text_bytes": taken.size,
    }


def small(ask: Ask, calls: int, base_url: str) -> dict[str, float]:
    """Measure many answers of one chunk."""
    first_s, whole_s = [], []
    connections = _connections(base_url)
    cpu = time.process_time()
    for _ in range(calls):
        started = time.perf_counter()
        taken = _checked(ask("words-1"), 1)
        whole_s.append(time.perf_counter() - started)
        first_s.append(taken.first_at - started)
    return {
        "cpu_s": (time.process_time() - cpu) / calls,
        "first_s": statistics.median(first_s),
        "whole_s": statistics.median(whole_s),
        "connections": (_connections(base_url) - connections) * 100 / calls,
    }


def _checked(taken: Taken, chunks: int) -> Taken:
    if taken.size != chunks * _WORD_SIZE:
        raise AssertionError(f"{taken.size} characters came instead of {chunks * _WORD_SIZE}")
    return taken


def _connections(base_url: str) -> int:
    with urlopen(base_url + "/connections") as response:
        return int(json.load(response)["connections"])


def _resident_bytes() -> int:
    """Return the memory in use, and let the peak start from here where the system can do that."""
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Make the client, warm it, measure it."""
    name, base_url, mode, amount = sys.argv[1:]
    ask = CLIENTS[name](base_url)
    for _ in range(20 if mode == "small" else 3):
        ask("words-1")
    told = stream(ask, int(amount)) if mode == "stream" else small(ask, int(amount), base_url)
    print(json.dumps(told), flush=True)
    os._exit(0)  # what a client does at the end of its process is not measured


if __name__ == "__main__":
    main()
