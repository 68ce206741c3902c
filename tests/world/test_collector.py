"""The garbage collector ends forgotten calls wherever a thread happens to be: also in the midst of the books."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.engine.purse import Purse
from or_magic.ledger.spool import Entry, Spool
from or_magic.values import Request

from .kit import hard_deadline, rows, wrong_sums

MODEL = "anthropic/claude-haiku-4.5"


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """A session whose answers take a while."""
    with connect(offline=True, home=home, session_budget="1", pace_s=0.02) as session:
        yield session


def _forget_half_an_answer(session: Session) -> None:
    """Leave a running call in a cycle, as tracebacks do, for the collector alone to find."""
    stream = session.stream("Hello", model=MODEL, max_tokens=300)
    next(stream)
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)


def test_a_call_that_is_collected_in_a_transaction_is_booked_and_stops_no_other(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a transaction there is no other: it used to fail, and to take the books of the call around it along."""
    session.ask("Hello", model=MODEL, max_tokens=20)
    gc.collect()
    gc.disable()
    try:
        _forget_half_an_answer(session)
        fit = Purse.fit

        def collecting(self: Purse, request: Request, left_usd: Decimal | None) -> tuple[Request, Decimal | None]:
            gc.collect()
            return fit(self, request, left_usd)

        monkeypatch.setattr(Purse, "fit", collecting)
        assert "ok" == session.ask("Hello", model=MODEL, max_tokens=20).status
    finally:
        gc.enable()
    session.engine.ledger.unsettled()
    assert 0 == session.engine.standings()[0].held_usd
    assert ["ok", "interrupted", "ok"] == [row["status"] for row in rows(session)]
    assert [] == wrong_sums(session.engine.ledger.path)


class _Collecting(dict[str, Any]):
    """An entry that, while it is written down, has the collector book another one."""

    spool: Spool

    def items(self) -> Any:
        self.spool.append({"op": "other"})
        return super().items()


def test_an_entry_that_comes_while_another_is_written_down_waits_for_the_next(tmp_path: Path) -> None:
    """The file is locked by this very thread: it would wait for itself for ever."""
    spool = Spool(tmp_path / "ledger.sqlite")
    entry = _Collecting(op="one")
    entry.spool = spool
    with hard_deadline():
        spool.append(entry)
        spool.append({"op": "last"})
    assert ["one", "other", "last"] == [entry["op"] for entry in _drained(spool)]


def test_an_entry_that_comes_while_others_are_drained_is_not_lost(tmp_path: Path) -> None:
    """Draining allocates more than anything else here."""
    spool = Spool(tmp_path / "ledger.sqlite")
    spool.append({"op": "one"})

    def write(entries: Sequence[Entry]) -> Sequence[Entry]:
        assert spool.busy
        spool.append({"op": "other"})
        return ()

    with hard_deadline():
        spool.drain(write)
    assert ["other"] == [entry["op"] for entry in _drained(spool)]


def _drained(spool: Spool) -> list[Entry]:
    found: list[Entry] = []

    def write(entries: Sequence[Entry]) -> Sequence[Entry]:
        found.extend(entries)
        return ()

    spool.drain(write)
    return found
