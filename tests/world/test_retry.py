"""Retries: which failures are tried again, when, how often, and that no bad day is made worse by them (R19)."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.content import Text
from or_magic.errors import (
    CallError,
    CallInterruptedError,
    CircuitOpenError,
    ConnectionFailedError,
    OptionError,
    OverBudget,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    TruncatedError,
)
from or_magic.events import Closed, Event, Metered, Notice, Opened, Piece
from or_magic.middleware.breaker import Breakers, breaker
from or_magic.middleware.retry import Policy, Quota, retry
from or_magic.values import Request, Usage

from ..guards import HANG_S
from .kit import in_a_fork
from .streams import (
    BODY,
    REQUEST,
    Attempt,
    Script,
    Time,
    asking,
    failure,
    good,
    last,
    notices,
    reset,
    timeout,
    unreachable,
)

FREE = Metered(Usage(cost_usd=Decimal(0)))
PAID = Metered(Usage(cost_usd=Decimal("0.1")))


def run(script: Script, time: Time | None = None, request: Request = REQUEST, **more: Any) -> list[Event]:
    time = time or Time()
    kit: dict[str, Any] = {"quota": Quota(), "random": lambda: 1.0} | more
    return list(retry(script.send, time.pause, clock=time.clock, **kit)(request))


def told(error: CallError, status: Any = "error", **more: Any) -> Closed:
    return Closed(status, error, **more)


def coded(code: int | None = None, **facts: Any) -> Closed:
    """Return a 200 around an error object."""
    error = ProviderError("It failed.", status_code=code, body=BODY, error_type=facts.pop("error_type", None))
    for name, value in facts.items():
        setattr(error, name, value)
    return Closed("error", error)


ENDS: list[tuple[str, bool, Attempt]] = [
    *[(f"{code}", True, [failure(code)]) for code in (408, 429, 500, 502, 503, 504, 520, 524, 529)],
    *[(f"{code}", False, [failure(code)]) for code in (400, 401, 402, 403, 404, 409, 413, 422, 425, 499)],
    *[(f"{code}, retryable", False, [failure(code, retryable=True)]) for code in (400, 401, 402, 403)],
    *[(f"{code}, retryable", True, [failure(code, retryable=True)]) for code in (404, 409, 422, 425)],
    *[(f"{code}, not retryable", False, [failure(code, retryable=False)]) for code in (408, 429, 500, 503)],
    ("a page of the edge", True, [told(ProviderError("HTTP 502", status_code=502))]),
    ("an error of 200", True, [coded(502)]),
    ("an error of 200 without code", False, [coded()]),
    ("an error of 200 of a passing type", True, [coded(error_type="provider_overloaded")]),
    ("an error of 200 of another type", False, [coded(error_type="content_policy_violation")]),
    ("an error of 200 that may be tried again", True, [coded(retryable=True)]),
    ("a 429 of 200", True, [told(RateLimitedError("x", status_code=429, body=BODY), "refused")]),
    ("unreachable", True, [unreachable()]),
    ("reset before an answer", True, [reset()]),
    ("no connection in time", True, [timeout("connect", sent=False)]),
    ("silence", False, [timeout("first token")]),
    ("silence in the middle", False, [timeout("idle")]),
    ("too long", False, [timeout("total")]),
    ("no answer at all", False, [told(TruncatedError("It ended."), "partial")]),
    ("not the protocol", False, [told(ProtocolError("A page."))]),
    ("stopped", False, [told(CallInterruptedError("Stopped."), "interrupted")]),
    ("opened, then failed", False, [Opened("gen-1"), coded(503)]),
    ("opened, failed, and was billed", False, [Opened("gen-1"), PAID, coded(503)]),
    ("opened, failed, and cost nothing", True, [Opened("gen-1"), FREE, coded(503)]),
    ("opened, then reset", False, [Opened("gen-1"), reset("gen-1")]),
    ("failed after a word", False, [Opened("gen-1"), Piece(Text("a")), FREE, coded(503)]),
    ("reset after a word", False, [Piece(Text("a")), reset()]),
    ("complete", False, good()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "again", "attempt"), ENDS, ids=[end[0] for end in ENDS])
def test_each_end_is_tried_again_or_not(name: str, again: bool, attempt: Attempt) -> None:
    """A second attempt must be able to help, and must not be billed on top of the first."""
    script = Script([attempt, good("second")])
    events = run(script)
    assert (2 if again else 1) == len(script.asked)
    assert ("ok" if again else attempt[-1].status) == last(events).status  # type: ignore[union-attr]
    assert len(script.asked) == script.closed
    if again:
        assert [False] == [event.final for event in events[:-1] if isinstance(event, Closed)]


def test_the_daily_limit_is_never_waited_for() -> None:
    """It ends at midnight; each attempt would only count against it."""
    script = Script([[failure(429, daily=True, retryable=False)]])
    run(script)
    assert 1 == len(script.asked)


def test_what_cannot_be_written_down_is_not_tried_again() -> None:
    """It will not become writable."""
    error = ConnectionFailedError("The request cannot be written.")
    error.retryable = False
    script = Script([[told(error, sent=False)]])
    run(script)
    assert 1 == len(script.asked)


def test_each_attempt_counts_up_and_keeps_the_rest() -> None:
    """Each is a row of the same call."""
    script = Script([[failure()]])
    run(script)
    assert [1, 2, 3, 4] == [request.origin.attempt for request in script.asked]
    assert {"c"} == {request.origin.call_id for request in script.asked}


def test_the_wait_is_said_before_it_begins() -> None:
    """A cell that stands still for ten seconds without a word looks dead."""
    script, time = Script([[failure()], good()]), Time()
    stream = retry(script.send, time.pause, clock=time.clock, random=lambda: 1.0, quota=Quota())(REQUEST)
    first, notice = next(stream), next(stream)
    assert isinstance(first, Closed)
    assert not first.final
    assert Notice("retry", "It failed (503); again in 1.0 s (attempt 2 of 4).") == notice
    assert [] == time.waits
    assert "ok" == last(stream).status
    assert [1.0] == time.waits


def test_who_has_failed_often_enough_is_told_so() -> None:
    """The last error stays the error of the call."""
    script = Script([[failure(503)], [failure(503)], [failure(503)], [failure(529)]])
    events = run(script)
    closed = last(events)
    assert closed.error is not None
    assert 529 == closed.error.status_code
    assert "No further attempt: 4 have failed." == notices(events)[-1]
    assert [1.0, 2.0, 4.0] == time_of(script, events)


def time_of(script: Script, events: list[Event]) -> list[float]:
    """Return the waits that were told."""
    return [float(text.split("again in ")[1].split(" s")[0]) for text in notices(events) if "again in" in text]


def test_one_attempt_is_no_retry() -> None:
    """Who turns it off is not told of it."""
    script = Script([[failure()]])
    assert [] == notices(run(script, policy=Policy(attempts=1)))
    assert 1 == len(script.asked)


@given(st.floats(0, 1, exclude_max=True), st.integers(2, 12))
def test_waits_are_random_up_to_a_bound_that_doubles(chance: float, attempts: int) -> None:
    """Full jitter: callers that failed together do not come back together."""
    time = Time()
    policy = Policy(attempts=attempts)
    run(Script([[failure()]]), time, asking(total_s=1e6), random=lambda: chance, policy=policy)
    bounds = [min(10.0, 2.0**n) for n in range(attempts - 1)]
    assert [chance * bound for bound in bounds] == time.waits


@pytest.mark.parametrize(
    ("asked", "chance", "wait"),
    [
        (None, 0.5, 0.5),
        (0.0, 0.5, 0.5),
        (0.0, 0.0, 0.0),
        (0.2, 1.0, 1.0),
        (3.0, 0.0, 3.0),
        (3.0, 1.0, 3.3),
        (60.0, 1.0, 66.0),
    ],
)
def test_what_was_asked_for_is_the_least(asked: float | None, chance: float, wait: float) -> None:
    """And a herd that was told the same second does not return in it."""
    time = Time()
    run(Script([[failure(retry_after_s=asked)], good()]), time, random=lambda: chance)
    assert [pytest.approx(wait)] == time.waits


@pytest.mark.parametrize("asked", [60.1, 86_400.0, 1e15])
def test_nobody_waits_unseen_for_longer_than_a_minute(asked: float) -> None:
    """The error says when to come back; the notebook is free meanwhile."""
    script, time = Script([[failure(429, retry_after_s=asked)]]), Time()
    events = run(script, time, asking(total_s=1e30))
    assert [] == time.waits
    assert 1 == len(script.asked)
    assert ["No further attempt: the gateway asks to wait"] == [text[:44] for text in notices(events)]


def test_all_attempts_share_the_total_limit() -> None:
    """The user's limit is on the call; three attempts of half an hour are not half an hour."""
    time = Time()
    script = Script([[failure()]], before=lambda: setattr(time, "now", time.now + 10.0))
    events = run(script, time, asking(total_s=25.0), random=lambda: 0.5)
    assert [25.0, 14.5, 3.5] == [request.timeouts.total_s for request in script.asked]
    assert "the total limit of the call would pass" in notices(events)[-1]
    assert [0.5, 1.0] == time.waits
    assert "error" == last(events).status


