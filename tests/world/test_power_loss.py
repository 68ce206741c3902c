"""R4: a power cut loses nothing that was acknowledged, wherever it strikes and whatever had not been synced."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from sqlite3 import DatabaseError

import pytest

from or_magic.errors import LedgerError
from or_magic.ledger import Ledger, sqlite
from or_magic.ledger.spool import Spool
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

from .disk import Disk, Keep, Over, Platter, Step
from .kit import integrity, row, wrong_sums

HOW = ("none", "all", "some", "torn")
LOST, BROKEN = "lost", "broken"
HELD = Decimal("0.000123456789")


@dataclass
class Told:
    """What the ledger acknowledged, and when: after how many steps of the disk."""

    disk: Disk
    wrote: dict[str, list[Row]] = field(default_factory=dict)
    acknowledged: list[tuple[int, str, Row | None]] = field(default_factory=list)

    def about(self, known: Row, *, gone: bool = False) -> None:
        """Note that the ledger has just returned."""
        self.acknowledged.append((len(self.disk.steps), known.row_id, None if gone else known))

    def until(self, cut: int) -> dict[str, Row | None]:
        """Return the last acknowledged state of each row before ``cut``; None: it was discarded."""
        return {name: known for at, name, known in self.acknowledged if at <= cut}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk that also sees the folders that are synced by Python."""
    disk, fsync = Disk(), os.fsync

    def seen(descriptor: int) -> None:
        fsync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            disk.sync_folder()

    monkeypatch.setattr(os, "fsync", seen)
    yield disk
    disk.unregister()


def write(disk: Disk, path: Path, calls: int, seed: int) -> Told:
    """Write the lives of ``calls`` rows by two writers of one file, as two kernels would."""
    chance, told = random.Random(seed), Told(disk)
    ledgers = [Ledger(SqliteStore(path), warn=_no_warning) for _ in range(2)]
    running: list[Row] = []
    for number in range(calls):
        ledger = chance.choice(ledgers)
        opened = row(f"call {number:04}", session="s" * chance.randint(1, 300), pid=1, held_usd=HELD, bound_usd=HELD)
        told.wrote[opened.row_id] = [opened]
        ledger.open(opened)
        told.about(opened)
        running.append(opened)
        while len(running) > chance.randint(0, 3):
            _end(chance, chance.choice(ledgers), running.pop(chance.randrange(len(running))), told)
        if chance.random() < 0.1:
            list(ledger.batches(["row_id"], "1", ()))
    for ledger in ledgers:
        ledger.close()
    return told


def _no_warning(text: str) -> None:
    raise AssertionError(text)


def _end(chance: random.Random, ledger: Ledger, opened: Row, told: Told) -> None:
    fate = chance.random()
    if fate < 0.1:
        ledger.discard(opened)
        told.about(opened, gone=True)
        return
    noted = replace(opened, generation_id=f"gen-{opened.row_id}")
    told.wrote[opened.row_id].append(noted)
    ledger.note_generation(opened, str(noted.generation_id))
    settled = replace(noted, status="ok", cost_source="billed", cost_usd=Decimal(chance.randrange(10**9)).scaleb(-12))
    if fate < 0.3:  # known only later
        guess = replace(noted, status="interrupted", cost_source="estimated", cost_usd=Decimal("0.5"))
        told.wrote[opened.row_id].append(guess)
        ledger.settle(guess)
        told.about(guess)
        settled = replace(guess, cost_source="reconciled", cost_usd=settled.cost_usd)
    told.wrote[opened.row_id].append(settled)
    ledger.settle(settled)
    told.about(settled)


def after_power_cuts(
    disk: Disk, cuts: Sequence[int], hows: Sequence[str], folder: Path
) -> Iterator[tuple[int, str, Path]]:
    """Yield (cut, how, path of the ledger) for each image of the disk."""
    platter, done = Platter(), 0
    for cut in sorted(cuts):
        for step in disk.steps[done:cut]:
            platter.take(step)
        done = cut
        for how in hows:
            place = folder / f"{cut}-{how}"
            place.mkdir(parents=True)
            keep = Keep(how.split()[0], random.Random(f"{len(disk.steps)} {cut} {how}"))
            for name, content in platter.image(keep).items():
                (place / name).write_bytes(content)
            yield cut, how, place / "ledger.sqlite"
            shutil.rmtree(place)


def wrong_with(path: Path, told: Told, cut: int) -> list[str]:
    """Return what is wrong with the ledger after a power cut."""
    expected = told.until(cut)
    wanted = {name for name, known in expected.items() if known is not None}
    if not path.exists():
        return [LOST] * len(wanted)
    try:
        store = SqliteStore(path)
        found = {each.row_id: each for each in store.rows()}
        store.close()
        wrong = [] if integrity(path) == "ok" else [BROKEN]
        wrong += wrong_sums(path)
    except (LedgerError, DatabaseError):
        return [BROKEN]
    wrong += [f"invented {name}" for name, each in found.items() if each not in told.wrote[name]]
    for name, known in expected.items():
        each = found.get(name)
        states = told.wrote[name]
        if known is None:
            wrong += [f"{LOST} discard of {name}"] if each is not None else []
        elif each is None:
            # It may be gone because it was discarded, and that was not acknowledged yet.
            wrong += [] if states == [known] and _discarded_later(told, name) else [f"{LOST} {name}"]
        elif each in states and states.index(each) < states.index(known):
            wrong.append(f"{LOST} {name}: {each.status}/{each.cost_source}, not {known.status}/{known.cost_source}")
    return wrong


