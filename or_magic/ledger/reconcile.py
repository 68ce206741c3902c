"""Ask the gateway what became of calls whose cost is not known: in the background, with bounded patience."""

from __future__ import annotations

import heapq
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ..errors import CallError, RefusedError
from ..protocol.decode import money
from ..values import Row
from . import Ledger

# Generations can be unknown for a while after their answer (WIRE.md §9).
DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_ABANDONED = timedelta(days=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_SETTLED, _NOT_YET, _GIVEN_UP = "settled", "not yet", "given up"

Ask = Callable[[str], Mapping[str, Any]]


class Reconciler:
    """Settles rows from ``GET /generation``; a thread exists only while something waits."""

    def __init__(
        self,
        ledger: Ledger,
        ask: Ask,
        gateway: str,
        *,
        delays_s: tuple[float, ...] = DELAYS_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        mine: Callable[[Row], bool] = lambda _: True,
    ) -> None:
        self._ledger = ledger
        self._ask = ask
        self._gateway = gateway
        self._delays_s = delays_s
        self._clock = clock
        self._now = now
        self._mine = mine  # of a team's rows only one's own can be asked for by one's own key
        self._change = threading.Condition()
        self._due: list[tuple[float, int, Row, int]] = []  # when, order of arrival, what, how often asked
        self._arrivals = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def soon(self, row: Row) -> None:
        """Ask for ``row`` in the background, if it can be asked for."""
        if can_ask(row):
            self._schedule(row, asked=0)

    def now(self) -> tuple[int, int]:
        """Ask once for every row that needs it, those of a crash included; return (settled, still unknown).

        Raises:
            LedgerError: the ledger cannot be read.
        """
        rows = [*self.pending(), *self.orphans()]
        settled = sum(self._once(row) is _SETTLED for row in rows)
        return settled, len(rows) - settled

    def pending(self, since: datetime = _EVER) -> list[Row]:
        """Return settled rows whose cost is not known and can be asked for by this session.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return [row for row in self._ledger.pending(self._gateway, since) if self._mine(row)]

    def orphans(self) -> list[Row]:
        """Close the rows that a crash left open and return them: their outcome was never learnt.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        found = [_abandoned(row) for row in self._ledger.unsettled() if self._is_orphan(row)]
        for row in found:
            self._ledger.settle(row)
        return [row for row in found if can_ask(row) and row.gateway == self._gateway and self._mine(row)]

    def wait(self, limit_s: float) -> bool:
        """Wait until nothing is being asked; False if that takes longer."""
        with self._change:
            thread = self._thread
            idle = self._change.wait_for(lambda: self._thread is None, limit_s)
        if idle and thread is not None:
            thread.join()  # it has only its last lines to run
        return idle

    def close(self) -> None:
        """Stop asking, and wait for the question that is being asked."""
        self.stop()
        self.wait(5.0)

    def stop(self) -> None:
        """Ask nothing more; what is still unknown is asked for by the next session."""
        with self._change:
            self._closed = True
            self._due.clear()
            self._change.notify_all()

    def _schedule(self, row: Row, asked: int) -> None:
        with self._change:
            if self._closed:
                return
            self._arrivals += 1
            heapq.heappush(self._due, (self._clock() + self._delays_s[asked], self._arrivals, row, asked))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="or_magic reconcile", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def _work(self) -> None:
        try:
            while (next_one := self._next()) is not None:
                row, asked = next_one
                if self._once(row) is _NOT_YET and asked + 1 < len(self._delays_s):
                    self._schedule(row, asked + 1)
        finally:
            with self._change:
                if self._thread is threading.current_thread():
                    self._thread = None
                self._change.notify_all()

    def _next(self) -> tuple[Row, int] | None:
        with self._change:
            while self._due:
                wait_s = self._due[0][0] - self._clock()
                if wait_s <= 0:
                    _, _, row, asked = heapq.heappop(self._due)
                    return row, asked
                self._change.wait(wait_s)
            self._thread = None  # here, under the lock: what is scheduled from now on needs a new thread
            return None

    def _once(self, row: Row) -> str:
        """Ask for one row and settle it if its cost is told."""
        try:
            told = self._ask(str(row.generation_id))
        except RefusedError as error:
            return _NOT_YET if error.status_code in (404, 429) else _GIVEN_UP
        except CallError:
            return _NOT_YET
        settled = reconciled(row, told)
        if settled is None:
            return _NOT_YET
        self._ledger.settle(settled)
        return _SETTLED

    def _is_orphan(self, row: Row) -> bool:
        if row.host != socket.gethostname():
            return self._now() - row.started_at > _ABANDONED
        return not _alive(row.pid, row.started_at)


def can_ask(row: Row) -> bool:
    """Whether the cost is unknown and OpenRouter, whose ids these are, can be asked."""
    known = row.cost_source not in ("unknown", "estimated")
    return not known and row.status != "open" and str(row.generation_id).startswith("gen-")


def reconciled(row: Row, told: Mapping[str, Any]) -> Row | None:
    """Return the row with what ``/generation`` told, or None where it does not tell the cost yet."""
    cost_usd = money(told.get("total_cost"))
    if cost_usd is None:
        return None
    prompt, completion, reasoning, cached = (
        _count(told.get(f"native_tokens_{name}")) for name in ("prompt", "completion", "reasoning", "cached")
    )
    known = prompt is not None and completion is not None
    return replace(
        row,
        cost_usd=cost_usd,
        cost_source="reconciled",
        prompt_tokens=row.prompt_tokens if prompt is None else prompt,
        completion_tokens=row.completion_tokens if completion is None else completion,
        reasoning_tokens=row.reasoning_tokens if reasoning is None else reasoning,
        cached_tokens=row.cached_tokens if cached is None else cached,
        saved_usd=_discount(told.get("cache_discount")) or row.saved_usd,
        total_tokens=(prompt or 0) + (completion or 0) if known else row.total_tokens,
        model=_word(told.get("model")) or row.model,
        provider=_word(told.get("provider_name")) or row.provider,
        finish_reason=row.finish_reason or _word(told.get("finish_reason")),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _discount(value: object) -> Decimal | None:
    """Return what the provider's cache saved; below 0 where writing it cost more."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not Decimal(value).is_finite():
        return None
    size = money(abs(value))
    return None if size is None else Decimal(value)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _abandoned(row: Row) -> Row:
    if row.bound_usd is None:
        return replace(row, status="unknown", cost_source="unknown", error="kernel ended")
    return replace(row, status="unknown", cost_usd=row.bound_usd, cost_source="estimated", error="kernel ended")


def _alive(pid: int, since: datetime) -> bool:
    import psutil

    try:
        born = psutil.Process(pid).create_time()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return bool(psutil.pid_exists(pid))
    return bool(born <= since.timestamp() + 1.0)  # a later process has got the same number
