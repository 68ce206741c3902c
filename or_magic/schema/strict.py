"""A JSON Schema in the form in which gateways enforce it: every object closed, every member required. Pure.

What may be absent has to be null there; ``restored`` takes such nulls out again, and the wrapping off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..tables import pointed
from .source import Schema

_WRAPPED = "value"  # a root that is no object is the only member of one
_KEPT = frozenset({
    "type", "enum", "const", "$ref", "description", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
})  # fmt: skip
# They are checked here, and told to the model in words: gateways refuse them, or pass them over.
_IN_WORDS = ("minLength", "maxLength", "minProperties", "maxProperties", "uniqueItems")
_DROPPED = frozenset({"title", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly", "$schema",
                      "$id", "$comment"})  # fmt: skip
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_DEFINITIONS = ("$defs", "definitions")
_DEEPEST = 20


class _Open(Exception):  # noqa: N818 - no error: the schema has something that the strict form does not
    pass


@dataclass(frozen=True, slots=True)
class Wire:
    """What is sent for a schema: its body, whether it is enforced to the letter, whether the answer is wrapped."""

    name: str
    body: Mapping[str, Any]
    strict: bool
    wrapped: bool

    @property
    def response_format(self) -> dict[str, Any]:
        """The field of the request (WIRE.md §2)."""
        told = {"name": self.name, "strict": self.strict, "schema": self.body}
        return {"type": "json_schema", "json_schema": told}


def wire(schema: Schema) -> Wire:
    """Return the schema as it is sent: strict where it can be, else as it is."""
    body = _unfolded(dict(schema.body))
    wrapped = not _is_object(body)
    definitions = {name: body.pop(name) for name in _DEFINITIONS if isinstance(body.get(name), Mapping)}
    try:
        closed = {name: {key: _closed(each) for key, each in told.items()} for name, told in definitions.items()}
        sent, strict = _closed(body), True
    except _Open:
        closed, sent, strict = definitions, body, False
    if wrapped:
        sent = {
            "type": "object",
            "properties": {_WRAPPED: _moved(sent)},
            "required": [_WRAPPED],
            "additionalProperties": False,
        }
        closed = {name: _moved(told) for name, told in closed.items()}
    return Wire(schema.name, {**sent, **closed}, strict, wrapped)


def restored(value: Any, schema: Schema, *, wrapped: bool) -> Any:
    """Return what was answered in the schema's own form: unwrapped, without nulls that stand for what is absent."""
    if wrapped and isinstance(value, dict) and set(value) == {_WRAPPED}:
        value = value[_WRAPPED]
    return _restored(value, [schema.body], schema.body)


def _unfolded(body: dict[str, Any]) -> dict[str, Any]:
    """Return a root that only points at a definition as that definition: a root has to be an object itself."""
    for _ in range(9):
        pointer = body.get("$ref")
        if not isinstance(pointer, str) or pointer == "#":
            break
        target = pointed(body, pointer)
        if not isinstance(target, Mapping):  # true or false
            break
        body = {**target, **{name: body[name] for name in _DEFINITIONS if name in body}}
    return body


def _is_object(body: Mapping[str, Any]) -> bool:
    return body.get("type") == "object" and not {"anyOf", "oneOf", "allOf", "enum", "const", "$ref"} & body.keys()


def _moved(body: Any) -> Any:
    """Return a schema whose references to the root follow it to where it is wrapped."""
    if isinstance(body, Mapping):
        found = {key: _moved(value) for key, value in body.items()}
        pointer = body.get("$ref")
        if isinstance(pointer, str) and not pointer.startswith(tuple(f"#/{name}/" for name in _DEFINITIONS)):
            found["$ref"] = f"#/properties/{_WRAPPED}{pointer.removeprefix('#')}"
        return found
    return [_moved(value) for value in body] if isinstance(body, list) else body


