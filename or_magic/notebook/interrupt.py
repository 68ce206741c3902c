"""An interrupt while a call runs: the connection is closed at once, and the books are kept in peace.

Raised wherever the main thread happens to be, a KeyboardInterrupt could tear a commit or a drawing in two. Here the
first one only stops the call, which then ends as any call ends; who presses again much later means it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_MEANT_S = 3.0


class Pressed:
    """Whether an interrupt came."""

    def __init__(self) -> None:
        self.at: float | None = None

    def __bool__(self) -> bool:
        return self.at is not None


@contextlib.contextmanager
def interrupts(stop: Callable[[], bool], pressed: Pressed) -> Iterator[None]:
    """Let an interrupt call ``stop`` instead of raising, unless that says that nothing would wake by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what a signal handler is given
        now = time.monotonic()
        again = pressed.at is not None and now - pressed.at > _MEANT_S
        pressed.at = pressed.at or now
        if not stop() or again:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
