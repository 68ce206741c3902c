"""R9, R10: arguments are one JSON object, or the call is not run; nothing is repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.content import ToolCall, join

from .streams import read, say, sse

MALFORMED = (
    "{",
    "}",
    '{"a": 1',
    '{"a": 1}}',
    '{"a": 1} {"a": 1}',
    "{'a': 1}",
    '{"a": 1,}',
    "{a: 1}",
    '{"a": }',
    "null",
    "[]",
    "[{}]",
    '"{}"',
    "7",
    "true",
    "NaN",
    '{"a": NaN}',
    '{"a": Infinity}',
    '{"a": -Infinity}',
    '{"a": 01}',
    '{"a": .5}',
    '{"a": 0x1}',
    '{"a": "\n"}',
    '{"a": "\t"}',
    '{"a": "\\x"}',
    "undefined",
    "None",
    "rm -rf",
    "```json\n{}\n```",
    "{} //",
    "\ufeff{}",
    "\u00a0",
    "\u2003{}",
    "\x0b",
    "\0",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"a": ' + "9" * 5000 + "}",
)


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: repr(text[:20]))
def test_malformed_arguments_raise_and_are_never_repaired(text: str) -> None:
    """``fall back to {}`` runs a tool with nothing; a repaired text runs it with something else."""
    call = ToolCall(0, "c", "rm", text)
    with pytest.raises(ValueError):
        call.parsed()
    assert text == call.arguments
    assert text == call.to_json()["function"]["arguments"]


@pytest.mark.parametrize("arguments", [5, 0, False, True, 1.5, "x", [], [1], ["a"], [{}]], ids=repr)
def test_arguments_of_a_wrong_type_are_no_call_without_arguments(arguments: object) -> None:
    """A number where the object belongs is malformed, not empty."""
    delta = [{"index": 0, "id": "c", "function": {"name": "rm", "arguments": arguments}}]
    (call,) = read(sse(say(None, tool_calls=delta), say("", finish="tool_calls"))).reply.tool_calls
    with pytest.raises(ValueError):
        call.parsed()


@pytest.mark.parametrize("text", ["", " ", "\n", "\t \r\n", "{}", " {} ", "\n{\n}\n"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    """WIRE §5.4: a tool without parameters."""
    assert {} == ToolCall(0, "c", "f", text).parsed()
    assert json.loads(ToolCall(0, "c", "f", text).to_json()["function"]["arguments"].strip() or "{}") == {}


def test_a_fraction_in_an_object_stays_a_number() -> None:
    """Numbers are read as Decimal; a tool must not get them as text."""
    delta = [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": {"x": 1.5, "y": [0.1], "z": 1e300, "n": 3}}}
    ]
    (call,) = read(sse(say(None, tool_calls=delta), say("", finish="tool_calls"))).reply.tool_calls
    assert {"x": 1.5, "y": [0.1], "z": 1e300, "n": 3} == call.parsed()
    assert isinstance(call.parsed()["n"], int)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=8), st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=5
    ),
    st.data(),
)
def test_any_arguments_in_any_cut_are_parsed_to_themselves(arguments: dict[str, Any], data: st.DataObject) -> None:
    """Joining fragments of any cut is the whole."""
    text = json.dumps(arguments)
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    ends = [*places, len(text)]
    fragments = [ToolCall(0, "c", None, text[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    (call,) = join([ToolCall(0, "c", "f"), *fragments])
    assert isinstance(call, ToolCall)
    assert arguments == call.parsed()
    assert text == call.arguments
