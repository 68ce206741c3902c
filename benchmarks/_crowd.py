"""Many threads, of one process or of several, that open and settle rows of one ledger, or only commit.

``python _crowd.py NAME PATH THREADS CALLS`` is one process of them: it waits for a line before it begins.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from or_magic.budget import Budgets, Limit, Terms, limits_of
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

_PLENTY = Decimal(1_000_000)
BUDGETS = Budgets(_PLENTY, _PLENTY, _PLENTY, _PLENTY, {"tag": _PLENTY})
NO_BUDGETS = Budgets()
_BOUND_USD = Decimal("0.0123")
_CALLS = 1024  # of all threads together
_numbers = itertools.count()

Act = Callable[[], object]


def open_and_settle(ledger: Ledger, limits: Sequence[Limit]) -> None:
    """Book one call: two durable commits."""
    row = Row(
        row_id=f"{os.getpid():08x}{next(_numbers):024x}", call_id="call", started_at=datetime.now(UTC), tag="tag",
        session="session", gateway="openrouter", model_requested="openai/gpt-4o-mini", host="host", pid=1,
    )  # fmt: skip
    row = ledger.open(row, Terms(tuple(limits), lambda _: _BOUND_USD))
    ledger.settle(replace(row, status="ok", cost_usd=Decimal("0.00123"), cost_source="billed"), limits)


def booking(path: Path, budgets: Budgets) -> Act:
    """Return what books one call in the ledger at ``path``."""
    ledger = Ledger(SqliteStore(path))
    ledger.unsettled()

    def act() -> None:
        open_and_settle(ledger, limits_of(budgets, datetime.now(UTC), session="session", tag="tag"))

    return act


def committing(path: Path) -> Act:
    """Return what commits a row of the same size, durably, by a connection that the threads share."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, text TEXT)")
    lock = threading.Lock()

    def act() -> None:
        with lock:
            connection.execute("INSERT INTO calls (text) VALUES (?)", ("x" * 300,))

    return act


WORK: dict[str, Callable[[Path], Act]] = {
    "one WAL FULL commit": committing,
    "open + settle, no budget": lambda path: booking(path, NO_BUDGETS),
    "open + settle, five budgets": lambda path: booking(path, BUDGETS),
}


def crowd(name: str, path: Path, processes: int, threads: int) -> tuple[float, float, float, float]:
    """Return calls a second, and the median, the 95th percentile and the most of a call's latency in ms."""
    command = [sys.executable, __file__, name, str(path), str(threads), str(_CALLS // (processes * threads))]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    crew = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        for _ in range(processes)
    ]
    for each in crew:
        assert each.stdout is not None
        each.stdout.readline()  # it is ready
    began = time.perf_counter()
    told = [each.communicate("go\n")[0] for each in crew]
    latencies: list[float] = []
    ended = began
    for line in told:
        found = json.loads(line)
        latencies += found["latencies"]
        ended = max(ended, found["ended"])
    latencies.sort()
    last = len(latencies) - 1
    middle, most = latencies[last // 2] * 1000, latencies[last] * 1000
    return len(latencies) / (ended - began), middle, latencies[round(last * 0.95)] * 1000, most


def main() -> None:
    """Be one process of the crowd."""
    name, path, threads, calls = sys.argv[1:]
    act = WORK[name](Path(path))
    act()
    latencies: list[float] = []

    def work() -> None:
        for _ in range(int(calls)):
            began = time.perf_counter()
            act()
            latencies.append(time.perf_counter() - began)

    crew = [threading.Thread(target=work) for _ in range(int(threads))]
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps({"latencies": latencies, "ended": time.perf_counter()}), flush=True)


if __name__ == "__main__":
    main()
