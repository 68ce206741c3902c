"""R9: the 318 texts of JSONTestSuite as answers, as arguments of tools, in schemas' answers and on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from or_magic.content import ToolCall
from or_magic.errors import CallError
from or_magic.schema import Mismatch, parsed, read, schema_of

from ..suites import json_texts
from .streams import read as decoded
from .streams import read_whole, sse

# The standard says that names "SHOULD be unique": which of two is meant, nobody knows.
STRICTER = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


@pytest.fixture(scope="module")
def texts() -> dict[str, bytes]:
    found = json_texts()
    assert {"y": 95, "n": 188, "i": 35} == {kind: sum(name[0] == kind for name in found) for kind in "yni"}
    return found


def words(data: bytes) -> str:
    """The text as a model's words can hold it: bytes that are none have become U+FFFD on the way."""
    return data.decode("utf-8", "replace")


def wrong(taken: dict[str, bool], stricter: set[str]) -> list[str]:
    """Return the names of the texts that met another verdict than theirs."""
    return [
        name
        for name, was_taken in taken.items()
        if name[0] != "i" and was_taken != (name[0] == "y" and name not in stricter)
    ]


def test_an_answer_is_taken_exactly_where_it_is_json(texts: dict[str, bytes]) -> None:
    """``-f json`` and every schema read with it: the value of Python's own reader, or a named error."""
    taken = {}
    for name, data in texts.items():
        try:
            value = parsed(words(data))
        except Mismatch as error:
            assert error.errors, name
            taken[name] = False
        else:
            taken[name] = True
            assert repr(json.loads(words(data))) == repr(value), name
    assert [] == wrong(taken, STRICTER)


def test_an_answer_to_a_schema_is_taken_exactly_where_it_is_json(texts: dict[str, bytes]) -> None:
    """Alone, and inside of the object in which a root that is none is asked for."""
    anything = schema_of({"type": ["object", "array", "string", "number", "boolean", "null"]})
    for pattern in ("%s", '{"value": %s}'):
        taken = {}
        for name, data in texts.items():
            try:
                read(pattern % words(data), anything, wrapped=True)
            except Mismatch:
                taken[name] = False
            else:
                taken[name] = True
        assert [] == wrong(taken, STRICTER), pattern


def test_a_tool_gets_arguments_exactly_where_they_are_json(texts: dict[str, bytes]) -> None:
    """A malformed call must not be run."""
    taken = {}
    for name, data in texts.items():
        try:
            ToolCall(0, "c", "rm", f'{{"x": {words(data)}}}').parsed()
        except ValueError:
            taken[name] = False
        else:
            taken[name] = True
    assert [] == wrong(taken, set())


def test_arguments_that_are_no_object_are_none(texts: dict[str, bytes]) -> None:
    """JSON that is a list or a number names no parameters; a text without a letter is a call without any."""
    for name, data in texts.items():
        try:
            found = ToolCall(0, "c", "rm", words(data)).parsed()
        except ValueError:
            continue
        assert isinstance(found, dict), name
        assert name[0] != "n" or not words(data).strip(" \t\r\n"), name


def _whole(data: bytes) -> bytes:
    choice = b'{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"}}'
    return b'{"id":"gen-1","model":"m","choices":[%s],"x":%s}' % (choice, data)


def _chunk(data: bytes) -> bytes:
    choice = b'{"index":0,"finish_reason":"stop","delta":{"role":"assistant","content":"yes"}}'
    return b'data: {"id":"gen-1","model":"m","choices":[%s],"x":%s}\n\n' % (choice, data.replace(b"\n", b"\ndata: "))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_body_is_an_answer_exactly_where_it_is_json(texts: dict[str, bytes], *, streamed: bool) -> None:
    """In every byte as it came. Nothing but our own errors tells of what is none."""
    taken = {}
    for name, data in texts.items():
        told = decoded(sse(_chunk(data))) if streamed else read_whole(_whole(data))
        taken[name] = told.closed.status == "ok"
        assert taken[name] or isinstance(told.closed.error, CallError), name
        assert "yes" == told.reply.text or not taken[name], name
    assert [] == wrong(taken, set())


def test_a_body_that_is_some_other_json_is_no_answer(texts: dict[str, bytes]) -> None:
    """Nor is one that is none."""
    for name, data in texts.items():
        told: Any = read_whole(data)
        assert "ok" != told.closed.status, name
        assert isinstance(told.closed.error, CallError), name
