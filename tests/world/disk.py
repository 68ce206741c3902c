"""A disk that can lose its power or fail: SQLite writes through it, and it knows what had really reached the platter.

SQLite's own ``sqlite3`` module takes no file system of ours, so the ledger's code is given ``Over``: the few names of
``sqlite3`` that it uses, spoken by APSW, whose SQLite asks this disk for every byte.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
_numbers = itertools.count()
_WRONG_FILE = (apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB)


@dataclass(frozen=True)
class Step:
    """One thing asked of the disk: write, truncate, sync, create, delete, or sync folder."""

    what: str
    name: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""


@dataclass
class Platter:
    """What would be found after a power cut, and what is still on its way."""

    files: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    unsynced: dict[int, list[Step]] = field(default_factory=dict)
    unsynced_names: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> None:
        """Take one step."""
        if step.what in ("create", "delete"):
            self.unsynced_names.append(step)
        elif step.what == "sync":
            self.files[step.inode] = _applied(self.files.get(step.inode, b""), self.unsynced.pop(step.inode, ()))
        elif step.what == "sync folder":
            self.names = _named(self.names, self.unsynced_names)
            self.unsynced_names = []
        else:
            self.unsynced.setdefault(step.inode, []).append(step)

    def image(self, keep: Keep) -> dict[str, bytes]:
        """Return the files after the power cut, where ``keep`` chooses from what was on its way."""
        names = _named(self.names, keep.names(self.unsynced_names))
        return {
            name: _applied(self.files.get(inode, b""), keep.writes(self.unsynced.get(inode, ())))
            for name, inode in names.items()
        }


class Keep:
    """Which unsynced steps reach the platter: none, all, some, or torn sectors of some, some of them junk."""

    def __init__(self, how: str, chance: random.Random) -> None:
        self._how = how
        self._chance = chance

    def names(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Choose from what happened to the folder: its changes reach the platter in their order."""
        if self._how in ("none", "all"):
            return steps if self._how == "all" else ()
        return steps[: self._chance.randint(0, len(steps))]

    def writes(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Choose from what happened to a file."""
        for step in steps:
            if self._how == "torn" and step.what == "write":
                yield from self._torn(step)
            elif self._how == "all" or (self._how != "none" and self._chance.random() < 0.5):
                yield step

    def _torn(self, step: Step) -> Iterator[Step]:
        at, end = step.offset, step.offset + len(step.data)
        while at < end:
            size = min(SECTOR - at % SECTOR, end - at)
            data = step.data[at - step.offset :][:size]
            fate = self._chance.random()
            if fate < 0.6:
                yield Step("write", offset=at, data=data if fate < 0.5 else self._chance.randbytes(size))
            at += size


def _applied(content: bytes, steps: Iterable[Step]) -> bytes:
    found = bytearray(content)
    for step in steps:
        if step.what == "truncate":
            del found[step.offset :]
            continue
        found.extend(bytes(max(0, step.offset - len(found))))
        found[step.offset : step.offset + len(step.data)] = step.data
    return bytes(found)


def _named(names: dict[str, int], steps: Iterable[Step]) -> dict[str, int]:
    found = dict(names)
    for step in steps:
        if step.what == "create":
            found[step.name] = step.inode
        else:
            found.pop(step.name, None)
    return found


class Disk(apsw.VFS):
    """A file system of SQLite that notes every change, and may fail: ``fail(what, name)`` raises an apsw error."""

    def __init__(self) -> None:
        self.vfs_name = f"disk {next(_numbers)}"
        self.steps: list[Step] = []
        self.fail: Callable[[str, str], None] = lambda *_: None
        self.names: dict[str, int] = {}
        super().__init__(self.vfs_name, "")

    def note(self, what: str, name: str = "", offset: int = 0, data: bytes = b"", inode: int = 0) -> None:
        """Note what was done; SQLite's temporary files have no name, and nobody misses them after a power cut."""
        if not name and what != "sync folder":
            return
        self.steps.append(Step(what, name, inode, offset, data))

    def sync_folder(self) -> None:
        """Note that the folder itself was synced."""
        self.note("sync folder")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        path = name if name is None or isinstance(name, str) else name.filename()
        self.fail("open", path or "")
        return _File(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.fail("delete", filename)
        super().xDelete(filename, syncdir)
        self.names.pop(Path(filename).name, None)
        self.note("delete", Path(filename).name)
        if syncdir:
            self.sync_folder()


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str | None, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(path or "").name
        # SQLite syncs the folder once, with the first sync of a journal that it may have made.
        makes, journal = flags[0] & apsw.SQLITE_OPEN_CREATE, apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
        self._syncs_folder = bool(makes and flags[0] & journal)
        super().__init__("", name, flags)
        if self._name not in disk.names:
            disk.names[self._name] = next(_numbers)
            disk.note("create", self._name, inode=disk.names[self._name])
        self._inode = disk.names[self._name]

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.fail("read", self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.fail("write", self._name)
        super().xWrite(data, offset)
        self._disk.note("write", self._name, offset, bytes(data), self._inode)

    def xTruncate(self, newsize: int) -> None:
        self._disk.fail("truncate", self._name)
        super().xTruncate(newsize)
        self._disk.note("truncate", self._name, newsize, inode=self._inode)

    def xSync(self, flags: int) -> None:
        self._disk.fail("sync", self._name)
        super().xSync(flags)
        self._disk.note("sync", self._name, inode=self._inode)
        if self._syncs_folder:
            self._syncs_folder = False
            self._disk.sync_folder()

    def xLock(self, level: int) -> None:
        self._disk.fail("lock", self._name)
        super().xLock(level)


class Over:
    """``sqlite3`` as the ledger uses it, over a disk of ours; every other name is the real module's."""

    def __init__(self, disk: Disk, rewrite: Callable[[str], str] = lambda sql: sql) -> None:
        self._disk = disk
        self._rewrite = rewrite

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, path: Path, timeout: float = 5.0, **_: object) -> Connection:
        """Open the file."""
        with _as_sqlite3():
            connection = apsw.Connection(str(path), vfs=self._disk.vfs_name)
            connection.set_busy_timeout(int(timeout * 1000))
        return Connection(connection, self._rewrite)


class Connection:
    """A connection with the methods of ``sqlite3.Connection`` that the ledger uses."""

    def __init__(self, connection: apsw.Connection, rewrite: Callable[[str], str]) -> None:
        self._connection = connection
        self._rewrite = rewrite

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._connection.in_transaction)

    @property
    def total_changes(self) -> int:
        """How many rows were changed."""
        return int(self._connection.total_changes())

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        """Run a statement."""
        with _as_sqlite3():
            return Cursor(self._connection.execute(self._rewrite(sql), values))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Cursor:
        """Run a statement for each."""
        with _as_sqlite3():
            return Cursor(self._connection.executemany(sql, values))

    def close(self) -> None:
        """Close the file; as in ``sqlite3``, a last checkpoint that fails is tried by whoever opens it next."""
        with contextlib.suppress(apsw.Error):
            self._connection.close()


class Cursor:
    """What a statement found."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the last statement of the connection changed."""
        return int(self._cursor.connection.changes())

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while (record := self.fetchone()) is not None:
            yield record

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next record."""
        with _as_sqlite3():
            return next(self._cursor, None)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Return the next records."""
        return list(itertools.islice(self, size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all that is left."""
        return list(self)


@contextlib.contextmanager
def _as_sqlite3() -> Iterator[None]:
    """Raise what ``sqlite3`` would raise for the same code of SQLite."""
    try:
        yield
    except apsw.Error as error:
        code = getattr(error, "extendedresult", 0) or getattr(error, "result", 0)
        kind = sqlite3.OperationalError
        if code & 0xFF == apsw.SQLITE_CONSTRAINT:
            kind = sqlite3.IntegrityError
        elif code & 0xFF in _WRONG_FILE:
            kind = sqlite3.DatabaseError
        told = kind(str(error))
        told.sqlite_errorcode = code
        raise told from error
