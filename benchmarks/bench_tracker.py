"""The tracker against its limits: a history of a million rows as frame, summary and plot, and durable bookkeeping.

    python benchmarks/bench_tracker.py [--rows 1000000] [--rounds 3]

Peers alternate with ours in one run; printed are medians of wall and CPU seconds, and how ours relates to its target
(PERFORMANCE.md, "Tracker"). The figures also go to ``results/tracker.json``.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import pandas as pd

from or_magic.features.frame import COLUMNS as FRAME_COLUMNS
from or_magic.features.summary import summarize
from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger
from or_magic.ledger.record import COLUMNS, to_record
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

RESULTS = Path(__file__).resolve().parent / "results" / "tracker.json"
MODELS = (
    "anthropic/claude-sonnet-4.6", "openai/gpt-5.5", "google/gemini-3-pro", "deepseek/deepseek-v4", "qwen/qwen4-max",
    "mistralai/mistral-large", "x-ai/grok-5", "meta-llama/llama-5", "openai/gpt-5.5-mini", "z-ai/glm-6",
)  # fmt: skip
SAME = [
    name if name != "tokens_per_s" else "NULL AS tokens_per_s"
    for name in (n.replace("_usd", "_pico") for n in FRAME_COLUMNS)
]


@dataclass
class Times:
    """Wall and CPU seconds of one contestant."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def take(self, action: Callable[[], Any]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)

    @property
    def medians(self) -> tuple[float, float]:
        return statistics.median(self.wall_s), statistics.median(self.cpu_s)


def race(rounds: int, contestants: dict[str, Callable[[], Any]], *, tidy: bool = True) -> dict[str, Times]:
    """Let them run in turns, so that a busy minute of the machine hits all alike."""
    times = {name: Times() for name in contestants}
    for _ in range(rounds):
        for name, action in contestants.items():
            if tidy:  # nobody pays for what the one before him left
                gc.collect()
            times[name].take(action)
    return times


def records(count: int) -> Iterator[tuple[Any, ...]]:
    """Rows as people's ledgers hold them: a few models and notebooks, hundreds of sessions, ids that differ."""
    chance = random.Random(1)
    sessions = [f"{chance.getrandbits(48):012x}" for _ in range(400)]
    started_us = 1_750_000_000_000_000
    for n in range(count):
        started_us += chance.randrange(1, 60_000_000)
        model = MODELS[min(int(chance.expovariate(0.5)), 9)]
        fine = chance.random() < 0.95
        prompt, completion = chance.randrange(20, 4000), chance.randrange(1, 1500)
        cost = prompt * 3_000_000 + completion * 15_000_000
        told: dict[str, Any] = {
            "row_id": f"{chance.getrandbits(128):032x}", "started_at": started_us, "user": "ada",
            "session": sessions[n * 400 // count], "notebook": f"analysis_{n * 40 // count}.ipynb",
            "cell_id": f"{n // 50:08x}-1234", "source": "cell", "purpose": "answer", "tag": None if n % 3 else "exp",
            "call_id": f"{chance.getrandbits(128):032x}", "attempt": 1, "gateway": "openrouter",
            "parent_call_id": None if n % 5 else f"{chance.getrandbits(128):032x}", "model_requested": model,
            "status": "error", "error": "ProviderError 502", "cost_source": "unknown", "bound_pico": 10**10,
            "latency_s": chance.uniform(2, 20), "host": "laptop", "pid": 4711,
        }  # fmt: skip
        if fine:
            told |= {
                "status": "ok", "error": None, "model": model, "provider": model.split("/")[0], "finish_reason": "stop",
                "prompt_tokens": prompt, "completion_tokens": completion, "reasoning_tokens": 0, "cached_tokens": 0,
                "total_tokens": prompt + completion, "cost_text": f"{cost / 1e12:.12f}", "cost_pico": cost,
                "cost_source": "billed", "first_token_s": chance.uniform(0.2, 2),
                "generation_id": f"gen-{n}-{chance.getrandbits(80):020x}",
            }  # fmt: skip
        yield tuple(told.get(name) for name in COLUMNS)


def insert(count: int) -> str:
    return f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * count)})"


