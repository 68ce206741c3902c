"""Every store keeps the same books: one set of tests, run on a file and on a PostgreSQL server."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.budget import Budgets, Limit, Standing, Terms, limits_of
from or_magic.errors import LedgerError, OverBudget
from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
from or_magic.ledger.sqlite import SqliteStore
from or_magic.ledger.store import Store
from or_magic.values import Row

from ..postgres import Server
from ..world.kit import row

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LIMITS = limits_of(
    Budgets(session=Decimal(9), day=Decimal(9), week=Decimal(9), total=Decimal(9), tags={"a": Decimal(9)}),
    NOON, session="test", tag="a", call_id="one", call_usd=Decimal(9), zone=UTC,
)  # fmt: skip
# What breaks out of a statement that is put together by hand.
CLASSICS = (
    "'; DROP TABLE calls; --", "' OR '1'='1", "\" OR \"\"=\"", "') ON CONFLICT DO NOTHING; DELETE FROM calls; --",
    "1; SELECT pg_sleep(9)--", "%s %(x)s %%", "? ?1 :x $1 @x", "\\'; --", "$$; DROP SCHEMA or_magic CASCADE; $$",
    "/* */ UNION SELECT 1", "Robert'); DROP TABLE sums;--", "{0} {}", "\u02bc\uff07", "E'\\x27'", "a\nb\tc\r",
)  # fmt: skip
TEXTS = [f.name for f in fields(Row) if "str" in str(f.type) and f.name not in ("status", "cost_source")]


def _file(tmp_path: Path, _: pytest.FixtureRequest) -> Callable[[], Store]:
    return lambda: SqliteStore(tmp_path / "ledger.sqlite")


def _server(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Store]:
    server: Server = request.getfixturevalue("postgres")
    database: str = request.getfixturevalue("database")
    return lambda: PostgresStore(lambda: server.url(database), tmp_path)


KINDS = {"SQLite": _file, "PostgreSQL": _server}


@pytest.fixture(params=KINDS)
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same books once more; all are closed after the test."""
    opened: list[Store] = []
    make = KINDS[request.param](tmp_path, request)

    def once_more() -> Store:
        opened.append(make())
        return opened[-1]

    yield once_more
    for store in opened:
        store.close()


@pytest.fixture
def store(another: Callable[[], Store]) -> Store:
    return another()


def full(row_id: str = "one", **told: Any) -> Row:
    """A settled row that knows everything."""
    usual: dict[str, Any] = {
        "started_at": NOON.replace(microsecond=123456), "user": "ada", "notebook": 'churn "Q3".ipynb', "cell_id": "c1",
        "source": "cell", "purpose": "judge", "tag": "größe ☂\n", "chat": "", "call_id": "x", "parent_call_id": "y",
        "attempt": 2, "model": "acme/one", "provider": "Acme", "status": "ok", "finish_reason": "stop", "error": None,
        "prompt_tokens": 2**53 + 1, "completion_tokens": 30, "reasoning_tokens": 0, "cached_tokens": 1,
        "cache_write_tokens": 2, "total_tokens": 42, "cost_usd": Decimal("0.000123456789"), "cost_source": "billed",
        "upstream_usd": Decimal("0.500000000000"), "saved_usd": Decimal("0E-12"), "first_token_s": 0.1, "latency_s": 2.5,
        "generation_id": "gen-1", "bound_usd": Decimal("0.250000000000"), "held_usd": Decimal("0.125000000000"),
        "waived": "day", "prompt_estimate": 7,
    }  # fmt: skip
    return row(row_id, **usual | told)


def billed(opened: Row, usd: str) -> Row:
    return replace(opened, status="ok", cost_source="billed", cost_usd=Decimal(usd))


def under(usd: str | None, limits: tuple[Limit, ...] = LIMITS, *, waived: bool = False) -> Terms:
    bound = None if usd is None else Decimal(usd)
    return Terms(limits, lambda _: bound, waived)


def sums(standings: list[Standing]) -> dict[str, tuple[Decimal, Decimal]]:
    return {each.limit.scope: (each.spent_usd, each.held_usd) for each in standings}


