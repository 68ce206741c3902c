"""Reports: exact sums by cell, model and tag, real and simulated apart, in texts, tables, pages and budgets."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.errors import OptionError, ReportError
from or_magic.features.receipts import Receipt, frame, read_notebook, read_notebooks
from or_magic.features.report import (
    BY,
    Report,
    as_json,
    decimals,
    headline,
    lines,
    remarks,
    report,
    report_of,
    within,
)  # fmt: skip
from or_magic.features.report_files import csv_text, write_csv, write_html
from or_magic.features.report_page import MARK, page

from ..protocol.payloads import payloads
from ..world.test_ledger_files import umask
from .inert import skeleton
from .notebooks import cell, notebook, receipt
from .rows import row, tracker_of, unknown

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def answer(usd: str | None = "0.001", **told: Any) -> Receipt:
    pico = None if usd is None else int(Decimal(usd) * 10**12)
    source = "unknown" if usd is None else "billed"
    return Receipt(
        **{"gateway": "openrouter", "model": "acme/one", "cost_pico": pico, "cost_source": source, "status": "ok"}
        | told
    )


def simulated(usd: str | None = "5", **told: Any) -> Receipt:
    return answer(usd, **{"gateway": "offline"} | told)


def of(*receipts: Receipt, cleared: int = 0) -> Report:
    return Report(("study.ipynb",), receipts, cleared)


def told(found: Report, by: str = "model") -> str:
    return "\n".join(lines(found, by))


# --- sums


def test_sums_are_exact_whatever_the_context(tmp_path: Path) -> None:
    """A notebook may have set another precision for its own sums."""
    found = of(*[answer("0.05") for _ in range(20)], answer("0.000000000001"))
    with localcontext() as context:
        context.prec = 3
        assert Decimal("1.000000000001") == found.real.total.billed_usd
        assert "$1.000000000001 for 21 answers." == headline(found)
        assert "$1.000000000001" in page(found, NOON)
        assert (False, "Over the budget: $1.000000000001 is $0.000000000001 more than $1.0000.") == within(
            found, Decimal(1)
        )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            answer,
            st.none() | st.decimals(0, 1000, places=12).map(str),
            model=st.sampled_from([None, "a", "b", "=c"]),
            tag=st.sampled_from([None, "x", "no tag"]),
            gateway=st.sampled_from(["openrouter", "offline", "local:x"]),
            notebook=st.sampled_from(["n", "m"]),
            cell=st.integers(1, 5),
        ),
        max_size=20,
    )
)
def test_every_view_holds_every_answer_and_every_cent_once(receipts: list[Receipt]) -> None:
    """By cell, model or tag: the groups add up to the sums, and no group mixes real and simulated."""
    found = Report(("n", "m"), tuple(receipts))
    for by in BY:
        groups = found.groups(by)
        for whole, kind in ((found.real, False), (found.simulated, True)):
            parts = [group.figures for group in groups if group.figures.simulated is kind]
            assert whole.calls == sum(part.calls for part in parts)
            assert whole.billed_pico == sum(part.billed_pico for part in parts)
            assert whole.unknown_calls == sum(part.unknown_calls for part in parts)
        assert groups == sorted(groups, key=lambda group: group.figures.simulated)
        if by != "cell":
            assert len(groups) == len({(group.label, group.figures.simulated) for group in groups})
    json.dumps(as_json(found))


def test_the_dearest_comes_first_but_cells_keep_their_order() -> None:
    """One looks for what is dear; a cell is looked for where it stands."""
    found = of(answer("1", model="b", cell=1), answer("3", model="a", cell=2), answer("3", model="c", cell=2))
    assert ["a", "c", "b"] == [group.label for group in found.groups("model")]
    assert ["cell 1", "cell 2"] == [group.label for group in found.groups("cell")]


def test_another_view_is_an_error() -> None:
    """It names the three there are."""
    with pytest.raises(OptionError, match="cell, model or tag"):
        of().groups("provider")


def test_the_ledger_and_its_frame_tell_the_same(tmp_path: Path) -> None:
    """A session without a file: running calls are not due, estimates are marked, free ones cost nothing."""
    tracker = tracker_of(
        tmp_path,
        row(cost_usd="0.05", tag="x", notebook="n.ipynb", cell_id="c1", prompt_tokens=1, completion_tokens=2),
        row(cost_usd="0.01", cost_source="estimated"),
        row(cost_usd=None, cost_source="none", status="refused"),
        unknown(),
        unknown(status="open"),
    )
    found = report(tracker.frame(), running="ours")
    real = found.real
    assert (5, 1, 1) == (real.calls, real.unknown_calls, real.running)
    assert real.total == tracker.total()
    assert "$0.0500 + ~$0.0100 estimated + 1 unknown for 5 answers." == headline(found)
    assert any("running now" in sentence for sentence in remarks(found))
    assert "n.ipynb · c1" in [group.label for group in found.groups("cell")]
    assert "estimated" in page(found, NOON)


def test_a_part_of_a_frame_has_a_report_too(tmp_path: Path) -> None:
    """Whoever filters rows in pandas can report them; receipts have a frame as well."""
    rows = tracker_of(tmp_path, row(tag="x", cost_usd="0.5"), row(tag="y")).frame()
    assert 500_000_000_000 == report(rows[rows["tag"] == "x"]).real.billed_pico
    receipts = (answer("0.1", cell=3), answer(None), simulated("0.3"))
    assert receipts == report(frame(receipts)).receipts


def test_an_answer_in_two_files_is_counted_once(tmp_path: Path) -> None:
    """A copied notebook did not pay again."""
    same = receipt()
    paths = [notebook(tmp_path, [cell(same)], name) for name in ("a.ipynb", "b.ipynb")]
    found = report_of(read_notebooks(paths))
    assert (1, 10**9) == (found.real.calls, found.real.billed_pico)
    assert "1 repeated answer counted once." in told(found)


# --- words


def test_simulated_money_is_never_mixed_with_real() -> None:
    """Not in the sentence, not in a row, not on the page, and never against a budget."""
    found = of(answer("0.01", tag="x"), simulated("5", tag="x"), simulated(None))
    assert "$0.0100 for 1 answer; $5.0000 simulated + 1 unknown for 2 answers." == headline(found)
    assert 2 == sum(line.endswith(("  x", "  x (simulated)")) for line in lines(found, "tag"))
    assert "5.01" not in told(found) + page(found, NOON)
    assert within(found, Decimal("0.01"))[0]
    assert "$5.0000 simulated for 1 answer." == headline(of(simulated()))


def test_what_is_not_known_is_said() -> None:
    """Alone it is unknown, in a sum the sum is a lower bound."""
    found = of(answer(None, model="a"), answer("1", model="b"), answer(None, model="b"), cleared=2)
    words = told(found)
    assert "unknown" in words.splitlines()[-1]
    assert "≥ $1.0000" in words
    assert "2 cells with a question but no output" in words
    html = page(found, NOON)
    for piece in ("≥ $1.0000", "unknown", "2 cells with a question", "The cost of 2 answers is not known"):
        assert piece in html


def test_an_empty_report_says_so() -> None:
    """No answers is a finding, not an error."""
    assert ["No answers."] == list(lines(of(), "model"))
    assert "0 answers" in page(of(), NOON)


def test_costs_are_shown_to_their_last_digit() -> None:
    """A report is for adding up; digits are the same in a column."""
    found = of(answer("0.00000465", model="a"), answer("12.5", model="b"))
    assert 8 == decimals(found.groups("model"))
    assert " $0.00000465 " in told(found)
    assert "$12.50000000 " in told(found)
    assert {"0.00000465", "12.5"} == {each["billed_usd"] for each in as_json(found)["by"]["model"]}


def test_a_name_cannot_fake_a_line_or_a_command_of_a_build_server() -> None:
    """Logs of CI are read by programs: some words at the beginning of a line, or a ## before a bracket, act."""
    tricks = ["::add-mask::x", "a\n::error::x", "##vso[task.setvariable]x", "\x1b[31mred", "##[error]x", "###[error]"]
    for by in BY:
        for name in tricks:
            text = told(of(answer(model=name, tag=name, notebook=name, cell_id=name)), by)
            assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
            assert not {"\x1b", "\r"} & set(text)
            assert "##" not in text