def test_the_total_limit_counts_from_the_first_event() -> None:
    """A stream may be made long before it is read."""
    time = Time()
    script = Script([[failure()], good()])
    stream = retry(script.send, time.pause, clock=time.clock, random=lambda: 1.0, quota=Quota())(REQUEST)
    time.now += 1e6
    assert "ok" == last(stream).status
    assert 99.0 == script.asked[1].timeouts.total_s


def test_a_pause_that_takes_too_long_sends_nothing_after_the_limit() -> None:
    """A laptop may have slept."""
    time, quota = Time(), Quota()
    script = Script([[failure()]])

    def asleep(request: Request, seconds: float) -> bool:
        time.now += 1e6
        return True

    events = list(retry(script.send, asleep, clock=time.clock, quota=quota)(REQUEST))
    assert 1 == len(script.asked)
    assert "total limit" in notices(events)[-1]
    assert "error" == last(events).status
    assert 500 == quota.left


# Stopped, closed, kept back.


@pytest.mark.parametrize(
    ("before", "billed"),
    [
        ([failure(503)], "Nothing was billed."),
        ([unreachable()], "Nothing was sent."),
        ([unreachable(), failure(503)], "Nothing was billed."),
        ([reset()], "What an attempt before it cost is not known yet."),
        ([failure(503), unreachable(), reset()], "What an attempt before it cost is not known yet."),
        ([told(ProviderError("a page", status_code=502))], "What an attempt before it cost is not known yet."),
    ],
)
def test_a_stop_while_waiting_is_honest_about_the_attempts_before(before: list[Closed], billed: str) -> None:
    """``Nothing was sent`` would be a lie."""
    time, quota = Time(), Quota()
    script = Script([[closed] for closed in before])
    time.stop_at = time.now + [0.5, 1.5, 3.5][len(before) - 1]
    events = run(script, time, quota=quota)
    closed = last(events)
    assert len(before) == len(script.asked)
    assert ("interrupted", False) == (closed.status, closed.sent)
    assert isinstance(closed.error, CallInterruptedError)
    assert billed == closed.error.billed
    assert 500 - 14 * (len(before) - 1) == quota.left


