"""Receipts: what a saved notebook tells about its answers, and what it cannot make anybody believe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.errors import ReportError
from or_magic.features import receipts as receipts_module
from or_magic.features.frame import COLUMNS as LEDGER_COLUMNS
from or_magic.features.receipts import COLUMNS, of_frame, once, read_notebook, read_notebooks
from or_magic.features.report import figures
from or_magic.notebook.words import receipt as written
from or_magic.values import Reply, Usage

from ..guards import HANG_S
from .notebooks import cell, notebook, receipt
from .rows import row, tracker_of, unknown

ROOT = Path(__file__).resolve().parent.parent.parent


def read(tmp_path: Path, *cells: Any) -> pd.DataFrame:
    return tracker_of(tmp_path).receipts(notebook(tmp_path, cells))


# --- what is told


def test_there_is_one_row_per_answer_in_the_order_of_the_cells(tmp_path: Path) -> None:
    """Cells count from 1, also those that ask nothing."""
    found = read(
        tmp_path,
        {"cell_type": "markdown", "source": "# Title", "metadata": {}},
        cell(receipt(model="b/b", tag="x"), receipt(model="a/a"), id="second"),
        cell(receipt(model="c/c"), id="third"),
    )
    assert [("b/b", 2, "second"), ("a/a", 2, "second"), ("c/c", 3, "third")] == list(
        found[["model", "cell", "cell_id"]].itertuples(index=False, name=None)
    )
    assert ["study.ipynb"] == list(found["notebook"].unique())
    assert ["x", None] == found["tag"].astype(object).where(found["tag"].notna(), None).tolist()[:2]


def test_the_columns_are_those_of_the_ledger_where_they_mean_the_same(tmp_path: Path) -> None:
    """Both frames can be looked at by the same code, and an empty one has the same types."""
    ours = {"cell", "simulated", "cost_pico", "copies"}
    assert ours == set(COLUMNS) - set(LEDGER_COLUMNS)
    full, empty = read(tmp_path, cell(receipt())), read(tmp_path)
    assert list(COLUMNS) == list(full.columns)
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()


def test_what_words_writes_is_what_is_read(tmp_path: Path) -> None:
    """The two sides of the receipt are in two rooms; this holds them together."""
    reply = Reply(
        usage=Usage(prompt_tokens=3, completion_tokens=4, cost_usd=Decimal("0.00000465")), model="a/b-1",
        model_requested="a/b", provider="P", gateway="openrouter", finish_reason="length", status="ok", id="gen-9",
        call_id="c9", latency_s=2.25, first_token_s=0.5,
    )  # fmt: skip
    (found,) = read_notebook(notebook(tmp_path, [cell(written(reply, "mine"))])).receipts
    assert ("mine", "a/b", "a/b-1", "P", "openrouter") == (
        found.tag, found.model_requested, found.model, found.provider, found.gateway,
    )  # fmt: skip
    assert ("ok", "length", 3, 4, 7) == (
        found.status, found.finish_reason, found.prompt_tokens, found.completion_tokens, found.total_tokens,
    )  # fmt: skip
    assert (Decimal("0.00000465"), "billed", 2.25, "gen-9", "c9") == (
        found.cost_usd, found.cost_source, found.latency_s, found.generation_id, found.call_id,
    )  # fmt: skip


def test_receipts_of_the_first_versions_are_read(tmp_path: Path) -> None:
    """Notebooks stay for years; the first receipts had eight fields."""
    first = {
        "completion_tokens": 108, "cost_usd": "0.00168", "gateway": "offline", "generation_id": "gen-1",
        "model": "a/b", "prompt_tokens": 20, "provider": "Offline Simulator", "status": "ok",
    }  # fmt: skip
    found = read(tmp_path, cell(first)).iloc[0]
    assert (1_680_000_000, True, 128) == (found["cost_pico"], found["simulated"], found["total_tokens"])
    assert pd.isna(found["tag"])
    assert pd.isna(found["latency_s"])


def test_this_projects_own_notebooks_can_be_read() -> None:
    """The golden notebooks are simulated from end to end."""
    found = read_notebooks(sorted((ROOT / "notebooks").glob("*.ipynb")))
    assert all(one.receipts for one in found)
    assert {"offline"} == {each.gateway for one in found for each in one.receipts}


def test_an_old_format_of_notebook_is_read_too(tmp_path: Path) -> None:
    """nbformat 3 kept its cells in worksheets and their words in ``input``."""
    old = cell(receipt(), input="%%or\nx")
    del old["source"]
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": [old, cell()]}]}))
    found = read_notebook(path)
    assert (1, 1) == (len(found.receipts), found.unanswered_cells)


# --- money


@pytest.mark.parametrize(
    ("cost", "status", "pico", "source"),
    [
        ("0.00000465", "ok", 4_650_000, "billed"),
        (None, "ok", None, "unknown"),
        (None, "partial", None, "unknown"),
        (None, "interrupted", None, "unknown"),
        (None, "error", None, "unknown"),
        (None, "unknown", None, "unknown"),
        (None, "something new", None, "unknown"),
        (None, "refused", 0, "none"),
        ("0", "refused", 0, "none"),
        ("0", "error", 0, "none"),
        ("0", "ok", 0, "billed"),
        (None, "cached", 0, "none"),
        ("0.5", "refused", 500_000_000_000, "billed"),
        ("-1", "ok", None, "unknown"),
        ("-1", "refused", None, "unknown"),
        ("NaN", "ok", None, "unknown"),
        ("sNaN", "ok", None, "unknown"),
        ("Infinity", "ok", None, "unknown"),
        ("1e999999", "ok", None, "unknown"),
        ("1e-999999", "ok", 0, "billed"),
        ("cheap", "ok", None, "unknown"),
        ("", "ok", None, "unknown"),
        ("9" * 10_000, "ok", None, "unknown"),
        (0.1, "ok", 100_000_000_000, "billed"),
        (1, "ok", 1_000_000_000_000, "billed"),
        (True, "ok", None, "unknown"),
        ([], "ok", None, "unknown"),
        ({}, "ok", None, "unknown"),
    ],
)
def test_a_cost_is_exact_or_unknown(tmp_path: Path, cost: Any, status: str, pico: int | None, source: str) -> None:
    """What a damaged or edited file says is never 0 for want of something better."""
    (found,) = read_notebook(notebook(tmp_path, [cell(receipt(cost_usd=cost, status=status))])).receipts
    assert (pico, source) == (found.cost_pico, found.cost_source)


def test_a_local_server_bills_nothing(tmp_path: Path) -> None:
    """It tells no cost; that is known to be none, as in the ledger."""
    found = read(
        tmp_path, cell(receipt(gateway="local:ollama", cost_usd=None), receipt(gateway="local", cost_usd=None))
    )
    assert ["none", "unknown"] == list(found["cost_source"])
    assert 0 == found["cost_pico"][0]


def test_unknown_is_na_and_never_zero(tmp_path: Path) -> None:
    """Alone or inside a sum."""
    found = read(tmp_path, cell(receipt(cost_usd=None, status="partial", prompt_tokens=None)))
    assert found[["cost_usd", "cost_pico", "prompt_tokens", "total_tokens"]].isna().all(axis=None)


def test_a_sum_of_receipts_is_exact(tmp_path: Path) -> None:
    """Twenty times a twentieth is one."""
    found = read(tmp_path, *[cell(receipt(cost_usd="0.05")) for _ in range(20)])
    assert 10**12 == found["cost_pico"].sum()


# --- the same answer twice


def test_an_answer_that_is_shown_twice_is_one_row(tmp_path: Path) -> None:
    """A Reply that is displayed again, or a copied cell, costs nothing."""
    one = receipt()
    found = read(tmp_path, cell(one), cell(receipt()), cell(one, one))
    assert [3, 1] == list(found["copies"])
    assert [1, 2] == list(found["cell"])


def test_a_generation_id_alone_tells_little_of_a_local_server(tmp_path: Path) -> None:
    """Some number their answers from 0 to 999; two calls are two answers whatever their ids."""
    local = {"gateway": "local:ollama", "generation_id": "chatcmpl-7"}
    assert 2 == len(read(tmp_path, cell(receipt(**local), receipt(**local))))


def test_an_answer_without_any_id_is_never_taken_for_another(tmp_path: Path) -> None:
    """A connection that broke before the first word has no id; it may have cost something each time."""
    bare = receipt(generation_id=None, call_id=None, cost_usd=None, status="unknown")
    assert [1, 1] == list(read(tmp_path, cell(bare), cell(bare))["copies"])


def test_the_dearest_copy_counts(tmp_path: Path) -> None:
    """An edited copy cannot hide a bill, and a known cost is better than none."""
    same = {"generation_id": "gen-same", "call_id": "same"}
    for costs in (["0.1", "0.9"], ["0.9", "0.1"], [None, "0.9"], ["0.9", None]):
        found = read(tmp_path, *[cell(receipt(**same, cost_usd=cost)) for cost in costs])
        assert [900_000_000_000] == list(found["cost_pico"])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.none() | st.integers(0, 10**6), st.booleans()
        ),
        max_size=20,
    )
)
def test_counting_once_hides_nothing(answers: list[tuple[str, str, int | None, bool]]) -> None:
    """Whatever the order and the number of files: same answers, same sum, and doing it twice changes nothing."""
    made = [
        receipts_module.Receipt(gateway="g", generation_id=name, call_id=call, cost_pico=pico, cost_source="billed")
        for name, call, pico, _ in answers
    ]
    found = once(made)
    assert len({(r.generation_id, r.call_id) for r in made}) == len(found)
    assert len(made) == sum(r.copies for r in found)
    assert found == once(found)
    for each in found:
        told = [r.cost_pico for r in made if (r.generation_id, r.call_id) == (each.generation_id, each.call_id)]
        assert max((pico for pico in told if pico is not None), default=None) == each.cost_pico
    assert figures(found).billed_pico == figures(once(reversed(made))).billed_pico


# --- costs that were learnt later


def test_the_ledger_fills_in_what_it_learnt_only_if_asked(tmp_path: Path) -> None:
    """A receipt is what was known when the cell ended; reconciling comes later."""
    tracker = tracker_of(
        tmp_path,
        row(generation_id="gen-a", call_id="a", cost_usd="0.25", cost_source="reconciled"),
        row(generation_id="gen-b", call_id="b", cost_usd="0.5", cost_source="billed", gateway="elsewhere"),
        unknown(generation_id="gen-c", call_id="c"),
        row(generation_id="gen-d", call_id="d", cost_usd="9"),
        row(generation_id="gen-e", call_id="not e", cost_usd="9"),
    )
    lost = {"cost_usd": None, "status": "partial"}
    path = notebook(
        tmp_path,
        [
            cell(receipt(generation_id="gen-a", call_id="a", **lost)),
            cell(receipt(generation_id="gen-b", call_id="b", **lost)),
            cell(receipt(generation_id="gen-c", call_id="c", **lost)),
            cell(receipt(generation_id="gen-d", call_id="d", cost_usd="0.001")),
            cell(receipt(generation_id="gen-e", call_id="e", **lost)),
            cell(receipt(generation_id="gen-a", call_id=None, **lost)),
            cell(receipt(generation_id=None, call_id=None, **lost)),
        ],
    )
    assert 1 == tracker.receipts(path)["cost_pico"].notna().sum()
    found = tracker.receipts(path, reconciled=True)
    quarter, none = 250_000_000_000, None
    assert [quarter, none, none, 1_000_000_000, none, quarter, none] == [
        None if pd.isna(pico) else pico for pico in found["cost_pico"]
    ]
    assert {"reconciled": 2, "unknown": 4, "billed": 1} == found["cost_source"].value_counts().to_dict()


def test_thousands_of_receipts_can_be_looked_up(tmp_path: Path) -> None:
    """A database takes so many values in one question."""
    tracker = tracker_of(tmp_path, *[row(generation_id=f"gen-{n}", call_id=str(n)) for n in range(1200)])
    lost = [receipt(generation_id=f"gen-{n}", call_id=str(n), cost_usd=None) for n in range(1200)]
    found = tracker.receipts(notebook(tmp_path, [cell(*lost)]), reconciled=True)
    assert 1200 * 10**9 == found["cost_pico"].sum()


# --- files that are no notebooks


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"cells": [', "cut short"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON"),
        (b"null", "not a notebook"),
        (b"[]", "not a notebook"),
        (b"7", "not a notebook"),
        (b'{"cells": {}}', "no cells"),
        (b'{"worksheets": 3}', "no cells"),
    ],
)
def test_what_is_no_notebook_is_an_error(tmp_path: Path, content: bytes, words: str) -> None:
    """An empty frame would be a lie; the message names the file."""
    path = tmp_path / "broken.ipynb"
    path.write_bytes(content)
    with pytest.raises(ReportError, match=words) as told:
        read_notebook(path)
    assert "broken.ipynb" in str(told.value)


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    """No such file, a folder, and what would never end."""
    os.mkfifo(tmp_path / "pipe.ipynb")
    for path in (tmp_path / "none.ipynb", tmp_path, tmp_path / "pipe.ipynb", Path("/dev/zero"), "a\0b"):
        with pytest.raises(ReportError):
            read_notebook(path)


def test_a_file_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    """A frame is not worth the machine's memory; the file is not even opened."""
    path = tmp_path / "huge.ipynb"
    with path.open("wb") as file:
        file.truncate(receipts_module.MOST_BYTES + 1)
    with pytest.raises(ReportError, match="MiB"):
        read_notebook(path)
    path.unlink()  # the search for the key reads every file that is left