def _discarded_later(told: Told, name: str) -> bool:
    return any(known is None and about == name for _, about, known in told.acknowledged)


Rewrite = Callable[[str], str]
Moments = Callable[[list[Step]], Sequence[int]]


def any_of(count: int) -> Moments:
    """Choose ``count`` moments."""
    return lambda steps: random.Random(count).sample(range(len(steps) + 1), count)


def before_a_journal_is_synced(steps: list[Step]) -> list[int]:
    """Choose all moments at which a rollback journal is half on its way."""
    return [at for at, step in enumerate(steps) if step.what == "sync" and step.name.endswith("-journal")]


def lost_by(
    disk: Disk, folder: Path, *, mode: str, calls: int, moments: Moments, hows: Sequence[str] = HOW,
    rewrite: Rewrite = lambda sql: sql,
) -> dict[str, list[str]]:  # fmt: skip
    """Write through the disk, cut its power at ``moments``, and return what was wrong at which."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite, "sqlite3", Over(disk, rewrite))
        patched.setattr(sqlite, "on_network", lambda _: mode == "DELETE")
        told = write(disk, folder / "running" / "ledger.sqlite", calls, seed=calls)
    wrong = {}
    for cut, how, path in after_power_cuts(disk, moments(disk.steps), hows, folder):
        if found := wrong_with(path, told, cut):
            wrong[f"{cut} {how}"] = found
    return wrong


def kinds(wrong: dict[str, list[str]]) -> set[str]:
    """Return what kinds of things were wrong."""
    return {each.split()[0] for found in wrong.values() for each in found}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, disk: Disk, mode: str) -> None:
    """On a local disk and on a network disk; with all, none, some or torn sectors of what had not been synced."""
    assert {} == lost_by(disk, tmp_path, mode=mode, calls=60, moments=any_of(60))


@pytest.mark.long
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_five_hundred_power_cuts_lose_nothing_acknowledged(tmp_path: Path, disk: Disk, mode: str) -> None:
    """The full N, four disks for each cut; several checkpoints of the log are among the moments."""
    assert {} == lost_by(disk, tmp_path, mode=mode, calls=300, moments=any_of(500))


def _less(level: str) -> Rewrite:
    return lambda sql: sql.replace("synchronous = EXTRA", f"synchronous = {level}")


@pytest.mark.parametrize(("mode", "level"), [("WAL", "NORMAL"), ("DELETE", "FULL")])
def test_a_power_cut_loses_acknowledged_rows_where_less_is_synced(
    tmp_path: Path, disk: Disk, mode: str, level: str
) -> None:
    """The disk of these tests can lose: what SQLite does not sync is gone, and the file is whole all the same."""
    wrong = lost_by(disk, tmp_path, mode=mode, calls=60, moments=any_of(60), rewrite=_less(level))
    assert {LOST} == kinds(wrong)
    assert len(wrong) >= 20


TEARS = ("torn 1", "torn 2", "torn 3")


def torn_journals(disk: Disk, folder: Path, level: str, calls: int) -> dict[str, list[str]]:
    return lost_by(
        disk, folder, mode="DELETE", calls=calls, moments=before_a_journal_is_synced, hows=TEARS, rewrite=_less(level)
    )


def test_a_torn_rollback_journal_never_breaks_the_file(tmp_path: Path, disk: Disk) -> None:
    """Its pages are weakly checked: they must be on disk before its header counts them."""
    assert {} == torn_journals(disk, tmp_path, "EXTRA", calls=15)


@pytest.mark.long
def test_two_thousand_torn_rollback_journals_never_break_the_file(tmp_path: Path, disk: Disk) -> None:
    """As many as break it several times over with less."""
    assert {} == torn_journals(disk, tmp_path, "EXTRA", calls=120)


def test_a_torn_rollback_journal_breaks_the_file_where_less_is_synced(tmp_path: Path, disk: Disk) -> None:
    """Why nothing at all is written with ``synchronous=NORMAL`` where there is no WAL."""
    assert BROKEN in kinds(torn_journals(disk, tmp_path, "NORMAL", calls=60))


@pytest.mark.parametrize(("mode", "expected"), [("WAL", {"EXTRA", "NORMAL"}), ("DELETE", {"EXTRA"})])
def test_only_a_log_may_be_written_with_less(tmp_path: Path, disk: Disk, mode: str, expected: set[str]) -> None:
    """A generation id may be lost to a power cut; without a log, the whole file could be."""
    levels = set()

    def seen(sql: str) -> str:
        if "synchronous" in sql:
            levels.add(sql.rsplit(maxsplit=1)[-1])
        return sql

    assert {} == lost_by(disk, tmp_path, mode=mode, calls=3, moments=any_of(3), rewrite=seen)
    assert expected == levels


def test_folders_are_synced_so_that_new_files_keep_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose bytes are on the disk is lost with a folder that does not know it yet."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    home = tmp_path / "new" / "home"
    keep = Spool(home / "ledger.sqlite")
    place = keep.append({"op": "first"})
    assert [str(each) for each in (tmp_path, home.parent, home, place)] == synced
    keep.append({"op": "second"})
    assert [place] * 2 == synced[3:], "the names are safe already"
