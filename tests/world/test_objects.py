"""Python objects as content parts: what a model gets of a table, an array, a function, an error, a figure."""

from __future__ import annotations

import csv
import dataclasses
import enum
import functools
import io
import json
import math
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import matplotlib.figure
import numpy as np
import pandas as pd
import PIL.Image
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import HTML, Audio, Markdown
from IPython.display import Image as Shown

from or_magic import content
from or_magic.content import Image, Text
from or_magic.errors import MediaError, OptionError
from or_magic.estimate import text
from or_magic.objects import attachable, parts_of
from or_magic.objects.columns import number
from or_magic.pictures import Pictures
from or_magic.values import Reply

from ..guards import HANG_S
from .kit import png


def told(thing: object, tokens: int | None = None) -> str:
    """Return the only part of a thing, which is text."""
    (part,) = parts_of(thing, tokens)
    assert isinstance(part, Text)
    return part.text


def size(of: str) -> int:
    return text.text_tokens(of).likely


def frame(rows: int = 1_000) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "price": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(3, 1, rows)),
            "class": rng.integers(1, 4, rows),
            "city": pd.Categorical(rng.choice(["Bern", "Genève", "Zürich"], rows)),
            "when": pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC"),
            "name": [f"house {n}" for n in range(rows)],
            "paid": rng.random(rows) < 0.5,
        }
    )


# --- words -------------------------------------------------------------------------------------------------------


