"""Options: a line and its options are the same thing; whatever is wrong is named with the closest right one."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic.api import Session
from or_magic.errors import OptionError
from or_magic.options import Options, format_line, from_keywords, help_text, is_name, parse_line
from or_magic.options.line import EFFORTS, FORMATS, MOST_CELLS, SORTS
from or_magic.template import expand

from .kit import books

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
WORDS = st.lists(TEXT, max_size=3).map(tuple)
SAID: dict[str, st.SearchStrategy[Any]] = {
    "model": TEXT.filter(bool),
    "system": TEXT,
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "max_tokens": st.integers(1, 2**53),
    "seed": st.integers(-(2**60), 2**60),
    "reasoning": st.sampled_from(EFFORTS) | st.integers(1, 2**53),
    "chat": TEXT.filter(is_name),
    "preset": TEXT,
    "schema": TEXT,
    "tag": TEXT,
    "sort": st.sampled_from(SORTS),
    "budget": st.decimals(0, 10**6 - 1, allow_nan=False, places=6),
    "context": st.integers(1, MOST_CELLS),
    "out": NAMES.filter(str.isidentifier),
    "format": st.sampled_from(FORMATS),
}
LISTED: dict[str, st.SearchStrategy[Any]] = {
    "stop": WORDS,
    "provider": WORDS,
    "fallback": WORDS,
    "attach": st.lists(TEXT.filter(lambda word: not word.startswith("$")), max_size=3).map(tuple),
    "params": st.dictionaries(NAMES, JSON, max_size=3),
}
FLAGS = ("new", "no_stream", "zdr", "yes", "quiet", "hide_reasoning", "verbatim", "dry_run")
OPTIONS = st.fixed_dictionaries({}, optional=SAID | LISTED | {name: st.booleans() for name in FLAGS}).map(
    lambda told: Options(**told)
)


def test_no_option_is_left_out_of_the_round_trip() -> None:
    """Who adds one says here what its values are."""
    assert {each.name for each in fields(Options)} == {*SAID, *LISTED, *FLAGS}


@settings(max_examples=300, deadline=None)
@given(OPTIONS)
@example(Options(model="-m"))
@example(Options(model="--"))
@example(Options(tag="--", system="--"))
@example(Options(system="-1", tag="--max-tokens=5"))
@example(Options(system="two\nlines 'and' \"quotes\" $x @y #z \\"))
@example(Options(params={"provider": {"sort": "price", "only": ["a", "b"]}}))
@example(Options(temperature=1e-7, max_tokens=1))
@example(Options(tag="--api-key"))
@example(Options(chat="two words", new=True, context=50, schema="[name, age int?]", preset="mine", format="json"))
@example(Options(attach=("a b.png", "https://example.org/a.png", "-"), chat="--new", schema="--", preset="@x"))
@example(Options(budget=Decimal("1E-9"), reasoning=5, stop=("", "--"), fallback=("none",)))
def test_options_come_back_from_their_line(options: Options) -> None:
    """Presets, history and the panel keep options as lines."""
    assert options == parse_line(format_line(options))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
@example("--max-tokens inf")
@example("-p a=1 -p a.b=2")
@example("-p .=1")
@example("--max-tokens 1e400")
@example("-t 0x1")
@example("-")
@example("---")
@example("-m")
def test_any_line_is_options_or_a_named_error(line: str) -> None:
    """Never somebody else's exception, never an exit of the process."""
    try:
        assert isinstance(parse_line(line), Options)
    except OptionError as error:
        assert str(error).strip()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Options()),
        ("a/model", Options(model="a/model")),
        ("a/model:free -t 0.5", Options(model="a/model:free", temperature=0.5)),
        ("-m a/model", Options(model="a/model")),
        ("-s 'be brief' --tag x", Options(system="be brief", tag="x")),
        ("-t -1", Options(temperature=-1.0)),
        ("--max-tokens 1e3", Options(max_tokens=1000)),
        ("-p provider.sort=price -p provider.only=[\"a\"]", Options(params={"provider": {"sort": "price", "only": "[a]"}})),
        ("-p 'provider.only=[\"a\"]'", Options(params={"provider": {"only": ["a"]}})),
        ("-p seed=7 -p stop=END -p empty=", Options(params={"seed": 7, "stop": "END", "empty": ""})),
        ("-p x=true -p y=null -p z=1.5", Options(params={"x": True, "y": None, "z": 1.5})),
        ("-p a=b=c", Options(params={"a": "b=c"})),
        ("-p a=1 -p a=2", Options(params={"a": 2})),
    ],
)  # fmt: skip
def test_a_line_says_what_it_says(line: str, expected: Options) -> None:
    """The contract of DESIGN §2."""
    assert expected == parse_line(line)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--max-tokns 5", "--max-tokens"),
        ("--sytem x", "--system"),
        ("--temprature=1", "--temperature"),
        ("--max-tok 5", "--max-tokens"),  # no abbreviations: they change their meaning when options are added
        ("a/model and more", "'and'"),
        ("-s 'open", "no partner"),
        ("-t warm", "'warm' is not a number"),
        ("--max-tokens 0", "above 0"),
        ("--max-tokens 1.5", "above 0"),
        ("--max-tokens inf", "above 0"),
        ("-o 2x", "'2x'"),
        ("-p novalue", "K=V"),
        ("-p =1", "K=V"),
        ("-p a..b=1", "K=V"),
        ("-p a=1 -p a.b=2", "a has a value"),
        ("-s", "argument"),
    ],
)
def test_what_is_wrong_is_named(line: str, named: str) -> None:
    """And nothing is sent."""
    with pytest.raises(OptionError, match=r"Nothing was sent\.") as caught:
        parse_line(line)
    assert named in str(caught.value)


