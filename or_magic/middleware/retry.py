"""The only owner of retries: what failed before the first byte of an answer is tried again, seldom, later, visibly.

An attempt that may be running, and be billed, is not repeated: none that was opened under a generation id (unless its
usage says that it cost nothing), none that broke or fell silent after the gateway had accepted it. The one bet taken is
a connection that broke before any answer.
"""

from __future__ import annotations

import random as _random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace

from ..errors import (
    UNSENT,
    CallError,
    CallTimeoutError,
    ConnectionFailedError,
    OrMagicError,
    ProviderError,
    RefusedError,
)
from ..events import Closed, Event, Metered, Notice, Opened, Piece, Send
from ..values import Request
from .forks import anew_in_children
from .waiting import Pause, spell, stopped

_NEVER = frozenset({400, 401, 402, 403})
_PASSING = frozenset({408, 429})
# Of error objects without a code (WIRE.md §7).
_PASSING_TYPES = frozenset({"rate_limit_exceeded", "provider_overloaded", "provider_unavailable", "server", "timeout"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How often, and how long apart. Longer than ``longest_wait_s`` nobody waits unseen: the error is shown instead."""

    attempts: int = 4
    first_s: float = 1.0
    longest_s: float = 10.0
    longest_wait_s: float = 60.0


_USUAL = Policy()


class Quota:
    """What a process may spend on retries, so that a bad day of the gateway is not made worse by all its callers.

    A retry takes ``cost``, given back if it helped or was not made; a call that succeeds at once gives 1.
    """

    def __init__(self, capacity: int = 500, cost: int = 14) -> None:
        self._capacity = capacity
        self._cost = cost
        self._left = capacity
        self.forked()
        anew_in_children(self)

    def take(self) -> bool:
        """Take the cost of a retry; False where too little is left."""
        with self._lock:
            if self._left < self._cost:
                return False
            self._left -= self._cost
            return True

    def give_back(self) -> None:
        """Return the cost of a retry."""
        self._add(self._cost)

    def earn(self) -> None:
        """Note a call that succeeded at once."""
        if self._left < self._capacity:
            self._add(1)

    @property
    def left(self) -> int:
        """What is left."""
        return self._left

    def forked(self) -> None:
        """Begin with a lock of our own."""
        # Reentrant: the collector may end a forgotten call wherever this thread happens to be.
        self._lock = threading.RLock()

    def _add(self, amount: int) -> None:
        with self._lock:
            self._left = min(self._capacity, self._left + amount)


QUOTA = Quota()


def retry(
    send: Send,
    pause: Pause,
    policy: Policy = _USUAL,
    *,
    quota: Quota = QUOTA,
    clock: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = _random.random,
) -> Send:
    """Return ``send`` with retries; all of them share the total limit of the request, and each is an attempt.

    An OrMagicError that ``send`` raises before it sends ends the call: at the first attempt it is raised, later the
    attempt before it has the last word.
    """

    def retried(request: Request) -> Generator[Event, None, None]:
        end = clock() + request.timeouts.total_s
        yield from _Call(request, send, pause, policy, quota, clock, random, end).run()

    return retried


@dataclass(slots=True)
class _Seen:
    """What one attempt showed; ``kept_back`` is why this side did not send it."""

    closed: Closed | None = None
    opened: bool = False
    began: bool = False
    cost_nothing: bool = False
    kept_back: str = ""


@dataclass(slots=True)
class _Call:
    """One call, from its first attempt to its last."""

    request: Request
    send: Send
    pause: Pause
    policy: Policy
    quota: Quota
    clock: Callable[[], float]
    random: Callable[[], float]
    end: float
    failed: list[Closed] = field(default_factory=list)

    def run(self) -> Generator[Event, None, None]:
        while True:
            seen = yield from self._attempt()
            if seen.kept_back:
                yield from self._give_up(seen.kept_back)
                return
            if seen.closed is None:
                return
            if self.policy.attempts == 1 or not _worth_another(seen) or self._bet_before(seen.closed):
                yield self._last(seen.closed)
                return
            wait_s = self._wait_s(seen.closed.error)
            self.failed.append(seen.closed)
            if obstacle := self._obstacle(seen.closed.error, wait_s):
                yield from self._give_up(obstacle)
                return
            if not (yield from self._rest(seen.closed, wait_s)):
                yield stopped(self._billed())
                return
            if self._left_s() <= 0:
                self.quota.give_back()
                yield from self._give_up(self._out_of_time())
                return
            self.request = self._next()

    def _attempt(self) -> Generator[Event, None, _Seen]:
        seen = _Seen()
        try:
            yield from self._sent(seen)
        except OrMagicError as error:
            if not self.failed or seen.opened or seen.began:
                raise
            seen.kept_back = str(error)
        finally:  # also when the reader leaves
            if self.failed and seen.closed and _was_kept_back(seen.closed):
                seen.kept_back = str(seen.closed.error)
            self._book(seen)
        return seen

    def _sent(self, seen: _Seen) -> Generator[Event, None, None]:
        """Send once and pass on what comes, but for the end; ``seen`` takes it in."""
        with closing(self.send(self.request)) as stream:
            for event in stream:
                if isinstance(event, Piece):  # nearly every one
                    seen.began = True
                    yield event
                elif not _note(event, seen):
                    yield event

    def _book(self, seen: _Seen) -> None:
        """Settle with the quota what came of this attempt."""
        helped = seen.began or (seen.closed is not None and seen.closed.status == "ok")
        if self.failed and (helped or seen.kept_back):
            self.quota.give_back()
        elif helped:
            self.quota.earn()

    def _rest(self, closed: Closed, wait_s: float) -> Generator[Event, None, bool]:
        """Say that and why it is tried again, and wait; False where the call was stopped."""
        go_on = False
        happened = closed.error.happened.rstrip(".") if closed.error else ""
        which = f"attempt {len(self.failed) + 1} of {self.policy.attempts}"
        try:
            yield replace(closed, final=False)
            yield Notice("retry", f"{happened}; again in {spell(wait_s)} ({which}).")
            go_on = self.pause(self.request, wait_s)
        finally:
            if not go_on:
                self.quota.give_back()
        return go_on

    def _wait_s(self, error: CallError | None) -> float:
        """Return a random wait; what was asked for is its least, and a herd does not come back at the same moment."""
        policy = self.policy
        wait_s = self.random() * min(policy.longest_s, policy.first_s * 2.0 ** len(self.failed))
        asked_s = error.retry_after_s if error else None
        if asked_s is None:
            return wait_s
        return max(wait_s, asked_s + self.random() * 0.1 * max(asked_s, policy.first_s))

    def _obstacle(self, error: CallError | None, wait_s: float) -> str:
        """Return why there is no further attempt; empty, with the quota taken, where there is one."""
        asked_s = (error.retry_after_s if error else None) or 0.0
        if len(self.failed) >= self.policy.attempts:
            return f"{len(self.failed)} have failed"
        if asked_s > self.policy.longest_wait_s:
            return f"the gateway asks to wait {spell(asked_s)}"
        if wait_s >= self._left_s():
            return self._out_of_time()
        if not self.quota.take():
            return "too many calls of this process fail just now"
        return ""

    def _left_s(self) -> float:
        return self.end - self.clock()

    def _out_of_time(self) -> str:
        return "the total limit of the call would pass before it"

    def _next(self) -> Request:
        origin, timeouts = self.request.origin, self.request.timeouts
        return replace(
            self.request,
            origin=replace(origin, attempt=origin.attempt + 1),
            timeouts=replace(timeouts, total_s=self._left_s()),
        )

    def _give_up(self, why: str) -> Generator[Event, None, None]:
        """End with the attempt before, and say why none follows."""
        yield Notice("retry", f"No further attempt: {why.rstrip('.')}.")
        yield self._last(self.failed.pop())

    def _last(self, closed: Closed) -> Closed:
        """Return the end of the call; its error speaks of the money of every attempt."""
        error = closed.error
        if error is None or not self.failed:
            return closed
        if not closed.sent:
            error.billed = self._billed()
        elif not all(before.free for before in self.failed):
            error.earlier = self._billed()
        return closed

    def _bet_before(self, closed: Closed) -> bool:
        """Whether two attempts may have been billed by now: once is a bet, twice would be a habit."""
        return not closed.free and any(not before.free for before in self.failed)

    def _billed(self) -> str:
        unknown = len([before for before in self.failed if not before.free])
        if not unknown:
            return "Nothing was billed." if any(before.sent for before in self.failed) else UNSENT
        attempts = "an attempt" if unknown == 1 else f"{unknown} attempts"
        return f"What {attempts} before it cost is not known yet."


def _note(event: Event, seen: _Seen) -> bool:
    """Take in what is no piece; True where it is the end, which is not passed on yet."""
    if isinstance(event, Opened):
        seen.opened = True
    elif isinstance(event, Metered):
        seen.cost_nothing = event.usage.cost_usd == 0
    elif isinstance(event, Closed):
        seen.closed = event
        return True
    return False


def _was_kept_back(closed: Closed) -> bool:
    """Whether this side did not let it go, as an open circuit does."""
    error = closed.error
    return not closed.sent and error is not None and error.retryable is False


def _worth_another(seen: _Seen) -> bool:
    """Whether the same request may do better in a moment, and cannot be billed twice by what is known."""
    error = seen.closed.error if seen.closed else None
    if error is None or seen.began or error.retryable is False or (seen.opened and not seen.cost_nothing):
        return False
    if isinstance(error, ConnectionFailedError):
        return True
    if isinstance(error, CallTimeoutError):
        return error.phase == "connect"
    return isinstance(error, (ProviderError, RefusedError)) and _passes(error)


def _passes(error: CallError) -> bool:
    code = error.status_code
    if code is None:
        return error.retryable is True or error.error_type in _PASSING_TYPES
    return code >= 500 or code in _PASSING or (error.retryable is True and code not in _NEVER)
