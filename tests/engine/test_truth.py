"""R1 and R2: our books against the simulator's own, over every fault, with calls that are given up on the way."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.errors import CallError, CallInterruptedError, ConnectionFailedError
from or_magic.events import Closed, Notice
from or_magic.offline.faults import TABLE

from ..guards import HANG_S
from ..world.kit import LIMITS, books, dead_port
from .outcomes import NEVER_READ, ORDINARY, OUTCOMES, SILENT, SLOW, Outcome

# Who is silent for ever is not waited for that long; everybody else, however busy the machine.
IMPATIENT = replace(LIMITS, first_token_s=10.0, idle_s=4.0)
_CHOOSING = threading.Lock()
OK = OUTCOMES["plain"]


@dataclass(frozen=True)
class Plan:
    """One call: which model, and when it is closed: at which event, by which thread, or at any moment by another."""

    number: int
    model: str
    close_at: int | None = None
    by_another: bool = False
    close_after_s: float | None = None
    dead: bool = False

    @property
    def name(self) -> str:
        return f"call {self.number:06}"

    @property
    def fault(self) -> str:
        return self.model.removeprefix("offline/")

    @property
    def outcome(self) -> Outcome:
        return OUTCOMES.get(self.fault, OK)


@dataclass(frozen=True)
class Seen:
    """What the caller saw of one call; ``noticed`` is whether he saw nothing before its end but notices, as of a wait."""

    plan: Plan
    status: str
    error: CallError | None
    noticed: bool

    @property
    def may_be_unsent(self) -> bool:
        """Whether it may have been given up before it left."""
        return self.plan.close_after_s is not None or (self.plan.close_at is not None and self.noticed)


def plans(count: int, seed: int) -> list[Plan]:
    """Every fault at least once if ``count`` allows; two of three calls are faulted, one of five is given up."""
    chance = random.Random(seed)
    faults = list(OUTCOMES)
    weights = [0.25 if fault in SLOW else 1.0 for fault in faults]
    drawn = faults + chance.choices(faults, weights, k=max(0, count - len(faults)))
    models = [f"offline/{fault}" if chance.random() < 0.67 else chance.choice(ORDINARY) for fault in drawn]
    models[: len(faults)] = [f"offline/{fault}" for fault in faults]
    chance.shuffle(models)
    return [_plan(number, model, chance) for number, model in enumerate(models[:count])]


def _plan(number: int, model: str, chance: random.Random) -> Plan:
    draw = chance.random()
    if draw < 0.03:
        return Plan(number, model, dead=True)
    if draw < 0.1:
        return Plan(number, model, by_another=True, close_after_s=chance.uniform(0, 0.05))
    if draw < 0.22:
        return Plan(
            number, model, close_at=chance.choice((1, 2, 3, 4, 6, 10, 20, 40)), by_another=chance.random() < 0.5
        )
    return Plan(number, model)


def play(session: Session, nowhere: Session, plan: Plan) -> Seen:
    chosen = nowhere if plan.dead else session
    with _CHOOSING:  # a call has the limits of the moment in which it is made
        timeouts = IMPATIENT if plan.fault in SILENT else LIMITS
        chosen.engine.settings = replace(chosen.engine.settings, timeouts=timeouts)
        stream = chosen.stream(f"{plan.name}: say something.", model=plan.model, tag=plan.name, max_tokens=400)
    closer = threading.Timer(plan.close_after_s or 0, stream.close)
    if plan.close_after_s is not None:
        closer.start()
    noticed = True
    try:
        with stream:
            for count, event in enumerate(stream, 1):
                noticed = noticed and isinstance(event, (Notice, Closed))
                if count == plan.close_at and plan.by_another:
                    closer.start()
                    closer.join()
                elif count == plan.close_at:
                    break
    except CallError as error:
        return Seen(plan, error.reply.status, error, noticed)
    return Seen(plan, stream.reply.status, None, noticed)


# Every call is one attempt here: what is compared is the books.
PLAIN: dict[str, Any] = {"timeouts": LIMITS, "retries": 0, "circuit_breaker": False}


def run(home: Path, count: int, seed: int) -> None:
    nowhere = connect(base_url=f"http://127.0.0.1:{dead_port()}/v1", home=home / "nowhere", **PLAIN)
    with nowhere, connect(offline=True, home=home, **PLAIN) as session:
        with ThreadPoolExecutor(64) as pool:
            seen = list(pool.map(lambda plan: play(session, nowhere, plan), plans(count, seed)))
        server = session.engine.gateways.server
        assert server is not None
        assert server.idle(HANG_S)
        assert session.engine.reconciler.wait(HANG_S)
        session.reconcile()
        ours, theirs = books(session.engine.ledger.path), server.billed()
        assert [] == books(home / "nowhere" / "ledger.sqlite")
        received = server.received()
    _check(seen, ours, {billed.prompt[:11]: billed for billed in theirs}, received)
    assert len(theirs) == len({billed.prompt[:11] for billed in theirs})


def _check(seen: list[Seen], ours: list[dict[str, Any]], theirs: dict[str, Any], received: int) -> None:
    by_name = {row["tag"]: row for row in ours}
    assert len(ours) == len(by_name), "a call stands in the books twice"
    assert set(theirs) <= set(by_name), "what was billed is not in the books"
    alive = [each for each in seen if not each.plan.dead]
    unsent = {each.plan.name for each in alive if each.may_be_unsent} - set(by_name)
    assert set() == ({each.plan.name for each in alive} - unsent) ^ set(by_name), "attempts and rows differ"
    unread = sum(each.plan.fault in NEVER_READ for each in alive if each.plan.name not in unsent)
    raced = sum(row["status"] == "interrupted" and row["generation_id"] is None for row in ours)
    assert len(ours) - unread - raced <= received <= len(ours) - unread
    wrong = [told for each in seen for told in _wrong(each, by_name.get(each.plan.name), theirs.get(each.plan.name))]
    assert {} == dict(Counter(wrong).most_common())
    known = [row for row in ours if row["cost_source"] in ("billed", "reconciled", "none")]
    paid = sum(theirs[row["tag"]].cost_pico for row in known if row["tag"] in theirs)
    assert paid == sum(row["cost_pico"] for row in known)


def _wrong(seen: Seen, row: dict[str, Any] | None, billed: Any) -> list[str]:
    plan, outcome = seen.plan, seen.plan.outcome
    if plan.dead:
        told = "Nothing was sent." in str(seen.error) and isinstance(seen.error, ConnectionFailedError)
        return [] if told and row is None else [f"dead port: {seen.error}"]
    if row is None:
        fits = isinstance(seen.error, CallInterruptedError) or (seen.error is None and seen.status == "interrupted")
        return [] if fits else [f"{plan.fault} not sent: {seen.status} {seen.error}"]
    closed = plan.by_another or plan.close_at is not None
    case = f"{plan.fault}{' closed' * closed}{' by another' * plan.by_another}"
    statuses = outcome.statuses | ({"interrupted"} if closed else set())
    sources = outcome.sources | ({"reconciled", "unknown"} if row["status"] == "interrupted" else set())
    if closed and row["status"] == "ok":
        sources = sources | {"reconciled"}  # closed between the finish reason and the usage
    if row["status"] == "interrupted" and row["generation_id"] is None:
        sources = sources | {"estimated"}  # closed before there was an id to ask by
    faults = [
        (seen.status != row["status"], f"{case}: reply {seen.status}, row {row['status']}"),
        (row["status"] not in statuses, f"{case}: status {row['status']}"),
        (row["cost_source"] not in sources, f"{case}: source {row['cost_source']} of {row['status']}"),
        (not _error_fits(seen, outcome), f"{case}: raised {type(seen.error).__name__}"),
        (not _money_fits(row, billed), f"{case}: {row['cost_source']} {row['cost_pico']} against {billed}"),
    ]
    return [told for fault, told in faults if fault]


def _error_fits(seen: Seen, outcome: Outcome) -> bool:
    if seen.plan.close_at is not None and not seen.plan.by_another and seen.error is None:
        return True  # whoever breaks off knows it
    if seen.status == "interrupted" and seen.plan.by_another:
        return isinstance(seen.error, CallInterruptedError)
    return (seen.error is None) == (outcome.error is None) and (
        outcome.error is None or type(seen.error) is outcome.error
    )


def _money_fits(row: dict[str, Any], billed: Any) -> bool:
    if row["cost_source"] in ("billed", "reconciled"):
        return billed is not None and billed.cost_pico == row["cost_pico"]
    if row["cost_source"] == "none":
        return row["cost_pico"] == 0 and (billed is None or billed.cost_pico == 0)
    if row["cost_source"] == "estimated":  # an upper bound, which for a free model is 0
        return row["cost_pico"] >= (0 if billed is None else billed.cost_pico)
    return row["cost_pico"] is None and row["cost_text"] is None


def test_every_fault_of_the_simulator_has_an_expectation() -> None:
    """A new fault without one would be a hole in the proof."""
    assert {fault.name for fault in TABLE} == {name.partition(":")[0] for name in OUTCOMES}


def test_at_least_half_of_the_calls_are_faulted() -> None:
    """Ordinary days prove little."""
    for count in (1_000, 10_000):
        assert count <= 2 * sum(plan.fault != plan.model for plan in plans(count, seed=1))


def test_a_thousand_calls_leave_the_truth_in_the_books(home: Path) -> None:
    """0 lost, 0 double, 0 wrong, to the last pico-dollar; attempts sent are attempts booked."""
    run(home, 1_000, seed=20_261_121)


@pytest.mark.long
def test_ten_thousand_calls_leave_the_truth_in_the_books(home: Path) -> None:
    """The full N: 0 of 10,000 is at most 0.03 %."""
    run(home, 10_000, seed=7)
