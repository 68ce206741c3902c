"""Plots hide nothing: neither the last call, nor a jump, nor what is unknown, estimated or simulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from nbclient import NotebookClient

import or_magic
from or_magic.budget import Limit, Standing
from or_magic.errors import OptionError
from or_magic.features.groups import local_days
from or_magic.features.plots import SPREADS
from or_magic.features.plots.bars import MOST_BARS
from or_magic.features.plots.models import MOST_MODELS
from or_magic.features.plots.over_time import MOST_POINTS, thin
from or_magic.features.plots.paper import ALARM, COLOURS, OTHER, X_INK, Y_INK, dollars_text
from or_magic.features.plots.spread import MOST_DOTS, MOST_ROWS
from or_magic.values import Row

from ..guards import HANG_S
from .rows import ledger_of, row, tracker_of, unknown

PICTURES = [None, "model", "day", "cell", "latency", "speed"]
REFUSED = {"model": None, "status": "refused", "cost_usd": "0", "cost_source": "none"}


def budgets(**limits: str) -> Callable[[], list[Standing]]:
    """What the session says of its budgets."""
    nothing = Decimal(0)
    return lambda: [Standing(Limit(scope, Decimal(usd)), nothing, nothing) for scope, usd in limits.items()]


def heights(ax: plt.Axes) -> list[list[float]]:
    """Where the parts of each colour begin and end."""
    ends = []
    for parts in ax.collections:
        if isinstance(parts, PolyCollection):
            ends += [[float(end) for end in path.vertices[:2, 1]] for path in parts.get_paths()]
    return ends


def answer(after_s: float = 0.0, latency_s: float = 2.0, **told: Any) -> Row:
    """A finished call that was measured."""
    return row(after_s, latency_s=latency_s, **{"first_token_s": latency_s / 4, "completion_tokens": 90} | told)


@pytest.fixture(autouse=True)
def _no_window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures are drawn in memory, and nobody shows them: a shown figure would appear twice."""

    def shown(*_: object, **__: object) -> None:
        raise AssertionError("plt.show was called")

    monkeypatch.setattr(plt, "show", shown)
    mpl.use("agg")
    yield
    plt.close("all")


def texts(ax: plt.Axes) -> list[str]:
    """All words of a picture as they are drawn."""
    ax.figure.canvas.draw()
    found = [ax.get_title(loc="left"), *(t.get_text() for t in ax.texts)]
    if ax.get_legend():
        found += [t.get_text() for t in ax.get_legend().get_texts()]
    return found + [label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]


# --- thinning


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**32), st.integers(8, 400))
def test_thinning_keeps_the_first_the_last_and_the_extremes(size: int, seed: int, limit: int) -> None:
    """What stands out in all points stands out in the few."""
    chance = np.random.default_rng(seed)
    x, y = np.sort(chance.random(size)), chance.standard_normal(size).cumsum()
    kept = thin(x, y, limit)
    assert len(kept) <= max(limit, 0)
    assert [0, size - 1] == [kept[0], kept[-1]]
    assert [y.min(), y.max()] == [y[kept].min(), y[kept].max()]
    assert sorted(set(kept)) == list(kept)


def test_few_points_are_not_thinned() -> None:
    """Every call of a session is seen."""
    assert list(range(MOST_POINTS)) == list(thin(np.arange(MOST_POINTS) * 1.0, np.zeros(MOST_POINTS)))


def test_a_jump_stays_a_jump() -> None:
    """One dear call among 100,000 cheap ones is a step, in its place, and not a slope."""
    y = np.full(100_000, 1e-6)
    y[70_000] = 1.0
    x, y = np.arange(100_000.0), y.cumsum()
    kept = thin(x, y)
    place = int(np.searchsorted(y[kept], 1.0))
    assert 400 >= x[kept][place] - x[kept][place - 1]
    assert abs(x[kept][place] - 70_000) <= 200


def test_calls_of_one_moment_are_thinned_too() -> None:
    """A batch may write thousands of rows in the same microsecond."""
    kept = thin(np.zeros(10_000), np.arange(10_000.0))
    assert [0, 9_999] == list(kept)


# --- spend over time