@pytest.mark.parametrize("junk", [None, 7, "x", [], [1], True])
def test_odd_places_in_a_notebook_are_passed_over(tmp_path: Path, junk: Any) -> None:
    """Other tools write into notebooks; a receipt beside their junk still counts."""
    strange = [junk, {"outputs": junk}, {"outputs": [junk]}, {"outputs": [{"metadata": junk}]}, {"source": junk}]
    assert [6] == list(read(tmp_path, *strange, cell(receipt()))["cell"])


@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, {"model": 7, "cost_usd": {}, "prompt_tokens": "many"}])
def test_a_broken_receipt_is_an_answer_of_unknown_cost(tmp_path: Path, junk: Any) -> None:
    """Something was answered there; dropping it would hide a bill."""
    found = read(tmp_path, cell(junk)).iloc[0]
    assert "unknown" == found["cost_source"]
    assert pd.isna(found["model"])


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JUNK = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
_FIELDS = st.sampled_from([*receipt(), "cells", "outputs", "metadata", "or_magic"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(_FIELDS, _JUNK | st.sampled_from(["refused", "1e5", "=x", "\ud800"])), max_size=5))
def test_no_receipt_breaks_the_reading(told: list[dict[str, Any]]) -> None:
    """Each is a row with text that any file takes, a cost that is plausible or unknown, and counts that are counts."""
    with tempfile.TemporaryDirectory() as folder:
        found = read_notebook(notebook(Path(folder), [cell(each) for each in told])).receipts
    assert len(told) == sum(each.copies for each in found)
    table = receipts_module.frame(found)
    assert found == of_frame(table)
    table.to_json()
    for each in found:
        assert each.cost_pico is None or 0 <= each.cost_pico <= 10**18
        assert (each.cost_pico is None) == (each.cost_source == "unknown")
        for text in (each.model, each.tag, each.status):
            assert text is None or text.encode()


