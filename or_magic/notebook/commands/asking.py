"""Commands that ask a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...options import Options
from ..cell import ask as ask_cell
from .command import Command

if TYPE_CHECKING:
    from ...values import Reply
    from ..face import Face


def ask(face: Face, rest: str) -> Reply:
    """Ask the default model; the rest of the line goes as it is."""
    return ask_cell(face, rest, Options(), source="line")


COMMANDS = {
    "ask": Command(ask, "ask TEXT", "ask the default model; TEXT goes as it is"),
}
