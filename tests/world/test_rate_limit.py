"""Rate limits: never above the limit in any minute, fair, learnt from refusals, and nobody is kept waiting in vain (R21)."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from or_magic.errors import CallInterruptedError, OrMagicError, RateLimitedError, SettingsError
from or_magic.events import Closed, Event, Metered, Notice, Opened
from or_magic.middleware.rate_limit import EACH, FREE, Limit, Limiter, Ticket, built_in, rate_limit
from or_magic.middleware.retry import Quota, retry
from or_magic.values import Request, Usage

from .kit import in_a_fork
from .streams import Attempt, Script, Time, asking, failure, good, last, notices, unreachable

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


class Rig:
    """A limiter over a script, in a time of its own; a request's tokens are its ``max_tokens``."""

    def __init__(self, limits: dict[str, Limit], *attempts: Attempt) -> None:
        self.time = Time()
        self.began = self.time.now
        self.script = Script(list(attempts) or [good()])
        self.limiter = Limiter(
            limits,
            lambda request: int(request.params["max_tokens"]),
            clock=self.time.clock,
            now=lambda: NOW + timedelta(seconds=self.time.now - self.began),
        )
        self.send = rate_limit(self.script.send, self.limiter, self.time.pause, clock=self.time.clock)

    def ask(self, request: Request | None = None, *attempt: Event | BaseException) -> list[Event]:
        if attempt:
            self.script.attempts = [list(attempt)]
        return list(self.send(request or asking()))

    @property
    def passed_s(self) -> float:
        return self.time.now - self.began


def sized(tokens: int, model: str = "a/model", total_s: float = 1000.0) -> Request:
    from dataclasses import replace

    return replace(asking(model, total_s), params={"max_tokens": tokens})


def limited(**facts: Any) -> Closed:
    return failure(429, **facts)


def test_a_call_waits_for_its_turn_and_says_so() -> None:
    """Rather than to be refused."""
    rig = Rig({"a/model": Limit(requests=3)})
    for _ in range(3):
        assert [] == notices(rig.ask(), "rate limit")
    rig.time.now += 56.9
    events = rig.ask()
    assert Notice("rate limit", "The call waits 3.1 s: 3 requests a minute for a/model.") == events[0]
    assert 60.0 == pytest.approx(rig.passed_s)
    assert "ok" == last(events).status
    assert 4 == len(rig.script.asked)


def test_the_wait_counts_to_the_total_limit() -> None:
    """What is left of it is for the answer."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask()
    rig.ask(asking(total_s=100.0))
    assert [100.0, pytest.approx(40.0)] == [request.timeouts.total_s for request in rig.script.asked]


def test_a_turn_that_comes_too_late_is_not_waited_for() -> None:
    """The error comes at once, and says that nothing was sent."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask()
    closed = last(rig.ask(asking(total_s=59.0)))
    assert 0.0 == rig.passed_s
    assert ("error", False) == (closed.status, closed.sent)
    error = closed.error
    assert isinstance(error, RateLimitedError)
    assert "Nothing was sent." in str(error)
    assert (60.0, False) == (error.retry_after_s, error.retryable)
    assert 1 == len(rig.script.asked)


def test_a_wait_ends_at_once_when_the_call_is_stopped() -> None:
    """And its place goes to the next."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask()
    rig.time.stop_at = rig.time.now + 5.0
    closed = last(rig.ask())
    assert ("interrupted", False) == (closed.status, closed.sent)
    assert isinstance(closed.error, CallInterruptedError)
    assert "Nothing was sent." == closed.error.billed
    assert 1 == len(rig.script.asked)
    assert ["a/model: 1 request a minute; 1 sent in the last minute"] == rig.limiter.state()


def test_whoever_leaves_the_queue_makes_room() -> None:
    """A stream that was closed, and one that nobody reads on."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask()
    closed, forgotten = (rig.send(asking(total_s=1000.0)) for _ in range(2))
    assert isinstance(next(closed), Notice)
    assert isinstance(next(forgotten), Notice)
    closed.close()
    rig.time.now += 119.0
    assert [] == notices(rig.ask(), "rate limit")
    forgotten.close()
    assert rig.script.closed == len(rig.script.asked)


