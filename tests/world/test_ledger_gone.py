"""R5: a ledger that is removed, or moved, while a session writes it."""

from __future__ import annotations

import contextlib
import random
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from or_magic.errors import LedgerError
from or_magic.ledger import LedgerWarning
from or_magic.ledger.sqlite import SqliteStore
from or_magic.offline import Server, serve

from .faults import BETWEEN, WITHIN, Case, Disk, Fault, ask, ask_while_it_breaks, session
from .kit import books, row


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "round" / "home", Disk(), random.Random(1))


@pytest.mark.parametrize("what", ["the file", "all its files", "the folder"])
@pytest.mark.parametrize("when", [BETWEEN, WITHIN])
def test_a_ledger_that_is_deleted_in_use_is_begun_anew(case: Case, server: Server, what: str, when: str) -> None:
    """SQLite would go on writing to a file without a name, and every entry would be gone with the kernel."""
    with warnings.catch_warnings(record=True) as told, session(case, server) as running:
        warnings.simplefilter("always")
        ask(running, "round/a")
        deleted = Fault(lambda _: contextlib.nullcontext(delete(case, what)))
        if when == WITHIN:
            ask_while_it_breaks(running, "round/b", contextlib.ExitStack(), case, deleted)
        else:
            delete(case, what)
            ask(running, "round/b")
        ask(running, "round/c")
        assert [LedgerWarning] == [each.category for each in told]
        assert "removed or moved" in str(told[0].message)
        running.tracker.total()
    assert {"round/b", "round/c"} == {each["tag"] for each in books(case.ledger)}
    assert {("ok", "billed")} == {(each["status"], each["cost_source"]) for each in books(case.ledger)}


def delete(case: Case, what: str) -> None:
    if what == "the folder":
        shutil.rmtree(case.home)
    for path in case.home.glob("ledger.sqlite" if what == "the file" else "ledger.sqlite*"):
        path.unlink()


def test_who_had_the_deleted_file_open_leaves_the_new_one_alone(tmp_path: Path) -> None:
    """Closing a file removes its log by name, and the name is another file's by now."""
    old, new = (SqliteStore(tmp_path / "ledger.sqlite") for _ in range(2))
    old.insert(row("old"))
    for path in tmp_path.glob("ledger.sqlite*"):
        path.unlink()
    new.insert(row("new"))
    log = (tmp_path / "ledger.sqlite-wal").read_bytes()
    with pytest.raises(LedgerError, match="removed or moved"):
        old.insert(row("late"))
    assert log == (tmp_path / "ledger.sqlite-wal").read_bytes()
    old.insert(row("late"))
    for store in (old, new):
        store.close()
    assert ["new", "late"] == [each["tag"] for each in books(tmp_path / "ledger.sqlite")]


def test_a_notebook_that_changes_its_folder_keeps_its_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OR_MAGIC_HOME`` may be relative; the books must not follow ``os.chdir``."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(Path("books") / "ledger.sqlite")
    store.insert(row("before"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.insert(row("after"))
    assert ["before", "after"] == [each.tag for each in store.rows()]
    store.close()
    assert [] == list((tmp_path / "elsewhere").iterdir())
