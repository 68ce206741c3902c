"""The books around one attempt: a row is open before the request leaves, and settled when its outcome is known."""

from __future__ import annotations

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

from ..budget import Limit, Standing, Terms
from ..errors import OrMagicError
from ..events import Closed, Event, Metered, Notice, Opened, Piece, Send
from ..values import CostSource, Request, Row, Usage


class Books(Protocol):
    """What the account needs of a ledger."""

    def open(self, row: Row, terms: Terms) -> Row:
        """Write the row of a request that is about to be sent, and return it with what it reserves.

        Raises:
            OverBudget, LedgerError: the terms do not allow it, or that cannot be looked up; nothing was written.
        """

    def note_generation(self, row: Row, generation_id: str) -> None:
        """Keep the id by which the cost can be asked for."""

    def settle(self, row: Row, limits: Sequence[Limit]) -> Sequence[Standing]:
        """Write the outcome; return how the limits stand then, as far as that can be told."""

    def discard(self, row: Row) -> None:
        """Forget a request that never left."""


def user() -> str | None:
    """Return who asks, by this system's name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user entry
        return None


@dataclass(frozen=True, slots=True)
class Desk:
    """Who keeps the books: the session and gateway a row names, and what money can be said beforehand.

    ``fit`` returns the request as it may be sent if so much is left (None: no budget), and what it may cost at most.
    ``free`` is a gateway that never bills. ``stopped`` is told of calls that a budget has stopped. ``saved`` says what
    the provider's cache of prompts has saved. ``load`` makes ready what sends: it is no part of an answer's time.
    """

    session: str
    gateway: str
    fit: Callable[[Request, Decimal | None], tuple[Request, Decimal | None]]
    settled: Callable[[Row], None]
    limits: Callable[[Request, datetime], tuple[Limit, ...]] = lambda _request, _now: ()
    alert: Callable[[Standing], str | None] = lambda _: None
    estimate: Callable[[Request], int | None] = lambda _: None
    stopped: Callable[[], None] = lambda: None
    saved: Callable[[Request, Row, Usage], Decimal | None] = lambda _request, _row, _usage: None
    load: Callable[[], None] = lambda: None
    free: bool = False
    user: str | None = field(default_factory=user)
    host: str = field(default_factory=socket.gethostname)
    clock: Callable[[], float] = time.perf_counter
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def account(send: Send, books: Books, desk: Desk) -> Send:
    """Return ``send`` with books: whatever ends the stream, and however, its row is settled."""

    def accounted(request: Request) -> Generator[Event, None, None]:
        desk.load()
        entry = _Entry(request, desk)
        stream: Generator[Event, None, None] | None = None
        try:
            request = _open(entry, request, books, desk)
            yield from _warned(entry.row, request)
            stream = send(request)
            entry.leave()
            for event in stream:
                if entry.take(event):
                    books.note_generation(entry.row, entry.generation_id or "")
                if isinstance(event, Closed):
                    yield from _settle(entry, event, books, desk)
                    yield replace(event, gateway=desk.gateway)
                elif isinstance(event, Metered) and desk.free:
                    yield Metered(replace(event.usage, cost_usd=Decimal(0)))
                else:
                    yield event
        finally:
            if stream is not None:
                stream.close()
            # Interrupted, or given up by whoever was reading; a forked child only drops its copy of the parent's call.
            if entry.opened and not entry.settled and entry.row.pid == os.getpid():
                closed = Closed("interrupted", generation_id=entry.generation_id, sent=stream is not None)
                for _ in _settle(entry, closed, books, desk):
                    continue

    return accounted


def _warned(row: Row, request: Request) -> Iterator[Notice]:
    """Yield what is to be said of a budget before the request leaves."""
    if row.waived:
        yield Notice("budget", f"sent by -y past a budget ({row.waived})")
    elif request.budget_usd is not None and row.bound_usd is None:
        yield Notice("budget", "nobody can say what this costs at most, so its own budget may be passed")


def _open(entry: _Entry, request: Request, books: Books, desk: Desk) -> Request:
    """Open the row and return the request as its budgets allow it."""
    entry.limits = desk.limits(request, entry.row.started_at)
    fitted = request

    def bound(left_usd: Decimal | None) -> Decimal | None:
        nonlocal fitted
        fitted, bound_usd = desk.fit(request, left_usd)
        return bound_usd

    try:
        entry.row = books.open(entry.row, Terms(entry.limits, bound, request.waived))
        entry.opened = True
    except OrMagicError:  # it was not opened
        desk.stopped()
        raise
    except BaseException:  # interrupted before anything was sent: no reservation may stay behind
        books.discard(entry.row)
        raise
    return fitted


class _Entry:
    """One row while its attempt runs."""

    def __init__(self, request: Request, desk: Desk) -> None:
        self.row = _open_row(request, desk)
        self._saved = partial(desk.saved, request)
        self.limits: tuple[Limit, ...] = ()
        self.opened = self.settled = False
        self.generation_id: str | None = None
        self._free = desk.free
        self._clock = desk.clock
        self._started = desk.clock()
        self._first: float | None = None
        self._usage: Usage | None = None

    def leave(self) -> None:
        """Note that the request leaves now: how long the books took is not how long the answer took."""
        self._started = self._clock()

    def take(self, event: Event) -> bool:
        """Take an event in; True where it told the generation id."""
        if isinstance(event, Piece):
            if self._first is None:
                self._first = self._clock()
        elif isinstance(event, Metered):
            self._usage = event.usage
        elif isinstance(event, Opened) and event.generation_id:
            self.generation_id = event.generation_id
            return True
        return False

    def close(self, closed: Closed) -> Row:
        """Return the settled row."""
        usage = self._usage or Usage()
        cost_usd, source = _cost(closed, self._usage, self.row.bound_usd)
        if self._free:
            cost_usd, source = Decimal(0), "none"
        row = replace(
            self.row,
            status=closed.status,
            finish_reason=closed.finish_reason,
            error=closed.error.label if closed.error else None,
            model=closed.model,
            provider=closed.provider,
            generation_id=closed.generation_id or self.generation_id,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            total_tokens=usage.total_tokens,
            upstream_usd=usage.upstream_usd,
            cost_usd=cost_usd,
            cost_source=source,
            first_token_s=None if self._first is None else self._first - self._started,
            latency_s=self._clock() - self._started,
        )
        saved_usd = None if self._free or closed.cached else self._saved(row, usage)
        return row if saved_usd is None else replace(row, saved_usd=saved_usd)


def _settle(entry: _Entry, closed: Closed, books: Books, desk: Desk) -> Iterator[Notice]:
    """Write the outcome, and tell of budgets that are nearly spent by now."""
    row = entry.close(closed)
    if not closed.sent:
        books.discard(row)
        entry.settled = True
        return
    try:
        standings = books.settle(row, entry.limits)
    except KeyboardInterrupt:  # a second interrupt, right here: the outcome must still be written
        books.settle(row, ())
        entry.settled = True
        raise
    entry.settled = True
    desk.settled(row)
    for standing in standings:
        if standing.alerting and (text := desk.alert(standing)):
            yield Notice("budget", text)


def _cost(closed: Closed, usage: Usage | None, bound_usd: Decimal | None) -> tuple[Decimal | None, CostSource]:
    """Return what the attempt cost and how that is known (DESIGN §2); unknown is None, never 0."""
    if closed.cached:
        return Decimal(0), "none"
    ended = closed.finish_reason is not None or closed.status in ("ok", "error")
    if ended and usage is not None and usage.cost_usd is not None:  # before the end it is a figure on its way
        return usage.cost_usd, "billed"
    if closed.free:
        return Decimal(0), "none"
    if closed.status == "ok" or bound_usd is None:
        return None, "unknown"
    return bound_usd, "estimated"


def _open_row(request: Request, desk: Desk) -> Row:
    origin = request.origin
    return Row(
        row_id=uuid.uuid4().hex,
        started_at=desk.now(),
        session=desk.session,
        user=desk.user,
        notebook=origin.notebook,
        cell_id=origin.cell_id,
        source=origin.source,
        purpose=origin.purpose,
        tag=origin.tag,
        chat=origin.chat,
        call_id=origin.call_id,
        parent_call_id=origin.parent_call_id,
        attempt=origin.attempt,
        gateway=desk.gateway,
        model_requested=request.model,
        prompt_estimate=desk.estimate(request),
        host=desk.host,
        pid=os.getpid(),
    )
