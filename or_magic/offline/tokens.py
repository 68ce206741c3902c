"""The simulator's own token count: short, stable, and not any model's tokenizer. Pure.

One token is up to six letters or digits with the space before them, one other visible character with the space before
it, or one further space. Every character belongs to exactly one token, so joining the tokens gives the text back.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s")

PICTURE = 258  # one picture, in or out, whatever its size
SECOND_OF_AUDIO = 32
PER_MESSAGE = 4


def split(text: str) -> list[str]:
    """Return the tokens of a text, in order."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """Return how many tokens a text has."""
    return len(_TOKEN.findall(text))


def pieces(text: str, size: int) -> list[tuple[str, int]]:
    """Cut a text into groups of so many tokens: (text, tokens), in order."""
    found = split(text)
    groups = (found[start : start + size] for start in range(0, len(found), size))
    return [("".join(group), len(group)) for group in groups]


def cut(text: str, limit: int) -> str:
    """Return the first so many tokens of a text."""
    return "".join(split(text)[:limit])
