"""Markdown that grows, cut into outputs where it may be cut: frozen pages, a middle, a tail. Pure.

Only the middle and the tail are ever drawn again, so that an answer costs bytes in proportion to its length. Each
output is rendered on its own: what the cut leaves open (a fence, a table) is closed before it and opened after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TAIL = 800  # characters that are drawn again at every tick
_MOVED = 500  # fewer are not worth drawing the middle again
_FIRST, _LATER, _MANY, _LATE = 3000, 3000, 14, 4600  # middles; wider ones late: front ends show 50 outputs
# Notebook puts a cell that is higher than its limit into a box, and measures it while an output is being drawn again:
# near that height nothing but the tail is.
_NEAR = range(_FIRST, 9000)
# A fence in two parts is higher than in one. On a page that is high enough to scroll that is made up for in the end.
_UNSCROLLED = 3 * TAIL
_WHOLE = 4 * TAIL  # a line without any place to cut is cut here all the same

STREAMING = "\n\n*… still streaming*"

_FENCE = re.compile(r"( *)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?: |$)")
_DELIMITERS = re.compile(r" {0,3}\|?[ :|-]*-[ :|-]*$")
_SENTENCE = re.compile(r"[.!?…:;]['\")\]]* |[。！？]|, ")
# A line that has only begun: it would flash as a heading, a rule or a list.
_BEGUN = re.compile(r"(?:^|\n)[-=*#>|`~$\d.)\[!<+ \t]+$")


@dataclass(frozen=True, slots=True)
class Open:
    """What is open at a place: the fence's first line, the table's two head lines, a list."""

    fence: str = ""
    table: str = ""
    list: bool = False

    @property
    def again(self) -> str:
        """The lines that open it again on the next page."""
        return f"{self.fence.lstrip()}\n" if self.fence else self.table

    def closed(self, text: str) -> str:
        """Return ``text``, at whose end this is open, with the fence closed."""
        if not self.fence:
            return text
        found = _FENCE.match(self.fence)
        mark = found[2] if found else "```"
        return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{mark}"


def closed(text: str) -> str:
    """Return Markdown with its last fence closed, so that what follows is not taken for code."""
    return _at_end(text, Open()).closed(text)


def finished(text: str) -> int:
    """Return how much of a growing text is whole blocks."""
    places = [place for place, state, safe in _places(text, Open()) if safe and not state.list]
    return places[-1] if places else 0


class Pages:
    """Text that grows; ``draw`` tells which outputs changed since it was asked last."""

    def __init__(self, *, paged: bool = True, markdown: bool = True) -> None:
        self.count = 0  # outputs drawn so far
        self._paged = paged
        self._markdown = markdown
        self._held: list[str] = []
        self._tail, self._tail_open = "", Open()
        self._middle, self._middle_open = "", Open()
        self._moved_size = 0
        self.seamed = False  # whether a cut went through a fence or a table
        self._place = 0  # of the middle; the tail is next, unless there is no middle yet
        self._drawn = ""

    def add(self, text: str) -> None:
        """Take a fragment."""
        self._held.append(text)

    def draw(self) -> Iterator[tuple[int, str]]:
        """Yield (place, text) of every output that changed, in order; a new place is the next one."""
        if not self._held:
            return
        self._tail += "".join(self._held)
        self._held.clear()
        before = self.count
        moved = self._moved()
        middle, place = self._place, self._place + bool(self._middle)
        tail = self._shown()
        redrawn = bool(moved) or tail not in (self._drawn, STREAMING)
        if redrawn:
            self._drawn = tail
            self.count = max(self.count, place + 1)
        # Words that move are shown twice for a moment rather than not at all, or the page would jump: what was the tail
        # gives them away when they stand in the next output.
        if moved and 0 < before == place:
            yield place, tail
            yield middle, moved
            return
        if moved:
            yield middle, moved
        if redrawn:
            yield place, tail

    def _moved(self) -> str:
        """Return the middle, drawn anew, if the tail was long enough to give something to it."""
        limit = TAIL if self._paged else max(TAIL, len(self._middle) // 2)
        found = _cut(self._tail, self._tail_open, self._markdown) if len(self._tail) > limit else None
        if found is None or (found[0] < _MOVED and len(self._tail) < 2 * TAIL):
            return ""
        place, state = found
        seam = bool(state.fence or state.table)
        if seam and self._moved_size + len(self._tail) < _UNSCROLLED:
            return ""
        if not self._middle:
            self._middle_open = self._tail_open
        elif self._paged and len(self._middle) > self._limit():
            # The middle is frozen as it stands, the output of the tail becomes the new middle.
            self._place += 1
            self._middle, self._middle_open = "", self._tail_open
        self._middle += self._tail[:place]
        self._moved_size += place
        self.seamed = self.seamed or seam
        self._tail, self._tail_open = self._tail[place:], state
        self.count = max(self.count, self._place + 1)
        return self._page(self._middle, self._middle_open, state)

    def _limit(self) -> int:
        if self._moved_size in _NEAR:
            return 0
        return _FIRST if self._moved_size < _FIRST else _LATE if self._place > _MANY else _LATER

    def _shown(self) -> str:
        text = self._tail
        if self._markdown and (begun := _BEGUN.search(text)):
            text = text[: begun.start()]
        if not self._markdown:
            return text
        return self._page(text, self._tail_open, _at_end(text, self._tail_open)) + STREAMING

    def _page(self, text: str, before: Open, after: Open) -> str:
        return before.again + after.closed(text) if self._markdown else text


def _cut(text: str, state: Open, markdown: bool) -> tuple[int, Open] | None:
    """Return where to cut and what is open there: the last safe place, else the last one that can be mended."""
    safe = forced = None
    last = state
    for place, last, is_safe in _places(text, state) if markdown else _lines(text, state):
        if place and is_safe:
            safe = place, last
        elif place:
            forced = place, last
    if safe and len(text) - safe[0] <= 2 * TAIL:
        return safe
    if forced and (safe is None or forced[0] > safe[0]):
        return forced
    if safe:
        return safe
    inside = _inside_line(text, code=bool(last.fence) or not markdown)
    return (inside, last) if inside else None


def _places(text: str, state: Open) -> Iterator[tuple[int, Open, bool]]:
    """Yield (offset, what is open there, whether a cut there is safe) for the start of every line and the end."""
    place, blank, before = 0, state == Open(), ""
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if state.fence:
            yield place, state, False
            if _closes(state.fence, bare):
                state = Open(list=state.list)
        else:
            is_item = bool(_ITEM.match(bare))
            at_margin = bool(bare) and not bare[0].isspace()
            if at_margin and blank and not is_item:
                state = Open()
            if "|" not in bare:
                state = Open(list=state.list)
            safe = at_margin and (blank or bare.startswith("#")) and not (is_item and state.list)
            if safe or is_item or state.table or (at_margin and bare.startswith(">")):
                yield place, state, safe
            state = _after(bare, before, state, is_item)
        place += len(line)
        blank, before = not bare.strip(), line
    if text.endswith("\n"):
        yield place, state, False if state.fence else blank and not state.list
    else:
        yield 0, state, False


def _at_end(text: str, state: Open) -> Open:
    """Return what is open after ``text``, where ``state`` is open before it."""
    return [state, *[after for _, after, _ in _places(text, state)]][-1]


def _after(bare: str, before: str, state: Open, is_item: bool) -> Open:
    """Return what is open after a line outside of fences."""
    if (found := _FENCE.match(bare.lstrip() if state.list else bare)) and len(found[1]) < 4:
        return Open(fence=bare, list=state.list)
    if "|" in before and _DELIMITERS.match(bare) and "|" in bare:
        return Open(table=f"{before.rstrip()}\n{bare}\n", list=state.list)
    return Open(table=state.table, list=state.list or is_item)


def _lines(text: str, state: Open) -> Iterator[tuple[int, Open, bool]]:
    place = 0
    for line in text.splitlines(keepends=True):
        yield place, state, True
        place += len(line)


def _closes(fence: str, bare: str) -> bool:
    found = _FENCE.match(fence.lstrip())
    return found is not None and bare.strip().startswith(found[2]) and not bare.strip().strip(found[2][0])


def _inside_line(text: str, *, code: bool) -> int:
    """Return where to cut a text that is one long line: after a sentence outside of emphasis, code and formulas."""
    if code:
        return text.rfind(" ") + 1 or (len(text) if len(text) > _WHOLE else 0)
    best = place = ticks = dollars = stars = 0
    for found in _SENTENCE.finditer(text):
        part = text[place : found.end()]
        place = found.end()
        ticks, dollars, stars = ticks + part.count("`"), dollars + part.count("$"), stars + part.count("*")
        if not (ticks % 2 or dollars % 2 or stars % 2):
            best = place
    if not best and len(text) > _WHOLE:
        best = text.rfind(" ") + 1 or len(text)
    return best
