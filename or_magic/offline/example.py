"""A small value that satisfies a JSON schema, the same one every time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WORD = "simulated"
_FORMATS = {
    "date": "2026-05-01", "date-time": "2026-05-01T00:00:00Z", "time": "00:00:00Z", "email": "simulated@example.com",
    "uri": "https://example.com/simulated", "url": "https://example.com/simulated",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1", "hostname": "example.com", "duration": "PT1S",
}  # fmt: skip
_DEPTH = 6


@dataclass(frozen=True)
class _Walk:
    """Where ``$ref`` points into, and how many values may still be made: a schema can ask for 100 ** 12 of them."""

    root: Any
    steps: Iterator[int] = field(default_factory=lambda: iter(range(20_000)))


class SchemaError(ValueError):
    """A schema that is none."""


def example(schema: Mapping[str, Any]) -> Any:
    """Return a value for a schema; constants, enums, formats, bounds, ``$ref`` and unions are honoured.

    Raises:
        SchemaError: the schema is malformed.
    """
    try:
        return _example(schema, _Walk(schema), 0)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise SchemaError(f"Invalid schema: {error}") from error


def _example(schema: Any, walk: _Walk, depth: int) -> Any:
    if next(walk.steps, None) is None:
        raise SchemaError("it has no small example")
    if depth > 3 * _DEPTH:
        return None  # it contains itself and nothing else
    if not isinstance(schema, Mapping):
        return WORD
    schema = _resolved(schema, walk.root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        return _example(_branch(branches, depth), walk, depth + 1)
    return _typed(_type(schema), schema, walk, depth)


_CLOSING = frozenset({
    "$ref", "allOf", "anyOf", "oneOf", "not", "const", "enum", "default", "propertyNames", "maxProperties",
    "patternProperties", "unevaluatedProperties",
})  # fmt: skip


def marked(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return an object with ``"simulated": true`` in it where the schema lets one be added."""
    is_open = schema.get("additionalProperties", True) is True and not _CLOSING & schema.keys()
    return {"simulated": True, **value} if isinstance(value, dict) and is_open else value


def _resolved(schema: Mapping[str, Any], root: Any) -> Mapping[str, Any]:
    merged = dict(schema)
    for _ in range(_DEPTH):
        if "$ref" not in merged:
            break
        merged = {**_pointed(root, str(merged.pop("$ref"))), **merged}
    for part in merged.pop("allOf", []):
        part = _resolved(part, root)
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged = {**part, **merged, **({"properties": properties} if properties else {})}
    return merged


def _pointed(root: Any, pointer: str) -> Mapping[str, Any]:
    found = root
    for name in pointer.lstrip("#/").split("/") if pointer.lstrip("#/") else []:
        found = found.get(name.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _branch(branches: list[Any], depth: int) -> Any:
    null = [branch for branch in branches if isinstance(branch, Mapping) and branch.get("type") == "null"]
    real = [branch for branch in branches if branch not in null]
    # A schema that contains itself ends where it may be null.
    return (null or real)[0] if depth >= _DEPTH else (real or null)[0]


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((name for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _typed(kind: str, schema: Mapping[str, Any], walk: _Walk, depth: int) -> Any:
    if kind == "object":
        return _object(schema, walk, depth)
    if kind == "array":
        return _array(schema, walk, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return {"boolean": True, "null": None}.get(kind, _string(schema))


def _object(schema: Mapping[str, Any], walk: _Walk, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    wanted = [name for name in properties if depth < _DEPTH or name in required]
    wanted += [name for name in required if name not in properties]
    # Past twice the depth even required members are given up: such a schema has no finite value.
    return {name: _example(properties.get(name, {}), walk, depth + 1) for name in wanted} if depth < 2 * _DEPTH else {}


def _array(schema: Mapping[str, Any], walk: _Walk, depth: int) -> list[Any]:
    size = max(schema.get("minItems", 0), 1 if depth < _DEPTH else 0)
    prefix = [_example(item, walk, depth + 1) for item in schema.get("prefixItems", [])]
    rest = [_example(schema.get("items", {}), walk, depth + 1) for _ in range(min(size, 100) - len(prefix))]
    return prefix + rest if depth < 2 * _DEPTH else []


def _number(schema: Mapping[str, Any], kind: str) -> float:
    low = schema.get("minimum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + 1
    high = schema.get("maximum")
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - 1
    value = low if low is not None else min(1, high) if high is not None else 1
    step = schema.get("multipleOf")
    if step and value % step:
        value += step - value % step
    return int(value) if kind == "integer" else value


def _string(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), WORD)
    shortest, longest = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1_000_000))
    return text.ljust(shortest, ".")[:longest]
