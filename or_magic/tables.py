"""A typed answer as plain JSON with its schema, and as the rows and columns of a DataFrame. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_DEEPEST = 8
_DTYPES = {"integer": "Int64", "boolean": "boolean", "number": "float64", "string": "string"}
_MOMENTS = ("date", "date-time")
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Typed:
    """A JSON value, and the JSON Schema that it fits."""

    value: Any
    schema: Mapping[str, Any]

    @property
    def rows(self) -> list[Any]:
        """The items of a list, or the value as the only one."""
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def row_schema(self) -> Mapping[str, Any]:
        """The schema of one row."""
        found = _meant(self.schema, self.schema)
        return _meant(found.get("items", {}), self.schema) if isinstance(self.value, list) else found

    @property
    def columns(self) -> dict[str, Mapping[str, Any]]:
        """The schemas of the columns: those that are described first, in their order, then whatever came."""
        described = self.row_schema.get("properties")
        names = dict.fromkeys(described if isinstance(described, Mapping) else ())
        for row in self.rows:
            names.update(dict.fromkeys(row if isinstance(row, dict) else ["value"]))
        if not isinstance(described, Mapping):
            described = {} if any(isinstance(row, dict) for row in self.rows) else {"value": self.row_schema}
        return {name: _meant(described.get(name, {}), self.schema) for name in names}


def frame(typed: Typed) -> pd.DataFrame:
    """Return one row for an object, one for each item of a list; nested values stay what they are.

    Dtypes follow the schema: Int64, float64, boolean, string, datetime64; object where no such column could hold all.
    """
    import pandas as pd

    rows = [row if isinstance(row, dict) else {"value": row} for row in typed.rows]
    return pd.DataFrame(
        {name: _series([row.get(name) for row in rows], schema) for name, schema in typed.columns.items()},
        index=pd.RangeIndex(len(rows)),
    )


def _series(values: list[Any], schema: Mapping[str, Any]) -> pd.Series:
    import pandas as pd

    kind = _kind(schema)
    try:
        if kind == "string" and schema.get("format") in _MOMENTS:
            return _moments(values)
        if kind in _DTYPES:
            return pd.Series(values, dtype=_DTYPES[kind])
    except (ValueError, TypeError, OverflowError):  # a number beyond 64 bits, a year beyond what pandas knows
        pass
    return pd.Series(values, dtype=object)


def _moments(values: list[Any]) -> pd.Series:
    import pandas as pd

    told = pd.Series(values, dtype=object)
    try:
        return pd.to_datetime(told, format="ISO8601")
    except ValueError:  # some with an offset, some with another, or without one
        return pd.to_datetime(told, format="ISO8601", utc=True)


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    kinds = [each for each in (kind if isinstance(kind, list) else [kind]) if each not in (None, "null")]
    if set(kinds) == {"integer", "number"}:
        return "number"
    if not kinds:
        told = schema.get("enum", [schema["const"]] if "const" in schema else [])
        return "string" if told and all(isinstance(each, str) or each is None for each in told) else ""
    return str(kinds[0]) if len(kinds) == 1 else ""


def _meant(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with references followed, and what may also be null as what it is otherwise."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        branches = schema.get("anyOf", schema.get("oneOf", schema.get("allOf")))
        if isinstance(schema.get("$ref"), str):
            schema = pointed(root, schema["$ref"])
        elif isinstance(branches, list):
            real = [each for each in branches if not (isinstance(each, Mapping) and each.get("type") == "null")]
            if len(real) != 1:
                return schema
            schema = real[0]
        else:
            return schema
    return {}


def pointed(body: Any, pointer: str) -> Any:
    """Return what a local ``$ref`` points at.

    Raises:
        LookupError: nothing is there.
        ValueError: it is no address.
    """
    found = body
    plain = _ESCAPED.sub(lambda each: bytes.fromhex(each[1].decode()), pointer.encode()).decode()
    for step in plain.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        found = found[int(step)] if isinstance(found, list) else found[step]
    return found