def test_a_long_history_is_thinned_and_ends_at_its_sum(tmp_path: Path) -> None:
    """At most 2,000 points a line; the last step is there."""
    rows = [row(n, cost_usd="0.0001") for n in range(5_000)] + [row(5_001, cost_usd="7")]
    (line,) = tracker_of(tmp_path, *rows).plot().lines
    assert len(line.get_xdata()) <= MOST_POINTS
    assert 0.0 == line.get_ydata()[0]
    assert pytest.approx(7.5) == line.get_ydata()[-1]
    assert "steps-post" == line.get_drawstyle()


def test_a_line_per_model_the_dearest_first_and_the_rest_together(tmp_path: Path) -> None:
    """Twelve lines are a knot; seven and "others" can be read, and they add up."""
    rows = [row(n, model=f"m{n:02}", cost_usd=f"0.{n + 1:02}") for n in range(12)]
    ax = tracker_of(tmp_path, *rows).plot()
    assert [*(f"m{n:02}" for n in range(11, 4, -1)), "5 others"] == [li.get_label().split("  ")[0] for li in ax.lines]
    assert [*COLOURS, OTHER] == [line.get_color() for line in ax.lines]
    assert MOST_MODELS + 1 == len(ax.lines)
    assert pytest.approx(0.78) == sum(line.get_ydata()[-1] for line in ax.lines)


def test_the_title_says_what_the_lines_leave_out(tmp_path: Path) -> None:
    """Unknown and estimated money is not in the lines, and simulated money is not money."""
    rows = [row(0, cost_usd="0.0412"), row(1, cost_usd="0.001", cost_source="estimated"), unknown(2), unknown(3)]
    ax = tracker_of(tmp_path, *rows, simulated=True).plot()
    assert "Spend over time: $0.0412 simulated + ~$0.0010 estimated + 2 unknown" == ax.get_title(loc="left")
    assert "acme/one  $0.0412" in texts(ax)
    assert 0.0412 == ax.lines[0].get_ydata()[-1]


def test_dollar_signs_are_not_formulas(tmp_path: Path) -> None:
    """Two of them in one text would be TeX to matplotlib, in a title as in a tag."""
    rows = [row(0, tag="$a_b$"), row(1, cost_source="estimated")]
    for by in (None, "tag"):
        ax = tracker_of(tmp_path, *rows).plot(by)
        drawn = [ax.title, *ax.texts, *ax.get_yticklabels(), ax._left_title]
        drawn += ax.get_legend().get_texts() if ax.get_legend() else []
        assert not any(text.get_parse_math() for text in drawn if text.get_text().count("$") > 1)


@pytest.mark.parametrize("by", [*PICTURES, "tag"])
def test_no_rows_give_a_friendly_sentence(tmp_path: Path, by: str | None) -> None:
    """An empty session is not an error."""
    assert "No calls to plot yet." in texts(tracker_of(tmp_path).plot(by))


def test_no_known_cost_gives_a_sentence(tmp_path: Path) -> None:
    """A line at $0 would be a lie."""
    assert "No cost is known yet: 2 unknown." in texts(tracker_of(tmp_path, unknown(), unknown()).plot())
    (tmp_path / "running").mkdir()
    running = tracker_of(tmp_path / "running", unknown(status="open")).plot()
    assert "No cost is known yet: the calls are running." in texts(running)


@pytest.mark.parametrize("usd", ["0.0004", "0", "123456.78", "0.000000000001"])
@pytest.mark.parametrize("by", [None, "model", "day", "cell"])
def test_one_row_can_be_drawn(tmp_path: Path, usd: str, by: str | None) -> None:
    """Whatever its amount."""
    ax = tracker_of(tmp_path, row(cost_usd=usd)).plot(by)
    words = texts(ax)
    assert any(word.startswith("$0") for word in words)
    if by is None:
        assert float(usd) == ax.lines[0].get_ydata()[-1]


def test_refusals_draw_no_line_of_their_own(tmp_path: Path) -> None:
    """No model ran; they are not one."""
    ax = tracker_of(tmp_path, row(0), row(1, model=None, status="refused", cost_usd="0", cost_source="none")).plot()
    assert 1 == len(ax.lines)


