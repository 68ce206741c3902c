"""The circuit breaker: what opens it, who probes it, and that it does what a naive model of it does (R20)."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from or_magic.content import Text
from or_magic.errors import CallInterruptedError, CircuitOpenError, ConnectionFailedError, OrMagicError, ProtocolError
from or_magic.events import Closed, Event, Opened, Piece, Send
from or_magic.middleware.breaker import Breakers, Fuse, Permit, breaker

from ..guards import HANG_S
from .kit import in_a_fork
from .streams import Attempt, Script, Time, asking, failure, good, last, reset, timeout, unreachable

GATEWAY = "openrouter"


class Rig:
    """A breaker over a script, in a time of its own."""

    def __init__(self, *attempts: Attempt) -> None:
        self.time = Time()
        self.script = Script(list(attempts) or [good()])
        self.breakers = Breakers(self.time.clock)
        self.send: Send = breaker(self.script.send, self.breakers, GATEWAY)

    def ask(self, *attempt: Event | BaseException, model: str = "a/model") -> Closed:
        if attempt:
            self.script.attempts = [list(attempt)]
        return last(self.send(asking(model)))

    def broken(self) -> Rig:
        for _ in range(5):
            self.ask(failure())
        return self


def refused(closed: Closed) -> bool:
    return isinstance(closed.error, CircuitOpenError)


def test_five_failures_in_a_row_open_it() -> None:
    """The sixth call is answered at once, unsent, by a sentence that says why and until when."""
    rig = Rig()
    for _ in range(5):
        assert not refused(rig.ask(failure()))
        rig.time.now += 2.0
    closed = rig.ask()
    assert 5 == len(rig.script.asked)
    assert ("error", False) == (closed.status, closed.sent)
    error = closed.error
    assert isinstance(error, CircuitOpenError)
    assert (
        "a/model at openrouter has been left alone for 2.0 s, because it failed again and again (the last time "
        "ProviderError 503). Nothing was sent. It is tried again in 28 s; choose another model, or wait."
    ) == str(error)
    assert (28.0, False, False) == (error.retry_after_s, error.whole_gateway, error.retryable)


OUTCOMES: list[tuple[str, Closed, str]] = [
    *[(f"{code}", failure(code), "model") for code in (500, 502, 503, 504, 520, 524, 529)],
    *[(f"{code}", failure(code), "") for code in (400, 401, 402, 403, 404, 408, 413, 422, 429)],
    ("unreachable", unreachable(), "gateway"),
    ("reset", reset(), "gateway"),
    ("no connection in time", timeout("connect", sent=False), "gateway"),
    ("silence", timeout("first token"), "model"),
    ("too long", timeout("total"), "model"),
    ("not the protocol", Closed("error", ProtocolError("a page")), ""),
    ("stopped", Closed("interrupted", CallInterruptedError("Stopped.")), ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "closed", "scope"), OUTCOMES, ids=[outcome[0] for outcome in OUTCOMES])
def test_each_outcome_counts_for_the_gateway_for_its_model_or_for_nothing(
    name: str, closed: Closed, scope: str
) -> None:
    """A dead network is dead for every model; a 429 or a wrong key says that somebody is there."""
    rig = Rig()
    for _ in range(20):
        rig.ask(closed)
    assert (5 if scope else 20) == len(rig.script.asked)
    assert bool(scope) == refused(rig.ask(*good()))
    other = rig.ask(*good(), model="b/other")
    assert (scope == "gateway") == refused(other)
    if refused(other):
        assert isinstance(other.error, CircuitOpenError)
        assert other.error.whole_gateway
        assert str(other.error).startswith("openrouter has been left alone")


def test_what_cannot_be_written_down_says_nothing_about_the_gateway() -> None:
    """It is a mistake of this side."""
    error = ConnectionFailedError("The request cannot be written.")
    error.retryable = False
    rig = Rig()
    for _ in range(20):
        assert not refused(rig.ask(Closed("error", error, sent=False)))


def test_failures_far_apart_do_not_open_it() -> None:
    """Five within a minute do."""
    rig = Rig()
    for _ in range(50):
        assert not refused(rig.ask(failure()))
        rig.time.now += 15.0


def test_a_success_between_clears_the_count() -> None:
    """A busy session would meet five failures a minute by chance, and be stopped although most calls work."""
    rig = Rig()
    for _ in range(20):
        for _ in range(4):
            assert not refused(rig.ask(failure()))
        assert not refused(rig.ask(*good()))


def test_a_break_in_the_middle_of_an_answer_is_no_failure_of_this_kind() -> None:
    """The gateway was there and answered."""
    rig = Rig()
    for _ in range(20):
        assert not refused(rig.ask(Opened("gen-1"), Piece(Text("a")), reset("gen-1")))


def test_the_cool_down_doubles_up_to_five_minutes_and_begins_anew_after_a_success() -> None:
    """A gateway that is down for an hour is asked a dozen times, not a thousand."""
    rig = Rig().broken()
    for cool_down_s in (30.0, 60.0, 120.0, 240.0, 300.0, 300.0):
        rig.time.now += cool_down_s - 0.001
        assert refused(rig.ask(failure()))
        rig.time.now += 0.001
        assert not refused(rig.ask(failure()))
    rig.time.now += 300.0
    assert "ok" == rig.ask(*good()).status
    assert {"ok"} == {rig.ask(*good()).status for _ in range(10)}
    rig.broken()
    rig.time.now += 30.0
    assert not refused(rig.ask(failure()))


@pytest.mark.parametrize(
    ("asked_s", "opens_after_s"), [(None, 30.0), (1.0, 30.0), (45.0, 45.0), (1e9, 300.0), (float("inf"), 300.0)]
)
def test_a_retry_after_counts_where_it_is_longer(asked_s: float | None, opens_after_s: float) -> None:
    """But a broken one does not lock a model out for years."""
    rig = Rig()
    for _ in range(5):
        rig.ask(failure(retry_after_s=asked_s))
    rig.time.now += opens_after_s - 0.001
    assert refused(rig.ask())
    rig.time.now += 0.001
    assert not refused(rig.ask(*good()))


def test_of_two_deadlines_the_later_one_holds() -> None:
    """A straggler that fails with a short wait must not shorten what was asked before."""
    rig = Rig()
    stragglers = [rig.breakers.admit(GATEWAY, "a/model") for _ in range(2)]
    for _ in range(5):
        rig.ask(failure(retry_after_s=100.0))
    until = rig.time.now + 100.0
    rig.time.now += 10.0
    rig.breakers.fail(stragglers[0], _error(0.0), whole_gateway=False)
    rig.time.now = until - 0.001
    assert refused(rig.ask())
    rig.breakers.fail(stragglers[1], _error(0.0), whole_gateway=False)
    rig.time.now = until + 29.998
    assert refused(rig.ask())
    rig.time.now = until + 30.0
    assert not refused(rig.ask(*good()))


def _error(retry_after_s: float | None = None) -> Any:
    return failure(503, retry_after_s=retry_after_s).error


def test_a_straggler_that_succeeds_does_not_close_it() -> None:
    """It may have been answered long before the failures began."""
    rig = Rig()
    straggler = rig.breakers.admit(GATEWAY, "a/model")
    rig.broken().breakers.succeed(straggler)
    assert refused(rig.ask())


def test_a_probe_opens_the_way_at_its_first_word() -> None:
    """The others need not wait for the end of a long answer."""
    rig = Rig().broken()
    rig.time.now += 30.0
    rig.script.attempts = [good()]
    probe = rig.send(asking())
    assert isinstance(next(probe), Opened)
    assert refused(rig.ask())
    assert isinstance(next(probe), Piece)
    assert not refused(rig.ask())
    probe.close()


@pytest.mark.parametrize("how", ["4xx", "429", "interrupted", "closed before", "closed", "raised"])
def test_a_probe_that_learnt_nothing_is_given_back(how: str) -> None:
    """Or the model would be locked out for ever by a user who pressed stop."""
    rig = Rig().broken()
    rig.time.now += 30.0
    if how in ("4xx", "429"):
        rig.ask(failure(400 if how == "4xx" else 429))
    elif how == "interrupted":
        rig.ask(Closed("interrupted", CallInterruptedError("Stopped.")))
    elif how == "raised":
        with pytest.raises(OrMagicError):
            rig.ask(OrMagicError("The budget is spent."))
    else:
        rig.script.attempts = [good()]
        probe = rig.send(asking())
        if how == "closed":
            next(probe)
            assert refused(rig.ask())
        probe.close()
    rig.script.attempts = [good()]
    assert 1 == len(rig.breakers.state())
    assert not refused(rig.ask(*good()))
    assert [] == rig.breakers.state()


def test_a_probe_that_is_never_heard_of_is_replaced() -> None:
    """Somebody may hold its stream and never read on."""
    rig = Rig().broken()
    rig.time.now += 30.0
    rig.script.attempts = [good()]
    forgotten = rig.send(asking())
    next(forgotten)
    rig.time.now += Fuse().probe_s - 0.001
    assert refused(rig.ask())
    rig.time.now += 0.001
    assert not refused(rig.ask(*good()))
    forgotten.close()


def test_a_call_through_two_open_circuits_probes_both() -> None:
    """And learns what it learns: here that the network is back, and then that the model is."""
    rig = Rig().broken()
    rig.time.now += 1.0
    for _ in range(5):
        rig.ask(unreachable(), model="b/other")
    assert 2 == len(rig.breakers.state())
    rig.time.now += 30.0
    assert not refused(rig.ask(failure()))
    assert "ok" == rig.ask(*good(), model="b/other").status
    assert refused(rig.ask())
    rig.time.now += 60.0
    assert "ok" == rig.ask(*good()).status
    assert [] == rig.breakers.state()


def test_the_doctor_is_told_what_is_open() -> None:
    """In words; what works has no line."""
    rig = Rig()
    rig.ask(failure())
    assert [] == rig.breakers.state()
    rig.broken()
    rig.time.now += 12.0
    line = (
        "a/model at openrouter has been left alone for 12 s, because it failed again and again "
        "(the last time ProviderError 503); tried again in 18 s"
    )
    assert [line] == rig.breakers.state()
    rig.time.now += 18.0
    assert ["tried again by the next call"] == [told.rpartition("; ")[2] for told in rig.breakers.state()]
    rig.breakers.admit(GATEWAY, "a/model")
    assert ["being tried by another call right now"] == [told.rpartition("; ")[2] for told in rig.breakers.state()]


def test_a_model_that_works_leaves_nothing_behind() -> None:
    """A batch over a thousand models must not make it grow."""
    rig = Rig()
    for number in range(100):
        rig.ask(failure(), model=f"a/{number}")
        rig.ask(*good(), model=f"a/{number}")
    assert {} == rig.breakers._circuits


def test_exactly_one_of_64_threads_probes() -> None:
    """R20: the other 63 are told so at once; 50 rounds, half of them failing."""
    rig = Rig().broken()
    for round_ in range(50):
        rig.time.now += 400.0
        sent: list[int] = []
        hold, start = threading.Event(), threading.Barrier(64)
        attempt = good() if round_ % 2 else [failure()]

        def send(request: Any, sent: Any = sent, hold: Any = hold, attempt: Any = attempt) -> Any:
            sent.append(1)
            hold.wait(HANG_S)
            yield from attempt

        ends: list[Closed] = []

        def ask(send: Any = send, start: Any = start, hold: Any = hold, ends: Any = ends) -> None:
            start.wait(HANG_S)
            ends.append(last(breaker(send, rig.breakers, GATEWAY)(asking())))
            if len(ends) == 63:
                hold.set()

        threads = [threading.Thread(target=ask) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (1, 63) == (len(sent), len([closed for closed in ends if refused(closed)]))
        if round_ % 2:
            rig.broken()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_probes_for_itself() -> None:
    """The parent's probe, and its lock, belong to threads that the child does not have."""
    rig = Rig().broken()
    rig.time.now += 30.0
    rig.breakers.admit(GATEWAY, "a/model")

    def probe() -> None:
        assert not refused(rig.ask(*good()))

    assert 0 == in_a_fork(probe)


