"""A real terminal: IPython in tmux, typed into and looked at as a person does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from ..guards import HANG_S

BARE = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda name, *a: None if name == 'rich' else find(name, *a)"


class Screen:
    """IPython in a terminal of its own; leave it by ``close``."""

    def __init__(self, folder: Path, *, rich: bool = True, width: int = 100) -> None:
        self._socket = folder / "tmux"
        environment = {
            "TERM": "tmux-256color",
            "IPYTHONDIR": str(folder / "ipython"),
            "OR_MAGIC_HOME": str(folder / "home"),
            "OPENROUTER_BASE_URL": "offline",
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }
        command = [
            sys.executable,
            "-m",
            "IPython",
            "--no-banner",
            "--no-confirm-exit",
            "--InteractiveShell.colors=NoColor",
        ]
        if not rich:
            command += ["-i", "-c", BARE]
        line = f"env -i {' '.join([f'{name}={shlex.quote(value)}' for name, value in environment.items()])} {shlex.join(command)}"
        self._tmux("new-session", "-d", "-s", "it", "-x", str(width), "-y", "50", line)
        self._cells = 0
        self.wait("In [1]:")

    def run(self, cell: str, limit_s: float = HANG_S) -> str:
        """Type a cell, run it, and return what it printed."""
        self.start(cell)
        return self.done(limit_s)

    def start(self, cell: str) -> None:
        """Type a cell and run it."""
        self._cells += 1
        self._tmux("send-keys", "-t", "it", "-l", cell)
        # Plain Enter only adds lines to a cell magic.
        self._tmux("send-keys", "-t", "it", *(["M-Enter"] if cell.startswith("%%") else ["Enter"]))

    def done(self, limit_s: float = HANG_S) -> str:
        """Wait for the next prompt and return what stands between the two."""
        whole = self.wait(f"In [{self._cells + 1}]:", limit_s)
        return whole.rpartition(f"In [{self._cells}]:")[2].rpartition(f"In [{self._cells + 1}]:")[0].rstrip()

    def begun(self, words: str, limit_s: float = HANG_S) -> None:
        """Wait until the cell that runs has printed ``words``."""
        end = time.monotonic() + limit_s
        while words not in (shown := self.text()).rpartition(f"In [{self._cells}]:")[2]:
            assert time.monotonic() < end, f"{words!r} is not on the screen:\n{shown}"
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._tmux("send-keys", "-t", "it", *keys)

    def text(self) -> str:
        """Return everything on the screen and above it."""
        return self._tmux("capture-pane", "-p", "-J", "-t", "it", "-S", "-")

    def wait(self, words: str, limit_s: float = HANG_S) -> str:
        """Return the screen as soon as it holds ``words``."""
        end = time.monotonic() + limit_s
        while words not in (shown := self.text()):
            assert time.monotonic() < end, f"{words!r} is not on the screen:\n{shown}"
            time.sleep(0.02)
        return shown

    def close(self) -> None:
        """End it."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
