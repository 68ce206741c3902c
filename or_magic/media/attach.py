"""What the user attached: a word he wrote is a path or a URL; everything else is what it is. Reads those files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..content import Part, Text
from ..content.data_url import split_data_url
from ..errors import MediaError
from .parts import part_of, part_of_bytes
from .urls import has_scheme, part_of_url


def attached(things: Iterable[object], convert: Callable[[object], Iterable[Part]]) -> tuple[list[Part], list[Part]]:
    """Return the texts, which go before the question, and the others, which go after it (WIRE.md §3).

    ``convert`` says what becomes of an object that is no word and no file.
    Before it, a document is the beginning of the next prompt as well: providers keep it in their cache.

    Raises:
        MediaError: one of them cannot be read, or is of no kind that a model takes.
    """
    parts = [part for thing in things for part in _parts(thing, convert)]
    documents: list[Part] = [replace(part, text=f"{part.text}\n\n") for part in parts if isinstance(part, Text)]
    return documents, [part for part in parts if not isinstance(part, Text)]


def _parts(thing: object, convert: Callable[[object], Iterable[Part]]) -> Iterator[Part]:
    if isinstance(thing, (list, tuple)) and thing and all(isinstance(each, Path) for each in thing):
        yield from (part_of(each) for each in thing)
    elif isinstance(thing, str):
        yield _of_word(thing)
    elif thing is None:
        raise MediaError("An attachment is None. Nothing was sent. Attach what you meant, or leave it out.")
    else:
        yield from convert(thing)


def _of_word(word: str) -> Part:
    if word[:5].lower() == "data:":
        found = split_data_url(word)
        if found is None:
            raise MediaError("The data: URL is broken, or not base64. Nothing was sent.")
        return part_of_bytes(found[1], None)
    if has_scheme(word):
        return part_of_url(word)
    name = word.removeprefix("@")  # as other options name files
    if not name.strip():
        raise MediaError("An attachment has no name. Nothing was sent. Write a path, a URL or $variable.")
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # ~nobody
        raise MediaError(f"{name} cannot be read: there is no such user. Nothing was sent.") from None
    return part_of(path)
