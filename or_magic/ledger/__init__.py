"""The books: every attempt that was, or may have been, sent is a row before it is sent, and settled after."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from ..budget import Limit, Standing, Terms, admit
from ..errors import LedgerError, emit_warning
from ..values import Row
from .forks import anew_in_children
from .record import Column, from_json, microseconds, to_json
from .spool import Entry, Spool
from .store import Store

_T = TypeVar("_T")
_PAUSE_S = 5.0  # before a ledger that failed is tried again
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class LedgerWarning(UserWarning):
    """The ledger cannot be written; entries wait beside it."""


def _warn(text: str) -> None:
    emit_warning(text, LedgerWarning)


class Ledger:
    """A store that may fail and a spool that takes over; writing here never breaks a call."""

    def __init__(
        self,
        store: Store,
        *,
        warn: Callable[[str], None] = _warn,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._spool = Spool(store.path)
        self._warn = warn
        self._clock = clock
        self._try_again_at = float("-inf")
        self._mine = threading.local()  # whether this very thread is writing
        self.forked()
        anew_in_children(self)
        self._warned = False
        self._kept = 0  # how many entries went to the spool, and how many of them a look into it has seen
        self._seen = -1

    def forked(self) -> None:
        """Take a new lock."""
        self._lock = threading.RLock()

    @property
    def path(self) -> Path:
        """The file of the ledger; where it is a server's, the name beside which entries wait."""
        return self._store.path

    @property
    def place(self) -> str:
        """What a person calls it: the file, or the address without a password."""
        return self._store.place

    def obstacle(self) -> str | None:
        """Return why it cannot be written, and what to do; None where it can.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return self._store.obstacle()

    def open(self, row: Row, terms: Terms | None = None) -> Row:
        """Write the row of a request that is about to be sent, and return it with what it reserves of every budget.

        Raises:
            OverBudget: the terms do not allow it; nothing was written.
            LedgerError: whether they allow it cannot be looked up; nothing was written. Without limits, or where they
                are waived, the row waits in the spool instead.
        """
        if terms is not None and terms.limits and not terms.waived:
            return self._admit(row, terms)
        if terms is not None:
            row, terms = admit(row, terms, ()), terms if terms.limits else None
        kept = self._write(lambda: self._store.insert(row, terms), lambda: {"op": "open", "row": to_json(row)})
        return kept or row

    def note_generation(self, row: Row, generation_id: str) -> None:
        """Keep the generation id as soon as it is known: with it the cost can be asked for, even after a crash."""
        self._write(
            lambda: self._store.note_generation(row.row_id, generation_id),
            lambda: {"op": "note", "row_id": row.row_id, "generation_id": generation_id},
        )

    def settle(self, row: Row, limits: Sequence[Limit] = ()) -> list[Standing]:
        """Write the outcome of an attempt; return how ``limits`` stand now, nothing where that cannot be read."""
        told = self._write(lambda: self._store.settle([row], limits), lambda: {"op": "settle", "row": to_json(row)})
        return told or []

    def discard(self, row: Row) -> None:
        """Remove the row of a request that never left this side."""
        self._write(lambda: self._store.discard(row.row_id), lambda: {"op": "discard", "row_id": row.row_id})

    def standings(self, limits: Sequence[Limit]) -> list[Standing]:
        """Return how ``limits`` stand now.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        if not limits:
            return []
        self._drain()
        return self._store.standings(limits)

    def pending(self, gateway: str, since: datetime = _EVER) -> list[Row]:
        """Return settled rows of ``gateway`` whose cost is not known and can be asked for.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._drain()
        return self._store.rows(
            "cost_source IN ('unknown', 'estimated') AND status <> 'open' AND substr(generation_id, 1, 4) = 'gen-' "
            "AND gateway = ? AND started_at >= ?",
            (gateway, microseconds(since)),
        )

    def unsettled(self) -> list[Row]:
        """Return rows that are still open: running now, or left by a crash.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return self._store.rows("cost_source IN ('unknown', 'estimated') AND status = 'open'")

    def batches(self, columns: Sequence[Column], where: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield batches of records, oldest first.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._drain()
        yield from self._store.batches(columns, where, values)

    def figures(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return sums and counts over the rows that match a condition.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._drain()
        return self._store.figures(columns, where, values)

    def waiting(self) -> int:
        """Return how many entries wait beside the ledger because it could not be written."""
        return self._spool.count()

    def version(self) -> tuple[int, ...]:
        """Return what differs as soon as anybody, here or in another process, has written.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._drain()
        return self._store.version()

    def close(self) -> None:
        """Close the store; what still waits in the spool then waits for the next session."""
        # What is on a disk can wait for the next session; what is only in memory cannot.
        if self._clock() >= self._try_again_at or self._spool.in_memory:
            with contextlib.suppress(LedgerError):  # it has warned; the entries stay where they are
                self._drain()
        self._store.close()

    def _admit(self, row: Row, terms: Terms) -> Row:
        """Open a row under limits: what cannot be looked up cannot be kept, so a broken ledger stops the call."""
        try:
            self._drain()
            return self._opened(row, terms)
        except LedgerError as error:
            raise LedgerError(
                f"{error} So the budget cannot be checked. Nothing was sent. To go on, run it with -y to send it this "
                "once, or take the budget off: %or budget off."
            ) from error

    def _opened(self, row: Row, terms: Terms) -> Row:
        try:
            return self._writing(lambda: self._store.insert(row, terms))
        except LedgerError as error:
            if error.uncertain:  # if it is found later, it must not hold money for a call that was never sent
                self._keep({"op": "discard", "row_id": row.row_id})
            raise

    def _write(self, action: Callable[[], _T], entry: Callable[[], Entry]) -> _T | None:
        # One call waits for a ledger that is stuck, not every one. And the collector may end a forgotten call while
        # this thread writes: within that transaction there is no other.
        if self._clock() < self._try_again_at or self._is_writing():
            self._keep(entry())
            return None
        try:
            self._drain()
            return self._writing(action)
        except LedgerError as error:
            place = self._keep(entry())
            self._try_again_at = self._clock() + _PAUSE_S
            with self._lock:
                first, self._warned = not self._warned, True
            if first:
                self._warn(f"{error} Answers are not affected: until then the entries wait in {place}.")
            return None

    def _keep(self, entry: Entry) -> str:
        place = self._spool.append(entry)
        with self._lock:
            self._kept += 1
        return place

    def _drain(self) -> None:
        kept = self._kept  # what comes while this thread drains is for the next look
        if self._seen == kept or self._is_writing():
            return
        if self._spool.waiting():
            self._writing(lambda: self._spool.drain(self._replay))
        self._seen = kept

    def _writing(self, action: Callable[[], _T]) -> _T:
        mine = self._mine
        try:
            mine.writing = True
            return action()
        finally:  # no context manager: an interrupt on its way out would leave this undone
            mine.writing = False

    def _is_writing(self) -> bool:
        return getattr(self._mine, "writing", False) or self._spool.busy

    def _replay(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write what waited, in order; return what cannot be understood, and would never be."""
        strange = []
        for entry in entries:
            try:
                self._replay_one(entry)
            except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
                strange.append(entry)
            except LedgerError as error:
                if not isinstance(error.__cause__, (ValueError, OverflowError)):
                    raise
                strange.append(entry)
        return strange

    def _replay_one(self, entry: Entry) -> None:
        if entry["op"] == "open":
            self._store.insert(from_json(entry["row"]))
        elif entry["op"] == "settle":
            self._store.settle([from_json(entry["row"])])
        elif entry["op"] == "note":
            self._store.note_generation(entry["row_id"], entry["generation_id"])
        else:
            self._store.discard(entry["row_id"])
