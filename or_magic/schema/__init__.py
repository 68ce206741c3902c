"""Typed answers: what the user describes becomes a JSON Schema, and an answer becomes what was described. Pure."""

from .dsl import parse_dsl
from .reading import Mismatch, parsed, read
from .source import ANY_OBJECT, UNNAMED, Schema, kind_of, named, schema_of
from .strict import Wire, wire

__all__ = [
    "ANY_OBJECT",
    "UNNAMED",
    "Mismatch",
    "Schema",
    "Wire",
    "kind_of",
    "named",
    "parse_dsl",
    "parsed",
    "read",
    "schema_of",
    "wire",
]
