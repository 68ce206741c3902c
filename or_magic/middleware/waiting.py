"""What all waits between attempts have in common: a pause that can be ended, and what is said of it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UNSENT, CallInterruptedError
from ..events import Closed
from ..values import Request

# Waits for some seconds; False, at once, when the call was stopped meanwhile.
Pause = Callable[[Request, float], bool]


def stopped(billed: str = UNSENT) -> Closed:
    """Return the end of a call that was stopped while it waited; ``billed`` speaks of the attempts before."""
    error = CallInterruptedError("The call was stopped while it waited.", "Run it again.")
    error.billed = billed
    return Closed("interrupted", error, sent=False)


def spell(seconds: float) -> str:
    """Return a wait for people: ``2.3 s``, ``41 s``, ``7 min``."""
    if seconds < 9.95:
        return f"{max(0.1, seconds):.1f} s"
    return f"{seconds:.0f} s" if seconds < 119.5 else f"{seconds / 60:.0f} min"
