"""What the money costs: the middleware around a call, budgets under many threads and rows, bounds of long prompts.

    python benchmarks/bench_money.py [--rounds 5] [--rows 0,10000,100000,1000000]

Contenders take turns within one run. A figure is the best round. CPU is of the calling thread, and a round's figure is
what nine of ten calls exceed: other work on a machine only ever adds. All also goes to ``results/money.json``.
"""

from __future__ import annotations

import argparse
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import _common as common
from _crowd import BUDGETS, NO_BUDGETS, WORK, crowd, open_and_settle

from or_magic.content import Text
from or_magic.engine.purse import Purse
from or_magic.events import Closed, Event, Metered, Opened, Piece, Send
from or_magic.gateway.catalog import Catalog
from or_magic.ledger import Ledger
from or_magic.ledger.migrations import STEPS
from or_magic.ledger.sqlite import SqliteStore
from or_magic.middleware.account import Desk, account
from or_magic.middleware.breaker import Breakers, breaker
from or_magic.middleware.fallback import Elsewhere, fallback
from or_magic.middleware.rate_limit import Limiter, built_in, rate_limit
from or_magic.middleware.retry import Policy, retry
from or_magic.pricing import estimate_tokens
from or_magic.values import Message, Origin, Request, Usage

MODEL = "openai/gpt-4o-mini"
PROMPTS = {"100 B": 100, "10 kB": 10_000, "1 MB": 1_000_000}
_CALLS = 200
_THREADS, _PROCESSES = 64, 8

_MEMORY = Path("/dev/shm")

Samples = dict[str, list[float]]
Found = tuple[list[dict[str, Any]], list[common.Target], Samples]


def turns(rounds: int, contenders: Mapping[str, Callable[[], object]], calls: int) -> Samples:
    """Return of every round the CPU of a call, in µs, that nine of ten calls exceed; they take turns."""
    taken: Samples = {name: [] for name in contenders}
    for action in contenders.values():
        for _ in range(20):
            action()
    for _ in range(rounds):
        for name, action in contenders.items():
            took = []
            for _ in range(calls):
                began = time.thread_time_ns()
                action()
                took.append((time.thread_time_ns() - began) / 1000)
            taken[name].append(statistics.quantiles(took, n=10)[0])
    return taken


