"""A server that is away, is cut off, hangs or refuses: the answer is shown, and no entry is lost or counted twice."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from or_magic.api import Session, connect
from or_magic.budget import Limit, Terms
from or_magic.errors import LedgerError, OverBudget
from or_magic.ledger import Ledger, LedgerWarning, connections
from or_magic.ledger.postgres import PostgresStore
from or_magic.offline import serve

from ..guards import HANG_S
from ..postgres import Server
from .kit import LIMITS, dead_port, hard_deadline, row, until

TOTAL = (Limit("total", Decimal(1)),)


class Proxy:
    """Stands before the server: passes on, refuses, cuts what runs, or swallows it without a word."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._refuses = False
        self._flows = threading.Event()
        self._flows.set()
        self.cut_at: Callable[[bytes], bool] = lambda _: False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outside, _ = self._listener.accept()
                if self._refuses:
                    outside.close()
                    continue
                inside = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((outside, inside))
                for source, target in ((outside, inside), (inside, outside)):
                    threading.Thread(target=self._pour, args=(source, target, inside), daemon=True).start()

    def _pour(self, source: socket.socket, target: socket.socket, inside: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                if source is inside and self.cut_at(data):
                    self.cut()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Cut every connection that is open now."""
        pairs, self._pairs = self._pairs, []
        for sock in [sock for pair in pairs for sock in pair]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def refuse(self, on: bool = True) -> None:
        self._refuses = on
        if on:
            self.cut()

    def swallow(self, on: bool = True) -> None:
        (self._flows.clear if on else self._flows.set)()

    def close(self) -> None:
        self._flows.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else the thread that accepts stays for ever
        self._listener.close()
        self.cut()


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    running = Proxy(postgres.port)
    yield running
    running.close()


class Clock:
    """The pause before a ledger that failed is tried again, without waiting for it."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Books:
    """A ledger behind a proxy, what it has warned of, and what is really in the database."""

    def __init__(self, server: Server, database: str, port: int, folder: Path, **more: Any) -> None:
        self.server, self.database = server, database
        self.told: list[str] = []
        self.clock = Clock()
        self.store = PostgresStore(lambda: server.url(database, port=port), folder, **more)
        self.ledger = Ledger(self.store, warn=self.told.append, clock=self.clock)

    def live(self, name: str, usd: str = "0.125") -> None:
        """Write all that one call writes."""
        opened = self.ledger.open(row(name))
        self.ledger.note_generation(opened, f"gen-{name}")
        settled = replace(opened, status="ok", cost_source="billed", cost_usd=Decimal(usd), generation_id=f"gen-{name}")
        self.ledger.settle(settled)

    def back(self) -> None:
        """Let the pause pass."""
        self.clock.now_s += 6.0

    def there(self) -> list[str]:
        """The names that are in the database, each once, all settled; and its sums say the same."""
        found = self.server.run(
            "SELECT row_id, cost_pico, generation_id FROM or_magic.calls ORDER BY row_id", database=self.database
        )
        assert all((f"gen-{name}", 125 * 10**9) == (generation, pico) for name, pico, generation in found)
        sums = "SELECT sum(spent_pico), sum(held_pico) FROM or_magic.sums WHERE scope = 'total'"
        assert [(125 * 10**9 * len(found), 0)] == self.server.run(sums, database=self.database)
        return [name for name, *_ in found]


@pytest.fixture
def books(postgres: Server, database: str, proxy: Proxy, tmp_path: Path) -> Iterator[Books]:
    found = Books(postgres, database, proxy.port, tmp_path)
    yield found
    found.ledger.close()


def test_a_server_that_is_away_at_the_start_gets_everything_later(
    home: Path, postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers are shown, one warning says where the entries are, and the next session writes them."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", postgres.url(database))
    with serve() as server:
        postgres.stop("fast")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                with connect(base_url=server.url, timeouts=LIMITS) as session:
                    assert ["ok"] * 3 == [session.ask("Hello", model="offline/plain").status for _ in range(3)]
            assert [LedgerWarning] == [each.category for each in told if each.category is LedgerWarning]
            assert str(home / "team-") in next(str(each.message) for each in told if each.category is LedgerWarning)
        finally:
            postgres.start()
        with connect(base_url=server.url, timeouts=LIMITS) as session:
            assert 3 == len(session.tracker.frame(all=True))
            assert 0 == session.engine.ledger.waiting()
    found = postgres.run("SELECT status, cost_source FROM or_magic.calls", database=database)
    assert [("ok", "billed")] * 3 == found


def test_a_server_that_is_killed_in_the_middle_loses_nothing(postgres: Server, database: str, tmp_path: Path) -> None:
    """Twenty lives beside each other while it dies and comes back: each is there, once."""
    found = Books(postgres, database, postgres.port, tmp_path)
    found.live("before")
    names = [f"life {number:02}" for number in range(20)]
    half = threading.Event()

    def work(mine: list[str]) -> None:
        for number, name in enumerate(mine):
            found.live(name)
            if number == 1:
                half.set()

    threads = [threading.Thread(target=work, args=(names[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    assert half.wait(HANG_S)
    postgres.stop("immediate")
    for thread in threads:
        thread.join()
    postgres.start()
    found.back()
    found.live("after")
    found.ledger.close()
    assert sorted(["after", "before", *names]) == found.there()
    assert len(found.told) <= 1
    assert 0 == found.ledger.waiting()


def test_a_connection_that_was_cut_while_idle_is_not_even_noticed(books: Books, proxy: Proxy) -> None:
    """A firewall forgets what is quiet; nobody has to be told."""
    books.live("before")
    for number in range(3):
        proxy.cut()
        books.live(f"after {number}")
        proxy.cut()
        assert 2 + number == len(books.ledger._store.rows("1 = 1"))
    assert [] == books.told
    assert ["after 0", "after 1", "after 2", "before"] == books.there()


def test_a_server_that_refuses_for_a_while_gets_everything_later(books: Books, proxy: Proxy) -> None:
    """One warning for the whole while."""
    books.live("before")
    proxy.refuse()
    for number in range(4):
        books.live(f"while {number}")
    books.back()
    books.live("still")
    proxy.refuse(False)
    books.back()
    books.live("after")
    assert ["after", "before", "still", *(f"while {number}" for number in range(4))] == books.there()
    assert 1 == len(books.told)
    assert ".spool.jsonl" in books.told[0]


@pytest.mark.parametrize("word", [b"COMMIT", b"INSERT 0 1", b"SELECT 1", b"DELETE 0"])
def test_a_cut_at_any_moment_counts_nothing_twice(books: Books, proxy: Proxy, word: bytes) -> None:
    """Also where the server has committed, and its answer never arrived."""
    books.live("before")
    cuts = []

    def cut_once(data: bytes) -> bool:
        if word in data and not cuts:
            cuts.append(data)
            return True
        return False

    proxy.cut_at = cut_once
    bound = Terms(TOTAL, lambda _: Decimal("0.125"))
    opened = books.ledger.open(row("under limits"), bound)
    books.ledger.note_generation(opened, "gen-under limits")
    books.ledger.settle(replace(opened, status="ok", cost_source="billed", cost_usd=Decimal("0.125"),
                                generation_id="gen-under limits"), TOTAL)  # fmt: skip
    books.live("after")
    books.back()
    books.ledger.standings(TOTAL)
    assert ["after", "before", "under limits"] == books.there()


def test_with_a_budget_nothing_is_sent_while_it_cannot_be_looked_up(
    home: Path, postgres: Server, database: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked up cannot be kept; afterwards nothing is held for what was not sent."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", postgres.url(database, port=proxy.port))
    with serve() as server, connect(base_url=server.url, timeouts=LIMITS, total_budget="1") as session:
        assert "ok" == session.ask("Hello", model="openai/gpt-5-mini").status
        proxy.refuse()
        with pytest.raises(LedgerError, match=r"budget cannot be checked\. Nothing was sent") as stopped:
            session.ask("Hello", model="openai/gpt-5-mini")
        assert "Answers are not affected" not in str(stopped.value)
        assert "?" not in str(stopped.value)
        proxy.refuse(False)
        assert "ok" == session.ask("Hello", model="openai/gpt-5-mini").status
        (standing,) = session.engine.standings()
        assert 0 == standing.held_usd
    assert [("ok",)] * 2 == postgres.run("SELECT status FROM or_magic.calls", database=database)


def test_a_reservation_whose_commit_was_cut_off_is_given_back(books: Books, proxy: Proxy) -> None:
    """The server has it, we were told nothing, and every try to ask again fails: the call is not sent."""
    books.live("before")

    def cut_and_refuse(data: bytes) -> bool:
        if b"COMMIT" in data:
            proxy._refuses = True
            return True
        return False

    proxy.cut_at = cut_and_refuse
    with pytest.raises(LedgerError, match="Nothing was sent"):
        books.ledger.open(row("never sent"), Terms(TOTAL, lambda _: Decimal("0.5")))
    proxy.cut_at = lambda _: False
    proxy.refuse(False)
    assert [0] == [standing.held_usd for standing in books.ledger.standings(TOTAL)]
    assert ["before"] == books.there()


def test_a_server_that_hangs_is_waited_for_a_moment_only(
    books: Books, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that swallows everything gives no error, ever: the wait is ours to end."""
    monkeypatch.setattr(connections.Bounded, "_limit_s", 0.5)
    books.live("before")
    proxy.swallow()
    with hard_deadline():  # a proxy that is silent has no end of its own
        books.live("while")
    assert "no answer" in books.told[0]
    proxy.swallow(False)
    proxy.cut()
    books.back()
    books.live("after")
    assert ["after", "before", "while"] == books.there()


@pytest.mark.parametrize("table", ["calls", "sums"])
def test_a_lock_that_somebody_keeps_is_waited_for_a_moment_only(
    postgres: Server, database: str, tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator in the middle of something, say; the entries wait."""
    monkeypatch.setattr("or_magic.ledger.postgres._BEGINNING", _hasty())
    books = Books(postgres, database, postgres.port, tmp_path)
    books.live("before")
    with psycopg.connect(postgres.url(database)) as other:
        other.execute(f"LOCK TABLE or_magic.{table} IN ACCESS EXCLUSIVE MODE")
        books.live("while")
        assert 1 == len(books.told)
        assert "timeout" in books.told[0]
        with pytest.raises(LedgerError, match="timeout"):
            books.ledger.open(row("never"), Terms(TOTAL, lambda _: Decimal("0.5")))
        other.rollback()
    books.back()
    books.live("after")
    books.ledger.close()
    assert ["after", "before", "while"] == books.there()


def _hasty() -> bytes:
    from or_magic.ledger.postgres import _BEGINNING

    return _BEGINNING + b"; SET lock_timeout = '0.2s'"


def test_a_kernel_that_is_stopped_in_the_middle_does_not_hold_up_the_team(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    """It has looked up what is left and stands still; the others go on, and it finds out when it goes on itself."""
    stopped, lively = (Books(postgres, database, postgres.port, tmp_path / name) for name in ("stopped", "lively"))
    lively.live("before")
    inside, over = threading.Event(), threading.Event()

    def bound(_: Decimal | None) -> Decimal:
        inside.set()
        over.wait(HANG_S)
        return Decimal("0.5")

    caught: list[OverBudget] = []

    def stop() -> None:
        try:
            stopped.ledger.open(row("stopped"), Terms(TOTAL, bound))
        except OverBudget as error:
            caught.append(error)

    thread = threading.Thread(target=stop)
    thread.start()
    assert inside.wait(HANG_S)
    opened = lively.ledger.open(row("lively"), Terms(TOTAL, lambda _: Decimal("0.75")))
    over.set()
    thread.join()
    assert [Decimal("0.75")] == [error.held_usd for error in caught]
    lively.ledger.discard(opened)
    stopped.ledger.close()
    lively.ledger.close()
    assert ["before"] == lively.there()


def test_connections_that_are_all_busy_are_waited_for_a_moment_only(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    """The error says what is busy; the entry waits and is written."""
    books = Books(postgres, database, postgres.port, tmp_path, most=1)
    books.live("before")
    books.store._connections._busy_s = 0.2
    with contextlib.closing(books.store.batches(["row_id"], "1 = 1", ())) as reading:
        next(reading)
        books.live("while")
    assert "all 1 connections are busy" in books.told[0]
    books.back()
    books.live("after")
    books.ledger.close()
    assert ["after", "before", "while"] == books.there()


def test_threads_do_not_wait_one_after_another_for_a_server_that_is_away(books: Books, proxy: Proxy) -> None:
    """Sixteen calls beside each other with one connection: the first waits, and the others are told what it found."""
    books.live("before")
    books.store.close()
    proxy.refuse()
    tried: list[float] = []
    connect = books.store._connections._connect
    everybody = threading.Barrier(16)

    def slow() -> connections.Bounded:
        tried.append(time.monotonic())
        everybody.wait(HANG_S)
        until(lambda: len(books.store._connections._queue) == 15)
        return connect()

    books.store._connections._most = 1
    books.store._connections._connect = slow

    def work(number: int) -> None:
        if number:
            everybody.wait(HANG_S)
        books.ledger.open(row(f"while {number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(tried)
    assert 16 == books.ledger.waiting()
    books.store._connections._connect = connect
    proxy.refuse(False)
    books.back()
    assert 17 == len(books.ledger._store.rows("1 = 1")) + books.ledger.waiting()


def test_a_disk_of_the_server_that_is_full_loses_nothing(books: Books, postgres: Server, database: str) -> None:
    """Played by a trigger that says what PostgreSQL says."""
    books.live("before")
    postgres.run(
        "CREATE FUNCTION or_magic.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'could not extend file \"base/1/2\": No space left on device' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON or_magic.calls FOR EACH ROW "
        "EXECUTE FUNCTION or_magic.full_disk()",
        database=database,
    )
    books.live("while")
    assert "No space left" in books.told[0]
    postgres.run("DROP TRIGGER full_disk ON or_magic.calls", database=database)
    books.back()
    books.live("after")
    assert ["after", "before", "while"] == books.there()


def test_too_many_clients_are_waited_for(postgres: Server, database: str, tmp_path: Path) -> None:
    """A server that is full has room again in a moment: that is no reason to warn anybody."""
    books = Books(postgres, database, postgres.port, tmp_path)
    taken: list[psycopg.Connection[Any]] = []
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            taken.append(psycopg.connect(postgres.url(database)))
    timer = threading.Timer(0.5, lambda: [each.close() for each in taken])
    timer.start()
    books.live("one")
    timer.join()
    books.ledger.close()
    assert [] == books.told
    assert ["one"] == books.there()


def test_a_strange_entry_does_not_dam_up_the_others(books: Books, proxy: Proxy) -> None:
    """What PostgreSQL can never hold is set aside for a person to look at."""
    books.live("before")
    proxy.refuse()
    books.ledger.open(row("strange", prompt_tokens=2**70))
    books.live("behind")
    proxy.refuse(False)
    books.back()
    books.live("after")
    assert ["after", "before", "behind"] == books.there()
    assert books.store.path.with_suffix(".spool.bad").exists()


def test_without_a_server_at_all_every_call_is_answered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bookkeeping never breaks a cell."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", f"postgresql://ada:word@127.0.0.1:{dead_port()}/team")
    with serve() as server, connect(base_url=server.url, timeouts=LIMITS) as session:
        with pytest.warns(LedgerWarning, match=r"ada@127\.0\.0\.1.*until then the entries wait"):
            assert "ok" == _ask(session)
        assert "ok" == _ask(session)
        assert session.engine.ledger.waiting() >= 4


def _ask(session: Session) -> str:
    return session.ask("Hello", model="offline/plain").status
