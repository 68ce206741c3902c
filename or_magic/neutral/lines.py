r"""A Markdown text made inert, line by line. Pure.

A renderer that disagrees about where code ends would make markup of what is code here. So a line is read in one of
three ways: *code*, where all renderers are sure to agree, stays as it is; *text* gets ``&lt;`` for the ``<`` of a tag;
what may be either is *doubtful* and gets an invisible U+200B inside ``<a``, ``![`` and ``](``, which is right in both.
Text and doubtful lines are inert however they are read. What is code is decided here, so as to be sure: the renderers
meant are marked behind JupyterLab's own search for formulas, mistune behind nbconvert's, markdown-it and cmark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from . import words
from .inline import BREAK, Paragraph, doubt, split

_UNFOLDED, _FOLDED = "\ue000", "\ue001"  # stand for our own tags
_OPENER = re.compile(
    r"(?P<lead>[ \t]*(?:(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))[ \t]*)*)(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$"
)
_ITEM = re.compile(r" *(?:[-*+]|\d{1,9}[.)]) {1,4}$")
# Nothing that can be hidden in it, or hide something in what follows.
_QUIET = re.compile(r"[^\s>*+\d:#`~$\\|\[\]!<-][^:`~$\\|\[\]!<]*")
_STRAY = re.compile(f"~~~|([`~]){BREAK}\\1")  # the second is what becomes of a stray fence
# Of a kind that begins a list wherever it stands, or so far left that it makes no difference.
_WORDS_OF_ITEM = re.compile(r"(?: *(?:[-*+]|1[.)]) {1,4}|\d[.)] )(?=[^ ])")
_NESTED = re.compile(r"[ \t>#:\[]|[-*+][ \t]|\d{1,9}[.)]")
_INFO = re.compile(r"[ \t]*[\w+#.-]*[ \t]*")
_LANGUAGE = re.compile(r"[ \t{.]*([\w+#.-]*)")
# A diagram is drawn, not shown, by some: it may load pictures, follow links and set styles.
_ACTIVE_DIAGRAM = re.compile(r"(?im)<(?!br ?/?>)[a-z/!?]|//|url\s*\(|@\{|%%\{|\\|&|^---\s*$|\b(?:click|href|src|img)\b")
_RISKY = re.compile(r"(?i)<[a-z/!?]|!\[|\][(:]|://|www\.")
_CLINGING = re.compile(r"[$\\|]|\]:|^[ \t]*:")
_ITEMS = r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*"
_QUOTE = re.compile(rf"{_ITEMS}>")
_DEEP_QUOTE = re.compile(rf"{_ITEMS}>[ \t]*(?:>|[-*+](?:[ \t]|$)|\d{{1,9}}[.)]|`{{3}}|~{{3}})")
_FIRST_BRACKET = re.compile(r"(?:[^\[\]\\]|\\[\s\S])*\]:")
_FORMULA = re.compile(r"(?<!\\)\$\$|\\\\[\[\]]|\\(?:begin|end)\{[a-z]*\*?\}")
_FORMULA_QUIRK = re.compile(r"\\\\\\[\[\]()]|\\\$\$")


def markdown(text: str) -> str:
    """Return Markdown that shows the same and can do nothing: no raw HTML, no picture that loads, no live address.

    Pictures become links that name their host. Links go to http, https, mailto, ``#`` or a relative address. Each text
    is judged alone, as renderers do; a text that went through once goes through again unchanged, but for hostile ones
    that may be broken a little more. The cost is linear.
    """
    return "\n".join(_Reading(words.untangle(text).split("\n")).lines())


def quote(text: str) -> str:
    """Return text as a quotation, inert."""
    return markdown(_quoted(text))


def fold(title: str, text: str, answer: str) -> str:
    """Return text quoted and folded away under a title, and the answer below, inert as the one text that they are.

    Made inert apart they are not when they are joined: a formula that the one begins may end in the code of the other.
    """
    text, answer = (words.untangle(part).replace(_UNFOLDED, "").replace(_FOLDED, "") for part in (text, answer))
    whole = markdown(f"{_UNFOLDED}\n\n{_quoted(text)}\n\n{_FOLDED}\n\n{answer}")
    opening = f"<details><summary>{escape(words.line(title))}</summary>"
    return whole.replace(_UNFOLDED, opening, 1).replace(_FOLDED, "</details>", 1)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip(" ") for line in words.untangle(text).strip().split("\n"))


class _Reading:
    """One text read line by line; what is known of the place is in the attributes."""

    def __init__(self, source: list[str]) -> None:
        self._source = source
        self._place = 0
        self._doubtful = False  # something could not be read for certain: no code is sure from here on
        self._label_open = False  # the last bracket opened
        self._closer = ""  # what ends the formula that nbconvert, and only it, carries over blank lines
        self._formulas_lost = False  # it is not sure any more which of them are open
        self._last_formula = max((n for n, line in enumerate(source) if _FORMULA.search(line)), default=-1)
        self._start_paragraph(blank=True)

    def _start_paragraph(self, *, blank: bool) -> None:
        self._paragraph = Paragraph()
        self._after_blank = blank  # or after a fence: nothing that could go on
        self._columns: list[int] = []  # where the words of the open items begin, as far as that is sure
        self._odd = False  # a run of backticks has no partner: where code begins is not sure
        self._clinging = False  # it may swallow a fence that follows without a blank line
        self._quoted = False  # a fence in a block quote
        self._deep = False  # something nested in a block quote
        self._nested = False  # a line of a list, quote, table or heading

    def lines(self) -> Iterator[str]:
        """Yield the lines, inert."""
        while self._place < len(self._source):
            line = self._source[self._place]
            opener = _OPENER.match(line)
            if _is_blank(line):
                self._place += 1
                self._start_paragraph(blank=True)
                yield ""
            elif opener and not self._doubtful and ">" not in opener["lead"]:
                yield from self._fence(opener)
            else:
                self._place += 1
                yield self._words(line, opener)

    def _following(self) -> str:
        places = range(self._place, len(self._source))
        return next((self._source[place] for place in places if not _is_blank(self._source[place])), "")

    # -- fences

    def _fence(self, opener: re.Match[str]) -> Iterator[str]:
        lead, mark = opener["lead"], opener["mark"]
        end = self._fence_end(lead, mark)
        if end is None or (lead and self._quoted):
            self._doubtful = True
            self._place += 1
            yield _doubt(opener.string)
            return
        content = self._source[self._place + 1 : end]
        body = "\n".join(content)
        if self._would_cling(lead, body):
            yield ""
        self._formulas_lost |= bool(self._closer)
        # A label that was left open would end in the code.
        label = self._label_open and _FIRST_BRACKET.match(body)
        self._doubtful = bool(label) or (self._formulas_lost and self._last_formula >= self._place)
        self._start_paragraph(blank=True)
        self._place = end + 1
        yield lead + mark + _language(opener["info"], body)
        for line in content:
            line = f"{BREAK}{line}" if _seems_to_close(line, mark) else line
            yield _doubt(line) if self._doubtful else line
        if end < len(self._source):
            yield " " * len(lead) + mark
            # A formula that begins in the code must not take the end of the code with it.
            if ("\\" in body or (lead and "$" in body)) and not _is_blank("".join(self._source[end + 1 : end + 2])):
                yield ""

    def _would_cling(self, lead: str, body: str) -> bool:
        """Return whether the paragraph before might take the fence for a part of itself."""
        # To mistune, a line that begins with a colon makes terms of all lines above it.
        if "\n:" in f"\n{body}" and self._place and not _is_blank(self._source[self._place - 1]):
            return True
        if self._after_blank:
            return False
        if self._clinging or lead.strip():
            return True
        return bool(lead and len(lead) not in self._columns and (len(lead) > 3 or _RISKY.search(body)))

    def _fence_end(self, lead: str, mark: str) -> int | None:
        """Return where the fence ends; None if not every renderer will see it end there."""
        width = len(lead)
        if lead.strip(" ") and not _ITEM.match(lead):
            return None
        for place in range(self._place + 1, len(self._source)):
            line = self._source[place]
            if width and _is_blank(line):
                continue
            if width and not line.startswith(" " * width):
                return None
            words = line[width:].rstrip(" \t")
            inner = words.lstrip(" ")
            if len(inner) >= len(mark) and not inner.strip(mark[0]) and len(words) - len(inner) <= (0 if width else 3):
                return place
            if width and inner.startswith(mark):
                return None
        return None if width else len(self._source)

    # -- lines of text

    def _words(self, line: str, opener: re.Match[str] | None) -> str:
        if _QUIET.fullmatch(line) and not (self._odd or self._quoted or self._deep):
            self._after_blank = False
            return line
        self._follow_formulas(line)
        self._follow_quotes(line)
        pieces = split(line)
        self._odd |= pieces is None
        self._quoted |= bool(opener)
        self._doubtful |= not opener and bool(_STRAY.search(line) or (pieces is None and "```" in line))
        self._clinging |= bool(_CLINGING.search(line))
        self._follow_items(line)
        brackets = re.findall(r"[\[\]]", re.sub(r"\\.", "", line))
        self._label_open = brackets[-1] == "[" if brackets else self._label_open
        self._after_blank = False
        if pieces is None or self._odd or self._quoted or self._doubtful:
            return _doubt(line)
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        less = f"<{BREAK}" if "\t" in indent or len(indent) > 3 else "&lt;"
        return self._paragraph.rewrite(pieces, less, self._following)

    def _follow_items(self, line: str) -> None:
        item = _WORDS_OF_ITEM.match(line)
        if item:
            indent = len(line) - len(line.lstrip(" "))
            outer = [column for column in self._columns if column <= indent]
            self._columns = [*outer, item.end()] if indent <= 3 or indent in outer else []

    def _follow_quotes(self, line: str) -> None:
        """Doubt all that follows when a line is lazy behind what is nested in a quote: marked loses its place there."""
        if _QUOTE.match(line):
            self._clinging = True
            self._deep |= bool(_DEEP_QUOTE.match(line))
        else:
            self._doubtful |= self._deep

    def _follow_formulas(self, line: str) -> None:
        """Keep account of formulas as nbconvert takes them: they may hold blank lines and fences."""
        unclosed, late = self._closer, False
        self._nested |= not unclosed and (bool(_NESTED.match(line)) or "|" in line)
        for token in _FORMULA.finditer(line):
            if self._closer:
                self._closer = "" if token[0] == self._closer else self._closer
            elif token[0] == "$$" or token[0].startswith(("\\\\[", "\\b")):
                self._closer = token[0].replace("[", "]").replace("begin", "end", 1)
                # The versions of mistune do not agree about what begins after other words, or in another block.
                late = self._nested or token.start() > 0
        self._formulas_lost |= bool((self._closer and late) or _FORMULA_QUIRK.search(line))
        more = self._last_formula >= self._place - 1
        self._paragraph.torn |= bool(unclosed) or (self._formulas_lost and more)


def _is_blank(line: str) -> bool:
    return not line.strip(" \t")


def _doubt(line: str) -> str:
    opener = _OPENER.match(line)
    if opener:
        return opener["lead"] + opener["mark"] + _language(opener["info"], "<a")
    line = re.sub("~{3,}", _spread, line)
    return doubt(line if split(line) else re.sub("`{3,}", _spread, line))


def _spread(match: re.Match[str]) -> str:
    return BREAK.join(match[0])


def _language(info: str, body: str) -> str:
    """Return the info string as a name only: front ends write the rest of it into an attribute."""
    if info.strip().lower().startswith("mermaid") and _ACTIVE_DIAGRAM.search(body):
        return "text"
    found = _LANGUAGE.match(info)
    return info if _INFO.fullmatch(info) else found[1] if found else ""


def _seems_to_close(line: str, mark: str) -> bool:
    words = line.lstrip(" ")
    return words.startswith(mark) and not words.strip("`~ \t\u00a0\u3000")