@pytest.mark.parametrize("by", [None, "day", "model", "provider"])
def test_only_refusals_are_a_sentence(tmp_path: Path, by: str | None) -> None:
    """Not a model called "no model" that cost $0."""
    ax = tracker_of(tmp_path, row(0, **REFUSED), row(1, **REFUSED)).plot(by)
    assert "No model ran, and nothing was billed: 2 calls." in texts(ax)
    assert not ax.lines
    assert not ax.patches


def test_one_call_stands_in_a_minute(tmp_path: Path) -> None:
    """A second that fills the picture has labels like 00.2."""
    left, right = tracker_of(tmp_path, row()).plot().get_xlim()
    assert pytest.approx(60) == (right - left) * 86_400


# --- budgets


def test_a_budget_is_a_dashed_line_above_what_all_models_cost_together(tmp_path: Path) -> None:
    """No single model reaches a budget that their sum has passed; estimates count too."""
    rows = [row(0, model="a", cost_usd="0.4"), row(9, model="b", cost_usd="0.3")]
    rows += [row(20, model="b", cost_usd="0.2", cost_source="estimated"), row(30, model="a", cost_usd="0.05")]
    ax = tracker_of(tmp_path, *rows, standings=budgets(session="1", day="9", total="7")).plot()
    assert ["together  $0.9500", "a  $0.4500", "b  $0.3000", "session budget  $1.00  95 % spent"] == [
        text.get_text() for text in ax.get_legend().get_texts()
    ]
    dashed, alarm = ax.lines[3:5]
    assert [1.0, 1.0] == list(dashed.get_ydata())
    assert ALARM == dashed.get_color() == alarm.get_color()
    assert 0.9 == pytest.approx(alarm.get_ydata()[0])  # the first that is past 80 %
    assert ax.get_ylim()[1] > 1.0


def test_below_80_percent_a_budget_is_calm(tmp_path: Path) -> None:
    """An alarm that always rings is none; one model needs no line of its sum."""
    ax = tracker_of(tmp_path, row(0, cost_usd="0.3"), row(9, cost_usd="0.2"), standings=budgets(session="0.63")).plot()
    assert ["acme/one  $0.5000", "session budget  $0.63  79 % spent"] == [
        text.get_text() for text in ax.get_legend().get_texts()
    ]
    assert [COLOURS[0], OTHER] == [line.get_color() for line in ax.lines]


def test_a_far_budget_does_not_press_the_spend_flat(tmp_path: Path) -> None:
    """It is said in words, and the arrow tells where it lies."""
    ax = tracker_of(tmp_path, row(0, cost_usd="0.01"), row(9), standings=budgets(session="100")).plot()
    assert "session budget  $100.00 ↑  < 1 % spent" in texts(ax)
    assert ax.get_ylim()[1] < 0.02


def test_a_share_is_a_lower_bound_where_costs_are_unknown(tmp_path: Path) -> None:
    """And is not rounded up: 99.9 % is not all."""
    rows = [row(0, cost_usd="0.999"), row(9, cost_usd="0")]
    (tmp_path / "told").mkdir()
    told = tracker_of(tmp_path / "told", *rows, standings=budgets(session="1")).plot()
    assert "session budget  $1.00  99 % spent" in texts(told)
    unsure = tracker_of(tmp_path, *rows, unknown(10), standings=budgets(session="1")).plot()
    assert "session budget  $1.00  ≥ 99 % spent" in texts(unsure)


@pytest.mark.parametrize(
    ("view", "told"), [({}, ["session"]), ({"all": True}, ["total"]), ({"since": "9999d"}, [])], ids=str
)
def test_only_a_budget_of_what_is_shown_is_drawn(tmp_path: Path, view: dict[str, Any], told: list[str]) -> None:
    """A session's limit says nothing about the spend of all sessions."""
    limits = budgets(session="0.002", day="0.002", week="0.002", total="0.002")
    now = datetime(2026, 11, 22, tzinfo=UTC)
    ax = tracker_of(tmp_path, row(0), row(9), standings=limits, now=lambda: now).plot(**view)
    found = [text.get_text() for text in ax.get_legend().get_texts() if "budget" in text.get_text()]
    assert told == [text.split()[0] for text in found]


