"""The one place that decides what an object becomes: a chain from what it says of itself down to its ``str``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Number
from pathlib import Path
from types import ModuleType
from typing import Any

from ..content import Image, Part, Text
from ..errors import OptionError
from ..media import part_of
from ..pictures import Pictures
from ..values import Reply
from . import arrays, failures, pictures, source, tables, trees
from .bound import SUMMARY_TOKENS, WHOLE_TOKENS, cut, plain

_DEEPEST = 5


def parts_of(thing: object, tokens: int | None = None) -> list[Part]:
    """Return what a model gets of any object; text of at most about ``tokens``, where it is not the user's own words.

    Strings, numbers, parts, files and answers go as they are. Texts are never read as templates or names of files.

    Raises:
        MediaError: a file or a picture cannot be sent.
        OptionError: ``_repr_llm_`` gives what cannot be sent.
    """
    if is_words(thing):
        return _words(thing)
    if isinstance(thing, Pictures):
        return list(thing.parts)
    if isinstance(thing, (Part, Path, bytes, bytearray, memoryview)):
        return [part_of(thing)]
    method = getattr(type(thing), "_repr_llm_", None)
    if callable(method):
        return _told(thing, method(thing), 0)
    for find in (_picture, _text, _markdown):
        found = find(thing, tokens)
        if found is not None:
            return found
    return [Text(cut(plain(thing), tokens or SUMMARY_TOKENS))]


def attachable(thing: object) -> list[Part]:
    """Return what an attached object becomes: an array that can be a picture is one here.

    Raises:
        MediaError, OptionError: it cannot be sent.
    """
    if arrays.is_array(thing) and pictures.can_be_picture(thing):
        return [pictures.picture_of_array(thing)]
    return parts_of(thing)


def is_words(thing: object) -> bool:
    """Whether it stands in a sentence as it is: text, a number, an answer."""
    return thing is None or isinstance(thing, (str, Number, Reply))


def _words(thing: Any) -> list[Part]:
    if isinstance(thing, Reply):
        return [part for part in thing.parts if isinstance(part, (Text, Image))]
    return [Text(str.__str__(thing) if isinstance(thing, str) else str(thing))]


def _told(thing: object, told: object, depth: int) -> list[Part]:
    """Return what ``_repr_llm_`` says: a text, a part, or a list of these and of other objects."""
    if isinstance(told, (list, tuple)) and depth < _DEEPEST:
        return [part for each in told for part in _told(thing, each, depth + 1)]
    if told is None or told is thing:
        raise OptionError(
            f"_repr_llm_ of {type(thing).__name__} gives {'nothing' if told is None else 'itself'}, not text or a list "
            "of texts and parts. Nothing was sent."
        )
    if isinstance(told, (str, Part)):
        return [Text(told) if isinstance(told, str) else told]
    return parts_of(told)


def _picture(thing: Any, tokens: int | None) -> list[Part] | None:
    if arrays.is_array(thing):
        if thing.dtype == object and thing.size:  # what plt.subplots() gives
            return pictures.figure_parts(getattr(thing.flat[0], "figure", None))
        return [pictures.picture_of_array(thing)] if tokens is None and pictures.is_picture_array(thing) else None
    return None if isinstance(thing, type) else pictures.picture_parts(thing)


def _text(thing: Any, tokens: int | None) -> list[Part] | None:
    family = next(((write, most) for is_of, write, most in _FAMILIES if is_of(thing)), None)
    return None if family is None else [Text(family[0](thing, tokens or family[1]))]


def _markdown(thing: Any, tokens: int | None) -> list[Part] | None:
    """Return what an object says of itself for people, or the text that one of IPython's displays holds."""
    method = getattr(type(thing), "_repr_markdown_", None)
    found = method(thing) if callable(method) and not isinstance(thing, type) else None
    if isinstance(found, tuple):
        found = found[0]
    if found is None and type(thing).__module__.partition(".")[0] == "IPython":
        found = getattr(thing, "data", None)
    if isinstance(found, str):
        return [Text(cut(found, tokens or WHOLE_TOKENS))]
    return [Text(trees.tree_text(thing, tokens or WHOLE_TOKENS))] if trees.is_tree(thing) else None


def _is_index(thing: object) -> bool:
    kind = getattr(sys.modules.get("pandas"), "Index", None)
    return kind is not None and isinstance(thing, kind)


_FAMILIES: tuple[tuple[Callable[[Any], bool], Callable[[Any, int], str], int], ...] = (
    (tables.is_table, tables.table_text, SUMMARY_TOKENS),
    (_is_index, lambda index, tokens: trees.tree_text(list(index[: 2 * tokens + 1]), tokens), SUMMARY_TOKENS),
    (arrays.is_array, arrays.array_text, SUMMARY_TOKENS),
    (lambda thing: isinstance(thing, BaseException), failures.failure_text, SUMMARY_TOKENS),
    (lambda thing: isinstance(thing, ModuleType), source.module_text, SUMMARY_TOKENS),
    (source.is_code, source.code_text, WHOLE_TOKENS),
)
