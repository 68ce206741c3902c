"""Showing a call: text while it streams, one Markdown output when it is done, one status line below."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..content import Text
from ..errors import CallError
from ..events import Event, Piece
from ..values import Reply, Total, dollars

if TYPE_CHECKING:
    from ..engine.stream import Stream
    from .face import Face

# Each update is a message through the server to the browser; more would not be seen.
_UPDATE_S = 0.12


def show(face: Face, stream: Stream, *, live: bool) -> Reply:
    """Show the call to its end and return its reply.

    Raises:
        CallError: the call failed; what came, and the status, are shown.
    """
    shell = face.shell
    announcement = face.announcement(face.session())
    if announcement:
        _say(announcement)
    live = live and _somebody_looks(shell) and _alone(shell)
    typist = _Typist(announcement, flushed=hasattr(shell, "kernel")) if live else None
    try:
        for event in stream:
            if typist:
                typist.take(event)
    except CallError:
        _finish(face, stream.reply, typist)
        raise
    except KeyboardInterrupt:
        stream.close()
        _finish(face, stream.reply, typist)
        raise
    _finish(face, stream.reply, typist)
    return stream.reply


def publish(shell: Any, reply: Reply) -> None:
    """Publish the answer as one Markdown output with its receipt, and its pictures and sound as their own."""
    if reply.text:
        data = {"text/markdown": reply.text, "text/plain": _plain(reply)}
        shell.display_pub.publish(data=data, metadata={"or_magic": receipt(reply)})
    for image in reply.images:
        if image.data is not None:
            shell.display_pub.publish(data={image.media_type: image.data, "text/plain": "a picture"})


def receipt(reply: Reply) -> dict[str, Any]:
    """Return what a saved notebook keeps about a call, so that spend can be read back from the file."""
    usage = reply.usage
    return {
        "generation_id": reply.id,
        "gateway": reply.gateway,
        "model": reply.model,
        "provider": reply.provider,
        "status": reply.status,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_usd": None if reply.cost_usd is None else f"{reply.cost_usd:f}",
    }


def status_line(reply: Reply, total: Total | None) -> str:
    """Return the line under an answer; what is not known is not in it, or says so."""
    mark = "✓" if reply.status == "ok" else f"✗ {reply.status} ·"
    words = [f"{mark} {reply.model or reply.model_requested}"]
    if reply.finish_reason in ("length", "content_filter"):
        words.append(f"cut short: {reply.finish_reason}")
    if reply.latency_s is not None:
        first = f", first word {reply.first_token_s:.1f} s" if reply.first_token_s is not None else ""
        words.append(f"{reply.latency_s:.1f} s{first}")
    if reply.usage and reply.usage.prompt_tokens is not None and reply.usage.completion_tokens is not None:
        words.append(f"{reply.usage.prompt_tokens:,} → {reply.usage.completion_tokens:,} tokens")
    words.append(_cost(reply))
    if total is not None:
        words.append(f"session {total.at_least}")
    return " · ".join(words)


def _finish(face: Face, reply: Reply, typist: _Typist | None) -> None:
    from ..errors import LedgerError

    shell = face.shell
    terminal = not hasattr(shell, "kernel")
    if typist:
        typist.end()
    if terminal:
        if not typist and reply.text:
            _say(reply.text)
    else:
        if typist and typist.typed:
            shell.display_pub.clear_output(wait=True)
            if typist.announcement:
                _say(typist.announcement)
        publish(shell, reply)
    try:
        total = face.session().tracker.total()
    except LedgerError:  # the ledger has warned already; the answer is not held up by it
        total = None
    line = status_line(reply, total)
    if terminal:
        _say(line)
    else:
        shell.display_pub.publish(data={"text/plain": line})


class _Typist:
    """Types the answer's words as they come, at most every ``_UPDATE_S``; the first at once."""

    def __init__(self, announcement: str | None, *, flushed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.announcement = announcement  # stands above the words, and must outlive them
        self.typed = False
        self._clock = clock
        self._held: list[str] = []
        self._last = float("-inf")
        self._pause_s = _UPDATE_S if flushed else 0.0

    def take(self, event: Event) -> None:
        if isinstance(event, Piece) and isinstance(event.part, Text):
            self._held.append(event.part.text)
        if self._held and self._clock() - self._last >= self._pause_s:
            self._type()

    def end(self) -> None:
        if self._held:
            self._type()
        if self.typed:
            _say("")

    def _type(self) -> None:
        _say("".join(self._held), end="")
        self._held.clear()
        self._last = self._clock()
        self.typed = True


def _somebody_looks(shell: Any) -> bool:
    """Whether a person may be watching: front ends that run notebooks to their end allow no input."""
    if not hasattr(shell, "kernel"):
        return True
    content = shell.get_parent().get("content") or {}
    return bool(content.get("allow_stdin", False))


def _alone(shell: Any) -> bool:
    """Whether the cell is nothing but our magic: clearing the typed words clears all that the cell has shown."""
    if not hasattr(shell, "kernel"):
        return True
    content = shell.get_parent().get("content") or {}
    return str(content.get("code", "")).lstrip().startswith(("%%or", "%%openrouter"))


def _plain(reply: Reply) -> str:
    return f"{reply.model or reply.model_requested} · {_cost(reply)} · {' '.join(reply.text.split())[:80]}"


def _cost(reply: Reply) -> str:
    if reply.cost_usd is None:
        return "nothing billed" if reply.status == "refused" else "cost not known yet"
    return f"{dollars(reply.cost_usd)} simulated" if reply.simulated else dollars(reply.cost_usd)


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)
