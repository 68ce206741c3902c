"""Where entries wait while the ledger cannot be written: lines of JSON beside it, else in the temporary folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..errors import LedgerError
from ..paths import short_path
from ..private_folder import make_private_folder
from .files import make_private_file
from .forks import anew_in_children

try:
    import fcntl
except ImportError:  # Windows: appends of one line are whole there too, only draining is less sure
    fcntl = None  # type: ignore[assignment]

Entry = dict[str, Any]
_T = TypeVar("_T")


class Spool:
    """Entries in order; ``drain`` gives them to a writer and forgets them only when it has succeeded."""

    def __init__(self, ledger: Path) -> None:
        name = hashlib.sha256(str(ledger).encode()).hexdigest()[:16]
        user = os.getuid() if hasattr(os, "getuid") else "user"
        elsewhere = Path(tempfile.gettempdir()) / f"or_magic-{user}" / f"{name}.spool.jsonl"
        self.places = (ledger.with_suffix(".spool.jsonl"), elsewhere)
        self.forked()
        anew_in_children(self)
        self._memory: list[Entry] = []

    def forked(self) -> None:
        """Take a new lock."""
        # Reentrant: the collector may end a forgotten call, and book it, in the midst of what is done here.
        self._lock = threading.RLock()
        self._mine = threading.local()

    @property
    def busy(self) -> bool:
        """Whether this very thread is reading or writing entries."""
        return getattr(self._mine, "busy", False)

    def _alone(self, action: Callable[[], _T]) -> _T:
        mine = self._mine
        try:
            mine.busy = True
            return action()
        finally:  # no context manager: an interrupt on its way out would leave this undone
            mine.busy = False

    def append(self, entry: Entry) -> str:
        """Keep ``entry`` and return where: a path, or "memory" where no disk takes it."""
        with self._lock:
            self._memory.append(entry)
            if self.busy:  # a file that is locked here cannot be locked again
                return "memory"
            return self._alone(self._write_down)

    def _write_down(self) -> str:
        waiting = list(self._memory)
        lines = b"".join([json.dumps(each).encode() + b"\n" for each in waiting])
        # Behind those that wait already: a row that is discarded before it is opened would stay open.
        for place in sorted(self.places, key=lambda place: not place.exists()):
            with contextlib.suppress(OSError, LedgerError):
                _append(place, lines)
                del self._memory[: len(waiting)]
                return short_path(place)
        return "memory"

    @property
    def in_memory(self) -> bool:
        """Whether anything waits where only this process can write it."""
        return bool(self._memory)

    def waiting(self) -> bool:
        """Whether anything waits."""
        return bool(self._memory) or any(place.exists() for place in self.places)

    def count(self) -> int:
        """Return how many entries wait, in files and in memory."""
        waiting = len(self._memory)
        for place in self.places:
            with contextlib.suppress(OSError):  # mostly, there is none
                waiting += len(place.read_bytes().splitlines())
        return waiting

    def drain(self, write: Callable[[Sequence[Entry]], Sequence[Entry]]) -> None:
        """Give all entries to ``write``; they stay where they are if it raises.

        What it returns is kept aside in a ``.bad`` file, for a person to look at.
        """
        with self._lock:
            self._alone(lambda: self._give(write))

    def _give(self, write: Callable[[Sequence[Entry]], Sequence[Entry]]) -> None:
        for place in self.places:
            with contextlib.suppress(OSError):  # gone, taken by another process, or not to be read: next time
                _drain_file(place, write)
        if waiting := list(self._memory):
            strange = write(waiting)
            del self._memory[: len(waiting)]
            with contextlib.suppress(OSError):
                _set_aside(self.places[0], strange)


def _drain_file(place: Path, write: Callable[[Sequence[Entry]], Sequence[Entry]]) -> None:
    if not _is_ours(place):
        return
    with _locked(place, "rb", missing_ok=True) as file:
        if file is None:
            return
        entries = [entry for line in file for entry in _parsed(line)]
        _set_aside(place, write(entries))
        place.unlink()


def _set_aside(place: Path, strange: Sequence[Entry]) -> None:
    for entry in strange:
        _append(place.with_suffix(".bad"), json.dumps(entry).encode() + b"\n")


def _append(place: Path, lines: bytes) -> None:
    make_private_folder(place.parent)
    make_private_file(place)
    if not _is_ours(place):
        raise PermissionError(f"{place} belongs to somebody else")
    with _locked(place, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            lines = lines if file.read(1) == b"\n" else b"\n" + lines  # a full disk had cut the entry before
        file.seek(0, os.SEEK_END)
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _is_ours(place: Path) -> bool:
    """Whether it is a plain file of this user, in a folder of this user: others could write rows of their own."""
    try:
        file, folder = os.lstat(place), os.lstat(place.parent)
    except OSError:
        return False
    mine = os.geteuid() if hasattr(os, "geteuid") else file.st_uid
    return stat.S_ISREG(file.st_mode) and stat.S_ISDIR(folder.st_mode) and {file.st_uid, folder.st_uid} == {mine}


@contextlib.contextmanager
def _locked(place: Path, mode: str, *, missing_ok: bool = False) -> Iterator[Any]:
    while True:
        with open(place, mode) as file, _alone(file):
            # Another process may have drained and removed the file while this one waited for the lock.
            if _is_still(file, place):
                yield file
                return
        if missing_ok:
            yield None
            return
        make_private_file(place)


@contextlib.contextmanager
def _alone(file: Any) -> Iterator[None]:
    """Hold the lock of an open file, where the system has such locks."""
    if fcntl is None:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:  # closing does not do it where a child was forked meanwhile: it has a copy
        fcntl.flock(file, fcntl.LOCK_UN)


def _is_still(file: Any, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(place))
    except FileNotFoundError:
        return False


def _parsed(line: bytes) -> Iterator[Entry]:
    # A line that a full disk cut short has no second half anywhere; its call is known from its open row.
    with contextlib.suppress(ValueError):
        yield json.loads(line)
