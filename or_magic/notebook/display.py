"""Showing a call: which way suits where it is shown, and what is left when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .. import neutral
from ..errors import CallError, LedgerError, OrMagicError
from ..events import Closed, Event, Notice
from ..options import Options
from ..values import Reply
from .outputs import Outputs, outputs_of
from .words import first_code, is_json, status_line

if TYPE_CHECKING:
    from ..engine.stream import Stream
    from .face import Face

# Notices that still matter when the answer is there.
_LASTING = ("attachment", "budget", "chosen", "context", "expiring", "fallback", "unsupported")


class Screen(Protocol):
    """Where a call is shown: it takes events while the call runs, and is finished or stopped in the end."""

    def take(self, event: Event) -> None:
        """Note an event."""

    def stop(self) -> None:
        """Let go of threads; harmless afterwards."""

    def finish(self, reply: Reply, line: str, outputs: Outputs) -> None:
        """Show what stays: the outputs, or in a terminal what is left of the reply and the status line."""

    def withdraw(self) -> None:
        """Take back what was shown while waiting: the call was stopped on this side, and nobody was asked."""


def show(face: Face, stream: Stream, options: Options) -> Reply:
    """Show the call to its end and return its reply.

    Raises:
        CallError: the call failed; what came, and the status, are shown.
        OrMagicError: it was stopped before anything was sent; nothing of it is shown.
    """
    announcement = face.announcement(face.session())
    if announcement:
        print(announcement, flush=True)
    screen = _screen(face, stream.reply.model_requested, options, announcement)
    notes = _Notes()
    try:
        for event in stream:
            screen.take(event)
            notes.take(event)
    except (CallError, KeyboardInterrupt):
        stream.close()
        _finish(face, stream.reply, options, screen, notes)
        raise
    except OrMagicError:
        screen.withdraw()
        raise
    else:
        _finish(face, stream.reply, options, screen, notes)
    finally:
        screen.stop()
    return stream.reply


def publish(shell: Any, reply: Reply) -> None:
    """Show a reply again, as a value."""
    if not hasattr(shell, "kernel"):
        from .terminal import write

        write(reply)
        return
    for data, metadata in outputs_of(reply, Options(out="reply")):  # whatever its name is
        shell.display_pub.publish(data=data, metadata=metadata)


class _Notes:
    """What was said while the call ran and still matters when the answer is there."""

    def __init__(self) -> None:
        self._attempts = 1
        self._texts: list[str] = []
        self._asked_again: list[str] = []

    def take(self, event: Event) -> None:
        if isinstance(event, Closed) and not event.final:
            self._attempts += 1
        elif isinstance(event, Closed) and event.status == "interrupted" and not event.sent:
            self._attempts -= 1  # it waited for its next attempt, which was none
        elif isinstance(event, Notice) and event.reason in _LASTING:
            self._texts.append(neutral.line(event.text.rstrip(".")))
        elif isinstance(event, Notice) and event.reason == "reask":
            self._asked_again = [neutral.line(event.text.rstrip("."))]  # the latest: it tells which attempt it is

    def told(self) -> list[str]:
        return [f"{self._attempts} attempts"] * (self._attempts > 1) + [*self._texts, *self._asked_again]


def _finish(face: Face, reply: Reply, options: Options, screen: Screen, notes: _Notes) -> None:
    try:
        total = face.session().tracker.total()
    except LedgerError:  # the ledger has warned already; the answer is not held up by it
        total = None
    line = status_line(reply, total, *notes.told(), *_offer_code(face, reply, options))
    screen.finish(reply, line, outputs_of(reply, options, line))


def _offer_code(face: Face, reply: Reply, options: Options) -> list[str]:
    """Put the first code block into the next cell, if that was asked for; return what is to be said about it."""
    if options.format != "code" or reply.status != "ok":
        return []
    code = first_code(reply.text)
    if code is None:
        return ["no code block in the answer"]
    face.shell.set_next_input(code, replace=False)
    return ["code in the next cell" if hasattr(face.shell, "kernel") else "code at the next prompt"]


def _screen(face: Face, model: str, options: Options, announcement: str | None) -> Screen:
    shell = face.shell
    if not hasattr(shell, "kernel"):
        from .terminal import Terminal

        return Terminal(model, options)
    if options.quiet or not _somebody_looks(shell):
        return _Unseen(shell)
    from .live import Live

    return Live(
        shell,
        face.painters,
        model,
        announcement=announcement,
        paged=_alone(shell),
        markdown=options.format != "text",
        hide_reasoning=options.hide_reasoning,
        counts=is_json(options),
    )


class _Unseen:
    """Nobody looks while the call runs: everything is published once, at its end."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def take(self, event: Event) -> None:
        pass

    def stop(self) -> None:
        pass

    def finish(self, reply: Reply, line: str, outputs: Outputs) -> None:  # noqa: ARG002 - other screens need them
        for data, metadata in outputs:
            self._shell.display_pub.publish(data=data, metadata=metadata)

    def withdraw(self) -> None:
        pass


def _somebody_looks(shell: Any) -> bool:
    """Whether a person may be watching: front ends that run notebooks to their end allow no input."""
    content = shell.get_parent().get("content") or {}
    captured = not hasattr(shell.display_pub, "pub_socket")  # %%capture keeps the outputs for later
    return bool(content.get("allow_stdin", False)) and not captured


def _alone(shell: Any) -> bool:
    """Whether the cell is nothing but our magic: clearing its outputs then clears nothing else."""
    content = shell.get_parent().get("content") or {}
    return str(content.get("code", "")).lstrip().startswith(("%%or", "%%openrouter"))