@pytest.mark.parametrize("by", [None, "day"])
def test_simulated_money_has_simulated_budgets(tmp_path: Path, by: str | None) -> None:
    """Those that were set for it; the title says that none of it is money."""
    ax = tracker_of(tmp_path, row(0), simulated=True, standings=budgets(session="1", day="1")).plot(by)
    assert "simulated" in ax.get_title(loc="left")
    assert any("budget" in text for text in texts(ax))


@pytest.mark.parametrize("by", [None, "day"])
def test_a_budget_of_nothing_is_drawn_too(tmp_path: Path, by: str | None) -> None:
    """Somebody wants free models only."""
    ax = tracker_of(tmp_path, row(0), row(1), standings=budgets(session="0", day="0")).plot(by)
    assert any("budget" in text and "$0.00" in text for text in texts(ax))


# --- days


def test_days_are_stacked_and_days_without_calls_stay_free(tmp_path: Path) -> None:
    """The dearest model at the bottom; estimates are hatched; nothing is drawn at 0."""
    day_s = 86_400
    rows = [row(0, model="a", cost_usd="0.5"), row(9, model="b", cost_usd="0.2")]
    rows += [
        row(3 * day_s, model="a", cost_usd="0.1"),
        row(3 * day_s, model="a", cost_usd="0.3", cost_source="estimated"),
    ]
    ax = tracker_of(tmp_path, *rows).plot("day")
    assert [[0, 0.5], [0, 0.1], [0.1, 0.4], [0.5, 0.7]] == [pytest.approx(ends) for ends in heights(ax)]
    assert [False, True, False, True] == [bool(parts.get_hatch()) for parts in ax.collections]
    assert {"a  $0.6000 + ~$0.3000", "b  $0.2000", "estimated"} <= set(texts(ax))
    assert "Spend by day: $0.8000 + ~$0.3000 estimated" in texts(ax)
    assert ["20 Nov", "21 Nov", "22 Nov", "23 Nov"] == [label.get_text() for label in ax.get_xticklabels()]


@pytest.mark.parametrize("by", ["day", "model"])
def test_an_estimate_without_an_answer_is_that_of_the_model_that_was_asked(tmp_path: Path, by: str) -> None:
    """Money of no model is money that nobody can look for."""
    lost = row(0, model=None, model_requested="a", status="unknown", cost_usd="0.3", cost_source="estimated")
    drawn = tracker_of(tmp_path, lost, row(1, **REFUSED)).plot(by)
    words = [*texts(drawn), *[label.get_text() for label in drawn.get_yticklabels()]]
    assert any(word.startswith("a") and "acme" not in word for word in words)
    assert not any("no model" in word or "acme" in word for word in words)


def test_a_day_of_unknown_calls_has_a_question_mark_and_no_bar(tmp_path: Path) -> None:
    """A gap would say that nobody asked."""
    ax = tracker_of(tmp_path, row(0), unknown(86_400), unknown(86_401)).plot("day")
    (marks,) = ax.lines
    assert "$?$" == marks.get_marker()
    assert 1 == len(heights(ax))
    assert ([20_778.0], [0.0]) == (list(marks.get_xdata()), list(marks.get_ydata()))
    assert (date(2026, 11, 21) - date(1970, 1, 1)).days == marks.get_xdata()[0]
    assert "2 calls of unknown cost" in texts(ax)


def test_a_days_budget_marks_the_days_that_passed_it(tmp_path: Path) -> None:
    """Also those at 80 %; in the view of one session it says that it counts all of them."""
    rows = [row(n * 86_400, cost_usd=usd) for n, usd in enumerate(("0.5", "0.8", "1", "1.2"))]
    tracker = tracker_of(tmp_path, *rows, standings=budgets(day="1", session="1"))
    ax = tracker.plot("day", all=True)
    assert "day budget  $1.00  1 over · 2 past 80 %" in texts(ax)
    assert 3 == len(ax.collections[-1].get_segments())
    assert "day budget (all sessions)  $1.00  1 over · 2 past 80 %" in texts(tracker.plot("day"))


