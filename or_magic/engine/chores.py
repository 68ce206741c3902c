"""What a session does in a thread beside its calls: settle what was left open, look up what changes from day to day."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..errors import LedgerError
from ..ledger.reconcile import Reconciler

_ASKED_FOR = timedelta(days=1)  # older costs are asked for only when somebody wants it


class Chores:
    """One thread at a time; ``once`` is done with the first call of the session, after what was left open."""

    def __init__(self, reconciler: Reconciler, once: Callable[[], None]) -> None:
        self._reconciler = reconciler
        self._once = once
        # Reentrant: the collector may end a forgotten call wherever this thread happens to be.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Do all of it, if that was not begun yet."""
        with self._lock:
            if self._thread is None:
                self._run(self._do_all)

    def look_again(self) -> None:
        """Look, beside what goes on, whether a budget is held for calls that are over."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._run(self._look_for_orphans)

    def wait(self, limit_s: float) -> None:
        """Wait for what runs."""
        if self._thread is not None:
            self._thread.join(limit_s)

    def _run(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="or_magic chores", daemon=True)
        self._thread.start()

    def _do_all(self) -> None:
        self._look_for_orphans()
        self._once()

    def _look_for_orphans(self) -> None:
        """Close what kernels that are gone have left open, and ask for costs that a budget is held for."""
        try:
            recent = self._reconciler.pending(since=datetime.now(UTC) - _ASKED_FOR)
            for row in {row.row_id: row for row in [*self._reconciler.orphans(), *recent]}.values():
                self._reconciler.soon(row)
        except LedgerError:
            return  # the call that is about to be booked says what is wrong with the ledger
