"""A circuit per gateway and one per model: what fails again and again is left alone for a while, then probed by one.

Refused connections count for the whole gateway, 5xx and silence for its model; 4xx say nothing about either. A success
clears the count: a gateway that fails now and then is for the retry, not for this.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from ..errors import CallError, CallTimeoutError, CircuitOpenError, ConnectionFailedError, ProviderError
from ..events import Closed, Event, Piece, Send
from ..values import Request
from .forks import anew_in_children
from .waiting import spell


@dataclass(frozen=True, slots=True)
class Fuse:
    """When a circuit opens and for how long; a probe that is not heard of for ``probe_s`` is taken for lost."""

    failures: int = 5
    within_s: float = 60.0
    cool_down_s: float = 30.0
    longest_s: float = 300.0
    probe_s: float = 300.0


_USUAL = Fuse()


@dataclass(eq=False, slots=True)
class Permit:
    """The leave of one attempt to be sent; it is the probe of those circuits that were open."""

    gateway: str
    model: str
    settled: bool = False


@dataclass(slots=True)
class _Circuit:
    """What is known of a gateway, or of one model of it, since it last answered."""

    cool_down_s: float
    failed_at: deque[float] = field(default_factory=deque)
    why: str = ""
    opened_at: float | None = None
    until: float = float("-inf")
    probe: Permit | None = None
    probe_at: float = 0.0

    def lets(self, now: float, fuse: Fuse) -> bool:
        """Whether an attempt may go."""
        if self.opened_at is None:
            return True
        return now >= self.until and (self.probe is None or now >= self.probe_at + fuse.probe_s)

    def fail(self, permit: Permit, error: CallError, now: float, fuse: Fuse) -> None:
        """Take a failure in; of two deadlines the later one holds."""
        self.why = error.label
        asked_s = min(error.retry_after_s or 0.0, fuse.longest_s)
        self.until = max(self.until, now + asked_s)
        self.failed_at.append(now)
        while self.failed_at[0] <= now - fuse.within_s:
            self.failed_at.popleft()
        if self.probe is permit:
            self.probe = None
            self.cool_down_s = min(2 * self.cool_down_s, fuse.longest_s)
        elif self.opened_at is None:
            if len(self.failed_at) < fuse.failures:
                return
            self.opened_at = now
        self.until = max(self.until, now + self.cool_down_s)


class Breakers:
    """The circuits of a process or a session, shared by its threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, fuse: Fuse = _USUAL) -> None:
        self._clock = clock
        self._fuse = fuse
        self._circuits: dict[tuple[str, str], _Circuit] = {}  # only of those that have failed
        self.forked()
        anew_in_children(self)

    def admit(self, gateway: str, model: str) -> Permit:
        """Return the leave to send one attempt; give it back by one of the methods below.

        Raises:
            CircuitOpenError: it is left alone, or being probed by another call.
        """
        permit = Permit(gateway, model)
        if not self._circuits:
            return permit
        with self._lock:
            now = self._clock()
            found = [(name, self._circuits[gateway, name]) for name in ("", model) if (gateway, name) in self._circuits]
            for name, circuit in found:
                if not circuit.lets(now, self._fuse):
                    raise _refusal(gateway, name, circuit, now)
            for _, circuit in found:
                if circuit.opened_at is not None:
                    circuit.probe, circuit.probe_at = permit, now
        return permit

    def succeed(self, permit: Permit) -> None:
        """Note that an answer has begun. Only a probe closes what is open: others may have been sent long before."""
        permit.settled = True
        if not self._circuits:
            return
        with self._lock:
            for key in _keys(permit):
                circuit = self._circuits.get(key)
                if circuit is not None and (circuit.opened_at is None or circuit.probe is permit):
                    del self._circuits[key]

    def fail(self, permit: Permit, error: CallError, *, whole_gateway: bool) -> None:
        """Note a failure of the gateway, or of its model."""
        with self._lock:
            key = (permit.gateway, "" if whole_gateway else permit.model)
            circuit = self._circuits.setdefault(key, _Circuit(self._fuse.cool_down_s))
            circuit.fail(permit, error, self._clock(), self._fuse)
        self.give_back(permit)

    def give_back(self, permit: Permit) -> None:
        """Note that nothing was learnt: what it was the probe of waits for another; harmless afterwards."""
        if permit.settled:
            return
        permit.settled = True
        if not self._circuits:
            return
        with self._lock:
            for key in _keys(permit):
                circuit = self._circuits.get(key)
                if circuit is not None and circuit.probe is permit:
                    circuit.probe = None

    @contextmanager
    def lent(self, permit: Permit) -> Iterator[None]:
        """Give the permit back at the end, whatever that is."""
        try:
            yield
        finally:
            self.give_back(permit)

    def state(self) -> list[str]:
        """Return a line for each circuit that is open; none is good news."""
        with self._lock:
            now = self._clock()
            return [
                f"{_told(gateway, name, circuit, now)}; {_when(circuit, now)}"
                for (gateway, name), circuit in sorted(self._circuits.items())
                if circuit.opened_at is not None
            ]

    def forked(self) -> None:
        """Begin with a lock of our own, and without the probes of the parent's threads."""
        # Reentrant: the collector may end a forgotten call wherever this thread happens to be.
        self._lock = threading.RLock()
        for circuit in self._circuits.values():
            circuit.probe = None


