"""R26: what is returned fits its schema, what fits arrives as it was; the strict form says the same as the schema."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel, TypeAdapter
from referencing import Registry

import or_magic
from or_magic.errors import OptionError
from or_magic.schema import Mismatch, named, parsed, read, schema_of, wire

from .schemas import JSON, PAIRS, TEXTS

QUICK = settings(max_examples=90, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Stop(BaseModel):
    name: str
    at: datetime | None = None


class Trip(BaseModel):
    title: str
    day: date
    stops: list[Stop] = []
    rating: Literal[1, 2, 3] | None = None
    tags: set[str] = set()
    costs: dict[str, float] = {}
    back: Trip | None = None


@dataclass
class Plain:
    name: str
    mood: Mood = Mood.GOOD
    sizes: tuple[int, ...] = field(default_factory=tuple)


TYPES: tuple[Any, ...] = (Trip, Plain, list[Plain], dict[str, int], list[Trip | Plain], int, str, Mood, bool | None)


def fits(value: Any, schema: Any) -> bool:
    """Judged here, without any of our own code."""
    return Draft202012Validator(schema, registry=Registry(), format_checker=FormatChecker(("date",))).is_valid(value)


def same(value: Any, other: Any) -> bool:
    """Equal, and not as 1 == True == 1.0 are."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


def _round_trip(data: st.DataObject) -> None:
    pair = data.draw(PAIRS)
    schema = schema_of(pair.schema)
    answer = data.draw(pair.answers)
    sent = wire(schema)
    for value in (answer, {"value": answer}) if sent.wrapped else (answer,):
        if sent.wrapped and value is answer and isinstance(answer, dict) and set(answer) == {"value"}:
            continue  # bare, it cannot be told from the wrapping that was asked for
        plain, typed = read(json.dumps(value, ensure_ascii=False), schema, wrapped=sent.wrapped)
        assert same(answer, plain)
        assert same(answer, typed)


@QUICK
@given(st.data())
def test_any_answer_that_fits_arrives_as_it_was(data: st.DataObject) -> None:
    """Bare or wrapped, whatever the schema: nothing is coerced, dropped or renamed."""
    _round_trip(data)


@pytest.mark.long
@LONG
@given(st.data())
def test_twenty_thousand_answers_that_fit_arrive_as_they_were(data: st.DataObject) -> None:
    """The same, at length."""
    _round_trip(data)


def _told(value: Any, sent: Any, root: Any) -> Any:
    """The answer as the strict form wants it: null for what is absent."""
    if isinstance(sent.get("$ref"), str):
        name = sent["$ref"].removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        return _told(value, root["$defs"][name], root)
    for branch in sent.get("anyOf", ()):
        told = _told(value, branch, root)
        if fits(told, {**branch, "$defs": root.get("$defs", {})}):
            return told
    if isinstance(value, dict) and "properties" in sent:
        return {
            name: _told(value[name], each, root) if name in value else None for name, each in sent["properties"].items()
        }
    if isinstance(value, list) and "items" in sent:
        return [_told(item, sent["items"], root) for item in value]
    return value


@QUICK
@given(st.data())
def test_what_the_strict_form_takes_is_what_the_schema_means(data: st.DataObject) -> None:
    """Absent members come as null and go again; the form is what gateways enforce: closed, and everything required."""
    pair = data.draw(PAIRS)
    schema = schema_of(pair.schema)
    sent = wire(schema)
    assert "object" == sent.body["type"]
    Draft202012Validator.check_schema(sent.body)
    if not sent.strict:
        return
    assert [] == list(_loose(sent.body))
    answer = data.draw(pair.answers)
    told = _told({"value": answer} if sent.wrapped else answer, sent.body, sent.body)
    if not fits(told, sent.body):  # members that nobody described: the strict form has no place for them
        return
    assert fits(read(json.dumps(told), schema, wrapped=sent.wrapped)[0], pair.schema)


def _loose(body: Any) -> Any:
    """Yield every object that is open, or has a member that is not required."""
    if isinstance(body, dict):
        if body.get("type") == "object" and (
            body.get("additionalProperties") is not False or list(body["properties"]) != body["required"]
        ):
            yield body
        for name, each in body.items():
            if name in ("properties", "$defs"):
                for inner in each.values():
                    yield from _loose(inner)
            elif name in ("anyOf", "items"):
                yield from _loose(each)
    elif isinstance(body, list):
        for each in body:
            yield from _loose(each)


