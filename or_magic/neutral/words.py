"""Words for terminals, status lines and lists: without control codes, hidden letters or live markup. Pure."""

from __future__ import annotations

import re

# Part of no language: a terminal or a parser acts on them, a reader does not see them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_REORDER = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0001]"
    # Tags spell out the flags of Scotland and its like, and nothing else that can be seen.
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
)
_MARKUP = re.compile(r"(?i)^\d*[#+=.)-]|[`*_\[\]~|!@<>&\\$]|:(?=/)|www\.")
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")


def plain(text: str) -> str:
    """Return text that a terminal shows as it is: no control codes, no hidden letters, no change of direction."""
    return _INVISIBLE.sub("", _REORDER.sub("\ufffd", _printable(text)))


def line(text: str) -> str:
    """Return :func:`plain` text on one line, for names, titles and states."""
    return " ".join(plain(text).split())


def cite(number: int, title: str, url: str) -> str:
    """Return one item of a numbered list: a ``link``."""
    return f"{number}. {link(title, url)}"


def link(title: str, url: str) -> str:
    """Return the title as a link, or with the address as text if it is not of the web."""
    words, address = line(title), line(url)
    if re.match(r"https?://[^\s/]", address, re.IGNORECASE):
        return f"[{literal(words or address)}]({_quoted(address)})"
    return literal(" · ".join(filter(None, (words, address))))


def literal(text: str) -> str:
    """Return :func:`line` as Markdown in which no sign means anything: for a cell of a table, a label, a value."""
    return _MARKUP.sub(_without_meaning, line(text))


def _without_meaning(found: re.Match[str]) -> str:
    # Entities, because marked takes the backslash off a bracket before it looks for links inside a link. What begins a
    # formula stands alone: MathJax looks for $5 … $7 in what has been drawn, as far as one element goes.
    before, sign = found[0][:-1], f"&#{ord(found[0][-1])};"
    return f"{before}<span>{sign}</span>" if found[0][-1] in "$\\" else before + sign


def _quoted(address: str) -> str:
    def quote(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode())

    return re.sub(r"[^\w.~:/?#@&',;=%+-]", quote, address, flags=re.ASCII).replace("&", "&amp;")


def untangle(text: str) -> str:
    """Return text with plain line ends, in the order in which it is stored, and without control codes."""
    return _REORDER.sub("", _printable(text))


def _printable(text: str) -> str:
    return _CONTROL.sub("\ufffd", _LINE_END.sub("\n", text).replace("\v", " ").replace("\f", " "))
