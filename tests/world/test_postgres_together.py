"""Many machines write one team's ledger: nothing is lost (R6), no budget is passed, none stops too early (R11)."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.budget import Limit
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
from or_magic.ledger.reconcile import Reconciler

from ..guards import HANG_S
from ..postgres import Server
from .kit import ROOT, in_a_fork, row

# Each thread writes whole lives of rows; what goes wrong is printed, so that silence is success.
_WRITER = """
import sys, threading, warnings
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
warnings.simplefilter("error")
url = sys.stdin.readline().strip()
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(PostgresStore(lambda: url, Path(sys.argv[1])))
def write(thread):
    for number in range(int(sys.argv[3])):
        opened = row(f"{sys.argv[2]}-{thread}-{number}")
        ledger.open(opened)
        ledger.note_generation(opened, "gen-" + opened.row_id)
        settled = replace(opened, status="ok", generation_id="gen-" + opened.row_id)
        ledger.settle(replace(settled, cost_source="billed", cost_usd=Decimal("0.001")))
def reported(thread):
    try:
        write(thread)
    except BaseException as error:
        print(thread, repr(error), flush=True)
threads = [threading.Thread(target=reported, args=(number,)) for number in range(int(sys.argv[4]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ledger.close()
"""
# All write the same few rows: who comes second changes nothing, and nobody fails.
_RIVAL = """
import random, sys, warnings
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
warnings.simplefilter("error")
url = sys.stdin.readline().strip()
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(PostgresStore(lambda: url, Path(sys.argv[1])))
chance = random.Random(int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    mine = [row(f"conflict {chance.randrange(20)} of {number // 20}") for _ in range(3)]
    if chance.random() < 0.5:
        ledger._store.settle([replace(each, status="ok", cost_source="billed", cost_usd=Decimal("0.001")) for each in mine])
    else:
        ledger.open(mine[0])
        ledger.settle(replace(mine[0], status="ok", cost_source="billed", cost_usd=Decimal("0.001")))
        ledger.discard(mine[1])
ledger.close()
"""
# One process that forks the starters: 100 interpreters would take minutes to come up.
_STARTERS = """
import os, sys, warnings
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
warnings.simplefilter("error")
url = sys.stdin.readline().strip()
print("ready", flush=True)
sys.stdin.readline()
gate, start = os.pipe()
children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        os.close(start)
        try:
            os.read(gate, 1)
            ledger = Ledger(PostgresStore(lambda: url, Path(sys.argv[1])))
            ledger.open(row(f"start {number}"))
            ledger.close()
        except BaseException as error:
            print(number, repr(error), flush=True)
        os._exit(0)
    children.append(child)
os.close(start)
for child in children:
    os.waitpid(child, 0)
"""
# Spends from one dollar until it is told to stop; one in ten of its threads is cut down in the middle of a call.
_SPENDER = """
import os, random, sys, threading, uuid, warnings
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tests.world.kit import row
from or_magic.budget import Limit, Terms
from or_magic.errors import OverBudget
from or_magic.ledger import Ledger
from or_magic.ledger.postgres import PostgresStore
warnings.simplefilter("error")
url = sys.stdin.readline().strip()
print("ready", flush=True)
sys.stdin.readline()
chance = random.Random(int(sys.argv[2]))
ledger = Ledger(PostgresStore(lambda: url, Path(sys.argv[1])))
limits = (Limit("total", Decimal(1)), Limit("session", Decimal(5), "test"))
dies = threading.Event()
lives = sys.argv[4] == "lives"
def spend():
    stops = 0
    while stops < 3:
        bound = Decimal(chance.randrange(1, 40)) / 1000
        try:
            opened = ledger.open(row(uuid.uuid4().hex), Terms(limits, lambda left: bound))
        except OverBudget as error:
            if error.limit_usd - error.spent_usd - error.held_usd >= error.asked_usd:
                print("stopped too early", error, flush=True)
            stops += 1
            continue
        if not lives and chance.random() < 0.5:
            os._exit(0)
        cost = (bound * chance.randrange(0, 101) / 100).quantize(Decimal("0.000001"))
        ledger.settle(replace(opened, status="ok", cost_source="billed", cost_usd=cost), limits)
def reported():
    try:
        spend()
    except BaseException as error:
        print(repr(error), flush=True)
threads = [threading.Thread(target=reported) for _ in range(int(sys.argv[3]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ledger.close()
"""


class Machines:
    """Processes with a home each, as on machines of their own."""

    def __init__(self, server: Server, database: str, folder: Path) -> None:
        self.server, self.database, self._folder = server, database, folder
        self.url = server.url(database, connect_timeout=30)  # a hundred at once on a busy machine are no outage

    def run(self, script: str, *arguments: tuple[object, ...]) -> list[str]:
        """Run one process for each tuple of arguments, all at once; return what they printed."""
        running = []
        for number, more in enumerate(arguments):
            home = self._folder / f"machine {number}"
            command = [sys.executable, "-c", script, str(home), *map(str, more)]
            running.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        for line in (self.url, "go"):  # all are up before the first begins
            for process in running:
                assert process.stdin is not None
                process.stdin.write(line + "\n")
                process.stdin.flush()
            if line == self.url:
                assert {"ready\n"} == {each.stdout.readline() for each in running if each.stdout is not None}
        return [process.communicate()[0] for process in running]

    def asked(self, statement: str) -> list[Any]:
        return self.server.run(statement, database=self.database)

    def spooled(self) -> list[Path]:
        """What waits anywhere."""
        return list(self._folder.rglob("*.jsonl"))

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The same books, seen from here."""
        ledger = Ledger(PostgresStore(lambda: self.url, self._folder))
        try:
            yield ledger
        finally:
            ledger.close()


@pytest.fixture
def machines(postgres: Server, database: str, tmp_path: Path) -> Machines:
    return Machines(postgres, database, tmp_path)


def _sums_are_right(machines: Machines) -> bool:
    added = (
        "SELECT coalesce(sum(cost_pico), 0), coalesce(sum(CASE WHEN cost_pico IS NULL "
        "THEN coalesce(held_pico, bound_pico, 0) ELSE 0 END), 0) FROM or_magic.calls"
    )
    kept = "SELECT coalesce(sum(spent_pico), 0), coalesce(sum(held_pico), 0) FROM or_magic.sums WHERE scope = '{}'"
    exact = machines.asked(added)
    return all(exact == machines.asked(kept.format(scope)) for scope in ("total", "session", "quarter"))


# --- R6


def _write_together(machines: Machines, processes: int, threads: int, rows: int) -> None:
    told = machines.run(_WRITER, *[(f"p{number}", rows, threads) for number in range(processes)])
    assert [""] * processes == told
    (found,) = machines.asked("SELECT count(*), count(DISTINCT row_id), min(status), max(status) FROM or_magic.calls")
    assert (processes * threads * rows, processes * threads * rows, "ok", "ok") == found
    assert [(0,)] == machines.asked("SELECT count(*) FROM or_magic.calls WHERE generation_id <> 'gen-' || row_id")
    assert [] == machines.spooled()
    assert _sums_are_right(machines)


def test_four_processes_of_sixteen_threads_lose_nothing(machines: Machines) -> None:
    """No lock is met, no deadlock, no warning."""
    _write_together(machines, 4, 16, 2)


@pytest.mark.long
def test_sixteen_processes_of_sixty_four_threads_lose_nothing(machines: Machines) -> None:
    """The full N of R6, in rows per thread as many as a quarter of an hour allows."""
    _write_together(machines, 16, 64, 20)


def _conflict(machines: Machines, processes: int, rows: int) -> None:
    assert [""] * processes == machines.run(_RIVAL, *[(number, rows) for number in range(processes)])
    assert [] == machines.spooled()
    assert [(0,)] == machines.asked("SELECT count(*) FROM or_magic.calls WHERE cost_source <> 'billed'")
    assert _sums_are_right(machines)


def test_who_writes_the_same_rows_as_others_does_not_fail(machines: Machines) -> None:
    """Several rows in one transaction, in any order, against all rules: the server's deadlocks are tried again."""
    _conflict(machines, 3, 20)


@pytest.mark.long
def test_a_thousand_conflicts_do_no_harm(machines: Machines) -> None:
    """The full N of R6 on PostgreSQL."""
    _conflict(machines, 8, 1_000)


def _start_together(machines: Machines, count: int) -> None:
    assert [""] == machines.run(_STARTERS, (count,))
    found = {tag for (tag,) in machines.asked("SELECT tag FROM or_magic.calls")}
    assert {f"start {number}" for number in range(count)} == found
    assert [(1,)] == machines.asked("SELECT count(*) FROM or_magic.steps")
    assert [] == machines.spooled()


def test_a_hundred_first_starts_at_once_make_one_schema(machines: Machines) -> None:
    """Whoever migrates first, the others wait and find it done."""
    _start_together(machines, 100)


@pytest.mark.long
def test_a_thousand_first_starts_in_ten_races_make_one_schema_each(machines: Machines) -> None:
    """The full N of the migration race."""
    for _ in range(10):
        machines.asked("DROP SCHEMA IF EXISTS or_magic CASCADE")
        _start_together(machines, 100)


# --- R11


def _spend_together(machines: Machines, processes: int, threads: int, killed: int) -> None:
    arguments = [(number, threads, "dies" if number < killed else "lives") for number in range(processes)]
    assert [""] * processes == machines.run(_SPENDER, *arguments)
    assert [] == machines.spooled()
    assert _sums_are_right(machines)
    with machines.ledger() as ledger:
        limits = (Limit("total", Decimal(1)),)
        (standing,) = ledger.standings(limits)
        left_open = ledger.unsettled()
        assert standing.spent_usd + standing.held_usd <= 1
        assert standing.left_usd < Decimal("0.040")  # nobody was stopped while the dearest call would have fitted
        assert standing.held_usd == sum([found.held_usd or 0 for found in left_open], Decimal(0))
        assert bool(killed) == bool(left_open)
        reconciler = Reconciler(ledger, lambda _: {}, "offline")
        assert [] == reconciler.orphans()  # none of them can be asked for: they have no generation
        assert [] == ledger.unsettled()
        (standing,) = ledger.standings(limits)
        assert (0, True) == (standing.held_usd, standing.spent_usd <= 1)


def test_a_dollar_is_not_spent_twice_by_a_team(machines: Machines) -> None:
    """A third of the machines is cut down in the middle; what they held is found, and counts until then."""
    _spend_together(machines, 3, 8, 1)


@pytest.mark.long
def test_a_dollar_is_not_spent_twice_by_eight_machines_of_sixty_four_threads(machines: Machines) -> None:
    """The full N of R11, round after round."""
    for _ in range(20):
        machines.asked("DROP SCHEMA IF EXISTS or_magic CASCADE")
        _spend_together(machines, 8, 64, 2)


def test_asking_first_and_writing_later_would_overspend(machines: Machines) -> None:
    """The comparison: sixteen calls that look first and write afterwards pass a dollar that ours keep."""
    limits = (Limit("total", Decimal(1)),)
    looked = threading.Barrier(16)
    with machines.ledger() as ledger:
        ledger.version()

        def naive(number: int) -> None:
            (standing,) = ledger.standings(limits)
            looked.wait(HANG_S)
            if standing.left_usd >= Decimal("0.25"):
                ledger.open(row(f"naive {number}", held_usd=Decimal("0.25")))

        threads = [threading.Thread(target=naive, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [Decimal(4)] == [standing.held_usd for standing in ledger.standings(limits)]


def test_a_row_of_another_machine_is_given_up_after_a_day_only(machines: Machines) -> None:
    """Nobody here knows whether that machine's process still lives."""
    now = datetime.now(UTC)
    with machines.ledger() as ledger:
        for name, host, age in (("new", "elsewhere", 0.5), ("old", "elsewhere", 25), ("dead", None, 0.5)):
            facts = {"host": host, "pid": 1} if host else {"pid": 2**22 - 7}
            ledger.open(row(name, started_at=now - timedelta(hours=age), bound_usd=Decimal("0.125"), **facts))
        Reconciler(ledger, lambda _: {}, "offline").orphans()
        assert ["new"] == [found.row_id for found in ledger.unsettled()]
        total, held = ledger.standings((Limit("total", Decimal(1)),))[0].spent_usd, Decimal("0.125")
    assert Decimal("0.25") == total
    assert [(int(held * 10**12),)] == machines.asked("SELECT sum(held_pico) FROM or_magic.sums WHERE scope = 'total'")


# --- forks


def test_a_fork_and_its_parent_write_over_connections_of_their_own(machines: Machines) -> None:
    """Two processes on one socket would read each other's answers."""
    with machines.ledger() as ledger:
        ledger.open(row("before"))
        for number in range(4):
            assert 0 == in_a_fork(lambda name=f"child {number}": ledger.open(row(name)))
            ledger.open(row(f"parent {number}"))
    expected = {"before", *(f"{who} {number}" for who in ("child", "parent") for number in range(4))}
    assert expected == {tag for (tag,) in machines.asked("SELECT tag FROM or_magic.calls")}
    assert [] == machines.spooled()


def test_a_fork_while_another_thread_writes_does_not_hang(machines: Machines) -> None:
    """The child has a copy of every lock, also of one whose holder does not exist there."""
    over = threading.Event()
    with machines.ledger() as ledger:

        def write_on() -> None:
            number = 0
            while not over.is_set():
                ledger.open(row(f"parent {number}"))
                number += 1

        ledger.open(row("before"))
        thread = threading.Thread(target=write_on)
        thread.start()
        codes = [in_a_fork(lambda name=f"child {number}": ledger.open(row(name))) for number in range(8)]
        over.set()
        thread.join()
    assert [0] * 8 == codes
    assert [(8,)] == machines.asked("SELECT count(*) FROM or_magic.calls WHERE tag LIKE 'child %'")
    assert [] == machines.spooled()