def test_what_was_not_sent_is_not_counted() -> None:
    """An unreachable gateway and a spent budget take no turn from anybody."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask(None, unreachable())
    with pytest.raises(OrMagicError):
        rig.ask(None, OrMagicError("The budget is spent."))
    assert [] == notices(rig.ask(None, *good()), "rate limit")
    assert 0.0 == rig.passed_s


def test_models_do_not_wait_for_each_other() -> None:
    """``*`` is the limit of each that has none of its own."""
    rig = Rig({"a/model": Limit(requests=1), EACH: Limit(requests=2)})
    for model in ("a/model", "b/x", "b/x", "c/y", "c/y"):
        assert [] == notices(rig.ask(asking(model)), "rate limit")
    for model in ("a/model", "b/x", "c/y"):
        assert not last(rig.ask(asking(model, total_s=1.0))).sent


def test_all_free_models_of_openrouter_share_one_limit() -> None:
    """WIRE §10: 20 a minute, whichever of them it is; a paid one has none."""
    rig = Rig(built_in("openrouter"))
    for number in range(20):
        assert [] == notices(rig.ask(asking(f"a/{number}:free")), "rate limit")
    told = notices(rig.ask(asking("openrouter/free")), "rate limit")
    assert ["The call waits 60 s: 20 requests a minute for all free models together."] == told
    for _ in range(100):
        assert [] == notices(rig.ask(asking("a/paid")), "rate limit")
    assert {} == built_in("offline")


def test_a_free_model_keeps_to_its_own_limit_too() -> None:
    """Of two limits the one that lasts longer is waited for."""
    rig = Rig({FREE: Limit(requests=2), "a/x:free": Limit(requests=1)})
    rig.ask(asking("a/x:free"))
    assert ["1 request a minute for a/x:free."] == [t.split(": ")[1] for t in _told(rig, "a/x:free")]
    assert 60.0 == rig.passed_s
    assert [] == _told(rig, "b/y:free")
    assert ["2 requests a minute for all free models together."] == [t.split(": ")[1] for t in _told(rig, "b/y:free")]


def _told(rig: Rig, model: str) -> list[str]:
    return notices(rig.ask(asking(model)), "rate limit")


# Tokens.


def test_tokens_are_estimated_first_and_corrected_then() -> None:
    """An estimate that holds the worst case must not block a minute for an answer of three words."""
    rig = Rig({"a/model": Limit(tokens=1000)})
    rig.ask(sized(900), Metered(Usage(total_tokens=100)), Closed("ok", finish_reason="stop"))
    assert [] == notices(rig.ask(sized(900), *good()), "rate limit")
    assert ["The call waits 60 s: 1,000 tokens a minute for a/model."] == notices(rig.ask(sized(1)), "rate limit")
    assert ["a/model: 1,000 tokens a minute; 1 sent in the last minute with 1 tokens"] == rig.limiter.state()


def test_what_is_larger_than_the_limit_goes_alone() -> None:
    """Rather than never."""
    rig = Rig({"a/model": Limit(tokens=100)})
    assert [] == notices(rig.ask(sized(5000)), "rate limit")
    rig.ask(sized(1))
    assert 60.0 == rig.passed_s
    rig.ask(sized(101))
    assert 120.0 == rig.passed_s


def test_beside_answers_of_nothing_a_large_one_is_alone() -> None:
    """What took no tokens is not in its way."""
    rig = Rig({"a/model": Limit(tokens=100)})
    rig.ask(sized(50), Metered(Usage(total_tokens=0)), Closed("ok", finish_reason="stop"))
    rig.ask(sized(500), *good())
    assert 0.0 == rig.passed_s


def test_tokens_are_not_estimated_where_they_are_not_limited() -> None:
    """It would cost time for nothing."""
    rig = Rig({"a/model": Limit(requests=10)})
    assert "ok" == last(rig.ask(asking())).status  # without max_tokens the estimate would raise


@pytest.mark.parametrize("limit", [{"requests": 0}, {"tokens": 0}, {"requests": -1}])
def test_a_limit_of_nothing_is_an_error(limit: dict[str, int]) -> None:
    """Nobody could ever send, and nobody would know why."""
    with pytest.raises(SettingsError, match="at least 1"):
        Limit(**limit)


# Learnt limits.


def test_a_429_holds_the_model_for_every_thread() -> None:
    """Others would only be refused, too, and make it worse."""
    rig = Rig({})
    rig.ask(None, limited(retry_after_s=7.0))
    assert ["The call waits 7.0 s: the gateway asked to leave a/model alone until then."] == notices(
        rig.ask(None, *good()), "rate limit"
    )
    assert 7.0 == rig.passed_s
    assert [] == notices(rig.ask(asking("b/other")), "rate limit")


def test_of_two_waits_the_longer_one_holds() -> None:
    """A second refusal with a shorter wait takes nothing back."""
    rig = Rig({})
    late = rig.send(asking())
    rig.script.attempts = [[Opened(), limited(retry_after_s=1.0)]]
    next(late)
    rig.ask(None, limited(retry_after_s=30.0))
    list(late)
    rig.ask(None, *good())
    assert 30.0 == rig.passed_s


def test_a_told_limit_becomes_the_limit_of_the_model() -> None:
    """With the reset that was told, and from then on."""
    rig = Rig({})
    rig.ask(None, limited(limit=2, remaining=0, reset_at=NOW + timedelta(seconds=40)))
    rig.ask(None, *good())
    assert 40.0 == rig.passed_s
    rig.ask()
    assert ["The call waits 60 s: 2 requests a minute for a/model."] == notices(rig.ask(), "rate limit")
    assert 100.0 == rig.passed_s


def test_a_told_limit_does_not_lift_that_of_the_user() -> None:
    """Who sets 1 has a reason."""
    rig = Rig({"a/model": Limit(requests=1, tokens=1000)})
    rig.ask(sized(1), limited(limit=50, reset_at=NOW + timedelta(seconds=10)))
    assert "a/model: 1 request and 1,000 tokens a minute" in rig.limiter.state()[0]


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"limit": 5},
        {"limit": 5, "reset_at": NOW + timedelta(hours=3)},
        {"limit": 5, "reset_at": NOW - timedelta(seconds=1)},
        {"daily": True, "limit": 50, "retry_after_s": 40_000.0, "reset_at": NOW + timedelta(seconds=30)},
    ],
    ids=["nothing", "no reset", "hours", "past", "daily"],
)
def test_what_is_no_limit_of_a_minute_is_not_learnt(facts: dict[str, Any]) -> None:
    """A limit of 50 a day is not one of 50 a minute, and credits that were bought end it before midnight."""
    rig = Rig({})
    for _ in range(60):
        assert [] == notices(rig.ask(None, limited(**facts)), "rate limit")
    assert 60 == len(rig.script.asked)


def test_a_429_of_the_free_tier_holds_all_free_models() -> None:
    """It is one limit, whichever model met it."""
    rig = Rig(built_in("openrouter"))
    rig.ask(asking("a/x:free"), limited(free_tier=True, retry_after_s=9.0))
    rig.script.attempts = [good()]
    assert ["The call waits 9.0 s: the gateway asked to leave all free models together alone until then."] == _told(
        rig, "b/y:free"
    )


def test_a_refusal_of_our_own_teaches_nothing() -> None:
    """It is no word of the gateway."""
    rig = Rig({})
    error = RateLimitedError("Its turn is late.", retry_after_s=50.0)
    rig.ask(None, Closed("error", error, sent=False))
    assert [] == rig.limiter.state()


def test_a_retry_waits_for_what_its_own_429_asked() -> None:
    """Retry above, limits below: one wait after the other is not two waits."""
    rig = Rig({}, [limited(retry_after_s=5.0)], good())
    send = retry(rig.send, rig.time.pause, clock=rig.time.clock, random=lambda: 0.0, quota=Quota())
    events = list(send(asking()))
    assert "ok" == last(events).status
    assert 5.0 == rig.passed_s
    assert [] == notices(events, "rate limit")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_queue_behind_threads_that_it_does_not_have() -> None:
    """Nobody would ever leave that queue."""
    rig = Rig({"a/model": Limit(requests=1)})
    rig.ask()
    waiting = [rig.send(asking()) for _ in range(3)]
    for stream in waiting:
        next(stream)

    def ask_anew() -> None:
        fresh = rig.ask()
        assert 60.0 == rig.passed_s
        assert "ok" == last(fresh).status
        assert list(waiting[0])

    assert 0 == in_a_fork(ask_anew)
    for stream in waiting:
        stream.close()


# Proofs.


def crowd(callers: int, requests: int, limits: dict[str, Limit], think_s: float, seed: int) -> tuple[list[float], ...]:
    """Let ``callers`` ask again and again in virtual time; return when each request went, and how long it waited."""
    rig, random = Rig(limits), Random(seed)
    time, limiter = rig.time, rig.limiter
    sent: list[float] = []
    waited: list[float] = []
    agenda: list[tuple[float, int, float, Ticket | None]] = [
        (time.now + random.random() * think_s, number, 0.0, None) for number in range(callers)
    ]
    heapq.heapify(agenda)
    while len(sent) < requests:
        time.now, number, since, ticket = heapq.heappop(agenda)
        if ticket is None:
            ticket, since = limiter.join(asking()), time.now
            assert ticket is not None
        turn = limiter.look(ticket)
        if turn.wait_s:
            heapq.heappush(agenda, (time.now + turn.look_s, number, since, ticket))
            continue
        sent.append(time.now)
        waited.append(time.now - since)
        heapq.heappush(agenda, (time.now + random.random() * think_s, number, 0.0, None))
    return sent, waited


def never_above(sent: list[float], limit: int) -> None:
    """Check every minute that begins with a request: those hold all others."""
    assert [] == [at for at, later in zip(sent, sent[limit:], strict=False) if later < at + 60.0]


CROWDS = [(64, 20, 0.0), (64, 200, 5.0), (10, 3, 100.0), (200, 100, 1.0), (3, 7, 0.1), (50, 1, 0.0)]


@pytest.mark.parametrize(("callers", "limit", "think_s"), CROWDS)
def test_no_minute_has_more_than_the_limit(callers: int, limit: int, think_s: float) -> None:
    """R21, wherever the minute begins; and none is wasted while somebody waits."""
    sent, waited = crowd(callers, 1000, {EACH: Limit(requests=limit)}, think_s, seed=callers)
    never_above(sent, limit)
    if max(waited) and think_s <= 5.0:
        assert sent[-1] - sent[0] <= 60.0 * (1000 / limit + 1)


@pytest.mark.parametrize(("callers", "limit"), [(64, 20), (50, 1), (100, 30), (16, 4)])
def test_nobody_waits_twice_as_long_as_the_mean(callers: int, limit: int) -> None:
    """R21: first come, first served, in a crowd that asks again at once; the first round waits less and is left out."""
    _, waited = crowd(callers, 20 * callers, {EACH: Limit(requests=limit)}, 0.0, seed=1)
    later = waited[2 * callers :]
    assert max(later) <= 2 * sum(later) / len(later)


@pytest.mark.long
@pytest.mark.parametrize(("callers", "limit", "think_s"), CROWDS)
def test_no_minute_has_more_than_the_limit_in_100000_requests(callers: int, limit: int, think_s: float) -> None:
    """R21."""
    sent, _ = crowd(callers, 100_000 // len(CROWDS) + 1, {EACH: Limit(requests=limit)}, think_s, seed=2)
    never_above(sent, limit)


def test_threads_are_served_in_the_order_of_their_arrival() -> None:
    """64 calls that came one after the other; whoever looks first when a minute is over."""
    rig, random = Rig({EACH: Limit(requests=10)}), Random(3)
    tickets = [rig.limiter.join(asking()) for _ in range(64)]
    waiting = [(number, ticket) for number, ticket in enumerate(tickets) if ticket is not None]
    served: list[int] = []
    while waiting:
        random.shuffle(waiting)
        came = [number for number, ticket in waiting if not rig.limiter.look(ticket).wait_s]
        waiting = [(number, ticket) for number, ticket in waiting if number not in came]
        served += sorted(came)
        rig.time.now += 1.0
    assert list(range(64)) == served


def test_threads_never_get_more_than_the_limit_together() -> None:
    """64 threads, four calls each, in minutes of a tenth of a second."""
    limiter = Limiter({EACH: Limit(requests=32)}, clock=lambda: monotonic() * 600)
    sent: list[float] = []

    def work() -> None:
        for _ in range(4):
            ticket = limiter.join(asking())
            assert ticket is not None
            while (turn := limiter.look(ticket)).wait_s:
                sleep(turn.look_s / 600)
            sent.append(ticket.sent[0].at)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 256 == len(sent)
    never_above(sorted(sent), 32)


class Windows(RuleBasedStateMachine):
    """Calls of three sizes for two free models; a naive list of what was sent says what may be sent now."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = {"a:free": Limit(requests=3, tokens=100), FREE: Limit(requests=5)}
        self.rig = Rig(self.limits)
        self.sent: list[dict[str, Any]] = []
        self.waiting: list[tuple[Ticket, str, int]] = []
        self.running: list[tuple[Ticket, dict[str, Any]]] = []

    @rule(halves=st.sampled_from([0, 1, 3, 10, 59, 60, 61, 119, 120, 121]))
    def time_passes(self, halves: int) -> None:
        self.rig.time.now += halves / 2

    @rule(model=st.sampled_from(["a:free", "b:free"]), tokens=st.sampled_from([1, 40, 99, 100, 101, 500]))
    def a_call_comes(self, model: str, tokens: int) -> None:
        ticket = self.rig.limiter.join(sized(tokens, model))
        assert ticket is not None
        self.waiting.append((ticket, model, tokens))

    @rule()
    def all_look(self) -> None:
        for ticket, model, tokens in list(self.waiting):
            turn = self.rig.limiter.look(ticket)
            first = self.waiting[0][0] is ticket
            assert not turn.wait_s or not first or not self._fits(model, tokens)
            if turn.wait_s:
                continue
            assert self._fits(model, tokens)
            self.waiting.remove((ticket, model, tokens))
            self.sent.append({"at": self.rig.time.now, "model": model, "tokens": tokens})
            self.running.append((ticket, self.sent[-1]))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), tokens=st.sampled_from([None, 0, 10, 300]))
    def an_answer_ends(self, data: st.DataObject, tokens: int | None) -> None:
        ticket, sent = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.rig.limiter.correct(ticket, Usage(total_tokens=tokens))
        sent["tokens"] = sent["tokens"] if tokens is None else tokens
        self.rig.limiter.leave(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def it_was_not_sent_after_all(self, data: st.DataObject) -> None:
        ticket, sent = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.rig.limiter.unsent(ticket)
        self.sent = [one for one in self.sent if one is not sent]  # another may look the same

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def somebody_gives_up(self, data: st.DataObject) -> None:
        ticket, _, _ = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.rig.limiter.leave(ticket)

    @invariant()
    def the_doctor_counts_the_same(self) -> None:
        recent = self._recent("a:free")
        lines = [line for line in self.rig.limiter.state() if line.startswith("a:free")]
        tokens = sum(sent["tokens"] for sent in recent)
        assert all(f"; {len(recent)} sent in the last minute with {tokens:,} tokens" in line for line in lines)

    def _recent(self, model: str | None = None) -> list[dict[str, Any]]:
        now = self.rig.time.now
        return [
            sent for sent in self.sent if now - sent["at"] < 60.0 and sent["model"] in (model, model or sent["model"])
        ]

    def _fits(self, model: str, tokens: int) -> bool:
        if len(self._recent()) >= 5:
            return False
        if model == "b:free":
            return True
        mine = self._recent(model)
        taken = sum(sent["tokens"] for sent in mine)
        return len(mine) < 3 and (taken + tokens <= 100 or taken == 0)


def machine(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Windows,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_it_does_what_a_naive_list_of_the_last_minute_does() -> None:
    """R21 for requests and tokens at once, 3,600 steps in any order."""
    machine(60, 60)


@pytest.mark.long
def test_it_does_what_a_naive_list_of_the_last_minute_does_in_100000_steps() -> None:
    """R21."""
    machine(1000, 100)


def test_a_generator_that_never_began_takes_no_place() -> None:
    """A stream may be made and thrown away."""
    rig = Rig({"a/model": Limit(requests=1)})
    stream: Generator[Event, None, None] = rig.send(asking())
    stream.close()
    assert [] == rig.limiter.state()
