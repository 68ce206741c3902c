"""The ledger's file: who may read it, what it does on odd disks, how its table changes and what settles for good."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest

from or_magic.api import Session, connect
from or_magic.errors import LedgerError
from or_magic.ledger import Ledger, LedgerWarning, files, migrations, sqlite
from or_magic.ledger.record import COLUMNS, from_json, from_record, to_json, to_record
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

from .kit import LIMITS, books, row

# The text of every shipped step. A new step adds a line; a line never changes.
SHIPPED = (
    "22933d220f6d1576d00c9d1a63ec5d628965e48d3b496cf3aa5b4a9240175bd2",
    "f0c554797021c35005032bef7a1c6270c46ebd7fda12aba710d5924b7a1045c8",
)


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def journal(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("offline_first", [True, False])
def test_only_the_owner_reads_the_ledger(tmp_path: Path, mask: int, *, offline_first: bool) -> None:
    """Whatever the umask, and whichever ledger of a home is made first (R30)."""
    home = tmp_path / "share" / "or_magic"
    with umask(mask):
        for offline in (True, False) if offline_first else (False, True):
            target = {"offline": True} if offline else {"base_url": "http://127.0.0.1:9/v1"}
            with connect(home=home, timeouts=LIMITS, **target) as session:
                session.engine.ledger.open(row("first"))
                ledger = session.engine.ledger.path
                assert {0o600} == {mode(path) for path in ledger.parent.glob("ledger*")}
                assert 0o700 == mode(ledger.parent)
    assert (0o700, 0o700) == (mode(home), mode(home / "offline"))


def test_the_spool_is_private_too(tmp_path: Path) -> None:
    """It holds the same rows."""
    with umask(0o000):
        store = SqliteStore(tmp_path / "books" / "ledger.sqlite")
        (tmp_path / "books").mkdir(mode=0o700)
        store.path.write_bytes(b"not a database" * 100)
        with pytest.warns(LedgerWarning):
            Ledger(store).open(row("waits"))
    assert 0o600 == mode(store.path.with_suffix(".spool.jsonl"))


def test_a_link_in_place_of_the_ledger_is_refused(tmp_path: Path) -> None:
    """It could lead the books into another file, or another file into the books."""
    target = tmp_path / "target.sqlite"
    (tmp_path / "ledger.sqlite").symlink_to(target)
    with pytest.raises(LedgerError, match="not a plain file"):
        SqliteStore(tmp_path / "ledger.sqlite").insert(row("never"))
    assert not target.exists()


def test_a_call_is_answered_though_the_ledger_is_a_link(home: Path) -> None:
    """Bookkeeping never breaks a cell."""
    (home / "offline").mkdir(parents=True)
    (home / "offline" / "ledger.sqlite").symlink_to(home / "elsewhere")
    with pytest.warns(LedgerWarning, match="not a plain file"), connect(offline=True, timeouts=LIMITS) as session:
        assert "ok" == session.ask("Hello", model="offline/plain").status


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("ext4", "wal"), ("nfs4", "delete"), ("cifs", "delete"), ("fuse.sshfs", "delete"), ("9p", "delete")],
)
def test_network_disks_get_the_rollback_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, expected: str
) -> None:
    """WAL needs memory that machines do not share."""
    folder = tmp_path / "my home"
    folder.mkdir()
    mounts = tmp_path / "mounts"
    point = str(folder).replace(" ", "\\040")
    mounts.write_text(f"rootfs / ext4 rw 0 0\nserver:/x {point} {kind} rw 0 0\nshort line\n")
    monkeypatch.setattr(sqlite, "on_network", lambda found: files.on_network(found, mounts))
    store = SqliteStore(folder / "ledger.sqlite")
    store.insert(row("one"))
    store.close()
    assert expected == journal(store.path)
    assert ["one"] == [found["tag"] for found in books(store.path)]


def test_a_ledger_that_moves_to_a_network_disk_leaves_wal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode is in the file, so copying it would carry WAL along."""
    store = SqliteStore(tmp_path / "ledger.sqlite")
    store.insert(row("local"))
    store.close()
    monkeypatch.setattr(sqlite, "on_network", lambda _: True)
    store.insert(row("remote"))
    store.close()
    assert "delete" == journal(store.path)
    assert ["local", "remote"] == [found["tag"] for found in books(store.path)]


