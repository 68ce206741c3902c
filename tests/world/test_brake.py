"""The brake of a call while it waits between two attempts: whoever stops it wakes it, wherever it is called from."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from or_magic.gateway.deadlines import Brake

from ..guards import AGES_S


def test_a_pause_is_as_long_as_asked() -> None:
    """And says that the call goes on."""
    began = time.monotonic()
    assert Brake().pause(0.05)
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("seconds", [0.0, -1.0, -1e9])
def test_a_pause_of_nothing_returns(seconds: float) -> None:
    """A negative timeout means for ever to a lock."""
    assert Brake().pause(seconds)


def test_a_brake_that_was_pulled_before_lets_nothing_wait() -> None:
    """However often it was pulled, and however often somebody tries."""
    brake = Brake()
    for _ in range(3):
        assert brake.pull()
        assert not brake.pause(AGES_S)
        assert not brake.pause(float("inf"))


def test_another_thread_wakes_everybody() -> None:
    """The closing of a stream, the end of the kernel."""
    brake = Brake()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(brake.pause(AGES_S))) for _ in range(8)]
    for thread in threads:
        thread.start()
    brake.pull()
    for thread in threads:
        thread.join()
    assert [False] * 8 == woken


@pytest.fixture
def alarms() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("alarms")
def test_a_signal_of_the_waiting_thread_itself_wakes_it() -> None:
    """Stop in a notebook: the handler runs in the thread that waits, at whichever moment of its wait."""
    main = threading.get_ident()
    for delay_s in [0.0, 0.0001, 0.0005, 0.001, 0.002, 0.01] * 30:
        brake = Brake()
        signal.signal(signal.SIGUSR1, lambda *_, brake=brake: brake.pull())
        thread = threading.Thread(target=lambda delay_s=delay_s: (time.sleep(delay_s), _ring(main)))
        thread.start()
        assert not brake.pause(AGES_S)
        thread.join()


def _ring(thread: int) -> None:
    signal.pthread_kill(thread, signal.SIGUSR1)


@pytest.mark.usefixtures("alarms")
def test_a_signal_that_only_raises_ends_the_wait_too() -> None:
    """Who has no handler of ours gets Python's own KeyboardInterrupt."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.05, _ring, [threading.get_ident()])
    with pytest.raises(KeyboardInterrupt):
        timer.start()  # inside: on a busy machine it rings before the next line
        Brake().pause(AGES_S)
    timer.join()


@pytest.mark.usefixtures("alarms")
def test_a_brake_pulled_a_thousand_times_from_everywhere_never_hangs() -> None:
    """Signals arrive while four threads pull, and the main thread waits again and again."""
    brakes = [Brake() for _ in range(300)]
    at = iter(range(10**9))
    signal.signal(signal.SIGUSR1, lambda *_: brakes[next(at) % 300].pull())
    done = threading.Event()

    def pull() -> None:
        while not done.wait(0.001):
            for brake in brakes:
                brake.pull()
            os.kill(os.getpid(), signal.SIGUSR1)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert {False} == {brake.pause(AGES_S) for brake in brakes}
    done.set()
    for thread in threads:
        thread.join()
