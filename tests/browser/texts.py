"""Answers of every shape and size, with a word of their own on every line: where it stands can be measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

_SENTENCE = "the model writes about rivers and towns with bridges that were built long before anybody counted them"
_WORDS = _SENTENCE.split()


def mark(number: int) -> str:
    """Return the word that stands only on line ``number``."""
    return f"mark{number:05d}"


def marks(text: str) -> list[str]:
    """Return the marks of a text in order."""
    return [word for word in text.replace("(", " ").replace("`", " ").split() if word.startswith("mark")]


def _sentence(number: int) -> str:
    turned = _WORDS[number % 7 :] + _WORDS[: number % 7]
    return f"{mark(number)} {' '.join(turned)}."


def prose(number: int) -> str:
    """Return a paragraph, now and then with a heading or a list, as models write."""
    if number % 9 == 4:
        return f"### Part {number}\n\n{_sentence(number)}\n\n"
    if number % 9 == 7:
        items = "\n".join([f"- **item {item}** of the list, with `code` in it" for item in range(4)])
        return f"{_sentence(number)}\n\n{items}\n\n"
    return f"{_sentence(number)} {' '.join(_WORDS)}.\n\n"


def code(number: int) -> str:
    """Return a line of Python."""
    return f"value_{number} = {mark(number)} (a={number}, b='text')  # {' '.join(_WORDS[:6])}\n"


def table(number: int) -> str:
    """Return a row."""
    return f"| {mark(number)} | {number * 7:,} | {' '.join(_WORDS[:8])} | `x = {number}` |\n"


def paragraph(number: int) -> str:
    """Return a sentence of a paragraph that never ends."""
    return f"{_sentence(number)} "


_HEADS: Mapping[str, tuple[str, Callable[[int], str], str]] = {
    "prose": ("", prose, ""),
    "code": ("Here it is:\n\n```python\n", code, "```\n"),
    "table": ("| name | number | words | code |\n| --- | ---: | --- | --- |\n", table, ""),
    "paragraph": ("", paragraph, ""),
}
SHAPES = tuple(_HEADS)


def answer(shape: str, size: int) -> str:
    """Return an answer of at least ``size`` characters."""
    head, line, foot = _HEADS[shape]
    return head + "".join(_until(line, size)) + foot


def _until(line: Callable[[int], str], size: int) -> Iterator[str]:
    number = length = 0
    while length < size:
        number += 1
        piece = line(number)
        length += len(piece)
        yield piece
