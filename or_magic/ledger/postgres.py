"""The team's ledger in PostgreSQL: the same books as in a file, for everybody who has the address."""

from __future__ import annotations

import contextlib
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from ..budget import Limit, Standing, Terms, admit
from ..errors import LedgerError
from ..values import EXACT, Row, from_pico
from .address import forget_locals, parameters_of, place_of
from .connections import LATE_S, STATEMENT_S, Bounded, Connection, Connections, Late
from .forks import gate
from .postgres_schema import LOCKS, SCHEMA, migrate
from .record import COLUMNS, Column, from_record, sums_of, to_record

_T = TypeVar("_T")
_CONNECT_S = 5
_LOCK_S = 5
_READ_S = 30
_TRIES = 3
_TRIES_UNDER = 20  # of a row whose budget others spend from at the same moment
# Where a network is cut without a word, the system finds out in about as long as we would wait for an answer.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": _CONNECT_S,
    "application_name": "or_magic",
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_BEGINNING = f"""
    SET search_path = {SCHEMA}, pg_temp; SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '{STATEMENT_S}s'; SET lock_timeout = '{_LOCK_S}s';
    SET client_min_messages = 'error'
""".encode()
_READING = f"""
    BEGIN READ ONLY; SET LOCAL statement_timeout = '{_READ_S}s'; SET LOCAL idle_in_transaction_session_timeout = '600s'
""".encode()
_HINT = " Is the server running on that host"  # libpq asks; whoever reads it can only do what our own sentence says
_EVERYBODY = ("day", "week", "total")  # these are one budget for all: who is let in there is let in one by one

# What is known when a row is opened stays as it is: a member needs no right to change it.
_FIXED = {
    "row_id", "started_at", "session", "user", "notebook", "cell_id", "source", "purpose", "tag", "chat", "call_id",
    "parent_call_id", "attempt", "gateway", "model_requested", "host", "pid",
}  # fmt: skip
_NAMES = ", ".join([f'"{name}"' for name in COLUMNS])
_INSERT = f"INSERT INTO calls ({_NAMES}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT (row_id) "
_OPEN = f"{_INSERT} DO NOTHING"
_OPEN_WHERE = f"""
    INSERT INTO calls ({_NAMES}) SELECT {", ".join(["%s"] * len(COLUMNS))} WHERE {{}} ON CONFLICT (row_id) DO NOTHING
"""
# What is settled stays: only a row whose cost is not known yet is written again.
_UPSERT = f"""
    {_INSERT} DO UPDATE SET {", ".join(f'"{name}" = excluded."{name}"' for name in COLUMNS if name not in _FIXED)}
    WHERE calls.cost_source IN ('unknown', 'estimated')
"""
_NOTE = "UPDATE calls SET generation_id = %s WHERE row_id = %s AND status = 'open'"
_DISCARD = "DELETE FROM calls WHERE row_id = %s AND status = 'open'"


