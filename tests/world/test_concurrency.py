"""R6: many processes and threads write one ledger; nobody meets a lock, nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from or_magic import api
from or_magic.api import connect
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.offline import serve

from ..guards import AGES_S, HANG_S
from .kit import LIMITS, ROOT, books, hard_deadline, in_a_fork, integrity, row

# Each thread writes whole lives of rows; what goes wrong is printed, so that silence is success.
_WRITER = """
import sys, threading, warnings
from dataclasses import replace
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
if sys.argv[4] == "DELETE":
    import or_magic.ledger.sqlite as sqlite
    sqlite.on_network = lambda folder: True
warnings.simplefilter("error")
ledger = Ledger(SqliteStore(Path(sys.argv[1])))
def write(thread):
    for number in range(int(sys.argv[3])):
        opened = row(f"{sys.argv[2]}-{thread}-{number}")
        ledger.open(opened)
        ledger.note_generation(opened, "gen-" + opened.row_id)
        ledger.settle(replace(opened, status="ok", generation_id="gen-" + opened.row_id))
def reported(thread):
    try:
        write(thread)
    except BaseException as error:
        print(thread, repr(error), flush=True)
threads = [threading.Thread(target=reported, args=(number,)) for number in range(int(sys.argv[5]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
# One process that forks the starters: 100 interpreters would take minutes to come up.
_STARTERS = """
import os, sys, warnings
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
warnings.simplefilter("error")
gate, start = os.pipe()
children = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        os.close(start)
        try:
            os.read(gate, 1)
            Ledger(SqliteStore(Path(sys.argv[1]))).open(row(f"start {number}"))
        except BaseException as error:
            print(number, repr(error), flush=True)
        os._exit(0)
    children.append(child)
os.close(start)
for child in children:
    os.waitpid(child, 0)
"""


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _write_together(ledger: Path, processes: int, threads: int, rows: int, mode: str) -> None:
    running = [
        _python(_WRITER, str(ledger), f"p{number}", str(rows), mode, str(threads)) for number in range(processes)
    ]
    assert [""] * processes == [process.communicate()[0] for process in running]
    with contextlib.closing(sqlite3.connect(ledger)) as connection:  # a million writes are too many rows to hold
        found = connection.execute(
            "SELECT count(*), count(DISTINCT tag), sum(status = 'ok'), sum(generation_id = 'gen-' || row_id), "
            "sum(held_pico), (SELECT held_pico FROM sums WHERE scope = 'total') FROM calls"
        ).fetchone()
    lives = processes * threads * rows
    assert (lives, lives, lives, lives, None, 0) == found
    assert "ok" == integrity(ledger)
    assert not ledger.with_suffix(".spool.jsonl").exists()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_eight_processes_of_sixteen_threads_lose_nothing(tmp_path: Path, mode: str) -> None:
    """Kernels share a ledger, also on a network disk, where WAL cannot be had."""
    _write_together(tmp_path / "ledger.sqlite", 8, 16, 4 if mode == "WAL" else 1, mode)


@pytest.mark.long(limit_s=7200)
def test_a_million_writes_of_sixteen_processes_of_sixty_four_threads_lose_nothing(tmp_path: Path) -> None:
    """The full N of R6: 1,002 writes a thread, three for each life of a row."""
    _write_together(tmp_path / "ledger.sqlite", 16, 64, 334, "WAL")


def _start_together(ledger: Path, count: int) -> None:
    assert "" == _python(_STARTERS, str(ledger), str(count)).communicate()[0]
    assert {f"start {number}" for number in range(count)} == {row["tag"] for row in books(ledger)}
    assert not ledger.with_suffix(".spool.jsonl").exists()


def test_a_hundred_first_starts_at_once_make_one_table(tmp_path: Path) -> None:
    """Whoever migrates first, the others wait and find it done."""
    _start_together(tmp_path / "new" / "ledger.sqlite", 100)


@pytest.mark.long
def test_a_thousand_first_starts_in_ten_races_make_one_table_each(tmp_path: Path) -> None:
    """The full N of the migration race."""
    for race in range(10):
        _start_together(tmp_path / f"race {race}" / "ledger.sqlite", 100)


def test_threads_of_one_process_share_one_store(tmp_path: Path) -> None:
    """64 threads, one writer: nobody waits for SQLite's lock."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    threads = [threading.Thread(target=ledger.open, args=(row(f"thread {number}"),)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.close()
    assert 64 == len(books(tmp_path / "ledger.sqlite"))


def test_a_fork_and_its_parent_write_the_same_ledger(tmp_path: Path) -> None:
    """A connection must not be carried over a fork: the child opens its own, the parent's stays whole."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    ledger.open(row("before"))
    for number in range(5):
        assert 0 == in_a_fork(lambda name=f"child {number}": ledger.open(row(name)))
        ledger.open(row(f"parent {number}"))
    ledger.close()
    assert "ok" == integrity(tmp_path / "ledger.sqlite")
    expected = {"before", *(f"{who} {number}" for who in ("child", "parent") for number in range(5))}
    assert expected == {found["tag"] for found in books(tmp_path / "ledger.sqlite")}


def test_a_fork_asks_over_a_connection_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``orm.ask`` in a forked worker must not write on the parent's socket."""
    with serve() as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.url)
        api.use(connect(timeouts=LIMITS))
        assert "ok" == api.ask("Parent.", model="offline/plain").status
        assert [0, 0] == [in_a_fork(lambda: api.ask("Child.", model="offline/plain")) for _ in range(2)]
        assert "ok" == api.ask("Parent again.", model="offline/plain").status
        api.use(None)
        assert 3 == server.connections()
    rows = books(home / "ledger.sqlite")
    assert [("ok", "billed")] * 4 == [(row["status"], row["cost_source"]) for row in rows]
    assert 3 == len({row["pid"] for row in rows})


def test_a_fork_while_another_thread_asks_does_not_hang(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child has a copy of every lock, also of one that a thread holds which does not exist there."""
    over = threading.Event()

    def ask_on() -> None:
        while not over.is_set():
            api.ask("Parent.", model="offline/plain")

    with serve() as server:
        monkeypatch.setenv("OPENROUTER_BASE_URL", server.url)
        api.use(connect(timeouts=LIMITS))
        api.ask("Parent.", model="offline/plain")
        asking = threading.Thread(target=ask_on, daemon=True)
        asking.start()
        codes = [in_a_fork(lambda: api.ask("Child.", model="offline/plain", tag="child")) for _ in range(12)]
        over.set()
        asking.join(HANG_S)
        api.use(None)
    assert [0] * 12 == codes
    assert 12 == sum(row["tag"] == "child" for row in books(home / "ledger.sqlite"))


def test_a_fork_does_not_wait_for_a_ledger_that_is_locked(tmp_path: Path) -> None:
    """A thread that only waits for a file is not inside SQLite."""
    store = SqliteStore(tmp_path / "ledger.sqlite", patience_s=AGES_S)
    ledger = Ledger(store, warn=lambda _: None)
    ledger.open(row("before"))
    waiting = threading.Event()
    store._sleep = lambda pause_s: (waiting.set(), threading.Event().wait(pause_s))[0]
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writer = threading.Thread(target=ledger.open, args=(row("waits"),))
        writer.start()
        assert waiting.wait(HANG_S)
        with hard_deadline():
            assert 0 == in_a_fork(lambda: None)
        assert writer.is_alive(), "the fork came when nobody waited any more"
        other.execute("ROLLBACK")
    writer.join()
    ledger.close()
    assert ["before", "waits"] == [found["tag"] for found in books(store.path)]


def test_a_child_forked_while_another_thread_waits_for_the_ledger_does_not_hang(tmp_path: Path) -> None:
    """The thread that waits holds the store's own lock, and does not exist in the child."""
    store = SqliteStore(tmp_path / "ledger.sqlite", patience_s=2.0)
    ledger = Ledger(store, warn=lambda _: None)
    ledger.open(row("before"))
    waiting = threading.Event()
    store._sleep = lambda pause_s: (waiting.set(), time.sleep(pause_s))[0]
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        writer = threading.Thread(target=ledger.open, args=(row("parent"),))
        writer.start()
        assert waiting.wait(HANG_S)
        assert 0 == in_a_fork(lambda: ledger.open(row("child")))
        other.execute("ROLLBACK")
    writer.join()
    store.close()
    Ledger(store).pending("offline")
    store.close()
    assert {"before", "parent", "child"} == {found["tag"] for found in books(store.path)}