# --- rows


def test_a_row_comes_back_as_it_was_written(another: Callable[[], Store]) -> None:
    """Every field, to the microsecond and the pico-dollar, also for another process."""
    written = [full(), row("open"), full("odd", cost_usd=Decimal("1E-12"), started_at=NOON)]
    another().settle(written)
    assert written == another().rows("1 = 1")


@pytest.mark.parametrize("source", ["billed", "reconciled", "none"])
def test_what_is_settled_stays(store: Store, source: str) -> None:
    """A late writer with less knowledge must not undo what is known."""
    known = row("one", status="ok", cost_source=source, cost_usd=Decimal("0.5"))
    store.settle([known])
    store.settle([replace(known, status="unknown", cost_source="unknown", cost_usd=None)], LIMITS)
    assert [known] == store.rows("1 = 1")
    assert (Decimal("0.5"), 0) == sums(store.standings(LIMITS))["total"]


@pytest.mark.parametrize("source", ["unknown", "estimated"])
def test_what_is_not_known_yet_can_be_learnt(store: Store, source: str) -> None:
    """That is what reconciling is."""
    open_row = row("one", status="interrupted", cost_source=source, cost_usd=Decimal(1) if source[0] == "e" else None)
    learnt = replace(open_row, cost_source="reconciled", cost_usd=Decimal("0.25"), model="acme/one", total_tokens=3)
    store.settle([open_row])
    store.settle([learnt])
    assert [learnt] == store.rows("1 = 1")


def test_an_open_row_written_again_changes_nothing(store: Store) -> None:
    """A spool that is drained twice must not open again what was settled."""
    opened = row("one")
    settled = billed(opened, "1")
    store.insert(opened)
    store.settle([settled])
    store.insert(opened)
    store.note_generation("one", "gen-late")
    store.discard("one")
    assert [settled] == store.rows("1 = 1")


def test_an_open_row_takes_its_generation_and_can_be_discarded(store: Store) -> None:
    """A request that never left leaves no trace, not even in the sums."""
    store.insert(row("one"), under("0.5"))
    store.note_generation("one", "gen-1")
    assert ["gen-1"] == [found.generation_id for found in store.rows("status = ?", ("open",))]
    store.discard("one")
    assert [] == store.rows("1 = 1")
    assert {(Decimal(0), Decimal(0))} == set(sums(store.standings(LIMITS)).values())


def test_many_rows_are_settled_in_one_go(store: Store) -> None:
    """Also when some of them are there already."""
    rows = [row(f"row {number}") for number in range(50)]
    store.settle(rows[::2])
    store.settle([billed(each, "0.01") for each in rows], LIMITS)
    assert Decimal("0.5") == sums(store.standings(LIMITS))["total"][0]
    assert {each.row_id for each in rows} == {each.row_id for each in store.rows("cost_source = ?", ("billed",))}


# --- budgets


def test_every_scope_counts_what_is_its_own(store: Store) -> None:
    """A call, a session, a day, a week, all, a tag."""
    for name, facts in {
        "all six": {"call_id": "one", "tag": "a"},
        "another call": {"tag": "a"},
        "another tag": {"tag": "b"},
        "no tag": {"tag": None},
        "another session": {"session": "theirs", "tag": None},
        "yesterday, of this week": {"started_at": NOON - timedelta(days=1), "tag": None},
        "last week": {"started_at": NOON - timedelta(days=8), "tag": None},
    }.items():
        store.settle([billed(row(name, **{"started_at": NOON, "session": "test"} | facts), "0.125")])
    parts = {"call": 1, "session": 6, "day": 5, "week": 6, "total": 7, "tag": 2}
    assert {scope: (count * Decimal("0.125"), 0) for scope, count in parts.items()} == sums(store.standings(LIMITS))