class PostgresStore:
    """One database. Every method may be called from any thread, and raises LedgerError where the server fails.

    ``address`` tells the URL, which may hold a password; it is asked for each connection and kept nowhere.
    """

    def __init__(
        self, address: Callable[[], str], home: Path, *, clock: Callable[[], float] = time.monotonic, most: int = 4
    ) -> None:
        self._address = address
        self.place = place_of(parameters_of(address))
        self.path = home.absolute() / f"team-{hashlib.sha256(self.place.encode()).hexdigest()[:16]}"
        self._clock = clock
        self._connections = Connections(self._connect, most=most, clock=clock)

    def insert(self, row: Row, terms: Terms | None = None) -> Row:
        """Add an open row and return it with what it reserves; committed when this returns.

        Raises:
            OverBudget: the terms do not allow it; nothing was written.
        """
        if terms is None or not terms.limits:
            row = row if terms is None else admit(row, terms, ())
            self._run(lambda connection, _: connection.execute(_OPEN, _record(row)))
            return row
        return self._run(lambda connection, again: _insert_under(connection, row, terms, again=again))

    def settle(self, rows: Sequence[Row], limits: Sequence[Limit] = ()) -> list[Standing]:
        """Write rows whose outcome is known now; committed when this returns. Return how ``limits`` stand then."""

        def write(connection: Connection) -> None:
            if len(rows) == 1:
                connection.execute(_UPSERT, _record(rows[0]))
            elif rows:
                with connection.cursor() as cursor:
                    cursor.executemany(_UPSERT, map(_record, rows))

        return self._run(lambda connection, _: _standings(connection, limits, lambda: write(connection)))

    def standings(self, limits: Sequence[Limit]) -> list[Standing]:
        """Return how ``limits`` stand."""
        return self._run(lambda connection, _: _standings(connection, limits))

    def note_generation(self, row_id: str, generation_id: str) -> None:
        """Keep the id by which the gateway can be asked; it survives the end of this program, and soon a power cut."""

        def work(connection: Connection, _: bool) -> None:
            with connection.pipeline():
                connection.execute("SELECT set_config('synchronous_commit', 'off', true)")
                connection.execute(_NOTE, (_text(generation_id), _text(row_id)))

        self._run(work)

    def discard(self, row_id: str) -> None:
        """Remove an open row whose request never left."""
        self._run(lambda connection, _: connection.execute(_DISCARD, (_text(row_id),)))

    def rows(self, where: str = "1 = 1", values: Sequence[Any] = ()) -> list[Row]:
        """Return rows that match a condition of ours, oldest first."""
        names = [f'"{name}"' for name in COLUMNS]
        return [from_record(record) for batch in self.batches(names, where, values) for record in batch]

    def batches(
        self, columns: Sequence[Column], where: str, values: Sequence[Any], size: int = 20_000
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield batches of records with these columns, oldest first; the server keeps what is not fetched yet."""
        query = f"SELECT {', '.join(map(_column, columns))} FROM calls WHERE {_sql(where)} ORDER BY id"
        with self._reading() as connection, connection.cursor(name="or_magic_batches") as cursor:
            with gate.inside():
                cursor.execute(query, tuple(map(_text, values)))
                batch = cursor.fetchmany(size)
            while batch:
                yield batch
                with gate.inside():
                    batch = cursor.fetchmany(size)

    def figures(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return sums and counts over the rows that match a condition of ours."""
        query = f"SELECT {', '.join(map(_sql, columns))} FROM calls WHERE {_sql(where)}"
        with self._reading() as connection, gate.inside():
            return connection.execute(query, tuple(map(_text, values))).fetchone() or ()

    def version(self) -> tuple[int, ...]:
        """Return what differs as soon as anybody has written."""
        counted = "SELECT coalesce(sum(writes), 0) FROM sums WHERE scope = 'total' AND key = ''"
        found = self._run(lambda connection, _: connection.execute(counted).fetchone())
        return (int(found[0]),) if found else (0,)

    def obstacle(self) -> str | None:
        """Return why rows cannot be added, and what to do; None where they can."""
        query = "SELECT has_any_column_privilege('calls', 'INSERT') AND NOT pg_is_in_recovery()"
        found = self._run(lambda connection, _: connection.execute(query).fetchone())
        return None if found and found[0] else "cannot be written; ask its owner for the right to INSERT"

    def close(self) -> None:
        """Close the connections."""
        self._connections.drop_idle()

    def _run(self, work: Callable[[Connection, bool], _T]) -> _T:
        """Do ``work`` on a connection; ``again`` tells it that an earlier try may have been committed after all."""
        with self._told() as doubts:
            for tried in range(_TRIES):
                if (done := self._try(work, tried, doubts)) is not None:
                    return done[0]
                self._connections.drop_idle()
            raise AssertionError("the last try returns or raises")

    def _try(self, work: Callable[[Connection, bool], _T], tried: int, doubts: list[BaseException]) -> tuple[_T] | None:
        """Do ``work`` once; None where it is to be tried again."""
        last = tried + 1 == _TRIES
        with self._connections.borrowed() as (connection, fresh):
            try:
                with gate.inside():
                    return (work(connection, bool(tried)),)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if last:
                    raise
            except psycopg.OperationalError as error:
                doubts.append(error)
                # One that lay idle may have been cut long ago; a new one that fails tells of the server.
                if fresh or last or not connection.closed or isinstance(error, Late):
                    raise
        return None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Bounded]:
        with self._told(), contextlib.ExitStack() as borrowed:
            connection = self._begin_reading(borrowed)
            try:
                with connection.allowing(_READ_S + LATE_S):
                    yield connection
            finally:
                _end_reading(connection)

    def _begin_reading(self, borrowed: contextlib.ExitStack) -> Bounded:
        while True:
            connection, fresh = borrowed.enter_context(self._connections.borrowed())
            try:
                with gate.inside():
                    connection.execute(_READING)
            except psycopg.OperationalError:
                if fresh or not connection.closed:
                    raise
            else:
                return connection
            self._connections.drop_idle()

    @contextlib.contextmanager
    def _told(self) -> Iterator[list[BaseException]]:
        doubts: list[BaseException] = []  # failures after which what was written may be there all the same
        try:
            yield doubts
        except (psycopg.DataError, psycopg.IntegrityError, ValueError, OverflowError) as error:
            # Of this row alone, now and for ever: the books know a ValueError as that.
            raise self._error(error) from ValueError(type(error).__name__)
        except (psycopg.Error, OSError) as error:
            self._connections.drop_idle()
            told = self._error(error)
            told.uncertain = bool(doubts)
            raise told from error

    def _error(self, error: BaseException) -> LedgerError:
        reason = " ".join(str(error).split()).partition(_HINT)[0].rstrip(".")[:300]
        password = parameters_of(self._address).get("password")
        reason = reason.replace(str(password), "[password]") if password else reason
        return LedgerError(
            f"The team's ledger {self.place} cannot be used: {reason}. "
            "See that its server can be reached, or leave OR_MAGIC_LEDGER out to use a file of your own."
        )

    def _connect(self) -> Bounded:
        try:
            connection = Bounded.connect(**_DEFAULTS | parameters_of(self._address) | {"client_encoding": "utf8"})
        except BaseException as error:  # whatever looks at the traceback later must not find the password there
            forget_locals(error)
            raise
        try:
            connection.autocommit = True
            connection.execute(_BEGINNING)
            migrate(connection, self.place)
        except BaseException:
            connection.close()
            raise
        return connection