def test_years_of_days_are_few_artists(tmp_path: Path) -> None:
    """A rectangle of its own for every day and model would take seconds."""
    rows = [row(n * 86_400, model="abc"[n % 3]) for n in range(900)]
    ax = tracker_of(tmp_path, *rows).plot("day")
    assert 3 == len(ax.collections)
    assert 900 == len(heights(ax))


def moments(*texts_: str) -> pd.Series[Any]:
    return pd.Series(pd.DatetimeIndex(list(texts_)).tz_convert("UTC").as_unit("us"))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has no way to change the zone")
def test_a_day_is_the_users_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Midnight of the wall clock, also where a day has 25 hours or begins at one."""
    try:
        monkeypatch.setenv("TZ", "America/New_York")  # 1 November 2026 has 25 hours
        time.tzset()
        started = moments("2026-11-01T03:59Z", "2026-11-01T04:00Z", "2026-11-02T04:59Z", "2026-11-02T05:00Z")
        codes, dates = local_days(started)
        assert [0, 1, 1, 2] == list(codes)
        assert [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)] == dates
        monkeypatch.setenv("TZ", "Africa/Cairo")  # 24 April 2026 begins at 1:00
        time.tzset()
        codes, dates = local_days(moments("2026-04-23T21:59Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"))
        assert [0, 1, 2] == list(codes)
        assert [date(2026, 4, 23 + n) for n in range(3)] == dates
    finally:
        monkeypatch.undo()
        time.tzset()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40_000_000), min_size=1, max_size=50))
def test_every_call_is_in_the_day_of_its_clock(after_s: list[int]) -> None:
    """Whatever the zone of this machine."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    started = [begin + timedelta(seconds=s) for s in after_s]
    codes, dates = local_days(pd.Series(pd.DatetimeIndex(started).as_unit("us")))
    assert [moment.astimezone().date() for moment in started] == [dates[code] for code in codes]


def test_a_summary_knows_days_and_cells_too(tmp_path: Path) -> None:
    """What can be plotted can be read as a table."""
    tracker = tracker_of(tmp_path, row(0, cost_usd="0.5"), row(86_400), row(86_401))
    assert {"2026-11-20": 1, "2026-11-21": 2} == tracker.summary("day")["calls"].to_dict()
    assert 2 == len(tracker.summary(["day", "cell", "model"]))
    with pytest.raises(OptionError, match="'day'"):
        tracker.summary("dya")


# --- cells


def test_cells_have_names_to_read(tmp_path: Path) -> None:
    """The notebook, the number in the order of asking, and the beginning of an id that nobody could tell apart."""
    rows = [
        row(0, notebook="a.ipynb", cell_id="1111111111-2222", cost_usd="0.3"),
        row(1, notebook="b.ipynb", cell_id="1111111111-2222", cost_usd="0.2"),
        row(2, notebook="a.ipynb", cell_id="33333333-4444", cost_usd="0.1"),
        row(3, notebook="a.ipynb", cell_id="1111111111-2222", cost_usd="0.3"),
        row(4, notebook="a.ipynb", cost_usd="0.05"),
        row(5, cell_id="55", cost_usd="0.04"),
        row(6, cost_usd="0.03"),
    ]
    tracker = tracker_of(tmp_path, *rows)
    names = ["a · 1 · 11111111", "b · 1 · 11111111", "a · 2 · 33333333", "a · no cell", "1 · 55", "no cell"]
    for by in ("cell", "cell_id"):
        ax = tracker.plot(by)
        assert names == [label.get_text() for label in ax.get_yticklabels()]
        assert ax.get_title(loc="left").startswith("Spend by cell: ")
    assert names == list(tracker.summary("cell").index)


def test_no_cells_at_all_are_one_group(tmp_path: Path) -> None:
    """Scripts have none."""
    assert ["no cell"] == list(tracker_of(tmp_path, row(0), row(1)).summary("cell").index)
    (tmp_path / "empty").mkdir()
    assert 0 == len(tracker_of(tmp_path / "empty").summary(["cell", "day"]))


# --- seconds and speeds