def test_a_call_reserves_until_it_is_settled(store: Store) -> None:
    """What is held counts, so that calls beside each other cannot pass a budget together."""
    opened = store.insert(row("one", started_at=NOON, tag="a"), under("0.5"))
    assert (Decimal("0.5"), Decimal("0.5")) == (opened.bound_usd, opened.held_usd)
    assert {(0, Decimal("0.5"))} == set(sums(store.standings(LIMITS)).values())
    told = store.settle([billed(opened, "0.125")], LIMITS)
    assert {(Decimal("0.125"), 0)} == set(sums(told).values())
    assert told == store.standings(LIMITS)


def test_what_does_not_fit_is_not_written(store: Store) -> None:
    """The error says what is spent, held and asked for."""
    limits = (Limit("total", Decimal(1)),)
    store.settle([billed(row("spent"), "0.25")])
    store.insert(row("held"), under("0.5", limits))
    with pytest.raises(OverBudget) as caught:
        store.insert(row("never"), under("0.5", limits))
    error = caught.value
    assert ("total", Decimal(1), Decimal("0.25"), Decimal("0.5"), Decimal("0.5")) == (
        error.scope, error.limit_usd, error.spent_usd, error.held_usd, error.asked_usd,
    )  # fmt: skip
    assert ["spent", "held"] == [found.row_id for found in store.rows("1 = 1")]
    store.insert(row("fits"), under("0.25", limits))


def test_an_unknown_price_reserves_all_that_is_left(store: Store) -> None:
    """Nobody else may come in beside it."""
    limits = (Limit("total", Decimal(1)),)
    assert Decimal(1) == store.insert(row("dear"), under(None, limits)).held_usd
    with pytest.raises(OverBudget):
        store.insert(row("next"), under("0.01", limits))


def test_a_waived_budget_is_named_in_the_row(store: Store) -> None:
    """Who was let past it can be seen later."""
    limits = (Limit("total", Decimal("0.1")), Limit("session", Decimal(5), "test"))
    store.insert(row("past"), under("0.5", limits, waived=True))
    assert ["total"] == [found.waived for found in store.rows("1 = 1")]


def test_threads_beside_each_other_do_not_pass_a_budget(store: Store) -> None:
    """Ten of forty fit, and ten get in: no more, and no fewer."""
    limits = (Limit("total", Decimal(1)), Limit("session", Decimal(2), "test"))
    stopped: list[OverBudget] = []

    def ask(number: int) -> None:
        try:
            store.insert(row(f"row {number}"), under("0.1", limits))
        except OverBudget as error:
            stopped.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (30, 10) == (len(stopped), len(store.rows("1 = 1")))
    assert (0, Decimal(1)) == sums(store.standings(limits))["total"]


def test_the_sums_are_what_adding_up_gives(store: Store) -> None:
    """Whatever happened to the rows, in whatever order: the sums are kept, never added up, and must not drift."""
    chance = random.Random(7)
    model: dict[str, Row] = {}
    for step in range(120):
        name = f"row {chance.randrange(25)}"
        known = model.get(name)
        action = chance.choice(["insert", "settle", "discard", "note"])
        fresh = row(
            name, session=chance.choice(["test", "theirs"]), tag=chance.choice(["a", "b", None]), call_id=name,
            started_at=NOON - timedelta(minutes=chance.randrange(20_000)), bound_usd=Decimal(step) / 1000,
        )  # fmt: skip
        if action == "insert":
            store.insert(known or fresh)
            model.setdefault(name, fresh)
        elif action == "discard":
            store.discard(name)
            if known and known.status == "open":
                del model[name]
        elif action == "note":
            store.note_generation(name, "gen-1")
            if known and known.status == "open":
                model[name] = replace(known, generation_id="gen-1")
        else:
            source = chance.choice(["billed", "estimated", "unknown"])
            cost = None if source == "unknown" else Decimal(chance.randrange(1000)) / 1000
            settled = replace(known or fresh, status="ok", cost_source=source, cost_usd=cost)
            store.settle([settled])
            if known is None or known.cost_source in ("unknown", "estimated"):
                model[name] = settled
    exact = [replace(each, bound_usd=each.bound_usd) for each in model.values()]
    found = store.rows("1 = 1")
    assert sorted(exact, key=lambda each: each.row_id) == sorted(found, key=lambda each: each.row_id)
    assert {limit.scope: _added_up(limit, exact) for limit in LIMITS} == sums(store.standings(LIMITS))


