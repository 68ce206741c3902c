"""Requests and tokens a minute, per model: calls wait for their turn, first come first served, rather than be refused.

In no span of a minute, wherever it begins, does a model get more than its limit. Tokens are counted by an estimate
until the answer tells them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from ..errors import UNSENT, OrMagicError, RateLimitedError, SettingsError
from ..events import Closed, Event, Metered, Notice, Piece, Send
from ..values import Request, Usage
from .forks import anew_in_children
from .waiting import Pause, spell, stopped

WINDOW_S = 60.0
FREE = ":free"  # the key of the limit that all free models share
EACH = "*"  # the key of the limit of each model that has none of its own
_SOON = timedelta(seconds=65)  # a limit that begins anew later than this is not one of a minute
_LOST_S = 5.0  # a turn whose call did not come back for it is passed over
_SHORTEST_S = 0.001


@dataclass(frozen=True, slots=True)
class Limit:
    """What a model may get in a minute; None is no limit.

    Raises:
        SettingsError: a limit of nothing.
    """

    requests: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for told in (self.requests, self.tokens):
            if told is not None and told < 1:
                raise SettingsError(f"A limit a minute is at least 1, not {told}. {UNSENT} Leave it out for no limit.")

    def __str__(self) -> str:
        counts = ((self.requests, "request"), (self.tokens, "token"))
        told = [f"{count:,} {noun}{'s' * (count != 1)}" for count, noun in counts if count]
        return f"{' and '.join(told)} a minute" if told else "no limit"


def built_in(gateway: str) -> dict[str, Limit]:
    """Return the limits that are known of a gateway without having met them (WIRE.md §10)."""
    return {FREE: Limit(requests=20)} if gateway == "openrouter" else {}


@dataclass(eq=False, slots=True)
class _Sent:
    at: float
    tokens: int


@dataclass(eq=False, slots=True)
class Ticket:
    """The place of one attempt in the queues of its windows, and then what it was sent as."""

    tokens: int
    windows: tuple[_Window, ...]
    due: float
    sent: tuple[_Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """How long an attempt waits, by what is known now, and when it should look again; 0 is now."""

    wait_s: float = 0.0
    look_s: float = 0.0
    why: str = ""


@dataclass(eq=False, slots=True)
class _Window:
    """The last minute of one model, or of all that share a limit."""

    name: str
    limit: Limit
    sent: deque[_Sent] = field(default_factory=deque)
    waiting: list[Ticket] = field(default_factory=list)
    held_until: float = float("-inf")

    def earliest(self, ticket: Ticket, now: float) -> float:
        """Return when ``ticket`` may go, if those before it go as soon as they may."""
        while self.sent and self.sent[0].at + WINDOW_S <= now:
            self.sent.popleft()
        at = max(now, self.held_until)
        past = list(self.sent)
        start, tokens = 0, sum([one.tokens for one in past])
        for one in self._queue(ticket, now):
            while start < len(past) and (past[start].at + WINDOW_S <= at or self._full(one, len(past) - start, tokens)):
                at = max(at, past[start].at + WINDOW_S)
                tokens -= past[start].tokens
                start += 1
            past.append(_Sent(at, one.tokens))
            tokens += one.tokens
        return at

    def _queue(self, ticket: Ticket, now: float) -> list[Ticket]:
        before = takewhile(lambda one: one is not ticket, self.waiting)
        return [*[one for one in before if one.due + _LOST_S >= now], ticket]

    def drop(self, ticket: Ticket) -> None:
        """Forget a ticket that goes, or gives up; in a forked child it may be forgotten already."""
        if ticket in self.waiting:
            self.waiting.remove(ticket)

    def _full(self, ticket: Ticket, requests: int, tokens: int) -> bool:
        # What is larger than the whole limit goes alone, rather than never.
        limit = self.limit
        crowded = limit.tokens is not None and tokens > 0 and tokens + ticket.tokens > limit.tokens
        return crowded or (limit.requests is not None and requests >= limit.requests)

    def why(self, now: float) -> str:
        if self.held_until > now:
            return f"the gateway asked to leave {self.name} alone until then"
        return f"{self.limit} for {self.name}"


class Limiter:
    """The windows of one gateway, shared by the threads of a session.

    Args:
        limits: by model id; ``EACH`` and ``FREE`` have a meaning of their own.
        tokens_of: estimates the tokens of a request, its answer included; asked only where tokens are limited.
        now: tells when a reset that a gateway dates will be.
    """

    def __init__(
        self,
        limits: Mapping[str, Limit],
        tokens_of: Callable[[Request], int] = lambda _: 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limits = dict(limits)
        self._tokens_of = tokens_of
        self._clock = clock
        self._now = now
        self._windows: dict[str, _Window] = {}
        self.forked()
        anew_in_children(self)

    def join(self, request: Request) -> Ticket | None:
        """Queue up; None where nothing limits this model. ``leave`` when it is over, however it ends."""
        names = [name for name in self._names(request.model) if name in self._windows or self._limit(name)]
        if not names:
            return None
        counted = any(limit.tokens for name in names if (limit := self._limit(name)))
        tokens = self._tokens_of(request) if counted else 0
        with self._lock:
            ticket = Ticket(tokens, tuple(self._window(name) for name in names), due=self._clock())
            for window in ticket.windows:
                window.waiting.append(ticket)
        return ticket

    def look(self, ticket: Ticket) -> Turn:
        """Return how long it has to wait still. A wait of 0 is its turn: it counts as sent from this moment on."""
        with self._lock:
            now = self._clock()
            at, window = max([(window.earliest(ticket, now), window) for window in ticket.windows], key=lambda w: w[0])
            if at <= now:
                self._go(ticket, now)
                return Turn()
            # What happens meanwhile can bring it forward: who waits long looks again now and then.
            look_s = max(_SHORTEST_S, min(at - now, max(1.0, (at - now) / 2)))
            ticket.due = now + look_s
            return Turn(at - now, look_s, window.why(now))

    def leave(self, ticket: Ticket) -> None:
        """Give up its place, if it waits still."""
        with self._lock:
            for window in ticket.windows:
                window.drop(ticket)

    def unsent(self, ticket: Ticket) -> None:
        """Take back what did not leave this side after all."""
        with self._lock:
            for window, sent in zip(ticket.windows, ticket.sent, strict=False):
                if sent in window.sent:
                    window.sent.remove(sent)
            ticket.sent = ()

    def correct(self, ticket: Ticket, usage: Usage) -> None:
        """Count what an answer took in place of the estimate."""
        if usage.total_tokens is not None:
            for sent in ticket.sent:
                sent.tokens = usage.total_tokens

    def learn(self, model: str, error: RateLimitedError) -> None:
        """Hold a model for as long as a 429 asks, and keep to the limit that it tells.

        Not the limit of a day: credits bought in the meantime end it.
        """
        if error.daily:
            return
        reset_s = self._reset_s(error)
        hold_s = error.retry_after_s if error.retry_after_s is not None else reset_s
        if hold_s is None:
            return
        with self._lock:
            for name in self._names(model) if error.free_tier else [model]:
                window = self._window(name)
                window.held_until = max(window.held_until, self._clock() + hold_s)
                if error.limit and reset_s is not None:
                    mine = self._limit(name)
                    told = min(error.limit, mine.requests or error.limit) if mine else error.limit
                    window.limit = replace(window.limit, requests=told)

    def state(self) -> list[str]:
        """Return a line for each window that counts or holds something."""
        with self._lock:
            now = self._clock()
            return [_line(window, now) for _, window in sorted(self._windows.items())]

    def forked(self) -> None:
        """Begin with a lock of our own, and without the parent's threads in the queues."""
        # Reentrant: the collector may end a forgotten call wherever this thread happens to be.
        self._lock = threading.RLock()
        for window in self._windows.values():
            window.waiting.clear()

    def _go(self, ticket: Ticket, now: float) -> None:
        sent = []
        for window in ticket.windows:
            window.drop(ticket)
            window.sent.append(_Sent(now, ticket.tokens))
            sent.append(window.sent[-1])
        ticket.sent = tuple(sent)

    @staticmethod
    def _names(model: str) -> list[str]:
        free = model.endswith(FREE) or model == "openrouter/free"
        return [model, FREE] if free else [model]

    def _limit(self, name: str) -> Limit | None:
        return self._limits.get(name) or (self._limits.get(EACH) if name != FREE else None)

    def _window(self, name: str) -> _Window:
        if name not in self._windows:
            shown = "all free models together" if name == FREE else name
            self._windows[name] = _Window(shown, self._limit(name) or Limit())
        return self._windows[name]

    def _reset_s(self, error: RateLimitedError) -> float | None:
        """Return the seconds until a limit of a minute begins anew; None where it is none, or not told."""
        if error.reset_at is None:
            return None
        left = error.reset_at - self._now()
        return left.total_seconds() if timedelta(0) < left <= _SOON else None