# --- cells that ask and say nothing


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("%%or\nhello", True),
        ("%%openrouter a/b -t 0\nhello", True),
        (["%%or\n", "hello"], True),
        ("\n  %%or\nhello", True),
        ("%or ask hello", True),
        ("r = %openrouter ask hello", True),
        ("x = 1\n%or ask hello", True),
        ("%or ask about --dry-run", True),
        ("drawing = %or image a kettle", True),
        ("%or again -m a/b", True),
        ("%or fix", True),
        ("%or again --dry-run", False),
        ("%or askew", False),
        ("%%or --dry-run\nhello", False),
        ("%or spend", False),
        ("%%order\nx", False),
        ("# %%or", False),
        ("print('%or ask')", False),
        ("", False),
    ],
)
def test_cells_that_ask_but_hold_nothing_are_counted(tmp_path: Path, source: str, *, asks: bool) -> None:
    """Their outputs may have been cleared, and the bill with them."""
    assert int(asks) == read_notebook(notebook(tmp_path, [cell(source=source)])).unanswered_cells
    assert 0 == read_notebook(notebook(tmp_path, [cell(receipt(), source=source)])).unanswered_cells


# --- many files


def test_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    """Cell 1 of the one is not cell 1 of the other; the same file is not read twice."""
    one = notebook(tmp_path / "a", [cell(receipt())])
    two = notebook(tmp_path / "b", [cell(receipt())])
    found = read_notebooks([one, two, one, tmp_path / "a" / ".." / "a" / "study.ipynb"])
    assert [str(one), str(two)] != [each.name for each in found]
    assert 2 == len({each.name for each in found})
    assert ["study.ipynb"] == [each.name for each in read_notebooks([one])]


def test_reading_receipts_loads_neither_pandas_nor_ipython(tmp_path: Path) -> None:
    """A job of CI that looks at a file has better things to wait for."""
    path = notebook(tmp_path, [cell(receipt())])
    code = (
        f"import sys; from or_magic.__main__ import main; main(['report', {str(path)!r}]); "
        "print({'pandas', 'numpy', 'IPython', 'openai', 'sqlite3', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "set()" == done.stdout.strip().splitlines()[-1]