def test_how_long_answers_took(tmp_path: Path) -> None:
    """The quickest model on top, every answer a dot; how many, median and 95th percentile beside it."""
    rows = [answer(n, latency_s, model="slow") for n, latency_s in enumerate((4, 5, 6, 7, 18))]
    rows += [answer(9, 3.0, model="quick"), answer(10, 1.0, model="quick")]
    ax = tracker_of(tmp_path, *rows).plot("latency")
    assert ["quick", "slow"] == [label.get_text() for label in ax.get_yticklabels()]
    assert [2, 5] == [len(dots.get_offsets()) for dots in ax.collections]
    assert ["answers", "2", "5", "median", "2.0 s", "6.0 s", "p95", "2.9 s", "16 s"] == [t.get_text() for t in ax.texts]
    assert "Time to the whole answer" in texts(ax)
    assert ax.yaxis_inverted()


def test_speed_has_the_fastest_on_top(tmp_path: Path) -> None:
    """More is better here."""
    rows = [answer(0, 4.0, model="slow", completion_tokens=30), answer(1, 4.0, model="fast", completion_tokens=300)]
    ax = tracker_of(tmp_path, *rows, simulated=True).plot("speed")
    assert ["fast", "slow"] == [label.get_text() for label in ax.get_yticklabels()]
    assert {"100", "10", "Tokens per second, simulated"} <= set(texts(ax))


def test_only_finished_answers_have_a_speed_and_the_others_are_counted(tmp_path: Path) -> None:
    """A refusal is quick, and an interrupted answer is short: neither says how quick a model is."""
    rows = [answer(0), answer(1, status="interrupted"), row(2, **REFUSED, latency_s=0.1), answer(3, status="cached")]
    ax = tracker_of(tmp_path, *rows, row(4)).plot("latency")
    assert ["acme/one"] == [label.get_text() for label in ax.get_yticklabels()]
    assert [1] == [len(dots.get_offsets()) for dots in ax.collections]
    assert "4 of 5 calls left out: not finished, or not measured" in ax.get_xlabel()
    (tmp_path / "none").mkdir()
    nothing = tracker_of(tmp_path / "none", rows[2]).plot("latency")
    assert "Time to the whole answer: no call is finished and measured (1 made)." in texts(nothing)


def test_ten_thousand_answers_are_as_many_dots_as_can_be_seen(tmp_path: Path) -> None:
    """The quickest and the slowest among them; where they lie far apart the axis is logarithmic, and says so."""
    seconds = np.random.default_rng(1).lognormal(0.5, 1.0, 10_000)
    ax = tracker_of(tmp_path, *[answer(n, float(s)) for n, s in enumerate(seconds)]).plot("latency")
    x = ax.collections[0].get_offsets()[:, 0]
    assert MOST_DOTS == len(x)
    assert [seconds.min(), seconds.max()] == pytest.approx([x.min(), x.max()])
    assert "log" == ax.get_xscale()
    assert "logarithmic scale" == ax.get_xlabel()
    median, p95 = np.quantile(seconds, (0.5, 0.95))
    assert {"10,000", f"{median:.1f} s", f"{p95:.1f} s"} <= set(texts(ax))


def test_many_models_end_in_the_others(tmp_path: Path) -> None:
    """Those asked most often have a row."""
    rows = [answer(n, model=f"m{n % 20:02}") for n in range(45)]
    ax = tracker_of(tmp_path, *rows).plot("latency")
    assert [*(f"m{n:02}" for n in range(MOST_ROWS)), f"{20 - MOST_ROWS} others"] == [
        label.get_text() for label in ax.get_yticklabels()
    ]
    assert 45 == sum(len(dots.get_offsets()) for dots in ax.collections)


def test_every_word_of_a_spread_can_be_drawn(tmp_path: Path) -> None:
    """The columns of seconds and speeds are no groups to sum money by."""
    tracker = tracker_of(tmp_path, answer(0), answer(1))
    assert {"latency_s", "first_token_s", "tokens_per_s", "latency", "speed"} == set(SPREADS)
    for by in SPREADS:
        assert "2" in texts(tracker.plot(by))
    with pytest.raises(OptionError, match="'latency'"):
        tracker.plot("latncy")


