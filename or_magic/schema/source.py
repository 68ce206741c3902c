"""What a user may give as a schema: a class, a ``list[Model]``, a JSON Schema, the short form, or ``json``. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from types import GenericAlias
from typing import Any, get_args, get_origin

from ..errors import OptionError
from .drafts import check
from .dsl import EXAMPLES, parse_dsl
from .typeddict import portable

UNNAMED = "answer"  # a schema that has no name of its own
_NAME = re.compile(r"[^A-Za-z0-9_-]+")  # of a schema: the gateway takes nothing else
_LONGEST_NAME = 64
_LIST_OF = re.compile(r"list\[\s*(\w+)\s*\]")
_TYPES = frozenset(["object", "array", "string", "number", "integer", "boolean", "null"])
_OTHER_WORDS = ("$ref", "anyOf", "oneOf", "allOf", "enum", "const")  # of a JSON Schema that names no type
_BUILT_IN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True, slots=True)
class Schema:
    """What an answer has to be: a JSON Schema, and the Python type that it becomes, if there is one."""

    name: str
    body: Mapping[str, Any]
    type: Any = field(default=None, compare=False)  # a pydantic TypeAdapter

    @property
    def any_object(self) -> bool:
        """Whether every JSON object will do."""
        return self.body is _ANY


_ANY: dict[str, Any] = {"type": "object"}
ANY_OBJECT = Schema("json", _ANY)


def schema_of(thing: Any) -> Schema:
    """Return the schema that ``thing`` stands for; a text is the short form, a JSON Schema or ``json``.

    Raises:
        OptionError: it stands for none.
    """
    if isinstance(thing, Schema):
        return thing
    if isinstance(thing, str):
        return _of_text(thing)
    if isinstance(thing, Mapping):
        return _of_mapping(thing)
    return _of_type(thing)


def named(word: str, namespace: Mapping[str, Any]) -> Any:
    """Return what a word on the line means: ``json``, a text in the short form, or a variable, also ``list[NAME]``.

    Raises:
        OptionError: there is no such variable; the closest is named.
    """
    name = word.strip().removeprefix("$")
    bracketed = name.strip("[] ")
    if name.startswith("[") and kind_of(namespace.get(bracketed)):
        raise OptionError(f"--schema {word}: is it list[{bracketed}]? Nothing was sent. {bracketed} is a variable.")
    listed = _LIST_OF.fullmatch(name)
    name = listed[1] if listed else name
    if name == "json" or not name.isidentifier():
        return word
    if name in namespace:
        return GenericAlias(list, namespace[name]) if listed else namespace[name]
    if name in _BUILT_IN:
        return GenericAlias(list, _BUILT_IN[name]) if listed else _BUILT_IN[name]
    near = difflib.get_close_matches(name, [each for each in namespace if not each.startswith("_")], 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise OptionError(
        f"--schema {word.strip()}: there is no variable {name}.{hint} Nothing was sent. It may be a pydantic model, a "
        f"dataclass, a TypedDict, list[Model] or a JSON Schema; or write {EXAMPLES}."
    )


def kind_of(thing: Any) -> str:
    """Return what kind of schema a variable looks like, in words, or ""; nothing is imported or made to find out."""
    if isinstance(thing, type):
        if vars(thing).get("__pydantic_fields__") and not thing.__module__.startswith("pydantic."):
            return "pydantic model"
        if "__required_keys__" in vars(thing):  # is_typeddict knows none of typing_extensions' on Python 3.11
            return "TypedDict"
        return "dataclass" if is_dataclass(thing) else ""
    if get_origin(thing) is list:
        return "list" if [each for each in get_args(thing) if each in _BUILT_IN.values() or kind_of(each)] else ""
    if not isinstance(thing, dict):
        return ""
    told = thing.get("type")
    names = told if isinstance(told, list) else [told]
    typed = bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)
    is_one = typed or isinstance(thing.get("properties"), dict) or any(word in thing for word in _OTHER_WORDS)
    return "JSON Schema" if is_one else ""


def _of_text(text: str) -> Schema:
    if text.strip() == "json":
        return ANY_OBJECT
    if not text.lstrip().startswith("{"):
        return Schema(UNNAMED, parse_dsl(text))
    try:
        told = json.loads(text)
    except ValueError as error:
        raise OptionError(f"The schema is not JSON: {error}. Nothing was sent.") from None
    return _of_mapping(told)


def _of_mapping(body: Mapping[str, Any]) -> Schema:
    try:
        body = json.loads(json.dumps(body, allow_nan=False))  # a copy, as it is sent
        check(body)
    except (TypeError, ValueError, RecursionError) as error:
        title = str(body.get("title") or "The JSON Schema")
        raise OptionError(f"{title} cannot be used: {error}. Nothing was sent.") from None
    return Schema(_tidy(str(body.get("title") or UNNAMED)), body)


def _of_type(thing: Any) -> Schema:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    if thing is None or not (isinstance(thing, type) or hasattr(thing, "__origin__") or hasattr(thing, "__args__")):
        raise OptionError(
            f"A value of the type {type(thing).__name__} is no schema. Nothing was sent. Give a pydantic model, "
            f"a dataclass, a TypedDict, list[Model], a JSON Schema, 'json', or write {EXAMPLES}."
        )
    name = _called(thing)
    try:
        adapter = TypeAdapter(portable(thing))
        body = adapter.json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError, TypeError, ValueError) as error:
        raise OptionError(f"{name} cannot be a schema: {str(error).splitlines()[0]}. Nothing was sent.") from None
    return Schema(_tidy(name), body, adapter)


def _called(thing: Any) -> str:
    inner = getattr(thing, "__args__", ())
    if inner and isinstance(inner[0], type):
        return f"{getattr(thing, '__name__', 'answer')}_{inner[0].__name__}"
    return str(getattr(thing, "__name__", UNNAMED))


def _tidy(name: str) -> str:
    return _NAME.sub("_", name).strip("_")[:_LONGEST_NAME] or UNNAMED
