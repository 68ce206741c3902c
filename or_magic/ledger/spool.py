"""Where entries wait while the ledger cannot be written: lines of JSON beside it, else in the temporary folder."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .files import make_private_file, make_private_folder

try:
    import fcntl
except ImportError:  # Windows: appends of one line are whole there too, only draining is less sure
    fcntl = None  # type: ignore[assignment]

Entry = dict[str, Any]


class Spool:
    """Entries in order; ``drain`` gives them to a writer and forgets them only when it has succeeded."""

    def __init__(self, ledger: Path) -> None:
        name = hashlib.sha256(str(ledger).encode()).hexdigest()[:16]
        elsewhere = Path(tempfile.gettempdir()) / f"or_magic-{getpass.getuser()}" / f"{name}.spool.jsonl"
        self.places = (ledger.with_suffix(".spool.jsonl"), elsewhere)
        self._lock = threading.Lock()
        self._memory: list[Entry] = []

    def append(self, entry: Entry) -> str:
        """Keep ``entry`` and return where: a path, or "memory" where no disk takes it."""
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            for place in self.places:
                with contextlib.suppress(OSError):
                    _append(place, line)
                    return str(place)
            self._memory.append(entry)
            return "memory"

    def waiting(self) -> bool:
        """Whether anything waits."""
        return bool(self._memory) or any(place.exists() for place in self.places)

    def drain(self, write: Callable[[Sequence[Entry]], None]) -> None:
        """Give all entries to ``write``; they stay where they are if it raises."""
        with self._lock:
            for place in self.places:
                if place.exists():
                    with _locked(place, "rb") as file:
                        write([entry for line in file for entry in _parsed(line)])
                        place.unlink()
            if self._memory:
                write(self._memory)
                self._memory = []


def _append(place: Path, line: bytes) -> None:
    make_private_folder(place.parent)
    make_private_file(place)
    with _locked(place, "ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _locked(place: Path, mode: str) -> Iterator[Any]:
    while True:
        with open(place, mode) as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have drained and removed the file while this one waited for the lock.
            if _is_still(file, place):
                yield file
                return
        make_private_file(place)


def _is_still(file: Any, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(place))
    except FileNotFoundError:
        return False


def _parsed(line: bytes) -> Iterator[Entry]:
    # A line that a full disk cut short has no second half anywhere; its call is known from its open row.
    with contextlib.suppress(ValueError):
        yield json.loads(line)
