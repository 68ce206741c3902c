"""Presets: a table and its options are the same thing; it holds texts, and what a cell says wins over it."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from or_magic.api import Session
from or_magic.config_file import FILE_NAME, read_config, write_preset
from or_magic.errors import OptionError, SettingsError
from or_magic.options import Options, parse_line
from or_magic.options.presets import SHIPPED, format_preset, is_reference, parse_preset, with_preset
from or_magic.settings import load_settings

from .fixtures import Connect
from .test_options import JSON, NAMES, TEXT

KEY = "-".join(["sk", "or", "v1", "0123456789abcdef" * 4])
WORDS = TEXT.filter(lambda text: not is_reference(text))
KEPT = st.builds(
    Options,
    model=st.none() | WORDS.filter(bool),
    system=st.none() | WORDS,
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(1, 2**53),
    stop=st.lists(WORDS, max_size=3).map(tuple),
    params=st.dictionaries(NAMES, JSON, max_size=3),
    budget=st.none() | st.decimals(0, 1000, places=6),
    tag=st.none() | WORDS,
    zdr=st.booleans(),
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(KEPT)
@example(Options(system='two\nlines \'and\' """quotes""" \\ $ x\r\n\ttab '))
@example(Options(system="\nbegins and ends\n"))
@example(Options(temperature=1e-7, budget=Decimal("0.000001"), params={"x": None}))
def test_options_come_back_from_the_config_file(tmp_path: Path, options: Options) -> None:
    """Through TOML and the line's own parser; the second time the file is changed in place."""
    table = format_preset(options)
    assert options == parse_preset("mine", table)
    write_preset(tmp_path, "mine", table)
    assert options == parse_preset("mine", read_config(tmp_path).settings.get("presets", {}).get("mine", {}))


def test_a_preset_written_by_hand_is_read_like_a_line(tmp_path: Path) -> None:
    """Names as in Python, or as on the line; flags, lists and numbers as TOML has them."""
    (tmp_path / FILE_NAME).write_text(
        '[presets.mine]\nmodel = "a/b"\nmax-tokens = 100\nstop = ["X", "Y"]\nzdr = true\nquiet = false\nbudget = 0.05\n'
        'param = ["top_k=40", "provider.max_price.completion=2"]\n'
    )
    config = read_config(tmp_path)
    assert () == config.warnings
    wanted = parse_line(
        "a/b --max-tokens 100 --stop X --stop Y --zdr --budget 0.05 -p top_k=40 -p provider.max_price.completion=2"
    )
    assert wanted == parse_preset("mine", config.settings["presets"]["mine"])


def test_comments_and_order_stay_when_a_preset_is_changed(tmp_path: Path) -> None:
    """A person wrote them."""
    (tmp_path / FILE_NAME).write_text(
        '# mine\nmodel = "a/b"\n\n[presets.one]\n# steady\ntemperature = 0.1  # very\nsystem = "Be brief."\n\n'
        '[presets.two]\nseed = 7\n\n[aliases]\nfast = "c/d"\n'
    )
    assert write_preset(tmp_path, "one", {"temperature": 0.3, "system": "Be brief."})
    assert not write_preset(tmp_path, "one", {"temperature": 0.3, "system": "Be brief."})
    assert write_preset(tmp_path, "three", {"system": "Two\nlines."})
    text = (tmp_path / FILE_NAME).read_text()
    for comment in ("# mine", "# steady", "# very"):
        assert comment in text
    assert 'system = """\nTwo\nlines."""' in text
    presets = {
        "one": {"temperature": 0.3, "system": "Be brief."},
        "two": {"seed": 7},
        "three": {"system": "Two\nlines."},
    }
    assert {"model": "a/b", "aliases": {"fast": "c/d"}, "presets": presets} == tomllib.loads(text)
    assert write_preset(tmp_path, "two", None)
    assert not write_preset(tmp_path, "two", None)
    assert {"one", "three"} == set(read_config(tmp_path).settings["presets"])


