"""What stands on a line of Markdown: code spans, links, pictures, tags and formulas, made inert in place. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

BREAK = "\u200b"

# A definition or link is left alone only if all of it is known: what is not matched here is broken.
_TAIL = r"(?:[^\s()<>\[\]\\$`\"]|\([^\s()<>\[\]\\$`\"]*\))*"
_TARGET = rf"(?:(?:https?://|mailto:|[/#?]){_TAIL}|[\w.%~+,@=-]*(?:[/#?]{_TAIL})?)"
_TITLE = r"""(?:"[^"$\\`<&\[\]]*"|'[^'"$\\`<&\[\]]*'|\([^()"$\\`<&\[\]]*\))"""
_LINK = rf"\([ \t]*{_TARGET}(?:[ \t]+{_TITLE})?[ \t]*\)"
_ALT = r"[^\[\]`<$\\]*"
_TOKEN = re.compile(
    r"(?P<autolink><(?:https?://[\w.-]+(?::\d+)?(?:[/?#][\w.~:/?#@&'()*+,;=%-]*)?|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)>)"
    r"|(?P<tag><(?=[A-Za-z/!?]))"
    rf"|\[!\[(?P<badge>{_ALT})\](?P<source>{_LINK})\](?P<goal>{_LINK})"
    rf"|!\[(?P<alt>{_ALT})\](?:(?P<picture>{_LINK})|\(data:(?P<media>[\w/+.-]*)[;,][\w;,=+/%-]*\))"
    r"|(?P<image>!(?=\\*\[))"  # marked takes the backslash off in the text of a link
    rf"|(?P<link>\]{_LINK})"
    r"|(?P<broken>\](?=\())"
    r"|(?P<definition>\](?=:))"
    r"|(?P<dollars>\$\$?)|(?P<formula>\\\\?(?=[()\[\]])|\\(?:begin|end)(?=\{))|\\\$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:://|www\.)\S*", re.IGNORECASE)
_FTP = re.compile(r"(?<=ftp)(?=://)", re.IGNORECASE)
_HOST = re.compile(r"\([ \t]*(?:https?:)?//(?:[^/?#]*@)?([^/?#\s)]*)", re.IGNORECASE)
_DEFINITION = re.compile(r":[ \t]*(?P<target>[^ \t<][^ \t]*)?[ \t]*")
_TITLE_AFTER = re.compile(rf"{_TITLE}(?P<end>[ \t]*$)?")
_RUN = re.compile("`+")
# A formula that takes the second run of backticks with it leaves the beginning of a fence.
_EATEN_FENCE = re.compile(r"[ \t>*+.)\d-]*```.*[$\\]")
_FORMULA_END = re.compile(r"(?i)\\\\[()\[\]]|\\(?:begin|end)\{")
_LOOSE_LESS = re.compile(r"<(?![ A-Za-z/!?])")


class Paragraph:
    """The lines since the last blank one, as far as the next line depends on them."""

    def __init__(self) -> None:
        self._skewed = False  # marked may take an emphasis sign inside code for a real one
        self._uneven = False  # backticks other than one before and one after
        self.torn = False  # it is not sure any more where code begins
        self._row_torn = False  # nor in the cells of this line, should it be a row of a table
        self._signs: set[str] = set()  # seen outside code
        self._dollars = False
        self._formula = False

    def rewrite(self, pieces: list[str], less: str, following: Callable[[], str]) -> str:
        """Return a line whose code spans are known, inert.

        Args:
            pieces: text, code span, text, …
            less: what to write for the ``<`` of a tag.
            following: returns the first line that is not blank after this one.
        """
        self._row_torn = False
        pieces[::2] = map(_without_formula, pieces[::2])
        line = "".join(pieces)
        can_define = _can_define(line)

        def is_dead(at: int) -> bool:
            return can_define(at) and _is_dangerous(line, at, following)

        place, shown = 0, []
        for number, piece in enumerate(pieces):
            if number % 2:
                shown.append(piece if self._is_code(piece) else doubt(piece))
            else:
                last = number + 1 == len(pieces)
                self._signs.update(sign for sign in "~$" if sign in piece)
                self._skewed |= bool(_LOOSE_LESS.search(f"{piece}\n" if last else piece))
                shown.append(self._text(piece, place, less, is_dead))
            place += len(piece)
        return "".join(shown)

    def _is_code(self, span: str) -> bool:
        """Return whether nothing that began before the span can end inside it, here and in the spans before."""
        self._uneven |= span.count("`") > 2
        self._skewed |= self._uneven or "\\" in span
        self.torn |= bool(
            _FORMULA_END.search(span)
            or any(sign in span for sign in self._signs)
            or (self._skewed and re.search(r"[*_]", span))
            # In the text of a link, marked counts the backticks of longer runs in its own way.
            or (self._uneven and "]" in span)
        )
        self._row_torn |= "|" in span
        return not (self.torn or self._row_torn or re.search(r"[~$\\]", span))

    def _text(self, piece: str, place: int, less: str, is_dead: Callable[[int], bool]) -> str:
        def rewrite(match: re.Match[str]) -> str:
            kind = match.lastgroup or ""
            self._follow(match, kind)
            gap = " " if self._dollars or self._formula else BREAK
            if kind == "tag":
                self._skewed |= gap != " " and less[0] == "<"
                return "< " if gap == " " else less
            if kind in ("goal", "picture", "media"):
                before = match.string[max(0, match.start() - 1) : match.start()]
                if before == "\\":
                    return _hold(match)
                return _picture(match, BREAK if before in ("!", "]") else "")
            if kind == "definition" and not is_dead(place + match.end()):
                return match[0]
            return match[0] + gap if kind in ("image", "broken", "definition") else match[0]

        return _TOKEN.sub(rewrite, piece)

    def _follow(self, match: re.Match[str], kind: str) -> None:
        if kind == "dollars":
            self._dollars = not self._dollars
        elif kind == "formula":
            self._formula = match[0] == "\\begin" or match.string[match.end()] in "(["


