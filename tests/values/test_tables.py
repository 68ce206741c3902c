"""A typed answer as a DataFrame and as Markdown: right dtypes, nothing lost, nothing live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic import neutral
from or_magic.outline import outline
from or_magic.schema import schema_of
from or_magic.tables import Typed, frame
from or_magic.values import Reply

from ..protocol.payloads import payloads
from ..protocol.renderers import Render, live
from ..protocol.schemas import JSON


def typed(value: Any, schema: Any) -> Typed:
    return Typed(value, schema_of(schema).body)


def test_columns_have_the_dtypes_of_the_schema() -> None:
    """Also where everything is missing, and with missing values in whole numbers."""
    rows = [
        {"s": "a", "i": 1, "f": 1, "b": True, "d": "2026-01-02", "t": "2026-01-02T03:04:05", "e": "x", "l": [1]},
        {"s": None, "i": None, "f": None, "b": None, "d": None, "t": None, "e": None, "l": None},
    ]
    told = frame(typed(rows, "[s?, i int?, f float?, b bool?, d date?, t datetime?, e x|y?, l [int]?]"))
    assert ["string", "Int64", "float64", "boolean", "datetime64[us]", "datetime64[us]", "string", "object"] == [
        dtype.name for dtype in told.dtypes
    ]
    assert [1] * len(told.columns) == list(told.isna().sum())
    assert (pd.Timestamp(2026, 1, 2), [1]) == (told["d"][0], told["l"][0])


def test_an_object_is_one_row_and_a_scalar_one_value() -> None:
    """A frame has rows, whatever the answer was."""
    assert [{"a": 1}] == frame(typed({"a": 1}, "a int")).to_dict("records")
    assert [{"value": 5}] == frame(typed(5, int)).to_dict("records")
    assert [{"value": 1}, {"value": 2}] == frame(typed([1, 2], list[int])).to_dict("records")
    assert "Int64" == frame(typed([1, 2], list[int]))["value"].dtype.name


def test_an_empty_list_has_the_columns_of_its_schema() -> None:
    """Code that goes on with the frame must not break on nothing."""
    told = frame(typed([], "[a int, b]"))
    assert ((0, 2), ["Int64", "string"]) == (told.shape, [dtype.name for dtype in told.dtypes])


def test_what_no_column_could_hold_stays_what_it_is() -> None:
    """A number beyond 64 bits is not cut, a moment with another offset not guessed."""
    assert 2**70 == frame(typed([{"n": 2**70}], "[n int]"))["n"][0]
    moments = frame(typed([{"t": "2026-01-01T00:00:00+02:00"}, {"t": "2026-01-01T00:00:00"}], "[t datetime]"))["t"]
    assert pd.Timestamp("2025-12-31T22:00:00Z") == moments[0]


def test_a_class_in_a_list_may_be_optional_and_nested() -> None:
    """References and unions with null are followed."""
    schema = {
        "type": "array", "items": {"$ref": "#/$defs/Row"},
        "$defs": {"Row": {"type": "object", "properties": {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "o": {"$ref": "#/$defs/O"}}},
                  "O": {"type": "object"}},
    }  # fmt: skip
    told = frame(typed([{"n": 1, "o": {"a": 1}}, {"n": None}], schema))
    assert (["Int64", "object"], {"a": 1}) == ([dtype.name for dtype in told.dtypes], told["o"][0])


@settings(max_examples=100, deadline=None)
@given(JSON | st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=4))
def test_any_value_is_a_frame_and_a_text(value: Any) -> None:
    """Whatever has no schema to speak of."""
    assert len(value if isinstance(value, list) else [value]) == len(frame(Typed(value, {})))
    assert isinstance(outline(Typed(value, {})), str)


def test_a_list_of_flat_objects_is_a_table() -> None:
    """Numbers to the right, nothing where nothing is."""
    assert "| name | n |\n| --- | ---: |\n| a | 1 |\n| b&#124;c |  |" == outline(
        typed([{"name": "a", "n": 1}, {"name": "b|c", "n": None}], "[name, n int?]")
    )


def test_anything_else_is_an_outline() -> None:
    """Names, values, and what is inside of them."""
    value = {
        "title": "T",
        "tags": ["a", "b"],
        "stops": [{"x": 1.5}, {"x": None}],
        "none": [],
        "ok": True,
        "day": "2026-01-02",
    }
    assert (
        "- **title**: T\n- **tags**: a, b\n- **stops**\n    - *1*\n        - **x**: 1.5\n    - *2*\n        - **x**: *null*\n"
        "- **none**: *empty*\n- **ok**: true\n- **day**: 2026-01-02" == outline(Typed(value, {}))
    )
    assert "- 5" == outline(Typed(5, {}))


def test_long_answers_are_cut_with_a_note() -> None:
    """A notebook is a file that somebody opens."""
    assert "800 more rows are in reply.data" in outline(Typed([{"a": n} for n in range(1000)], {}))
    assert len(outline(Typed([{"a": n} for n in range(1000)], {})).splitlines()) < 210
    assert "more lines are in reply.data" in outline(Typed({str(n): {"a": 1} for n in range(1000)}, {}))
    assert len(outline(Typed({"a": "x" * 10_000}, {}))) < 500


SHAPES: dict[str, Callable[[str], Any]] = {
    "table": lambda text: [{"a": text, "b": 1}],
    "outline": lambda text: {"a": {"b": text}},
    "name": lambda text: {text: 1, "x": [{text: text}]},
    "list": lambda text: {"a": [text, text]},
    "root": lambda text: text,
}


def _living(render: Render, shape: str, texts: list[str]) -> list[tuple[str, list[str]]]:
    shown = [outline(Typed(SHAPES[shape](text), {})) for text in texts]
    return [(text, found) for text, found in zip(shown, map(live, render(shown)), strict=True) if found]


@pytest.mark.parametrize(("place", "shape"), list(enumerate(SHAPES)))
def test_no_known_trick_is_live_in_a_typed_answer(render: Render, place: int, shape: str) -> None:
    """R15: a model wrote every value, and every name that the schema leaves open. Half of the tricks, each in one shape."""
    assert [] == _living(render, shape, [payload.text for payload in payloads()][place :: 2 * len(SHAPES)])


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_no_known_trick_is_live_in_any_shape(render: Render, shape: str) -> None:
    """All of them in all of them."""
    assert [] == _living(render, shape, [payload.text for payload in payloads()])


def test_a_reply_shows_its_data_wherever_markdown_is_shown() -> None:
    """As the last value of a cell, too; and what went through the filter goes through it again."""
    reply = Reply(data=[{"a": 1}], typed=typed([{"a": "<b>*x*"}], "[a]"))
    assert "| a |\n| --- |\n| &#60;b&#62;&#42;x&#42; |" == reply._repr_markdown_()
    assert reply._repr_markdown_() == neutral.markdown(reply._repr_markdown_())
    assert isinstance(hash(reply), int)