@pytest.mark.parametrize(
    "text", ["presets.one.seed = 1\n", "presets = { one = { seed = 1 } }\n", "[presets]\none = { seed = 1 }\n",
             "[presets.one]\nseed = 1", "[presets]\n"],
)  # fmt: skip
def test_every_way_to_write_presets_can_be_written_on(tmp_path: Path, text: str) -> None:
    """TOML has several; what was there stays."""
    (tmp_path / FILE_NAME).write_text(text)
    before = tomllib.loads(text)["presets"]
    assert write_preset(tmp_path, "new", {"temperature": 0.5, "stop": ["a"]})
    assert {**before, "new": {"temperature": 0.5, "stop": ["a"]}} == read_config(tmp_path).settings["presets"]


@pytest.mark.parametrize(
    ("preset", "cell", "together"),
    [
        ("-t 0.2 -s A", "-t 0", "-t 0 -s A"),
        ("-m a/b --stop X", "-m c/d", "-m c/d --stop X"),
        ("--stop X", "--stop Y --stop Z", "--stop Y --stop Z"),
        ("-p top_k=1 -p a.b=1", "-p a.c=2", "-p top_k=1 -p a.b=1 -p a.c=2"),
        ("-t 0.2", "-p temperature=1", "-p temperature=1"),
        ("-p temperature=1 -p top_k=1", "-t 0.2", "-t 0.2 -p top_k=1"),
        ("-p provider.only=[] -p provider.ignore=x", "--provider Azure", "--provider Azure -p provider.ignore=x"),
        ("--sort price --zdr", "-p provider.sort=latency", "--zdr -p provider.sort=latency"),
        ("--zdr", "-p provider.zdr=false", "-p provider.zdr=false"),
        ("-r low", "-p reasoning.exclude=true", "-r low -p reasoning.exclude=true"),
        ("-p reasoning.effort=low", "-r 500", "-r 500"),
        ("--fallback a/b", '-p models=["c/d"]', '-p models=["c/d"]'),
    ],
)
def test_what_a_cell_says_wins_over_its_preset(preset: str, cell: str, together: str) -> None:
    """Said as an option or as a field, it is the same word; params join."""

    def line(words: str) -> Options:
        return parse_line(words.replace('"', '\\"'))

    saved = {"mine": format_preset(line(preset))}
    found = with_preset(line(f"{cell} --preset mine"), saved)
    assert line(f"{together} --preset mine") == found
    assert found == with_preset(found, saved)  # a cell has its preset before the engine has


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"temprature": 1}, "Did you mean --temperature"),
        ({"temperature": "warm"}, "'warm' is not a number"),
        ({"out": "x"}, "--out belongs to one call"),
        ({"dry_run": True}, "--dry-run belongs to one call"),
        ({"yes": True}, "--yes belongs to one call"),
        ({"preset": "other"}, "--preset belongs to one call"),
        ({"api_key": "x"}, "never an option"),
        ({"system": "@review.md"}, "stands for a file or a variable"),
        ({"stop": ["$secret"]}, "stands for a file or a variable"),
        ({"temperature": {"a": 1}}, "not a number"),
        ({"param": "novalue"}, "K=V"),
    ],
)
def test_a_preset_that_cannot_be_used_says_why(table: dict[str, Any], words: str) -> None:
    """The name of the preset is in it, and nothing is sent."""
    with pytest.raises(OptionError, match="The preset mine cannot be used") as caught:
        with_preset(Options(preset="mine"), {"mine": table})
    assert words in str(caught.value)


def test_a_broken_preset_is_named_with_its_line_and_stops_nothing_else(tmp_path: Path) -> None:
    """A cell that does not use it works."""
    (tmp_path / FILE_NAME).write_text("[presets.good]\nseed = 1\n\n[presets.bad]\ntemprature = 1\n")
    config = read_config(tmp_path)
    (warning,) = config.warnings
    assert warning.startswith(f"{tmp_path / FILE_NAME}: line 4: The preset bad cannot be used")
    assert "--temperature" in warning
    assert Options(preset="good", seed=1) == with_preset(Options(preset="good"), config.settings["presets"])