def test_without_shared_memory_the_rollback_journal_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some disks that are not known as network disks cannot do WAL either."""
    real = sqlite3.connect

    class NoSharedMemory(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql == "PRAGMA journal_mode = WAL":
                error = sqlite3.OperationalError("unable to open shared memory")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR  # type: ignore[misc]
                raise error
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite.sqlite3, "connect", lambda *given, **more: real(*given, factory=NoSharedMemory, **more))
    store = SqliteStore(tmp_path / "ledger.sqlite")
    store.insert(row("one"))
    store.close()
    monkeypatch.undo()
    assert "delete" == journal(store.path)


def test_a_shipped_migration_is_never_edited() -> None:
    """Ledgers out there were made by these very words."""
    digests = tuple(hashlib.sha256(repr(step).encode()).hexdigest() for step in migrations.STEPS)
    assert SHIPPED == digests[: len(SHIPPED)]
    assert len(SHIPPED) == len(digests), "a new step: append its digest to SHIPPED"


def test_every_field_of_a_row_is_a_column(tmp_path: Path) -> None:
    """A field without a column would be lost without a word."""
    store = SqliteStore(tmp_path / "ledger.sqlite")
    store.insert(row("one"))
    (found,) = books(store.path)
    store.close()
    assert {"id", *COLUMNS} == set(found)
    assert len(fields(Row)) + 1 == len(COLUMNS)


def test_a_row_comes_back_as_it_went(tmp_path: Path) -> None:
    """Through the table and through the spool, to the last digit."""
    full = row(
        "full", user="u", notebook="n.ipynb", cell_id="c", chat="chat", parent_call_id="p", attempt=3, model="m",
        provider="P", status="ok", finish_reason="stop", error="e", prompt_tokens=1, completion_tokens=2,
        reasoning_tokens=0, cached_tokens=0, cache_write_tokens=0, total_tokens=3, cost_usd=Decimal("0.00000465"),
        cost_source="billed", upstream_usd=Decimal("0.000004"), saved_usd=Decimal("0.1"), first_token_s=0.25,
        latency_s=1.5, generation_id="gen-1", bound_usd=Decimal("0.5"),
    )  # fmt: skip
    store = SqliteStore(tmp_path / "ledger.sqlite")
    store.settle([full])
    assert [full] == store.rows()
    assert full == from_record(to_record(full)) == from_json(to_json(full))
    store.close()


def test_a_ledger_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    """This version does not know what its rows mean; the answer is shown all the same."""
    path = tmp_path / "home" / "offline" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE calls (future TEXT)")
        connection.execute(f"PRAGMA user_version = {len(migrations.STEPS) + 1}")
    before = path.read_bytes()
    with pytest.warns(LedgerWarning, match="newer or_magic"), connect(offline=True, home=tmp_path / "home") as session:
        assert "ok" == session.ask("Hello", model="offline/plain").status
        with pytest.raises(LedgerError, match="Upgrade or_magic"):
            session.reconcile()
    assert before == path.read_bytes()


def test_an_old_ledger_is_brought_up_to_date(tmp_path: Path) -> None:
    """Each step runs once, on what the step before it made."""
    for seen in range(len(migrations.STEPS) + 1):
        path = tmp_path / f"{seen}.sqlite"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for step in migrations.STEPS[:seen]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {seen}")
        store = SqliteStore(path)
        store.insert(row("one"))
        store.close()
        assert 1 == len(books(path))


def settled(tmp_path: Path, *rows: Row) -> dict[str, object]:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    for each in rows:
        store.settle([each])
    store.close()
    (found,) = books(store.path)
    return found


@pytest.mark.parametrize("source", ["billed", "reconciled", "none"])
def test_what_is_settled_stays(tmp_path: Path, source: str) -> None:
    """A late writer with less knowledge must not undo what is known."""
    known = row("one", status="ok", cost_source=source, cost_usd=Decimal("0.5"))
    found = settled(tmp_path, known, replace(known, status="unknown", cost_source="unknown", cost_usd=None))
    assert (source, 5 * 10**11) == (found["cost_source"], found["cost_pico"])


@pytest.mark.parametrize("source", ["unknown", "estimated"])
def test_what_is_not_known_yet_can_be_learnt(tmp_path: Path, source: str) -> None:
    """That is what reconciling is."""
    open_row = row("one", status="interrupted", cost_source=source)
    found = settled(tmp_path, open_row, replace(open_row, cost_source="reconciled", cost_usd=Decimal("0.25")))
    assert ("reconciled", 25 * 10**10) == (found["cost_source"], found["cost_pico"])


def test_an_open_row_written_again_changes_nothing(tmp_path: Path) -> None:
    """A spool that is drained twice must not open again what was settled."""
    store = SqliteStore(tmp_path / "ledger.sqlite")
    opened = row("one")
    store.insert(opened)
    store.settle([replace(opened, status="ok", cost_source="billed", cost_usd=Decimal(1))])
    store.insert(opened)
    store.note_generation("one", "gen-late")
    store.discard("one")
    store.close()
    (found,) = books(store.path)
    assert ("ok", "billed", None) == (found["status"], found["cost_source"], found["generation_id"])


def test_the_ledger_holds_no_words_of_prompts_or_answers(offline: Session) -> None:
    """DESIGN: text is not in the ledger; an error's label names its class only."""
    for model in ("offline/echo", "offline/error-403", "offline/cut", "offline/html"):
        with contextlib.suppress(Exception):
            offline.ask("Zanzibar pineapple", model=model, system="Quixotic system")
    offline.engine.ledger.close()
    told = b"".join([path.read_bytes() for path in offline.engine.ledger.path.parent.glob("ledger*")])
    assert [] == [word for word in (b"Zanzibar", b"pineapple", b"Quixotic") if word in told]