class Shout(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


@pytest.mark.parametrize(
    ("thing", "expected"),
    [("a\r\n\tb", "a\r\n\tb"), ("", ""), (Shout("as it is"), "as it is"), (3, "3"), (1.5, "1.5"), (np.float64(0.1), "0.1"),
     (True, "True"), (Decimal("1.10"), "1.10"), (None, "None"), (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00")],
)  # fmt: skip
def test_words_and_numbers_stand_as_they_are(thing: object, expected: str) -> None:
    """They are part of the sentence that the user writes; a str's characters, not what its class makes of them."""
    assert expected == told(thing)


def test_an_answer_becomes_its_words_and_pictures_in_order() -> None:
    """Not its reasoning, which belongs to the model that thought it."""
    picture = Image(data=png())
    reply = Reply(parts=(content.Reasoning("hm"), Text("see "), picture, Text("there")))
    assert [Text("see "), picture, Text("there")] == parts_of(reply)
    assert [picture] == parts_of(reply.images)
    assert [picture, picture] == parts_of(Pictures((picture, picture)))


# --- tables ------------------------------------------------------------------------------------------------------


def test_a_table_tells_its_shape_columns_and_some_rows() -> None:
    """What a person would look at first."""
    of = told(frame())
    lines = of.splitlines()
    assert "DataFrame: 1,000 rows × 6 columns" == lines[0]
    (price, grade, city, when, name, paid) = lines[3:9]
    assert "- price: float64, 103 missing, min " in price
    assert "quartiles" in price
    assert "- class: int64, 3 ×351, 1 ×341, 2 ×308" == grade
    assert all(f'"{each}" ×' in city for each in ("Bern", "Genève", "Zürich"))
    assert "2024-01-01 00:00:00+00:00 to 2024-02-11 15:00:00+00:00" in when
    assert 'all different, e.g. "house 0", "house 1", "house 2"' in name
    assert "True ×" in paid
    rows = list(csv.reader(io.StringIO("\n".join(lines[11:]))))
    assert ["", "price", "class", "city", "when", "name", "paid"] == rows[0]
    assert ["0", "1", "2"] == [row[0] for row in rows[1:4]]
    assert 8 == len(rows) - 1


def test_the_figures_of_a_column_are_those_of_pandas() -> None:
    """Checked against ``describe``."""
    data = frame()
    said = next(line for line in told(data).splitlines() if line.startswith("- price"))
    told_of = data["price"].describe()
    figures = [told_of[name] for name in ("min", "25%", "50%", "75%", "max", "mean", "std")]
    expected = [number(figure) for figure in figures]
    words = said.replace(",", "").split()
    assert expected == [words[words.index("min") + 1], *words[words.index("quartiles") + 1 :][:3],
                        *(words[words.index(name) + 1] for name in ("max", "mean", "std"))]  # fmt: skip


def test_a_small_table_is_shown_whole() -> None:
    """What groupby, describe and head give is the thing itself."""
    data = pd.DataFrame(
        {"a": [1, 2], "b": [52.520008, None], "c": ["x,y", 'say "hi"']}, index=pd.Index(["p", "q"], name="k")
    )
    assert told(data) == (
        "DataFrame: 2 rows × 3 columns, index k (str)\nTypes: a int64; b float64; c str\n"
        'k,a,b,c\np,1,52.520008,"x,y"\nq,2,,"say ""hi"""'
    )
    assert "Series n: 2 values, int64\n,n\n0,4\n1,5" == told(pd.Series([4, 5], name="n"))
    assert "a,b,mean" in told(pd.DataFrame({"a": [1], "b": [2], "v": [3.0]}).groupby(["a", "b"]).v.agg(["mean"]))


@pytest.mark.parametrize("tokens", [60, 150, 500, 2_000])
@pytest.mark.parametrize("shape", [(1_000, 6), (50, 500), (100_000, 3), (5, 40)])
def test_a_table_keeps_within_the_tokens_it_may_take(tokens: int, shape: tuple[int, int]) -> None:
    """Wide ones and long ones; the shape is always there, and what is missing is said."""
    rows, columns = shape
    data = pd.DataFrame(np.random.default_rng(1).random(shape), columns=[f"measured {n}" for n in range(columns)])
    of = told(data, tokens)
    assert size(of) <= tokens * 1.15 + 20
    assert of.startswith(f"DataFrame: {rows:,} rows × {columns} columns")
    shown = sum(line.startswith("- measured") for line in of.splitlines())
    assert (
        shown in (0, columns)
        or f"and {columns - shown:,} columns more" in of
        or f"and {columns - shown:,} column more" in of
    )


def test_long_cells_are_cut() -> None:
    """A column of articles must not take the place of all others."""
    data = pd.DataFrame({"text": ["word " * 5_000] * 500, "n": range(500)})
    of = told(data)
    assert size(of) < 1_000
    assert "…" in of
    assert "about 25,000 characters each" in of


def test_the_same_table_gives_the_same_text() -> None:
    """Providers keep the beginning of a prompt: an equal one is cheaper."""
    assert told(frame()) == told(frame())
    assert told(frame(150_000)) == told(frame(150_000))


def test_of_a_long_table_rows_are_drawn_and_that_is_said() -> None:
    """And nothing that the figures do not say. What it takes is measured by benchmarks/bench_prompt.py."""
    data = pd.concat([frame(10_000)] * 100, ignore_index=True)
    data.loc[777_777, "price"] = 1e9
    of = told(data)
    assert "1,000,000 rows" in of
    assert "50,000 rows drawn at random" in of
    assert f"{data['price'].isna().sum():,} missing" in of
    assert "max 1000000000" in of


ODD_TABLES = {
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="float64")}),
    "no columns": pd.DataFrame(index=range(100)),
    "all missing": pd.DataFrame({"a": [None] * 50, "b": [float("nan")] * 50}),
    "same name twice": pd.DataFrame(np.zeros((40, 2)), columns=["a", "a"]),
    "names of no text": pd.DataFrame(np.zeros((40, 2)), columns=[1, ("x", 2)]),
    "columns in levels": pd.DataFrame(np.zeros((40, 2)), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "rows in levels": pd.DataFrame({"v": range(40)}, index=pd.MultiIndex.from_product([["a", "b"], range(20)])),
    "lists and dicts": pd.DataFrame({"l": [[1], [2]] * 20, "d": [{"a": 1}] * 40}),
    "infinite": pd.DataFrame({"a": [math.inf, -math.inf, 1.0, 2.0] * 10}),
    "complex": pd.DataFrame({"a": [1 + 2j] * 40}),
    "decimals": pd.DataFrame({"a": [Decimal("1.1"), None] * 20}),
    "nullable": pd.DataFrame(
        {"a": pd.array([1, None] * 20, dtype="Int64"), "b": pd.array([True, None] * 20, dtype="boolean")}
    ),
    "times": pd.DataFrame(
        {"a": pd.to_timedelta(range(40), unit="h"), "b": pd.period_range("2020", periods=40, freq="M")}
    ),
    "intervals": pd.DataFrame({"a": pd.cut(range(40), 3)}),
    "mixed": pd.DataFrame({"a": [1, "x", None, 2.5] * 10}),
    "new lines": pd.DataFrame({"a\nb": ["x\ny"] * 40}),
    "empty texts": pd.DataFrame({"a": [""] * 40}),
    "numbered categories": pd.DataFrame({"a": pd.Categorical([1, 2] * 20)}),
    "sparse": pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1, 0] * 10)}),
    "arrays": pd.DataFrame({"a": [np.zeros(1000)] * 40}),
}


