"""A gateway of pre-rendered bytes, so that a measurement sees the client alone. Stdlib only; a process of its own.

The prompt says what comes back: ``words-20000`` is an answer of 20,000 chunks, each an SSE event in an HTTP chunk of
its own. ``GET /connections`` tells how many connections have carried a question.
"""

from __future__ import annotations

import functools
import json
import re
import socket
import sys
import threading

# Some clients take a text that repeats itself for a model gone mad.
WORDS = [f"{number:04} " for number in range(100)]
_WORDS = re.compile(rb"words-(\d+)")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Generation-Id: gen-1762179802-benchmark\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Connections:
    """How many connections have carried a question."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.count += 1


@functools.cache
def answer(words: int) -> bytes:
    """Return the whole response of an answer with this many chunks of text."""
    events = [_framed(_event(_chunk(word, None))) for word in WORDS]
    text = b"".join(events) * (words // len(WORDS)) + b"".join(events[: words % len(WORDS)])
    ending = _chunk("", "stop") | {"usage": _usage(words)}
    return b"".join([_HEAD, text, _framed(_event(ending)), _framed(b"data: [DONE]\n\n"), b"0\r\n\r\n"])


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


def _serve(client: socket.socket, connections: Connections) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    asked = False
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
            words = _WORDS.search(body)
            if words is None:
                client.sendall(_told({"data": [], "connections": connections.count}))
                continue
            if not asked:
                connections.add()
                asked = True
            client.sendall(answer(int(words[1])))


def _quietly(client: socket.socket, connections: Connections) -> None:
    try:
        _serve(client, connections)
    except OSError:  # the client went away, as clients do
        return


def main() -> None:
    """Serve until standard input ends; print the port first."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    connections = Connections()

    def accept() -> None:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_quietly, args=(client, connections), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