# --- the budget


@pytest.mark.parametrize(
    ("costs", "cleared", "most", "allow", "fits", "words"),
    [
        (["0.5", "0.5"], 0, "1", False, True, "Within the budget: $1.0000 of $1.0000."),
        (["0.5", "0.6"], 0, "1", False, False, "$1.1000 is $0.1000 more than $1.0000"),
        (["1.000000000001"], 0, "1", True, False, "$0.000000000001 more"),
        ([], 0, "0", False, True, "$0.0000 of $0.0000"),
        (["0"], 0, "0", False, True, "$0.0000 of $0.0000"),
        ([None], 0, "100", False, False, "there is 1 answer of unknown cost. --allow-unknown"),
        ([None, None], 1, "100", False, False, "there are 2 answers of unknown cost and 1 cell with a question"),
        ([], 1, "100", False, False, "there is 1 cell with a question but no output"),
        ([None, "1"], 2, "1", True, True, "Not counted: 1 answer of unknown cost and 2 cells"),
        ([None, "2"], 0, "1", True, False, "$1.0000 more"),
    ],
)
def test_a_budget_holds_only_if_that_can_be_shown(
    costs: list[str | None], cleared: int, most: str, words: str, *, allow: bool, fits: bool
) -> None:
    """A bill must not hide behind what nobody knows."""
    found, why = within(of(*map(answer, costs), cleared=cleared), Decimal(most), allow_unknown=allow)
    assert fits is found
    assert words in why


