"""Plots hide nothing: neither the last call, nor a jump, nor what is unknown, estimated or simulated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from nbclient import NotebookClient

import or_magic
from or_magic.features import plots
from or_magic.features.plots import COLOURS, MOST_BARS, MOST_LINES, MOST_POINTS, OTHER, dollars_text, thin

from .rows import ledger_of, row, tracker_of, unknown


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
    assert MOST_LINES + 1 == len(ax.lines)
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


@pytest.mark.parametrize("by", [None, "model", "tag"])
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
@pytest.mark.parametrize("by", [None, "model"])
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


@pytest.mark.parametrize("by", [None, "model"])
def test_axes_of_the_users_are_used(tmp_path: Path, by: str | None) -> None:
    """With no figure besides, and with the colours that its owner chose."""
    figure, ax = plt.subplots()
    before = ax.get_facecolor(), ax.xaxis.get_tick_params().get("labelcolor")
    assert ax is tracker_of(tmp_path, row(0), row(1)).plot(by, ax=ax)
    assert [figure.number] == plt.get_fignums()
    assert before == (ax.get_facecolor(), ax.xaxis.get_tick_params().get("labelcolor"))


def contrast(colour: str, page: str) -> float:
    """WCAG's contrast of two colours."""

    def luminance(name: str) -> float:
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    dark, light = sorted((luminance(colour), luminance(page)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#111111", "#1e1e1e"])
@pytest.mark.parametrize("colour", [*COLOURS, OTHER, plots.X_INK, plots.Y_INK])
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
    "with a semicolon": "tracker.plot();",
    "followed by a statement": "tracker.plot()\nx = 1",
    "followed by an expression": "tracker.plot('model')\n1",
    "in a function": "def look():\n    return tracker.plot('model')\nlook()",
    "one ax twice": "ax = tracker.plot()\nax",
}


def test_a_notebook_shows_each_plot_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a cell does with the axes: one picture, on the page's own background."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    ledger_of(tmp_path, [row(0), row(60)]).close()
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
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for name, cell in zip(("the first cell of all", *CELLS), notebook.cells, strict=True):
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert 1 == len(pictures), name
        assert "needs_background" not in pictures[0].metadata, name