@pytest.mark.parametrize("name", ODD_TABLES)
def test_odd_tables_are_told_too(name: str) -> None:
    """Every one of them is an ordinary day of somebody; a warning would be an error here."""
    data = ODD_TABLES[name]
    assert f"{len(data)} row" in told(data)
    for column in range(data.shape[1]):
        assert told(data.iloc[:, column]).startswith("Series")
        assert told(pd.concat([data.iloc[:, column]] * 3)).startswith("Series")


def test_a_table_is_not_changed_and_pandas_options_do_not_matter() -> None:
    """It is the user's."""
    data = frame()
    before = data.copy(deep=True)
    with pd.option_context("display.max_rows", 1, "display.precision", 1):
        narrow = told(data)
    pd.testing.assert_frame_equal(before, data)
    assert narrow == told(data)


# --- arrays ------------------------------------------------------------------------------------------------------


def test_an_array_tells_shape_type_figures_and_its_edges() -> None:
    """All of a small one."""
    assert "ndarray: 2 × 3, int64\nmin 0, max 5, mean 2.5\n[[0 1 2]\n [3 4 5]]" == told(np.arange(6).reshape(2, 3))
    of = told(np.array([[1.0, np.nan], [np.inf, 4.0]] * 500))
    assert of.startswith("ndarray: 1000 × 2, float64\nmin 1, max 4, mean 2.5, 1,000 NaN or infinite\n")
    assert "..." in of
    for odd in (
        np.array(5),
        np.array([]),
        np.array(["a"]),
        np.array([1], "M8[D]"),
        np.zeros((2, 0)),
        np.array([None, {}]),
    ):
        assert told(odd).startswith("ndarray: ")


def test_a_masked_array_shows_what_is_hidden_without_a_warning() -> None:
    """numpy warns where it is told how many digits to write of a value that is not there."""
    values = np.ma.masked_array([1.5, 2.123456789, 3.0], [False, False, True])
    assert "MaskedArray: 3, float64\nmin 1.5, max 2.1235, mean 1.8117, 1 masked\n[1.5 2.123456789 --]" == told(values)
    assert told(np.ma.masked_array([1, 2], [True, True])).startswith("MaskedArray: 2, int64\n2 masked\n")


def test_figures_of_a_huge_array_are_those_of_some_values() -> None:
    """And that is said."""
    assert "(of every 3rd value)" not in told(np.zeros(100))
    assert "of every 2th value" in told(np.zeros(20_000_000, dtype="uint8"))


def test_an_array_of_bytes_in_colours_is_a_picture() -> None:
    """Not a small table of numbers, nor where the user says how many tokens it may take."""
    pixels = np.zeros((40, 60, 3), dtype="uint8")
    assert (60, 40) == picture(pixels).size
    assert told(pixels, 400).startswith("ndarray: 40 × 60 × 3, uint8")
    assert told(pixels[:3]).startswith("ndarray: 3 × 60 × 3")
    assert told(pixels.astype("float64")).startswith("ndarray: ")
    assert told(pixels[:, :, 0]).startswith("ndarray: ")


def test_what_is_attached_is_a_picture_if_it_can_be_one() -> None:
    """There the user has said that it is: grey ones and floats from 0 to 1 too."""
    for pixels in (np.zeros((4, 6), "uint8"), np.ones((4, 6, 4), "uint8"), np.full((4, 6, 3), 0.5)):
        (part,) = attachable(pixels)
        assert (6, 4) == opened(part).size
    assert isinstance(attachable(np.full((4, 6, 3), 7.0))[0], Text)


# --- pictures ----------------------------------------------------------------------------------------------------


def opened(part: content.Part) -> PIL.Image.Image:
    assert isinstance(part, Image)
    assert part.data is not None
    return PIL.Image.open(io.BytesIO(part.data))


def picture(thing: object) -> PIL.Image.Image:
    (part,) = parts_of(thing)
    return opened(part)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"])
def test_a_picture_of_any_mode_becomes_one_that_models_take(mode: str) -> None:
    """And the user's own stays as it is."""
    mine = PIL.Image.new(mode, (31, 17))
    before = mine.tobytes()
    assert (31, 17) == picture(mine).size
    assert (before, mode) == (mine.tobytes(), mine.mode)


