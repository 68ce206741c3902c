"""An answer that grows in its cell: drawn by a thread of its own, at most 8.5 times a second, in place.

The reading thread never waits for a drawing, and what has come is drawn also while nothing more comes.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
import uuid
from concurrent.futures import Executor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import neutral
from ..content import Audio, Image, Part, Reasoning, Text
from ..events import Event, Notice, Piece
from .pages import Pages
from .words import Bundle

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..values import Reply

# Each update is a message through the server to the browser; more would not be seen.
UPDATE_S = 0.118
# A quick answer shows no "waiting" before it.
_PATIENCE_S = 0.3
_TICK_S = 1.0
_THOUGHTS = 500  # characters of the reasoning that are shown while it goes on
_KEPT = 2  # outputs that stay: the answer and the status line
_BYTES_PER_S = 12_000  # where outputs cannot be frozen, a long answer is drawn less often instead


class Live:
    """Shows a call while it runs; ``finish`` leaves exactly the outputs it is given."""

    def __init__(
        self,
        shell: InteractiveShell,
        painters: Executor,
        model: str,
        *,
        announcement: str | None = None,
        paged: bool,
        markdown: bool = True,
        hide_reasoning: bool = False,
        counts: bool = False,
    ) -> None:
        self._shell = shell
        self._model = model
        self._announcement = announcement  # stands above the answer, and must outlive a clearing
        self._markdown = markdown
        self._hide_reasoning = hide_reasoning
        self._counts = counts  # the answer is shown when it is whole; until then it is said how much has come
        self._characters = 0
        self._paged = paged
        self._pages = Pages(paged=paged, markdown=markdown)
        self._name = uuid.uuid4().hex[:10]
        self._shown = 0  # outputs in the cell
        self._held = False  # whether the script that keeps the page still is one more
        self._ended = False  # what is put now stays, and needs no such script
        self._change = threading.Condition()
        self._texts: list[str] = []
        self._thoughts = ""
        self._notice = ""
        self._began = self._last = time.monotonic()
        self._pause_s = 0.0
        self._writes = False  # whether words of the answer have come
        self._dirty = self._closed = False
        # In the context of this cell, so that a drawing finds its cell whatever runs meanwhile.
        self._drawing = painters.submit(contextvars.copy_context().run, self._run)

    def take(self, event: Event) -> None:
        """Note an event; never waits for a drawing."""
        if isinstance(event, Piece) and (words := _words(event.part, begun=self._writes)):
            with self._change:
                if self._counts:
                    self._characters += len(words)
                    self._wake(now=False)
                    return
                self._texts.append(words)
                first, self._writes = not self._writes, True
                self._wake(now=first)
        elif isinstance(event, Piece) and isinstance(event.part, Reasoning) and event.part.text:
            with self._change:
                first = not self._thoughts
                self._thoughts = (self._thoughts + event.part.text)[-4 * _THOUGHTS :]
                self._wake(now=first)
        elif isinstance(event, Notice) and event.reason != "waiting":  # that is said anyway
            with self._change:
                self._notice, self._characters = event.text.rstrip("."), 0  # the seconds follow
                self._wake(now=True)

    def stop(self) -> None:
        """End the drawing; what is on the screen stays."""
        with self._change:
            self._closed = True
            self._change.notify()
        if not self._drawing.cancel():  # it has begun
            wait([self._drawing])

    def finish(self, reply: Reply, line: str, outputs: list[tuple[Bundle, dict[str, Any]]]) -> None:  # noqa: ARG002
        """Leave exactly these outputs: in place, or, where the answer took more of them, after a clearing.

        Raises:
            Exception: what a drawing failed of.
        """
        self.stop()
        if not self._drawing.cancelled():
            self._drawing.result()
        self._ended = True
        if self._held or self._shown > len(outputs):
            self._clear()
        for place, (data, metadata) in enumerate(outputs):
            self._put(place, data, metadata)

    def withdraw(self) -> None:
        """Take back the "waiting", which would be saved as if somebody had been asked."""
        self.stop()
        if self._shown and self._paged:
            self._clear()
        elif self._shown:  # other outputs of the cell are not ours to clear
            self._ended = True
            self._put(0, {"text/plain": ""})

    def _clear(self) -> None:
        """Clear the cell when the next output comes, but for the announcement."""
        self._shell.display_pub.clear_output(wait=True)
        self._shown = 0
        if self._announcement:
            print(self._announcement, flush=True)

    def _wake(self, *, now: bool) -> None:
        if now:  # a first word is not held back
            self._pause_s = 0.0
        if now or not self._dirty:  # else it waits for its time already, and each waking would cost the reader
            self._dirty = True
            self._change.notify()

    def _run(self) -> None:
        while self._waited():
            self._draw()

    def _waited(self) -> bool:
        """Wait until there is something to draw and time to; False when it is over."""
        with self._change:
            while not self._closed:
                now = time.monotonic()
                ready = self._last + self._pause_s - now
                if self._dirty and ready <= 0:
                    self._dirty = False
                    return True
                idle_s = self._idle_s(now)
                if not self._dirty and idle_s == 0:
                    return True
                self._change.wait(ready if self._dirty else idle_s)
            return False

    def _idle_s(self, now: float) -> float | None:
        """Return when to draw although nothing came: while waiting, the seconds are counted."""
        if self._writes:
            return None
        return max(0.0, (self._last + _TICK_S if self._shown else self._began + _PATIENCE_S) - now)

    def _draw(self) -> None:
        with self._change:
            texts, writes = "".join(self._texts), self._writes
            self._texts.clear()
            thoughts, notice = self._thoughts, self._notice
        self._last = time.monotonic()
        sent = 0
        if not writes:
            sent = self._put(0, self._waiting(thoughts, notice))
        else:
            self._pages.add(texts)
            for place, text in self._pages.draw():
                sent += self._put(place, self._page(text))
        self._pause_s = UPDATE_S if self._paged else max(UPDATE_S, sent / _BYTES_PER_S)

    def _page(self, text: str) -> Bundle:
        return {"text/markdown": neutral.markdown(text)} if self._markdown else {"text/plain": neutral.plain(text)}

    def _waiting(self, thoughts: str, notice: str) -> Bundle:
        past_s = int(time.monotonic() - self._began)
        doing = "thinking" if thoughts else f"waiting for {neutral.plain(self._model)}"
        if self._characters:
            doing = " · ".join([word for word in (notice, f"{self._characters:,} characters of JSON") if word])
            notice = ""
        line = f"{notice or doing} · {past_s} s" if past_s else f"{notice or doing} …"
        if not self._markdown or notice:
            return {"text/plain": line}
        if self._hide_reasoning or not thoughts:
            return {"text/markdown": neutral.markdown(f"*{line}*")}
        return {"text/markdown": f"*{doing} · {past_s} s*\n\n{neutral.quote('… ' + thoughts[-_THOUGHTS:])}"}

    def _hold(self, place: int) -> None:
        """Send the script that keeps the page still, once the end of the answer needs a clearing; see there.

        More outputs than stay need one, and so does a seam: a fence or a table in two parts is higher than in one.
        """
        self._held = place >= _KEPT or (place > 0 and self._pages.seamed)
        if self._held:
            script = Path(__file__).with_name("hold.js").read_text(encoding="utf-8")
            self._shell.display_pub.publish(data={"application/javascript": script, "text/plain": ""})

    def _put(self, place: int, data: Bundle, metadata: dict[str, Any] | None = None) -> int:
        """Show an output, or change it in place; return how many characters that took."""
        update = place < self._shown
        if not (self._held or self._ended) and _front_end_is_jupyter(self._shell):
            self._hold(place)
        self._shown = max(self._shown, place + 1)
        transient = {"display_id": f"{self._name}.{place}"}
        self._shell.display_pub.publish(data=data, metadata=metadata or {}, transient=transient, update=update)
        return sum(len(value) for value in data.values() if isinstance(value, str))


def _words(part: Part, *, begun: bool) -> str:
    """Return what a part adds to the words that grow: what is said in a sound, and that a picture has come.

    The picture itself is an output of its own in the end: most come last and whole, milliseconds before it.
    """
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Audio):
        return part.transcript
    return "\n\n*a picture, shown when the answer is complete*\n\n" if begun and isinstance(part, Image) else ""


def _front_end_is_jupyter(shell: InteractiveShell) -> bool:
    """Whether JupyterLab or Notebook shows the cell: others have no such output areas."""
    return "JPY_SESSION_NAME" in os.environ and "__vsc_ipynb_file__" not in shell.user_ns