@QUICK
@given(st.data())
def test_what_does_not_fit_is_never_returned(data: st.DataObject) -> None:
    """R26: any text, any JSON, and answers that are nearly right."""
    pair = data.draw(PAIRS)
    schema = schema_of(pair.schema)
    text = data.draw(TEXTS | JSON.map(json.dumps) | pair.answers.map(json.dumps).flatmap(_broken))
    try:
        value, _ = read(text, schema, wrapped=data.draw(st.booleans()))
    except Mismatch as error:
        assert error.errors
    else:
        assert fits(value, pair.schema)


@st.composite
def _broken(draw: st.DrawFn, text: str) -> str:
    """A text with one sign cut out, put in or exchanged, or another answer in one place."""
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(['"', "0", "null", "{", "]", ",", "x", " ", "-", "1e9", "[]", ""])) + text[
        at + draw(st.integers(0, 2)) :
    ]  # fmt: skip


@QUICK
@given(st.data())
def test_an_instance_of_a_type_comes_back_as_it_was(data: st.DataObject) -> None:
    """Dates, sets, enums, tuples and nested classes: what Python can write, Python gets."""
    kind = data.draw(st.sampled_from(TYPES))
    adapter = TypeAdapter(kind)
    thing = data.draw(st.from_type(kind) if kind is not Trip else _trips())
    text = adapter.dump_json(thing).decode()
    if "NaN" in text or "Infinity" in text or "\\u" in text:
        return
    schema = schema_of(kind)
    sent = wire(schema)
    _, found = read(f'{{"value": {text}}}' if sent.wrapped else text, schema, wrapped=sent.wrapped)
    assert thing == found


def _trips() -> st.SearchStrategy[Trip]:
    return st.builds(
        Trip, costs=st.just({"bus": 2.5}), back=st.none() | st.builds(Trip, back=st.none(), costs=st.just({}))
    )


@QUICK
@given(st.sampled_from(TYPES), st.text() | JSON.map(json.dumps))
@example(Plain, '{"name": 5}')
@example(int, '"5"')
@example(int, "5.5")
@example(bool | None, "1")
@example(Trip, '{"title": "a", "day": "2026-02-30"}')
def test_no_type_is_made_of_what_is_not_of_it(kind: Any, text: str) -> None:
    """A call that cannot be validated never returns; a text is not taken for a number."""
    try:
        value, found = read(text, schema_of(kind), wrapped=False)
    except Mismatch:
        return
    assert found == TypeAdapter(kind).validate_python(found)
    assert fits(value, TypeAdapter(kind).json_schema())


NASTY = {
    "nothing": "", "blanks": " \n", "prose": "Sure!", "nan": '{"a": NaN}', "infinity": "[-Infinity]", "huge": "1e999",
    "minus huge": '{"a": -1e999}', "single quotes": "{'a': 1}", "bare names": "{a: 1}", "trailing comma": '{"a": 1,}',
    "a comment": '{"a": 1} // one', "two values": "{} {}", "rubbish after": '{"a": 1}x', "cut": '{"a": "b', "a tab": '["\t"]',
    "leading zero": "[01]", "plus": "[+1]", "hex": "[0x1]", "python": "{'a': None}", "code": "__import__('os').getcwd()",
    "twice": '{"a": 1, "a": 2}', "twice inside": '[{"b": {"a": 1, "a": 1}}]', "half a character": '["\\ud800"]',
    "half a name": '{"\\udfff": 1}', "bad escape": '["\\x41"]', "deep": "[" * 100_000, "deep and closed": "[" * 50_000 + "]" * 50_000,
    "many digits": "[" + "9" * 5_000 + "]", "zero byte": "[\x00]", "byte order mark": "\ufeff[1]",
    "two fences": "```\n1\n```\n```\n2\n```", "an open fence": "```json\n1", "prose before": 'Here: {"a": 1}',
    "prose after": '{"a": 1} Is it of use?', "not JSON in a fence": "```json\nnope\n```",
}  # fmt: skip


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_what_is_no_json_is_no_answer(text: str) -> None:
    """R9: one value, exactly as the standard says, without a second meaning."""
    with pytest.raises(Mismatch):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "```json\n[1]\n```",
        "```\n[1]\n```\n",
        "Here it is:\n\n```JSON\n[1]\n```\n\nAnything else?",
        " [1] ",
        "``` json \n[1]\n```",
    ],
)
def test_one_fenced_block_is_opened(text: str) -> None:
    """The one habit of models that has a single meaning."""
    assert [1] == parsed(text)


