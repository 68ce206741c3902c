"""What a command is, and how it reads its line and speaks."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ...errors import OptionError
from ...options import closest
from ...paths import without_home

if TYPE_CHECKING:
    from ..face import Face


class Command(NamedTuple):
    """What runs, how it is typed, and what it does; ``options`` are offered by completion."""

    run: Callable[[Face, str], Any]
    usage: str
    does: str
    options: tuple[str, ...] = ()


class Parser(argparse.ArgumentParser):
    """argparse for a command's line, that raises our error."""

    def __init__(self) -> None:
        super().__init__(prog="%or", add_help=False, allow_abbrev=False)

    def read(self, rest: str) -> argparse.Namespace:
        """Return what the line says.

        Raises:
            OptionError: it cannot be read.
        """
        try:
            words = shlex.split(rest)
        except ValueError:
            raise OptionError(f"A quote in {rest!r} has no partner. Put the value in double quotes.") from None
        told, stray = self.parse_known_args(words)
        if stray:
            known = list(self._option_string_actions)
            hint = closest(stray[0].partition("=")[0], known) if known and stray[0].startswith("-") else ""
            raise OptionError(f"{stray[0]!r} does not belong here.{hint} See %or help.")
        return told

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise OptionError(f"{message[:1].upper()}{message[1:]}. See %or help.")


def is_terminal(face: Face) -> bool:
    """Whether the shell runs in a terminal: no pictures, no updates, and wide tables lose their middle."""
    return not hasattr(face.shell, "kernel")


def say(text: str) -> None:
    """Print a sentence; paths in it do not tell the user's name to whoever reads the notebook."""
    print(without_home(text))