def test_a_stop_between_wait_and_sending_is_honest_too() -> None:
    """The gateway says of its attempt that nothing was sent; the call had others."""
    error = CallInterruptedError("The call was stopped.")
    error.billed = "Nothing was sent."
    closed = last(run(Script([[reset()], [told(error, "interrupted", sent=False)]])))
    assert closed.error is not None
    assert "What an attempt before it cost is not known yet." == closed.error.billed


def test_a_later_refusal_does_not_hide_what_an_earlier_attempt_may_cost() -> None:
    """``Nothing ran and nothing was billed`` is true only of the last one."""
    error = last(run(Script([[reset()], [failure(400)]]))).error
    assert (
        "It failed (400). Nothing ran and nothing was billed. What an attempt before it cost is not known yet."
    ) == str(error)
    error = last(run(Script([[failure()], [failure(400)]]))).error
    assert "It failed (400). Nothing ran and nothing was billed." == str(error)


@pytest.mark.parametrize("steps", range(1, 7))
def test_closing_the_outermost_closes_the_innermost(steps: int) -> None:
    """Whoever gives up closes the socket, wherever the call is, and pays the quota back if nothing was sent for it."""
    quota, time = Quota(), Time()
    script = Script([[failure()], [Notice("waiting"), *good()]])
    stream = retry(script.send, time.pause, clock=time.clock, random=lambda: 0.1, quota=quota)(REQUEST)
    for _ in range(steps):
        next(stream)
    stream.close()
    assert len(script.asked) == script.closed
    assert (486 if 3 <= steps <= 4 else 500) == quota.left


def test_a_budget_stops_the_first_attempt_with_its_own_words() -> None:
    """Nothing was sent, and there is nothing to add."""
    with pytest.raises(OverBudget):
        run(Script([[OverBudget("Too much.")]]))


def test_a_budget_stops_a_retry_and_the_attempt_before_has_the_last_word() -> None:
    """What happened is the failure; that there was no money to try again is said beside it."""
    quota = Quota()
    script = Script([[reset()], [failure()], [Notice("rate limit"), OverBudget("The budget is spent.")]])
    events = run(script, quota=quota)
    closed = last(events)
    assert closed.error is not None
    assert 503 == closed.error.status_code
    assert "What an attempt before it cost is not known yet." == closed.error.earlier
    assert "No further attempt: The budget is spent. Nothing was sent." == notices(events)[-1]
    assert 500 - 14 == quota.left