def test_a_fence_inside_of_a_text_is_part_of_it() -> None:
    """JSON that is JSON is never looked into."""
    answer = {"code": "Look:\n```python\nx\n```\n"}
    assert answer == parsed(json.dumps(answer))
    assert answer == parsed(f"```json\n{json.dumps(answer)}\n```")


def test_nothing_is_evaluated() -> None:
    """An answer never becomes code."""
    for path in (Path(or_magic.__file__).parent / "schema").glob("*.py"):
        called = {node.func.id for node in ast.walk(ast.parse(path.read_text("utf-8")))
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert not called & {"eval", "exec", "compile", "__import__", "literal_eval"}


def test_the_messages_say_where_and_what() -> None:
    """They go back to the model, and to the user."""
    with pytest.raises(Mismatch) as caught:
        read('[{"name": "a", "age": "x"}, {"age": 1}]', schema_of("[name, age int]"), wrapped=True)
    assert ("$[0].age: 'x' is not of type 'integer'", "$[1]: 'name' is a required property") == caught.value.errors
    with pytest.raises(Mismatch) as caught:
        read('{"name": 1}', schema_of(Plain), wrapped=False)
    assert ("$.name: Input should be a valid string (got 1)",) == caught.value.errors
    with pytest.raises(Mismatch) as caught:
        read(json.dumps(["x" * 1_000] * 50), schema_of({"type": "array", "items": {"type": "integer"}}), wrapped=False)
    assert (9, "and 42 more") == (len(caught.value.errors), caught.value.errors[-1])
    assert max(map(len, caught.value.errors)) < 300


# The short form.


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("name str", {"name": {"type": "string"}}),
        ("name, age int", {"name": {"type": "string"}, "age": {"type": "integer"}}),
        ("a float?, b?", {"a": {"type": ["number", "null"]}, "b": {"type": ["string", "null"]}}),
        ("x [int]", {"x": {"type": "array", "items": {"type": "integer"}}}),
        ("x [[a|b]]?", {"x": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}}}),
        ("mood good|so so|bad", {"mood": {"type": "string", "enum": ["good", "so so", "bad"]}}),
        ("mood good|bad?", {"mood": {"type": ["string", "null"], "enum": ["good", "bad", None]}}),
        ("d date: when, t datetime", {"d": {"type": "string", "format": "date", "description": "when"}, "t": {"type": "string", "format": "date-time"}}),
        ("name: who, in full\nage int: in years", {"name": {"type": "string", "description": "who, in full"}, "age": {"type": "integer", "description": "in years"}}),
    ],
)  # fmt: skip
def test_the_short_form_says_what_it_says(text: str, properties: Any) -> None:
    """The whole of its grammar."""
    expected = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    assert expected == schema_of(text).body
    assert {"type": "array", "items": expected} == schema_of(f"[{text}]").body


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no field"), ("[]", "no field"), ("City", "is it a variable"), ("age intt", "did you mean int"), ("a, a", "twice"),
        ("age number", "did you mean float"), ("a string", "did you mean str"), ("1a int", "is not NAME"), ("a b c", "no type"), ("x [[[[int]]]]", "no type"),
        ("m a|a", "no type"), ("m a|", "no type"), ("a-b int", "is not NAME"), ("{", "is not JSON"), ("{\"type\": 5}", "cannot be used"),
    ],
)  # fmt: skip
def test_a_short_form_that_is_none_says_why(text: str, told: str) -> None:
    """Before anything is sent."""
    with pytest.raises(OptionError, match=told) as caught:
        schema_of(text)
    assert "Nothing was sent." in str(caught.value)


@QUICK
@given(st.text(max_size=40) | st.text("ab ,[]?:|\n", max_size=30))
def test_any_text_is_a_schema_or_a_named_error(text: str) -> None:
    """Never somebody else's exception; and what is a schema can be sent."""
    try:
        schema = schema_of(text)
    except OptionError as error:
        assert "Nothing was sent." in str(error)
    else:
        Draft202012Validator.check_schema(wire(schema).body)
        assert wire(schema).strict or schema.any_object


# Where schemas come from.


def test_a_name_is_a_variable_or_an_error_that_names_the_closest() -> None:
    """A name that is mistyped must not become a field."""
    space = {"Trip": Trip, "_hidden": 1}
    assert Trip is named("Trip", space)
    assert Trip is named("$Trip", space)
    assert list[Trip] == named("list[Trip]", space)
    assert list[int] == named("list[int]", space)
    assert ("json", "name, age int") == (named("json", space), named("name, age int", space))
    assert (int, bool) == (named("int", space), named("bool", space))
    assert "[title]" == named("[title]", space)
    with pytest.raises(OptionError, match=r"is it list\[Trip\]\? Nothing was sent"):
        named("[Trip]", space)
    with pytest.raises(OptionError, match="Did you mean Trip"):
        named("Tripp", space)


