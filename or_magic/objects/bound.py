"""Text within a number of tokens, with a note of what was left out. Pure."""

from __future__ import annotations

import re

from ..estimate.text import text_tokens

SUMMARY_TOKENS = 2_000  # of what is told in short: a table, an array, a module, an error
WHOLE_TOKENS = 8_000  # of what is written out: source code, JSON


_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")  # another one in every run


def plain(thing: object) -> str:
    """Return what an object calls itself, without its address in memory."""
    return _ADDRESS.sub("", str(thing))


def tokens_of(text: str) -> int:
    """Return about how many tokens a text takes."""
    return text_tokens(text).likely


def cut(text: str, tokens: int) -> str:
    """Return the beginning of a text, and how much of it is missing."""
    if tokens_of(text) <= tokens:
        return text
    kept = text
    while (found := tokens_of(kept)) > tokens and kept:
        kept = kept[: min(len(kept) - 1, int(len(kept) * tokens / found * 0.97))]
    line_end = kept.rfind("\n")
    if line_end > len(kept) * 0.7:
        kept = kept[:line_end]
    return f"{kept}\n[… {len(text) - len(kept):,} of {len(text):,} characters left out]"


def short(text: str, width: int) -> str:
    """Return a text as one line of at most ``width`` characters; ``…`` marks what is missing."""
    line = text if len(text) <= width else f"{text[: width - 1]}…"
    return line.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n").replace("\0", "\\0")