def test_an_estimate_counts_against_the_budget() -> None:
    """It is the best that is known, and more than nothing."""
    assert not within(of(answer("2", cost_source="estimated")), Decimal(1))[0]


# --- the page


def test_the_page_stands_alone() -> None:
    """It asks nobody for anything, runs nothing, and says so to the browser."""
    html = page(of(answer(), simulated()), NOON)
    assert html.startswith(MARK)
    assert "default-src 'none'" in html
    for piece in ("<script", "://", "url(", "@import", "<link", "<img", "<a ", "javascript:", " src=", " href="):
        assert piece not in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert "2026-11-21 at 12:00 UTC" in html


def hostile(text: str) -> Report:
    return Report((text,), (answer(model=text, tag=text, notebook=text, cell_id=text, status=text, provider=text),))


def test_no_payload_changes_the_page() -> None:
    """R30: of thousands of tricks in every text, each page has the very elements and attributes of a harmless one."""
    harmless = skeleton(page(hostile("harmless"), NOON))
    assert {"html", "head", "meta", "title", "style", "body", "main", "table", "svg", "rect"} <= {
        tag for tag, _ in harmless
    }
    texts = [payload.text for payload in payloads() if payload.text.strip()]
    assert 2000 <= len(texts)
    assert [] == [text for text in texts if skeleton(page(hostile(text), NOON)) != harmless]


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_no_text_changes_the_page(text: str) -> None:
    """Nor any other text that hypothesis can think of."""
    assert skeleton(page(hostile("harmless"), NOON)) == skeleton(page(hostile(text), NOON))


