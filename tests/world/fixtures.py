"""Fixtures of the tests of floors 3 and 4: a home, sessions that are closed again, and a deadline for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect

from .kit import LIMITS, Simulator, hard_deadline

Connect = Callable[..., Session]
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def never_hang(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that hangs fails; the marker ``long`` has half an hour."""
    with hard_deadline(1800.0 if request.node.get_closest_marker("long") else LIMIT_S):
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
        opened.append(connect(**({"timeouts": LIMITS} | settings)))
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
