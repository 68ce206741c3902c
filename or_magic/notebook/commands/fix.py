"""``%or fix``: the last failure and the code of its cell go to a model; the corrected cell comes below."""

from __future__ import annotations

import shlex
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

from ...errors import OptionError, OrMagicError
from ...masking import MASK, mask
from ...objects.bound import SUMMARY_TOKENS
from ...objects.failures import failure_text
from ...options import arguments, parse_line
from ..cell import ask, resolve
from ..words import fenced
from .command import Command, say

if TYPE_CHECKING:
    from ...values import Reply
    from ..face import Face
    from ..runs import Failed

_TASK = (
    "Say in one to three sentences why it failed. Then give the corrected code of the whole cell in one fenced Python "
    "block, ready to run: change only what the error needs, and leave everything else as it is, comments included."
)


def fix(face: Face, rest: str) -> Reply | None:
    """Ask about the last failure: its cell's code, its exception and what ``rest`` adds; no values, no other cell.

    Raises:
        OptionError: nothing has failed, or what failed is or_magic itself.
    """
    said, words = _read(rest)
    options = parse_line(said, lambda word: resolve(word, face.shell.user_ns))
    prompt, hidden = _prompt(face, _failed(face), words)
    if hidden:
        say(
            f"{'A value' if hidden == 1 else f'{hidden} values'} that may be a key or a password: the model reads "
            f"{MASK} there. Look for it in the corrected cell."
        )
    return ask(face, prompt, replace(options, format=options.format or "code"), source="line")


def _failed(face: Face) -> Failed:
    failed = face.runs.failed
    if failed is None:
        raise OptionError("No cell has failed since or_magic was loaded. Nothing was sent.")
    if isinstance(failed.error, OrMagicError):
        raise OptionError(
            f"What failed last is or_magic's own: {type(failed.error).__name__}. Its message says what to do, and "
            "%or traceback shows the whole. Nothing was sent."
        )
    return failed


def _prompt(face: Face, failed: Failed, words: str) -> tuple[str, int]:
    """Return what is asked, and how many values were hidden in it."""
    parts = [
        "A cell of a Jupyter notebook failed. The cell:",
        fenced(failed.code.strip("\n"), "python"),
        "The error:",
        fenced(failure_text(failed.error, SUMMARY_TOKENS)),
    ]
    code, hidden = mask("\n\n".join(parts), face.session().engine.gateway.hide_pieces)
    more = [f"{MASK} stands for a value that was taken out: leave it there."] if hidden else []
    return "\n\n".join([code, *([f"Its author adds: {words}"] if words else []), " ".join([_TASK, *more])]), hidden


def _read(rest: str) -> tuple[str, str]:
    """Return the options at the beginning of a line, and the words after them.

    Raises:
        OptionError: an option comes after the words: it would be sent as one.
    """
    values = {name: bool(argument.metavar) for argument in arguments() for name in argument.names}
    source = StringIO(rest)
    lexer = shlex.shlex(source, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    place = 0
    try:
        while rest[place:].lstrip().startswith("-"):
            word = lexer.get_token() or ""
            place = source.tell()
            if word == "--":
                return rest[: place - len(word)].rstrip().removesuffix("--"), rest[place:].strip()
            if values.get(word):
                lexer.get_token()
                place = source.tell()
    except ValueError:
        raise OptionError(f"A quote in {rest!r} has no partner. Nothing was sent. Close it.") from None
    words = rest[place:].strip()
    late = next((word for word in words.split() if word.partition("=")[0] in values and word.startswith("-")), None)
    if late:
        raise OptionError(
            f"{late} comes after the words, and would be one of them. Nothing was sent. Options come first: "
            "%or fix --dry-run it must stay a generator. Words that begin with - come after --."
        )
    return rest[:place], words


COMMANDS = {
    "fix": Command(
        fix,
        "fix [options] [WORDS]",
        "explain the last error, put the corrected cell below; sends code and error",
    ),
}
