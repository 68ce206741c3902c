"""The ledger in SQLite: WAL and ``synchronous=EXTRA``, one writer per process, patient with other processes."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..budget import Limit, Standing, Terms, admit
from ..errors import LedgerError
from ..paths import short_path
from ..private_folder import make_private_folder
from ..values import Row, from_pico
from .files import make_private_file, on_network
from .forks import anew_in_children, gate
from .migrations import check_version, migrate
from .record import COLUMNS, Column, from_record, sums_of, to_record

_T = TypeVar("_T")
_PATIENCE_S = 60.0
# A log that is begun again often is overwritten instead of growing, and a commit that need not grow its file takes half
# the time: 132 instead of 257-348 µs measured, in the first 300 commits.
_WAL_PAGES = 200
_ASKED_AT_ONCE = 100  # SQLite joins five hundred questions, and no more
_PLACES = ", ".join("?" * len(COLUMNS))
_NAMES = ", ".join(COLUMNS)
# What a row is found by never changes. Were it named below, each settlement would write every index anew: six pages
# instead of three.
_FIXED = ("row_id", "started_at", "session", "call_id")
# What is settled stays: only a row whose cost is not known yet is written again.
_UPSERT = f"""
    INSERT INTO calls ({_NAMES}) VALUES ({_PLACES}) ON CONFLICT (row_id) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in _FIXED)}
    WHERE calls.cost_source IN ('unknown', 'estimated')
