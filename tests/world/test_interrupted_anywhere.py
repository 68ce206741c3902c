"""An interrupt at any line of ours that handles money: whatever it hits, the books are right and nothing stays held."""

from __future__ import annotations

import linecache
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.middleware.retry import QUOTA

from ..guards import HANG_S
from .kit import ROOT, Simulator, rows, wrong_sums

MODEL = "anthropic/claude-haiku-4.5"
_HIT = ("or_magic/middleware/", "or_magic/ledger/", "or_magic/engine/stack", "or_magic/engine/purse")
# Before these, and on the way out of their block, no signal is ever noticed: Python looks for them where it calls.
# Of ``try:`` CPython 3.11 keeps an instruction that does nothing and that no block around it covers.
_PASSED_OVER = ("with ", "try:", "finally", "mine.")


class Interrupter:
    """Raises KeyboardInterrupt at the line of ours that is the ``number``-th to run; ``hit`` is where that was."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.hit = ""

    def __enter__(self) -> Interrupter:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        return self._line if any(part in frame.f_code.co_filename for part in _HIT) else None

    def _line(self, frame: FrameType, event: str, _arg: object) -> Any:
        name, line = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and not linecache.getline(name, line).strip().startswith(_PASSED_OVER):
            self.seen += 1
            if self.seen == self.number:
                self.hit = f"{Path(name).name}:{line}"
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._line


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """A session with a budget and a limit a minute, both of which a call keeps."""
    limits = {"*": {"requests": 1_000_000}}
    with connect(offline=True, home=home, session_budget="1000", retries=1, rate_limits=limits) as session:
        session.ask("Hello", model=MODEL, max_tokens=5)
        yield session


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_an_interrupt_anywhere_leaves_no_open_row_no_reservation_and_no_lock(session: Session, step: int) -> None:
    """An open row of a living kernel is found by nobody: its reservation would stop calls until the kernel ends."""
    ledger, left = session.engine.ledger, QUOTA.left
    wrong: list[str] = []
    hits, number = 0, 1
    while True:
        with Interrupter(number) as interrupter:
            try:
                with session.stream("Hello", model=MODEL, max_tokens=5) as stream:
                    list(stream)
            except KeyboardInterrupt:
                hits += 1
        if not interrupter.hit:
            break
        ledger.standings(())  # what had to wait is written now
        if [row for row in rows(session) if row["status"] == "open"]:
            wrong.append(interrupter.hit)
        number += step
    assert [] == wrong
    assert hits > 600 // step
    assert session.engine.reconciler.wait(HANG_S)
    assert "ok" == session.ask("Hello", model=MODEL, max_tokens=5).status
    assert [] == wrong_sums(ledger.path)
    assert left == QUOTA.left


_FORK = """
import os, sys, pathlib
import or_magic as orm
session = orm.connect(base_url=sys.argv[3], home=sys.argv[1])
stream = session.stream("Hello", model="offline/plain", max_tokens=60)
next(stream), next(stream)
child = os.fork()
if child == 0:
    if sys.argv[2] == "drop":
        del stream
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(stream.run().status, [row.status for row in session.engine.ledger._store.rows()])
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
@pytest.mark.parametrize("way", ["keep", "drop"])
def test_a_forked_child_that_ends_neither_breaks_nor_books_the_call_of_its_parent(home: Path, way: str) -> None:
    """It has a copy of the stream, of its socket and of what is done at exit."""
    simulator = Simulator("--pace", "0.02")
    try:
        command = [sys.executable, "-W", "ignore", "-c", _FORK, str(home), way, simulator.url]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=True)
    finally:
        simulator.close()
    assert "ok ['ok']" == told.stdout.strip()
