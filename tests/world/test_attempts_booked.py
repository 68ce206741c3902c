"""Retries over a real socket, with real books and the call's own brake: each attempt a row, and none too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.content import Text
from or_magic.errors import CallInterruptedError, ConnectionFailedError
from or_magic.events import Closed, Event, Notice
from or_magic.gateway.http import Gateway
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.middleware.account import Desk, account
from or_magic.middleware.breaker import Breakers, Fuse, breaker
from or_magic.middleware.rate_limit import Limiter, rate_limit
from or_magic.middleware.retry import Policy, Quota, retry
from or_magic.offline import serve
from or_magic.protocol.accumulate import Accumulation
from or_magic.values import Message, Origin, Request

from ..guards import SOON_S
from .kit import LIMITS, books, dead_port
from .streams import last, notices

FAST = Policy(first_s=0.01, longest_s=0.01)
SHORT = replace(LIMITS, first_token_s=0.3)
NEVER = Fuse(failures=10**6)


@dataclass
class Stack:
    """Every middleware in its order, around one gateway and one ledger."""

    gateway: Gateway
    ledger: Ledger

    def send(self, request: Request, policy: Policy = FAST) -> Iterator[Event]:
        desk = Desk("test", "offline", fit=lambda request, _: (request, Decimal(1)), settled=lambda _: None)

        def pause(request: Request, seconds: float) -> bool:
            return self.gateway.brake(request.origin.call_id).pause(seconds)

        booked = account(self.gateway.send, self.ledger, desk)
        limited = rate_limit(booked, Limiter({}), pause)
        guarded = breaker(limited, Breakers(fuse=NEVER), "offline")
        # Every wait is as long as its policy lets it be, so that what is measured is no matter of luck.
        return retry(guarded, pause, policy, quota=Quota(), random=lambda: 1.0)(request)

    def rows(self) -> list[dict[str, Any]]:
        return books(self.ledger.path)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    server = serve(pace_s=0.0)
    gateway = Gateway("offline", server.url, None)
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    yield Stack(gateway, ledger)
    gateway.close()
    ledger.close()
    server.close()


def asking(model: str) -> Request:
    timeouts = SHORT if "stall" in model else LIMITS
    return Request(model, (Message("user", (Text("Hi"),)),), origin=Origin(call_id=model), timeouts=timeouts)


# The model, the statuses of its rows, what they say it cost, and how the call ended.
CASES: list[tuple[str, list[str], list[str], str]] = [
    ("flaky:2", ["error", "error", "ok"], ["none", "none", "billed"], "ok"),
    ("error-503", ["error"] * 4, ["none"] * 4, "error"),
    ("error-520", ["error"] * 2, ["estimated"] * 2, "error"),
    ("error-429:0", ["refused"] * 4, ["none"] * 4, "refused"),
    ("error-429:100", ["refused"], ["none"], "refused"),
    ("error-429-daily", ["refused"], ["none"], "refused"),
    ("error-408", ["refused"] * 4, ["none"] * 4, "refused"),
    ("error-body", ["error"] * 4, ["none"] * 4, "error"),
    ("error-400", ["refused"], ["none"], "refused"),
    ("error-402", ["refused"], ["none"], "refused"),
    ("error-404", ["refused"], ["none"], "refused"),
    ("html", ["error"], ["estimated"], "error"),
    ("reset-early", ["unknown"] * 2, ["estimated"] * 2, "unknown"),
    ("reset-headers", ["unknown"], ["estimated"], "unknown"),
    ("stall-headers", ["unknown"], ["estimated"], "unknown"),
    ("stall-first", ["unknown"], ["estimated"], "unknown"),
    ("cut", ["partial"], ["estimated"], "partial"),
    ("mid-stream-error", ["error"], ["estimated"], "error"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "statuses", "sources", "end"), CASES, ids=[case[0] for case in CASES])
def test_each_attempt_is_a_row(stack: Stack, model: str, statuses: list[str], sources: list[str], end: str) -> None:
    """R2: as many rows as requests, of one call, counted up; the reply is that of the last."""
    answer = Accumulation("offline", "c", f"offline/{model}")
    events = []
    for event in stack.send(asking(f"offline/{model}")):
        events.append(event)
        answer.add(event)
    rows = stack.rows()
    assert end == last(events).status == answer.reply().status
    assert statuses == [row["status"] for row in rows]
    assert sources == [row["cost_source"] for row in rows]
    assert list(range(1, len(rows) + 1)) == [row["attempt"] for row in rows]
    assert {f"offline/{model}"} == {row["call_id"] for row in rows}


def test_an_unreachable_gateway_is_tried_again_without_a_row(stack: Stack) -> None:
    """Nothing left this side."""
    stack.gateway = Gateway("offline", f"http://127.0.0.1:{dead_port()}/api/v1", None)
    events = list(stack.send(asking("offline/plain")))
    closed = last(events)
    assert isinstance(closed.error, ConnectionFailedError)
    assert "Nothing was sent." in str(closed.error) or "Nothing was billed." in str(closed.error)
    assert 4 == len(notices(events))
    assert [] == stack.rows()


def test_a_stop_from_another_thread_ends_the_wait_at_once(stack: Stack) -> None:
    """As the notebook's stop button does; the row of the attempt before stays as it was settled."""
    stream = stack.send(asking("offline/error-503"), Policy(first_s=60.0, longest_s=60.0))
    brake = stack.gateway.brake("offline/error-503")
    events: list[Event] = []
    pulled_at = 0.0

    def pull() -> None:
        nonlocal pulled_at
        pulled_at = time.monotonic()
        brake.pull()

    for event in stream:
        events.append(event)
        if isinstance(event, Notice):
            threading.Timer(0.05, pull).start()
    closed = last(events)
    assert isinstance(closed.error, CallInterruptedError)
    assert "Nothing was billed." == closed.error.billed
    assert time.monotonic() - pulled_at < SOON_S
    assert ["error"] == [row["status"] for row in stack.rows()]


def test_a_stop_before_the_next_attempt_lets_nothing_leave(stack: Stack) -> None:
    """The brake was pulled while the notice was being drawn."""
    stream = stack.send(asking("offline/error-503"))
    brake = stack.gateway.brake("offline/error-503")
    events: list[Event] = []
    for event in stream:
        events.append(event)
        if isinstance(event, Notice):
            brake.pull()
    assert "interrupted" == last(events).status
    assert 2 == len([event for event in events if isinstance(event, Closed)])
    assert 1 == len(stack.rows())
