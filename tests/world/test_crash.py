"""R3: processes killed at any moment lose nothing that was settled, and the next session finds what they left open."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import connect
from or_magic.ledger.record import to_json
from or_magic.offline import Server, serve

from ..guards import HANG_S
from .kit import LIMITS, ROOT, books, integrity, row

KILLED = 9
POINTS = (
    "before open", "after open", "before note", "after note", "before settle", "after settle", "commit",
    "opened", "first piece", "fifth piece", "metered", "closed",
)  # fmt: skip
MODELS = ("offline/plain", "openai/gpt-4o-mini", "offline/usage-no-cost", "offline/long:200")


class Nursery:
    """The forking process: give it a child's orders, get the signal that ended the child."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.world.crash_child"]
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def raise_one(self, **orders: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def orders(server: Server, home: Path, name: str, **more: Any) -> dict[str, Any]:
    told = {"url": server.url, "home": str(home), "name": name, "acks": f"{home}.acks", "calls": 20,
            "model": "offline/plain"}  # fmt: skip
    return told | more


def _deaths(nursery: Nursery, server: Server, home: Path, count: int, seed: int) -> None:
    """Kill ``count`` children on one ledger and check it after each."""
    chance, killed = random.Random(seed), 0
    for number in range(count):
        point = chance.choice((*POINTS, "", "", "", ""))
        more: dict[str, Any] = {"point": point, "nth": chance.randint(1, 8), "model": chance.choice(MODELS)}
        if not point:
            more["kill_after_s"] = chance.uniform(0.005, 0.08)
        ended = nursery.raise_one(**orders(server, home, f"{home.name}-{number:04}", **more))
        killed += ended == KILLED
        assert point == "" or ended == KILLED, more
        _check(server, home)
    assert killed >= 0.9 * count


def _check(server: Server, home: Path) -> None:
    ledger, acks = home / "ledger.sqlite", Path(f"{home}.acks")
    if not ledger.exists():
        return
    assert "ok" == integrity(ledger)
    rows = {row["tag"]: row for row in books(ledger)}
    settled = {name for name, row in rows.items() if row["status"] != "open"}
    assert set(acks.read_text().split() if acks.exists() else ()) <= settled
    billed = {each.prompt.partition(":")[0] for each in server.billed() if each.prompt.startswith(f"{home.name}-")}
    assert billed <= set(rows), "a request was received that is not in the books"


def _survive(tmp_path: Path, server: Server, count: int) -> None:
    homes = [tmp_path / f"home{number}" for number in range(2)]
    failed: list[BaseException] = []

    def work(home: Path, seed: int) -> None:
        try:
            with contextlib.closing(Nursery()) as nursery:
                _deaths(nursery, server, home, count // 2, seed)
        except BaseException as error:  # noqa: BLE001  shown by the main thread
            failed.append(error)

    workers = [threading.Thread(target=work, args=(home, seed)) for seed, home in enumerate(homes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]
    for home in homes:
        _next_session(server, home)


def _next_session(server: Server, home: Path) -> None:
    """The session after the crash settles all that can be settled."""
    assert server.idle(HANG_S)
    with connect(base_url=server.url, home=home, timeouts=LIMITS) as session:
        session.reconcile()
    rows = books(home / "ledger.sqlite")
    costs = {each.prompt.partition(":")[0]: each.cost_pico for each in server.billed()}
    assert any(row["error"] == "kernel ended" for row in rows), "no kill left an open row: nothing was proved"
    assert [] == [row["tag"] for row in rows if row["status"] == "open"]
    known = [row for row in rows if row["cost_source"] in ("billed", "reconciled")]
    assert {row["tag"]: costs[row["tag"]] for row in known} == {row["tag"]: row["cost_pico"] for row in known}
    askable = [row for row in rows if row["generation_id"] is not None]
    assert [] == [row["tag"] for row in askable if row not in known]
    assert len(rows) == len({row["row_id"] for row in rows})


def test_three_hundred_kills_lose_nothing(tmp_path: Path, server: Server) -> None:
    """Random moments and named points; the bound of 0 in 300 is 1 %."""
    _survive(tmp_path, server, 300)


@pytest.mark.long
def test_three_thousand_kills_lose_nothing(tmp_path: Path, server: Server) -> None:
    """The full N: the bound is 0.1 %."""
    _survive(tmp_path, server, 3_000)


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_kill_at_the_first_commits_leaves_a_ledger_that_opens(
    tmp_path: Path, server: Server, nursery: Nursery, nth: int
) -> None:
    """The table itself is made in one transaction: there is none, or a whole one."""
    home = tmp_path / "fresh"
    point = "migration" if nth == 1 else "commit"
    assert KILLED == nursery.raise_one(**orders(server, home, "fresh", point=point, nth=nth - 1))
    assert "ok" == integrity(home / "ledger.sqlite")
    with connect(base_url=server.url, home=home, timeouts=LIMITS) as session:
        session.ask("Still there?", model="offline/plain", tag="after")
    assert "ok" == {row["tag"]: row["status"] for row in books(home / "ledger.sqlite")}["after"]


def test_a_kill_while_the_spool_is_drained_neither_loses_nor_doubles(
    tmp_path: Path, server: Server, nursery: Nursery
) -> None:
    """The lines go only after the rows are on disk, and rows that come again change nothing."""
    home = tmp_path / "spooled"
    home.mkdir()
    lines = [{"op": "open", "row": to_json(row(f"waiting {number}", pid=1))} for number in range(50)]
    (home / "ledger.spool.jsonl").write_text("".join([json.dumps(line) + "\n" for line in lines]))
    assert KILLED == nursery.raise_one(**orders(server, home, "drained", point="drain"))
    assert KILLED == nursery.raise_one(**orders(server, home, "drained", point="drain"))
    assert 0 == nursery.raise_one(**orders(server, home, "drained", calls=1))
    tags = Counter(found["tag"] for found in books(home / "ledger.sqlite"))
    assert {f"waiting {number}": 1 for number in range(50)} | {"drained/00": 1} == tags
    assert not (home / "ledger.spool.jsonl").exists()
