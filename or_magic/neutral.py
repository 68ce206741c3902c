r"""What a model wrote, made inert: nothing in it runs, loads or hides where it is shown. Pure.

A renderer that disagrees about where code ends would make markup of what is code here. So every line is read in one of
three ways: *code*, where all renderers are sure to agree, stays as it is; *text* gets ``&lt;`` for the ``<`` of a tag;
what may be either is *doubtful* and gets an invisible U+200B inside ``<a``, ``![`` and ``](``, which is right in both.
Text and doubtful lines are inert however they are read; only the certainty of code rests on the rules below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BREAK = "\u200b"

# Part of no language: a terminal or a parser acts on them, a reader does not see them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_REORDER = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0001]"
    # Tags spell out the flags of Scotland and its like, and nothing else that can be seen.
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
)
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")

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
    r"|(?P<image>!(?=\[))"
    rf"|(?P<link>\]{_LINK})"
    r"|(?P<broken>\](?=\())"
    r"|(?P<definition>\](?=:))"
    r"|(?P<scheme>ftp(?=://))"
    r"|(?P<math>\$\$?|\\\\?(?=[()\[\]]))|(?P<environment>\\(?:begin|end)\{)|\\\$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(rf"\]{_LINK}|(?:://|www\.)[^\s<]*", re.IGNORECASE)
_HOST = re.compile(r"\([ \t]*(?:https?:)?//(?:[^/?#]*@)?([^/?#\s)]*)", re.IGNORECASE)
_DEFINITION = re.compile(r":[ \t]*(?P<target>[^ \t<][^ \t]*)?[ \t]*(?P<rest>.*)")

_OPENER = re.compile(
    r"(?P<lead>[ \t]*(?:(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t]))[ \t]*)*)(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$"
)
_ITEM = re.compile(r" *(?:[-*+]|\d{1,9}[.)]) {1,4}$")
_INFO = re.compile(r"[ \t]*[\w+#.-]*[ \t]*")
_LANGUAGE = re.compile(r"[ \t{.]*([\w+#.-]*)")
# A diagram is drawn, not shown, by some: it may load pictures, follow links and set styles.
_ACTIVE_DIAGRAM = re.compile(
    r"<(?!br ?/?>)[A-Za-z/!?]|//|url\s*\(|@\{|%%\{|\\|&|^---\s*$|\b(?:click|href|src|img)\b", re.I | re.M
)
_RUN = re.compile("`+")
_RISKY = re.compile(r"<[A-Za-z/!?]|!\[|\][(:]|://|www\.", re.IGNORECASE)
_LOOSE_LESS = re.compile(r"<(?![ A-Za-z/!?])")
_FORMULA = re.compile(r"(?<!\\)\$\$|\\\\[\[\]]|\\(?:begin|end)\{[a-z]*\*?\}")
_NESTED = re.compile(r"[ \t>#:\[]|[-*+][ \t]|\d{1,9}[.)]")
_CLINGING = re.compile(r"[$\\|]|\]:|^[ \t]*:")
_FORMULA_QUIRK = re.compile(r"\\\\\\[\[\]()]|\\\$\$")


def markdown(text: str) -> str:
    """Return Markdown that shows the same and can do nothing: no raw HTML, no picture that loads, no live address.

    Pictures become links that name their host. Links go to http, https, mailto, ``#`` or a relative address. Each text
    is judged alone, as renderers do. The cost is linear, and the result of a result is the result.
    """
    text = _CONTROL.sub("\ufffd", _LINE_END.sub("\n", text).replace("\v", " ").replace("\f", " "))
    return "\n".join(_Reading(_REORDER.sub("", text).split("\n")).lines())


def plain(text: str) -> str:
    """Return text that a terminal shows as it is: no control codes, no hidden letters, no change of direction."""
    text = _LINE_END.sub("\n", text).replace("\v", " ").replace("\f", " ")
    return _INVISIBLE.sub("", _REORDER.sub("\ufffd", _CONTROL.sub("\ufffd", text)))


def line(text: str) -> str:
    """Return :func:`plain` text on one line, for names, titles and states."""
    return " ".join(plain(text).split())


def cite(number: int, title: str, url: str) -> str:
    """Return one item of a numbered list: the title as a link, or with the address as text if it is not of the web."""
    words, address = line(title), line(url)
    if re.match(r"https?://[^\s/]", address, re.IGNORECASE):
        return f"{number}. [{_literal(words or address)}]({_quoted(address)})"
    return f"{number}. {_literal(' · '.join(filter(None, (words, address))))}"


def _literal(text: str) -> str:
    text = re.sub(r"([`*_\[\]~|!@>]|:(?=/)|(?<=www)\.)", r"\\\1", text.replace("&", "&amp;").replace("\\", "&#92;"))
    text = re.sub(r"^(\d*)([#+=.)-])", r"\1\\\2", text)
    return text.replace("<", "&lt;").replace("$", "&#36;")


def _quoted(address: str) -> str:
    def quote(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode())

    return re.sub(r"[^\w.~:/?#@&',;=%+-]", quote, address, flags=re.ASCII).replace("&", "&amp;")


class _Reading:
    """One text read line by line; what is known of the place is in the attributes."""

    def __init__(self, source: list[str]) -> None:
        self._source = source
        self._place = 0
        self._doubtful = False  # something could not be read for certain: no code is sure from here on
        self._formula_open = False  # a formula that nbconvert, and only it, carries over blank lines
        self._start_paragraph()

    def _start_paragraph(self) -> None:
        self._blank = True
        self._odd = False  # a run of backticks has no partner: where code begins is not sure
        self._skewed = False  # marked may take an emphasis sign inside code for a real one
        self._clinging = False  # it may swallow a fence that follows without a blank line
        self._quoted = False
        self._in_dollars = False
        self._in_formula = False
        self._closer = ""  # what ends the formula that nbconvert is in

    def lines(self) -> Iterator[str]:
        while self._place < len(self._source):
            line = self._source[self._place]
            opener = _OPENER.match(line)
            if not line.strip(" \t"):
                self._place += 1
                self._end_paragraph()
                yield ""
            elif opener and not self._doubtful and ">" not in opener["lead"]:
                yield from self._fence(opener)
            else:
                self._place += 1
                yield self._words(line, opener)

    def _end_paragraph(self) -> None:
        self._formula_open |= bool(self._closer)
        self._start_paragraph()

    # -- fences

    def _fence(self, opener: re.Match[str]) -> Iterator[str]:
        lead, mark = opener["lead"], opener["mark"]
        start = self._place
        end, sound = self._fence_end(lead, mark)
        content = self._source[start + 1 : end]
        if not sound or (lead and self._quoted):
            self._doubtful = True
            self._place += 1
            yield self._doubt(self._source[start])
            return
        body = "\n".join(content)
        risky = bool(_RISKY.search(body))
        alone = self._blank
        if not alone and (self._clinging or "\n:" in f"\n{body}" or (lead and (risky or not lead.isspace()))):
            alone = True
            yield ""
        sure = not (self._formula_open or self._closer) or not _FORMULA.search(body)
        self._end_paragraph()
        self._place = end + 1
        yield lead + mark + _language(opener["info"], body)
        for line in content:
            yield (_BREAK if _seems_to_close(line, mark) else "") + (line if sure else self._doubt(line))
        if end < len(self._source):
            yield " " * len(lead) + mark
            follows = end + 1 < len(self._source) and bool(self._source[end + 1].strip(" \t"))
            if follows and ("\\" in body or (lead and "$" in body)):
                yield ""
        self._start_paragraph()
        self._blank = False

    def _fence_end(self, lead: str, mark: str) -> tuple[int, bool]:
        """Return where the fence ends, and whether every renderer will see it end there."""
        width = len(lead)
        if lead.strip(" ") and not _ITEM.match(lead):
            return self._place, False
        for place in range(self._place + 1, len(self._source)):
            line = self._source[place]
            if width and not line.strip(" \t"):
                continue
            if width and not line.startswith(" " * width):
                return place, False
            words = line[width:].rstrip(" \t")
            inner = words.lstrip(" ")
            if len(inner) >= len(mark) and not inner.strip(mark[0]) and len(words) - len(inner) <= (0 if width else 3):
                return place, True
            if width and inner.startswith(mark):
                return place, False
        return len(self._source), not width

    # -- lines of text

    def _words(self, line: str, opener: re.Match[str] | None) -> str:
        self._follow_formulas(line)
        lead = line[: len(line) - len(line.lstrip(" \t"))]
        pieces = _split(line)
        self._odd |= pieces is None
        self._quoted |= bool(opener)
        self._doubtful |= not opener and ("~~~" in line or (pieces is None and "```" in line))
        self._clinging |= bool(_CLINGING.search(line))
        self._blank = False
        if pieces is None or self._odd or self._quoted or self._doubtful:
            return self._doubt(line)
        pieces[::2] = map(_without_formula, pieces[::2])
        whole = "".join(pieces)
        less = f"<{_BREAK}" if "\t" in lead or len(lead) > 3 else "&lt;"
        place, shown = 0, []
        for number, piece in enumerate(pieces):
            if number % 2:
                shown.append(self._span(piece, pieces[number - 1]))
            else:
                shown.append(self._text(piece, less, whole, place))
            place += len(piece)
        return "".join(shown)

    def _follow_formulas(self, line: str) -> None:
        """Keep account of formulas as nbconvert takes them: they may hold blank lines and fences."""
        tokens = _FORMULA.findall(line)
        nested = tokens and (_NESTED.match(line) or "|" in line)
        unclosed = bool(self._closer)
        for token in tokens:
            if self._closer:
                self._closer = "" if token == self._closer else self._closer
            else:
                self._closer = {"$$": "$$", r"\\[": r"\\]"}.get(token, token.replace("begin", "end", 1))
        self._formula_open |= bool(nested and (unclosed or self._closer))
        self._doubtful |= bool(_FORMULA_QUIRK.search(line))

    def _span(self, code: str, before: str) -> str:
        self._skewed |= code.startswith("``") or "\\" in code
        word = "" if before[-1:].isspace() else (before.split() or [""])[-1]
        split = re.search(r"[~$\\|]", code) or before.endswith("\\") or _ADDRESS.search(word)
        return self._doubt(code) if split or (self._skewed and re.search(r"[*_]", code)) else code

    def _text(self, piece: str, less: str, line: str, place: int) -> str:
        self._skewed |= bool(_LOOSE_LESS.search(piece if place + len(piece) < len(line) else f"{piece}\n"))

        def rewrite(match: re.Match[str]) -> str:
            kind = match.lastgroup or ""
            if kind in ("math", "environment"):
                self._enter_formula(match)
            gap = " " if self._in_dollars or self._in_formula else _BREAK
            if kind == "tag":
                return "< " if gap == " " else less
            if kind in ("goal", "picture", "media"):
                return _picture(match)
            if kind == "definition" and not self._defines(line, place + match.start()):
                gap = ""
            return match[0] + gap if kind in ("image", "broken", "definition", "scheme") else match[0]

        return _TOKEN.sub(rewrite, piece)

    def _enter_formula(self, match: re.Match[str]) -> None:
        if match[0].startswith("$"):
            self._in_dollars = not self._in_dollars
        else:
            self._in_formula = match.string[match.end() : match.end() + 1] in "([" or match[0].startswith("\\b")

    def _defines(self, line: str, place: int) -> bool:
        """Return whether the ``]:`` there may define an address that is not harmless, or swallow what follows."""
        label = line[:place]
        if "\\" not in label and label[: max(0, label.find("["))].strip(" \t>*+-.)0123456789"):
            return False
        found = _DEFINITION.match(line, place + 1)
        if not found:
            return True
        safe = re.fullmatch(_TARGET, found["target"], re.IGNORECASE) and found["target"]
        if not found["rest"]:
            after = next((line for line in self._source[self._place :] if line.strip(" \t")), "")
            return not safe or after.lstrip(" \t>")[:1] in ("'", '"', "(")
        title = re.match(_TITLE, found["rest"])
        if title is None:
            return found["rest"][0] in "\"'("
        return not safe and not found["rest"][title.end() :].strip()

    @staticmethod
    def _doubt(line: str) -> str:
        """Make a line inert that may be code: what is put in is invisible."""
        opener = _OPENER.match(line)
        if opener:
            return opener["lead"] + opener["mark"] + _language(opener["info"], "<a")
        line = line.replace("~~~", f"~{_BREAK}~~")
        if _split(line) is None:
            line = line.replace("```", f"`{_BREAK}``")
        line = _ADDRESS.sub(_cut, line)
        return _TOKEN.sub(_hold, line)


def _hold(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind in ("goal", "picture", "media"):
        return re.sub(r"!(?=\[)|\](?=\(data:)", lambda found: found[0] + _BREAK, match[0], flags=re.IGNORECASE)
    return match[0] + _BREAK if kind in ("tag", "image", "broken", "definition", "scheme") else match[0]


def _picture(match: re.Match[str]) -> str:
    """Return the link that stands for a picture and says where it leads."""
    if match["media"] is not None:
        return f"({match['alt'] or 'picture'} · {match['media'] or 'data'}, not shown)"
    source = match["source"] or match["picture"]
    found = _HOST.match(source)
    host = re.sub(r"[^\w.:-]", "\ufffd", found[1]) if found else ""
    if match["goal"]:
        return f"[{match['badge'] or 'picture'}]{match['goal']} ([{host or 'picture'}]{source})"
    return f"[{' · '.join(filter(None, (match['alt'], host))) or 'picture'}]{source}"


def _without_formula(piece: str) -> str:
    """Percent-encode in addresses what begins a formula: it would be put back there, quotes and all."""

    def encode(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == "]" else match[0].replace("$", "%24").replace("\\", "%5C")

    return _ADDRESS.sub(encode, piece)


def _cut(match: re.Match[str]) -> str:
    if match[0][0] == "]" or not ("$" in match[0] or "\\" in match[0]):
        return match[0]
    return match[0][0] + _BREAK + match[0][1:]


def _language(info: str, body: str) -> str:
    """Return the info string as a name only: front ends write the rest of it into an attribute."""
    if info.strip().lower().startswith("mermaid") and _ACTIVE_DIAGRAM.search(body):
        return "text"
    found = _LANGUAGE.match(info)
    return info if _INFO.fullmatch(info) else found[1] if found else ""


def _seems_to_close(line: str, mark: str) -> bool:
    words = line.lstrip(" ")
    return words.startswith(mark) and not words.strip("`~ \t\u00a0\u3000")


def _split(line: str) -> list[str] | None:
    """Return text, code span, text, …; None if a run of backticks has no partner on the line."""
    runs = [(found.start(), found.end()) for found in _RUN.finditer(line)]
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
        pieces += [line[end:start], line[start:stop]]
        end, number = stop, partner + 1
    return [*pieces, line[end:]]
