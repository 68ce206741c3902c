"""When one attempt must give up, and the sockets that obey: every limit fires on time, also in a silent read.

A timeout of the HTTP client is per read, so one byte a second, or the gateway's comments, keep it from firing for
ever. Here each read waits for exactly what is left.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore2

from ..values import Timeouts

_current = threading.local()


class Deadlines:
    """The limits of one attempt; ``stop`` may be called from any thread, all else from the reading one."""

    def __init__(self, timeouts: Timeouts, *, streamed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._timeouts = timeouts
        self._streamed = streamed
        self._started = clock()
        self._data_at: float | None = None
        self._draining_until: float | None = None
        self._socket: socket.socket | None = None
        self.stopped = False
        self.deaf = False  # while it waits for something that ``stop`` cannot wake

    def __enter__(self) -> None:
        """Apply these limits to what this thread reads and writes inside."""
        _current.deadlines = self

    def __exit__(self, *exception: object) -> None:
        _current.deadlines = None

    @property
    def data_came(self) -> bool:
        """Whether anything of the answer has come."""
        return self._data_at is not None

    def saw_data(self) -> None:
        """Note that something of the answer came: a comment is not data."""
        self._data_at = self._clock()

    def drain(self, limit_s: float) -> None:
        """Allow ``limit_s`` from now on to read the body to its end; only the connection depends on it."""
        self._draining_until = self._clock() + limit_s

    def left(self) -> tuple[float, str]:
        """Return the seconds until the nearest limit, and its name."""
        now = self._clock()
        if self._draining_until is not None:
            return self._draining_until - now, "drain"
        ends = [(self._started + self._timeouts.total_s, "total")]
        if self._streamed and self._data_at is None:
            ends.append((self._started + self._timeouts.first_token_s, "first token"))
        elif self._streamed and self._data_at is not None:
            ends.append((self._data_at + self._timeouts.idle_s, "idle"))
        end, phase = min(ends)
        return end - now, phase

    def passed(self) -> str | None:
        """Return the name of the limit that has passed, or None; a timer may fire a moment early."""
        left_s, phase = self.left()
        return phase if left_s <= 0.005 else None

    def stop(self) -> bool:
        """End the attempt now; False where it waits for something that this does not wake."""
        self.stopped = True
        self.shut()
        return not self.deaf

    def shut(self) -> None:
        """Wake a read that waits in another thread, for ever."""
        if (sock := self._socket) is not None:
            with contextlib.suppress(OSError):  # it may have been closed in this very moment
                sock.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def waking_by_signal(self) -> Iterator[None]:
        """Mark a wait that has no socket of ours yet: only a signal's exception ends it early."""
        self.deaf = True
        try:
            yield
        finally:
            self.deaf = False

    def use(self, sock: socket.socket) -> None:
        """Name the socket that carries the attempt."""
        self._socket = sock

    def before_read(self, sock: socket.socket) -> float:
        """Return how long a read may wait.

        Raises:
            httpcore2.ReadTimeout: a limit has passed, or the attempt was stopped.
        """
        self.use(sock)
        left_s, phase = self.left()
        if self.stopped or left_s <= 0:
            raise httpcore2.ReadTimeout("stopped" if self.stopped else phase)
        return left_s


_SLICE_S = 0.25


class Brake:
    """Stops one call for good, from any thread: also an attempt that has not begun yet, and a pause between two."""

    def __init__(self) -> None:
        self.pulled = False
        # Reentrant: a signal may pull it while this very thread holds it.
        self._lock = threading.RLock()
        self._running: Deadlines | None = None
        # Held until it is pulled. A bare lock, because a signal handler must be able to open it while this very thread
        # waits for it: an Event would want a lock of its own, which that wait may hold.
        self._closed_gate = threading.Lock()
        self._closed_gate.acquire()

    def pull(self) -> bool:
        """Stop what runs, and let nothing run any more; False where the reader has to be woken by other means."""
        with self._lock:
            self.pulled = True
            running = self._running
        self._open_gate()
        return running is None or running.stop()

    def pause(self, seconds: float) -> bool:
        """Wait; False, and at once, when it is or was pulled."""
        end = time.monotonic() + seconds
        while not self.pulled and (left_s := end - time.monotonic()) > 0:
            # In slices: the handler of a signal that comes just before the wait begins runs only when it ends.
            if self._closed_gate.acquire(timeout=min(left_s, _SLICE_S)):
                self._open_gate()  # for whoever waits beside or after this
        return not self.pulled

    def _open_gate(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open already
            self._closed_gate.release()

    def watch(self, deadlines: Deadlines) -> bool:
        """Make ``deadlines`` those of the running attempt; False where it must not begin."""
        with self._lock:
            self._running = deadlines
            return not self.pulled

    def release(self) -> None:
        """Forget the attempt: it has ended."""
        with self._lock:
            self._running = None


_LOOK_S = 0.05  # how often a watchdog looks whether its limits have moved


@contextlib.contextmanager
def watchdog(deadlines: Deadlines, sock: socket.socket | None) -> Iterator[None]:
    """Do for a socket of another client what the streams of ours do by themselves: shut it when a limit passes."""
    if sock is None:  # a client without sockets, as in a test
        yield
        return
    done = threading.Event()
    deadlines.use(sock)

    def watch() -> None:
        while not done.wait(min(_LOOK_S, max(0.001, deadlines.left()[0]))):
            if deadlines.left()[0] <= 0:
                deadlines.shut()
                return

    thread = threading.Thread(target=watch, name="or_magic watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _LimitedStream(httpcore2.NetworkStream):
    """A network stream whose waits are bounded by the attempt that uses it now."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner
        self._socket: socket.socket = inner.get_extra_info("socket")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadlines = getattr(_current, "deadlines", None)
        if deadlines is not None:
            timeout = deadlines.before_read(self._socket)
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadlines = getattr(_current, "deadlines", None)
        if deadlines is not None:
            timeout = deadlines.before_read(self._socket)
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        deadlines = getattr(_current, "deadlines", None)
        if deadlines is not None:
            deadlines.use(self._socket)
        return _LimitedStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class LimitedBackend(httpcore2.SyncBackend):
    """The network backend whose streams obey the Deadlines of their thread."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect within the client's connect limit and what is left of the attempt's."""
        deadlines = getattr(_current, "deadlines", None)
        if deadlines is not None:
            timeout = max(0.001, min(timeout or float("inf"), deadlines.left()[0]))
        with deadlines.waking_by_signal() if deadlines is not None else contextlib.nullcontext():
            return _LimitedStream(super().connect_tcp(host, port, timeout, local_address, socket_options))
