"""``%%openrouter``: a cell becomes a call, its answer an output, its Reply the cell's value."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..content import Citation, Reasoning, Text, ToolCall
from ..conversation import Key
from ..engine.execution import begun, repeating
from ..engine.replies import first_words
from ..errors import UNSENT, CallError, CallInterruptedError, OptionError, OrMagicError
from ..options import Options, parse_line
from ..options.presets import with_preset
from ..values import Origin, Reply
from .cells_before import cells_before, with_context
from .display import show
from .interrupt import Pressed, interrupts
from .namespace import names

if TYPE_CHECKING:
    from ..engine.asking import Composed
    from ..engine.stream import Stream
    from .face import Face


_WORDS = (Text, Reasoning, Citation, ToolCall)


def run(face: Face, line: str, body: str) -> Reply | None:
    """Ask with the options of ``line`` what ``body`` says, templates expanded."""
    options = parse_line(line, lambda word: resolve(word, face.shell.user_ns))
    return ask(face, body.rstrip("\n"), options, source="cell")


def ask(face: Face, prompt: str, options: Options, *, source: str, instead_of: Asked | None = None) -> Reply | None:
    """Ask, show, and bind the reply; only a dry run gives None.

    ``instead_of`` is what is asked once more: the history has both as wordings of one cell.

    Raises:
        OrMagicError: the cell fails with it, so that *Run all* stops.
    """
    engine = face.session().engine
    told, options = options, _typed(with_preset(options, engine.settings.presets), face.shell.user_ns)
    values = None if options.verbatim or source == "line" else names(face)
    origin = Origin(source=source, cell_id=_cell_id(face.shell), notebook=_notebook(face.shell))
    context = cells_before(face, options.context) if options.context else None
    sent = options if context is None else replace(options, attach=(*context.parts, *options.attach))
    # In the conversation that it was a turn of, what is asked once more takes its own place.
    turn = instead_of.turn if instead_of and instead_of.chat == options.chat else None
    try:
        with repeating(turn, options.chat):
            if options.dry_run:
                from .preview import draw

                draw(with_context(engine.preview(prompt, sent, values=values), context))
                return None
            stream = engine.stream(prompt, sent, values=values, origin=origin)
            turn = begun(options.chat)
    except KeyboardInterrupt:
        raise _interrupted("Interrupted.", UNSENT) from None
    face.stopped = None
    asked = Asked(instead_of.cell_id if instead_of else origin.cell_id, prompt, told, source, options.chat, turn)
    face.asked.append(asked)
    try:
        reply = _watched(face, stream, options)
    except OrMagicError as error:
        if isinstance(error, CallError):
            face.shell.user_ns["_or"] = stream.reply
            asked.keep(stream.reply)
        else:  # stopped on this side: nothing was sent, and there is no reply
            face.asked.remove(asked)
            face.stopped = asked
        raise
    asked.keep(reply)
    return _bound(face, reply, options)


def make(face: Face, composed: Composed, options: Options) -> Reply:
    """Make what ``composed`` says, show it, and bind the reply.

    Raises:
        OrMagicError: the cell fails with it.
    """
    origin = Origin(source="line", cell_id=_cell_id(face.shell), notebook=_notebook(face.shell))
    try:
        stream = face.session().engine.start(composed, origin)
    except KeyboardInterrupt:
        raise _interrupted("Interrupted.", UNSENT) from None
    try:
        return _bound(face, _watched(face, stream, options), options)
    except CallError:
        face.shell.user_ns["_or"] = stream.reply
        raise


def _bound(face: Face, reply: Reply, options: Options) -> Reply:
    face.shell.user_ns["_or"] = reply
    if options.out:
        face.shell.user_ns[options.out] = reply
    face.just_drawn = reply
    return reply


def _typed(options: Options, namespace: Mapping[str, Any]) -> Options:
    """Return the options with the schema that a name on the line means."""
    if not isinstance(options.schema, str):
        return options
    from ..schema import named, schema_of

    return replace(options, schema=schema_of(named(options.schema, namespace)))


@dataclass(eq=False, slots=True)
class Asked:
    """What a cell asked and got, kept in memory for ``again`` and ``history``.

    ``options`` are as they were said, ``chat`` is the conversation that it was a turn of, ``answer`` its first words.
    """

    cell_id: str | None
    prompt: str
    options: Options
    source: str
    chat: str | None = None
    turn: Key | None = None
    answer: str = ""
    reply: Reply | None = None

    def keep(self, reply: Reply) -> None:
        """Keep the words of an answer; pictures and sound would fill the memory: ``orm.replies`` has the latest."""
        self.answer = first_words(reply)
        self.reply = replace(reply, parts=tuple([part for part in reply.parts if isinstance(part, _WORDS)]))


def resolve(word: str, namespace: Mapping[str, Any]) -> Any:
    """Return what ``$name`` or ``@file`` stands for; any other word is itself.

    Raises:
        OptionError: there is no such variable or file.
    """
    if word.startswith("$") and word[1:].isidentifier():
        if word[1:] not in namespace:
            near = difflib.get_close_matches(word[1:], [name for name in namespace if not name.startswith("_")], 1)
            hint = f" Did you mean ${near[0]}?" if near else ""
            raise OptionError(f"{word} is not defined.{hint} Nothing was sent.")
        return namespace[word[1:]]
    if word.startswith("@") and len(word) > 1 and not word.startswith("@preset/"):  # those are OpenRouter's own
        try:
            return Path(word[1:]).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            why = error.strerror
        except UnicodeDecodeError:
            why = "it is no text in UTF-8"
        except RuntimeError:  # ~nobody
            why = "there is no such user"
        raise OptionError(f"{word} cannot be read: {why}. Nothing was sent.")
    return word


def _watched(face: Face, stream: Stream, options: Options) -> Reply:
    pressed = Pressed()
    try:
        with interrupts(stream.stop, pressed, in_kernel=hasattr(face.shell, "kernel")), stream:
            reply = show(face, stream, options)
    except (KeyboardInterrupt, CallInterruptedError) as error:
        if isinstance(error, CallInterruptedError) and not pressed:  # closed by another thread
            raise
        billed = error.billed if isinstance(error, CallInterruptedError) else _billed(stream.reply)
        told = "Interrupted; the connection is closed and what came is kept in _or."
        if billed == UNSENT:
            told = "Interrupted."
        raise _interrupted(told, billed, stream.reply) from None
    if pressed:
        raise _interrupted("Interrupted; the answer was complete by then and is in _or.", "", reply)
    return reply


def _billed(reply: Reply) -> str:
    return "What it cost is being asked for." if reply.id else "What it cost is not known."


def _interrupted(happened: str, billed: str, reply: Reply | None = None) -> CallInterruptedError:
    error = CallInterruptedError(happened)
    error.billed = billed
    error.reply = reply
    return error


def _cell_id(shell: Any) -> str | None:
    # Read now: in threads and callbacks the parent is another message's.
    if not hasattr(shell, "kernel"):
        return None
    metadata = shell.get_parent().get("metadata") or {}
    return metadata.get("cellId")


def _notebook(shell: Any) -> str | None:
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return Path(str(path)).name if path else None
