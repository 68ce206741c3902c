"""Completion in cells and lines of the magic, for every front end that asks IPython's completer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher, provisionalcompleter, rectify_completions

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext

    from .face import Face
    from .offers import Known, Offers

_CELL = re.compile(r"\s*%%(?:openrouter|or)(?=\s|$)")
_LINE = re.compile(r"\s*(?:[\w.]+\s*=\s*)?%(?:openrouter|or)\s+")


class Completion:
    """What the extension adds to the shell's completer; ``close`` takes it away again."""

    def __init__(self, face: Face) -> None:
        self._face = face

        # Above all others, so that in our cells they are not even asked: they take prose for Python.
        @context_matcher(identifier="or_magic", priority=1000)  # type: ignore[untyped-decorator]  # IPython has no types
        def match(context: CompletionContext) -> dict[str, Any]:
            return self._match(context)

        self._matcher = match
        face.shell.Completer.custom_matchers.append(match)

    def close(self) -> None:
        """Take the matcher back."""
        matchers = self._face.shell.Completer.custom_matchers
        if self._matcher in matchers:
            matchers.remove(self._matcher)

    def _match(self, context: CompletionContext) -> dict[str, Any]:
        lines = context.full_text.split("\n")
        row, column = context.cursor_line, context.cursor_position
        first = next((number for number, line in enumerate(lines) if line.strip()), 0)
        cell = _CELL.match(lines[first])
        if cell is None:
            line = _LINE.match(lines[row][:column])
            return _not_ours() if line is None else self._of_line(lines[row][line.end() : column])
        if row == first and column <= cell.end():
            return _not_ours()
        start = lines[row][:column] if row > first else lines[first][cell.end() : column]
        verbatim = "--verbatim" in lines[first]
        before = "\n".join([*lines[first + 1 : row], start])
        from ..template import unfinished
        from .offers import of_cell

        hole = None if verbatim else unfinished(before)
        if hole is not None:
            return self._python(hole)
        if row > first:
            return _result("", _Silence())

        return self._offered(of_cell(before.lstrip(), self._known()))

    def _of_line(self, before: str) -> dict[str, Any]:
        from .commands import COMMANDS
        from .offers import of_command

        return self._offered(of_command(before, COMMANDS, self._known()))

    def _python(self, expression: str) -> dict[str, Any]:
        """Return what IPython offers where ``expression`` stands alone; a magic is no expression."""
        completer, text = self._face.shell.Completer, expression.lstrip()
        with provisionalcompleter():
            found = list(rectify_completions(text, completer.completions(text, len(text))))
        names = [SimpleCompletion(one.text, type=one.type) for one in found if not one.text.startswith("%")]
        return _result(text[found[0].start :] if found else "", names or _Silence())

    def _offered(self, offers: Offers) -> dict[str, Any]:
        # Lab's popup breaks what is said about an item at spaces and hyphens, and writes one line over the other.
        unbroken = {" ": "\xa0", "-": "\u2011"} if hasattr(self._face.shell, "kernel") else {}
        table = str.maketrans(unbroken)
        found = [SimpleCompletion(text, type=about.translate(table) or None) for text, about in offers.found]
        return _result(offers.fragment if found else "", found or _Silence())

    def _known(self) -> Known:
        """Return what is there already: a completion neither makes a session nor waits for anybody."""
        from ..gateway.catalog import bundled
        from .offers import Known

        shell, asked = self._face.shell, list(self._face.asked)
        session = self._face.existing()
        return Known(
            models=(session.engine.catalog.models() if session else bundled()).entries,
            aliases=session.engine.settings.aliases if session else {},
            local={name: server.base_url for name, server in session.engine.settings.local.items()} if session else {},
            variables={
                name: value
                for name, value in list(shell.user_ns.items())
                if not name.startswith("_") and name not in shell.user_ns_hidden
            },
            tags={one.options.tag: None for one in asked if one.options.tag},
            chats=session.engine.asking.chats.names if session else (),
            rules=session.engine.settings.choose if session else {},
            presets=session.engine.settings.presets if session else {},
            providers={one.reply.provider: None for one in asked if one.reply and one.reply.provider},
        )


class _Silence(Sequence[SimpleCompletion]):
    """No completions, and yet a reason to drop those of others: IPython asks only for the length."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise IndexError(index)


def _result(fragment: str, completions: Sequence[SimpleCompletion]) -> dict[str, Any]:
    return {"completions": completions, "matched_fragment": fragment, "suppress": True}


def _not_ours() -> dict[str, Any]:
    return {"completions": [], "suppress": False}
