"""A spool that several threads or processes use at once, or a user without a name."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from or_magic.ledger import Ledger, spool
from or_magic.ledger.spool import Spool

from .fixtures import Connect
from .kit import ROOT, books, row
from .test_spool import Breakable, life, tags


def all_of(keep: Spool) -> list[dict[str, str]]:
    """Drain the spool and return its entries."""
    found: list[dict[str, str]] = []
    keep.drain(lambda entries: (found.extend(entries), [])[1])
    return found


_SPOOLER = """
import sys, warnings
from pathlib import Path
from tests.world.kit import row
from or_magic.ledger.record import to_json
from or_magic.ledger.spool import Spool
keep, out = Spool(Path(sys.argv[1])), []
for number in range(int(sys.argv[3])):
    keep.append({"op": "note", "name": f"{sys.argv[2]} {number}"})
    if number % 7 == 0:
        keep.drain(lambda entries: (out.extend(entries), [])[1])
keep.drain(lambda entries: (out.extend(entries), [])[1])
print("\\n".join(entry["name"] for entry in out))
"""


def test_processes_that_spool_and_drain_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each entry reaches a writer; a lock on a file that was just removed guards nothing."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _SPOOLER, str(tmp_path / "ledger.sqlite"), f"p{number}", "150"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        for number in range(4)
    ]
    told = [process.communicate() for process in running]
    assert [""] * 4 == [error for _, error in told]
    found = [name for out, _ in told for name in out.split("\n") if name]
    found += [entry["name"] for entry in all_of(Spool(tmp_path / "ledger.sqlite"))]
    assert sorted(f"p{process} {number}" for process in range(4) for number in range(150)) == sorted(found)


def test_a_spool_that_another_process_has_just_drained_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and opening the file may go."""
    keep = Spool(tmp_path / "ledger.sqlite")
    keep.append({"op": "one"})

    def vanish(path: Path, *more: object) -> object:
        Path(path).unlink(missing_ok=True)
        return open(path, *more)

    monkeypatch.setattr(spool, "open", vanish, raising=False)
    assert [] == all_of(keep)


def test_a_user_without_a_name_has_a_spool(home: Path, open_session: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run under numbers that no passwd file knows."""
    import pwd

    def unknown(_: int) -> object:
        raise KeyError("getpwuid(): uid not found: 12345")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert "ok" == open_session(offline=True).ask("Hello", model="offline/plain").status
    assert [None] == [found["user"] for found in books(home / "offline" / "ledger.sqlite")]


@pytest.fixture
def breakable(tmp_path: Path) -> Breakable:
    return Breakable(tmp_path / "ledger.sqlite")


def test_what_waits_after_a_repair_is_seen_by_the_next_reader(breakable: Breakable) -> None:
    """The disk is well again and was read, while calls still spare it: their entries must not wait unseen."""
    now_s = 0.0
    ledger = Ledger(breakable, warn=lambda _: None, clock=lambda: now_s)
    breakable.full = True
    life(ledger, "during")
    breakable.full = False
    assert 1 == sum(len(batch) for batch in ledger.batches(["tag"], "1", ()))
    life(ledger, "just after")
    assert [("during",), ("just after",)] == [each for batch in ledger.batches(["tag"], "1", ()) for each in batch]
    ledger.close()


def test_an_entry_that_waits_while_another_thread_drains_is_not_forgotten(
    breakable: Breakable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has just emptied the spool must not think that it stays empty."""
    ledger = Ledger(breakable, warn=lambda _: None)
    breakable.full = True
    life(ledger, "first")
    breakable.full = False
    drain = Spool.drain

    def drain_and_meanwhile(self: Spool, write: Callable[..., Sequence[object]]) -> None:
        drain(self, write)
        life(ledger, "meanwhile")  # still sparing the disk

    monkeypatch.setattr(Spool, "drain", drain_and_meanwhile)
    ledger.version()
    monkeypatch.undo()
    ledger.version()
    assert ["first", "meanwhile"] == tags(breakable.path)
    ledger.close()


@pytest.mark.parametrize("first", ["the temporary folder", "memory"])
def test_entries_stay_in_their_order_when_another_place_takes_them_again(
    breakable: Breakable, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A row that is discarded in one place and opened in another would be open, and hold money, for ever."""
    ledger, append = Ledger(breakable, warn=lambda _: None), spool._append
    refusing = set(ledger._spool.places if first == "memory" else ledger._spool.places[:1])

    def sometimes(place: Path, lines: bytes) -> None:
        if place in refusing:
            raise OSError(28, "No space left on device")
        append(place, lines)

    monkeypatch.setattr(spool, "_append", sometimes)
    breakable.full = True
    never_sent = row("never sent")
    ledger.open(never_sent)
    refusing.clear()
    ledger.discard(never_sent)
    breakable.full = False
    breakable.close()
    Ledger(breakable).pending("offline")
    breakable.close()
    assert [] == books(breakable.path)


def test_a_child_that_is_forked_over_the_spool_does_not_keep_it_locked(tmp_path: Path) -> None:
    """A child has a copy of the open file, and with it of its lock."""
    keep = Spool(tmp_path / "ledger.sqlite")
    keep.append({"op": "one"})
    gate, start = os.pipe()
    with spool._locked(keep.places[0], "rb") as file:
        assert file is not None
        if (child := os.fork()) == 0:
            os.read(gate, 1)
            os._exit(0)
    try:
        with keep.places[0].open("rb") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is still locked
    finally:
        os.write(start, b"x")
        os.waitpid(child, 0)
        for end in (gate, start):
            os.close(end)