def figure() -> Any:
    drawn = matplotlib.figure.Figure(figsize=(4, 3))
    for axes in drawn.subplots(1, 2):
        axes.plot([1, 3, 2])
    return drawn


def test_a_figure_is_drawn_and_stays_as_it_is() -> None:
    """Without pyplot; its size, its resolution and its canvas are the user's."""
    drawn = figure()
    before = (drawn.dpi, tuple(drawn.get_size_inches()), drawn.canvas, drawn.stale, drawn.get_facecolor())
    one, other = picture(drawn), picture(drawn)
    assert before == (drawn.dpi, tuple(drawn.get_size_inches()), drawn.canvas, drawn.stale, drawn.get_facecolor())
    assert one.tobytes() == other.tobytes()
    assert 400 < one.size[0] < 700
    assert 255 > one.convert("L").getextrema()[0]


def test_pyplot_is_neither_loaded_nor_touched() -> None:
    """What it would show next, and how many figures are open, is the notebook's business."""
    import matplotlib.pyplot as plt

    mine = plt.figure()
    try:
        picture(figure())
        picture(mine)
        assert [mine.number] == plt.get_fignums()
        assert mine is plt.gcf()
    finally:
        plt.close(mine)


def test_axes_are_drawn_alone_where_there_are_several() -> None:
    """The user pointed at this one."""
    drawn = figure()
    whole, left = picture(drawn), picture(drawn.axes[0])
    assert left.size[0] < whole.size[0] * 0.7
    single = matplotlib.figure.Figure()
    assert picture(single.subplots()).size == picture(single).size
    assert whole.size == picture(np.array(drawn.axes)).size


def test_a_large_figure_gets_fewer_dots() -> None:
    """More than vendors look at only costs time."""
    assert max(picture(matplotlib.figure.Figure(figsize=(30, 10))).size) <= 1_700


class Drawing:
    def __init__(self, method: str, gives: Any) -> None:
        self.gives = gives
        self.__class__ = type("Own", (Drawing,), {method: lambda self: self.gives})


@pytest.mark.parametrize("gives", [png(), (png(), {"width": 1}), "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="])  # fmt: skip
def test_what_draws_itself_is_a_picture(gives: Any) -> None:
    """In any of the ways in which IPython lets objects do it."""
    assert isinstance(parts_of(Drawing("_repr_png_", gives))[0], Image)


def test_what_draws_nothing_is_told() -> None:
    """Sympy has such methods, which give None."""
    assert "Own" in told(Drawing("_repr_png_", None))


def test_what_ipython_shows_is_what_it_carries() -> None:
    """Its displays wrap data."""
    assert [Image(data=png())] == parts_of(Shown(data=png()))
    assert [Image(url="https://x/y.png")] == parts_of(Shown(url="https://x/y.png"))
    assert "**bold**" == told(Markdown("**bold**"))
    assert "<b>x</b>" == told(HTML("<b>x</b>"))
    (sound,) = parts_of(Audio(data=np.ones(100), rate=8_000))
    assert isinstance(sound, content.Audio)
    assert "wav" == sound.format


# --- what objects say of themselves --------------------------------------------------------------------------------


def test_what_an_object_says_for_models_comes_first() -> None:
    """Before all that it also is."""

    class Mine(dict[str, Any]):
        def _repr_llm_(self) -> Any:
            return self["told"]

        def _repr_markdown_(self) -> str:
            return "for people"

    assert "for a model" == told(Mine(told="for a model"))
    assert [Text("a"), Image(url="https://x"), Text('{"b": 1}')] == parts_of(
        Mine(told=["a", Image(url="https://x"), {"b": 1}])
    )
    for nothing in (None,):
        with pytest.raises(OptionError, match="Nothing was sent"):
            parts_of(Mine(told=nothing))
    selfish = Mine()
    selfish["told"] = selfish
    with pytest.raises(OptionError, match="itself"):
        parts_of(selfish)
    assert "class Mine" in told(Mine)


def test_markdown_comes_before_fields() -> None:
    """The author of a record knows how it reads best."""

    @dataclasses.dataclass
    class Page:
        title: str

        def _repr_markdown_(self) -> str:
            return f"# {self.title}"

    assert "# hi" == told(Page("hi"))


