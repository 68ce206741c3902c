"""The loop of a call: rounds share id, time limit and count of attempts, and end with the last word that was said."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from decimal import Decimal

import pytest

from or_magic.content import Text
from or_magic.engine.rounds import Another, Continuation, rounds
from or_magic.errors import CallError, CallInterruptedError, ConnectionFailedError, OverBudget, ProviderError
from or_magic.events import Closed, Event, Metered, Notice, Opened, Piece
from or_magic.protocol.accumulate import Accumulation
from or_magic.values import Message, Origin, Reply, Request, Timeouts, Usage

ASKED = Request("a/model", (Message("user", (Text("?"),)),), origin=Origin(call_id="c"), timeouts=Timeouts(total_s=10))


class World:
    """Plays prepared rounds, keeps what was asked, and has a clock that every answer moves on."""

    def __init__(self, *answers: list[Event] | Exception, takes_s: float = 1.0) -> None:
        self._answers = list(answers)
        self._takes_s = takes_s
        self.now_s = 0.0
        self.asked: list[Request] = []
        self.closed = 0

    def send(self, request: Request) -> Generator[Event, None, None]:
        self.asked.append(request)
        answer = self._answers.pop(0)
        try:
            if isinstance(answer, Exception):
                raise answer
            yield from answer
            self.now_s += self._takes_s
        finally:
            self.closed += 1

    def play(self, *continuations: Continuation) -> tuple[list[Event], Reply, CallError | None]:
        seen, fold = [], Accumulation("openrouter", "c", "a/model")
        for event in rounds(self.send, ASKED, continuations, clock=lambda: self.now_s):
            seen.append(event)
            fold.add(event)
        return seen, fold.reply(), fold.error


def answer(text: str, *before: Event) -> list[Event]:
    return [*before, Opened(f"gen-{text}"), Piece(Text(text)), Metered(Usage(cost_usd=Decimal(1))), Closed("ok")]


def until(wanted: str, times: int = 9) -> Continuation:
    """Ask again until the answer is ``wanted``, at most so many times."""
    left = iter(range(times))

    def ask_again(request: Request, reply: Reply) -> Another | CallError | None:
        if reply.text == wanted:
            return None
        if next(left, None) is None:
            return CallError("Never right.")
        messages = (*request.messages, Message("assistant", reply.parts), Message("user", (Text("no"),)))
        return Another(
            replace(request, messages=messages),
            "reask",
            Notice("reask", "again"),
            lambda why: CallError(f"Wrong; {why}"),
        )

    return ask_again


def test_a_call_without_continuations_is_the_stream_itself() -> None:
    """The ordinary call pays nothing for what others need."""
    world = World(answer("a"))
    assert answer("a") == world.play()[0]


def test_the_last_answer_is_the_reply_and_each_before_it_is_told_to_be_followed() -> None:
    """Texts of two rounds never mix; whoever watches knows that one begins anew."""
    world = World(answer("a"), answer("b"), answer("c"))
    seen, reply, error = world.play(until("c"))
    assert ("c", "ok", None) == (reply.text, reply.status, error)
    assert [False, False, True] == [event.final for event in seen if isinstance(event, Closed)]
    assert 2 == len([event for event in seen if event == Notice("reask", "again")])
    assert [1, 3, 5] == [len(request.messages) for request in world.asked]
    assert 3 == world.closed


def test_rounds_share_the_call_and_count_its_attempts_on() -> None:
    """The books add up what belongs together by the call's id; a retry inside a round is an attempt as well."""
    failed = Closed("error", ProviderError("503"), final=False)
    world = World(answer("a", failed, Notice("retry", "again")), answer("b"), answer("c"))
    world.play(until("c"))
    assert [("c", 1, "answer"), ("c", 3, "reask"), ("c", 4, "reask")] == [
        (request.origin.call_id, request.origin.attempt, request.origin.purpose) for request in world.asked
    ]