"""
_INSERT = f"INSERT OR IGNORE INTO calls ({_NAMES}) VALUES ({_PLACES})"


class SqliteStore:
    """One file. Every method may be called from any thread, and raises LedgerError where the file fails."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.path = path.absolute()  # a notebook may change its folder
        self.place = str(self.path)
        self._clock = clock
        self._sleep = sleep
        self._patience_s = patience_s
        self.forked()
        anew_in_children(self)
        self._writer: tuple[int, sqlite3.Connection] | None = None
        self._durable: bool | None = None  # what the writer is set to
        self._wal = False
        self._file: os.stat_result | None = None
        self._committing = False
        self._connects = 0

    def forked(self) -> None:
        """Take a new lock: a thread that waits for another process holds it, and does not exist in a child."""
        self._lock = threading.RLock()

    def insert(self, row: Row, terms: Terms | None = None) -> Row:
        """Add an open row and return it with what it reserves; on disk when this returns.

        Raises:
            OverBudget: the terms do not allow it; nothing was written.
        """
        with self._write() as connection:
            if terms is not None:
                row = admit(row, terms, _standings(connection, terms.limits))
            connection.execute(_INSERT, to_record(row))
        return row

    def settle(self, rows: Sequence[Row], limits: Sequence[Limit] = ()) -> list[Standing]:
        """Write rows whose outcome is known now; on disk when this returns. Return how ``limits`` stand then."""
        with self._write() as connection:
            connection.executemany(_UPSERT, map(to_record, rows))
            return _standings(connection, limits)

    def standings(self, limits: Sequence[Limit]) -> list[Standing]:
        """Return how ``limits`` stand."""
        with self._read() as connection, gate.inside():
            return _standings(connection, limits)

    def note_generation(self, row_id: str, generation_id: str) -> None:
        """Keep the id by which the gateway can be asked; it survives a crash, and with luck a power cut."""
        with self._write(durable=False) as connection:
            connection.execute(
                "UPDATE calls SET generation_id = ? WHERE row_id = ? AND status = 'open'", (generation_id, row_id)
            )

    def discard(self, row_id: str) -> None:
        """Remove an open row whose request never left."""
        with self._write() as connection:
            connection.execute("DELETE FROM calls WHERE row_id = ? AND status = 'open'", (row_id,))

    def rows(self, where: str = "1", values: Sequence[Any] = ()) -> list[Row]:
        """Return rows that match a condition of ours, oldest first."""
        with self._read() as connection, gate.inside():
            found = connection.execute(f"SELECT {_NAMES} FROM calls WHERE {where} ORDER BY id", values)
            return [from_record(record) for record in found]

    def batches(
        self, columns: Sequence[Column], where: str, values: Sequence[Any], size: int = 20_000
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield batches of records with these columns, oldest first."""
        names = ", ".join([c if isinstance(c, str) else f"json_array({', '.join(c)})" for c in columns])
        with self._read() as connection:
            with gate.inside():
                found = connection.execute(f"SELECT {names} FROM calls WHERE {where} ORDER BY id", values)
                batch = found.fetchmany(size)
            while batch:
                yield batch
                with gate.inside():
                    batch = found.fetchmany(size)

    def figures(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return sums and counts over the rows that match a condition of ours."""
        with self._read() as connection, gate.inside():
            return tuple(connection.execute(f"SELECT {', '.join(columns)} FROM calls WHERE {where}", values).fetchone())

    def version(self) -> tuple[int, ...]:
        """Return what differs as soon as anybody has written."""
        with self._lock, self._told(), gate.inside():
            connection = self._connection()
            by_others = connection.execute("PRAGMA data_version").fetchone()[0]
            return (self._connects, by_others, connection.total_changes)  # each tells nothing of the other's writes

    def obstacle(self) -> str | None:
        """Return why rows cannot be added, and what to do; None where they can."""
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            return None
        return "cannot be written; set OR_MAGIC_HOME to a folder that can be"

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._writer is not None and self._writer[0] == os.getpid():
                with gate.inside():
                    self._writer[1].close()
            self._writer = None

    @contextlib.contextmanager
    def _write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told(), gate.inside():
            connection = self._connection()
            durable = durable or not self._wal
            if durable is not self._durable:
                # EXTRA is FULL where there is a WAL. Where there is none, FULL may lose the last commit to a power cut,
                # and NORMAL may lose the file.
                connection.execute(f"PRAGMA synchronous = {'EXTRA' if durable else 'NORMAL'}")
                self._durable = durable
            try:
                # Within: an interrupt is noticed when it has begun, and a lock that is left here stops every kernel.
                self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
                yield connection
                self._committing = True
                self._patiently(lambda: connection.execute("COMMIT"))
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._check_in_place()
            self._committing = False

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        # A connection of its own: a long read must not hold up the calls that are being written.
        with self._told():
            with gate.inside():
                self._connection()
                connection = sqlite3.connect(self.path, timeout=self._patience_s)
            try:
                yield connection
            finally:
                with gate.inside():
                    connection.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            self.close()
            raise self._failed(
                f"cannot be used: {error}. Free its disk, or set OR_MAGIC_HOME to a folder that can be written."
            ) from error

    def _check_in_place(self) -> None:
        # SQLite goes on writing to a file that was removed, and every commit would succeed.
        try:
            if self._file is not None and os.path.samestat(self._file, os.stat(self.path)):
                return
        except FileNotFoundError:
            pass
        self.close()
        raise self._failed("was removed or moved while it was in use. Put it back, or a new one is begun.")

    def _failed(self, what: str) -> LedgerError:
        error = LedgerError(f"The ledger {short_path(self.path)} {what}")
        error.uncertain, self._committing = self._committing, False
        return error

    def _connection(self) -> sqlite3.Connection:
        with self._lock:
            if self._writer is not None and self._writer[0] == os.getpid():
                self._check_in_place()
            if self._writer is None or self._writer[0] != os.getpid():  # SQLite must not be carried over a fork
                self._writer, self._durable = (os.getpid(), self._connect()), None
                self._connects += 1
            return self._writer[1]

    def _connect(self) -> sqlite3.Connection:
        make_private_folder(self.path.parent)
        make_private_file(self.path)
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._patiently(lambda: check_version(connection, str(self.path)))
            mode = "DELETE" if on_network(self.path.parent) else "WAL"
            self._wal = self._patiently(lambda: _set_journal(connection, mode)) == "wal"
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            migrate(connection, str(self.path))
            self._patiently(lambda: connection.execute("COMMIT"))
            self._file = os.stat(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _patiently(self, action: Callable[[], _T]) -> _T:
        # Our own waiting: SQLite's sleeps up to 100 ms between tries, and then starves among many processes.
        end = self._clock() + self._patience_s
        pause_s = 0.0005
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                if self._clock() >= end:
                    raise
            with gate.outside():
                self._sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the tries
            pause_s = min(pause_s * 1.5, 0.01)


def _standings(connection: sqlite3.Connection, limits: Sequence[Limit]) -> list[Standing]:
    """Return how limits stand, by one question for many: each call under a budget asks twice."""
    standings = []
    for begin in range(0, len(limits), _ASKED_AT_ONCE):
        some = limits[begin : begin + _ASKED_AT_ONCE]
        told = [sums_of(limit) for limit in some]
        question = " UNION ALL ".join([f"SELECT {place}, * FROM ({each})" for place, (each, _) in enumerate(told)])
        found = connection.execute(question, [value for _, values in told for value in values])
        for place, spent, held in sorted(found):
            standings.append(Standing(some[place], from_pico(spent or 0), from_pico(held or 0)))
    return standings


def _set_journal(connection: sqlite3.Connection, mode: str) -> str:
    """Return the mode that was got."""
    try:
        return str(connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or mode == "DELETE":
            raise
        # No shared memory here: slower, and as safe.
        return str(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
