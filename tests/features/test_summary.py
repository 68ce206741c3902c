"""Figures by group, against a hand computation and against pandas."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from or_magic.errors import OptionError
from or_magic.features.summary import summarize

from .rows import row, tracker_of, unknown

BY_HAND = [
    row(0, model="a", cost_usd="0.01", latency_s=1.0, prompt_tokens=10, completion_tokens=5),
    row(1, model="a", cost_usd="0.03", latency_s=3.0, prompt_tokens=20, completion_tokens=5),
    unknown(2, model="a", latency_s=2.0, prompt_tokens=7),
    row(3, model="a", cost_usd="0.5", cost_source="estimated", status="interrupted"),
    row(4, model="b", cost_usd="0.5", latency_s=4.0),
    row(5, model="b", cost_usd="0", cost_source="none", status="cached"),
    unknown(6, model="c", status="unknown"),
    row(7, model=None, cost_usd="0", cost_source="none", status="refused"),
    unknown(8, model="d", status="open"),
]


def test_the_figures_are_those_of_a_hand_computation(tmp_path: Path) -> None:
    """Known money in one sum, estimates in another, and what is in neither is counted."""
    table = tracker_of(tmp_path, *BY_HAND).summary("model")
    assert ["b", "a", "acme/one", "c", "d"] == list(table.index)
    a = table.loc["a"]
    assert [4, 0.5, 2.0] == [a["calls"], a["success_rate"], a["mean_latency_s"]]
    assert [37, 10, 40] == [a["prompt_tokens"], a["completion_tokens"], a["total_tokens"]]
    assert 2.9 == pytest.approx(a["p95_latency_s"])
    assert [0.04, 0.02, 0.5, 1] == [a["cost_usd"], a["mean_cost_usd"], a["estimated_usd"], a["unknown_calls"]]
    b = table.loc["b"]
    assert [2, 1.0, 0] == [b["calls"], b["success_rate"], b["unknown_calls"]]
    assert [0.5, 0.25] == [b["cost_usd"], b["mean_cost_usd"]]


def test_a_group_that_knows_nothing_says_na(tmp_path: Path) -> None:
    """Its cost is not 0, nor are its tokens; a running call is neither a success nor a failure."""
    table = tracker_of(tmp_path, *BY_HAND).summary("model")
    for name in ("mean_latency_s", "prompt_tokens", "total_tokens", "cost_usd", "mean_cost_usd", "estimated_usd"):
        assert pd.isna(table.loc["c", name]), name
    assert [0.0, 1] == list(table.loc["c", ["success_rate", "unknown_calls"]])
    assert pd.isna(table.loc["d", "success_rate"])
    assert 0 == table.loc["d", "unknown_calls"]


def test_the_dearest_group_comes_first_and_equal_ones_by_name(tmp_path: Path) -> None:
    """The same ledger always gives the same table."""
    rows = [row(n, model=name, cost_usd=usd) for n, (name, usd) in enumerate([("z", "1"), ("y", "2"), ("x", "1")])]
    assert ["y", "x", "z"] == list(tracker_of(tmp_path, *rows).summary().index)


def test_a_call_that_no_model_answered_counts_to_the_model_that_was_asked(tmp_path: Path) -> None:
    """All refusals of all models in a group without a name told nobody which model fails."""
    asked = {"model": None, "status": "refused", "cost_usd": "0", "cost_source": "none"}
    rows = [
        row(0, model="a", model_requested="a"),
        row(1, model_requested="a", **asked),
        row(2, model_requested="no/such", **asked),
        row(3, model="a", model_requested="a", tag="t"),
    ]
    tracker = tracker_of(tmp_path, *rows)
    table = tracker.summary("model")
    assert {"a": 3, "no/such": 1} == table["calls"].to_dict()
    assert {"a": pytest.approx(2 / 3), "no/such": 0} == table["success_rate"].to_dict()
    assert {"a", "no/such"} == set(tracker.summary(["model", "tag"]).index.get_level_values("model"))


def test_more_than_one_column(tmp_path: Path) -> None:
    """A group is a combination that occurs."""
    rows = [row(n, model="ab"[n % 2], tag=None if n < 4 else "t", attempt=1) for n in range(5)]
    table = tracker_of(tmp_path, *rows).summary(["tag", "model", "attempt"])
    assert ["tag", "model", "attempt"] == list(table.index.names)
    assert {("t", "a", 1): 1} == {k: v for k, v in table["calls"].to_dict().items() if k[0] == "t"}
    assert [1, 2, 2] == sorted(table["calls"])


def test_any_column_can_group(tmp_path: Path) -> None:
    """Ids, numbers, counts and times too."""
    rows = [row(n, cell_id=None if n == 3 else f"c{n % 2}", prompt_tokens=n % 2 or None) for n in range(4)]
    frame = tracker_of(tmp_path, *rows).frame()
    for name in frame.columns:
        assert 4 == summarize(frame, name)["calls"].sum(), name
    assert {"c0": 2, "c1": 1} == summarize(frame, "cell_id")["calls"].dropna().drop(index=[pd.NA]).to_dict()


@pytest.mark.parametrize(("by", "closest"), [("modle", "'model'"), ("cost", "'cost_usd'"), ("qqq", "'tag'")])
def test_an_unknown_column_names_the_closest(tmp_path: Path, by: str, closest: str) -> None:
    """A typing error costs one look."""
    tracker = tracker_of(tmp_path, row())
    with pytest.raises(OptionError, match=closest):
        tracker.summary(by)
    with pytest.raises(OptionError, match=closest):
        tracker.plot(by)


def test_no_column_is_an_error(tmp_path: Path) -> None:
    """A summary of everything is the total."""
    with pytest.raises(OptionError, match="by='model'"):
        tracker_of(tmp_path).summary([])


def test_no_rows_give_an_empty_table(tmp_path: Path) -> None:
    """With the same columns."""
    empty, full = tracker_of(tmp_path).summary(), summarize(tracker_of(tmp_path, row()).frame())
    assert 0 == len(empty)
    assert list(full.columns) == list(empty.columns)
    assert list(full.dtypes) == list(empty.dtypes)


def test_the_figures_are_those_of_pandas(tmp_path: Path) -> None:
    """The short cuts for a million rows give the same as the long way, for many groups and for few."""
    chance = random.Random(7)
    rows = [
        row(
            n,
            model=chance.choice(["a", "b", None]),
            cell_id=f"c{chance.randrange(200)}",
            latency_s=chance.choice([None, chance.random()]),
            prompt_tokens=chance.choice([None, chance.randrange(1000)]),
            cost_usd=f"{chance.randrange(10**6)}e-9",
        )
        for n in range(1000)
    ]
    frame = tracker_of(tmp_path, *rows).frame()
    frame["model"] = frame["model"].astype("object").fillna("acme/one").astype("category")
    for by in ("model", "cell_id", ["cell_id", "model"]):
        groups = frame.groupby(by, observed=True, dropna=False)
        table = summarize(frame, by)
        for name, theirs in {
            "calls": groups.size(),
            "mean_latency_s": groups["latency_s"].mean(),
            "p95_latency_s": groups["latency_s"].quantile(0.95),
            "prompt_tokens": groups["prompt_tokens"].sum(min_count=1),
            "cost_usd": groups["cost_usd"].sum(min_count=1),
        }.items():
            assert by_key(theirs) == pytest.approx(by_key(table[name]), nan_ok=True), name


def by_key(figures: pd.Series) -> dict[str, float]:
    """Return a group's figure by its key as text, in which every NA is the same."""
    keys = [key if isinstance(key, tuple) else (key,) for key in figures.index]
    names = [" ".join("NA" if pd.isna(word) else str(word) for word in key) for key in keys]
    return dict(zip(names, figures.to_numpy(dtype=float, na_value=float("nan")), strict=True))
