"""Parts of these tests: sessions, a reader of the books that shares no code with them, servers to be asked. Does I/O."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from or_magic.api import Session
from or_magic.offline import Server
from or_magic.values import Row, Timeouts

from ..guards import HANG_S

ROOT = Path(__file__).resolve().parents[2]
LIMITS = Timeouts(connect_s=HANG_S, first_token_s=HANG_S, idle_s=HANG_S, total_s=2 * HANG_S)


@contextlib.contextmanager
def hard_deadline(limit_s: float = HANG_S) -> Iterator[None]:
    """Fail what is inside with an error of the main thread, wherever it waits, instead of hanging."""

    def ring(*_: object) -> None:
        raise AssertionError(f"it hung: not done after {limit_s} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def opened(ledger: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the file of a ledger as it is; None where there is none yet, for a bare ``connect`` would leave an empty one."""
    if not ledger.exists():
        yield None
        return
    address = f"{ledger.absolute().as_uri()}?mode=rw"  # not ``ro``: a crash may have left a log that has to be played
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=HANG_S)) as connection:
        yield connection


def records(ledger: Path, table: str) -> list[sqlite3.Row]:
    """Return the rows of a table by its first column; none where there is no such table yet."""
    with opened(ledger) as connection:
        if connection is None:
            return []
        connection.row_factory = sqlite3.Row
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is None:
            return []
        return list(connection.execute(f"SELECT * FROM {table} ORDER BY 1"))


def books(ledger: Path) -> list[dict[str, Any]]:
    """Return every row of a ledger's file, read with a bare connection; none where there is no table yet."""
    return [dict(record) for record in records(ledger, "calls")]


def integrity(ledger: Path) -> str:
    """Return what SQLite thinks of the file."""
    with opened(ledger) as connection:
        assert connection is not None, f"there is no {ledger}"
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def wrong_sums(ledger: Path) -> list[str]:
    """Return where the sums that budgets are checked against are not those of the rows, added up by nobody's triggers."""
    added: dict[tuple[str, str], tuple[int, int]] = {}
    for each in books(ledger):
        spent, known = each["cost_pico"] or 0, each["cost_pico"] is not None
        held = 0 if known else next((each[n] for n in ("held_pico", "bound_pico") if each[n] is not None), 0)
        keys = [("total", ""), ("session", each["session"]), ("quarter", f"{each['started_at'] // 900_000_000:012d}")]
        for key in keys + [("tag", each["tag"])] * (each["tag"] is not None):
            before = added.get(key, (0, 0))
            added[key] = (before[0] + spent, before[1] + held)
    found = {(scope, key): (spent, held) for scope, key, spent, held in records(ledger, "sums")}
    return [f"sum {key}" for key in {*added, *found} if added.get(key, (0, 0)) != found.get(key, (0, 0))]


def row(name: str, **facts: Any) -> Row:
    """Return an open row of this process, with ``facts``."""
    from datetime import UTC, datetime

    told: dict[str, Any] = {
        "row_id": name, "started_at": datetime.now(UTC), "session": "test", "call_id": name, "gateway": "offline",
        "model_requested": "offline/plain", "host": socket.gethostname(), "pid": os.getpid(), "tag": name,
    }  # fmt: skip
    return Row(**(told | facts))


def in_a_fork(work: Callable[[], object]) -> int:
    """Run ``work`` in a fork and return its exit code: not 0 where it raised, negative where it hung and was killed."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(HANG_S))
        code = 1
        try:
            work()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)  # never back into the test, which the parent goes on with
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(condition: Callable[[], object], limit_s: float = HANG_S) -> bool:
    """Return whether ``condition`` came true in time."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def own_threads() -> list[str]:
    """Return the names of or_magic's threads that live."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("or_magic"))


def dead_port() -> int:
    """Return a port on which nobody listens: it was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Simulator:
    """``python -m or_magic.offline`` in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "or_magic.offline", "--pace", "0", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().rpartition(" ")[2].strip()
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def ledger(self) -> list[dict[str, Any]]:
        """Return the simulator's own books."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/offline/ledger", timeout=HANG_S) as answer:
            told: list[dict[str, Any]] = json.loads(answer.read(), parse_float=Decimal)["data"]
        return told

    def freeze(self) -> None:
        """Stop the process, and return when it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        assert until(lambda: psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        """Let the process go on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process."""
        self.process.kill()  # also if a test has stopped it
        self.process.wait(HANG_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Asked:
    """One HTTP request as it came over the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for found, value in self.headers if found.lower() == name.lower()]


Play = Callable[[socket.socket, Asked], None]


@dataclass
class RawServer:
    """A loopback server that keeps what it was sent and answers whatever ``play`` writes on the socket."""

    play: Play
    wrap: Callable[[socket.socket], socket.socket] = lambda sock: sock
    asked: list[Asked] = field(default_factory=list)
    accepted: int = 0

    def __enter__(self) -> RawServer:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(HANG_S)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a client that leaves, or a server that is closed
            sock = self.wrap(raw)
            self._open.append(sock)
            with sock, sock.makefile("rb") as reader:
                while (asked := read_request(reader)) is not None:
                    self.asked.append(asked)
                    self.play(sock, asked)


def read_request(reader: Any) -> Asked | None:
    """Return the next request of a connection, None at its end."""
    line = reader.readline()
    if not line.strip():
        return None
    headers = []
    while (header := reader.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    size = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Asked(line.decode("latin-1").strip(), headers, reader.read(size))


def response(body: bytes, status: str = "200 OK", *headers: str, kind: str = "application/json") -> bytes:
    """Return a whole HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answer(text: str = "Hello", generation_id: str = "gen-raw", cost: str = "0.25") -> bytes:
    """Return a complete streamed answer."""
    chunk = {"id": generation_id, "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]}
    end = {"id": generation_id, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"cost": 0}}
    told = json.dumps(end).replace('"cost": 0', f'"cost": {cost}')
    return f"data: {json.dumps(chunk)}\n\ndata: {told}\n\ndata: [DONE]\n\n".encode()


def streamed(body: bytes, *headers: str) -> bytes:
    """Return a whole HTTP response of an event stream."""
    return response(body, "200 OK", *headers, kind="text/event-stream")


def play_answer(sock: socket.socket, _: Asked) -> None:
    """Answer as an ordinary gateway does."""
    sock.sendall(streamed(answer(), "X-Generation-Id: gen-raw"))


def server_of(session: Session) -> Server:
    """Return the simulator inside an offline session."""
    server = session.engine.gateways.server
    assert server is not None
    return server


def rows(session: Session) -> list[dict[str, Any]]:
    """Return the rows of a session's ledger."""
    return books(session.engine.ledger.path)


def statuses(session: Session) -> list[str]:
    """Return what became of the calls of a session's ledger."""
    return [row["status"] for row in rows(session)]


def png() -> bytes:
    """Return the smallest real picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\1\2\3")) + chunk(b"IEND", b"")
    )