def asked(size_bytes: int = 7) -> Request:
    """Return a question of so many bytes."""
    text = ("The quick brown fox, 42 times: {'jumps': [over]}\n" * (size_bytes // 49 + 1))[:size_bytes]
    return Request(MODEL, (Message("user", (Text(text),)),), origin=Origin(call_id="call", tag="tag"))


def canned(_: Request) -> Generator[Event, None, None]:
    """Answer at once: the gateway that costs nothing."""
    yield Opened("gen-1762179802-benchmark")
    yield Piece(Text("0000 "))
    yield Metered(Usage(10, 1, total_tokens=11, cost_usd=Decimal("0.00123")))
    yield Closed("ok", finish_reason="stop", model=MODEL, provider="OpenAI", generation_id="gen-1762179802-benchmark")


def layers(ledger: Ledger, purse: Purse) -> dict[str, Callable[[], Send]]:
    """Return the stack as a session wires it, grown from the inside; what a call makes anew is made anew."""
    breakers, limiter = Breakers(), Limiter(built_in("openrouter"))
    desk = Desk(
        "session", "openrouter", fit=purse.fit, settled=lambda _: None, limits=purse.limits, alert=purse.alert,
        estimate=estimate_tokens,
    )  # fmt: skip
    elsewhere = Elsewhere(lambda _: None)

    def pause(_request: Request, _seconds: float) -> bool:
        return True

    def books() -> Send:
        return account(canned, ledger, desk)

    def limits() -> Send:
        return rate_limit(books(), limiter, pause)

    def circuits() -> Send:
        return breaker(limits(), breakers, "openrouter")

    def retries() -> Send:
        return retry(circuits(), pause, Policy())

    return {
        "account": books,
        "+ rate limit": limits,
        "+ breaker": circuits,
        "+ retry": retries,
        "+ fallback: the whole stack": lambda: fallback(retries(), elsewhere),
    }


def through(send: Callable[[], Send]) -> Callable[[], None]:
    """Return a call that is read to its end."""
    request = asked()

    def call() -> None:
        for _ in send()(request):
            continue

    return call


def around_a_call(folder: Path, rounds: int) -> Samples:
    """Return what the layers take, one more each time, with books in this folder."""
    catalog = Catalog(folder / "models.json", dict)
    free, bound = (Purse(lambda told=told: told, "session", catalog, "openrouter") for told in (NO_BUDGETS, BUDGETS))
    ledgers = [Ledger(SqliteStore(folder / f"stack{number}.sqlite")) for number in range(3)]
    contenders = {
        "nothing around it": through(lambda: canned),
        "the two commits": lambda: open_and_settle(ledgers[0], ()),
        **{name: through(send) for name, send in layers(ledgers[1], free).items()},
        "the whole stack, five budgets": through(layers(ledgers[2], bound)["+ fallback: the whole stack"]),
    }
    samples = turns(rounds, contenders, _CALLS)
    for ledger in ledgers:
        ledger.close()
    return samples


def bench_stack(folder: Path, rounds: int) -> Found:
    """What the middleware takes of the CPU beside the two commits that every call has.

    Once more with the books in memory, where there is such a place: a file system's own work is not the middleware's.
    """
    samples = {"on disk": around_a_call(folder, rounds)}
    if _MEMORY.is_dir():
        with tempfile.TemporaryDirectory(dir=_MEMORY) as memory:
            samples["in memory"] = around_a_call(Path(memory), rounds)
    rows: list[dict[str, Any]] = []
    targets = []
    for name in samples["on disk"]:
        row: dict[str, Any] = {"around one call, CPU µs": name}
        for where, taken in samples.items():
            apart_us = min(taken[name]) - min(taken["the two commits"]) - min(taken["nothing around it"])
            row |= {f"books {where}": min(taken[name]), f"{where}, beside the two commits": max(0.0, apart_us) or None}
            if "whole stack" in name:
                targets.append(common.Target(f"{name}, books {where}, ms", apart_us / 1000, 0.5))
        rows.append(row)
    flat = {f"{where}: {name}": values for where, taken in samples.items() for name, values in taken.items()}
    return rows, targets, flat


def bench_crowd(folder: Path, rounds: int) -> Found:
    """Budgets checked by many at once: each call a row opened and settled, durably, by one writer at a time."""
    numbers = itertools.count()
    rows: list[dict[str, Any]] = []
    samples: Samples = {}
    for processes, threads in ((1, 1), (1, _THREADS), (_PROCESSES, _THREADS // _PROCESSES)):
        taken: dict[str, list[Sequence[float]]] = {name: [] for name in WORK}
        for _ in range(rounds):
            for name in WORK:
                path = folder / f"crowd{next(numbers)}.sqlite"
                taken[name].append(crowd(name, path, processes, threads))
        for name, told in taken.items():
            best = max(told)
            crew = f"{processes} × {threads}"
            rows.append(
                {
                    "processes × threads": crew, "what": name, "calls/s": best[0],
                    "latency, median, ms": best[1], "p95, ms": best[2], "the slowest, ms": best[3],
                }
            )  # fmt: skip
            samples[f"{crew}, {name}, calls/s"] = [each[0] for each in told]
    speed = {(row["processes × threads"], row["what"]): row["calls/s"] for row in rows}
    crew = f"1 × {_THREADS}"
    free, budgets = speed[crew, "open + settle, no budget"], speed[crew, "open + settle, five budgets"]
    targets = [
        common.Target("64 threads: five budgets, × calls/s without", budgets / free, 0.8, at_least=True),
    ]
    return rows, targets, samples


def filled(path: Path, rows: int) -> Ledger:
    """Return a ledger with a year of rows, of which the last is now, brought up to date from its first step."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in STEPS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        now_us = int(datetime.now(UTC).timestamp() * 1e6)
        connection.execute(
            "INSERT INTO calls (row_id, started_at, session, source, purpose, tag, call_id, attempt, gateway, "
            "model_requested, status, cost_text, cost_pico, cost_source, host, pid) "
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "
            "SELECT hex(randomblob(16)), ? - (? - n) * (31536000000000 / ?), 'session' || (n * 400 / ?), 'cell', "
            "'answer', iif(n % 3, NULL, 'tag'), hex(randomblob(16)), 1, 'openrouter', 'openai/gpt-4o-mini', 'ok', "
            "'0.00123', 1230000000, 'billed', 'host', 1 FROM n WHERE ? > 0",
            (rows, now_us, rows, max(rows, 1), max(rows, 1), rows),
        )
    connection.close()
    ledger = Ledger(SqliteStore(path))
    ledger.unsettled()
    return ledger


def bench_rows(folder: Path, rounds: int, sizes: Sequence[int]) -> Found:
    """A budget is looked up, not added up: the same at any length of history."""
    ledgers, upgrade_s = {}, {}
    for size in sizes:
        began = time.perf_counter()
        ledgers[size] = filled(folder / f"rows{size}.sqlite", size)
        upgrade_s[size] = time.perf_counter() - began
        print(f"{size:,} rows filled in {upgrade_s[size]:.1f} s", file=sys.stderr)
    purse = Purse(lambda: BUDGETS, "session", Catalog(folder / "models.json", dict), "openrouter")
    limits = purse.limits(asked(), datetime.now(UTC))

    def look(ledger: Ledger) -> Callable[[], object]:
        return lambda: ledger.standings(limits)

    def book(ledger: Ledger) -> Callable[[], object]:
        return lambda: open_and_settle(ledger, limits)

    looked = turns(rounds, {str(size): look(ledger) for size, ledger in ledgers.items()}, _CALLS)
    booked = turns(rounds, {str(size): book(ledger) for size, ledger in ledgers.items()}, _CALLS)
    for ledger in ledgers.values():
        ledger.close()
    rows = [
        {
            "rows in the ledger": f"{size:,}", "how five budgets stand, CPU µs": min(looked[str(size)]),
            "open + settle, five budgets, CPU µs": min(booked[str(size)]),
        }
        for size in sizes
    ]  # fmt: skip
    first, last = str(min(sizes)), str(max(sizes))
    ratio = min(booked[last]) / min(booked[first])
    targets = [common.Target(f"open + settle at {int(last):,} rows, × {first} rows, by CPU", ratio, 1.5)]
    return rows, targets, {f"looked {k}": v for k, v in looked.items()} | {f"booked {k}": v for k, v in booked.items()}


def bench_prompts(folder: Path, rounds: int) -> Found:
    """What a bound, a limit that a budget buys, and an estimate take of prompts of three sizes."""
    purse = Purse(lambda: BUDGETS, "session", Catalog(folder / "models.json", dict), "openrouter")
    left_usd = Decimal(1)
    contenders: dict[str, Callable[[], object]] = {}
    for name, size in PROMPTS.items():
        request = replace(asked(size), params={"temperature": 0.5})
        contenders |= {
            f"estimate of {name}": lambda request=request: estimate_tokens(request),
            f"bound of {name}": lambda request=request: purse.bound(request),
            f"under a budget: limit and bound of {name}": lambda request=request: purse.fit(request, left_usd),
        }
    samples = turns(rounds, contenders, 50)
    rows: list[dict[str, Any]] = [
        {"prompt": what, **{name: min(samples[f"{what} of {name}"]) for name in PROMPTS}}
        for what in ("estimate", "bound", "under a budget: limit and bound")
    ]
    targets = [
        common.Target(f"{row['prompt']}: µs a kB at 1 MB, × at 10 kB", row["1 MB"] / 100 / row["10 kB"], 1.2)
        for row in rows
    ]
    return rows, targets, samples


def main() -> int:
    """Measure everything, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="0,10000,100000,1000000")
    arguments = parser.parse_args()
    sizes = sorted(int(size) for size in arguments.rows.split(","))
    all_rows: list[dict[str, Any]] = []
    all_targets: list[common.Target] = []
    all_samples: Samples = {}
    with common.home() as folder:
        for title, bench in (
            ("The middleware around a call", bench_stack),
            ("Budgets under many threads", bench_crowd),
            ("Budgets and a long history", lambda folder, rounds: bench_rows(folder, rounds, sizes)),
            ("Bounds and estimates, CPU µs", bench_prompts),
        ):
            rows, targets, samples = bench(folder, arguments.rounds)
            common.show(title, rows, targets)
            all_rows += [{"table": title} | row for row in rows]
            all_targets += targets
            all_samples |= samples
    common.write("money", all_rows, all_targets, all_samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