@pytest.mark.parametrize(
    "thing", [5, None, b"x", [int], lambda: 1, {"type": "nonsense"}, {"$ref": "https://example.com/x"}, {"$ref": "#/$defs/x"}, {"a": object()}],
    ids=lambda thing: type(thing).__name__,
)  # fmt: skip
def test_what_is_no_schema_is_refused(thing: Any) -> None:
    """Also references to elsewhere: nothing is fetched to understand an answer."""
    with pytest.raises(OptionError, match="Nothing was sent"):
        schema_of(thing)


_ELSEWHERE = {
    "a dynamic reference": {"properties": {"a": {"$dynamicRef": "https://example.com/x#a"}}},
    "an id of its own": {"$defs": {"x": {}}, "properties": {"a": {"$id": "https://example.com/", "$ref": "#/$defs/x"}}},
    "an unknown draft": {"$schema": "https://example.com/rules", "type": "object"},
    "a pattern of others": {"$schema": "http://json-schema.org/draft-04/schema#", "patternProperties": {"\\p{L}": {}}},
    "its own scope": {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#/nowhere"},
    "elsewhere, by a word of one's own": {"properties": {"a": {"$ref": "#/x/a"}}, "x": {"a": {"$ref": "https://example.com/x"}}},
    "elsewhere, by a later draft's word": {
        "$schema": "http://json-schema.org/draft-07/schema#", "items": {"$ref": "#/$defs/a"},
        "$defs": {"a": {"properties": {"b": {"$ref": "https://example.com/x"}}}},
    },
    "no schema, by a word of one's own": {"items": {"$ref": "#/x"}, "x": {"type": "nonsense"}},
    "a number": {"items": {"$ref": "#/x/0"}, "x": [5]},
    "a pattern of others, by a word of one's own": {"items": {"$ref": "#/x"}, "x": {"pattern": "\\p{L}"}},
}  # fmt: skip


@pytest.mark.parametrize("body", _ELSEWHERE.values(), ids=_ELSEWHERE)
def test_what_no_answer_can_be_judged_by_is_refused_before_it_is_paid(body: dict[str, Any]) -> None:
    """Judging would stumble over it when the answer has come."""
    with pytest.raises(OptionError, match=r"cannot be used.*Nothing was sent"):
        schema_of(body)


_ENDLESS = {
    "below a property": {
        "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
    },
    "one of several": {"items": {"$ref": "#/$defs/A"}, "$defs": {"A": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}}},
    "where a member is there": {"dependentSchemas": {"x": {"$ref": "#"}}},
    "not itself": {"not": {"$ref": "#"}},
    "by its anchor": {"$dynamicAnchor": "me", "allOf": [{"$dynamicRef": "#me"}]},
}  # fmt: skip


@pytest.mark.parametrize("body", _ENDLESS.values(), ids=_ENDLESS)
def test_a_schema_that_comes_again_in_its_own_place_is_refused_before_it_is_paid(body: dict[str, Any]) -> None:
    """Judging an answer by it would not end, wherever in the answer it is needed."""
    with pytest.raises(OptionError, match=r"refers to itself without end.*Nothing was sent"):
        schema_of(body)


