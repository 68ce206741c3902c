"""What a name that nothing has may have been meant to be. Pure."""

from __future__ import annotations

import difflib


def closest(name: str, known: list[str]) -> str:
    """Return a hint at what ``name`` may have been meant to be, with a space before it."""
    # A short wrong name is a long right one begun: --temp and --tmp are --temperature rather than --system, --top-p.
    begins = [word for word in known if len(name.strip("-")) > 2 and word.startswith(name)]
    begun = [word for word in known if len(name) > 3 and _is_within(name.strip("-"), word.strip("-"))]
    near = (
        begins or difflib.get_close_matches(name, known, 1, 0.7) or begun or difflib.get_close_matches(name, known, 1)
    )
    return f" Did you mean {near[0]}?" if near else f" Known are {', '.join(known)}."


def _is_within(letters: str, word: str) -> bool:
    """Whether the letters stand in the word in this order, the first one first."""
    rest = iter(word)
    return word[:1] == letters[:1] and all(letter in rest for letter in letters)
