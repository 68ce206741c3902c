"""Files that only their owner reads, whatever the umask, and what kind of disk they lie on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import LedgerError
from ..paths import short_path
from ..private_folder import sync_folder

# Shared memory, which WAL needs between processes, does not reach over a network.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "lustre", "gpfs", "beegfs", "glusterfs", "ceph"}


def make_private_file(path: Path) -> None:
    """Make ``path`` (0600) if it is missing, following no link.

    Raises:
        LedgerError: a link or something that is no file is in its place.
        OSError: it cannot be made.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:  # another process was faster
            return
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        sync_folder(path.parent)
        return
    if not stat.S_ISREG(found.st_mode):
        raise LedgerError(
            f"{short_path(path)} is not a plain file; it was not opened. Remove it, or set OR_MAGIC_HOME."
        )


def on_network(folder: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether ``folder`` lies on a network file system, as far as this system tells."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    here = str(folder.resolve())
    best, kind = "", ""
    for line in lines:
        words = line.split()
        if len(words) < 3:
            continue
        point = words[1].replace("\\040", " ")
        if (here == point or here.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, words[2]
    return kind in _NETWORK or kind.startswith("fuse.sshfs")
