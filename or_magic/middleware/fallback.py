"""Which model answered in place of another: OpenRouter's own fallback list, and local servers behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeGuard

from ..errors import CallTimeoutError, CircuitOpenError, ConnectionFailedError
from ..events import Closed, Event, Notice, Piece, Send
from ..values import Request

_THEIRS = ("models", "provider", "plugins")  # fields that only OpenRouter knows


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who else may answer.

    ``local`` returns the Send of a ``local:NAME``, None for any other model. ``same`` says whether a model's name and
    the one that an answer carries mean the same. ``fell`` is told who answered in place of whom.
    """

    local: Callable[[str], Send | None]
    same: Callable[[str, str], bool] = lambda asked, served: asked == served
    fell: Callable[[str, str], None] = lambda _asked, _served: None


def fallback(send: Send, elsewhere: Elsewhere) -> Send:
    """Return ``send`` with the local servers that a request names behind it, each asked where all before are away.

    A server is asked only where nothing left this side: whoever has got the question may bill it, and words of two
    models are never one answer. OpenRouter's list is its own affair: here it is only said who answered.
    """

    def falling(request: Request) -> Generator[Event, None, None]:
        own = elsewhere.local(request.model)
        asked = plain(request) if own else request
        closed, attempts = yield from _attempts(own or send, asked, elsewhere, holding=bool(request.elsewhere))
        for name in request.elsewhere:
            if closed is None:
                return
            yield replace(closed, final=False)
            yield Notice("fallback", f"{_reason(closed)} {name} is asked instead of {asked.model}.")
            origin = replace(asked.origin, attempt=asked.origin.attempt + attempts)
            asked = replace(plain(request), model=name, origin=origin)
            closed, attempts = yield from _attempts(
                elsewhere.local(name) or send, asked, elsewhere, holding=True, instead_of=request.model
            )
        if closed is not None:
            yield closed

    return falling


def plain(request: Request) -> Request:
    """Return the request without what only OpenRouter understands."""
    return replace(request, params={name: value for name, value in request.params.items() if name not in _THEIRS})


def _attempts(
    send: Send, request: Request, elsewhere: Elsewhere, *, holding: bool, instead_of: str | None = None
) -> Generator[Event, None, tuple[Closed | None, int]]:
    """Pass the events on; return the end instead where ``holding`` and nobody was reached, and how often was tried."""
    may_run, attempts = False, 0
    with closing(send(request)) as stream:
        for event in stream:
            attempts += isinstance(event, Closed)
            if holding and not may_run and _away(event):
                return event, attempts
            if isinstance(event, Closed):
                yield from _served(request, event, elsewhere, instead_of)
            # Who was asked before, and may be answering still, may also bill it.
            may_run = may_run or isinstance(event, Piece) or (isinstance(event, Closed) and not event.free)
            yield event
    return None, attempts


def _served(request: Request, closed: Closed, elsewhere: Elsewhere, instead_of: str | None) -> Generator[Event]:
    """Tell who answered, if it was not who was asked."""
    if closed.status != "ok":
        return
    if instead_of is not None:
        elsewhere.fell(instead_of, request.model)
        return
    others = request.params.get("models")
    if not isinstance(others, (list, tuple)) or not closed.model or elsewhere.same(request.model, closed.model):
        return
    served = next((name for name in map(str, others) if elsewhere.same(name, closed.model)), None)
    if served is not None:
        elsewhere.fell(request.model, served)
        yield Notice("fallback", f"{served} answered in place of {request.model}")


def _away(event: Event) -> TypeGuard[Closed]:
    """Whether it is the end of a call that reached nobody."""
    if not isinstance(event, Closed) or not event.final:
        return False
    if isinstance(event.error, CircuitOpenError):
        return event.error.whole_gateway
    return not event.sent and isinstance(event.error, (ConnectionFailedError, CallTimeoutError))


def _reason(closed: Closed) -> str:
    return closed.error.happened if closed.error else "The gateway cannot be reached."
