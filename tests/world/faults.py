"""Faults of a ledger's disk, and sessions that meet them; used by ``test_disk_faults.py`` and ``test_ledger_gone.py``."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from or_magic.api import Session, connect
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.offline import Server

from ..guards import HANG_S
from .disk import Disk
from .kit import LIMITS

Broken = Callable[["Case"], contextlib.AbstractContextManager[None]]
DAC = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
START, BETWEEN, WITHIN = "at its start", "between two calls", "within a call"


@dataclass
class Case:
    """One round: a home whose ledger is about to fail, and the chance of this round."""

    home: Path
    disk: Disk
    chance: random.Random
    slept_s: float = 0.0

    @property
    def ledger(self) -> Path:
        return self.home / "ledger.sqlite"

    def sleep(self, pause_s: float) -> None:
        """Let time pass; nobody waits for it."""
        self.slept_s += pause_s


def _code(kind: type[apsw.Error], code: int) -> apsw.Error:
    error = kind("the test's own fault")
    error.extendedresult = code
    return error


def failing(error: apsw.Error, *whats: str) -> Broken:
    """Return a fault of the disk: some requests still succeed, then these fail."""

    @contextlib.contextmanager
    def broken(case: Case) -> Iterator[None]:
        left = itertools.count(case.chance.randrange(4), -1)

        def fail(what: str, name: str) -> None:
            if what in whats and next(left) <= 0:
                raise error

        case.disk.fail = fail
        yield
        case.disk.fail = lambda *_: None

    return broken


@contextlib.contextmanager
def read_only(case: Case) -> Iterator[None]:
    """Nothing in the folder can be changed, by root neither."""
    paths = [*case.home.iterdir(), case.home]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    with without_power_over_files():
        yield
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode)


@contextlib.contextmanager
def without_power_over_files() -> Iterator[None]:
    """Take from this thread, and those it starts, what lets root write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, sets = (
        ctypes.CDLL(None, use_errno=True),
        (ctypes.c_uint32 * 2)(0x20080522, 0),
        (ctypes.c_uint32 * 6)(),
    )
    assert libc.capget(header, sets) == 0
    before = sets[0]
    sets[0] = before & ~DAC
    assert libc.capset(header, sets) == 0
    yield
    sets[0] = before
    assert libc.capset(header, sets) == 0


@contextlib.contextmanager
def corrupt(case: Case) -> Iterator[None]:
    """Junk where pages were; a copy from before is put back."""
    backup = case.ledger.with_suffix(".backup")
    shutil.copy(case.ledger, backup)
    content = bytearray(case.ledger.read_bytes())
    begin = case.chance.choice([0, 4096])
    content[begin : begin + 4096] = case.chance.randbytes(4096)
    case.ledger.write_bytes(content)
    yield
    for path in case.home.glob("ledger.sqlite*"):
        path.unlink()
    backup.rename(case.ledger)


@contextlib.contextmanager
def locked(case: Case) -> Iterator[None]:
    """Another process holds the lock for longer than anybody waits."""
    with contextlib.closing(sqlite3.connect(case.ledger, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    assert 60 <= case.slept_s < 60 * 5, "one write waits, and who reads; not every write"


@contextlib.contextmanager
def folder_as_ledger(case: Case) -> Iterator[None]:
    """A folder is where the file should be."""
    kept = case.ledger.rename(case.home / "kept")
    case.ledger.mkdir()
    yield
    case.ledger.rmdir()
    kept.rename(case.ledger)


@contextlib.contextmanager
def file_as_home(case: Case) -> Iterator[None]:
    """The folder is missing, and cannot be made."""
    kept = case.home.rename(case.home.with_name("kept"))
    case.home.write_text("a file where a folder should be")
    yield
    case.home.unlink()
    kept.rename(case.home)


@contextlib.contextmanager
def replaced(case: Case) -> Iterator[None]:
    """Another program has moved the file away, and put something else there."""
    kept = case.home / "kept"
    kept.mkdir()
    for path in case.home.glob("ledger.sqlite*"):
        path.rename(kept / path.name)
    case.ledger.write_bytes(b"no database" * 1000)
    yield
    for path in case.home.glob("ledger.sqlite*"):
        path.unlink()
    for path in kept.iterdir():
        path.rename(case.home / path.name)


@dataclass(frozen=True)
class Fault:
    """A fault, when it can strike a session, whether the disk is a network's, and whether it is one that obeys us."""

    broken: Broken
    whens: tuple[str, ...] = (START,)
    network: bool = False
    ours: bool = False  # two copies of SQLite in one process do not see each other's locks: only where it is needed


ANY = (START, BETWEEN, WITHIN)
FULL = _code(apsw.FullError, apsw.SQLITE_FULL)
FAULTS = {
    "full": Fault(failing(FULL, "write"), ANY, ours=True),
    "full, network disk": Fault(failing(FULL, "write"), ANY, network=True, ours=True),
    "cannot write": Fault(failing(_code(apsw.IOError, apsw.SQLITE_IOERR_WRITE), "write", "truncate"), ANY, ours=True),
    "cannot sync": Fault(failing(_code(apsw.IOError, apsw.SQLITE_IOERR_FSYNC), "sync"), ANY, ours=True),
    "cannot read": Fault(failing(_code(apsw.IOError, apsw.SQLITE_IOERR_READ), "read"), ours=True),
    "read-only": Fault(read_only),
    "corrupt": Fault(corrupt),
    "locked for 60 s": Fault(locked, ANY),
    "NFS cannot lock": Fault(
        failing(_code(apsw.IOError, apsw.SQLITE_IOERR_LOCK), "lock"), ANY, network=True, ours=True
    ),
    "a folder as ledger": Fault(folder_as_ledger),
    "no folder can be made": Fault(file_as_home),
    "replaced": Fault(replaced, ANY),
}


@contextlib.contextmanager
def session(case: Case, server: Server, **settings: Any) -> Iterator[Session]:
    """A session on the home of the round; its ledger waits in no real time."""
    store = SqliteStore(case.ledger, clock=lambda: case.slept_s, sleep=case.sleep)
    ledger = Ledger(store)
    with connect(base_url=server.url, home=case.home, timeouts=LIMITS, ledger=ledger, **settings) as running:
        yield running
        assert running.engine.reconciler.wait(HANG_S)


def ask(running: Session, name: str, **options: Any) -> None:
    reply = running.ask(f"{name}: say something.", model="openai/gpt-4o-mini", tag=name, **options)
    assert "ok" == reply.status
    assert reply.text


def ask_while_it_breaks(
    running: Session, name: str, until_fixed: contextlib.ExitStack, case: Case, fault: Fault
) -> None:
    with running.stream(f"{name}: say something.", model="openai/gpt-4o-mini", tag=name) as stream:
        for number, _ in enumerate(stream):
            if number == 2:
                until_fixed.enter_context(fault.broken(case))
    assert "ok" == stream.reply.status