def test_a_schema_may_come_again_inside_of_itself() -> None:
    """Trees are described like that, also by two that hold each other, or null."""
    body = {
        "type": "object", "properties": {"leaf": {"$ref": "#/$defs/B"}},
        "$defs": {
            "A": {"type": "object", "properties": {"b": {"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}}},
            "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}},
        },
        "dependentSchemas": {"x": {"required": ["leaf"]}},
    }  # fmt: skip
    tree = {"leaf": {"a": {"b": {"a": {"b": None}}}}}
    assert tree == read(json.dumps(tree), schema_of(body), wrapped=False)[0]
    with pytest.raises(Mismatch, match=r"leaf\.a\.b"):
        read('{"leaf": {"a": {"b": 5}}}', schema_of(body), wrapped=False)


def test_a_word_of_a_later_draft_means_nothing_in_an_earlier_one() -> None:
    """It may hold anything there."""
    body = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "dependentSchemas": 5}
    assert {} == read("{}", schema_of(body), wrapped=False)[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_without_a_draft_means_the_latest(scheme: str) -> None:
    """So says the standard's own page, and generators write it."""
    body = {"$schema": f"{scheme}://json-schema.org/schema#", "prefixItems": [{"type": "integer"}]}
    assert [1] == read("[1]", schema_of(body), wrapped=False)[0]
    with pytest.raises(Mismatch):
        read('["x"]', schema_of(body), wrapped=False)


def test_a_schema_is_judged_by_the_rules_of_its_draft() -> None:
    """Lists of items, dependencies and what stands beside a reference have changed their meaning."""
    body = {"type": "object", "properties": {"a": {"items": [{"type": "integer"}]}}, "dependencies": {"a": ["b"]}}
    draft_7 = schema_of({"$schema": "http://json-schema.org/draft-07/schema", **body})
    assert {"a": [1, "x"], "b": 1} == read('{"a": [1, "x"], "b": 1}', draft_7, wrapped=False)[0]
    for wrong in ('{"a": ["x"], "b": 1}', '{"a": [1]}'):
        with pytest.raises(Mismatch):
            read(wrong, draft_7, wrapped=False)
    with pytest.raises(OptionError, match="items"):
        schema_of(body)


def test_a_reference_may_lead_to_all_or_nothing_and_through_escapes() -> None:
    """A definition that is true, and one whose name an address has to escape."""
    everything = schema_of({"$ref": "#/$defs/all", "$defs": {"all": True}})
    assert [1] == read('{"value": [1]}', everything, wrapped=wire(everything).wrapped)[0]
    escaped = schema_of({"$ref": "#/$defs/100%25", "$defs": {"100%": {"type": "integer"}}})
    assert 1 == read('{"value": 1}', escaped, wrapped=wire(escaped).wrapped)[0]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("time", ["00:00:00", "10:30:00Z", "23:59:59.5+01:30"], ["24:00:00", "10:30", "1030", "noon", "10:30:00+1"]),
        (
            "duration",
            ["P1D", "PT0S", "P1Y2M3DT4H5M6S", "P2W", "PT1.5S", "-P1DT0.25S"],
            ["P", "PT", "PT.5S", "PT1.5H", "1D", "P1D2H", "P1S", "PT1D", "P-1D"],
        ),
        ("hostname", ["a", "example.org", "a-b.example"], ["", "-a", "a-", "a..b", "a_b", "é.org", "a.", "x" * 64]),
    ],
)
def test_formats_that_gateways_enforce_are_held_to(form: str, good: list[str], bad: list[str]) -> None:
    """Where no gateway enforces them, the answer is judged all the same."""
    schema = schema_of({"type": "string", "format": form})
    assert good == [read(json.dumps(text), schema, wrapped=False)[0] for text in good]
    for text in bad:
        with pytest.raises(Mismatch, match=f"is not a {form!r}"):
            read(json.dumps(text), schema, wrapped=False)


@QUICK
@given(st.timedeltas())
def test_a_duration_that_pydantic_writes_is_one(span: timedelta) -> None:
    """A schema may be what ``model_json_schema`` told, and the answer what such a model would have written."""
    text = TypeAdapter(timedelta).dump_json(span).decode()
    assert json.loads(text) == read(text, schema_of({"type": "string", "format": "duration"}), wrapped=False)[0]


def test_the_root_that_gateways_want_is_an_object() -> None:
    """Lists, scalars and unions are wrapped; a class that contains itself is not."""
    assert [True, True, True, True, False, False] == [
        wire(schema_of(kind)).wrapped for kind in (list[Plain], int, Trip | Plain, "[a int]", Trip, "a int")
    ]
    folded = schema_of(
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}}}
    )
    assert ("object", False) == (wire(folded).body["type"], wire(folded).wrapped)


def test_a_reference_to_the_root_follows_it_into_its_wrapping() -> None:
    """A tree of lists."""
    schema = schema_of({"type": "array", "items": {"$ref": "#"}})
    body = wire(schema).body
    assert {"$ref": "#/properties/value"} == body["properties"]["value"]["items"]
    assert fits({"value": [[], [[]]]}, body)
    assert not fits({"value": [1]}, body)


def test_what_gateways_do_not_enforce_is_told_in_words_and_judged_here() -> None:
    """A limit on a text's length would be refused there."""
    schema = schema_of(
        {
            "type": "object",
            "properties": {"a": {"type": "string", "maxLength": 2, "description": "Short."}},
            "required": ["a"],
        }
    )
    assert {"type": "string", "description": "Short. (maxLength 2)"} == wire(schema).body["properties"]["a"]
    with pytest.raises(Mismatch):
        read('{"a": "abc"}', schema, wrapped=False)
