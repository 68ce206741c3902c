"""R5: what a disk can do to a ledger, met by real sessions: the answer comes, and nothing is lost or doubled.

What a small part does with a fault is in ``test_spool.py``; here the simulator's own books are compared with ours.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from or_magic.errors import LedgerError
from or_magic.ledger import LedgerWarning, sqlite
from or_magic.offline import Server, serve
from or_magic.values import Total

from .disk import Disk, Over
from .faults import BETWEEN, FAULTS, START, WITHIN, Case, Fault, ask, ask_while_it_breaks, session
from .kit import books, integrity, wrong_sums


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second place of a spool is in the temporary folder: one of this test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def suffer(case: Case, fault: Fault, when: str, server: Server) -> None:
    """Ask in a session that meets the fault; check what its user sees."""
    mine = case.home.parent.name
    with contextlib.ExitStack() as until_fixed, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if when == START:
            until_fixed.enter_context(fault.broken(case))
        with session(case, server) as running:
            if when == WITHIN:
                ask_while_it_breaks(running, f"{mine}/b0", until_fixed, case, fault)
            elif when == BETWEEN:
                ask(running, f"{mine}/b0")
                until_fixed.enter_context(fault.broken(case))
            for number in range(1, 4):
                ask(running, f"{mine}/b{number}")
            assert running.engine.ledger.waiting() >= 1
            with pytest.raises(LedgerError, match=r"OR_MAGIC_HOME|Put it back"):
                running.tracker.total(all=True)
    assert [LedgerWarning] == [each.category for each in told], [str(each.message) for each in told]
    assert "Answers are not affected" in str(told[0].message)


def refuse(case: Case, fault: Fault, when: str, server: Server) -> None:
    """Ask in a session with a budget that meets the fault; check that nothing is sent unless its user insists."""
    mine = case.home.parent.name
    with contextlib.ExitStack() as until_fixed, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if when == START:
            until_fixed.enter_context(fault.broken(case))
        with session(case, server, total_budget="100") as running:
            if when == WITHIN:
                ask_while_it_breaks(running, f"{mine}/b0", until_fixed, case, fault)
            elif when == BETWEEN:
                ask(running, f"{mine}/b0")
                until_fixed.enter_context(fault.broken(case))
            sent = len(server.billed())
            with pytest.raises(LedgerError, match=r"(?s)budget cannot be checked. Nothing was sent. To go on.*-y"):
                while len(server.billed()) < sent + 3:  # the disk may still do a few things
                    sent += 1
                    ask(running, f"{mine}/b{sent}")
            ask(running, f"{mine}/b", yes=True)
    assert [LedgerWarning] == [each.category for each in told], [str(each.message) for each in told]


def play(folder: Path, name: str, number: int, server: Server, disk: Disk, meet: Callable[..., None] = suffer) -> None:
    """One round: a call before the fault, calls in it, a call after it; then the books are compared."""
    fault, round_name = FAULTS[name], f"{folder.name} {name} {number}"
    case = Case(folder / round_name / "home", disk, random.Random(f"{name} {number}"))
    mine, when = case.home.parent.name, fault.whens[number % len(fault.whens)]
    with pytest.MonkeyPatch.context() as patched:
        if fault.ours:
            patched.setattr(sqlite, "sqlite3", Over(disk))
        patched.setattr(sqlite, "on_network", lambda _: fault.network)
        with session(case, server) as running:
            ask(running, f"{mine}/a")
        meet(case, fault, when, server)
        with session(case, server) as running:
            ask(running, f"{mine}/c")
            total = running.tracker.total(all=True)
            assert 0 == running.engine.ledger.waiting()
    compare(case, server, total)


def compare(case: Case, server: Server, total: Total) -> None:
    """Our books are the simulator's: no call lost, none double, the money equal to the last digit."""
    mine = f"{case.home.parent.name}/"
    theirs = {each.prompt.partition(":")[0]: each for each in server.billed() if each.prompt.startswith(mine)}
    ours = books(case.ledger)
    assert "ok" == integrity(case.ledger)
    assert len(theirs) == len(ours) >= 3
    assert [] == wrong_sums(case.ledger)
    assert {name: each.cost_text for name, each in theirs.items()} == {each["tag"]: each["cost_text"] for each in ours}
    assert {("ok", "billed")} == {(each["status"], each["cost_source"]) for each in ours}
    spent = sum((Decimal(each.cost_text) for each in theirs.values()), Decimal(0))
    assert (spent, 0, 0) == (total.billed_usd, total.estimated_usd, total.unknown_calls)
    assert not case.ledger.with_suffix(".spool.jsonl").exists()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_disk_loses_no_answer_and_no_entry(
    tmp_path: Path, name: str, server: Server, disk: Disk
) -> None:
    """Each kind at each moment at which it can strike."""
    for number in range(3):
        play(tmp_path, name, number, server, disk)


@pytest.mark.parametrize("name", FAULTS)
def test_with_a_budget_a_ledger_that_cannot_be_checked_stops_the_call(
    tmp_path: Path, name: str, server: Server, disk: Disk
) -> None:
    """Money that nobody counts is not spent, unless the user says so; what was sent by -y is in the books as well."""
    for number in range(3):
        play(tmp_path, name, number, server, disk, refuse)


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_hundred_faults_of_the_disk_lose_no_answer_and_no_entry(
    tmp_path: Path, name: str, server: Server, disk: Disk
) -> None:
    """The full N of R5."""
    for number in range(100):
        play(tmp_path, name, number, server, disk, refuse if number % 4 == 3 else suffer)
