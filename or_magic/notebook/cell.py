"""``%%openrouter``: a cell becomes a call, its answer an output, its Reply the cell's value."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CallError, CallInterruptedError, OptionError
from ..options import Options, parse_line
from ..values import Origin, Reply
from .display import show

if TYPE_CHECKING:
    from ..engine.stream import Stream
    from .face import Face


def run(face: Face, line: str, body: str) -> Reply:
    """Ask with the options of ``line`` what ``body`` says, templates expanded."""
    namespace = face.shell.user_ns
    options = parse_line(line, lambda word: resolve(word, namespace))
    return ask(face, body.rstrip("\n"), options, source="cell", values=namespace)


def ask(face: Face, prompt: str, options: Options, *, source: str, values: Mapping[str, Any] | None = None) -> Reply:
    """Ask, show, and bind the reply.

    Raises:
        OrMagicError: the cell fails with it, so that *Run all* stops.
    """
    session = face.session()
    origin = Origin(source=source, cell_id=_cell_id(face.shell), notebook=_notebook(face.shell))
    stream = session.engine.stream(prompt, options, values=values, origin=origin)
    try:
        reply = _watched(face, stream, live=source == "cell")
    except CallError as error:
        face.shell.user_ns["_or"] = error.reply
        raise
    face.shell.user_ns["_or"] = reply
    if options.out:
        face.shell.user_ns[options.out] = reply
    face.just_drawn = reply
    return reply


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
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"{word} cannot be read: {error}. Nothing was sent.") from None
    return word


def _watched(face: Face, stream: Stream, *, live: bool) -> Reply:
    try:
        with stream:
            return show(face, stream, live=live)
    except KeyboardInterrupt:
        stream.close()
        error = CallInterruptedError("Interrupted; the connection is closed and what came is kept in _or.")
        error.reply = stream.reply
        error.billed = "What it cost is being asked for." if stream.reply.id else "What it cost is not known."
        raise error from None


def _cell_id(shell: Any) -> str | None:
    # Read now: in threads and callbacks the parent is another message's.
    if not hasattr(shell, "kernel"):
        return None
    metadata = shell.get_parent().get("metadata") or {}
    return metadata.get("cellId")


def _notebook(shell: Any) -> str | None:
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return Path(str(path)).name if path else None