def _added_up(limit: Limit, rows: list[Row]) -> tuple[Decimal, Decimal]:
    counted = [
        each for each in rows
        if (limit.since is None or each.started_at >= limit.since)
        and limit.key in ("", {"call": each.call_id, "session": each.session, "tag": each.tag}.get(limit.scope, ""))
    ]  # fmt: skip
    held = [each.held_usd if each.held_usd is not None else each.bound_usd for each in counted if each.cost_usd is None]
    return sum([each.cost_usd or Decimal(0) for each in counted], Decimal(0)), sum([h or 0 for h in held], Decimal(0))


# --- reading


def test_batches_are_of_one_size_and_oldest_first(store: Store) -> None:
    """A million rows are never in memory at once."""
    store.settle([row(f"row {number:02}", notebook='a "b"', user=None) for number in range(25)])
    batches = list(store.batches(["row_id", ("user", "notebook")], "tag <> ?", ("row 03",), 10))  # type: ignore[call-arg]
    assert [10, 10, 4] == [len(batch) for batch in batches]
    records = [record for batch in batches for record in batch]
    assert sorted(name for name, _ in records) == [name for name, _ in records]
    assert {(None, 'a "b"')} == {tuple(json.loads(labels)) for _, labels in records}


def test_who_stops_reading_halfway_is_in_nobodys_way(store: Store) -> None:
    """A reader holds a cursor, not the books."""
    store.settle([row(f"row {number}") for number in range(30)])
    halves = [store.batches(["row_id"], "1 = 1", (), 10) for _ in range(3)]  # type: ignore[call-arg]
    assert [10] * 3 == [len(next(half)) for half in halves]
    store.insert(row("beside"))
    for half in halves:
        half.close()  # type: ignore[attr-defined]
    assert 31 == len(store.rows("1 = 1"))


def test_figures_are_exact(store: Store) -> None:
    """Money is added as whole pico-dollars."""
    store.settle([billed(row(f"row {number}"), "0.05") for number in range(20)])
    asked = ["sum(cost_pico)", "count(CASE WHEN tag = ? THEN 1 END)", "sum(CASE WHEN tag = 'none' THEN 1 END)"]
    billed_pico, named, nothing = store.figures(asked, "session = ?", ("row 3", "test"))
    assert (10**12, 1, None) == (billed_pico, named, nothing)


def test_the_version_differs_as_soon_as_anybody_has_written(another: Callable[[], Store]) -> None:
    """And only then: a frame is read again when it has to be."""
    mine, theirs = another(), another()
    writes: list[Callable[[], object]] = [
        lambda: theirs.insert(row("one")), lambda: mine.note_generation("one", "gen-1"), lambda: theirs.discard("one"),
        lambda: mine.insert(row("two")), lambda: theirs.settle([billed(row("two"), "1")]),
    ]  # fmt: skip
    mine.insert(row("zero"))
    seen = mine.version()
    for write in writes:
        assert seen == mine.version()
        write()
        assert seen != (seen := mine.version())


def test_what_a_tracker_tells_does_not_depend_on_the_store(store: Store) -> None:
    """Frame, total, summary: the figures are those of the rows."""
    store.settle([
        billed(row("one", session="ours", model="acme/one", user="ada", prompt_tokens=5, completion_tokens=7), "0.05"),
        replace(row("two", session="ours"), status="partial", cost_source="estimated", cost_usd=Decimal("0.25")),
        replace(row("three", session="ours"), status="unknown"),
        row("running", session="ours"), row("left by a crash", session="theirs"),
    ])  # fmt: skip
    tracker = Tracker(Ledger(store), "ours")
    total = tracker.total()
    assert (Decimal("0.05"), Decimal("0.25"), 1) == (total.billed_usd, total.estimated_usd, total.unknown_calls)
    assert (3, 0) == (tracker.total(all=True).unknown_calls - -1, tracker.total(since="1h").unknown_calls - 2)
    frame = tracker.frame()
    assert [0.05, 0.25, None, None] == [None if cost != cost else cost for cost in frame["cost_usd"]]
    assert ("ada", 12) == (frame["user"][0], frame["total_tokens"][0])
    assert 5 == len(tracker.frame(all=True))
    assert {"acme/one": 1, "offline/plain": 3} == tracker.summary()["calls"].to_dict()


