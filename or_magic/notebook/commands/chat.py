"""The command ``chat``: the conversations of this session, to look at, to cut, and to keep in files."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ... import neutral
from ...errors import OptionError
from ...options import closest
from ...paths import short_path
from .command import Command, Parser, is_terminal, say

if TYPE_CHECKING:
    from ...features.chat import Chat
    from ..face import Face

_VERBS = ("list", "show", "reset", "cut", "export", "save", "load")
_WITH_FILES = ("export", "save", "load")


def chat(face: Face, rest: str) -> Chat | None:
    """Do what the first word says to the conversation that is named, else to the one that was last asked in."""
    parser = Parser()
    parser.add_argument("verb", nargs="?", default="list")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--overwrite", action="store_true")
    told = parser.read(rest)
    if told.verb not in _VERBS:
        raise OptionError(f"chat {told.verb} is no command.{closest(told.verb, list(_VERBS))}")
    if told.overwrite and told.verb not in _WITH_FILES:
        raise OptionError(f"--overwrite belongs to {', '.join(_WITH_FILES)}.")
    if told.verb == "list":
        _no_more(told.verb, told.words)
        say(_listed(face))
        return None
    if told.verb in _WITH_FILES:
        _with_file(face, told.verb, told.words, overwrite=told.overwrite)
        return None
    found = _named(face, told.words[:1])
    _no_more(told.verb, told.words[1:])
    if told.verb == "reset" and not told.words and len(names := _names(face)) > 1:
        raise OptionError(
            f"Which one? What is forgotten is gone, so it has to be named: {', '.join(map(neutral.line, names))}."
        )
    if told.verb == "show":
        return _shown(face, found)
    count = found.cut() if told.verb == "cut" else found.reset()
    done, kind = ("Removed", "stale turn") if told.verb == "cut" else ("Forgot", "turn")
    cost = "it" if count == 1 else "they"
    say(f"{done} {_count(count, kind)} of {neutral.line(found.name)}. What {cost} cost stays in the ledger.")
    return None


def _with_file(face: Face, verb: str, words: list[str], *, overwrite: bool) -> None:
    if not words:
        raise OptionError(f"chat {verb} needs a file, as in: %or chat {verb} talk.json")
    _no_more(verb, words[2:])
    *names, path = words
    if verb != "load" and not names and path in _names(face):
        example = f"%or chat {verb} {shlex.quote(path)} talk.json"
        raise OptionError(f"chat {verb} needs a file after the name, as in: {neutral.line(example)}")
    if verb == "load":
        from ...features.chat_files import read

        name = names[0] if names else read(path)[0]
        loaded = face.session().chat(name).load(path, overwrite=overwrite)
        say(f"{neutral.line(name)} has {_count(loaded, 'turn')}, as {neutral.line(path)} says.")
        return
    found = _named(face, names)
    written = found.save(path, overwrite=overwrite) if verb == "save" else found.export(path, overwrite=overwrite)
    say(f"{neutral.line(found.name)} is in {neutral.line(short_path(written))}.")


def _named(face: Face, names: list[str]) -> Chat:
    """Return the conversation that is meant.

    Raises:
        OptionError: there is none of that name, or none at all.
    """
    session, known = face.session(), _names(face)
    if not known:
        raise OptionError("There is no conversation yet. Begin one with -c NAME on the first line of a cell.")
    if names and names[0] not in known:
        raise OptionError(f"{names[0]!r} is no conversation of this session.{closest(names[0], known)}")
    return session.chat(names[0] if names else known[-1])


def _names(face: Face) -> list[str]:
    return list(face.session().engine.asking.chats.names)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _no_more(verb: str, words: list[str]) -> None:
    if words:
        raise OptionError(f"{words[0]!r} is one word too many for chat {verb}. Put a name with spaces in quotes.")


def _shown(face: Face, found: Chat) -> Chat | None:
    if not is_terminal(face):
        return found  # draws itself
    say(str(found))
    return None


def _listed(face: Face) -> str:
    from ...conversation.exported import headline

    chats = face.session().engine.asking.chats
    lines = [headline(name, chats.get(name)) for name in chats.names]
    return "\n".join(lines) or "There is no conversation yet. Begin one with -c NAME on the first line of a cell."


COMMANDS = {
    "chat": Command(
        chat,
        "chat list|show|reset|cut|export|save|load [NAME] [FILE] [--overwrite]",
        "conversations: what was said, without stale turns, as a file",
        ("--overwrite",),
    ),
}
