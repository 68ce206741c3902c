"""``--context N``: the code cells that ran before this one, as a part of the prompt. Of this session only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..content import Text
from ..engine.compose import Preview
from ..engine.insert import Inserted
from ..masking import mask
from ..values import Reply
from .words import fenced

if TYPE_CHECKING:
    from .face import Face

_SOURCE_CHARACTERS = 20_000  # of one cell; a longer one is cut in its middle
_RESULT_CHARACTERS = 500
_OURS = re.compile(r"\s*%%(?:openrouter|or)(?=\s|$)")
# Our commands, and what sets variables of the environment: their values are often keys.
_LEFT_OUT = re.compile(
    r"^[ \t]*(?:[\w.]+\s*=\s*)?(?:%\s*(?:openrouter|or|env|set_env)|!\s*(?:export|set))(?=\s|$).*\n?", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Context:
    """The cells as one text, which they are by their numbers, and how many values in them looked like keys."""

    text: str
    numbers: tuple[int, ...]
    hidden: int

    @property
    def parts(self) -> tuple[Text, ...]:
        """What goes before the question."""
        return (Text(self.text),) if self.text else ()

    @property
    def told(self) -> str:
        """Which cells they are, in words."""
        if not self.numbers:
            return "no cell ran before this one"
        values = "1 value like a key is" if self.hidden == 1 else f"{self.hidden} values like keys are"
        return f"In [{', '.join(map(str, self.numbers))}]{f' ({values} left out)' if self.hidden else ''}"


def with_context(preview: Preview, context: Context | None) -> Preview:
    """Return a dry run that names the cells among what was put into the prompt."""
    if context is None:
        return preview
    return replace(preview, inserted=(Inserted(f"--context, {context.told}", context.parts), *preview.inserted))


@dataclass(frozen=True, slots=True)
class _Cell:
    number: int
    source: str
    result: str
    raised: str | None


def cells_before(face: Face, count: int) -> Context:
    """Return the last ``count`` code cells that ran before the one that runs: each once, as it ran last.

    Their source goes in, and their value where it is short; no outputs, no tracebacks, none of our own cells.
    """
    found: list[_Cell] = []
    seen: set[str] = set()
    for cell, name in _backwards(face):
        if len(found) == count:
            break
        if seen.isdisjoint({name, cell.source}):
            found.append(cell)
        seen |= {name, cell.source}
    found.reverse()
    if not found:
        return Context("", (), 0)
    told = "\n\n".join([text for cell in found for text in _told(cell)])
    shown, hidden = mask(told, face.session().engine.gateway.hide_pieces)
    text = f"The cells of my notebook that ran before, the latest last:\n\n{shown}\n\nMy question:"
    return Context(text, tuple([cell.number for cell in found]), hidden)


def _backwards(face: Face) -> Iterator[tuple[_Cell, str]]:
    """Yield what ran in this session, the latest first, and what its cell is known by."""
    shell: Any = face.shell
    sources = shell.history_manager.input_hist_raw
    for number in range(min(len(sources), shell.execution_count) - 1, 0, -1):
        if _OURS.match(sources[number]):
            continue
        source = _LEFT_OUT.sub("", sources[number]).strip("\n")
        if source.strip():
            run = face.runs.get(number)
            yield _Cell(number, source, _result(shell.user_ns, number), run.raised), run.cell_id or f"In [{number}]"


def _result(namespace: dict[str, Any], number: int) -> str:
    value = namespace.get("Out", {}).get(number)
    if value is None or isinstance(value, Reply):
        return ""
    from IPython.lib.pretty import pretty

    try:
        return _short(pretty(value, max_seq_length=100), _RESULT_CHARACTERS)
    except Exception:  # noqa: BLE001 - whatever a repr raises: the cell itself is what matters
        return ""


def _told(cell: _Cell) -> Iterator[str]:
    yield f"In [{cell.number}]:\n{fenced(_short(cell.source, _SOURCE_CHARACTERS), 'python')}"
    if cell.raised:
        yield f"(It raised {cell.raised}.)"
    if cell.result:
        yield f"Out [{cell.number}]:\n{fenced(cell.result)}"


def _short(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