def test_on_the_users_axes_the_figures_stand_in_the_names(tmp_path: Path) -> None:
    """Right of them there may be a neighbour."""
    _, ax = plt.subplots()
    tracker_of(tmp_path, answer(0)).plot("latency", ax=ax)
    assert ["acme/one\n1 · 2.0 s · p95 2.0 s"] == [label.get_text() for label in ax.get_yticklabels()]
    assert not ax.texts


# --- the axis of dollars


@pytest.mark.parametrize(
    ("amount", "step", "told"),
    [
        (0.0004, 0.0002, "$0.0004"),
        (0.0, 0.0002, "$0.0000"),
        (0.25, 0.25, "$0.25"),
        (0.025, 0.025, "$0.025"),
        (0.5, 0.5, "$0.50"),
        (5.0, 5.0, "$5"),
        (2.5, 2.5, "$2.50"),
        (1200.0, 200.0, "$1,200"),
        (2e-12, 1e-12, "$0.000000000002"),
        (0.0, 0.0, "$0"),
    ],
)
def test_dollars_on_the_axis_can_be_told_apart(amount: float, step: float, told: str) -> None:
    """Plain figures at any scale: no 1e-4, no two ticks with the same label."""
    assert told == dollars_text(amount, step)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has no way to change the zone")
