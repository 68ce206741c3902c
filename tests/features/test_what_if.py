"""What the same tokens would have cost with another model: against a hand computation, call by call."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import connect
from or_magic.errors import OptionError
from or_magic.features.tracker import Tracker
from or_magic.gateway.catalog import Model
from or_magic.pricing import listed_usd, parse_prices
from or_magic.values import Row, Usage

from .rows import ledger_of, row, unknown

MODELS = {
    "cheap": {"prompt": "0.000001", "completion": "0.000002"},
    "dear": {"prompt": "0.00001", "completion": "0.00002", "input_cache_read": "0.000001", "request": "0.01"},
    "tiered": {
        "prompt": "0.000001", "completion": "0.000002", "internal_reasoning": "0.000003", "input_cache_read": "0",
        "input_cache_write": "0.000004",
        "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.000002"}, {"min_prompt_tokens": 5000, "completion": "0.1"}],
    },
    "router": {"prompt": "-1", "completion": "-1"},
    "nightly": {"prompt": "1", "completion": "1", "overrides": [{"utc_start": 0, "utc_end": 600, "prompt": "2"}]},
}  # fmt: skip


def _model(name: str) -> Model:
    return Model(name, name, name, parse_prices(MODELS[name]))


def _tracker(folder: Path, *rows: Row, **settings: Any) -> Tracker:
    return Tracker(ledger_of(folder, rows), "ours", model=_model, **settings)


def test_the_figures_are_those_of_a_hand_computation(tmp_path: Path) -> None:
    """Calls, tokens, the bill, what it would have been, and the difference; the cheapest model first."""
    rows = [
        row(0, cost_usd="0.01", prompt_tokens=100, completion_tokens=50),
        row(1, cost_usd="0.02", prompt_tokens=1000, completion_tokens=500, cached_tokens=400),
    ]
    table = _tracker(tmp_path, *rows).what_if(["dear", "cheap"])
    assert ["cheap", "dear"] == list(table.index)
    cheap, dear = table.loc["cheap"], table.loc["dear"]
    assert [2, 1100, 400, 550] == [cheap[name] for name in table.columns[:4]]
    assert [0.03, 0.0022, 0.0022] == [cheap["cost_usd"], cheap["would_usd"], cheap["uncached_usd"]]
    assert -0.0278 == pytest.approx(cheap["difference_usd"], abs=1e-15)
    assert 0.007 + 0.0004 + 0.011 + 0.02 == pytest.approx(dear["would_usd"], abs=1e-15)
    assert 0.011 + 0.011 + 0.02 == pytest.approx(dear["uncached_usd"], abs=1e-15)
    assert not table["simulated"].any()


def test_what_is_not_known_is_left_out_and_counted(tmp_path: Path) -> None:
    """Unknown tokens or an unknown bill would make the comparison one of different calls."""
    rows = [
        row(0, cost_usd="0.01", prompt_tokens=100, completion_tokens=50),
        row(1, cost_usd="0.02", prompt_tokens=None, completion_tokens=None),
        unknown(2, prompt_tokens=100, completion_tokens=50),
        row(3, cost_usd="0.5", cost_source="estimated", status="interrupted", prompt_tokens=100, completion_tokens=50),
        row(4, cost_usd="0", cost_source="none", status="refused"),
        unknown(5, status="open"),
        row(6, session="theirs", cost_usd="1", prompt_tokens=100, completion_tokens=50),
    ]
    one = _tracker(tmp_path, *rows).what_if("cheap").loc["cheap"]
    assert [1, 0.01, 0.0002, 3] == [one["calls"], one["cost_usd"], one["would_usd"], one["unknown_calls"]]
    assert 2 == _tracker(tmp_path).what_if("cheap", all=True).loc["cheap", "calls"]


def test_every_call_is_priced_as_it_would_have_been_billed_alone(tmp_path: Path) -> None:
    """Prices change at the size of a prompt; the sum of the sums is the sum of the calls."""
    chance = random.Random(4)
    rows, by_hand = [], Decimal(0)
    for place in range(300):
        prompt, completion = chance.choice((10, 999, 1000, 1001, 4999, 5000, 5001, 90_000)), chance.randrange(1000)
        usage = Usage(prompt, completion, chance.randrange(completion + 1), chance.randrange(5), chance.randrange(5))
        rows.append(
            row(
                place, prompt_tokens=prompt, completion_tokens=completion, reasoning_tokens=usage.reasoning_tokens,
                cached_tokens=usage.cached_tokens, cache_write_tokens=usage.cache_write_tokens,
            )
        )  # fmt: skip
        listed = listed_usd(_model("tiered").prices, usage)
        assert listed is not None
        by_hand += listed
    assert float(by_hand) == _tracker(tmp_path, *rows).what_if("tiered").loc["tiered", "would_usd"]


@pytest.mark.parametrize("name", ["router", "nightly"])
def test_a_model_without_a_fixed_price_has_no_figure(name: str, tmp_path: Path) -> None:
    """What a router would have chosen, or the hour decides, cannot be added up."""
    table = _tracker(tmp_path, row(0, prompt_tokens=1, completion_tokens=1)).what_if(["cheap", name])
    assert ["cheap", name] == list(table.index)
    assert math.isnan(table.loc[name, "would_usd"])
    assert math.isnan(table.loc[name, "difference_usd"])


def test_an_empty_ledger_costs_nothing_with_any_model(tmp_path: Path) -> None:
    """The first cell of a notebook may ask."""
    one = _tracker(tmp_path).what_if("dear").loc["dear"]
    assert [0, 0.0, 0.0, 0] == [one["calls"], one["cost_usd"], one["would_usd"], one["unknown_calls"]]


def test_a_session_is_repriced_by_names_and_aliases(tmp_path: Path) -> None:
    """Through the public way, with simulated money marked; an unknown name is refused with the closest."""
    with connect(offline=True, home=tmp_path) as session:
        session.ask("hi", model="openai/gpt-4o-mini")
        table = session.tracker.what_if(["openai/gpt-4o-mini", "openai/gpt-5.5"])
        assert ["openai/gpt-4o-mini", "openai/gpt-5.5"] == list(table.index)
        assert table["simulated"].all()
        own = table.loc["openai/gpt-4o-mini"]
        assert own["cost_usd"] == own["would_usd"]
        with pytest.raises(OptionError, match="openai/gpt-4o-mini"):
            session.tracker.what_if("openai/gpt-4o-mni")


def test_a_tracker_without_a_catalogue_says_so(tmp_path: Path) -> None:
    """A ledger that was opened alone knows no prices."""
    with pytest.raises(OptionError, match="no catalogue"):
        Tracker(ledger_of(tmp_path, []), "ours").what_if("cheap")
