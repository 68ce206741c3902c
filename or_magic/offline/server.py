"""The simulator on a loopback port: one thread accepts, one thread per connection answers. Does I/O."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from or_magic.offline import catalogue
from or_magic.offline.chat import Simulator
from or_magic.offline.deliver import deliver
from or_magic.offline.faults import find
from or_magic.offline.ledger import UNMETERED, Billed, Ledger
from or_magic.offline.local import PREFIX
from or_magic.offline.refusals import refusal
from or_magic.offline.replay import Recordings
from or_magic.offline.routes import route
from or_magic.offline.wire import Connection, GoneError, MalformedError, RefusedError, Request

_BACKLOG = 1024
_JOIN_S = 5.0


class Server:
    """A running simulator; close it, or use it in a ``with`` block."""

    def __init__(self, port: int, make: Callable[[int], Simulator]) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._simulator = make(self.port)
        self._stopping, self._quiet = threading.Event(), threading.Condition()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._accepted = self._posts = self._busy = 0
        self._acceptor = threading.Thread(target=self._accept, name="or_magic offline", daemon=True)
        self._acceptor.start()
        self._pid = os.getpid()
        atexit.register(self._at_exit)

    @property
    def url(self) -> str:
        """Return the base URL, with ``/api/v1``, or ``/v1`` of a local server."""
        return f"http://127.0.0.1:{self.port}" + ("/api/v1" if self._simulator.local is None else PREFIX)

    def billed(self) -> tuple[Billed, ...]:
        """Return every generation that is settled, in the order of settlement; one still being sent is not in it."""
        return self._simulator.ledger.billed()

    def received(self) -> int:
        """Return how many POSTs arrived whole."""
        return self._posts

    def connections(self) -> int:
        """Return how many TCP connections were accepted so far."""
        return self._accepted

    def idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until no request is being answered, and return whether that came in time."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self._busy == 0, timeout_s)

    def close(self) -> None:
        """Stop: no thread and no socket stays."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        atexit.unregister(self._at_exit)
        # On Linux only a shutdown wakes a thread that accepts; elsewhere only the close does.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_JOIN_S)
        with self._quiet:
            left = list(self._open.items())
        for sock, _ in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for _, thread in left:
            thread.join(_JOIN_S)

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:  # a forked child that ends has a copy of every socket, and none of the threads
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                # The listener is closed, or the process is out of file descriptors: leave the latter a moment.
                self._stopping.wait(0.05)
                continue
            thread = threading.Thread(target=self._serve, args=(sock,), name="or_magic offline call", daemon=True)
            with self._quiet:
                self._accepted += 1
                self._open[sock] = thread
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            connection = Connection(sock, self._stopping)
            while not self._stopping.is_set() and self._exchange(connection):
                continue
        except (GoneError, OSError):
            pass  # a client that leaves is no error of the server
        except RefusedError:
            connection.reset()
        finally:
            with self._quiet:
                self._open.pop(sock, None)
            sock.close()

    def _exchange(self, connection: Connection) -> bool:
        try:
            request = connection.receive()
        except MalformedError as error:
            deliver(connection, refusal(error.status, str(error)).steps(), meter=UNMETERED)
            return False
        with self._quiet:
            self._busy += 1
            self._posts += request.method == "POST"
        try:
            return self._answer(connection, request)
        finally:
            with self._quiet:
                self._busy -= 1
                self._quiet.notify_all()

    def _answer(self, connection: Connection, request: Request) -> bool:
        steps, meter = route(self._simulator, request)
        pace_s, modern = self._simulator.pace_s, request.version != "HTTP/1.0"
        try:
            reusable = deliver(connection, steps, meter=meter, pace_s=pace_s, chunks_allowed=modern)
        except GoneError:
            meter.cancel()
            raise
        return reusable and request.keep_alive


def serve(
    port: int = 0,
    *,
    pace_s: float = 0.0,
    replay: Path | None = None,
    clock: Callable[[], float] = time.time,
    key_limit_usd: Decimal | None = None,
    local: str | None = None,
    fault: str | None = None,
) -> Server:
    """Start the simulator on 127.0.0.1 and return it.

    Args:
        port: 0 takes a free one.
        pace_s: silence after each piece of an answer; 0 sends as fast as possible.
        replay: a directory of recorded bodies that are served byte for byte.
        clock: seconds since the epoch; decides ids, dates, quotas, and when a late generation is known.
        key_limit_usd: what ``/key`` tells as the key's limit; who has spent it is refused with 402.
        local: the name of a model; the simulator is then a plain OpenAI-compatible local server that has this one.
        fault: ``offline/NAME[:ARG]``, what every ordinary model does instead of answering, at its own price.

    Raises:
        ValueError: there is no such fault.
    """
    if fault is not None and find(fault)[0] is None:
        raise ValueError(f"There is no fault {fault!r}; the table in docs/offline.md has them all")
    recordings = Recordings(replay) if replay else None
    catalogue.items()  # read now, so that no answer waits for it

    def make(at_port: int) -> Simulator:
        return Simulator(clock, pace_s, Ledger(clock), recordings, at_port, key_limit_usd, local, fault)

    return Server(port, make)
