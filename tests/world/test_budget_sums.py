"""The sums that the ledger keeps are the sums of its rows, whatever was written, by whom, in which order."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from or_magic.budget import Budgets, Limit, Standing, Terms, limits_of
from or_magic.errors import LedgerError, OverBudget
from or_magic.ledger import Ledger, migrations
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

from .kit import books, row

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
ALL = Budgets(*(Decimal(1000) for _ in range(4)), tags={"x": Decimal(1000)})
USD = st.decimals(0, 10, places=6)


def naive(rows: list[dict[str, object]], limit: Limit) -> tuple[int, int]:
    """Return what is spent and held under a limit, added up row by row."""
    since = 0 if limit.since is None else int(limit.since.timestamp() * 1e6)
    own = {"call": "call_id", "session": "session", "tag": "tag"}.get(limit.scope)
    counted = [r for r in rows if (own is None or r[own] == limit.key) and int(str(r["started_at"])) >= since]
    spent = sum(int(str(r["cost_pico"])) for r in counted if r["cost_pico"] is not None)
    held = sum(
        int(str(r["held_pico"] if r["held_pico"] is not None else r["bound_pico"] or 0))
        for r in counted
        if r["cost_pico"] is None
    )
    return spent, held


def pico(standing: Standing) -> tuple[int, int]:
    return int(standing.spent_usd.scaleb(12)), int(standing.held_usd.scaleb(12))


@settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
class Sums(RuleBasedStateMachine):
    """Opens, settles, reconciles and discards rows, and compares every sum with the rows after each step."""

    rows = Bundle("rows")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = SqliteStore(Path(self.folder.name) / "ledger.sqlite")
        self.names = 0

    @rule(target=rows, tag=st.sampled_from(["x", "y", None]), session=st.sampled_from(["s", "t"]),
          minutes=st.integers(0, 14 * 24 * 60), bound=USD | st.none(), held=USD | st.none())  # fmt: skip
    def open(self, tag: str | None, session: str, minutes: int, bound: Decimal | None, held: Decimal | None) -> Row:
        """A row, of today or earlier."""
        self.names += 1
        opened = row(
            f"r{self.names}", tag=tag, session=session, call_id=f"c{self.names % 3}", started_at=NOW - timedelta(minutes=minutes),
            bound_usd=bound, held_usd=held,
        )  # fmt: skip
        self.store.insert(opened)
        return opened

    @rule(
        target=rows,
        opened=rows,
        cost=USD | st.none(),
        source=st.sampled_from(["billed", "estimated", "unknown", "none"]),
    )
    def settle(self, opened: Row, cost: Decimal | None, source: str) -> Row:
        """Also twice, and also after it was discarded."""
        cost = None if source == "unknown" else cost or Decimal(0)
        settled = replace(opened, status="ok", cost_usd=cost, cost_source=source)  # type: ignore[arg-type]
        self.store.settle([settled])
        return settled

    @rule(opened=rows)
    def discard(self, opened: Row) -> None:
        """Only open ones go."""
        self.store.discard(opened.row_id)

    @invariant()
    def sums_are_the_sums(self) -> None:
        """Of every scope."""
        if not hasattr(self, "store") or not self.store.path.exists():
            return
        rows = books(self.store.path)
        limits = limits_of(ALL, NOW, session="s", tag="x", call_id="c1", call_usd=Decimal(1), zone=UTC)
        assert [naive(rows, limit) for limit in limits] == [pico(each) for each in self.store.standings(limits)]

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestSums = Sums.TestCase


def test_an_older_ledger_gets_its_sums(tmp_path: Path) -> None:
    """The history counts from the first day on."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in migrations.STEPS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        for n, (cost, bound, tag) in enumerate([(7, 9, "x"), (None, 5, None), (None, None, "x"), (0, 3, "y")]):
            connection.execute(
                "INSERT INTO calls (row_id, started_at, session, source, purpose, tag, call_id, attempt, gateway, "
                "model_requested, status, cost_pico, cost_source, bound_pico, host, pid) "
                "VALUES (?, ?, 's', 'api', 'answer', ?, 'c', 1, 'g', 'm', 'ok', ?, ?, ?, 'h', 1)",
                (f"r{n}", int(NOW.timestamp() * 1e6), tag, cost, "unknown" if cost is None else "billed", bound),
            )
    store = SqliteStore(path)
    limits = limits_of(ALL, NOW, session="s", tag="x", call_id="c", call_usd=Decimal(1), zone=UTC)
    assert [(7, 5)] * 5 + [(7, 0)] == [pico(each) for each in store.standings(limits)]
    assert [naive([dict(r) for r in books(path)], limit) for limit in limits] == [
        pico(s) for s in store.standings(limits)
    ]
    store.close()


def test_a_call_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a row nor a reservation."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    limit = Limit("session", Decimal(1), "test")
    assert Decimal("0.6") == ledger.open(row("a"), Terms((limit,), lambda _: Decimal("0.6"))).held_usd
    with pytest.raises(OverBudget):
        ledger.open(row("b"), Terms((limit,), lambda _: Decimal("0.6")))
    assert ["a"] == [found["row_id"] for found in books(ledger.path)]
    (standing,) = ledger.settle(replace(row("a"), status="ok", cost_usd=Decimal("0.1"), cost_source="billed"), (limit,))
    assert (Decimal("0.1"), Decimal(0)) == (standing.spent_usd, standing.held_usd)
    ledger.open(row("b"), Terms((limit,), lambda _: Decimal("0.6")))
    ledger.close()


def test_a_ledger_that_cannot_be_read_stops_a_call_under_a_budget_and_no_other(tmp_path: Path) -> None:
    """What cannot be looked up cannot be kept; -y, and life without a budget, go on in the spool."""
    (tmp_path / "ledger.sqlite").write_bytes(b"no database " * 100)
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"), warn=lambda _: None)
    limit = Limit("session", Decimal(1), "test")
    with pytest.raises(LedgerError, match=r"cannot be checked\. Nothing was sent\..*-y"):
        ledger.open(row("a"), Terms((limit,), lambda _: Decimal("0.6")))
    assert 0 == ledger.waiting()
    ledger.open(row("b"), Terms((limit,), lambda _: Decimal("0.6"), waived=True))
    ledger.open(row("c"), Terms((), lambda _: Decimal("0.6")))
    assert 2 == ledger.waiting()


def test_a_thousand_limits_stand_each_for_itself(tmp_path: Path) -> None:
    """They are asked for together, and SQLite joins no more than five hundred questions."""
    store = SqliteStore(tmp_path / "ledger.sqlite")
    for number in (7, 512, 999):
        store.insert(row(f"r{number}", tag=f"t{number}", held_usd=Decimal(number)))
    limits = [Limit("tag", Decimal(1000), f"t{number}") for number in range(1000)]
    found = store.standings(limits)
    assert limits == [standing.limit for standing in found]
    assert {7: 7, 512: 512, 999: 999} == {
        number: int(standing.held_usd) for number, standing in enumerate(found) if standing.held_usd
    }
    store.close()
