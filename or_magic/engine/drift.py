"""Whether the key was charged what the ledger says: the ``usage`` of ``GET /key`` at the start and now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from ..ledger import Ledger
from ..ledger.record import microseconds
from ..protocol.decode import money
from ..values import EXACT, dollars, from_pico

_SHARE = Decimal("0.01")
_TRIFLE_USD = Decimal("0.0001")
_LATE = timedelta(seconds=60)  # what a call cost may be counted a little after its end
_EARLIER = timedelta(hours=1)  # longer no call runs: only those can still be charged after the baseline

Word = Literal["agrees", "more", "less"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the key had used, asked and answered at these moments."""

    usage_usd: Decimal
    asked_at: datetime
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Spent:
    """One row of the ledger: when it ran, and between what it cost; ``most_usd`` None where nobody knows."""

    started_at: datetime
    ended_at: datetime | None
    ours: bool
    least_usd: Decimal
    most_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Drift:
    """What the key was charged since the baseline, and between what the ledger explains."""

    key_usd: Decimal
    least_usd: Decimal
    most_usd: Decimal | None
    since: datetime

    @property
    def word(self) -> Word:
        """Whether both agree to one per cent."""
        if self.key_usd < EXACT.subtract(EXACT.multiply(self.least_usd, 1 - _SHARE), _TRIFLE_USD):
            return "less"
        if self.most_usd is None:
            return "agrees"
        most_usd = EXACT.add(EXACT.multiply(self.most_usd, 1 + _SHARE), _TRIFLE_USD)
        return "more" if self.key_usd > most_usd else "agrees"

    def __str__(self) -> str:
        charged = f"since {self.since.astimezone():%H:%M} the key was charged {dollars(self.key_usd)}"
        told = dollars(self.least_usd)
        if self.most_usd is None:
            told += " or more"
        elif self.most_usd != self.least_usd:
            told += f" to {dollars(self.most_usd)}"
        if self.word == "more":
            return (
                f"{charged}, the ledger explains {told}: others may use the same key, or calls are not in this ledger"
            )
        if self.word == "less":
            return f"{charged}, the ledger says {told}: charges may come late, or the ledger holds too much"
        return f"{charged}, as the ledger says ({told})"


def drift(baseline: Baseline, usage_usd: Decimal, asked_at: datetime, rows: Iterable[Spent]) -> Drift:
    """Return how the key's use compares to the rows.

    Calls of this session between baseline and question count surely; those that ran at either moment, and those of
    other sessions, which may use another key, only perhaps.
    """
    least, most = Decimal(0), Decimal(0)
    unknown = False
    for row in rows:
        if row.ended_at is not None and row.ended_at < baseline.asked_at - _LATE:
            continue
        surely = row.ours and row.started_at >= baseline.told_at
        surely = surely and row.ended_at is not None and row.ended_at <= asked_at - _LATE
        if surely:
            least = EXACT.add(least, row.least_usd)
        unknown = unknown or row.most_usd is None
        most = EXACT.add(most, row.most_usd or Decimal(0))
    return Drift(EXACT.subtract(usage_usd, baseline.usage_usd), least, None if unknown else most, baseline.asked_at)


class KeyWatch:
    """Keeps the baseline of one session's key."""

    def __init__(
        self,
        ask: Callable[[], Mapping[str, Any]],
        ledger: Ledger,
        session: str,
        gateway: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ask = ask
        self._ledger = ledger
        self._session = session
        self._gateway = gateway
        self._now = now
        self._lock = threading.Lock()
        self._baseline: Baseline | None = None

    def begin(self) -> None:
        """Ask for the baseline.

        Raises:
            CallError: it cannot be had.
        """
        asked_at = self._now()
        usage_usd = money(self._ask().get("usage"))
        with self._lock:
            self._baseline = None if usage_usd is None else Baseline(usage_usd, asked_at, self._now())

    def forget(self) -> None:
        """Compare no longer: another key is used from now on."""
        with self._lock:
            self._baseline = None

    def compare(self) -> Drift | None:
        """Return how key and ledger compare by now; None where there is no baseline.

        Raises:
            CallError: the key cannot be asked for.
            LedgerError: the ledger cannot be read.
        """
        baseline, asked_at = self._baseline, self._now()
        usage_usd = money(self._ask().get("usage")) if baseline else None
        if baseline is None or usage_usd is None:
            return None
        return drift(baseline, usage_usd, asked_at, self._rows(baseline.asked_at - _EARLIER))

    def _rows(self, since: datetime) -> Iterable[Spent]:
        columns = ("started_at", "latency_s", "session", "status", "cost_source", "cost_pico", "bound_pico")
        where = "gateway = ? AND started_at >= ?"
        for batch in self._ledger.batches(columns, where, (self._gateway, microseconds(since))):
            for record in batch:
                yield _spent(record, self._session)


def _spent(record: tuple[Any, ...], session: str) -> Spent:
    started, latency_s, whose, status, source, cost_pico, bound_pico = record
    started_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=started)
    ended_at = None if status == "open" or latency_s is None else started_at + timedelta(seconds=latency_s)
    if source in ("billed", "reconciled", "none"):
        cost_usd = from_pico(cost_pico or 0)
        return Spent(started_at, ended_at, whose == session, cost_usd, cost_usd)
    most_pico = cost_pico if cost_pico is not None else bound_pico
    return Spent(
        started_at, ended_at, whose == session, Decimal(0), None if most_pico is None else from_pico(most_pico)
    )