def rate_limit(send: Send, limiter: Limiter, pause: Pause, *, clock: Callable[[], float] = time.monotonic) -> Send:
    """Return ``send`` within the limits; the wait counts to the total limit of the request."""

    def limited(request: Request) -> Generator[Event, None, None]:
        ticket = limiter.join(request)
        try:
            if ticket is not None:
                end = clock() + request.timeouts.total_s
                stop = yield from _wait(request, limiter, ticket, pause, lambda: end - clock())
                if stop is not None:
                    yield stop
                    return
                request = replace(request, timeouts=replace(request.timeouts, total_s=end - clock()))
            yield from _count(send, request, limiter, ticket)
        except OrMagicError:  # a budget stopped it
            if ticket is not None:
                limiter.unsent(ticket)
            raise
        finally:
            if ticket is not None:
                limiter.leave(ticket)

    return limited


def _wait(
    request: Request, limiter: Limiter, ticket: Ticket, pause: Pause, left_s: Callable[[], float]
) -> Generator[Event, None, Closed | None]:
    """Wait for the turn; return the end of an attempt that does not get it."""
    told = ""
    while (turn := limiter.look(ticket)).wait_s:
        if turn.wait_s > left_s():
            return _too_long(turn)
        if turn.why != told:
            told = turn.why
            yield Notice("rate limit", f"The call waits {spell(turn.wait_s)}: {turn.why}.")
        if not pause(request, turn.look_s):
            return stopped()
    return None