def test_a_page_of_very_many_cells_stays_small() -> None:
    """Ten thousand rows are for the CSV file; the page keeps the dearest, in their order."""
    found = of(*[answer(str(n), cell=n, model="m") for n in range(1, 10_001)])
    html = page(found, NOON)
    assert "cell 10000" in html
    assert "cell 9800<" not in html
    assert html.index("cell 9801") < html.index("cell 10000")
    assert "and 9,800 more" in html
    assert len(html) < 200_000


# --- files


def paths(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_for_sharing(tmp_path: Path) -> None:
    """Their mode is what the umask says, and nothing is left beside them."""
    for mask, expected in ((0o022, 0o644), (0o077, 0o600), (0o000, 0o666)):
        with umask(mask):
            for path in (
                write_html(of(answer()), tmp_path / f"{mask}.html", NOON), write_csv(of(answer()), tmp_path / f"{mask}.csv")
            ):  # fmt: skip
                assert expected == stat.S_IMODE(path.stat().st_mode)
    assert ["0.csv", "0.html", "18.csv", "18.html", "63.csv", "63.html"] == list(paths(tmp_path))


def test_a_path_may_begin_with_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook has no shell that writes it out; a name that is nobody's home is a name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / "r.html" == write_html(of(), "~/r.html", NOON)
    assert tmp_path / "r.csv" == write_csv(of(), "~/r.csv")
    notebook(tmp_path, [cell(receipt())])
    assert 1 == len(read_notebook("~/study.ipynb").receipts)
    assert 1 == len(read_notebooks(["~/study.ipynb", tmp_path / "study.ipynb"]))
    with pytest.raises(ReportError, match="~nobody-of-this-name"):
        read_notebook("~nobody-of-this-name/a.ipynb")


def test_only_a_report_is_written_over(tmp_path: Path) -> None:
    """A mistyped name must not cost a notebook."""
    for name, write in (("r.html", lambda path: write_html(of(), path, NOON)), ("r.csv", lambda path: write_csv(of(answer()), path))):  # fmt: skip
        path = tmp_path / name
        path.write_text("")
        write(path)
        first = path.read_text()
        write(path)
        assert first == path.read_text()
        path.write_text("my own words")
        with pytest.raises(ReportError, match="no report"):
            write(path)
        assert "my own words" == path.read_text()


def test_no_link_is_followed(tmp_path: Path) -> None:
    """It could lead the report over another file."""
    target = tmp_path / "target"
    target.write_text(MARK)
    (tmp_path / "r.html").symlink_to(target)
    (tmp_path / "dangling.html").symlink_to(tmp_path / "nowhere")
    for name in ("r.html", "dangling.html"):
        with pytest.raises(ReportError, match="not a plain file"):
            write_html(of(answer()), tmp_path / name, NOON)
    assert MARK == target.read_text()
    assert not (tmp_path / "nowhere").exists()


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """No such folder, a folder in its place, no name at all."""
    (tmp_path / "folder.html").mkdir()
    for path in (
        tmp_path / "none" / "r.html",
        tmp_path / "folder.html",
        tmp_path / ("x" * 300),
        str(tmp_path / "a\0b"),
    ):
        with pytest.raises(ReportError):
            write_html(of(answer()), path, NOON)
    assert ["folder.html"] == list(paths(tmp_path))


def test_the_table_of_a_file_has_one_line_per_answer() -> None:
    """Unknown is empty, costs are exact, numbers are numbers."""
    text = csv_text([answer("0.00000465", cell=2, prompt_tokens=3), answer(None, tag="=1+1")])
    header, first, second = [line.split(",") for line in text.splitlines()]
    assert ("0.00000465", "3", "2", "false") == tuple(
        first[header.index(name)] for name in ("cost_usd", "prompt_tokens", "cell", "simulated")
    )
    assert ("", "'=1+1") == tuple(second[header.index(name)] for name in ("cost_usd", "tag"))
    assert "=1+1" == csv_text([answer(None, tag="=1+1")], raw=True).splitlines()[1].split(",")[header.index("tag")]
