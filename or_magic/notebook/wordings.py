"""What changed from one wording of a prompt to the next, as marked words. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .. import neutral

_MOST_WORDS = 1_000  # of each; beyond that the time is felt, and nobody reads the marks
_ALIKE = 0.3  # less than that in common is another question
_AROUND = 5  # words that stay around a change
_WIDTH = 240

_WORD = re.compile(r"\s*\S+")


class Bit(NamedTuple):
    """Words that are in both wordings, in the one before only, in the new one only; or ``…`` for some left out."""

    kind: Literal["same", "gone", "new"]
    text: str


def compared(before: str | None, after: str) -> tuple[Bit, ...]:
    """Return the wording with what changed marked; its beginning where there is nothing to compare it with."""
    if before is not None and before != after:
        old, new = _WORD.findall(before), _WORD.findall(after)
        if len(old) <= _MOST_WORDS and len(new) <= _MOST_WORDS:
            matcher = difflib.SequenceMatcher(None, [w.strip() for w in old], [w.strip() for w in new], autojunk=False)
            if matcher.ratio() >= _ALIKE:
                return tuple(_within(list(_bits(matcher, old, new))))
    return (Bit("same", _short(after)),)


def as_text(bits: tuple[Bit, ...]) -> str:
    """Return the wording on one line, with ``[-old-]`` and ``{+new+}``."""
    marks = {"same": "{}", "gone": "[-{}-]", "new": "{{+{}+}}"}
    return " ".join([marks[bit.kind].format(neutral.line(bit.text)) for bit in bits if bit.text.strip()])


def as_html(bits: tuple[Bit, ...]) -> str:
    """Return the wording as inert HTML, what is gone struck out and what is new underlined."""
    marks = {"same": "{}", "gone": "<del>{}</del>", "new": "<ins>{}</ins>"}
    return " ".join([marks[bit.kind].format(neutral.cell(bit.text)) for bit in bits if bit.text.strip()])


def _bits(matcher: difflib.SequenceMatcher[str], old: list[str], new: list[str]) -> Iterator[Bit]:
    codes = matcher.get_opcodes()
    for place, (kind, a, b, c, d) in enumerate(codes):
        if kind == "equal":
            yield Bit("same", _clipped(new[c:d], last=place == len(codes) - 1))
            continue
        if b > a:
            yield Bit("gone", _short("".join(old[a:b])))
        if d > c:
            yield Bit("new", _short("".join(new[c:d])))


def _clipped(words: list[str], *, last: bool) -> str:
    """Return the words next to changes, ``…`` for the others; of the beginning some, to know it by."""
    after = [] if last else words[-_AROUND:]
    if len(words) <= 2 * _AROUND:
        return "".join(words)
    return "".join([*words[:_AROUND], " …", *after])


def _within(bits: list[Bit]) -> Iterator[Bit]:
    """Yield the bits that there is room for."""
    room = 2 * _WIDTH
    for bit in bits:
        if room <= 0:
            yield Bit("same", "…")
            return
        room -= len(bit.text)
        yield bit


def _short(text: str) -> str:
    words = " ".join(text[: 2 * _WIDTH].split())
    return words if len(words) <= _WIDTH and len(text) <= 2 * _WIDTH else f"{words[: _WIDTH - 1]}…"
