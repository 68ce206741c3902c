"""Parts of the tests of the middleware: a Send that plays a script, and a time that passes only while one waits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace

from or_magic.content import Text
from or_magic.errors import (
    CallTimeoutError,
    ConnectionFailedError,
    ProviderError,
    RateLimitedError,
    RefusedError,
)
from or_magic.events import Closed, Event, Notice, Opened, Piece
from or_magic.values import Origin, Request, Timeouts

REQUEST = Request("a/model", (), origin=Origin(call_id="c"), timeouts=Timeouts(total_s=100.0))
BODY = {"message": "no"}
Attempt = list[Event | BaseException]


class Time:
    """A clock, and a pause that moves it; ``stop_at`` is when the user presses stop."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.stop_at = float("inf")
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def pause(self, request: Request, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now = min(self.now + seconds, self.stop_at)
        return self.now < self.stop_at


@dataclass
class Script:
    """Plays one attempt after the other, the last one again and again; keeps what it was asked."""

    attempts: list[Attempt]
    asked: list[Request] = field(default_factory=list)
    closed: int = 0
    before: Callable[[], None] = lambda: None

    def send(self, request: Request) -> Generator[Event, None, None]:
        self.before()
        self.asked.append(request)
        events = self.attempts[min(len(self.asked), len(self.attempts)) - 1]
        try:
            for event in events:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self.closed += 1


def failure(code: int = 503, **more: object) -> Closed:
    """Return a fresh end of an attempt that the gateway refused with ``code`` and its error object."""
    kind = ProviderError if code >= 500 else RateLimitedError if code == 429 else RefusedError
    error = kind(f"It failed ({code}).", status_code=code, body=BODY)
    for name, value in more.items():
        setattr(error, name, value)
    return Closed("error" if code >= 500 else "refused", error)


def unreachable() -> Closed:
    return Closed("error", ConnectionFailedError("No route."), sent=False)


def reset(generation_id: str | None = None) -> Closed:
    return Closed("unknown", ConnectionFailedError("The connection broke."), generation_id=generation_id)


def timeout(phase: str, *, sent: bool = True) -> Closed:
    error = CallTimeoutError(f"The {phase} limit has passed.")
    error.phase = phase
    return Closed("unknown" if sent else "error", error, sent=sent)


def good(text: str = "yes") -> Attempt:
    return [Opened("gen-ok"), Piece(Text(text)), Closed("ok", finish_reason="stop", generation_id="gen-ok")]


def last(events: Iterable[Event]) -> Closed:
    """Return the end of a call, and check that it has one, and that it is last."""
    told = list(events)
    ends = [event for event in told if isinstance(event, Closed) and event.final]
    assert 1 == len(ends)
    assert told[-1] is ends[0]
    return ends[0]


def notices(events: Iterable[Event], reason: str = "retry") -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.reason == reason]


def asking(model: str = "a/model", total_s: float = 100.0) -> Request:
    return replace(REQUEST, model=model, timeouts=Timeouts(total_s=total_s))
