"""A process that forks children which make calls until they are killed; run by test_crash.py, not collected.

Each line of stdin is one child's orders as JSON; the answer on stdout is the signal that ended it. Imports are paid
once, here, so that a life costs milliseconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2  # noqa: F401  imported before the forks
import openai  # noqa: F401  imported before the forks

from or_magic.api import connect
from or_magic.events import Closed, Metered, Opened, Piece
from or_magic.ledger import sqlite
from or_magic.ledger.spool import Spool
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Timeouts

EVENTS = {"opened": (Opened, 1), "first piece": (Piece, 1), "fifth piece": (Piece, 5), "metered": (Metered, 1),
          "closed": (Closed, 1)}  # fmt: skip
METHODS = {"open": "insert", "note": "note_generation", "settle": "settle"}


def die() -> None:
    """Leave as a power cut would: no finally, no atexit."""
    os.kill(os.getpid(), signal.SIGKILL)


def live(orders: dict[str, Any]) -> None:
    """Make calls, and note each one on the acknowledgement file once it is settled."""
    arm(orders.get("point", ""), orders.get("nth", 1))
    acks = os.open(orders["acks"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    limits = Timeouts(10, 20, 20, 30)
    with connect(base_url=orders["url"], home=Path(orders["home"]), timeouts=limits, retries=0) as session:
        for number in range(orders["calls"]):
            name = f"{orders['name']}/{number:02}"
            stream = session.stream(f"{name}: say something.", model=orders["model"], tag=name)
            pieces: dict[type, int] = {}
            with stream:
                for event in stream:
                    pieces[type(event)] = pieces.get(type(event), 0) + 1
                    kind, count = EVENTS.get(orders.get("point", ""), (Opened, -1))
                    if number == orders.get("nth", 1) - 1 and isinstance(event, kind) and pieces[type(event)] == count:
                        die()
            os.write(acks, f"{name}\n".encode())


def arm(point: str, nth: int) -> None:
    """Make the ``nth`` passage of a named point deadly."""
    where, _, what = point.partition(" ")
    if what in METHODS and where in ("before", "after"):
        _around(METHODS[what], where, nth)
    elif point == "commit":
        _at_commit(nth)
    elif point == "migration":
        real = sqlite.migrate
        sqlite.migrate = lambda *given: (real(*given), die())[0]
    elif point == "drain":
        real_drain = Spool.drain
        Spool.drain = lambda self, write: real_drain(self, lambda entries: (write(entries), die())[0])  # type: ignore[method-assign]


def _around(method: str, where: str, nth: int) -> None:
    real: Callable[..., Any] = getattr(SqliteStore, method)
    count = 0

    def deadly(*given: Any) -> Any:
        nonlocal count
        count = mine = count + 1  # two threads may be inside at once
        if where == "before" and mine == nth:
            die()
        result = real(*given)
        if where == "after" and mine == nth:
            die()
        return result

    setattr(SqliteStore, method, deadly)


def _at_commit(nth: int) -> None:
    real = SqliteStore._connect
    count = 0

    def traced(statement: str) -> None:
        nonlocal count
        count += statement == "COMMIT"
        if count == nth:
            die()

    def connected(self: SqliteStore) -> Any:
        connection = real(self)
        connection.set_trace_callback(traced)
        return connection

    SqliteStore._connect = connected  # type: ignore[method-assign]


def raise_and_watch(orders: dict[str, Any]) -> int:
    """Fork one child, kill it when its time is over, and return the signal that ended it; 0: it ended by itself."""
    child = os.fork()
    if child == 0:
        os.close(0)
        try:
            live(orders)
        except BaseException:  # noqa: BLE001  told on stderr and by the exit code
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + orders.get("kill_after_s", 30.0)
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.0005)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def main() -> None:
    """Serve orders until stdin ends."""
    for line in sys.stdin:
        print(raise_and_watch(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
