"""No fork while a thread is inside SQLite: the child would inherit SQLite's own locks, held by nobody, for ever.

``multiprocessing`` forks by default on Linux, and a notebook may do so while a call is being booked.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Protocol

_LONGEST_S = 5.0


class _Gate:
    """Any number of threads may be inside; a fork waits until all have left, and keeps others out meanwhile."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._inside = 0
        self._mine = threading.local()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be inside SQLite."""
        with self._change:
            self._inside += 1
            self._mine.depth = getattr(self._mine, "depth", 0) + 1
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._mine.depth -= 1
                self._change.notify_all()

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Be outside for a while, as when a thread sleeps before it tries again."""
        depth = getattr(self._mine, "depth", 0)
        with self._change:
            self._inside -= depth
            self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._inside += depth

    def before_fork(self) -> None:
        """Wait until no other thread is inside, and let none in; a stuck disk must not freeze the kernel for ever."""
        self._change.acquire()
        mine = getattr(self._mine, "depth", 0)
        self._change.wait_for(lambda: self._inside == mine, _LONGEST_S)

    def after_fork(self) -> None:
        """Let threads in again."""
        self._change.release()

    def after_fork_in_child(self) -> None:
        """Begin afresh: the other threads do not exist here."""
        self._change = threading.Condition()
        self._inside = 0
        self._mine = threading.local()


class Locking(Protocol):
    """Something whose locks a thread may hold, or wait behind, while another thread forks."""

    def forked(self) -> None:
        """Take new locks: who held the old ones does not exist in the child."""


gate = _Gate()
_locking: weakref.WeakSet[Locking] = weakref.WeakSet()


def anew_in_children(locking: Locking) -> None:
    """Have ``locking`` told in every forked child, as long as it lives."""
    _locking.add(locking)


def _after_fork_in_child() -> None:
    gate.after_fork_in_child()
    for locking in list(_locking):
        locking.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.before_fork, after_in_parent=gate.after_fork, after_in_child=_after_fork_in_child)