def breaker(send: Send, breakers: Breakers, gateway: str) -> Send:
    """Return ``send`` behind the circuits of ``gateway``: while one is open, its attempts end at once, unsent."""

    def guarded(request: Request) -> Generator[Event, None, None]:
        try:
            permit = breakers.admit(gateway, request.model)
        except CircuitOpenError as error:
            yield Closed("error", error, sent=False)
            return
        with breakers.lent(permit), closing(send(request)) as stream:
            for event in stream:
                if not permit.settled and isinstance(event, (Piece, Closed)):
                    _judge(breakers, permit, event)
                yield event

    return guarded


def _judge(breakers: Breakers, permit: Permit, event: Piece | Closed) -> None:
    if isinstance(event, Piece) or event.status == "ok":
        breakers.succeed(permit)
        return
    error = event.error
    unsendable = error is not None and error.retryable is False and not event.sent
    if isinstance(error, ConnectionFailedError) and not unsendable:
        breakers.fail(permit, error, whole_gateway=True)
    elif isinstance(error, CallTimeoutError):
        breakers.fail(permit, error, whole_gateway=error.phase == "connect")
    elif isinstance(error, ProviderError):
        breakers.fail(permit, error, whole_gateway=False)
    else:
        breakers.give_back(permit)


def _keys(permit: Permit) -> tuple[tuple[str, str], tuple[str, str]]:
    return (permit.gateway, ""), (permit.gateway, permit.model)


def _refusal(gateway: str, name: str, circuit: _Circuit, now: float) -> CircuitOpenError:
    error = CircuitOpenError(
        f"{_told(gateway, name, circuit, now)}.",
        f"It is {_when(circuit, now)}; choose {'another gateway' if not name else 'another model'}, or wait.",
        retry_after_s=max(0.0, circuit.until - now),
    )
    error.whole_gateway = not name
    return error


def _told(gateway: str, name: str, circuit: _Circuit, now: float) -> str:
    where = f"{name} at {gateway}" if name else gateway
    since = spell(now - (circuit.opened_at if circuit.opened_at is not None else now))
    return f"{where} has been left alone for {since}, because it failed again and again (the last time {circuit.why})"


def _when(circuit: _Circuit, now: float) -> str:
    if circuit.until > now:
        return f"tried again in {spell(circuit.until - now)}"
    return "being tried by another call right now" if circuit.probe else "tried again by the next call"