def _count(send: Send, request: Request, limiter: Limiter, ticket: Ticket | None) -> Generator[Event, None, None]:
    with closing(send(request)) as stream:
        for event in stream:
            if not isinstance(event, Piece):  # nearly every one is
                _learn(event, request, limiter, ticket)
            yield event


def _learn(event: Event, request: Request, limiter: Limiter, ticket: Ticket | None) -> None:
    if isinstance(event, Metered) and ticket is not None:
        limiter.correct(ticket, event.usage)
    elif isinstance(event, Closed):
        if ticket is not None and not event.sent:
            limiter.unsent(ticket)
        if isinstance(event.error, RateLimitedError) and event.sent:
            limiter.learn(request.model, event.error)


def _too_long(turn: Turn) -> Closed:
    error = RateLimitedError(
        f"Its turn comes in {spell(turn.wait_s)} ({turn.why}), after the total limit of the call.",
        "Run it again later, raise the limit, or choose another model.",
        retry_after_s=turn.wait_s,
    )
    error.billed = UNSENT
    error.retryable = False
    return Closed("error", error, sent=False)


def _line(window: _Window, now: float) -> str:
    recent = [one for one in window.sent if one.at + WINDOW_S > now]
    used = f"{len(recent)} sent in the last minute"
    if window.limit.tokens:
        used += f" with {sum([one.tokens for one in recent]):,} tokens"
    held = f", held for {spell(window.held_until - now)}" if window.held_until > now else ""
    waiting = f", {len(window.waiting)} waiting" if window.waiting else ""
    return f"{window.name}: {window.limit}; {used}{waiting}{held}"
