"""What the network did to an attempt, as exceptions and as the end of its stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import UNSENT, CallError, CallInterruptedError, CallTimeoutError, ConnectionFailedError
from ..events import Closed

if TYPE_CHECKING:
    from .deadlines import Deadlines


def failed(fault: CallError, *, sent: bool) -> Closed:
    """Return the end of an attempt that got no answer; ``sent`` says whether it may have left this side."""
    if not sent:
        fault.billed = UNSENT
    if isinstance(fault, CallInterruptedError):
        return Closed("interrupted", fault, sent=sent)
    code = fault.status_code
    if code is None:
        return Closed("unknown" if sent else "error", fault, sent=sent)
    return Closed("refused" if code < 500 else "error", fault, generation_id=None, sent=sent)


def broken(closed: Closed, fault: CallError, *, began: bool) -> Closed:
    """Return the end of an answer whose body broke; an answer that was complete before that stays complete."""
    if closed.status != "partial":
        return closed
    fault.retryable = False  # it was accepted, so it may be running, and billed
    if isinstance(fault, CallInterruptedError) or (began and isinstance(fault, CallTimeoutError)):
        return replace(closed, status="interrupted", error=fault)
    return replace(closed, status="partial" if began else "unknown", error=fault)


def network_fault(deadlines: Deadlines) -> CallError:
    """Return what ended a read: a stop, a limit that has passed, or the network."""
    if deadlines.stopped:
        return stopped()
    if phase := deadlines.passed():
        return timed_out(phase, None)
    return ConnectionFailedError("The connection broke before the answer was finished.", "Run it again.")


def stopped() -> CallInterruptedError:
    """Return the exception of a call that was closed on this side."""
    return CallInterruptedError("The call was stopped.", "Run it again.")


def unsendable(error: Exception) -> ConnectionFailedError:
    """Return the exception of a request that the client could not even write down."""
    fault = ConnectionFailedError(f"The request cannot be written: {error}.", "Correct it, or the base URL.")
    fault.retryable = False  # it will not become writable
    return fault


def timed_out(phase: str, limit_s: float | None) -> CallTimeoutError:
    """Return the exception for a limit."""
    limit = f" of {limit_s:g} s" if limit_s else ""
    fault = CallTimeoutError(f"The {phase} limit{limit} has passed.", "Run it again, or raise the limit.")
    fault.phase = phase
    return fault


def unreachable(base_url: str, reason: str) -> ConnectionFailedError:
    """Return the exception for a gateway that no byte reached."""
    host = urlsplit(base_url).netloc.rpartition("@")[2]
    return ConnectionFailedError(
        f"{host} cannot be reached ({reason or 'no connection'}).",
        "Check the network, the proxy and the base URL.",
    )
