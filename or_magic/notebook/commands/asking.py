"""Commands that ask a model: a line, and what was asked before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import OptionError
from ...options import Options, parse_line
from ..cell import ask as ask_cell
from ..cell import resolve
from .command import Command

if TYPE_CHECKING:
    from ...values import Reply
    from ..face import Face


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
    return ask_cell(face, last.prompt, before | told, source=last.source, instead_of=last)


COMMANDS = {
    "ask": Command(ask, "ask TEXT", "ask the default model; TEXT goes as it is"),
    "again": Command(again, "again [options]", "the last question again, with other options"),
}