@pytest.mark.parametrize("line", ["--api-key x", "--key=x", "--apikey x", "--api_key=x", "m --api-key"])
def test_a_key_is_never_an_option(line: str) -> None:
    """IPython keeps every line in its history; the error must not repeat it."""
    with pytest.raises(OptionError, match="never an option") as caught:
        parse_line(line.replace("x", "canary"))
    assert "canary" not in str(caught.value)


def test_values_are_resolved_by_whoever_knows_names() -> None:
    """``$name`` and ``@file`` are the notebook's; an object stays one in a parameter."""
    known: dict[str, Any] = {"$system": "Be brief.", "$schema": {"type": "object"}, "$n": 7, "$json": '{"a": 1}'}
    parsed = parse_line(
        "-s $system -p schema=$schema --max-tokens $n -p text=$json", lambda word: known.get(word, word)
    )
    assert (
        Options(system="Be brief.", params={"schema": {"type": "object"}, "text": '{"a": 1}'}, max_tokens=7) == parsed
    )


def test_a_text_in_a_variable_is_no_template() -> None:
    """It may be a web page: were it expanded, ``-s $page`` would run what stands there."""
    parsed = parse_line("-s $page", lambda word: {"$page": "{{ 1 / 0 }}"}.get(word, word))
    assert ("{{ 1 / 0 }}",) == expand(parsed.system or "", {})
    assert ["", "2", ""] == [
        getattr(part, "value", part) for part in expand(parse_line("-s '{{ 1 + 1:d }}'").system or "", {})
    ]


def test_a_number_of_numpy_is_a_number(offline: Session) -> None:
    """A sweep over np.linspace is what people do with a temperature."""
    temperature = np.float64(0.5)
    assert (
        0.5 == offline.engine.preview("x", from_keywords({"temperature": temperature}), values=None).body["temperature"]
    )


def test_help_shows_every_option() -> None:
    """What exists is in the help, what does not exist is not."""
    told = help_text()
    for name in ("--model", "--system", "--temperature", "--max-tokens", "--param", "--out", "--tag"):
        assert name in told
    assert "--tool" not in told


@pytest.mark.parametrize(
    ("keywords", "named"),
    [({"modle": "x"}, "model"), ({"max_token": 5}, "max_tokens"), ({"temprature": 1}, "temperature"), ({"out": "x"}, "out"),
     ({"max_tokens": "5"}, "max_tokens"), ({"max_tokens": True}, "max_tokens"), ({"params": [1]}, "params"),
     ({"model": 5}, "model"), ({"temperature": "hot"}, "temperature")],
)  # fmt: skip
def test_a_wrong_keyword_is_named(keywords: dict[str, Any], named: str) -> None:
    """As on the line."""
    with pytest.raises(OptionError, match=named):
        from_keywords(keywords)


def test_none_is_not_said() -> None:
    """A wrapper may pass its own defaults through."""
    assert Options() == from_keywords({"model": None, "temperature": None, "params": None} | {"tag": None})


