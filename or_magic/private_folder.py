"""Folders that only their owner enters, whatever the umask, and that a power cut does not take away."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` and its missing parents, all 0700.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep what was made in ``folder``: synced bytes without a name are lost to a power cut too."""
    with contextlib.suppress(OSError):  # Windows, and some disks, sync no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
