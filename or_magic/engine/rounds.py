"""The only loop of a call: send, fold, ask each Continuation "another round?", go on. It does no I/O of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

from ..errors import CallError, CallInterruptedError, OrMagicError
from ..events import Closed, Event, Notice, Send
from ..protocol.accumulate import Accumulation
from ..values import Reply, Request


@dataclass(frozen=True, slots=True)
class Another:
    """A further round: what is sent, what the books call it, what is said of it.

    ``otherwise`` makes the error that ends the call if the round cannot be, of the reason why.
    """

    request: Request
    purpose: str
    notice: Notice
    otherwise: Callable[[str], CallError]


# Looks at what was sent and at the complete answer. None: as far as this one is concerned, the answer stands; an error:
# the call has failed.
Continuation = Callable[[Request, Reply], Another | CallError | None]


def rounds(
    send: Send,
    request: Request,
    continuations: Sequence[Continuation] = (),
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event, None, None]:
    """Yield the events of a whole call; its rounds share its id, its brake, its total time limit and its budget."""
    if not continuations:  # nearly every call: nothing stands between the reader and the stream
        yield from send(request)
        return
    end, attempts = clock() + request.timeouts.total_s, request.origin.attempt
    ran, whole = (yield from _round(send, request, None)), ""
    while ran.closed is not None:
        attempts += ran.attempts
        if ran.closed.error is not None and whole:
            _keep(whole, ran.closed.error)
        told = _asked(continuations, request, ran.reply) if ran.closed.error is None else None
        if not isinstance(told, Another):
            yield ran.closed if told is None else replace(ran.closed, status="error", error=told)
            return
        left_s = end - clock()
        obstacle = "the total limit of the call has passed" if left_s <= 0 else ""
        before, whole = ran.closed, ran.reply.text
        if not obstacle:
            yield told.notice
            request = _numbered(told, attempts, left_s)
            ran = yield from _round(send, request, before)
            obstacle = ran.obstacle
        if obstacle:
            yield Notice(told.notice.reason, f"No further attempt: {obstacle.rstrip('.')}.")
            yield replace(before, status="error", error=told.otherwise(obstacle))
            return


@dataclass(frozen=True, slots=True)
class _Ran:
    """What a round came to: its end, not passed on yet, or why it was not sent. Without both it had no end."""

    reply: Reply = field(default_factory=Reply)
    closed: Closed | None = None
    attempts: int = 0
    obstacle: str = ""


def _round(send: Send, request: Request, before: Closed | None) -> Generator[Event, None, _Ran]:
    """Pass one round on, but for its end; ``before`` ends the round before it as soon as this one has begun."""
    with closing(send(request)) as stream:
        first: tuple[Event, ...] = ()
        if before is not None:
            first, obstacle = _begun(stream)
            if obstacle:
                return _Ran(obstacle=obstacle)
            if first:
                yield replace(before, final=False)
        return (yield from _folded(request, chain(first, stream)))


def _begun(stream: Generator[Event, None, None]) -> tuple[tuple[Event, ...], str]:
    """Return the first event of a further round, if it has any, or what has kept the round on this side."""
    try:
        first = next(stream, None)
    except OrMagicError as error:  # a budget, say
        return (), str(error)
    if isinstance(first, Closed) and _was_kept_back(first):
        return (), first.error.happened if first.error else "it was not sent"
    return () if first is None else (first,), ""


def _folded(request: Request, events: Iterable[Event]) -> Generator[Event, None, _Ran]:
    """Pass the events of a round on, but for its end, and return what they came to."""
    answer, attempts = Accumulation(model_requested=request.model), 0
    closed: Closed | None = None
    for event in events:
        answer.add(event)
        if isinstance(event, Closed):
            attempts += 1
            if event.final:
                closed = event
                continue
        yield event
    return _Ran(answer.reply(), closed, attempts)


def _keep(text: str, error: CallError) -> None:
    """Let the error of a round that broke off carry the answer before it, which was paid for."""
    error.text = text
    error.advice = f"{error.advice} error.text holds the whole answer before it, which did not fit.".lstrip()


def _was_kept_back(closed: Closed) -> bool:
    """Whether the round never left this side, though nobody has stopped the call."""
    return closed.final and not closed.sent and not isinstance(closed.error, CallInterruptedError)


def _asked(continuations: Sequence[Continuation], request: Request, reply: Reply) -> Another | CallError | None:
    return next((told for each in continuations if (told := each(request, reply)) is not None), None)


def _numbered(another: Another, attempt: int, left_s: float) -> Request:
    request = another.request
    return replace(
        request,
        origin=replace(request.origin, attempt=attempt, purpose=another.purpose),
        timeouts=replace(request.timeouts, total_s=left_s),
    )