def test_anything_else_is_its_str_without_its_address() -> None:
    """Another address in every run would spoil the provider's cache."""
    assert "<object object>" == told(object())
    assert size(told(type("Long", (), {"__str__": lambda _: "word " * 100_000})())) < 2_100


def test_a_path_in_a_text_or_a_list_is_never_read(tmp_path: Path) -> None:
    """Only one that the user hands over as a Path."""
    (tmp_path / "secret.txt").write_text("hush")
    path = tmp_path / "secret.txt"
    assert "secret.txt:\n\nhush" == told(path)
    for thing in (str(path), [path], {"at": path}, f"file://{path}", pd.DataFrame({"p": [path]})):
        assert "hush" not in told(thing)


# --- JSON --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Point:
    x: float
    where: Any
    password: str = dataclasses.field(default="hidden", repr=False)


class Person(pydantic.BaseModel):
    name: str
    born: datetime
    token: pydantic.SecretStr
    hidden: str = pydantic.Field(default="hidden", repr=False)


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ({"a": [1, 2.5, None, True], "é": {}}, {"a": [1, 2.5, None, True], "é": {}}),
        ((1, "x"), [1, "x"]),
        ({3, 1, 2}, [1, 2, 3]),
        ({"b": 1, "a": 2}.keys(), ["b", "a"]),
        ({"b": 1, "a": 2}.items(), [["b", 1], ["a", 2]]),
        ({1: "x", (2, 3): "y"}, {"1": "x", "(2, 3)": "y"}),
        (Point(1.0, Pair(Colour.RED, b"12")), {"x": 1.0, "where": {"left": "red", "right": "<2 bytes>"}}),
        (Person(name="A", born=datetime(2000, 1, 2, 3, tzinfo=UTC), token="hush"),
         {"name": "A", "born": "2000-01-02 03:00:00+00:00", "token": "**********"}),
        ([np.int64(3), np.float32(0.5), np.bool_(True), np.arange(3), float("nan")], [3, 0.5, True, [0, 1, 2], "nan"]),
        ([object()], ["<object object>"]),
        ([], []),
    ],
)  # fmt: skip
def test_records_and_containers_are_json(thing: Any, expected: Any) -> None:
    """What is no JSON is told, and what its author hides from its repr stays hidden."""
    of = told(thing)
    assert expected == json.loads(of)
    assert "hush" not in of
    assert "hidden" not in of


def test_what_stands_inside_itself_is_named_and_depth_has_an_end() -> None:
    """Neither may end in a RecursionError."""
    loop: dict[str, Any] = {"a": 1}
    loop["me"] = [loop]
    assert {"a": 1, "me": ["<dict that this stands in>"]} == json.loads(told(loop))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert told(deep).startswith("[[[")
    shared = [1]
    assert [[1], [1]] == json.loads(told([shared, shared]))


@pytest.mark.parametrize("tokens", [50, 200, 1_000, None])
@pytest.mark.parametrize(
    "thing",
    [list(range(1_000_000)), [{"id": n, "text": "word " * 20} for n in range(5_000)], {"text": "word " * 100_000},
     {f"key {n}": {f"key {m}": [n, m] for m in range(100)} for n in range(100)}],
    ids=["numbers", "records", "a long text", "tables of tables"],
)  # fmt: skip
def test_large_json_is_cut_and_says_so(thing: Any, tokens: int | None) -> None:
    """As much as fits, with how much is missing."""
    of = told(thing, tokens)
    assert size(of) <= (tokens or 8_000) + 30
    assert "more" in of or "left out" in of


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
        max_leaves=25,
    ).filter(lambda value: isinstance(value, (dict, list)))
)
def test_json_that_fits_is_the_very_same(value: Any) -> None:
    """However it is broken into lines."""
    assert value == json.loads(told(value))


# --- code --------------------------------------------------------------------------------------------------------


def double(x: int) -> int:
    """Return twice as much."""
    return 2 * x


@functools.cache
def cached(x: int) -> int:
    return x


class Shape:
    """A shape."""

    @property
    def area(self) -> float:
        return 1.0

    def twice(self) -> float:
        return 2 * self.area


def test_functions_and_classes_are_their_source() -> None:
    """Dedented, decorators too."""
    assert 'def double(x: int) -> int:\n    """Return twice as much."""\n    return 2 * x' == told(double)
    assert told(Shape).startswith('class Shape:\n    """A shape."""')
    assert "def twice(self) -> float:\n    return 2 * self.area" == told(Shape().twice)
    assert told(Shape.area).startswith("@property\ndef area")
    assert "@functools.cache\ndef cached(x: int) -> int:\n    return x" == told(cached)


