"""An interrupt while a call runs: the connection is closed at once, and the books are kept in peace.

Raised wherever the main thread happens to be, a KeyboardInterrupt could tear a commit or a drawing in two. Here the
first one only stops the call, which then ends as any call ends; who presses again much later means it.

Nor may a second press of the same finger tear what comes after: the kernel still has to tell the notebook that the
cell has failed, and one that is interrupted there never does.
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
def interrupts(stop: Callable[[], bool], pressed: Pressed, *, in_kernel: bool = False) -> Iterator[None]:
    """Let an interrupt call ``stop`` instead of raising, unless that says that nothing would wake by it.

    In a kernel those that follow at once are one with it until the request has ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        again = pressed.at is not None and now - pressed.at > _MEANT_S
        pressed.at = pressed.at or now
        if not stop() or again:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle) or signal.default_int_handler

    def settle(number: int, _frame: FrameType | None) -> None:
        if time.monotonic() - (pressed.at or 0.0) > _MEANT_S:
            signal.signal(signal.SIGINT, before)
            signal.raise_signal(number)

    try:
        yield
    finally:
        # A kernel sets its own handler before each request; elsewhere nobody would take this one away.
        signal.signal(signal.SIGINT, settle if pressed and in_kernel else before)