@pytest.mark.parametrize(
    "options",
    [{"model": "\ud800"}, {"tag": "\udcff"}, {"system": "\ud800"}, {"params": {"user": "\udcff"}}, {"params": {"x": float("nan")}},
     {"params": {"x": object()}}, {"params": {"x": {1, 2}}}, {"params": {"model": "other"}}, {"params": {"stream": False}},
     {"params": {"messages": []}}],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_before_it_is_booked(offline: Session, options: dict[str, Any]) -> None:
    """No row, no request, a sentence."""
    with pytest.raises(OptionError, match=r"Nothing was sent\."):
        offline.ask("Hello", **({"model": "offline/plain"} | options))
    assert 0 == offline.engine.gateways.server.received()
    offline.close()
    assert not offline.engine.ledger.path.exists() or [] == books(offline.engine.ledger.path)


def test_a_nested_parameter_reaches_the_body() -> None:
    """Dotted keys nest; JSON keeps its types."""
    told = parse_line("-p provider.max_price.prompt=1.5 -p provider.sort=price").params
    assert {"provider": {"max_price": {"prompt": 1.5}, "sort": "price"}} == json.loads(json.dumps(told))


def test_a_later_zero_is_said() -> None:
    """To == it is False; a budget of 0 that is not said would be no budget."""
    again = parse_line("-t 1 --seed 3 --budget 5") | parse_line("-t 0 --seed 0 --budget 0")
    assert (0.0, 0, Decimal(0)) == (again.temperature, again.seed, again.budget)


def test_numbers_of_other_libraries_are_numbers() -> None:
    """A loop over ``np.arange`` or a column of a frame gives such; they arrive as Python's own, which JSON can write."""
    told = from_keywords({
        "temperature": np.float64(0.5), "top_p": np.float32(0.25), "max_tokens": np.int64(7), "seed": np.uint64(2**63),
        "reasoning": np.int32(2000), "budget": np.float64(0.02), "params": {"top_k": np.int8(3), "stop": [np.int64(1)]},
    })  # fmt: skip
    assert (0.5, 0.25, 7, 2**63) == (told.temperature, told.top_p, told.max_tokens, told.seed)
    assert (2000, Decimal("0.02"), {"top_k": 3, "stop": [1]}) == (told.reasoning, told.budget, told.params)
    json.dumps([told.temperature, told.max_tokens, told.seed, told.params])
    assert 2**62 + 1 == parse_line("--seed=$n", lambda word: np.int64(2**62 + 1) if word == "$n" else word).seed
    for wrong in ({"max_tokens": np.bool_(True)}, {"seed": np.float64(1.5)}, {"temperature": np.array([1.0, 2.0])}):
        with pytest.raises(OptionError):
            from_keywords(wrong)


_VARIABLES: dict[str, Any] = {
    "$array": np.zeros((2, 2, 3), dtype=np.uint8),
    "$frame": pd.DataFrame({"a": [1, 2]}),
    "$none": None,
    "$empty": [],
    "$nan": float("nan"),
    "$n": np.int64(3),
    "$words": ["one", "two"],
}


def read_line(line: str) -> Options:
    return parse_line(line, lambda word: _VARIABLES.get(word, word))


@pytest.mark.parametrize("name", ["$array", "$frame"])
def test_what_answers_a_comparison_for_each_of_its_values_can_be_attached(name: str) -> None:
    """An array is neither equal to a list nor different from it; it is what people attach."""
    attached = read_line(f"-a {name} -a x.png").attach
    assert (True, "x.png") == (attached[0] is _VARIABLES[name], attached[1])


@pytest.mark.parametrize("option", ["-s", "-m", "-c", "-a", "--tag", "--preset", "--stop", "--fallback", "--provider"])
def test_a_variable_that_is_none_is_named(option: str) -> None:
    """A function that gave nothing back: "None" would be sent as a word, or name a conversation."""
    with pytest.raises(OptionError, match=r"\$none is None.*Nothing was sent"):
        read_line(f"{option} $none")


def test_an_empty_list_is_nothing_to_attach() -> None:
    """A glob that found no file."""
    with pytest.raises(OptionError, match="nothing to attach"):
        read_line("-a $empty")


@pytest.mark.parametrize("line", ["-t nan", "-t $nan", "--top-p inf", "-t 1e999"])
def test_what_is_no_number_of_json_is_named_with_its_option(line: str) -> None:
    """Which of them cannot be written, the error has to say."""
    with pytest.raises(OptionError, match=r"(temperature|top-p): .* is not a number"):
        read_line(line)
    with pytest.raises(OptionError, match="top_p=nan is not a number"):
        from_keywords({"top_p": float("nan")})


def test_a_variable_may_hold_several_texts_of_what_may_be_repeated() -> None:
    """A list of models is a variable; its Python spelling is no model."""
    told = read_line("--stop $words --fallback $words --fallback three --provider $words")
    assert (("one", "two"), ("one", "two", "three"), ("one", "two")) == (told.stop, told.fallback, told.provider)


def test_a_parameter_from_a_variable_may_be_a_number_of_another_library() -> None:
    """As in Python."""
    assert {"top_k": 3} == json.loads(json.dumps(dict(read_line("-p top_k=$n").params)))


def test_a_reply_is_bound_to_a_name_that_can_be_said() -> None:
    """``class`` is a word of Python's own: what was paid for could not be reached under it."""
    with pytest.raises(OptionError, match="'class' is not a name for a variable"):
        read_line("-o class")


@pytest.mark.parametrize("line", ["a/b -m c/d", "-m c/d a/b", "-m a/b -m c/d", "-m a/b --model=c/d"])
def test_two_models_are_one_too_many(line: str) -> None:
    """One of them would be passed over without a word, and the other paid."""
    with pytest.raises(OptionError, match=r"Two models are named, (a/b and c/d|c/d and a/b)\. Nothing was sent"):
        parse_line(line)


def test_the_beginning_of_an_option_is_that_option() -> None:
    """Not another one that looks like it."""
    for line, option in (("--temp 1", "--temperature"), ("--sys x", "--system"), ("--max 5", "--max-tokens")):
        with pytest.raises(OptionError, match=f"Did you mean {option}"):
            parse_line(line)


def test_a_number_that_no_float_can_be_is_refused_by_name() -> None:
    """As any other: the error is the options' own, and says which keyword it is."""
    with pytest.raises(OptionError, match="temperature="):
        from_keywords({"temperature": Fraction(10**400)})
    endless: dict[str, Any] = {}
    endless["a"] = endless
    assert endless is from_keywords({"params": endless}).params  # that it cannot be sent is said where it is written