def make_ledger(place: Path, count: int) -> Ledger:
    ledger = Ledger(SqliteStore(place))
    ledger.unsettled()  # makes the table
    with sqlite3.connect(place) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(insert(len(COLUMNS)), records(count))
    connection.close()
    return ledger


def bench_frame(ledger: Ledger, rounds: int) -> dict[str, Times]:
    def read(columns: str) -> pd.DataFrame:
        with sqlite3.connect(ledger.path) as connection:
            frame = pd.read_sql(f"SELECT {columns} FROM calls ORDER BY id", connection)
        connection.close()
        return frame

    def dicts() -> pd.DataFrame:
        with sqlite3.connect(ledger.path) as connection:
            found = connection.execute(f"SELECT {', '.join(SAME)} FROM calls ORDER BY id")
            names = [column[0] for column in found.description]
            frame = pd.DataFrame([dict(zip(names, record, strict=True)) for record in found])
        connection.close()
        return frame

    return race(
        rounds,
        {
            "ours: tracker.frame(all=True), cold": lambda: Tracker(ledger, "none").frame(all=True),
            "pd.read_sql, the same columns": lambda: read(", ".join(SAME)),
            "pd.read_sql, SELECT *": lambda: read("*"),
            "DataFrame(list of dicts)": dicts,
        },
    )


def bench_warm(ledger: Ledger, rounds: int) -> tuple[dict[str, Times], dict[str, Times], dict[str, Times]]:
    tracker = Tracker(ledger, "none")
    frame = tracker.frame(all=True)
    summaries = race(
        rounds * 3,
        {
            "ours: summarize(frame, 'model')": lambda: summarize(frame),
            "ours: tracker.summary(all=True), warm": lambda: tracker.summary(all=True),
            "ours: by notebook, model and tag": lambda: summarize(frame, ["notebook", "model", "tag"]),
            "pandas groupby, the same figures": lambda: grouped(frame),
            "SQL sums by model": lambda: list(
                ledger.batches(
                    ("model", "count(*)", "avg(latency_s)", "sum(prompt_tokens)", "sum(cost_pico)"), "1 GROUP BY 1", ()
                )
            ),
        },
    )
    plots = race(
        rounds * 3,
        {
            "ours: tracker.plot(all=True), warm": lambda: plt.close(tracker.plot(all=True).figure),
            "ours: the same, drawn to PNG": lambda: picture(tracker.plot(all=True)),
            "ours: tracker.plot('notebook'), to PNG": lambda: picture(tracker.plot("notebook", all=True)),
            "ours: tracker.plot('day'), to PNG": lambda: picture(tracker.plot("day", all=True)),
            "ours: tracker.plot('latency'), to PNG": lambda: picture(tracker.plot("latency", all=True)),
            "every point of every line, to PNG": lambda: picture(every_point(frame)),
        },
    )
    others = race(
        rounds * 3,
        {
            "tracker.frame(all=True), warm": lambda: tracker.frame(all=True),
            "tracker.total(all=True)": lambda: tracker.total(all=True),
            "tracker.total() of one of 400 sessions": lambda: Tracker(ledger, str(frame["session"].iloc[-1])).total(),
        },
    )
    return summaries, plots, others


def grouped(frame: pd.DataFrame) -> pd.DataFrame:
    groups = frame.groupby("model", observed=True, dropna=False)
    table = groups[["prompt_tokens", "completion_tokens", "total_tokens", "cost_usd"]].sum(min_count=1)
    table["calls"] = groups.size()
    table["mean_latency_s"] = groups["latency_s"].mean()
    table["p95_latency_s"] = groups["latency_s"].quantile(0.95)
    table["success_rate"] = frame["status"].isin(("ok", "cached")).groupby(frame["model"], observed=True).mean()
    return table


def every_point(frame: pd.DataFrame) -> Any:
    _, ax = plt.subplots()
    for name, group in frame.groupby("model", observed=True):
        ax.plot(group["started_at"], group["cost_usd"].cumsum(), drawstyle="steps-post", label=name)
    return ax


def picture(ax: Any) -> None:
    ax.figure.savefig(io.BytesIO(), format="png")
    plt.close(ax.figure)


