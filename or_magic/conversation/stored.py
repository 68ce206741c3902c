"""A conversation ⇄ JSON, without a loss; what is read is checked field by field before anything is made of it. Pure."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from .. import content
from ..options import is_name
from ..strict_json import load
from ..tables import Typed
from ..values import Message, Reply, Total, Usage
from .checked import wrong
from .rules import Conversation
from .turn import Key, Turn

_FORMAT, _VERSION = "or_magic conversation", 1
_MOST_DIGITS = 300  # of a number that is no float, before or after the point: beyond, JSON could not say it again
_DEEPEST = 250  # levels; what a gateway says has 200 at most
_TOO_DEEP = "it is nested too deeply"
_PLACES = {"turns": "turn", "versions": "earlier run", "broken_off": "run that broke off"}  # what is counted, from 1
_KIND = "$"  # begins the keys that are ours: the name of a type, or how a value is written
_TYPES: Mapping[str, type] = {
    each.__name__: each
    for each in (Conversation, Turn, Key, Message, Reply, Typed, Usage, Total, *typing.get_args(content.Part))
}


def to_json(name: str, conversation: Conversation) -> str:
    """Return the file's text; what a reply holds beside the gateway's words is left out if JSON cannot say it.

    Raises:
        ValueError: something in it cannot be kept in a file, or not be loaded again; the message says what.
    """
    told = {"format": _FORMAT, "version": _VERSION, "name": name, "conversation": _written(conversation)}
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1)
    text.encode()
    from_json(text)  # better refused now than when it is the only copy
    return text


def from_json(text: str) -> tuple[str, Conversation]:
    """Return the name and the conversation.

    Raises:
        ValueError: it is no such file; the message says what is wrong, and with which turn.
    """
    try:
        told = _parsed(text)
        if isinstance(told, dict) and "nbformat" in told:
            raise ValueError("it is a notebook, which is run and not loaded: load the .json that was saved")
        if not isinstance(told, dict) or told.get("format") != _FORMAT:
            raise ValueError("it is no conversation that or_magic has saved")
        if told.get("version") != _VERSION:
            raise ValueError(f"it is of version {str(told.get('version'))[:60]}; this or_magic reads {_VERSION}")
        found = _read(told.get("conversation"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    name = told.get("name")
    if not isinstance(found, Conversation):
        raise ValueError("it holds no conversation")  # noqa: TRY004 - the text is wrong, no type of ours
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(f"{str(name)[:60]!r} is not a name for a conversation: it is one line of text")
    return name, found


def _parsed(text: str) -> Any:
    """Return the JSON value, no deeper and with no longer numbers than a gateway tells."""
    told = load(text, parse_int=_integer)
    if _depth(told) > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    return told


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits is none that a gateway has told")
    return int(text)


def _depth(value: Any) -> int:
    """Return how many levels a JSON value has, without going down them."""
    levels, held = 0, [value]
    while held := [inner for each in held if isinstance(each, (dict, list))
                   for inner in (each.values() if isinstance(each, dict) else each)]:  # fmt: skip
        levels += 1
    return levels


def _written(value: Any) -> Any:
    if _TYPES.get(type(value).__name__) is type(value):  # no class of the user's: nothing could be made of it again
        return {_KIND: type(value).__name__} | dict(_fields(value))
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, Mapping):
        inner = {key: _written(each) for key, each in value.items()}
        ours = any(not isinstance(key, str) or key.startswith(_KIND) for key in inner)
        return {"$mapping": [[key, each] for key, each in inner.items()]} if ours else inner
    if isinstance(value, (list, tuple)):
        return [_written(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written")


def _fields(value: Any) -> typing.Iterator[tuple[str, Any]]:
    for field in fields(value):
        told = getattr(value, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if told is default or (type(told) is type(default) and told == default):
            continue
        try:
            yield field.name, _written(told)
        except TypeError:
            if not isinstance(value, Reply):
                raise


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _KIND in value:
        return _made(value)
    if len(value) == 1 and (how := _WRITTEN.get(next(iter(value)))):
        try:
            return how(next(iter(value.values())))
        except (TypeError, binascii.Error, InvalidOperation, ValueError):
            raise ValueError(f"a value cannot be read: {str(value)[:60]}") from None
    return {key: _read(each) for key, each in value.items()}


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError("no number that a gateway has told")
    return number


def _mapping(told: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = {key: _read(each) for key, each in told}
    if len(found) < len(told):
        raise ValueError("a key is said twice")
    return found


_WRITTEN: Mapping[str, Any] = {
    "$bytes": lambda told: base64.b64decode(told, validate=True),
    "$decimal": lambda told: _finite(Decimal(told)),
    "$mapping": _mapping,
}


def _made(value: Mapping[str, Any]) -> Any:
    kind = _TYPES.get(value[_KIND]) if isinstance(value[_KIND], str) else None
    if kind is None:
        raise ValueError(f"{value[_KIND]!r} is no part of a conversation")
    hints = _hints(kind)
    told: dict[str, Any] = {}
    for name, given in value.items():
        if name == _KIND:
            continue
        found = _each(given, _PLACES[name]) if name in _PLACES else _read(given)
        if isinstance(found, list) and hints.get(name) is not Any:  # what may be anything is JSON, which has no tuples
            found = tuple(found)
        if name not in hints or not _fits(found, hints[name]):
            raise ValueError(f"{name} of a {kind.__name__} cannot be {str(given)[:60]!r}")
        told[name] = found
    if "typed" in told and "data" not in told:  # it was an instance of a class, which no file can bring back
        told["data"] = told["typed"].value
    try:
        made = kind(**told)
    except TypeError:
        raise ValueError(f"a {kind.__name__} lacks something") from None
    if problem := wrong(made):
        raise ValueError(problem)
    return made


def _each(given: Any, noun: str) -> Any:
    """Return the items of a list as they are read; what is wrong with one says which one it is."""
    if not isinstance(given, list):
        return _read(given)
    found = []
    for number, each in enumerate(given, 1):
        try:
            found.append(_read(each))
        except ValueError as error:
            raise ValueError(f"{noun} {number}: {error}") from None
    return found


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name in names}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field says."""
    how = _CHECKS.get(typing.get_origin(hint))
    if how is not None:
        return how(value, typing.get_args(hint))
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is not int or not isinstance(value, bool))


def _fits_tuple(value: Any, inner: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    hints = inner[:1] * len(value) if inner[-1:] == (...,) else inner
    return len(value) == len(hints) and all(map(_fits, value, hints))


_CHECKS: Mapping[Any, Callable[[Any, tuple[Any, ...]], bool]] = {
    types.UnionType: lambda value, inner: any(_fits(value, each) for each in inner),
    typing.Union: lambda value, inner: any(_fits(value, each) for each in inner),
    typing.Literal: lambda value, inner: value in inner,
    tuple: _fits_tuple,
    Mapping: lambda value, _: isinstance(value, Mapping),
    Sequence: lambda value, _: isinstance(value, tuple),
}