class Naive:
    """One circuit, as one would write it down without a thought of threads: every failure that ever was, in a list."""

    def __init__(self) -> None:
        self.failures: list[float] = []
        self.open = False
        self.until = float("-inf")
        self.cool_down_s = 30.0
        self.probe: Permit | None = None
        self.probe_at = 0.0

    def lets(self, now: float) -> bool:
        if not self.open:
            return True
        return now >= self.until and (self.probe is None or now - self.probe_at >= 300.0)

    def fail(self, permit: Permit, now: float, asked_s: float) -> None:
        self.failures.append(now)
        deadlines = [self.until, now + min(asked_s, 300.0)]
        if permit is self.probe:
            self.cool_down_s = min(300.0, 2 * self.cool_down_s)
            self.probe = None
        if len([at for at in self.failures if now - at < 60.0]) >= 5:
            self.open = True
        if self.open:
            deadlines.append(now + self.cool_down_s)
        self.until = max(deadlines)


class Circuits(RuleBasedStateMachine):
    """Two models at one gateway; calls begin and end in any order, while time passes in half seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time(0.0)
        self.breakers = Breakers(self.time.clock)
        self.naive = {name: Naive() for name in ("", "a", "b")}
        self.running: list[Permit] = []

    @rule(halves=st.sampled_from([0, 1, 2, 20, 59, 60, 61, 119, 120, 121, 240, 480, 599, 600, 601]))
    def time_passes(self, halves: int) -> None:
        self.time.now += halves / 2

    @rule(model=st.sampled_from("ab"))
    def a_call_begins(self, model: str) -> None:
        if (permit := self._begin(model)) is not None:
            self.running.append(permit)

    @rule(model=st.sampled_from("ab"))
    def a_crowd_begins(self, model: str) -> None:
        for _ in range(6):
            self.a_call_begins(model)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["ok", "4xx", "5xx", "network"]), asked=st.integers(-400, 400))
    def a_call_ends(self, data: st.DataObject, how: str, asked: int) -> None:
        self._end(self.running.pop(data.draw(st.integers(0, len(self.running) - 1))), how, asked)

    @rule(model=st.sampled_from("ab"), how=st.sampled_from(["5xx", "network"]), times=st.integers(3, 6))
    def many_calls_fail(self, model: str, how: str, times: int) -> None:
        for _ in range(times):
            if (permit := self._begin(model)) is not None:
                self._end(permit, how, 0)

    @precondition(lambda self: any(one.open for one in self.naive.values()))
    @rule(model=st.sampled_from("ab"), how=st.sampled_from(["ok", "5xx", "5xx", "network", "4xx", None]))
    def a_deadline_comes_and_a_call_with_it(self, model: str, how: str | None) -> None:
        self.time.now = max(self.time.now, *[one.until for one in self.naive.values()])
        permit = self._begin(model)
        if permit is not None and how is None:
            self.running.append(permit)
        elif permit is not None:
            self._end(permit, how or "", 0)

    def _begin(self, model: str) -> Permit | None:
        mine = [self.naive[""], self.naive[model]]
        expected = all(one.lets(self.time.now) for one in mine)
        try:
            permit = self.breakers.admit(GATEWAY, model)
        except CircuitOpenError:
            assert not expected
            return None
        assert expected
        for one in mine:
            if one.open:
                one.probe, one.probe_at = permit, self.time.now
        return permit

    def _end(self, permit: Permit, how: str, asked: int) -> None:
        mine = {"": self.naive[""], permit.model: self.naive[permit.model]}
        if how == "ok":
            self.breakers.succeed(permit)
            for name, one in mine.items():
                if not one.open or one.probe is permit:
                    self.naive[name] = Naive()
            return
        if how == "4xx":
            self.breakers.give_back(permit)
        else:
            error = _error(float(asked) if asked > 0 else None)
            self.breakers.fail(permit, error, whole_gateway=how == "network")
            mine["" if how == "network" else permit.model].fail(permit, self.time.now, max(0.0, asked))
        for one in mine.values():
            one.probe = None if one.probe is permit else one.probe

    @invariant()
    def both_are_open_or_closed(self) -> None:
        assert len([one for one in self.naive.values() if one.open]) == len(self.breakers.state())

    @invariant()
    def a_call_would_be_let_through_or_not(self) -> None:
        circuits = self.breakers._circuits
        for name, one in self.naive.items():
            circuit = circuits.get((GATEWAY, name))
            assert one.lets(self.time.now) == (circuit is None or circuit.lets(self.time.now, Fuse()))


def machine(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Circuits,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_it_does_what_a_naive_model_does() -> None:
    """R20, 4,200 steps in any order."""
    machine(60, 70)


@pytest.mark.long
def test_it_does_what_a_naive_model_does_in_100000_steps() -> None:
    """R20."""
    machine(1000, 100)
