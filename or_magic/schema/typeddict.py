"""A ``typing.TypedDict`` as one that pydantic takes on Python 3.11, where it wants that of typing_extensions. Pure."""

from __future__ import annotations

import operator
import sys
from functools import reduce
from types import GenericAlias, UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

_QUALIFIERS = (Required, NotRequired)


def portable(thing: Any) -> Any:
    """Return ``thing`` with every ``typing.TypedDict`` in it made anew; from Python 3.12 on, as it is.

    One inside a dataclass or a model stays: that class has its own meaning of its fields.
    """
    return thing if sys.version_info >= (3, 12) else _portable(thing, ())


def _portable(thing: Any, around: tuple[Any, ...]) -> Any:
    if is_typeddict(thing) and type(thing).__module__ == "typing":
        return thing if thing in around else _made_anew(thing, (*around, thing))  # in itself: pydantic says why not
    origin, inner = get_origin(thing), get_args(thing)
    if origin is Annotated:
        return Annotated[(_portable(inner[0], around), *inner[1:])]
    if origin in _QUALIFIERS:
        return origin[_portable(inner[0], around)]
    if origin in (Union, UnionType):
        return reduce(operator.or_, [_portable(each, around) for each in inner])
    if origin in (list, tuple, dict, set, frozenset):
        return GenericAlias(origin, tuple([_portable(each, around) for each in inner]))
    return thing


def _made_anew(thing: Any, around: tuple[Any, ...]) -> Any:
    import typing_extensions

    new: Any = typing_extensions.TypedDict  # mypy wants a class spelt out
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(thing, include_extras=True).items():
        # What the hint says counts: __optional_keys__ misses it where annotations are strings.
        told = get_origin(hint) in _QUALIFIERS
        kind = _portable(hint, around)
        fields[name] = kind if told or name in thing.__required_keys__ else NotRequired[kind]
    made = new(thing.__name__, fields)
    made.__doc__ = thing.__doc__
    if (config := getattr(thing, "__pydantic_config__", None)) is not None:
        made.__pydantic_config__ = config
    return made
