"""Long answers in the shapes that models give, cut into chunks of four characters. Pure, and stdlib only.

Every answer is ASCII, so that its characters are its bytes, and begins with ``FIRST`` unless its shape forbids it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

CHUNK_SIZE = 4
FIRST = "Once"  # the first chunk of a mix: one word that nothing else on the screen holds

_VOCABULARY = (
    "a an the of to in with from over under between after before value model answer column frame table figure result "
    "sample weight error mean sum count index loop stream token cost price budget call cell kernel notebook message "
    "client server time rate limit small large first last next every some most often rarely slowly grows falls keeps"
)
_WORDS = _VOCABULARY.split()
_NAMES = ("alpha", "beta", "gamma", "delta", "kappa", "rho", "sigma", "theta", "omega")


def _sentence(chance: random.Random) -> str:
    words = chance.choices(_WORDS, k=chance.randint(6, 16))
    words[chance.randrange(len(words))] = chance.choice(("**bold words**", "`a_name`", "*stressed*", "plain"))
    return " ".join(words).capitalize() + ". "


def _paragraph(chance: random.Random) -> str:
    return "".join([_sentence(chance) for _ in range(chance.randint(2, 6))]).rstrip() + "\n\n"


def _code_line(chance: random.Random) -> str:
    name, other = chance.sample(_NAMES, 2)
    column, remark = chance.sample(_WORDS, 2)
    indent = " " * (4 * chance.randint(0, 3))
    return f'{indent}{name} = frame["{column}"] * {chance.randint(1, 999)} + {other}  # {remark}\n'


def _code(chance: random.Random) -> str:
    lines = "".join([_code_line(chance) for _ in range(chance.randint(4, 20))])
    return f"```python\n{lines}```\n\n"


def _row(chance: random.Random) -> str:
    return f"| {chance.choice(_WORDS)} | {chance.random():.4f} | {' '.join(chance.choices(_WORDS, k=3))} |\n"


_HEAD = "| name | value | what it says |\n| --- | ---: | --- |\n"


def _table(chance: random.Random) -> str:
    return _HEAD + "".join([_row(chance) for _ in range(chance.randint(3, 12))]) + "\n"


def _list(chance: random.Random) -> str:
    return "".join([f"- {_sentence(chance).rstrip()}\n" for _ in range(chance.randint(3, 8))]) + "\n"


def _formula(chance: random.Random) -> str:
    one, other = chance.sample(_NAMES, 2)
    inline = f"Where $\\{one}_{{{chance.randint(0, 9)}}} < \\{other}^2$ holds, {_sentence(chance).lower()}"
    return f"{inline}\n\n$$\n\\frac{{\\{one}}}{{1 + \\{other}}} = {chance.random():.3f}\n$$\n\n"


def _mixed(chance: random.Random) -> str:
    head = f"## {' '.join(chance.choices(_WORDS, k=4)).capitalize()}\n\n"
    blocks = [_paragraph, _paragraph, _list, _code, _table, _formula]
    return head + "".join([chance.choice(blocks)(chance) for _ in range(4)])


Block = Callable[[random.Random], str]

# How each shape begins, what it goes on with, how it ends.
_SHAPES: dict[str, tuple[str, Block, str]] = {
    "mix": (f"{FIRST} more, in short:\n\n", _mixed, "The end."),
    "code": ("```python\n", _code_line, "\n```"),
    "paragraph": (f"{FIRST} more. ", _sentence, "The end."),
    "table": (_HEAD, _row, " |\n"),
    "formulas": (f"{FIRST} more, in signs:\n\n", _formula, "The end."),
}
SHAPES = tuple(_SHAPES)


@functools.cache
def answer(shape: str, chunks: int) -> str:
    """Return an answer of exactly this many chunks, always the same one."""
    begin, block, end = _SHAPES[shape]
    chance = random.Random(shape)
    blocks, size = [begin], 0
    while size < chunks * CHUNK_SIZE:
        blocks.append(block(chance))
        size += len(blocks[-1])
    return "".join(blocks)[: chunks * CHUNK_SIZE - len(end)] + end


def cut(text: str) -> list[str]:
    """Return the chunks of an answer."""
    return [text[place : place + CHUNK_SIZE] for place in range(0, len(text), CHUNK_SIZE)]
