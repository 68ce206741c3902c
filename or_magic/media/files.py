"""Reading one file that the user has named: an ordinary one, of bounded size, and nothing that only looks like one."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
from pathlib import Path

from ..errors import MediaError

MAX_BYTES = 64 * 2**20
_MOST_NAMES = 5_000  # of a folder are looked at for the closest one
_KERNEL = ("/proc", "/sys")  # what stands there looks like files, and holds secrets of processes


def read_file(path: Path) -> bytes:
    """Return the bytes of an ordinary file.

    Raises:
        MediaError: it is missing, too large, no ordinary file, or cannot be read.
    """
    told = str(path)
    if told.startswith("\\\\"):  # Windows would offer the user's password to that machine
        raise MediaError(f"{told} is on another machine. Nothing was sent. Copy the file to this one.")
    try:
        _check(os.stat(path), told)  # opening a device or a pipe can do something already
        with open(os.open(path, _FLAGS), "rb") as file:
            found = os.fstat(file.fileno())  # what was opened, whatever stands there by now
            _check(found, told)
            return file.read(found.st_size)
    except FileNotFoundError:
        raise MediaError(f"{told} cannot be read: there is no such file.{_closest(path)} Nothing was sent.") from None
    except OSError as error:
        raise MediaError(f"{told} cannot be read: {error.strerror}. Nothing was sent.") from None
    except ValueError:  # a NUL in its name
        raise MediaError(f"{told!r} cannot be read: no file has such a name. Nothing was sent.") from None


_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"))


def _check(found: os.stat_result, told: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise MediaError(f"{told} is not a file but a folder. Nothing was sent. Attach the files in it that matter.")
    if not stat.S_ISREG(found.st_mode) or found.st_dev in _kernel_devices():
        raise MediaError(f"{told} is not a file: a pipe, a device or a view into the system. Nothing was sent.")
    if found.st_size > MAX_BYTES:
        raise MediaError(too_large(told, found.st_size))


def too_large(told: str, size_bytes: int) -> str:
    """Return the sentence about more bytes than an attachment may have."""
    return (
        f"{told} is larger than {MAX_BYTES // 2**20} MiB ({size_bytes / 2**20:,.0f} MiB). Nothing was sent. "
        "Make it smaller, or put it where a URL leads to it."
    )


def _kernel_devices() -> set[int]:
    devices = set()
    for folder in _KERNEL:
        with contextlib.suppress(OSError):
            if os.path.ismount(folder):
                devices.add(os.stat(folder).st_dev)
    return devices


def _closest(path: Path) -> str:
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_NAMES), strict=False)]
    except (OSError, ValueError):
        return f" There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.name, names, 1, 0.6)
    return f" Did you mean {near[0]}?" if near else ""
