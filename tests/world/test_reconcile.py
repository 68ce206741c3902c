"""What a call cost is asked for until it is known or patience ends; and rows that a crash left open are found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session
from or_magic.errors import (
    CallError,
    ConnectionFailedError,
    KeyRefusedError,
    ProviderError,
    RateLimitedError,
    TruncatedError,
    UnknownModelError,
)
from or_magic.ledger import Ledger
from or_magic.ledger.reconcile import Reconciler, can_ask, reconciled
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row, Timeouts

from ..guards import AGES_S, HANG_S
from .fixtures import Connect
from .kit import Asked, RawServer, books, hard_deadline, own_threads, response, row, until

FAST = (0.0, 0.01, 0.01)
Told = Mapping[str, Any]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    yield ledger
    ledger.close()


def pending(ledger: Ledger, name: str = "one", **facts: Any) -> Row:
    """Write a row whose cost is not known and can be asked for, and return it."""
    told = row(name, **({"status": "interrupted", "generation_id": f"gen-{name}"} | facts))
    ledger.open(told)
    return told


class Gateway:
    """Answers /generation from a list, an exception or a mapping at a time; the last one for ever."""

    def __init__(self, *answers: Told | CallError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, generation_id: str) -> Told:
        self.asked.append(generation_id)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, CallError):
            raise answer
        return answer


def reconciler(ledger: Ledger, gateway: Callable[[str], Told], **settings: Any) -> Reconciler:
    """Return one for the gateway that the rows of these tests name."""
    return Reconciler(ledger, gateway, **({"gateway": "offline", "delays_s": FAST} | settings))


def found(ledger: Ledger) -> dict[str, Any]:
    (told,) = books(ledger.path)
    return told


def unknown() -> UnknownModelError:
    return UnknownModelError("not found", status_code=404)


def test_a_generation_that_is_late_is_asked_for_again(offline: Session) -> None:
    """/generation can answer 404 for a while."""
    with pytest.raises(TruncatedError):
        offline.ask("Hello", model="offline/generation-late:1")
    assert offline.engine.reconciler.wait(HANG_S)
    (told,) = books(offline.engine.ledger.path)
    (billed,) = offline.engine.gateways.server.billed()
    assert ("partial", "reconciled", billed.cost_pico) == (told["status"], told["cost_source"], told["cost_pico"])
    assert Decimal(billed.cost_text) == Decimal(told["cost_text"])
    assert billed.completion_tokens == told["completion_tokens"]


def test_patience_is_bounded(ledger: Ledger) -> None:
    """A generation that nobody ever knows must not be asked for for ever."""
    gateway = Gateway(unknown())
    asking = reconciler(ledger, gateway)
    asking.soon(pending(ledger))
    assert asking.wait(HANG_S)
    assert ["gen-one"] * len(FAST) == gateway.asked
    assert "unknown" == found(ledger)["cost_source"]


@pytest.mark.parametrize(
    "trouble",
    [unknown(), RateLimitedError("slow down", status_code=429), ProviderError("oops"), ConnectionFailedError("no"), {}, {"total_cost": None},
     {"total_cost": "0.5"}, {"total_cost": True}, {"total_cost": Decimal(-1)}, {"total_cost": Decimal("1e30")}],
    ids=repr,
)  # fmt: skip
def test_trouble_is_not_an_answer(ledger: Ledger, trouble: Told | CallError) -> None:
    """It is asked again, and what comes then is taken."""
    asking = reconciler(ledger, Gateway(trouble, {"total_cost": Decimal("0.5")}))
    asking.soon(pending(ledger))
    assert asking.wait(HANG_S)
    assert ("reconciled", 5 * 10**11) == (found(ledger)["cost_source"], found(ledger)["cost_pico"])


@pytest.mark.parametrize(
    ("discount", "pico"),
    [(Decimal("0.0002"), 2 * 10**8), (Decimal("-0.5"), -5 * 10**11), (None, None), (0, None), ("1", None),
     (True, None), (Decimal("1e30"), None), (Decimal("NaN"), None)],
    ids=repr,
)  # fmt: skip
def test_what_the_cache_saved_is_read_where_the_cost_is(ledger: Ledger, discount: Any, pico: int | None) -> None:
    """A call that was interrupted has no usage to work it out of; below 0 it is what writing the cache cost."""
    asking = reconciler(ledger, Gateway({"total_cost": Decimal("0.5"), "cache_discount": discount}))
    asking.soon(pending(ledger, "x"))
    assert asking.wait(HANG_S)
    assert (5 * 10**11, pico) == (found(ledger)["cost_pico"], found(ledger)["saved_pico"])


@pytest.mark.parametrize(
    "told",
    [{"native_tokens_prompt": 10**40}, {"native_tokens_completion": -1}, {"model": 5, "provider_name": []},
     {"model": "\ud800"}, {"finish_reason": {"a": 1}}],
    ids=repr,
)  # fmt: skip
def test_a_strange_generation_does_not_end_reconciling(ledger: Ledger, told: Told) -> None:
    """One odd answer must not leave all later calls unknown."""
    asking = reconciler(ledger, Gateway({"total_cost": Decimal("0.5"), **told}))
    asking.soon(pending(ledger, "odd"))
    asking.soon(pending(ledger, "next"))
    assert asking.wait(HANG_S)
    costs = {each["tag"]: each["cost_pico"] for each in books(ledger.path)}
    assert {"odd": 5 * 10**11, "next": 5 * 10**11} == costs


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_surprise_does_not_end_reconciling(ledger: Ledger) -> None:
    """A thread that died must not stand in the way of the next one."""
    calls: list[str] = []

    def surprising(generation_id: str) -> Told:
        calls.append(generation_id)
        if len(calls) == 1:
            raise RuntimeError("surprise")
        return {"total_cost": Decimal("0.5")}

    asking = reconciler(ledger, surprising)
    asking.soon(pending(ledger, "first"))
    assert asking.wait(HANG_S)
    asking.soon(pending(ledger, "second"))
    assert asking.wait(HANG_S)
    assert "reconciled" == {each["tag"]: each["cost_source"] for each in books(ledger.path)}["second"]


@pytest.mark.parametrize("identity", [None, "", "chatcmpl-1", "GEN-1", "resp_1"])
def test_only_openrouters_own_ids_are_asked_for(ledger: Ledger, identity: str | None) -> None:
    """Other servers have no /generation."""
    gateway = Gateway({"total_cost": Decimal(1)})
    asking = reconciler(ledger, gateway)
    told = pending(ledger, generation_id=identity)
    assert not can_ask(told)
    asking.soon(told)
    assert (0, 0) == asking.now()
    assert [] == gateway.asked


def test_ids_of_one_gateway_are_not_told_to_another(ledger: Ledger) -> None:
    """One ledger serves several; each knows its own generations only."""
    gateway = Gateway({"total_cost": Decimal(1)})
    asking = reconciler(ledger, gateway)
    pending(ledger, "ours")
    pending(ledger, "theirs", gateway="api.elsewhere.example")
    assert (1, 0) == asking.now()
    assert ["gen-ours"] == gateway.asked


def test_what_is_known_is_not_asked_for(ledger: Ledger) -> None:
    """It would only cost time."""
    gateway = Gateway({"total_cost": Decimal(1)})
    for source in ("billed", "reconciled", "none"):
        pending(ledger, source, status="ok", cost_source=source, cost_usd=Decimal(0))
    assert (0, 0) == reconciler(ledger, gateway).now()
    assert [] == gateway.asked


def test_now_counts_what_is_settled_and_what_is_not(ledger: Ledger) -> None:
    """A refusal of the question is no answer to it."""
    answers: dict[str, Told | CallError] = {
        "gen-known": {"total_cost": Decimal("0.1")}, "gen-late": unknown(), "gen-foreign": KeyRefusedError("no", status_code=401),
    }  # fmt: skip

    def ask(generation_id: str) -> Told:
        answer = answers[generation_id]
        if isinstance(answer, CallError):
            raise answer
        return answer

    for name in ("known", "late", "foreign"):
        pending(ledger, name)
    assert (1, 2) == reconciler(ledger, ask).now()


def test_the_thread_lives_only_while_something_waits(ledger: Ledger) -> None:
    """A notebook that is idle for a day has no thread of ours."""
    asking = reconciler(ledger, Gateway({"total_cost": Decimal("0.5")}))
    assert "or_magic reconcile" not in own_threads()
    for number in range(3):
        asking.soon(pending(ledger, f"call {number}"))
        assert asking.wait(HANG_S)
        assert until(lambda: "or_magic reconcile" not in own_threads())
    assert {"reconciled"} == {each["cost_source"] for each in books(ledger.path)}


def test_close_ends_a_long_wait_at_once(ledger: Ledger) -> None:
    """Closing a notebook must not take thirty seconds."""
    gateway = Gateway(unknown())
    asking = reconciler(ledger, gateway, delays_s=(AGES_S,))
    asking.soon(pending(ledger))
    with hard_deadline():
        asking.close()
    assert "or_magic reconcile" not in own_threads()
    asking.soon(pending(ledger, "later"))
    assert [] == gateway.asked


def test_close_ends_a_question_that_hangs_at_once(open_session: Connect) -> None:
    """Also while a gateway that does not answer is being asked."""
    began_asking = threading.Event()

    def hang(sock: socket.socket, _: Asked) -> None:
        began_asking.set()
        sock.recv(1)  # until the client leaves

    with RawServer(hang) as server:
        session = open_session(base_url=server.url, timeouts=Timeouts(AGES_S, AGES_S, AGES_S, AGES_S))
        session.engine.reconciler._delays_s = (0.0,)
        session.engine.reconciler.soon(pending(session.engine.ledger, gateway=session.engine.gateway.name))
        assert began_asking.wait(HANG_S)
        with hard_deadline():
            session.close()
        assert [] == own_threads()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPEN_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "of a process that ended": ({"pid": -1}, "unknown"),
    "of this process": ({"pid": os.getpid()}, "open"),
    "of another living process": ({"pid": os.getppid()}, "open"),
    "of an earlier life of this number": ({"pid": os.getpid(), "started_at": -400 * DAY}, "unknown"),
    "of a process whose number another has now": ({"pid": os.getppid(), "started_at": -400 * DAY}, "unknown"),
    "of another host, an hour ago": ({"host": "elsewhere", "pid": 1, "started_at": -HOUR}, "open"),
    "of another host, two days ago": ({"host": "elsewhere", "pid": 1, "started_at": -2 * DAY}, "unknown"),
}


@pytest.mark.parametrize("case", OPEN_ROWS)
def test_an_open_row_is_closed_only_if_nobody_can_settle_it_any_more(ledger: Ledger, case: str) -> None:
    """A running call of another kernel must be left alone."""
    facts, expected = OPEN_ROWS[case]
    facts = facts | ({"started_at": datetime.now(UTC) + facts["started_at"]} if "started_at" in facts else {})
    facts = facts | ({"pid": dead_pid()} if facts["pid"] == -1 else {})
    gateway = Gateway({"total_cost": Decimal("0.5")})
    ledger.open(row("one", generation_id="gen-one", **facts))
    reconciler(ledger, gateway).now()
    told = found(ledger)
    known = expected == "unknown"
    assert (expected, "reconciled" if known else "unknown") == (told["status"], told["cost_source"])
    assert (["gen-one"] if known else []) == gateway.asked


def test_an_orphan_without_an_id_stays_unknown_at_most_its_reservation(ledger: Ledger) -> None:
    """Unknown is never 0: the reservation is what it may have cost."""
    ledger.open(row("bounded", pid=dead_pid(), bound_usd=Decimal("0.25")))
    ledger.open(row("boundless", pid=dead_pid()))
    assert [] == reconciler(ledger, Gateway(unknown())).orphans()
    told = {each["tag"]: (each["status"], each["cost_source"], each["cost_pico"]) for each in books(ledger.path)}
    assert {"bounded": ("unknown", "estimated", 25 * 10**10), "boundless": ("unknown", "unknown", None)} == told


def test_orphans_are_found_by_the_next_session_by_itself(open_session: Connect) -> None:
    """Nobody has to know the word reconcile."""
    session = open_session(offline=True)
    session.engine.ledger.open(row("left", pid=dead_pid()))
    session.ask("Hello", model="offline/plain")
    ledger = session.engine.ledger.path
    assert until(lambda: {"left": "unknown"}.items() <= {each["tag"]: each["status"] for each in books(ledger)}.items())


def test_reconciled_keeps_what_it_is_not_told() -> None:
    """/generation may know less than the stream did."""
    told = row("one", status="interrupted", prompt_tokens=5, completion_tokens=7, model="m", provider="P")
    bare = reconciled(told, {"total_cost": Decimal("0.5")})
    assert replace(told, cost_usd=Decimal("0.5"), cost_source="reconciled") == bare
    full = reconciled(told, {
        "total_cost": Decimal("0.5"), "native_tokens_prompt": 6, "native_tokens_completion": 8, "model": "served",
        "provider_name": "Q", "native_tokens_reasoning": 1, "native_tokens_cached": 2,
    })  # fmt: skip
    assert (6, 8, 14, 1, 2, "served", "Q") == (
        full.prompt_tokens, full.completion_tokens, full.total_tokens, full.reasoning_tokens, full.cached_tokens,
        full.model, full.provider,
    )  # fmt: skip


def test_a_free_generation_costs_zero_not_unknown() -> None:
    """Cost 0 is an answer."""
    assert Decimal(0) == reconciled(row("one"), {"total_cost": 0}).cost_usd


def test_reconcile_of_a_session_asks_its_own_gateway(open_session: Connect) -> None:
    """From the magic's command to the row."""

    def generation(sock: socket.socket, asked: Asked) -> None:
        body = b'{"data":{"total_cost":0.0000123,"native_tokens_prompt":3,"native_tokens_completion":4}}'
        sock.sendall(response(body))

    with RawServer(generation) as server:
        session = open_session(base_url=server.url)
        pending(session.engine.ledger, gateway=session.engine.gateway.name)
        assert (1, 0) == session.reconcile()
        assert [] != [asked for asked in server.asked if asked.line.startswith("GET /api/v1/generation?id=gen-one ")]
    assert (12_300_000, "0.0000123") == (
        found(session.engine.ledger)["cost_pico"], found(session.engine.ledger)["cost_text"],
    )  # fmt: skip
