"""Ask any OpenRouter model from a notebook cell, and know what it cost.

``%load_ext or_magic`` gives notebooks ``%%openrouter``; ``import or_magic as orm`` gives Python the same verbs.
Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import Session, aask, ask, connect, stream
    from .engine.replies import Replies
    from .errors import OrMagicError
    from .features.tracker import Tracker
    from .verbs import chat, choose, image, models, speak, transcribe

    replies: Replies
    tracker: Tracker

__all__ = [
    "OrMagicError",
    "Session",
    "aask",
    "ask",
    "chat",
    "choose",
    "connect",
    "image",
    "models",
    "replies",
    "speak",
    "stream",
    "tracker",
    "transcribe",
]


def __getattr__(name: str) -> Any:
    if name in ("replies", "tracker"):  # always the current session's
        from .api import current

        return getattr(current(), name)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "OrMagicError":
        from .errors import OrMagicError

        return OrMagicError
    if name in ("chat", "choose", "image", "models", "speak", "transcribe"):
        from . import verbs

        return getattr(verbs, name)
    from . import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "load_ipython_extension", "unload_ipython_extension"])


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%%openrouter``, ``%openrouter`` and their short names."""
    from .notebook import load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take everything back: magics, hooks, threads, connections."""
    from .notebook import unload

    unload(ipython)