def _closed(body: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise _Open
    if isinstance(body.get("$ref"), str):
        return {"$ref": body["$ref"]}  # nothing may stand beside it
    found = {key: value for key, value in body.items() if key in _KEPT}
    if True in (body.get("exclusiveMinimum"), body.get("exclusiveMaximum")):  # draft 4
        raise _Open
    branches = body.get("anyOf", body.get("oneOf"))
    parts = body.get("allOf")
    if branches is not None:
        found["anyOf"] = [_closed(branch) for branch in branches]
    elif isinstance(parts, list):
        if len(parts) != 1:
            raise _Open
        return {**_closed(parts[0]), **found}
    elif not {"type", "enum", "const"} & found.keys():
        raise _Open  # it may be anything
    known = {"anyOf", "oneOf", "allOf", "properties", "required", "additionalProperties", "items", "format"}
    if set(body) - _KEPT - _DROPPED - known - set(_IN_WORDS) - set(_DEFINITIONS):
        raise _Open
    found |= _members(body)
    if (words := ", ".join(_words(body))) or "description" in found:
        found["description"] = " ".join([part for part in (found.get("description"), words and f"({words})") if part])
    return found


def _members(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is inside of objects and lists, closed."""
    kinds = body["type"] if isinstance(body.get("type"), list) else [body.get("type")]
    found: dict[str, Any] = {}
    if "object" in kinds:
        properties = body.get("properties")
        if not isinstance(properties, Mapping) or not properties or body.get("additionalProperties", False):
            raise _Open  # a mapping: its keys are the answer's
        required = body.get("required", ())
        found["properties"] = {
            name: _closed(each) if name in required else _or_null(_closed(each), each)
            for name, each in properties.items()
        }
        found |= {"required": list(properties), "additionalProperties": False}
    if "array" in kinds:
        if "items" not in body:
            raise _Open
        found["items"] = _closed(body["items"])
    if body.get("format") in _FORMATS:
        found["format"] = body["format"]
    return found


def _or_null(closed: dict[str, Any], body: Any) -> dict[str, Any]:
    return closed if _may_be_null(body, body) else {"anyOf": [closed, {"type": "null"}]}


def _may_be_null(body: Any, root: Any, depth: int = 0) -> bool:
    """Whether null may satisfy a schema; where that is not seen at a glance, it may."""
    if not isinstance(body, Mapping) or depth > _DEEPEST:
        return body is not False
    kinds = body.get("type", "null")
    if "null" not in (kinds if isinstance(kinds, list) else [kinds]) or None not in body.get("enum", [None]):
        return False
    if body.get("const") is not None:
        return False
    if isinstance(body.get("$ref"), str):
        if body is root:  # alone, it cannot be followed
            return False
        return _may_be_null(pointed(root, body["$ref"]), root, depth + 1)
    alternatives = [_may_be_null(each, root, depth + 1) for each in body.get("anyOf", body.get("oneOf", ()))]
    together = [_may_be_null(each, root, depth + 1) for each in body.get("allOf", ())]
    return all(together) and (not alternatives or any(alternatives))


def _words(body: Mapping[str, Any]) -> Iterator[str]:
    for name in _IN_WORDS:
        if name in body:
            yield f"{name} {body[name]}"
    if "format" in body and body["format"] not in _FORMATS:
        yield f"format {body['format']}"


def _restored(value: Any, schemas: list[Any], root: Any) -> Any:
    if isinstance(value, list):
        inner = [each["items"] for each in _reached(schemas, root) if "items" in each]
        return [_restored(item, inner, root) for item in value] if inner else value
    if not isinstance(value, dict):
        return value
    found = list(_reached(schemas, root))
    members = [each["properties"] for each in found if isinstance(each.get("properties"), Mapping)]
    required = {name for each in found for name in each.get("required", ())}
    kept = {}
    for name, item in value.items():
        inner = [each[name] for each in members if name in each]
        stands_for_absence = (
            item is None and inner and name not in required and not any(_may_be_null(each, root) for each in inner)
        )
        if not stands_for_absence:
            kept[name] = _restored(item, inner, root) if inner else item
    return kept


def _reached(schemas: list[Any], root: Any) -> Iterator[Mapping[str, Any]]:
    """Yield schemas and all that they are made of: references followed, alternatives side by side."""
    seen: list[int] = []
    waiting = list(schemas)
    while waiting:
        each = waiting.pop()
        if not isinstance(each, Mapping) or id(each) in seen:
            continue
        seen.append(id(each))
        yield each
        if isinstance(each.get("$ref"), str):
            waiting.append(pointed(root, each["$ref"]))
        for key in ("anyOf", "oneOf", "allOf"):
            waiting += each.get(key, ())
