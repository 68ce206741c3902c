"""The connections of one process to one server: few, made when needed, and never carried over a fork.

psycopg's own pool makes connections in threads, where a wrong password is retried instead of told; these are made by
whoever needs one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from .forks import anew_in_children, gate

# What it says of a connection that broke is no output of a cell; a program that has set up logging still gets it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

Connection = psycopg.Connection[Any]
_T = TypeVar("_T")

STATEMENT_S = 8  # the server's own limit
LATE_S = 4.0  # what it has not ended by then and this, it will not end
_MOST = 4
_BUSY_S = 20.0  # each of those that are busy comes back in less: by its own limits
_PATIENCE_S = 5.0
_IDLE_S = 60.0  # a kernel that is only open should not keep what others may need
_PAUSE_S = 0.05
# Words of a server that has no room just now, or is about to be there: the only refusals that pass by themselves.
_PASSING = ("too many clients", "remaining connection slots", "starting up", "in recovery mode", "not yet accepting")


class Late(psycopg.OperationalError):
    """The server was asked and says nothing."""


class Bounded(psycopg.Connection[Any]):
    """A connection whose every wait ends, also where a proxy swallows what is sent."""

    _limit_s = STATEMENT_S + LATE_S

    @contextlib.contextmanager
    def allowing(self, limit_s: float) -> Iterator[None]:
        """Wait longer than usual."""
        self._limit_s = limit_s
        try:
            yield
        finally:
            del self._limit_s

    def wait(self, gen: Generator[Any, Any, _T], *args: Any, **more: Any) -> _T:
        """Wait for the server, not for ever."""
        try:
            return super().wait(_within(gen, self._limit_s), *args, **more)
        except Late:
            self.pgconn.finish()  # nobody knows any more what belongs to which question
            raise


def _within(gen: Generator[Any, Any, _T], limit_s: float) -> Generator[Any, Any, _T]:
    """Pass ``gen`` on; psycopg wakes it every tenth of a second, with nothing where nothing came."""
    end = time.monotonic() + limit_s
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready and time.monotonic() >= end:
                raise Late(f"no answer in {limit_s:.0f} s")
            state = gen.send(ready)
    except StopIteration as done:
        value: _T = done.value
        return value


@dataclass(eq=False)
class _Turn:
    """One who waits; then what it got: a connection, the room for a new one, or why there is none."""

    has_come: threading.Event = field(default_factory=threading.Event)
    connection: Bounded | None = None
    trouble: str | None = None


class Connections:
    """At most a few connections, the one used last first."""

    def __init__(
        self,
        connect: Callable[[], Bounded],
        *,
        most: int = _MOST,
        busy_s: float = _BUSY_S,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._most = most
        self._busy_s = busy_s
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._theirs: list[Bounded] = []  # of the process this one was forked from: to be left alone
        self.forked()
        anew_in_children(self)

    def forked(self) -> None:
        """Forget what the process had that this one was forked from: not even closing those connections is ours."""
        self._theirs += [connection for _, connection in getattr(self, "_idle", ())]
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Bounded]] = []
        self._open = 0
        self._queue: deque[_Turn] = deque()  # in their order: who has just given one back must not take it again first

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[tuple[Bounded, bool]]:
        """Lend a connection, and whether it was made just now.

        Raises:
            psycopg.Error: none can be had.
        """
        process = os.getpid()
        connection, fresh = self._take()
        try:
            yield connection, fresh
        finally:
            if process == os.getpid():
                self._give_back(connection)
            else:  # forked in between
                self._theirs.append(connection)

    def drop_idle(self) -> None:
        """Close what nobody uses: its server is gone, or the books are closed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            self._let_go(connection)

    def _take(self) -> tuple[Bounded, bool]:
        with self._lock:
            turn = None if not self._queue and (self._idle or self._open < self._most) else _Turn()
            if turn is not None:
                self._queue.append(turn)
            elif self._idle:
                return self._idle.pop()[1], False
            else:
                self._open += 1
        if turn is not None:
            self._wait(turn)
            if turn.connection is not None:
                return turn.connection, False
        try:
            return self._made(), True
        except BaseException as error:
            self._one_less(str(error) if isinstance(error, Exception) else None)
            raise

    def _wait(self, turn: _Turn) -> None:
        try:
            turn.has_come.wait(self._busy_s)
        except BaseException:  # interrupted: what it was given meanwhile goes on to the next
            if not self._has_left(turn) and turn.trouble is None:
                self._one_less() if turn.connection is None else self._give_back(turn.connection)
            raise
        if self._has_left(turn):
            raise psycopg.OperationalError(f"all {self._most} connections are busy")
        if turn.trouble is not None:
            raise psycopg.OperationalError(turn.trouble)

    def _has_left(self, turn: _Turn) -> bool:
        """Take ``turn`` out of the queue; whether it was still waiting there."""
        with self._lock:
            waiting = turn in self._queue
            if waiting:
                self._queue.remove(turn)
        return waiting

    def _made(self) -> Bounded:
        end = self._clock() + self._patience_s
        while True:
            try:
                with gate.inside():
                    return self._connect()
            except psycopg.OperationalError as error:
                if self._clock() >= end or not any(words in str(error) for words in _PASSING):
                    raise
            self._sleep(_PAUSE_S)

    def _give_back(self, connection: Bounded) -> None:
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            self._let_go(connection)
            return
        now = self._clock()
        with self._lock:
            if self._queue:
                turn = self._queue.popleft()
                turn.connection = connection
                turn.has_come.set()
                return
            self._idle.append((now, connection))
            old = [each for since, each in self._idle if now - since > _IDLE_S]
            self._idle = [(since, each) for since, each in self._idle if now - since <= _IDLE_S]
        for each in old:
            self._let_go(each)

    def _let_go(self, connection: Bounded) -> None:
        with gate.inside():
            connection.close()
        self._one_less()

    def _one_less(self, trouble: str | None = None) -> None:
        with self._lock:
            if trouble is None and self._queue:  # the next one has the room
                self._queue.popleft().has_come.set()
                return
            self._open -= 1
            # One waits for a server that is away, not each in turn.
            while trouble is not None and not self._open and self._queue:
                turn = self._queue.popleft()
                turn.trouble = trouble
                turn.has_come.set()
