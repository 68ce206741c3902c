"""Random JSON Schemas with random answers that fit them, made together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Pair:
    """A schema, and what makes answers that fit it."""

    schema: dict[str, Any]
    answers: st.SearchStrategy[Any]


@st.composite
def _choice(draw: st.DrawFn) -> Pair:
    words = draw(st.lists(TEXTS | st.none(), min_size=1, max_size=4, unique=True))
    kind = {"type": ["string", "null"]} if None in words and draw(st.booleans()) else {}
    return Pair({"enum": words, **kind}, st.sampled_from(words))


@st.composite
def _bounded(draw: st.DrawFn) -> Pair:
    low, high = sorted((draw(st.integers(-99, 99)), draw(st.integers(-99, 99))))
    return Pair({"type": "integer", "minimum": low, "maximum": high}, st.integers(low, high))


@st.composite
def _sized(draw: st.DrawFn) -> Pair:
    shortest = draw(st.integers(0, 3))
    return Pair(
        {"type": "string", "minLength": shortest, "maxLength": 9, "title": "A title", "description": "What it is."},
        st.text(st.characters(exclude_categories=["Cs"]), min_size=shortest, max_size=9),
    )


SCALARS: st.SearchStrategy[Pair] = (
    st.sampled_from([
        Pair({"type": "string"}, TEXTS),
        Pair({"type": "integer"}, st.integers(-(2**70), 2**70)),
        Pair({"type": "number"}, NUMBERS),
        Pair({"type": "boolean"}, st.booleans()),
        Pair({"type": "null"}, st.none()),
        Pair({"type": ["integer", "null"]}, st.none() | st.integers(0, 9)),
        Pair({"const": None}, st.none()),
        Pair({"const": "fixed"}, st.just("fixed")),
        Pair({"type": "string", "format": "date"}, st.dates().map(lambda day: day.isoformat())),
        Pair({"type": "string", "format": "date-time"}, st.datetimes().map(lambda moment: moment.isoformat())),
        Pair({}, JSON),
        Pair({"type": "object"}, st.dictionaries(TEXTS, JSON, max_size=3)),
        Pair(
            {"type": "object", "additionalProperties": {"type": "integer"}},
            st.dictionaries(TEXTS, st.integers(0, 9), max_size=3),
        ),
    ])
    | _choice()
    | _bounded()
    | _sized()
)  # fmt: skip


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    members = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
    required = [name for name in members if draw(st.booleans())]
    schema: dict[str, Any] = {"type": "object", "properties": {name: pair.schema for name, pair in members.items()}}
    schema |= {"required": required} if required or draw(st.booleans()) else {}
    schema |= {"additionalProperties": False} if draw(st.booleans()) else {}
    answers = st.fixed_dictionaries(
        {name: members[name].answers for name in required},
        optional={name: pair.answers for name, pair in members.items() if name not in required},
    )
    return Pair(schema, answers)


def _lists(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return inner.map(lambda pair: Pair({"type": "array", "items": pair.schema}, st.lists(pair.answers, max_size=3)))


def _unions(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return st.lists(inner, min_size=1, max_size=3).map(
        lambda pairs: Pair({"anyOf": [pair.schema for pair in pairs]}, st.one_of([pair.answers for pair in pairs]))
    )


def _referred(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Schemas whose parts stand among the definitions, as classes write them."""
    return inner.map(
        lambda pair: Pair(
            {"type": "object", "properties": {"it": {"$ref": "#/$defs/A~1b"}}, "$defs": {"A/b": pair.schema}},
            st.fixed_dictionaries({}, optional={"it": pair.answers}),
        )
    )


PAIRS: st.SearchStrategy[Pair] = st.recursive(
    SCALARS, lambda inner: _objects(inner) | _lists(inner) | _unions(inner), max_leaves=6
)
PAIRS = PAIRS | _referred(PAIRS)
