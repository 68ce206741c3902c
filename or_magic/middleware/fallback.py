"""Local servers behind a gateway that cannot be reached; OpenRouter's own fallback models are its own affair."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from ..errors import CallTimeoutError, ConnectionFailedError
from ..events import Closed, Event, Notice, Piece, Send
from ..values import Request

_THEIRS = ("models", "provider", "plugins", "reasoning")  # fields that only OpenRouter knows


def fallback(send: Send, local: Callable[[str], Send | None]) -> Send:
    """Return ``send`` with the local servers that a request names behind it, each asked where all before are away.

    ``local`` returns the Send of a ``local:NAME``, None for any other model. A server is asked only where nothing left
    this side: whoever has got the question may bill it, and words of two models are never one answer.
    """

    def falling(request: Request) -> Generator[Event, None, None]:
        own = local(request.model)
        asked = plain(request) if own else request
        closed, attempts = yield from _attempts(own or send, asked, holding=bool(request.elsewhere))
        for name in request.elsewhere:
            if closed is None:
                return
            yield replace(closed, final=False)
            yield Notice("fallback", f"{_reason(closed)} {name} is asked instead of {asked.model}.")
            origin = replace(asked.origin, attempt=asked.origin.attempt + attempts)
            asked = replace(plain(request), model=name, origin=origin)
            closed, attempts = yield from _attempts(local(name) or send, asked, holding=True)
        if closed is not None:
            yield closed

    return falling


def plain(request: Request) -> Request:
    """Return the request without what only OpenRouter understands."""
    return replace(request, params={name: value for name, value in request.params.items() if name not in _THEIRS})


def _attempts(send: Send, request: Request, *, holding: bool) -> Generator[Event, None, tuple[Closed | None, int]]:
    """Pass the events on; return the end instead where ``holding`` and nobody was reached, and how often was tried."""
    began, attempts = False, 0
    with closing(send(request)) as stream:
        for event in stream:
            attempts += isinstance(event, Closed)
            if isinstance(event, Closed) and event.final and holding and not began and _away(event):
                return event, attempts
            began = began or isinstance(event, Piece)
            yield event
    return None, attempts


def _away(closed: Closed) -> bool:
    return not closed.sent and isinstance(closed.error, (ConnectionFailedError, CallTimeoutError))


def _reason(closed: Closed) -> str:
    return closed.error.happened if closed.error else "The gateway cannot be reached."
