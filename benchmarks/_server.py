"""A gateway of pre-rendered bytes, so that a measurement sees the client alone. Stdlib only; a process of its own.

The prompt says what comes back: ``words-20000`` is an answer of 20,000 chunks, each an SSE event in an HTTP chunk of
its own; ``mix-500-2ms-after-700ms`` one of ``_answers.py``, a chunk each 2 ms, the first one 700 ms after the headers.
``GET`` tells how many connections have carried a question, and when (``time.monotonic``) the last answer began to
flow and its reader was seen to be gone.
"""

from __future__ import annotations

import functools
import json
import re
import select
import socket
import sys
import threading
import time
from typing import NamedTuple

from _answers import SHAPES, answer, cut

# Some clients take a text that repeats itself for a model gone mad.
WORDS = [f"{number:04} " for number in range(100)]
_WORDS = re.compile(rb"words-(\d+)")
_ANSWER = re.compile(rf"({'|'.join(SHAPES)})-(\d+)-([\d.]+)ms-after-([\d.]+)ms".encode())
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Generation-Id: gen-1762179802-benchmark\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Seen:
    """Connections that carried a question; when the last answer began, and when it lost its reader."""

    def __init__(self) -> None:
        self.connections = 0
        self.last: dict[str, float | None] = {}
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.connections += 1


class Asked(NamedTuple):
    """An answer that is wanted, and how it is to flow."""

    shape: str
    chunks: int
    pace_s: float
    delay_s: float


@functools.cache
def words_answer(words: int) -> bytes:
    """Return the whole response of an answer with this many chunks of text."""
    events = [_framed(_event(_chunk(word, None))) for word in WORDS]
    text = b"".join(events) * (words // len(WORDS)) + b"".join(events[: words % len(WORDS)])
    return b"".join([_HEAD, text, *_ending(words), b"0\r\n\r\n"])


@functools.cache
def events(shape: str, chunks: int) -> list[bytes]:
    """Return what is sent after the headers, an item for each chunk and one for the end."""
    text = [_framed(_event(_chunk(piece, None))) for piece in cut(answer(shape, chunks))]
    return [*text, b"".join([*_ending(chunks), b"0\r\n\r\n"])]


def _ending(words: int) -> list[bytes]:
    ending = _chunk("", "stop") | {"usage": _usage(words)}
    return [_framed(_event(ending)), _framed(b"data: [DONE]\n\n")]


def _whole(asked: Asked) -> dict[str, object]:
    """Return the answer to a question that wants no stream."""
    message = {"role": "assistant", "content": answer(asked.shape, asked.chunks)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return _chunk("", None) | {"object": "chat.completion", "choices": [choice], "usage": _usage(asked.chunks)}


def _chunk(text: str, finish_reason: str | None) -> dict[str, object]:
    return {
        "id": "gen-1762179802-benchmark",
        "provider": "OpenAI",
        "model": "openai/gpt-4o-mini",
        "object": "chat.completion.chunk",
        "created": 1762179802,
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
                "native_finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
    }


def _usage(words: int) -> dict[str, object]:
    details = {"upstream_inference_cost": 0.00123}
    tokens = {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": words + 10}
    return tokens | {"cost": 0.00123, "is_byok": False, "cost_details": details}


def _event(chunk: dict[str, object]) -> bytes:
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode()


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _told(told: object) -> bytes:
    body = json.dumps(told).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _flow(client: socket.socket, asked: Asked, seen: Seen) -> None:
    """Send an answer at its pace, and look at every pause whether somebody still reads it.

    Raises:
        ConnectionError: nobody does; when that was seen is noted.
    """
    # An answer of before may still flow, where nobody has closed it; what it sees is no longer asked for.
    seen.last = times = dict.fromkeys(("first_at", "gone_at"))
    sending = events(asked.shape, asked.chunks)
    try:
        client.sendall(_HEAD)
        begin = time.monotonic() + asked.delay_s
        if not asked.pace_s:
            _pause(client, begin)
            times["first_at"] = time.monotonic()
            client.sendall(b"".join(sending))
            return
        for number, event in enumerate(sending):
            _pause(client, begin + number * asked.pace_s)
            if not number:
                times["first_at"] = time.monotonic()
            client.sendall(event)
    except ConnectionError:
        times["gone_at"] = time.monotonic()
        raise


def _pause(client: socket.socket, until: float) -> None:
    wait_s = until - time.monotonic()
    if wait_s > 0 and select.select([client], [], [], wait_s)[0]:  # a client that waits has nothing to say
        raise ConnectionResetError


def _serve(client: socket.socket, seen: Seen) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    asked_before = False
    with client:
        while True:
            while b"\r\n\r\n" not in held:
                if not (read := client.recv(65536)):
                    return
                held += read
            head, _, held = held.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            while len(held) < (int(length[1]) if length else 0):
                held += client.recv(65536)
            body, held = (held[: int(length[1])], held[int(length[1]) :]) if length else (b"", held)
            words, asked = _WORDS.search(body), _asked(body)
            if not (words or asked):
                client.sendall(_told({"data": [], "connections": seen.connections} | seen.last))
                continue
            if not asked_before:
                seen.add()
                asked_before = True
            if words:
                client.sendall(words_answer(int(words[1])))
            elif asked and json.loads(body).get("stream"):
                _flow(client, asked, seen)
            elif asked:
                client.sendall(_told(_whole(asked)))


def _asked(body: bytes) -> Asked | None:
    """Return what the last question of a conversation wants."""
    found = _ANSWER.findall(body)
    if not found:
        return None
    shape, chunks, pace_ms, delay_ms = found[-1]
    return Asked(shape.decode(), int(chunks), float(pace_ms) / 1000, float(delay_ms) / 1000)


def _quietly(client: socket.socket, seen: Seen) -> None:
    try:
        _serve(client, seen)
    except OSError:  # the client went away, as clients do
        return


def main() -> None:
    """Serve until standard input ends; print the port first."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    seen = Seen()

    def accept() -> None:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_quietly, args=(client, seen), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
