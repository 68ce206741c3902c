"""Text without what looks like a key, a password or a token, before code is shown to a model. Pure.

It knows keys by their shape and by the names that they are given. A key of another shape under another name is not
known: code that holds one should be read before it is sent, in a dry run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MASK = "[key]"

_SHAPES = re.compile(
    r"""
      \bsk-[\w-]{12,}                                              # OpenRouter, OpenAI, Anthropic and others
    | \b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|xox[abeprs]-|r8_|pplx-|gsk_)[\w-]{10,}
    | \b(?:AKIA|ASIA)[0-9A-Z]{12,} | \bAIza[\w-]{20,} | \bya29\.[\w-]{10,}
    | \beyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]*                           # JSON web tokens
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----.*?(?:-----END[ A-Z]*PRIVATE\ KEY-----|\Z)
    | (?<=://)[^/\s:@"']*:[^/\s@"']+(?=@)                          # user:password@ of an address
    | (?<=[Bb]earer[ ])[\w.~+/=-]{8,}
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = r"""
    (?:api[_-]?key|access[_-]?key|private[_-]?key|secret|passw(?:or)?d|passwd|pwd|passphrase|token|credentials?)
    (?:[_-]?(?:key|id|value|str|text|\d+))?
"""
# A name, perhaps as the key of a mapping or the argument of a call, and the text that it is given.
_NAMED = re.compile(
    rf"""(?P<before>{_NAME}["']?\]?\s*(?::\s*[\w.\[\]| ]{{1,60}}?\s*(?==))?[=:,]\s*\(?\s*[rbfuRBFU]{{0,2}})
    (?P<quote>\"\"\"|'''|"|')(?P<value>.{{1,4000}}?)(?P=quote)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# Of a shell and of %env, where texts have no quotes.
_SET = re.compile(
    rf"""(?P<before>^\s*(?:%\s*(?:set_)?env|[!%]*\s*export|!?\s*set)\s+\w+\s*[=\ ]\s*|{_NAME}=)
    (?P<value>[^\s"'=(\[{{][^\s"'(),]*)(?=\s|$)""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


class Masked(NamedTuple):
    """The text with ``[key]`` in the place of each value that looked like one, and how many those were."""

    text: str
    hidden: int


def mask(text: str, hide: Callable[[str], str] = str) -> Masked:
    """Return the text without what looks like a key; ``hide`` takes out the keys that are known."""
    before = text.count(MASK)
    text = _SHAPES.sub(MASK, hide(text))
    text = _NAMED.sub(lambda found: f"{found['before']}{found['quote']}{MASK}{found['quote']}", text)
    text = _SET.sub(_set, text)
    return Masked(text, text.count(MASK) - before)


def _set(found: re.Match[str]) -> str:
    # In Python this names a variable, an attribute or a number, and is no text.
    if not found["before"].lstrip().startswith(("%", "!", "export", "set ")) and _is_code(found["value"]):
        return found[0]
    return f"{found['before']}{MASK}"


def _is_code(value: str) -> bool:
    return all(part.isidentifier() for part in value.split(".")) or value.replace("_", "").isdecimal()
