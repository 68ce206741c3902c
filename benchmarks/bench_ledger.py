"""What it costs to book a call: open and settle one row, in a file and on a PostgreSQL server on loopback.

Both are on disk; the server is the one of the tests, with fsync on. Budgets are of the day and in
total, with a year of quarters behind.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import _common as common

sys.path.insert(0, str(common.ROOT))

from or_magic.budget import Budgets, Limit, Terms, limits_of
from or_magic.ledger import Ledger
from or_magic.ledger.store import Store, open_store
from tests.postgres import Server
from tests.world.kit import row

ROUNDS, LIVES, THREADS = 5, 200, 64
PLENTY = Budgets(day=Decimal(10**6), total=Decimal(10**6))


def live(ledger: Ledger, name: str, limits: tuple[Limit, ...]) -> None:
    opened = ledger.open(row(name, tag="bench"), Terms(limits, lambda _: Decimal("0.001")))
    ledger.settle(replace(opened, status="ok", cost_source="billed", cost_usd=Decimal("0.0005")), limits)


def alone(ledger: Ledger, mark: str, limits: tuple[Limit, ...]) -> float:
    """Return the median milliseconds of a life, one after another."""
    took = []
    for number in range(LIVES):
        begun = time.perf_counter()
        live(ledger, f"{mark} {number}", limits)
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took)


def together(ledger: Ledger, mark: str, limits: tuple[Limit, ...]) -> float:
    """Return lives a second of 64 threads."""
    each = 5

    def work(thread: int) -> None:
        for number in range(each):
            live(ledger, f"{mark} {thread} {number}", limits)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * each / (time.perf_counter() - begun)


def fill(store: Store) -> None:
    """Write a year of quarters."""
    now = datetime.now(UTC)
    settled = {"status": "ok", "cost_source": "billed", "cost_usd": Decimal("0.01"), "tag": "old"}
    for day in range(365):
        store.settle(
            [row(f"old {day} {n}", started_at=now - timedelta(days=day, minutes=15 * n), **settled) for n in range(96)]
        )


@contextmanager
def ledgers(home: Path) -> Iterator[dict[str, Ledger]]:
    server = Server(fsync="on")
    database = server.new_database()
    stores = {
        "SQLite": open_store(home / "ledger.sqlite"),
        "PostgreSQL": open_store(home / "ledger.sqlite", lambda: server.url(database)),
    }
    try:
        for store in stores.values():
            fill(store)
        yield {name: Ledger(store) for name, store in stores.items()}
    finally:
        for store in stores.values():
            store.close()
        server.close()


def main() -> None:
    limits = {"no budget": (), "day and total": limits_of(PLENTY, datetime.now(UTC), session="test")}
    measures: dict[str, Callable[..., float]] = {"alone": alone, "together": together}
    samples: dict[str, list[float]] = {}
    with common.home() as home, ledgers(home) as found:
        for turn in range(ROUNDS):
            for name, ledger in found.items():
                for under, some in limits.items():
                    for what, measure in measures.items():
                        taken = measure(ledger, f"{turn} {name} {under} {what}", some)
                        samples.setdefault(f"{name}, {under}, {what}", []).append(taken)
            print(f"round {turn + 1} of {ROUNDS} done", file=sys.stderr, flush=True)
    rows: list[dict[str, Any]] = [
        {
            "ledger": name,
            "budgets": under,
            "ms a call, median": statistics.median(samples[f"{name}, {under}, alone"]),
            "best": min(samples[f"{name}, {under}, alone"]),
            "calls/s of 64 threads, median": statistics.median(samples[f"{name}, {under}, together"]),
            "the best": max(samples[f"{name}, {under}, together"]),
        }
        for name in ("SQLite", "PostgreSQL")
        for under in limits
    ]
    common.show("Open and settle one call", rows, [])
    common.write("ledger", rows, [], samples)


if __name__ == "__main__":
    main()
