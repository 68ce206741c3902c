"""``%openrouter COMMAND``: each command is a function of the face and the rest of the line."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..errors import OptionError
from ..options import Options, help_text
from .cell import ask as ask_cell

if TYPE_CHECKING:
    import pandas as pd

    from ..features.tracker import Tracker
    from ..values import Reply
    from .face import Face


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


def ask(face: Face, rest: str) -> Reply:
    """Ask the default model; the rest of the line goes as it is."""
    return ask_cell(face, rest, Options(), source="line")


def models(face: Face, rest: str) -> pd.DataFrame:
    """Return the models whose id or name holds every word of ``rest``, with prices."""
    found = face.session().models(rest)
    return (
        found
        if _wide(face)
        else found[["id", "context_tokens", "prompt_usd_per_million", "completion_usd_per_million"]]
    )


def use(face: Face, rest: str) -> None:
    """Choose the model for what follows, or the offline simulator."""
    if not rest or " " in rest:
        raise OptionError("use takes one model id, or the word offline, as in: %or use anthropic/claude-sonnet-4.6")
    if rest == "offline":
        face.use_offline()
        _say("Answers now come from the offline simulator: no model writes them, and nothing is billed.")
        return
    session = face.session()
    session.engine.settings = replace(session.engine.settings, model=rest)
    known = session.engine.catalog.models().find(rest) is not None
    _say(
        f"The default model is now {rest}." + ("" if known else " The catalogue does not know it (it may lag behind).")
    )


def spend(face: Face, rest: str) -> pd.DataFrame:
    """Say what was spent and return it by column."""
    told = _view(rest)
    tracker: Tracker = face.session().tracker
    _say(str(tracker.total(all=told.all, since=told.since)))
    table = tracker.summary(by=told.by or "model", all=told.all, since=told.since)
    return table if _wide(face) else table[["calls", "total_tokens", "cost_usd", "unknown_calls"]]


def plot(face: Face, rest: str) -> None:
    """Plot the spend over time, or bars by a column."""
    told = _view(rest)
    if not _wide(face):
        _say("A terminal shows no pictures. In Python: orm.tracker.plot().figure.savefig('spend.png')")
        return
    face.session().tracker.plot(by=told.by, all=told.all, since=told.since)


def reconcile(face: Face, rest: str) -> None:  # noqa: ARG001 - every command takes the rest of the line
    """Ask the gateway what calls cost whose cost is not known, and say how many are left."""
    _, unknown = face.session().reconcile()
    if unknown:
        _say(f"{unknown} calls have a cost that the gateway does not tell (yet).")
    else:
        _say("Nothing is left to ask: every cost that the gateway knows is in the ledger.")


def show_help(_face: Face, _rest: str) -> None:
    """Print the options and the commands."""
    commands = "\n".join([f"  %or {command.usage:<44} {command.does}" for command in COMMANDS.values()])
    _say(f"{help_text()}\nThe prompt is the rest of the cell; {{{{ expression }}}} in it is a Python expression.\n")
    _say(f"commands:\n{commands}")


class Command(NamedTuple):
    """What runs, how it is typed, and what it does."""

    run: Callable[[Any, str], Any]
    usage: str
    does: str


COMMANDS: dict[str, Command] = {
    "ask": Command(ask, "ask TEXT", "ask the default model; TEXT goes as it is"),
    "models": Command(models, "models [QUERY]", "the models that match every word, with prices"),
    "use": Command(use, "use ID|offline", "the model for what follows, or the simulator"),
    "spend": Command(spend, "spend [--by COLUMN] [--since 7d] [--all]", "what was spent, in all and by COLUMN"),
    "plot": Command(plot, "plot [--by COLUMN] [--since 7d] [--all]", "the spend over time, or bars by COLUMN"),
    "reconcile": Command(reconcile, "reconcile", "ask what broken calls cost"),
    "help": Command(show_help, "help", "this text"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}. See %or help.")


def _view(rest: str) -> argparse.Namespace:
    parser = _Parser(prog="%or", add_help=False, allow_abbrev=False)
    parser.add_argument("--by")
    parser.add_argument("--since")
    parser.add_argument("--all", action="store_true")
    return parser.parse_args(shlex.split(rest))


def _wide(face: Face) -> bool:
    # A terminal hides the columns in the middle: the very ones that were asked for.
    return hasattr(face.shell, "kernel")


def _say(text: str) -> None:
    print(text)
