"""``%openrouter COMMAND``: each command is a function of the face and the rest of the line."""

from __future__ import annotations

import difflib
import textwrap
from typing import TYPE_CHECKING, Any

from ...errors import OptionError, SettingsError
from ...options import help_text
from . import asking, budget, chat, config, doctor, fix, history, keys, log, making, models, presets, report, spending
from .command import Command, say

if TYPE_CHECKING:
    from ..face import Face


_USAGE_WIDTH, _WIDTH = 26, 100  # of the options as well


def run(face: Face, line: str) -> Any:
    """Run the command that ``line`` begins with.

    Raises:
        OptionError: there is no such command; the closest one is named, and nothing is sent to a model.
    """
    name, _, rest = line.strip().partition(" ")
    command = COMMANDS.get(name or "help")
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"Did you mean %or {near[0]}?" if near else f"Known are {', '.join(COMMANDS)}."
        raise OptionError(f"{name!r} is not a command. {hint} Nothing was sent. To ask a model: %or ask {line.strip()}")
    return command.run(face, rest.strip())


def help_page() -> str:
    """Return the options, core ones first, and the commands: what ``%%openrouter?`` shows as well."""
    told = "\n".join([_line(f"  %or {command.usage}", command.does) for command in COMMANDS.values()])
    return (
        f"{help_text()}\nThe prompt is the rest of the cell; {{{{ expression }}}} in it is a Python expression.\n"
        f"Every value may be $name (a variable) or @file (its text).\n\ncommands:\n{told}"
    )


def _line(usage: str, does: str) -> str:
    """Return what a command does beside how it is written, or below where that is long; as the options above."""
    apart = "\n" + " " * _USAGE_WIDTH
    told = textwrap.wrap(does, _WIDTH - _USAGE_WIDTH)
    first = f"{usage:<{_USAGE_WIDTH}}" if len(usage) < _USAGE_WIDTH - 1 else usage + apart
    return first + apart.join(told)


def show_help(face: Face, _rest: str) -> None:
    """Print the options, the commands and the default model."""
    try:
        told = f"The default model is {face.session().engine.settings.model}."
    except SettingsError as error:  # help is for just that moment
        told = str(error)
    say(f"{help_page()}\n\n{told}")


COMMANDS: dict[str, Command] = {
    **asking.COMMANDS,
    **history.COMMANDS,
    **fix.COMMANDS,
    **chat.COMMANDS,
    **making.COMMANDS,
    **models.COMMANDS,
    **spending.COMMANDS,
    **budget.COMMANDS,
    **report.COMMANDS,
    **log.COMMANDS,
    **keys.COMMANDS,
    **config.COMMANDS,
    **presets.COMMANDS,
    **doctor.COMMANDS,
    "help": Command(show_help, "help", "this text"),
}
