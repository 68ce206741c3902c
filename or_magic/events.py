"""What a stream is made of: Opened, Piece, Notice, Metered, Closed, and nothing else. Frozen, no I/O.

An attempt's stream has at most one Opened and exactly one Closed, which is last.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from .content import Part
from .errors import CallError, ProtocolError
from .values import Request, Status, Usage


@dataclass(frozen=True, slots=True)
class Opened:
    """The gateway accepted the request; from here on it may cost money."""

    generation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment of the answer, in the order of arrival."""

    part: Part


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth showing that is not part of the answer; ``reason`` is a word, ``text`` a sentence."""

    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Metered:
    """What the attempt took, as far as the gateway told it."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of an attempt, and of the call where ``final``; ``sent`` is False where no byte left this side.

    ``gateway`` is who was asked, by the name that the books use; ``cached``: its own cache answered, for nothing.
    """

    status: Status
    error: CallError | None = None
    finish_reason: str | None = None
    model: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    final: bool = True
    sent: bool = True
    gateway: str | None = None
    cached: bool = False

    @property
    def free(self) -> bool:
        """Whether nothing ran, so that nothing was billed: it never left, was refused, cached, or failed before it ran.

        A 5xx with the gateway's error object and no generation ran nowhere (WIRE.md §5.10); an edge's HTML says
        nothing.
        """
        error = self.error
        if not self.sent or self.cached or self.status == "refused":
            return True
        told = error is not None and error.body is not None and not isinstance(error, ProtocolError)
        return told and self.status == "error" and self.generation_id is None


Event = Opened | Piece | Notice | Metered | Closed
Send = Callable[[Request], Generator[Event, None, None]]
