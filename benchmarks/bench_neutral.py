"""Making model text inert: what it costs, and that it grows with the length and with nothing else.

    python benchmarks/bench_neutral.py [--rounds 5]

Each shape is an answer of 40 kB and of 400 kB: ordinary ones, giant lines, and texts made to be expensive. Printed are
the CPU milliseconds of the best round and how much more ten times the length costs. Beside it, parsing the same answer
with markdown-it-py and mistune, which a filter on tokens would have to pay. Figures go to ``results/neutral.json``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from _common import Target, show, write
from markdown_it import MarkdownIt
from mistune import create_markdown

from or_magic.neutral import markdown, plain

_PROSE = "Some **words** with `List<int>`, $a<b$, a [link](https://a.example/x), <b>tags</b> and ![a](https://a.example/p).\n"
_CODE = "```python\n" + "for i in range(10): print(f'{i}<b>')\n" * 40 + "```\n\n"
_ORDINARY = {
    "mixed": _PROSE * 10 + "\n" + _CODE,
    "code": _CODE,
    "one paragraph": _PROSE.replace("\n", " "),
    "table": "| `a<b` | $x$ | words |\n",
    "list": "- a\n  ```html\n  <b>\n  ```\n",
    "prose": "Words, words, and more of them, in a line of the usual length.\n" * 5 + "\n",
}
_COSTLY = {
    "short lines": "x<y\n",
    "backticks": "`a``b```",
    "brackets": "[![",
    "links": "](https://x(",
    "definitions": "[a]: x\n\n",
    "addresses": "://www.",
    "formulas": "$$\n\n\\begin{a}",
    "open fences": "```\n~~~x\n  ```\n",
    "quotes": "> - > ",
    "tags": "<a <!-- ",
}
_SMALL, _LARGE = 40_000, 400_000


def _cpu_ms(act: Callable[[str], object], text: str, rounds: int) -> float:
    """Return the CPU time of the best round."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        act(text)
        found.append((time.process_time() - start) * 1000)
    return min(found)


def main() -> None:
    """Measure every shape, print the table and the targets."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    it, mistune = MarkdownIt("commonmark").render, create_markdown()
    rows = []
    for shape, piece in {**_ORDINARY, **_COSTLY}.items():
        small, large = piece * (_SMALL // len(piece)), piece * (_LARGE // len(piece))
        row: dict[str, Any] = {
            "answer": shape,
            "40 kB, ms": _cpu_ms(markdown, small, rounds),
            "400 kB, ms": _cpu_ms(markdown, large, rounds),
            "plain, 400 kB, ms": _cpu_ms(plain, large, rounds),
        }
        row["growth"] = row["400 kB, ms"] / row["40 kB, ms"]
        ordinary = shape in _ORDINARY
        row["markdown-it-py, 40 kB, ms"] = _cpu_ms(it, small, 1) if ordinary else None
        row["mistune, 40 kB, ms"] = _cpu_ms(mistune, small, 1) if ordinary else None
        rows.append(row)
    targets = [
        Target("ordinary answer of 40 kB, ms", max(row["40 kB, ms"] for row in rows[: len(_ORDINARY)]), 60),
        Target("ten times the length, × the cost", max(row["growth"] for row in rows), 15),
    ]
    show("Model text made inert", rows, targets)
    write("neutral", rows, targets, {})


if __name__ == "__main__":
    main()