def test_what_is_open_or_can_be_asked_for_is_found(store: Store) -> None:
    """After a crash these are the rows to settle."""
    ledger = Ledger(store)
    lost = row("lost", status="interrupted", generation_id="gen-1")
    store.settle([lost, row("open"), row("no id", status="interrupted", generation_id="chatcmpl-1"),
                  billed(row("known", generation_id="gen-2"), "1")])  # fmt: skip
    assert [lost] == ledger.pending("offline")
    assert [] == ledger.pending("openrouter")
    assert ["open"] == [found.row_id for found in ledger.unsettled()]


# --- what people and disks do to it


@pytest.mark.parametrize("text", CLASSICS)
def test_no_text_is_ever_sql(store: Store, text: str) -> None:
    """R30: every text field of a row, every key of a limit, every value of a filter is bound."""
    told = full(**dict.fromkeys(TEXTS, text) | {"cost_source": "unknown", "cost_usd": None, "waived": None})
    limits = tuple(replace(limit, key=text if limit.key else "") for limit in LIMITS)
    opened = store.insert(replace(told, status="open", generation_id=None), under("0.5", limits))
    store.note_generation(text, text)
    noted = replace(opened, generation_id=text)
    assert [noted] == store.rows("tag = ?", (text,)) == store.rows("call_id = ? AND session = ?", (text, text))
    assert {(0, Decimal("0.5"))} == set(sums(store.standings(limits)).values())
    settled = replace(noted, status="ok", cost_source="billed", cost_usd=Decimal(1))
    store.settle([settled], limits)
    store.discard(text)
    assert [settled] == store.rows("1 = 1")
    (records,) = store.batches([("tag", "chat", "user"), "error"], "chat = ?", (text,))
    assert [([text] * 3, text)] == [(json.loads(labels), error) for labels, error in records]


@pytest.mark.parametrize("text", ["nul \0 inside", "half a pair \ud800", "bytes of a file name \udcff"])
def test_a_text_that_is_no_text_is_kept_as_far_as_it_can_be(store: Store, text: str) -> None:
    """A file's name may hold anything; the row is booked all the same."""
    store.insert(row("one", notebook=text), under("0.5"))
    (found,) = store.rows("1 = 1")
    assert text[:4] == str(found.notebook)[:4]


@pytest.mark.parametrize("facts", [{"prompt_tokens": 2**70}, {"cost_usd": Decimal(10) ** 9}])
def test_a_figure_that_no_store_can_hold_is_told_as_that(store: Store, facts: dict[str, Any]) -> None:
    """By its cause the books know that it will never be written, and go on with what comes behind it."""
    with pytest.raises(LedgerError) as caught:
        store.settle([row("strange", status="ok", **facts)])
    assert isinstance(caught.value.__cause__, (ValueError, OverflowError))
    store.insert(row("next"))
    assert ["next"] == [found.row_id for found in store.rows("1 = 1")]


def test_sixty_four_threads_share_one_store(store: Store) -> None:
    """Nobody is turned away."""
    failed: list[BaseException] = []

    def live(number: int) -> None:
        try:
            opened = store.insert(row(f"row {number}"))
            store.settle([billed(opened, "0.01")])
        except Exception as error:  # noqa: BLE001 - whatever it is
            failed.append(error)

    threads = [threading.Thread(target=live, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failed
    assert Decimal("0.64") == sums(store.standings(LIMITS))["total"][0]


def test_a_closed_store_opens_again(store: Store) -> None:
    """A late settlement still finds its book."""
    store.insert(row("one"))
    store.close()
    store.close()
    store.insert(row("two"))
    assert 2 == len(store.rows("1 = 1"))


def test_an_ordinary_store_has_no_obstacle(store: Store) -> None:
    """%or doctor says so."""
    store.version()
    assert None is store.obstacle()
    assert store.place
