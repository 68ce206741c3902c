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
from ..tables import Typed
from ..values import Message, Reply, Total, Usage
from .rules import Conversation
from .turn import Key, Turn

_FORMAT, _VERSION = "or_magic conversation", 1
_MOST_DIGITS = 30  # of an amount of money, before or after the point
_KIND = "$"  # begins the keys that are ours: the name of a type, or how a value is written
_TYPES: Mapping[str, type] = {
    each.__name__: each
    for each in (Conversation, Turn, Key, Message, Reply, Typed, Usage, Total, *typing.get_args(content.Part))
}


def to_json(name: str, conversation: Conversation) -> str:
    """Return the file's text; what a reply holds beside the gateway's words is left out if JSON cannot say it."""
    told = {"format": _FORMAT, "version": _VERSION, "name": name, "conversation": _written(conversation)}
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as some models write it
        return json.dumps(told, allow_nan=False, indent=1)
    return text


def from_json(text: str) -> tuple[str, Conversation]:
    """Return the name and the conversation.

    Raises:
        ValueError: it is no such file; the message says what is wrong.
    """
    try:
        told = json.loads(text)
        if not isinstance(told, dict) or told.get("format") != _FORMAT:
            raise ValueError("it is no conversation that or_magic has saved")
        if told.get("version") != _VERSION:
            raise ValueError(f"it is of version {told.get('version')!r}; this or_magic reads {_VERSION}")
        found = _read(told.get("conversation"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    name = told.get("name")
    if not isinstance(found, Conversation) or not isinstance(name, str):
        raise ValueError("it holds no conversation")  # noqa: TRY004 - the text is wrong, no type of ours
    return name, found


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
        raise ValueError("no amount of money")
    return number


_WRITTEN: Mapping[str, Any] = {
    "$bytes": lambda told: base64.b64decode(told, validate=True),
    "$decimal": lambda told: _finite(Decimal(told)),
    "$mapping": lambda told: {key: _read(each) for key, each in told},
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
        found = _read(given)
        if isinstance(found, list) and hints.get(name) is not Any:  # what may be anything is JSON, which has no tuples
            found = tuple(found)
        if name not in hints or not _fits(found, hints[name]):
            raise ValueError(f"{name} of a {kind.__name__} cannot be {str(given)[:60]!r}")
        told[name] = found
    if "typed" in told and "data" not in told:  # it was an instance of a class, which no file can bring back
        told["data"] = told["typed"].value
    try:
        return kind(**told)
    except TypeError:
        raise ValueError(f"a {kind.__name__} lacks something") from None


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