@pytest.mark.parametrize("text", ["presets = 3\n", "[presets]\none = 3\n"])
def test_what_is_no_table_is_an_error(tmp_path: Path, text: str) -> None:
    """As for every table of the file."""
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(SettingsError, match="presets: it is a table"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("mine", {"system": f"x {KEY}"}),
        (KEY, {"seed": 1}),
        ("token", {"seed": 1}),
        ("a b", {"seed": 1}),
        ("", {"seed": 1}),
    ],
)
def test_what_the_file_may_not_say_is_not_written(tmp_path: Path, name: str, table: dict[str, Any]) -> None:
    """No key, and no name that would make the file unreadable."""
    with pytest.raises(OptionError) as caught:
        write_preset(tmp_path / "home", name, table)
    assert KEY[9:21] not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_presets_that_came_with_a_folder_are_not_used(tmp_path: Path) -> None:
    """A cloned repository's .env leads to a config file whose preset would evaluate what it likes."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / FILE_NAME).write_text('[presets.reviewer]\nsystem = "{{ open(1) }}"\n')
    (tmp_path / ".env").write_text(f"OR_MAGIC_HOME={tmp_path / 'theirs'}\n")
    found = load_settings(environ={}, folder=tmp_path, keyless=True)
    assert {} == found.presets
    assert "OR_MAGIC_HOME in the environment" in " ".join(found.warnings)
    mine = load_settings(environ={"OR_MAGIC_HOME": str(tmp_path / "theirs")}, folder=tmp_path, keyless=True)
    assert ["reviewer"] == list(mine.presets)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_presets_work_and_yours_win(name: str) -> None:
    """Usable without saving."""
    shipped = with_preset(Options(preset=name), {})
    assert shipped.system
    assert (name, {"coding": 0.1, "analytical": 0.2, "creative": 0.7, "reviewer": 0.2}[name]) == (
        shipped.preset, shipped.temperature)  # fmt: skip
    assert Options(preset=name, seed=1) == with_preset(Options(preset=name), {name: {"seed": 1}})


def test_an_unknown_preset_names_the_closest(offline: Session) -> None:
    """In Python as in a cell; nothing is sent."""
    with pytest.raises(OptionError, match=r"Did you mean reviewer\? Nothing was sent\."):
        offline.ask("Hello", preset="reviwer")
    with pytest.raises(OptionError, match="-m @preset/mine"):
        offline.ask("Hello", preset="@preset/mine")
    assert 0 == offline.engine.gateways.server.received()


def test_a_preset_of_the_session_reaches_the_request(open_session: Connect) -> None:
    """And a setting gives way to it."""
    session = open_session(
        offline=True,
        model="openai/gpt-5-nano",
        presets={"mine": {"model": "openai/gpt-4o-mini", "system": "Be brief."}},
    )
    body = session.engine.preview("Hello", Options(preset="mine", temperature=0.5)).body
    assert ("openai/gpt-4o-mini", 0.5) == (body["model"], body["temperature"])
    assert "Be brief." in str(body["messages"][0])
    assert "gpt-4o-mini" in session.ask("Hello", preset="mine").model


@pytest.mark.parametrize("model", ["@preset/mine", "openai/gpt-4o-mini@preset/mine"])
def test_a_preset_of_openrouter_is_sent_as_a_model(open_session: Connect, model: str) -> None:
    """Nobody knows its price: under a budget it holds all that is left, and nothing beside it is sent."""
    session = open_session(offline=True, session_budget="1.00")
    preview = session.engine.preview("Hello", Options(model=model))
    assert (model, None) == (preview.body["model"], preview.bound_usd)
    with session.stream("Hello", model=model, preset="coding") as running:
        next(running)
        (standing,) = session.engine.standings()
        assert Decimal(0) == standing.left_usd
        for _ in running:
            pass
    assert "ok" == running.reply.status