def bench_durable(folder: Path, count: int) -> dict[str, Times]:
    """One intent and its outcome on disk, against one commit of the same record into the same table."""
    ledger = Ledger(SqliteStore(folder / "durable.sqlite"))
    plain = SqliteStore(folder / "plain.sqlite")
    plain.rows("0")
    plain.close()
    connection = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    numbers = iter(range(10**9))

    def row() -> Row:
        return Row(
            row_id=f"{next(numbers):032x}", call_id="c", started_at=datetime.now(UTC), session="s",
            gateway="openrouter", model_requested=MODELS[0], bound_usd=Decimal("0.01"), host="laptop", pid=1,
        )  # fmt: skip

    def ours() -> None:
        mine = row()
        ledger.open(mine)
        ledger.settle(replace(mine, status="ok", cost_usd=Decimal("0.000123"), cost_source="billed", latency_s=1.0))

    def one_commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert(len(COLUMNS)), to_record(row()))
        connection.execute("COMMIT")

    try:
        return race(count, {"ours: ledger.open + ledger.settle": ours, "one WAL FULL commit": one_commit}, tidy=False)
    finally:
        ledger.close()
        connection.close()


def show(title: str, times: dict[str, Times]) -> dict[str, dict[str, float]]:
    print(f"\n{title:<48}{'wall s':>12}{'CPU s':>12}{'× first':>10}")
    first = next(iter(times.values())).medians[0]
    table = {}
    for name, taken in times.items():
        wall_s, cpu_s = taken.medians
        print(f"  {name:<46}{wall_s:>12.6f}{cpu_s:>12.6f}{wall_s / first:>10.2f}")
        table[name] = {"wall_s": wall_s, "cpu_s": cpu_s}
    return table


def main() -> None:
    told = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    told.add_argument("--rows", type=int, default=1_000_000)
    told.add_argument("--rounds", type=int, default=3)
    options = told.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = make_ledger(Path(folder) / "ledger.sqlite", options.rows)
        tables = {"frame": show(f"frame of {options.rows:,} rows", bench_frame(ledger, options.rounds))}
        summaries, plots, others = bench_warm(ledger, options.rounds)
        tables["summary"] = show("summary", summaries)
        tables["plot"] = show("plot", plots)
        tables["other"] = show("other", others)
        tables["durable"] = show("durable, a call", bench_durable(Path(folder), 300))
        ledger.close()

    def wall_s(table: str, name: str) -> float:
        return tables[table][name]["wall_s"]

    frame_s = wall_s("frame", "ours: tracker.frame(all=True), cold")
    durable_s = wall_s("durable", "ours: ledger.open + ledger.settle")
    targets = {
        "frame / read_sql of the same columns": (frame_s / wall_s("frame", "pd.read_sql, the same columns"), 0.6),
        "frame / read_sql of the same table": (frame_s / wall_s("frame", "pd.read_sql, SELECT *"), 0.6),
        "summary, s": (wall_s("summary", "ours: summarize(frame, 'model')"), 0.1),
        "plot to PNG, s": (wall_s("plot", "ours: the same, drawn to PNG"), 0.5),
        "plot by day to PNG, s": (wall_s("plot", "ours: tracker.plot('day'), to PNG"), 0.5),
        "plot of latency to PNG, s": (wall_s("plot", "ours: tracker.plot('latency'), to PNG"), 0.5),
        "open + settle / one commit": (durable_s / wall_s("durable", "one WAL FULL commit"), 3.0),
    }
    print(f"\n{'target':<48}{'found':>12}{'at most':>12}")
    for name, (found, most) in targets.items():
        print(f"  {name:<46}{found:>12.3f}{most:>12.3f}  {'met' if found <= most else 'MISSED'}")
    RESULTS.parent.mkdir(exist_ok=True)
    about = {
        "rows": options.rows,
        "python": platform.python_version(),
        "pandas": pd.__version__,
        "mpl": mpl.__version__,
    }
    told_targets = {name: {"found": found, "at_most": most} for name, (found, most) in targets.items()}
    RESULTS.write_text(json.dumps({"about": about, "targets": told_targets, "tables": tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