def test_time_is_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the wall clock: 14:00 UTC is 9:00 in New York."""
    try:
        monkeypatch.setenv("TZ", "America/New_York")
        time.tzset()
        assert "09:10" in texts(tracker_of(tmp_path, row(0), row(1200)).plot())
    finally:
        monkeypatch.undo()
        time.tzset()


# --- bars


def test_bars_carry_their_amounts(tmp_path: Path) -> None:
    """The dearest on top; estimates behind a hatch, unknown calls in words."""
    rows = [
        row(0, tag="exp", cost_usd="0.02"),
        row(1, cost_usd="0.03"),
        row(2, tag="exp", cost_usd="0.001", cost_source="estimated"),
        unknown(3, tag="exp"),
        unknown(4, tag="lost"),
    ]
    ax = tracker_of(tmp_path, *rows).plot(by="tag")
    assert ["no tag", "exp", "lost"] == [label.get_text() for label in ax.get_yticklabels()]
    assert ["$0.0300", "$0.0200 + ~$0.0010 estimated + 1 unknown", "1 unknown"] == [t.get_text() for t in ax.texts]
    assert [0.03, 0.02, 0.0, 0.0, 0.001, 0.0] == [pytest.approx(bar.get_width()) for bar in ax.patches]
    assert ax.yaxis_inverted()


def test_a_single_bar_is_no_wall(tmp_path: Path) -> None:
    """It filled its picture from edge to edge."""
    low, high = sorted(tracker_of(tmp_path, row()).plot("model").get_ylim())
    assert (-1, 1) == (low, high)


def test_a_model_that_is_free_is_drawn_and_one_that_only_refused_is_not(tmp_path: Path) -> None:
    """Nothing was spent by either, but the one has answered."""
    free = row(1, model="a:free", cost_usd="0", completion_tokens=3)
    ax = tracker_of(tmp_path, row(0), free, row(2, **{**REFUSED, "model_requested": "no/such"})).plot("model")
    assert ["acme/one", "a:free"] == [label.get_text() for label in ax.get_yticklabels()]


def test_many_bars_end_in_the_others(tmp_path: Path) -> None:
    """Their sum is not lost, and what is unknown in them is not either."""
    rows = [row(n, cell_id=f"c{n:03}", cost_usd=f"{100 - n}") for n in range(40)]
    ax = tracker_of(tmp_path, *rows, unknown(50, cell_id="u")).plot(by="cell_id")
    assert MOST_BARS + 1 == len(ax.get_yticklabels())
    assert f"{41 - MOST_BARS} others" == ax.get_yticklabels()[-1].get_text()
    assert ax.texts[-1].get_text().endswith(" + 1 unknown")
    billed = sum(bar.get_width() for bar in ax.patches[: MOST_BARS + 1])
    assert pytest.approx(sum(range(61, 101))) == billed


def test_long_names_are_cut_in_the_middle(tmp_path: Path) -> None:
    """Beginning and end of a path are what tells it from others."""
    ax = tracker_of(tmp_path, row(notebook="work/" + "very/" * 20 + "deep.ipynb")).plot(by="notebook")
    label = ax.get_yticklabels()[0].get_text()
    assert 40 == len(label)
    assert label.startswith("work/very")
    assert label.endswith("deep.ipynb")


# --- the picture


@pytest.mark.parametrize("by", PICTURES)
def test_axes_of_the_users_are_used(tmp_path: Path, by: str | None) -> None:
    """With no figure besides, and with the colours that its owner chose."""
    figure, ax = plt.subplots()
    before = ax.get_facecolor(), ax.xaxis.get_tick_params().get("labelcolor")
    assert ax is tracker_of(tmp_path, answer(0), answer(1)).plot(by, ax=ax)
    assert [figure.number] == plt.get_fignums()
    assert before == (ax.get_facecolor(), ax.xaxis.get_tick_params().get("labelcolor"))


@pytest.mark.parametrize("by", [None, "day"])
def test_a_legend_covers_nothing_where_the_users_figure_makes_room(tmp_path: Path, by: str | None) -> None:
    """Eleven lines of text on a small picture would hide it."""
    figure, (above, below) = plt.subplots(2, 1, layout="constrained", figsize=(5, 8))
    tracker_of(tmp_path, *[row(n, model=f"m{n}") for n in range(8)]).plot(by, ax=above)
    figure.canvas.draw()
    box = above.get_legend().get_window_extent()
    assert box.y1 < above.get_window_extent().y0
    assert box.y0 > below.get_window_extent().y1


def contrast(colour: str, page: str) -> float:
    """WCAG's contrast of two colours."""

    def luminance(name: str) -> float:
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    dark, light = sorted((luminance(colour), luminance(page)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#111111", "#1e1e1e"])
@pytest.mark.parametrize("colour", [*COLOURS, OTHER, ALARM, X_INK, Y_INK])
def test_every_colour_stands_out_from_light_and_from_dark_pages(colour: str, page: str) -> None:
    """WCAG asks 3 for graphics and large text; the same picture is seen on both pages."""
    assert contrast(colour, page) >= 3.4


def test_the_same_ledger_gives_the_same_picture(tmp_path: Path) -> None:
    """Colours do not depend on the order of rows or on hashes."""
    tracker = tracker_of(tmp_path, *[row(n, model=name) for n, name in enumerate("cab")])
    drawn = [[(line.get_label(), line.get_color()) for line in tracker.plot().lines] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert ["a", "b", "c"] == [label[0] for label, _ in drawn[0]]


CELLS = {
    "the last expression": "tracker.plot()",
    "assigned": "ax = tracker.plot()",
    "by day": "tracker.plot('day')",
    "how long answers took": "tracker.plot('latency')",
    "with a semicolon": "tracker.plot();",
    "followed by a statement": "tracker.plot()\nx = 1",
    "followed by an expression": "tracker.plot('model')\n1",
    "in a function": "def look():\n    return tracker.plot('model')\nlook()",
    "one ax twice": "ax = tracker.plot()\nax",
}


def test_a_notebook_shows_each_plot_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a cell does with the axes: one picture, on the page's own background."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    ledger_of(tmp_path, [answer(0), answer(60)]).close()
    begin = (
        f"import sys; sys.path.insert(0, {str(Path(or_magic.__file__).parents[1])!r})\n"
        "from pathlib import Path\n"
        "from or_magic.features.tracker import Tracker\n"
        "from or_magic.ledger import Ledger\n"
        "from or_magic.ledger.sqlite import SqliteStore\n"
        f"tracker = Tracker(Ledger(SqliteStore(Path({str(tmp_path / 'ledger.sqlite')!r}))), 'ours')\n"
    )
    cells = [nbformat.v4.new_code_cell(code) for code in (begin + "tracker.plot()", *CELLS.values())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=HANG_S, kernel_name="python3").execute()
    for name, cell in zip(("the first cell of all", *CELLS), notebook.cells, strict=True):
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert 1 == len(pictures), name
        assert "needs_background" not in pictures[0].metadata, name
