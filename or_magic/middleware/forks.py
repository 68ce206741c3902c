"""What a forked child begins anew: it has a copy of every lock and turn, but not the threads that hold them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Shared(Protocol):
    """Something that the threads of a process share."""

    def forked(self) -> None:
        """Take new locks, and forget the threads of the parent."""


_alive: weakref.WeakSet[Shared] = weakref.WeakSet()


def anew_in_children(shared: Shared) -> None:
    """Have ``shared`` told in every forked child, as long as it lives."""
    _alive.add(shared)


def _forked() -> None:
    for shared in list(_alive):
        shared.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