def test_code_without_source_is_signature_and_docstring() -> None:
    """Builtins, and what was made by exec."""
    assert told(len).startswith(
        "def len(obj, /)\n(from builtins; its source is not there)\n    Return the number of items"
    )
    made: dict[str, Any] = {}
    exec("def f(a, *, b=1):\n    'Says.'\nclass C:\n    'Says.'\n    def m(self): pass", made)
    assert told(made["f"]).startswith("def f(a, *, b=1)")
    assert "Says." in told(made["C"])
    assert "m(self)" in told(made["C"])
    assert told(int, 300).startswith("class int")


def test_a_module_tells_its_public_names() -> None:
    """With signatures, as far as there is room."""
    of = told(json)
    assert of.startswith("Module json\n")
    assert "dumps(obj, *, skipkeys=False" in of
    assert "class JSONDecoder(" in of
    assert size(told(np, 300)) < 340
    assert "public names left out]" in told(np, 300)
    lazy = ModuleType("lazy")
    lazy.__getattr__ = lambda name: pytest.fail("nothing is imported for that")  # type: ignore[method-assign]
    lazy.__all__ = ["later"]  # type: ignore[attr-defined]
    assert "later" in told(lazy)


# --- errors ------------------------------------------------------------------------------------------------------


def caught(run: Any) -> BaseException:
    try:
        run()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError


def test_an_error_tells_its_own_lines_and_no_values() -> None:
    """The failing line is marked; what variables held is nobody's business."""

    def fails() -> None:
        secret_value = "sk-or-hush"  # noqa: F841
        raise KeyError("missing")

    of = told(caught(fails))
    assert of.startswith("KeyError: 'missing'\nTraceback, the latest call last:\n")
    assert "  >  " in of or "  > " in of
    assert 'raise KeyError("missing")' in of
    assert "in fails" in of
    assert str(Path(__file__).parent) not in of


def test_frames_of_libraries_are_left_out() -> None:
    """All but the name of where it was raised."""
    of = told(caught(lambda: pd.DataFrame({"a": [1]})["b"]))
    assert "raised in pandas/core/" in of.replace("\\", "/")
    assert "site-packages" not in of
    assert 1 == of.count("KeyError: 'b'")
    assert ".pyx" not in of


def test_causes_groups_notes_and_recursion_are_told_in_short() -> None:
    """The first cause first; a thousand equal calls once."""

    def recurse(n: int) -> None:
        if n:
            recurse(n - 1)
        raise ValueError("deep")

    def chained() -> None:
        try:
            recurse(300)
        except ValueError as error:
            raise RuntimeError("outer") from error

    of = told(caught(chained))
    assert of.index("ValueError: deep") < of.index("which led to") < of.index("RuntimeError: outer")
    assert "the same call 299 more times" in of
    group = ExceptionGroup("several", [ValueError("one"), TypeError("two")])
    group.add_note("look here")
    assert all(word in told(group) for word in ("several", "look here", "1 of 2", "ValueError: one", "TypeError: two"))
    loop = ValueError("a")
    loop.__cause__ = TypeError("b")
    loop.__cause__.__cause__ = loop
    assert "TypeError: b" in told(loop)


def test_a_syntax_error_points_at_its_place() -> None:
    """There is no frame to show."""
    of = told(caught(lambda: compile("x = (1,\n", "<cell>", "exec")))
    assert "'(' was never closed" in of
    assert "    x = (1,\n        ^" in of


# --- all of them -------------------------------------------------------------------------------------------------


def test_no_library_is_imported_for_an_object() -> None:
    """What nobody has imported, nothing is an instance of."""
    import subprocess

    code = (
        "from or_magic.objects import parts_of\nimport sys\n"
        "for thing in ('x', 1, {'a': [1]}, print, sys, ValueError('x'), object()): parts_of(thing)\n"
        "print([m for m in ('numpy', 'pandas', 'matplotlib', 'PIL', 'pydantic', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "[]" == done.stdout.strip()


def test_a_picture_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """Pillow opens files late."""
    path = tmp_path / "x.png"
    PIL.Image.effect_noise((900, 900), 90).save(path)
    lazy = PIL.Image.open(path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(MediaError, match="Nothing was sent"):
        parts_of(lazy)
    lazy.close()
