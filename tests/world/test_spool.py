"""R5: whatever happens to the ledger's disk, the answer is shown, the user is told once, and no entry is lost."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from or_magic.errors import LedgerError
from or_magic.ledger import Ledger, LedgerWarning, spool
from or_magic.ledger.record import to_json
from or_magic.ledger.spool import Spool
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

from .fixtures import Connect
from .kit import books, row


class Breakable(SqliteStore):
    """A store whose disk can be full."""

    full = False

    @contextlib.contextmanager
    def _write(self, **how: bool) -> Iterator[sqlite3.Connection]:
        if self.full:
            raise LedgerError(f"The ledger {self.path} cannot be used: database or disk is full.")
        with super()._write(**how) as connection:
            yield connection


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second place of a spool is in the temporary folder: one of this test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Breakable]:
    store = Breakable(tmp_path / "books" / "ledger.sqlite", patience_s=0.2)
    yield store
    store.close()


def life(ledger: Ledger, name: str) -> Row:
    """Write all that one call writes."""
    opened = row(name)
    ledger.open(opened)
    ledger.note_generation(opened, f"gen-{name}")
    settled = replace(opened, status="ok", cost_source="billed", cost_usd=Decimal("0.125"), generation_id=f"gen-{name}")
    ledger.settle(settled)
    return settled


def all_of(keep: Spool) -> list[dict[str, str]]:
    """Drain the spool and return its entries."""
    found: list[dict[str, str]] = []
    keep.drain(lambda entries: (found.extend(entries), [])[1])
    return found


def tags(path: Path) -> list[str]:
    return [found["tag"] for found in books(path)]


def next_session(store: SqliteStore) -> None:
    """Do what the next session does at its start: write what waits."""
    store.close()
    Ledger(store, warn=lambda _: None).pending("offline")


def test_the_warning_names_neither_the_user_s_home_nor_a_file_of_ours(
    store: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell saves it, and others read the notebook."""
    monkeypatch.setenv("HOME", str(tmp_path))
    store.full = True
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Ledger(store).open(row("waits"))
    (only,) = told
    assert "wait in ~/books/ledger.spool.jsonl" in str(only.message)
    assert "<or_magic>" == only.filename


def test_entries_wait_and_are_written_later_in_their_order(store: Breakable) -> None:
    """The user is told once, not at each call."""
    told: list[str] = []
    ledger = Ledger(store, warn=told.append)
    life(ledger, "before")
    store.full = True
    for number in range(3):
        life(ledger, f"during {number}")
    store.full = False
    life(ledger, "after")
    next_session(store)
    assert 1 == len(told)
    assert "full" in told[0]
    assert str(store.path.with_suffix(".spool.jsonl")) in told[0]
    assert ["before", "during 0", "during 1", "during 2", "after"] == tags(store.path)
    assert {("ok", "billed")} == {(found["status"], found["cost_source"]) for found in books(store.path)}
    assert not ledger._spool.waiting()


def test_what_waits_is_written_by_the_next_session(store: Breakable) -> None:
    """A kernel that ends with a full disk loses nothing."""
    ledger = Ledger(store, warn=lambda _: None)
    store.full = True
    life(ledger, "waits")
    ledger.close()
    store.full = False
    next_session(store)
    assert ["waits"] == tags(store.path)


def test_a_discarded_row_does_not_come_back(store: Breakable) -> None:
    """It never left this side, also if that was noted on another disk."""
    ledger = Ledger(store, warn=lambda _: None)
    store.full = True
    opened = row("never sent")
    ledger.open(opened)
    store.full = False
    ledger.discard(opened)
    next_session(store)
    assert [] == tags(store.path)


Prepare = Callable[[Path], object]


def _plain_file_as_home(home: Path) -> None:
    (home / "offline").write_text("a file where a folder should be")


def _corrupt(home: Path) -> None:
    (home / "offline").mkdir()
    (home / "offline" / "ledger.sqlite").write_bytes(b"this is no database" * 400)


def _folder_as_ledger(home: Path) -> None:
    (home / "offline" / "ledger.sqlite").mkdir(parents=True)


def _spool_is(make: Callable[[Path], object]) -> Prepare:
    def prepare(home: Path) -> None:
        _corrupt(home)
        make(home / "offline" / "ledger.spool.jsonl")

    return prepare


