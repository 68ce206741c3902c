"""Fixtures of the tests of floors 3 and 4: a home, sessions that are closed again, and a deadline for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect

from .kit import LIMITS, RawServer, Simulator, hard_deadline, play_answer

Connect = Callable[..., Session]
LIMIT_S = 600.0  # a hang, not a busy machine: the longest takes half a minute on a quiet one


@pytest.fixture(autouse=True)
def never_hang(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that hangs fails; the marker ``long`` has half an hour, or its ``limit_s``."""
    long = request.node.get_closest_marker("long")
    with hard_deadline(LIMIT_S if long is None else long.kwargs.get("limit_s", 1800.0)):
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty OR_MAGIC_HOME, and a working folder without a ``.env``."""
    folder = tmp_path / "home"
    monkeypatch.setenv("OR_MAGIC_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def open_session(home: Path) -> Iterator[Connect]:
    """Opens sessions; all are closed after the test."""
    opened: list[Session] = []

    def connected(**settings: Any) -> Session:
        opened.append(connect(**({"timeouts": LIMITS, "retries": 0, "circuit_breaker": False} | settings)))
        return opened[-1]

    yield connected
    for session in opened:
        session.close()


@pytest.fixture
def offline(open_session: Connect) -> Session:
    """A session with the simulator inside this process."""
    return open_session(offline=True)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """The simulator in a process of its own."""
    running = Simulator()
    yield running
    running.close()


@pytest.fixture
def paced(open_session: Connect) -> Session:
    """A session whose simulator takes its time."""
    return open_session(offline=True, pace_s=0.01)


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    """A server that keeps what it was sent, and answers as an ordinary gateway does."""
    with RawServer(play_answer) as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own settings say is no part of a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
