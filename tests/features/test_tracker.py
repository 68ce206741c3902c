"""The ledger as frame and total: typed, exact, never stale, and nothing unknown looks like 0."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.errors import LedgerError, OptionError
from or_magic.features.frame import COLUMNS
from or_magic.features.summary import total_of
from or_magic.features.tracker import Tracker, moment
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row, Total, to_pico

from ..guards import HANG_S
from .rows import BEGIN, ledger_of, row, tracker_of, unknown

DESIGN = [
    "started_at", "session", "user", "notebook", "cell_id", "source", "purpose", "tag", "chat", "call_id",
    "parent_call_id", "attempt", "gateway", "model_requested", "model", "provider", "status", "finish_reason",
    "error", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "cache_write_tokens",
    "total_tokens", "cost_usd", "cost_source", "upstream_usd", "saved_usd", "first_token_s", "latency_s",
    "tokens_per_s", "generation_id",
]  # fmt: skip


class Counting(Ledger):
    """A ledger that counts how often records are really read."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.reads = 0

    def batches(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
        self.reads += len(columns) > 5
        yield from super().batches(columns, where, values)


# --- the frame


def test_the_columns_are_those_of_the_design_in_their_order(tmp_path: Path) -> None:
    """The names are a contract: people's notebooks use them."""
    assert list(tracker_of(tmp_path, row()).frame().columns) == DESIGN


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_dtypes_do_not_depend_on_the_rows(tmp_path: Path, count: int) -> None:
    """Code that works on a full ledger works on an empty one."""
    frame = tracker_of(tmp_path, *[row(n) for n in range(count)]).frame()
    kinds = {
        "time": "datetime64[us, UTC]",
        "label": "category",
        "word": "category",
        "id": "string",
        "number": "int64",
        "count": "Int64",
        "money": "float64",
        "seconds": "float64",
        "derived": "float64",
    }
    assert count == len(frame)
    assert {name: kinds[kind] for name, kind in COLUMNS.items()} == {n: str(t) for n, t in frame.dtypes.items()}


def test_what_is_unknown_is_na_and_never_0(tmp_path: Path) -> None:
    """A cell never lies: 0 tokens or dollars would be a claim."""
    frame = tracker_of(tmp_path, unknown(model=None)).frame()
    given = {
        "started_at", "session", "source", "purpose", "call_id", "attempt", "gateway", "model_requested", "status",
        "cost_source",
    }  # fmt: skip
    assert given == set(frame.columns[frame.notna().iloc[0]])
    assert frame["cost_usd"].sum(min_count=1) is pd.NA or math.isnan(frame["cost_usd"].sum(min_count=1))


def test_a_row_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Every field, to the microsecond and the pico-dollar."""
    told = {
        "user": "ada", "notebook": 'churn "Q3".ipynb', "cell_id": "c1", "source": "cell", "purpose": "judge",
        "tag": "größe ☂\n", "chat": "", "call_id": "x", "parent_call_id": "y", "attempt": 2, "provider": "Acme",
        "finish_reason": "stop", "error": None, "prompt_tokens": 2**53 + 1, "completion_tokens": 30,
        "reasoning_tokens": 0, "cached_tokens": 1, "cache_write_tokens": 2, "total_tokens": 42,
        "cost_usd": Decimal("0.000123456789"), "cost_source": "reconciled", "upstream_usd": Decimal("0.5"),
        "saved_usd": Decimal(0), "first_token_s": 0.5, "latency_s": 2.0, "generation_id": "gen-1",
    }  # fmt: skip
    moment = BEGIN.replace(microsecond=123456)
    found = tracker_of(tmp_path, row(**told, started_at=moment)).frame().iloc[0]
    assert pd.Timestamp(moment) == found["started_at"]
    assert 20.0 == found["tokens_per_s"]
    for name, value in told.items():
        if value is None:
            assert pd.isna(found[name]), name
        else:
            assert (float(value) if isinstance(value, Decimal) else value) == found[name], name


def test_total_tokens_fall_back_to_their_parts_only_where_both_are_known(tmp_path: Path) -> None:
    """A sum with an unknown part is unknown."""
    parts = [(5, 7, None), (5, None, None), (None, 7, None), (5, 7, 13)]
    rows = [row(n, prompt_tokens=p, completion_tokens=c, total_tokens=t) for n, (p, c, t) in enumerate(parts)]
    assert [12, pd.NA, pd.NA, 13] == list(tracker_of(tmp_path, *rows).frame()["total_tokens"])


def test_speed_is_na_where_it_is_not_defined(tmp_path: Path) -> None:
    """An answer that came in one piece took no time to write: that is no speed, and not infinite either."""
    times = [(10, 1.0, 3.0), (10, 3.0, 3.0), (10, None, 3.0), (None, 1.0, 3.0), (0, 1.0, 3.0), (10, 4.0, 3.0)]
    rows = [row(n, completion_tokens=c, first_token_s=f, latency_s=s) for n, (c, f, s) in enumerate(times)]
    found = tracker_of(tmp_path, *rows).frame()["tokens_per_s"]
    assert [5.0, None, None, None, 0.0, None] == [None if math.isnan(value) else value for value in found]


def test_what_is_not_billable_costs_0(tmp_path: Path) -> None:
    """A refusal is known to cost nothing; a cost that nobody vouches for is unknown whatever its figure."""
    refused = row(0, status="refused", cost_source="none", cost_usd=None)
    doubtful = row(1, cost_source="unknown", cost_usd="0.5")
    tracker = tracker_of(tmp_path, refused, doubtful)
    assert 0.0 == tracker.frame()["cost_usd"][0]
    assert math.isnan(tracker.frame()["cost_usd"][1])
    assert Total(unknown_calls=1) == tracker.total()


def test_rows_are_in_order_of_time_even_if_written_later(tmp_path: Path) -> None:
    """The spool and other kernels may write an old row after a new one."""
    frame = tracker_of(tmp_path, row(9, tag="c"), row(1, tag="a"), row(5, tag="b")).frame()
    assert ["a", "b", "c"] == list(frame["tag"])
    assert [0, 1, 2] == list(frame.index)


def test_categories_are_sorted(tmp_path: Path) -> None:
    """What a plot or a groupby shows does not depend on which call came first."""
    frame = tracker_of(tmp_path, *[row(n, model=name) for n, name in enumerate("bca")]).frame()
    assert ["a", "b", "c"] == list(frame["model"].cat.categories)


def test_a_running_call_is_in_the_frame(tmp_path: Path) -> None:
    """What is being spent right now can be seen."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    ledger.open(unknown(status="open"))
    assert ["open"] == list(Tracker(ledger, "ours").frame()["status"])


def test_what_waits_in_the_spool_is_read_too(tmp_path: Path) -> None:
    """A ledger that could not be written for a while loses nothing."""
    (tmp_path / "ledger.sqlite").mkdir()
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"), warn=lambda _: None)
    ledger.settle(row())
    with pytest.raises(LedgerError):
        Tracker(ledger, "ours").frame()
    (tmp_path / "ledger.sqlite").rmdir()
    assert 1 == len(Tracker(ledger, "ours").frame())


# --- which rows


def test_this_session_is_the_default(tmp_path: Path) -> None:
    """`all` and `since` look at every session."""
    rows = [row(0, session="theirs"), row(3600), row(7200, session="theirs")]
    tracker = tracker_of(tmp_path, *rows, now=lambda: BEGIN + timedelta(hours=2))
    assert 1 == len(tracker.frame())
    assert 3 == len(tracker.frame(all=True))
    assert 2 == len(tracker.frame(since="90m"))
    assert Decimal("0.002") == tracker.total(since=timedelta(hours=1)).billed_usd
    assert 2 == tracker.summary(since=BEGIN + timedelta(hours=1))["calls"].sum()


@pytest.mark.parametrize(
    ("since", "ago"),
    [
        ("7d", timedelta(days=7)),
        (" 12 h ", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("2w", timedelta(weeks=2)),
        ("1.5h", timedelta(hours=1.5)),
        (timedelta(days=1), timedelta(days=1)),
        (pd.Timedelta("1h"), timedelta(hours=1)),
        (np.timedelta64(90, "m"), timedelta(minutes=90)),
        (np.str_("2h"), timedelta(hours=2)),
        (datetime(2026, 11, 20, 13, tzinfo=UTC), timedelta(hours=1)),
        (datetime(2026, 11, 20, 13, tzinfo=timezone(timedelta(hours=2))), timedelta(hours=3)),
        (pd.Timestamp("2026-11-20T13:00Z"), timedelta(hours=1)),
        ("2026-11-20T13:00Z", timedelta(hours=1)),
    ],
)
def test_since_is_a_moment_or_a_time_ago(since: Any, ago: timedelta) -> None:
    """People write what is shortest."""
    assert BEGIN - ago == moment(since, BEGIN)


def test_a_moment_without_a_zone_is_local() -> None:
    """As on the wall clock."""
    local = datetime(2026, 11, 1)  # noqa: DTZ001 - the point of the test
    assert local.astimezone(UTC) == moment(local, BEGIN) == moment("2026-11-01", BEGIN)
    for day in (
        pd.Timestamp("2026-11-01"),
        np.datetime64("2026-11-01"),
        np.datetime64("2026-11-01", "ns"),
        local.date(),
    ):
        assert local.astimezone(UTC) == moment(day, BEGIN)


@pytest.mark.parametrize(
    "since",
    ["", "yesterday", "7 dogs", "7", "-7d", "d", 7, True, object(), "9" * 30 + "d", pd.NaT, np.datetime64("NaT"), "٧d"],
)
def test_a_since_that_makes_no_sense_is_an_error_with_an_example(tmp_path: Path, since: Any) -> None:
    """Nothing is guessed: a wrong stretch of time is a wrong sum."""
    tracker = tracker_of(tmp_path)
    for ask in (tracker.frame, tracker.total, tracker.summary, tracker.plot):
        with pytest.raises(OptionError, match="'7d'"):
            ask(since=since)


# --- the total

MONEY = st.decimals(min_value=0, max_value=1000, places=12)
OUTCOMES = st.sampled_from(["billed", "reconciled", "estimated", "unknown", "none"])
CALLS = st.lists(st.tuples(OUTCOMES, st.none() | MONEY, st.booleans(), st.booleans()), max_size=30)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS)
def test_totals_are_exact(calls: list[tuple[Any, Decimal | None, bool, bool]]) -> None:
    """Money is added as integers, in the database and in a frame alike; nothing unknown is lost."""
    rows = [
        row(n, cost_source=source, cost_usd=usd, session="ours" if ours else "theirs", status="open" if now else "ok")
        for n, (source, usd, ours, now) in enumerate(calls)
    ]

    def added(wanted: list[Row], *sources: str) -> int:
        return sum(to_pico(r.cost_usd) for r in wanted if r.cost_source in sources and r.cost_usd is not None)

    with tempfile.TemporaryDirectory() as folder:
        tracker = tracker_of(Path(folder), *rows)
        for everything in (False, True):
            wanted = [r for r in rows if everything or r.session == "ours"]
            total = tracker.total(all=everything)
            lost = [r for r in wanted if r.cost_source == "unknown" or (r.cost_usd is None and r.cost_source != "none")]
            not_due = [r for r in lost if r.session == "ours" and r.status == "open"]
            assert added(wanted, "billed", "reconciled", "none") == to_pico(total.billed_usd)
            assert added(wanted, "estimated") == to_pico(total.estimated_usd)
            assert len(lost) - len(not_due) == total.unknown_calls
            assert total == total_of(tracker.frame(all=everything), running="ours")


def test_twenty_times_a_twentieth_is_one(tmp_path: Path) -> None:
    """Floats make 0.9999999999999999 of it or worse."""
    tracker = tracker_of(tmp_path, *[row(n, cost_usd="0.05") for n in range(20)])
    assert "$1.0000" == str(tracker.total())
    assert 1.0 == tracker.summary()["cost_usd"].item()


def test_a_call_of_ours_that_runs_now_is_not_unknown(tmp_path: Path) -> None:
    """Its cost is not due yet; an open row of another session may be all that a crash left."""
    open_rows = [unknown(status="open"), unknown(status="open", session="theirs")]
    tracker = tracker_of(tmp_path, *open_rows)
    assert 0 == tracker.total().unknown_calls
    assert 1 == tracker.total(all=True).unknown_calls
    assert [1] == list(tracker.summary(all=True)["unknown_calls"])


def test_simulated_money_says_so(tmp_path: Path) -> None:
    """It is never taken for real money."""
    assert "$0.0010 simulated" == str(tracker_of(tmp_path, row(), simulated=True).total())


# --- reading again


def test_an_unchanged_ledger_is_read_once(tmp_path: Path) -> None:
    """A summary and a plot after a frame of a long history are quick."""
    ledger = Counting(SqliteStore(tmp_path / "ledger.sqlite"))
    ledger.settle(row())
    tracker = Tracker(ledger, "ours")
    tracker.frame()
    tracker.summary()
    tracker.frame(all=False)
    assert 1 == ledger.reads
    tracker.frame(all=True)
    assert 2 == ledger.reads


def test_every_write_is_seen(tmp_path: Path) -> None:
    """Opening, settling and reconciling by this kernel, and writes of another one; never a stale frame."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    tracker = Tracker(ledger, "ours")
    call = unknown(status="open")
    assert 0 == len(tracker.frame())
    ledger.open(call)
    assert ["open"] == list(tracker.frame()["status"])
    ledger.note_generation(call, "gen-1")
    assert ["gen-1"] == list(tracker.frame()["generation_id"])
    ledger.settle(replace(call, status="ok"))
    assert ["ok"] == list(tracker.frame()["status"])
    ledger.settle(replace(call, status="ok", cost_usd=Decimal("0.5"), cost_source="reconciled"))
    assert [0.5] == list(tracker.frame()["cost_usd"])
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"UPDATE calls SET tag='x'\"); c.commit()"
    subprocess.run([sys.executable, "-c", code, str(ledger.path)], check=True, timeout=HANG_S)
    assert ["x"] == list(tracker.frame()["tag"])
    other = unknown(status="open")
    ledger.open(other)
    assert 2 == len(tracker.frame())
    ledger.discard(other)
    assert 1 == len(tracker.frame())


def test_another_file_in_the_same_place_is_seen(tmp_path: Path) -> None:
    """Somebody may delete or restore the ledger while a kernel runs."""
    ledger = ledger_of(tmp_path, [row(), row()])
    tracker = Tracker(ledger, "ours")
    assert 2 == len(tracker.frame())
    ledger.close()
    for place in tmp_path.glob("ledger.sqlite*"):
        place.unlink()
    assert 0 == len(tracker.frame())


def test_a_frame_is_the_readers_own(tmp_path: Path) -> None:
    """Changing it changes neither the next frame nor a summary."""
    tracker = tracker_of(tmp_path, row(prompt_tokens=1))
    frame = tracker.frame()
    frame.loc[0, "cost_usd"] = 99.0
    frame["prompt_tokens"] = 99
    del frame["model"]
    assert 0.001 == tracker.frame()["cost_usd"].item()
    assert 1 == tracker.summary()["prompt_tokens"].item()


def test_a_ledger_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """It names the file; an empty frame would be a lie."""
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database, but long enough to be one" * 100)
    tracker = Tracker(Ledger(SqliteStore(tmp_path / "ledger.sqlite")), "ours")
    for ask in (tracker.frame, tracker.total, tracker.summary, tracker.plot):
        with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
            ask()


def test_reading_does_not_hold_up_writing(tmp_path: Path) -> None:
    """The tracker's look at the file keeps no lock behind."""
    ledger = ledger_of(tmp_path, [row()])
    tracker = Tracker(ledger, "ours")
    tracker.frame()
    tracker.total()
    with sqlite3.connect(ledger.path, timeout=0, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("ROLLBACK")
    other.close()


def test_importing_the_tracker_loads_neither_pandas_nor_matplotlib() -> None:
    """The status line asks it for a total after every cell."""
    code = "import sys, or_magic.features.tracker; print({'pandas', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "set()" == done.stdout.strip()