BROKEN: dict[str, Prepare] = {
    "no folder can be made": _plain_file_as_home,
    "corrupt": _corrupt,
    "a folder as ledger": _folder_as_ledger,
    "a folder as spool too": _spool_is(lambda path: path.mkdir()),
    "a link as spool too": _spool_is(lambda path: path.symlink_to(path.with_name("elsewhere"))),
    "a pipe as spool too": _spool_is(lambda path: os.mkfifo(path)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_answer_is_shown_whatever_is_wrong_with_the_ledger(home: Path, open_session: Connect, name: str) -> None:
    """Bookkeeping never breaks a cell; one warning says where the entries are."""
    home.mkdir()
    BROKEN[name](home)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        session = open_session(offline=True)
        assert ["ok"] * 3 == [session.ask(f"Question {n}", model="offline/plain").status for n in range(3)]
        session.close()
    assert [LedgerWarning] == [each.category for each in told]
    assert "OR_MAGIC_HOME" in str(told[0].message)


STRANGE = {
    "not an entry": '{"op":"open"}',
    "a number": "5",
    "a list": "[]",
    "unknown verb": '{"op":"explode"}',
    "a row without columns": '{"op":"open","row":{"row_id":"a"}}',
    "too large for SQLite": '{"op":"note","row_id":' + "9" * 40 + ',"generation_id":"g"}',
    "not JSON": "{{{",
    "half a line": '{"op":"open","row":{"row_i',
    "no UTF-8": b'{"op":"\xff"}'.decode("latin-1"),
    "zeros, as after a power cut": "\0" * 512,
    "empty": "",
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_line_in_the_spool_breaks_neither_calls_nor_the_other_lines(
    home: Path, open_session: Connect, name: str
) -> None:
    """Another version may have written it, or a disk that died."""
    (home / "offline").mkdir(parents=True)
    good = json.dumps({"op": "open", "row": to_json(row("good", pid=1))})
    waiting = home / "offline" / "ledger.spool.jsonl"
    waiting.write_bytes(STRANGE[name].encode("latin-1") + b"\n" + good.encode() + b"\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LedgerWarning)
        session = open_session(offline=True)
        assert ["ok"] * 2 == [session.ask("Hello", model="offline/plain").status for _ in range(2)]
        session.close()
    assert "good" in tags(home / "offline" / "ledger.sqlite")


@pytest.mark.parametrize("facts", [{"tag": "\udcff"}, {"prompt_tokens": 2**70}, {"provider": "\ud800"}])
def test_a_value_that_sqlite_cannot_hold_breaks_no_call(store: Breakable, facts: dict[str, object]) -> None:
    """And it does not dam up the entries behind it."""
    ledger = Ledger(store, warn=lambda _: None)
    ledger.open(row("strange", **facts))
    life(ledger, "next")
    next_session(store)
    assert "next" in tags(store.path)


def test_a_line_cut_by_a_full_disk_takes_no_other_line_with_it(tmp_path: Path) -> None:
    """What is appended next must not be glued to the half line."""
    keep = Spool(tmp_path / "ledger.sqlite")
    place = Path(keep.append({"op": "first"}))
    with place.open("ab") as file:
        file.write(b'{"op":"half')
    keep.append({"op": "second"})
    assert ["first", "second"] == [entry["op"] for entry in all_of(keep)]


def test_a_disk_that_fills_up_within_a_line_loses_nothing(tmp_path: Path) -> None:
    """The real thing: the kernel cuts a write short in the middle of a line."""
    keep = Spool(tmp_path / "ledger.sqlite")
    entries = [{"op": f"entry {number}", "text": "x" * 1000} for number in range(20)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_500, before[1]))
        for entry in entries[:15]:
            keep.append(entry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for entry in entries[15:]:
        keep.append(entry)
    assert sorted(entry["op"] for entry in entries) == sorted(entry["op"] for entry in all_of(keep))


def test_without_any_disk_entries_wait_in_memory(store: Breakable, monkeypatch: pytest.MonkeyPatch) -> None:
    """And are written when the disk is back, at the latest when the session closes."""
    told: list[str] = []
    ledger = Ledger(store, warn=told.append)
    store.full = True

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_append", no_space)
    life(ledger, "in memory")
    assert "memory" in told[0]
    store.full = False
    ledger.close()
    assert ["in memory"] == tags(store.path)


def test_locked_by_another_process_beyond_patience_spools(store: Breakable) -> None:
    """A backup may hold the file for a minute; nobody waits for it with an answer on the screen."""
    told: list[str] = []
    ledger = Ledger(store, warn=told.append)
    life(ledger, "before")
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        life(ledger, "locked out")
        other.execute("ROLLBACK")
    life(ledger, "after")
    next_session(store)
    assert 1 == len(told)
    assert ["before", "locked out", "after"] == tags(store.path)


def test_many_threads_do_not_queue_for_the_same_lock_one_after_another(store: Breakable) -> None:
    """Patience is for each call, not multiplied by the calls before it; and once it is known, none is needed."""
    ledger = Ledger(store, warn=lambda _: None)
    life(ledger, "before")
    slept: list[float] = []
    store._sleep = lambda pause_s: (slept.append(pause_s), threading.Event().wait(pause_s))[0]
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threads = [threading.Thread(target=life, args=(ledger, f"thread {number}")) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other.execute("ROLLBACK")
    life(ledger, "after")
    next_session(store)
    assert 10 == len(tags(store.path))
    assert sum(slept) < 8 * 3 * 0.2 / 2, "24 writes waited for their whole patience, one after another"


def test_a_spool_of_somebody_else_is_not_believed(store: Breakable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is everybody's: a stranger's lines must not become rows."""
    ledger = Ledger(store, warn=lambda _: None)
    place = ledger._spool.places[1]
    place.parent.mkdir()
    place.write_text(json.dumps({"op": "open", "row": to_json(row("forged"))}) + "\n")
    monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)  # this user is not who made the file
    life(ledger, "mine")
    assert ["mine"] == tags(store.path)


def test_closing_does_not_wait_once_more_for_a_ledger_that_is_locked(store: Breakable) -> None:
    """Whoever closes a notebook has waited for it already."""
    ledger = Ledger(store, warn=lambda _: None)
    life(ledger, "before")
    slept: list[float] = []
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        life(ledger, "locked out")
        store._sleep = slept.append
        ledger.close()
        other.execute("ROLLBACK")
    next_session(store)
    assert [] == slept
    assert ["before", "locked out"] == tags(store.path)
