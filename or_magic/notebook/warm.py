"""Prepare the first call while nobody waits: only once the shell has been idle for half a second.

Importing in the background of a running cell would slow that cell's own imports by half.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

IDLE_S = 0.5


class Warmer:
    """Runs ``action`` once, in a thread, after the first idle half second; ``close`` forgets about it."""

    def __init__(self, shell: InteractiveShell, action: Callable[[], None], idle_s: float = IDLE_S) -> None:
        self._shell = shell
        self._action = action
        self._idle_s = idle_s
        self._change = threading.Condition()
        self._idle_since: float | None = None
        self._closed = False
        shell.events.register("pre_run_cell", self._busy)
        shell.events.register("post_run_cell", self._idle)
        self._thread = threading.Thread(target=self._run, name="or_magic warm", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop waiting; an action that runs already is let finish."""
        with self._change:
            if self._closed:
                return
            self._closed = True
            self._change.notify()
        self._shell.events.unregister("pre_run_cell", self._busy)
        self._shell.events.unregister("post_run_cell", self._idle)
        self._thread.join(10.0)

    def _busy(self, *_: Any) -> None:
        with self._change:
            self._idle_since = None
            self._change.notify()

    def _idle(self, *_: Any) -> None:
        with self._change:
            self._idle_since = time.monotonic()
            self._change.notify()

    def _run(self) -> None:
        if self._waited():
            self._action()

    def _waited(self) -> bool:
        with self._change:
            while not self._closed:
                if self._idle_since is None:
                    self._change.wait()
                    continue
                left_s = self._idle_since + self._idle_s - time.monotonic()
                if left_s <= 0:
                    return True
                self._change.wait(left_s)
            return False
