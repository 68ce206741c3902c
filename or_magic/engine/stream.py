"""A call while it runs: an iterator of events that ends with its reply, or raises what it failed of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Self

from ..errors import CallError, CallInterruptedError
from ..events import Event
from ..protocol.accumulate import Accumulation
from ..values import Reply, Row, Total, Usage

# Takes the reply and whether its attempt was sent; gives it back with what the books know, and its row if there is one.
Booked = Callable[[Reply, bool], tuple[Reply, Row | None]]
# Completes what an error says with what this side knows: the money, also of earlier attempts, and the closest names.
Explain = Callable[[CallError, Row | None, Total], None]


class Stream:
    """Iterate over it to the end; then ``reply`` is the answer. Leave it early only by ``close`` or ``with``."""

    def __init__(
        self,
        events: Generator[Event, None, None],
        answer: Accumulation,
        *,
        booked: Booked,
        explain: Explain,
        stop: Callable[[], bool],
    ) -> None:
        self._events = events
        self._answer = answer
        self._booked = booked
        self._explain = explain
        self._stop = stop
        self._reply: Reply | None = None
        self._closed_by: int | None = None
        self._finished = False
        self._turn = threading.Lock()  # a generator must not be read and closed at once

    @property
    def reply(self) -> Reply:
        """The answer so far, or the whole one; the books' figures are in it once the call has ended."""
        return self._reply or self._answer.reply()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            with self._turn:
                event = next(self._events)
        except StopIteration:
            self._finish()
            raise
        self._answer.add(event)
        return event

    def run(self) -> Reply:
        """Read to the end and return the reply.

        Raises:
            CallError: anything but a complete answer; the partial reply rides on it.
        """
        with self:
            for _ in self:
                continue
        return self.reply

    def stop(self) -> bool:
        """Close the connection and let the reader come to its end; False where it waits for something else.

        May be called from any thread, and from a signal handler.
        """
        return self._reply is not None or self._stop()

    def close(self) -> None:
        """Close the connection and book the call as interrupted, if it has not ended; harmless afterwards.

        May be called from another thread: the one that reads then gets CallInterruptedError.
        """
        if self._reply is not None:
            return
        self._stop()
        if not self._turn.acquire(blocking=False):  # it is being read right now, by a thread that the stop ends
            return
        try:
            self._events.close()
            self._closed_by = threading.get_ident()
            self._reply, _ = self._booked(self._answer.reply(), self._answer.sent)
        finally:
            self._turn.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _finish(self) -> None:
        if self._finished or self._closed_by == threading.get_ident():
            return
        self._finished = True
        row = None
        if self._reply is None:  # else another thread has closed it under the reader's hands
            self._reply, row = self._booked(self._answer.reply(), self._answer.sent)
        error = self._answer.error
        if error is None and self._reply.status != "ok":
            error = CallInterruptedError("The call was closed before it was complete.")
        if error is not None:
            error.reply = self._reply
            self._explain(error, row, self._reply.earlier)
            raise error


def with_figures(reply: Reply, rows: Sequence[Row], *, sent: bool) -> tuple[Reply, Row | None]:
    """Return the reply with the times of its row and the money of the attempts before it, and that row.

    ``rows`` are those of the whole call; an attempt that was not ``sent`` has none.
    """
    before, row = (rows[:-1], rows[-1]) if sent and rows else (rows, None)
    earlier = sum([Total.of(each.cost_usd, each.cost_source) for each in before], Total())
    if row is not None and before and row.generation_id != reply.id:
        # Left before a word of this attempt: what has come is an earlier one's, whose bill is told as ``earlier``.
        reply = replace(reply, usage=None, id=row.generation_id)
    if row is not None:
        reply = replace(reply, latency_s=row.latency_s, first_token_s=row.first_token_s, saved_usd=row.saved_usd)
    if not sent or (row is not None and row.cost_source == "none"):
        # It never left, never ran, or ran on a server that bills nothing: that is known.
        reply = replace(reply, usage=Usage(cost_usd=Decimal(0)) | (reply.usage or Usage()))
    return replace(reply, earlier=earlier) if earlier else reply, row
