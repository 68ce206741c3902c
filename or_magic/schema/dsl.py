"""The short way to write a schema: ``name, age int?, mood good|bad: how it sounds``, in ``[ ]`` for a list. Pure.

::

    schema  = fields | "[" fields "]"
    fields  = field {"," field}       or one field a line, so that descriptions may hold commas
    field   = NAME [type] ["?"] [":" description]
    type    = "str" | "int" | "float" | "bool" | "date" | "datetime" | word "|" word {"|" word} | "[" type "]"

A field without a type is a text; ``?`` lets it be null.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from ..errors import OptionError

TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
EXAMPLES = "'name, age int' for an object, '[name, age int]' for a list of them"

_FIELD = re.compile(r"(?P<name>\w+)(?P<bare>\?)?(?:\s+(?P<type>[^:]+?))?\s*(?::\s*(?P<about>.*))?", re.DOTALL)
_LIST = re.compile(r"\[\s*(.*?)\s*\]")
_CHOICE = re.compile(r"[\w.+-]+(?: [\w.+-]+)*")
_DEEPEST = 3  # [[[int]]]: deeper ones want a class of their own


def parse_dsl(text: str) -> dict[str, Any]:
    """Return the JSON Schema of a text in the short form.

    Raises:
        OptionError: it is not in that form; the closest type is named.
    """
    inner = text.strip()
    is_list = inner.startswith("[") and inner.endswith("]")
    fields = _fields(inner[1:-1] if is_list else inner)
    if not fields:
        raise _wrong(text, "it has no field")
    if len(fields) == 1 and fields[0].isidentifier() and not is_list:
        raise _wrong(text, f"is it a variable? One field needs its type: '{fields[0]} str'")
    properties: dict[str, Any] = {}
    for field in fields:
        name, schema = _field(field, text)
        if name in properties:
            raise _wrong(text, f"{name!r} is in it twice")
        properties[name] = schema
    found = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": found} if is_list else found


def _fields(text: str) -> list[str]:
    found = text.split("\n") if "\n" in text.strip() else text.split(",")
    return [field.strip().rstrip(",").strip() for field in found if field.strip(" \t\r\n,")]


def _field(field: str, whole: str) -> tuple[str, dict[str, Any]]:
    found = _FIELD.fullmatch(field)
    if found is None or not found["name"].isidentifier():
        raise _wrong(whole, f"{field!r} is not NAME, NAME TYPE or NAME TYPE: description")
    type_, optional = (found["type"] or "str").strip(), bool(found["bare"])
    if type_.endswith("?"):
        type_, optional = type_[:-1].rstrip(), True
    schema = _type(type_, whole, 0)
    if optional:
        schema = _or_null(schema)
    if found["about"]:
        schema["description"] = found["about"].strip()
    return found["name"], schema


def _type(text: str, whole: str, depth: int) -> dict[str, Any]:
    if text in TYPES:
        return dict(TYPES[text])
    if (inner := _LIST.fullmatch(text)) and depth < _DEEPEST:
        return {"type": "array", "items": _type(inner[1], whole, depth + 1)}
    choices = [choice.strip() for choice in text.split("|")]
    if len(choices) > 1 and all(map(_CHOICE.fullmatch, choices)) and len(set(choices)) == len(choices):
        return {"type": "string", "enum": choices}
    near = difflib.get_close_matches(text, [*TYPES, *_ALSO], 1)
    meant = _ALSO.get(near[0], near[0]) if near else ""
    hint = f" (did you mean {meant}?)" if meant else ""
    known = f"{', '.join(TYPES)}, choices as good|bad, lists as [int], and ? for what may be missing"
    raise _wrong(whole, f"{text!r} is no type{hint}. Types are {known}")


_ALSO = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "text": "str",
    "timestamp": "datetime",
}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    found = {**schema, "type": [schema["type"], "null"]}
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def _wrong(text: str, why: str) -> OptionError:
    return OptionError(f"The schema {text!r} cannot be used: {why}. Nothing was sent. Write {EXAMPLES}.")
