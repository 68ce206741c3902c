"""The names that a cell's ``{{ expressions }}`` see: the user's own, and ``error``, the session's last exception."""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .face import Face


def names(face: Face) -> Mapping[str, Any]:
    """Return what expressions may name; a variable that the user called ``error`` is his."""
    error = face.raised or _before()
    known: dict[str, Any] = face.shell.user_ns
    return known if error is None else ChainMap(known, {"error": error})


def is_users(error: BaseException | None) -> bool:
    """Whether an exception is one to ask about: neither a question of ours that failed, nor an interrupt."""
    from ..errors import OrMagicError

    return isinstance(error, Exception) and not isinstance(error, OrMagicError)


def _before() -> BaseException | None:
    """Return what was raised before the extension was loaded; IPython keeps it where Python does."""
    error = getattr(sys, "last_value", None)
    return error if is_users(error) else None