def test_an_error_of_ours_in_the_middle_is_not_swallowed() -> None:
    """It is no budget, and what was sent must not look as if it had not been."""
    with pytest.raises(OptionError):
        run(Script([[failure()], [Opened("gen-1"), OptionError("?")]]))


@pytest.mark.parametrize("kept_back", [CircuitOpenError("It is left alone."), RateLimitedError("Its turn is late.")])
def test_a_retry_that_this_side_keeps_back_leaves_the_last_word_to_the_failure(kept_back: CallError) -> None:
    """An open circuit or a full minute is why there is no further attempt, not what went wrong."""
    kept_back.retryable = False
    quota = Quota()
    events = run(Script([[failure()], [told(kept_back, sent=False)]]), quota=quota)
    closed = last(events)
    assert closed.error is not None
    assert 503 == closed.error.status_code
    assert notices(events)[-1].startswith(f"No further attempt: {kept_back.happened}")
    assert 500 == quota.left
    assert kept_back is last(run(Script([[told(kept_back, sent=False)]]))).error


# The quota.


def test_the_quota_pays_for_what_helps() -> None:
    """A retry that helped costs nothing, a call that succeeds at once gives one back."""
    quota = Quota()
    run(Script([[failure()], good()]), quota=quota)
    assert 500 == quota.left
    run(Script([[failure()]]), quota=quota)
    assert 500 - 3 * 14 == quota.left
    run(Script([good()]), quota=quota)
    assert 500 - 3 * 14 + 1 == quota.left
    run(Script([[failure()], [Piece(Text("a")), reset()]]), quota=quota)
    assert 500 - 3 * 14 + 1 == quota.left


def storm(size: int, quota: Quota, time: Time) -> int:
    """Return how many requests ``size`` calls make that run side by side while everything fails."""
    script = Script([[failure()]])
    send = retry(script.send, time.pause, clock=time.clock, random=lambda: 0.5, quota=quota)
    running: list[Generator[Event, None, None]] = [send(REQUEST) for _ in range(size)]
    while running:  # one step each, in turn
        running = [stream for stream in running if next(stream, None) is not None]
    return len(script.asked)


def test_a_storm_is_stopped_by_the_quota() -> None:
    """R19: 1,000 calls side by side, all answered with 503, make at most 1,000 + 500/14 requests."""
    quota, time = Quota(), Time()
    assert 1000 + 35 == storm(1000, quota, time)
    assert 1000 == storm(1000, quota, time)


def test_a_storm_of_threads_is_stopped_by_the_quota() -> None:
    """R19 with 64 real threads: 1,000 calls, no more than 1,035 requests."""
    quota, time = Quota(), Time()
    script = Script([[failure()]])
    send = retry(script.send, time.pause, clock=time.clock, random=lambda: 0.0, quota=quota)
    left = iter(range(1000))

    def work() -> None:
        while next(left, None) is not None:
            last(send(REQUEST))

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1035 == len(script.asked)


def test_after_a_storm_calls_run_at_full_speed_within_a_probe_period() -> None:
    """R19, with the breaker under it: 30 s after the gateway recovered, every call answers at its first attempt."""
    quota, time = Quota(), Time()
    breakers = Breakers(time.clock)
    broken = Script([[failure()]])
    stack = retry(
        breaker(broken.send, breakers, "openrouter"), time.pause, clock=time.clock, random=lambda: 0.5, quota=quota
    )
    ends = [last(stack(REQUEST)) for _ in range(1000)]
    assert {"error"} == {closed.status for closed in ends}
    assert len(broken.asked) <= 1035
    recovered, broken.attempts = time.now, [good()]
    while last(stack(REQUEST)).status != "ok":
        time.now += 0.5
        assert time.now - recovered <= 30.5
    before = len(broken.asked)
    assert {"ok"} == {last(stack(REQUEST)).status for _ in range(1000)}
    assert before + 1000 == len(broken.asked)
    assert 500 == quota.left


@given(st.lists(st.sampled_from(["take", "give_back", "earn"]), max_size=200))
def test_the_quota_is_never_below_nothing_nor_above_its_capacity(steps: list[str]) -> None:
    """Whatever is done to it."""
    quota = Quota(50, 14)
    for step in steps:
        before = quota.left
        got = getattr(quota, step)()
        assert 0 <= quota.left <= 50
        if step == "take":
            assert got == (before >= 14)
            assert before - quota.left == (14 if got else 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_inherit_a_lock_that_nobody_holds() -> None:
    """``multiprocessing`` forks while another thread counts."""
    quota = Quota()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with quota._lock:
            held.set()
            done.wait(HANG_S)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(HANG_S)

    def take() -> None:
        assert quota.take()
        assert 486 == quota.left

    code = in_a_fork(take)
    done.set()
    thread.join()
    assert 0 == code