def test_rounds_share_one_time_limit() -> None:
    """Three rounds of a call that may take 10 s take 10 s together, not 30."""
    world = World(answer("a"), answer("b"), answer("c"), takes_s=4.0)
    world.play(until("c"))
    assert [10.0, 6.0, 2.0] == [request.timeouts.total_s for request in world.asked]


def test_no_round_begins_after_the_time_limit() -> None:
    """The call ends with the answer it has, and says that it is wrong and why nothing followed."""
    world = World(answer("a"), takes_s=11.0)
    seen, reply, error = world.play(until("c"))
    assert ("a", "error") == (reply.text, reply.status)
    assert "Wrong; the total limit of the call has passed What it cost is not known yet." == str(error)
    assert 1 == len([event for event in seen if isinstance(event, Closed)])


@pytest.mark.parametrize(
    "obstacle",
    [
        OverBudget("The budget of $1 does not cover it."),
        [Closed("error", ConnectionFailedError("No network."), sent=False)],
    ],
    ids=["a budget", "no network"],
)
def test_a_round_that_cannot_be_sent_leaves_the_answer_before_it(obstacle: list[Event] | Exception) -> None:
    """It was paid: its text must not be lost because nobody could be asked to mend it."""
    _, reply, error = World(answer("a"), obstacle).play(until("c"))
    assert ("a", "error", Decimal(1)) == (reply.text, reply.status, reply.cost_usd)
    assert str(error).startswith("Wrong; ")


def test_a_budget_that_stops_the_first_round_is_raised() -> None:
    """Nothing was sent, so nothing is wrapped."""
    with pytest.raises(OverBudget):
        World(OverBudget("No.")).play(until("c"))


def test_an_interrupt_between_rounds_is_an_interrupt() -> None:
    """Not a wrong answer: the user has stopped it."""
    stopped = CallInterruptedError("Stopped.")
    _, reply, error = World(answer("a"), [Closed("interrupted", stopped, sent=False)]).play(until("c"))
    assert (stopped, "interrupted") == (error, reply.status)


@pytest.mark.parametrize("status", ["error", "partial", "interrupted", "unknown", "refused"])
def test_what_is_not_complete_is_not_continued(status: str) -> None:
    """A broken answer has an error of its own; nobody is asked what to make of it."""
    failure = ProviderError("Broken.")

    def never(request: Request, reply: Reply) -> None:
        raise AssertionError

    _, reply, error = World([Piece(Text("a")), Closed(status, failure)]).play(never)  # type: ignore[arg-type]
    assert (failure, status) == (error, reply.status)


def test_a_continuation_may_fail_the_call() -> None:
    """The answer is complete, and still not what was asked for."""
    seen, reply, error = World(answer("a"), answer("b")).play(until("c", times=1))
    assert ("b", "error", "Never right.") == (reply.text, reply.status, error.happened if error else None)
    assert 2 == len([event for event in seen if isinstance(event, Closed)])


def test_leaving_early_closes_the_round_that_runs() -> None:
    """A socket that nobody reads is one that somebody pays."""
    world = World(answer("a"), answer("b"))
    stream = rounds(world.send, ASKED, [until("c")], clock=lambda: 0.0)
    for event in stream:
        if event == Piece(Text("b")):
            break
    stream.close()
    assert 2 == world.closed


def test_each_continuation_is_asked_until_one_wants_another_round() -> None:
    """Tools first, then the schema: they need not know each other."""
    asked: list[str] = []

    def named(name: str, inner: Callable[[Request, Reply], Another | CallError | None]) -> Continuation:
        def ask(request: Request, reply: Reply) -> Another | CallError | None:
            asked.append(name)
            return inner(request, reply)

        return ask

    World(answer("a"), answer("b")).play(named("first", until("b")), named("second", lambda *_: None))
    assert ["first", "first", "second"] == asked
