"""Answers of one chunk: what a call costs besides its answer, in CPU and until the first text.

or_magic writes the row of each call durably, before it is sent and after it has ended; nobody else writes anything.
A round's figure is the median of its calls; the best round counts, and the median of the rounds stands beside it.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import peers
from _common import (
    Contender,
    Sample,
    Target,
    alternate,
    ask_client,
    environment,
    gateway,
    home,
    least,
    middle,
    show,
    write,
)
from bench_stream import contenders, label

_COMMITS = 50
_AT_MOST = {"litellm": 60}  # it never gives a connection back, and its pool has a hundred


def commit_s(folder: Path) -> float:
    """Return what one durable commit takes on the disk where the books are kept: two of them are in every call."""
    with sqlite3.connect(folder / "commit.sqlite", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, text TEXT)")
        taken = []
        for _ in range(_COMMITS):
            started = time.perf_counter()
            connection.execute("INSERT INTO calls (text) VALUES (?)", ("x" * 300,))
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> int:
    """Measure everybody in turns; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    able, missing = contenders(arguments.envs)
    with home() as folder:
        env = environment(folder)
        with gateway(env) as url:

            def measure(each: Contender) -> Sample:
                calls = min(arguments.calls, _AT_MOST.get(each.name, arguments.calls))
                told = ask_client(each, env, url, "small", calls)
                return told | {"commit_s": commit_s(folder)}

            samples = alternate(able, arguments.rounds, measure)
    report(able, samples)
    for peer in missing:
        print(f"{peer.name} is missing: {peer.why}")
    return 0


def report(able: list[Contender], samples: dict[str, list[Sample]]) -> None:
    """Print and write the figures."""
    rows: list[dict[str, Any]] = [
        {
            "one-chunk answers": label(each),
            "CPU µs a call": least(samples[each.name], "cpu_s") * 1e6,
            "first text, µs": least(samples[each.name], "first_s") * 1e6,
            "whole call, µs": least(samples[each.name], "whole_s") * 1e6,
            "median of the rounds": middle(samples[each.name], "whole_s") * 1e6,
            "new connections in 100 calls": round(middle(samples[each.name], "connections")),
        }
        for each in able
        if each.name in samples
    ]
    rows.sort(key=lambda row: row["CPU µs a call"])
    stream, ask, peer = (samples[name] for name in ("or_magic_stream", "or_magic_ask", "openai_sync"))
    targets = [
        Target("first Piece, × openai's first text", least(stream, "first_s") / least(peer, "first_s"), 0.8),
        Target("whole ask with its row, × openai, by CPU", least(ask, "cpu_s") / least(peer, "cpu_s"), 1.5),
        Target("whole ask with its row, × openai, by time", least(ask, "whole_s") / least(peer, "whole_s"), 1.5),
        Target("new connections in 100 calls", middle(ask, "connections"), 0),
    ]
    show("Small calls", rows, targets)
    commits = [sample["commit_s"] for taken in samples.values() for sample in taken]
    print(f"\nOne durable commit on this disk took {statistics.median(commits) * 1e6:,.0f} µs; a call has two.")
    write("small_calls", rows, targets, samples)


if __name__ == "__main__":
    sys.exit(main())