def doubt(text: str) -> str:
    """Return text inert that may be code: what is put in is invisible."""
    return _TOKEN.sub(_hold, _ADDRESS.sub(_cut, _FTP.sub(BREAK, text)))


def split(line: str) -> list[str] | None:
    """Return text, code span, text, …; None if it is not sure which runs of backticks are partners."""
    if _EATEN_FENCE.match(line):
        return None
    runs = [found.span() for found in _RUN.finditer(line)]
    partners: list[int | None] = [None] * len(runs)
    latest: dict[int, int] = {}
    for number in reversed(range(len(runs))):
        size = runs[number][1] - runs[number][0]
        partners[number] = latest.get(size)
        latest[size] = number
    pieces, end, number = [], 0, 0
    while number < len(runs):
        partner = partners[number]
        if partner is None:
            return None
        start, stop = runs[number][0], runs[partner][1]
        if _takes_backticks(line[end:start]):
            return None
        pieces += [line[end:start], line[start:stop]]
        end, number = stop, partner + 1
    return [*pieces, line[end:]]


def _takes_backticks(before: str) -> bool:
    """Return whether what stands before backticks may make them a part of itself: an escape, an address, a tilde."""
    word = "" if before[-1:].isspace() else (before.split() or [""])[-1]
    return word.endswith(("\\", "~")) or bool(_ADDRESS.search(word))


def _can_define(line: str) -> Callable[[int], bool]:
    """Return a test for whether the ``]:`` at a place may end a label: one begins its line, or a line before."""
    bracket, escape = line.find("["), line.find("\\")
    at_start = bracket < 0 or not line[:bracket].strip(" \t>*+-.)0123456789!")
    return lambda place: at_start or place <= bracket or 0 <= escape < place


def _is_dangerous(line: str, place: int, following: Callable[[], str]) -> bool:
    """Return whether a definition with its colon there has an address that may act, or may swallow what follows."""
    found = _DEFINITION.match(line, place)
    if not found or re.search(r"[$\\]|^$", found["target"] or ""):
        return True
    safe = re.fullmatch(_TARGET, found["target"], re.IGNORECASE)
    if found.end() == len(line):
        return not safe or following().lstrip(" \t>")[:1] in ("'", '"', "(")
    title = _TITLE_AFTER.match(line, found.end())
    if title is None:
        return line[found.end()] in "\"'("
    return not safe and title["end"] is not None


def _picture(match: re.Match[str], before: str) -> str:
    """Return the link that stands for a picture and says where it leads."""
    if match["media"] is not None:
        return f"{before}‹{match['alt'] or 'picture'} · {match['media'] or 'data'}, not shown›"
    source = match["source"] or match["picture"]
    found = _HOST.match(source)
    host = re.sub(r"[^\w.:-]", "\ufffd", found[1]) if found else ""
    if match["goal"]:
        return f"{before}[{match['badge'] or 'picture'}]{match['goal']} ([{host or 'picture'}]{source})"
    return f"{before}[{' · '.join(filter(None, (match['alt'], host))) or 'picture'}]{source}"


def _hold(match: re.Match[str]) -> str:
    if match.lastgroup in ("goal", "picture", "media"):
        return re.sub(r"!(?=\[)|\](?=\(data:)", lambda found: found[0] + BREAK, match[0], flags=re.IGNORECASE)
    return match[0] + BREAK if match.lastgroup in ("tag", "image", "broken", "definition") else match[0]


def _without_formula(piece: str) -> str:
    """Percent-encode in addresses what begins a formula: it would be put back there, quotes and all."""
    return _ADDRESS.sub(lambda found: found[0].replace("$", "%24").replace("\\", "%5C"), _FTP.sub(BREAK, piece))


def _cut(match: re.Match[str]) -> str:
    if "$" in match[0] or "\\" in match[0]:
        return re.sub(r"(?i):(?=//)|ww(?=w\.)", lambda found: found[0] + BREAK, match[0])
    return match[0]
