"""A question mark at the end of ``%or ask …`` and ``%or image …`` belongs to the words. Pure.

IPython reads a line that ends in ``?`` as a wish for help, before it looks for magics.
"""

from __future__ import annotations

import re

_ASK = re.compile(r"(\s*(?:[\w.]+\s*=\s*)?)%(openrouter|or)\s+((?:ask|image)\s.*\?)\s*")


def keep_question_marks(lines: list[str]) -> list[str]:
    """Return the cell's lines with every such line as the call that IPython would make of it without the mark."""
    if lines and lines[0].startswith("%%"):
        return lines
    return [_as_call(line) for line in lines]


def _as_call(line: str) -> str:
    found = _ASK.fullmatch(line)
    return line if found is None else f"{found[1]}get_ipython().run_line_magic({found[2]!r}, {found[3]!r})\n"
