"""R30: with a umask that hides nothing, everything that is written is its owner's alone, and no link is followed."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from or_magic.api import connect
from or_magic.config_file import write_alias, write_setting
from or_magic.errors import LedgerError
from or_magic.gateway.catalog import Catalog
from or_magic.ledger import Ledger, LedgerWarning
from or_magic.ledger.sqlite import SqliteStore

from .kit import LIMITS, row
from .test_ledger_files import umask

BODY = {"data": [{"id": "acme/one"}]}


@pytest.fixture(autouse=True)
def open_to_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The umask of a careless system, and a temporary folder of this test's own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with umask(0o000):
        yield


def modes(folder: Path) -> dict[str, str]:
    """The mode of a folder and of all below it."""
    return {
        path.relative_to(folder.parent).as_posix(): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in [folder, *folder.rglob("*")]
    }


def private(folder: Path) -> bool:
    """Whether nobody else can enter a folder below, or read or write a file."""
    return all(
        stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600)
        for path in [folder, *folder.rglob("*")]
    )


def refresh(path: Path) -> None:
    Catalog(path, lambda: BODY, lambda: datetime(2026, 11, 21, tzinfo=UTC)).refresh(force=True)


def test_a_whole_home_is_private(tmp_path: Path) -> None:
    """Both ledgers with their logs, config and catalogue, in folders that did not exist, parents included."""
    home = tmp_path / "data" / "or_magic"
    with connect(offline=True, home=home, timeouts=LIMITS) as session:
        session.ask("Hello", model="offline/plain")
        assert {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"} <= {
            path.name for path in (home / "offline").iterdir()
        }
        write_setting(home, "model", "acme/one")
        write_alias(home, "fast", "acme/two")
        refresh(home / "models-openrouter.json")
        with connect(base_url="http://127.0.0.1:9/v1", home=home, timeouts=LIMITS) as other:
            other.engine.ledger.open(row("one"))
            assert private(tmp_path / "data"), modes(tmp_path / "data")
    assert {"config.toml", "models-openrouter.json", "ledger.sqlite"} <= {path.name for path in home.iterdir()}
    assert private(tmp_path / "data"), modes(tmp_path / "data")


@pytest.mark.parametrize("first", ["catalogue", "config", "ledger"])
def test_whatever_is_written_first_makes_the_home_private(tmp_path: Path, first: str) -> None:
    """The folder that the first file makes is the folder of all the others."""
    home = tmp_path / "data" / "or_magic"
    store = SqliteStore(home / "ledger.sqlite")
    writes = {
        "catalogue": lambda: refresh(home / "offline" / "models.json"),
        "config": lambda: write_setting(home, "model", "acme/one"),
        "ledger": lambda: store.insert(row("one")),
    }
    writes[first]()
    store.close()
    assert private(tmp_path / "data"), modes(tmp_path / "data")


def test_every_place_of_a_spool_is_private(tmp_path: Path) -> None:
    """Beside the ledger, in the temporary folder, and what is set aside as not understood."""
    books = tmp_path / "data" / "books"
    store = SqliteStore(books / "ledger.sqlite", patience_s=0.1)
    store.insert(row("first"))
    store.close()
    (books / "ledger.sqlite").write_bytes(b"no database any more" * 100)
    ledger = Ledger(store, clock=iter(range(0, 1000, 10)).__next__)
    with pytest.warns(LedgerWarning):
        ledger.open(row("waits"))
    assert (books / "ledger.spool.jsonl").exists()
    (books / "ledger.spool.jsonl").unlink()
    (books / "ledger.spool.jsonl").mkdir(mode=0o700)
    ledger.open(row("waits elsewhere"))
    (elsewhere,) = (tmp_path / "tmp").iterdir()
    assert 1 == len(list(elsewhere.iterdir()))
    assert private(elsewhere), modes(elsewhere)
    assert private(tmp_path / "data"), modes(tmp_path / "data")


def test_what_a_spool_sets_aside_is_private(tmp_path: Path) -> None:
    """A line that is not understood is kept for a person to look at: for one."""
    store = SqliteStore(tmp_path / "data" / "ledger.sqlite")
    store.insert(row("one"))
    spool = store.path.with_suffix(".spool.jsonl")
    spool.touch(mode=0o600)
    spool.write_text('{"op": "settle", "row": {}}\n')
    ledger = Ledger(store)
    ledger.version()
    ledger.close()
    assert (tmp_path / "data" / "ledger.spool.bad").exists()
    assert private(tmp_path / "data"), modes(tmp_path / "data")


def test_no_link_leads_a_file_of_ours_astray(tmp_path: Path) -> None:
    """Ledger, its spool, and the catalogue: a link in their place is refused or replaced, its target untouched."""
    home = tmp_path / "data"
    home.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.write_text("somebody else's")
    for name in ("ledger.sqlite", "ledger.spool.jsonl", "models.json"):
        (home / name).symlink_to(target)
    store = SqliteStore(home / "ledger.sqlite")
    with pytest.raises(LedgerError, match="not a plain file"):
        store.insert(row("one"))
    with pytest.warns(LedgerWarning):
        Ledger(store).open(row("two"))
    refresh(home / "models.json")
    assert "somebody else's" == target.read_text()
    assert not (home / "models.json").is_symlink()
    assert (home / "ledger.spool.jsonl").is_symlink()


def test_a_catalogue_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is only a copy: asked again next time."""
    (tmp_path / "models.json").mkdir()
    refresh(tmp_path / "models.json")
    assert ["models.json", "tmp"] == sorted(path.name for path in tmp_path.iterdir())
