"""The catalogue as a DataFrame, by what the models can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from or_magic.api import connect
from or_magic.errors import OptionError
from or_magic.features.models import ABILITIES, models_frame, why_none
from or_magic.gateway.catalog import Catalog, bundled


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The bundled catalogue, on the day it was made."""
    date = bundled().date
    return Catalog(tmp_path_factory.mktemp("none") / "none.json", lambda: None, lambda: date)


@pytest.mark.parametrize("name", ABILITIES)
def test_a_filter_and_its_opposite_are_all_models(catalog: Catalog, name: str) -> None:
    """Each of them finds some."""
    can, cannot = (set(models_frame(catalog, **{name: value}).id) for value in (True, False))  # type: ignore[arg-type]
    assert not can & cannot
    assert can | cannot == set(models_frame(catalog).id)
    assert can or name in ("video", "files")


def test_filters_join(catalog: Catalog) -> None:
    """Words, abilities, room and price."""
    found = models_frame(catalog, "openai", vision=True, tools=True, context="200k", max_price=2.5, free=False)
    assert len(found) > 0
    assert found.id.str.startswith(("openai/", "~openai/")).all()
    assert found.input.str.contains("image").all()
    assert found.tools.all()
    assert (found.context_tokens >= 200_000).all()
    assert (found[["prompt_usd_per_million", "completion_usd_per_million"]].max(axis=1) <= 2.5).all()
    assert {"structured", "reasoning"} <= set(found.columns)
    assert len(models_frame(catalog, context=200_000)) == len(models_frame(catalog, context="0.2M"))


@pytest.mark.parametrize(
    ("filters", "words"),
    [({"visoin": True}, "Did you mean vision"), ({"vision": "yes"}, "not True or False"), ({"context": "many"}, "no number of tokens"),
     ({"context": True}, "no number of tokens"), ({"max_price": "cheap"}, "max_price")],
)  # fmt: skip
def test_a_wrong_filter_is_named(catalog: Catalog, filters: dict[str, Any], words: str) -> None:
    """With the closest."""
    with pytest.raises(OptionError, match=words):
        models_frame(catalog, **filters)


def test_a_session_has_the_same_filters(tmp_path: Path) -> None:
    """As Python and as a magic."""
    with connect(offline=True, home=tmp_path) as session:
        assert 0 < len(session.models("gpt", reasoning=True)) < len(session.models("gpt"))


@pytest.mark.parametrize(
    ("query", "filters", "told"),
    [
        ("claude", {"vision": True, "max_price": "0.0001"}, "No model matches. Without --max-price 0.0001 there are "),
        ("claude", {"context": "100M", "tools": True}, "No model matches. Without --context 100M there are "),
        ("claude", {"free": True}, "No model matches. Without "),
        ("clade-sonnet-4.6", {"tools": True}, "Did you mean anthropic/claude-sonnet-4.6"),
        ("zzzz", {}, "No model's name has 'zzzz' in it."),
        ("Vision free", {}, "No model's name has 'Vision free' in it. Did you mean --vision --free?"),
        ("claude", {"context": "100M", "max_price": "0.0001"}, "leave out two"),
    ],
)
def test_where_nothing_is_found_the_filter_is_named_that_left_nothing(query: str, filters: Any, told: str) -> None:
    """In one line; and the line is true: without it some are found."""
    line = why_none(bundled(), query, filters)
    assert told in line
    assert "\n" not in line
