"""A call in a terminal: words as they come, or, with rich, each finished block of Markdown as rich draws it."""

from __future__ import annotations

import importlib.util
import io
import sys
from typing import TYPE_CHECKING, Any

from .. import neutral
from ..content import Audio, Image, Reasoning, Text
from ..events import Closed, Event, Notice, Piece
from ..options import Options
from ..outline import outline
from ..values import Reply
from .pages import finished
from .words import Bundle, about_picture, about_sound, ending, is_json, json_block, pretty, sources

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_DIM, _PLAIN = "\x1b[2m", "\x1b[22m"
_LINES = 3  # of what is not finished yet


def write(reply: Reply) -> None:
    """Print a whole reply."""
    screen = Terminal(reply.model or reply.model_requested, Options(out="reply", schema=reply.typed))
    for part in reply.parts:
        screen.take(Piece(part))
    screen.end(reply)


class Terminal:
    """Prints a call; nothing is ever printed twice, so that a terminal without any abilities will do."""

    def __init__(self, model: str, options: Options) -> None:
        self._quiet = options.quiet
        self._thinks = not options.hide_reasoning
        self._name = options.out or "_or"
        self._pictures = 0
        self._whole = is_json(options)  # nothing of the answer is printed before its end
        self._as_json = options.format == "json"
        rich = (
            options.format in (None, "markdown", "code", "json")
            and sys.stdout.isatty()
            and importlib.util.find_spec("rich")
        )
        self._writer: _Plain | _Rich = _Rich(model) if rich and not self._quiet else _Plain()

    def take(self, event: Event) -> None:
        """Print what comes."""
        if self._quiet:
            return
        if isinstance(event, Piece) and isinstance(event.part, Text) and self._whole:
            return
        if isinstance(event, Piece) and isinstance(event.part, Text):
            self._writer.say(neutral.plain(event.part.text))
        elif isinstance(event, Piece) and isinstance(event.part, Image):
            self._writer.aside(about_picture(event.part, f"{self._name}.images[{self._pictures}]"))
            self._pictures += 1
        elif isinstance(event, Piece) and isinstance(event.part, Audio):
            self._writer.say(neutral.plain(event.part.transcript))
        elif isinstance(event, Closed) and not event.final:
            self._pictures = 0
        elif isinstance(event, Piece) and isinstance(event.part, Reasoning) and self._thinks:
            self._writer.think(neutral.plain(event.part.text))
        elif isinstance(event, Notice) and event.reason != "waiting":
            self._writer.think(f"{neutral.plain(event.text)}\n")

    def stop(self) -> None:
        """Let go of the screen."""
        self._writer.end()

    def end(self, reply: Reply) -> None:
        """Print what follows the words: the sound, how they ended, the sources."""
        self._writer.end()
        if self._quiet:
            return
        if (sound := reply.audio) is not None:
            self._writer.aside(about_sound(sound, f"{self._name}.audio"))
        if self._whole and reply.text:
            self._print_json(reply)
        for block in [*ending(reply), *sources(reply)]:
            self._writer.block(block)

    def _print_json(self, reply: Reply) -> None:
        """Print a typed answer: with rich as it is shown in a notebook, else as JSON."""
        if isinstance(self._writer, _Plain):
            print(neutral.plain(pretty(reply)), flush=True)
        else:
            shown = outline(reply.typed) if reply.typed and not self._as_json else json_block(reply)
            self._writer.block(shown)

    def finish(self, reply: Reply, line: str, outputs: list[tuple[Bundle, dict[str, Any]]]) -> None:  # noqa: ARG002
        """Print what follows the words, and the status line."""
        self.end(reply)
        self._writer.dim(line)

    def withdraw(self) -> None:
        """Leave what was printed: it scrolls away, and is saved nowhere."""


class _Plain:
    """Words as they come."""

    def __init__(self) -> None:
        self._tty = sys.stdout.isatty()
        self._thinking = False
        self._at_margin = True

    def say(self, text: str) -> None:
        if self._thinking:
            self.end()
        self._write(text)

    def think(self, text: str) -> None:
        if self._tty and not self._thinking:
            self._write(_DIM)
        self._thinking = True
        self._write(text)

    def block(self, markdown: str) -> None:
        print(f"\n{markdown}", flush=True)

    def aside(self, line: str) -> None:
        self.end()
        print(line, flush=True)

    def dim(self, line: str) -> None:
        print(f"{_DIM}{line}{_PLAIN}" if self._tty else line, flush=True)

    def end(self) -> None:
        if self._thinking and self._tty:
            print(_PLAIN, end="")
        self._thinking = False
        if not self._at_margin:
            print(flush=True)
            self._at_margin = True

    def _write(self, text: str) -> None:
        print(text, end="", flush=True)
        if text not in (_DIM, ""):
            self._at_margin = text.endswith("\n")


class _Rich:
    """Finished blocks as Markdown; below them, for a moment, the last lines of what is not finished."""

    def __init__(self, model: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text as Line

        self._line = Line
        self._console: Console = Console()
        self._rest = ""
        self._thoughts = ""
        self._written = False
        self._live: Live | None = Live(
            Line(f"waiting for {neutral.plain(model)} …", style="dim"),
            console=self._console,
            transient=True,
            refresh_per_second=8,
        )
        self._live.start()

    def say(self, text: str) -> None:
        self._rest += text
        if place := finished(self._rest):
            self.block(self._rest[:place])
            self._rest = self._rest[place:]
        self._show(self._rest)

    def think(self, text: str) -> None:
        self._thoughts = (self._thoughts + text)[-2000:]
        self._show(self._thoughts)

    def block(self, markdown: str) -> None:
        from rich.markdown import Markdown

        # Rich puts empty lines around some blocks and not around others: take them off, and put one between all.
        drawing = self._drawing()
        # Links are spelt out: a terminal would hide where they lead.
        drawing.print(Markdown(markdown, hyperlinks=False))
        drawn = drawing.file.getvalue().strip("\n")
        if self._written:
            self._console.print()
        self._written = True
        self._console.print(self._line.from_ansi(drawn))

    def aside(self, line: str) -> None:
        if self._rest:
            self.block(self._rest)
            self._rest = ""
        if self._written:
            self._console.print()
        self._written = True
        self._console.print(self._line(line))

    def dim(self, line: str) -> None:
        self._console.print(self._line(line, style="dim"))

    def _drawing(self) -> Any:
        from rich.console import Console

        colors: Any = self._console.color_system
        return Console(file=io.StringIO(), width=self._console.width, force_terminal=True, color_system=colors)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._rest:
            self.block(self._rest)
            self._rest = ""

    def _show(self, text: str) -> None:
        if self._live is not None:
            lines = text[-2000:].splitlines()[-_LINES:]
            width = self._console.width - 1
            self._live.update(self._line("\n".join([line[-width:] for line in lines]), style="dim"))