def _end_reading(connection: Bounded) -> None:
    if not connection.closed:
        with gate.inside():
            connection.rollback()


def _insert_under(connection: Connection, row: Row, terms: Terms, *, again: bool) -> Row:
    """Insert where the limits allow it.

    What is left is looked up first, and asked for once more by the insert itself, under a lock that the server gives
    back in the same breath: no kernel ever holds up the others, not even one that stops in between.
    """
    if again:  # else the row of the try before would count against itself
        connection.execute(_DISCARD, (_text(row.row_id),))
    for _ in range(_TRIES_UNDER):
        admitted = admit(row, terms, _standings(connection, terms.limits))
        where, values = (
            ("true", []) if terms.waived or not admitted.held_usd else _room(admitted.held_usd, terms.limits)
        )
        with connection.pipeline():
            connection.execute("BEGIN")
            for number in sorted({_lock(limit) for limit in terms.limits}):  # in one order, or two wait for each other
                connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, number))
            done = connection.execute(_OPEN_WHERE.format(where), (*_record(admitted), *values))
            connection.execute("COMMIT")
        if done.rowcount:
            return admitted
    raise LedgerError("Others spend from the same budget faster than it can be looked up. Nothing was written.")


def _room(held_usd: Decimal, limits: Sequence[Limit]) -> tuple[str, list[Any]]:
    """Return the condition that so much is left under every limit, and its values."""
    conditions, values = [], []
    for limit in limits:
        statement, keys = sums_of(limit)
        room = EXACT.multiply(EXACT.subtract(limit.usd, held_usd), Decimal(10**12))
        conditions.append(
            f"(SELECT coalesce(spent, 0) + coalesce(held, 0) <= %s FROM ({_sql(statement)}) AS standing (spent, held))"
        )
        values += [int(room.to_integral_value(ROUND_FLOOR, EXACT)), *map(_text, keys)]
    return " AND ".join(conditions), values


def _lock(limit: Limit) -> int:
    if limit.scope in _EVERYBODY:
        return 1
    return zlib.crc32(f"{limit.scope}:{limit.key}".encode("utf-8", "replace")) - 2**31


def _standings(
    connection: Connection, limits: Sequence[Limit], before: Callable[[], object] = lambda: None
) -> list[Standing]:
    """Return how ``limits`` stand, after ``before`` has written something: one journey to the server and back."""
    asked = []
    with connection.pipeline():
        before()
        for limit in limits:
            statement, values = sums_of(limit)
            asked.append(connection.execute(_sql(statement), tuple(map(_text, values))))
    standings = []
    for limit, cursor in zip(limits, asked, strict=True):
        spent, held = cursor.fetchone() or (0, 0)
        standings.append(Standing(limit, from_pico(int(spent or 0)), from_pico(int(held or 0))))
    return standings


def _sql(text: str) -> str:
    return text.replace("%", "%%").replace("?", "%s")


def _column(column: Column) -> str:
    if isinstance(column, str):
        return _sql(column)
    names = ", ".join([f'"{name}"' for name in column])
    return f"json_build_array({names})::text"


def _record(row: Row) -> tuple[Any, ...]:
    return tuple(map(_text, to_record(row)))


def _text(value: Any) -> Any:
    """Return a text as PostgreSQL can hold it; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
