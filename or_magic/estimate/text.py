"""About how many tokens a text takes, for any model: a linear model of our own over classes of characters. Pure.

Its weights are a least-squares fit to the mean of four public tokenizers over prose in thirty languages, code, JSON,
numbers and base64. Single models differ from that mean; the range says by how much, and the ledger's own figures
narrow it (``calibration``).
"""

from __future__ import annotations

from dataclasses import dataclass

_EXACT_BYTES = 48 * 1024  # more is measured on windows of it, so that a megabyte takes a few milliseconds
_WINDOWS, _WINDOW_BYTES = 16, 3 * 1024


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known yet: what it hardly stays below, what is likely, what it hardly passes."""

    low: int = 0
    likely: int = 0
    high: int = 0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __mul__(self, factor: float) -> Range:
        return Range(*(round(figure * factor) for figure in (self.low, self.likely, self.high)))


def text_tokens(text: str) -> Range:
    """Return about how many tokens the text takes."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= _EXACT_BYTES:
        latin, scripts, share = _plain(data), _scripts(data), 1.0
    else:
        step = len(data) // _WINDOWS
        windows = [data[start : start + _WINDOW_BYTES] for start in range(0, step * _WINDOWS, step)]
        share = len(data) / sum(map(len, windows))
        latin, scripts = sum(map(_plain, windows)), sum(map(_scripts, windows))
    return Range(
        round(share * (0.88 * latin + 0.5 * scripts)),
        round(share * (latin + scripts)),
        round(share * (1.3 * latin + 1.75 * scripts)),  # the oldest vocabularies cut other scripts into single bytes
    )


def _class(byte: int) -> str:
    for name, members in (("l", _LOWER), ("U", _UPPER), ("d", b"0123456789"), ("s", b" "), ("n", b"\t\r\n")):
        if byte in members:
            return name
    return "p" if byte < 128 else "h"


_LOWER, _UPPER = b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# l lower and U upper case, d digits, s space, n other white space, p punctuation, h a byte of any other sign.
_CLASSES = "".join(map(_class, range(256))).encode()
_LETTERS = bytes.maketrans(b"Uh", b"ll")
_CASES = bytes.maketrans(b"U", b"l")


def _plain(data: bytes) -> float:
    """Return the tokens of words, numbers, punctuation and white space."""
    exact = data.translate(_CLASSES)
    runs = exact.translate(_LETTERS)
    count = runs.count
    words = count(b"sl") + count(b"nl") + count(b"pl") + count(b"dl") + runs.startswith(b"l")
    numbers = count(b"sd") + count(b"nd") + count(b"pd") + count(b"ld") + runs.startswith(b"d")
    marks = count(b"p")
    return (
        0.849 * words
        + 0.489 * exact.translate(_CASES).count(b"llllll")  # long words are several tokens
        + 0.798 * exact.count(b"lU")  # camelCase
        + 1.6 * numbers
        + 0.504 * count(b"ddd")
        + 0.084 * (count(b"ld") + count(b"dl"))  # base64, identifiers
        + 0.096 * marks
        + 0.639 * (marks - count(b"pp"))  # several marks in a row are fewer tokens
        + 0.081 * count(b"ss")
        + 1.026 * (count(b"n") - count(b"nn"))
    )


# The first bytes of a script's characters in UTF-8, and what a character takes.
_SCRIPTS = (
    (range(0xC2, 0xCC), 2.585),  # letters with accents: they break words that are one token without them
    (range(0xCC, 0xD0), 0.662),  # Greek
    (range(0xD0, 0xD5), 0.312),  # Cyrillic
    (range(0xD5, 0xE0), 0.615),  # Armenian, Hebrew, Arabic
    (range(0xE0, 0xE1), 0.881),  # the scripts of India, Thai
    (range(0xE1, 0xE2), 1.0),
    (range(0xE2, 0xE3), 2.6),  # signs
    (range(0xE3, 0xE4), 0.822),  # kana
    (range(0xE4, 0xEA), 0.812),  # Han
    (range(0xEA, 0xEE), 0.738),  # Hangul
    (range(0xEE, 0xF0), 4.445),
    (range(0xF0, 0xF8), 6.307),  # emoji
)
_FIRST = tuple((bytes(first), weight) for first, weight in _SCRIPTS)


def _scripts(data: bytes) -> float:
    """Return the tokens that signs beyond ASCII take."""
    if data.isascii():
        return 0.0
    return sum([weight * (len(data) - len(data.translate(None, first))) for first, weight in _FIRST])
