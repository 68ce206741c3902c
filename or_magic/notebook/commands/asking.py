"""Commands that ask a model, and that look back at what was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ... import neutral
from ...charges import cost
from ...errors import OptionError
from ...options import Options, format_line, parse_line
from ..cell import Asked, resolve
from ..cell import ask as ask_cell
from .command import Command, say

if TYPE_CHECKING:
    from ...values import Reply
    from ..face import Face

_WORDS = 200


def ask(face: Face, rest: str) -> Reply | None:
    """Ask the default model; the rest of the line goes as it is."""
    return ask_cell(face, rest, Options(), source="line")


def again(face: Face, rest: str) -> Reply | None:
    """Ask what was asked last, with other options; its expressions are evaluated anew.

    Raises:
        OptionError: nothing was asked yet.
    """
    told = parse_line(rest, lambda word: resolve(word, face.shell.user_ns))
    last = face.stopped or (face.asked[-1] if face.asked else None)
    if last is None:
        raise OptionError("Nothing was asked yet. Nothing was sent.")
    before = replace(last.options, yes=False)  # it was said for that one call
    return ask_cell(face, last.prompt, before | told, source=last.source)


def history(face: Face, rest: str) -> None:
    """Print the wordings of the cell that asked last, oldest first, with answer and cost; ``all``: of every cell."""
    if rest not in ("", "all"):
        raise OptionError(f"history takes nothing, or the word all; not {rest!r}.")
    if not face.asked:
        say("Nothing was asked yet.")
        return
    last = face.asked[-1]
    found = [asked for asked in face.asked if rest == "all" or last.cell_id is None or asked.cell_id == last.cell_id]
    say("\n\n".join([_told(number, asked) for number, asked in enumerate(found, 1)]))


def _told(number: int, asked: Asked) -> str:
    reply = asked.reply
    outcome = f"{reply.model or reply.model_requested} · {reply.status} · {cost(reply)}" if reply else "not answered"
    answer = _short(reply.text) if reply and reply.text else "(no text)"
    options = format_line(asked.options)
    return neutral.plain("\n".join([f"{number}  {outcome}", *([f"   {options}"] if options else []),
                                    f"   ▸ {_short(asked.prompt)}", f"   ◂ {answer}"]))  # fmt: skip


def _short(text: str) -> str:
    words = " ".join(text[: 2 * _WORDS].split())
    return words if len(words) <= _WORDS else f"{words[: _WORDS - 1]}…"


COMMANDS = {
    "ask": Command(ask, "ask TEXT", "ask the default model; TEXT goes as it is"),
    "again": Command(again, "again [options]", "the last question again, with other options"),
    "history": Command(history, "history [all]", "what the last cell asked, with answers and costs"),
}
