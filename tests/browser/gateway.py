"""A gateway that says, word by word and when it is told to, exactly what a test has written down. Does I/O.

The simulator tells back what it received; here a test wants to decide what a model writes, how fast, and when the answer
ends. The last user text of a request is the name of a script.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "test/writer"


@dataclass
class Script:
    """One answer.

    Attributes:
        piece: characters in a chunk.
        pace_s: silence after each chunk.
        hold: after so many characters nothing but comments comes until ``release``.
        endless: the text is repeated until the client leaves.
        refusal: an HTTP status and an error body instead of an answer.
        later: deltas after the text, such as pictures and sound.
        extra: fields of every chunk, such as ``model`` and ``provider``.
    """

    text: str = ""
    reasoning: str = ""
    piece: int = 4
    pace_s: float = 0.0
    hold: int | None = None
    endless: bool = False
    finish_reason: str = "stop"
    citations: tuple[Mapping[str, str], ...] = ()
    refusal: tuple[int, Mapping[str, Any]] | None = None
    later: tuple[dict[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    held: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def deltas(self) -> Iterator[dict[str, Any] | None]:
        """Yield the deltas in order; None is the place to hold."""
        yield from ({"reasoning": piece} for piece in cut(self.reasoning, self.piece))
        where = len(self.text) if self.hold is None else self.hold
        while True:
            yield from ({"content": piece} for piece in cut(self.text[:where], self.piece))
            if self.hold is not None:
                yield None
            yield from ({"content": piece} for piece in cut(self.text[where:], self.piece))
            if not self.endless:
                break
        yield from self.later
        if self.citations:
            yield {"annotations": [{"type": "url_citation", "url_citation": dict(told)} for told in self.citations]}


def cut(text: str, size: int) -> Iterator[str]:
    """Yield ``text`` in pieces of ``size`` characters."""
    return (text[at : at + size] for at in range(0, len(text), size))


class Gateway:
    """A server on a free loopback port that plays scripts; leave it by ``close``."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.models: list[Mapping[str, Any]] = [listed(MODEL)]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"gateway": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="gateway of the tests")
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_port}/api/v1"

    def says(self, name: str, text: str = "", **script: Any) -> Script:
        """Write down what the answer to the prompt ``name`` is."""
        self.scripts[name] = Script(text, **script)
        return self.scripts[name]

    def close(self) -> None:
        """Let everybody go who waits, and end."""
        for script in self.scripts.values():
            script.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listed(model: str, **facts: Any) -> dict[str, Any]:
    """Return a model as the catalogue lists it."""
    return {
        "id": model, "name": model, "canonical_slug": model, "context_length": 131_072,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.000001", "completion": "0.000002"}, "supported_parameters": ["temperature"],
    } | facts  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    gateway: Gateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each small answer waits 40 ms for an acknowledgement

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is its own."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/models"):
            self._whole(200, {"data": self.gateway.models})
        elif path.endswith("/key"):
            self._whole(200, {"data": {"label": "a key", "usage": 1.5, "limit": 10, "limit_remaining": 8.5}})
        else:
            self._whole(404, {"error": {"code": 404, "message": "Not found"}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.gateway.scripts.get(_last_text(asked).strip())
        if script is None:
            known = ", ".join(self.gateway.scripts)
            self._whole(400, {"error": {"code": 400, "message": f"No such script; there are: {known}"}})
        elif script.refusal:
            self._whole(script.refusal[0], script.refusal[1])
        else:
            try:
                self._stream(script, asked["model"])
            except OSError:  # the client left, as an interrupted cell does
                self.close_connection = True
                script.gone.set()

    def _whole(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, script: Script, model: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = {"id": "gen-1", "model": model, "provider": "Tester"} | script.extra
        for delta in script.deltas():
            if delta is None:
                self._hold(script)
                continue
            self._event(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            if script.pace_s:
                script.released.wait(script.pace_s)
        end = {"index": 0, "delta": {}, "finish_reason": script.finish_reason}
        usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "cost": 0.00005}
        self._event(chunk | {"choices": [end], "usage": usage})
        self._send(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _hold(self, script: Script) -> None:
        script.held.set()
        self._send(b": OPENROUTER PROCESSING\n\n")
        while not script.released.wait(0.1):
            self._send(b": OPENROUTER PROCESSING\n\n")

    def _event(self, chunk: Mapping[str, Any]) -> None:
        self._send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def _last_text(asked: Mapping[str, Any]) -> str:
    content = asked["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join([part.get("text", "") for part in content])
