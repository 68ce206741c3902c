"""``%or report`` in a real kernel, and the receipts of a notebook that a program ran, beside the ledger of that run."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from or_magic.features.receipts import Receipt, read_notebook
from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row, to_pico

from ..features.notebooks import cell, notebook, receipt
from ..guards import HANG_S
from .kernel import Kernel

CELLS = (
    "%load_ext or_magic\n%or use offline",
    "%%or offline/plain --tag mine -o answer\nhello",
    "answer",
    "%%or openai/gpt-5-mini -q\nhush",
    "r = %or ask hello",
    "%%or offline/cut --tag broken\nThis one breaks.",
    "%%or offline/error-429:1\nThis one is refused.",
    "%%or --dry-run\nhow much?",
    "import or_magic as orm\n_ = orm.ask('from Python', model='offline/plain')",
)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The notebook as a program ran and saved it, and the ledger."""
    folder = tmp_path_factory.mktemp("executed")
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    NotebookClient(book, timeout=HANG_S, allow_errors=True, kernel_name="python3").execute(
        env=environment | {"OR_MAGIC_HOME": str(folder)}
    )
    nbformat.write(book, folder / "study.ipynb")
    return folder / "study.ipynb", folder / "offline" / "ledger.sqlite"


def facts(one: Receipt | Row) -> tuple[object, ...]:
    """What both hold; of a broken answer the ledger learns the rest later."""
    known = (one.generation_id, one.call_id, one.tag, one.gateway, one.model_requested, one.model, one.provider)
    later = (one.finish_reason, one.prompt_tokens, one.completion_tokens, one.cost_usd) if one.status == "ok" else ()
    return (*known, one.status, *later)


def test_the_file_tells_what_the_ledger_tells(executed: tuple[Path, Path]) -> None:
    """Every answer that a cell showed, once, to the last digit; a broken one is unknown in both."""
    path, ledger = executed
    store = SqliteStore(ledger)
    rows = {row.call_id: row for row in store.rows() if row.source != "api"}
    store.close()
    found = read_notebook(path)
    assert 5 == len(rows) == len(found.receipts)
    assert 0 == found.unanswered_cells
    for each in found.receipts:
        row = rows[str(each.call_id)]
        assert facts(row) == facts(each)
        assert row.cell_id in (None, each.cell_id)
        assert row.latency_s == pytest.approx(each.latency_s, abs=0.001)
    told = {each.model_requested: each for each in found.receipts}
    assert (2, 2) == (told["offline/plain"].cell, told["offline/plain"].copies)
    assert (None, "unknown") == (told["offline/cut"].cost_usd, told["offline/cut"].cost_source)
    filled = Tracker(Ledger(store), "x").receipts(path, reconciled=True).set_index("call_id")["cost_pico"]
    for call_id, row in rows.items():
        if row.cost_usd is not None:
            assert to_pico(row.cost_usd) == filled[call_id]
    store.close()
    assert (Decimal(0), "none") == (told["offline/error-429:1"].cost_usd, told["offline/error-429:1"].cost_source)


def test_a_session_is_reported_in_its_notebook(kernel: Kernel, tmp_path: Path) -> None:
    """A sentence, a table that is the cell's value, a page and a file."""
    kernel.run("%%or offline/plain --tag mine\nhello")
    kernel.run("%%or offline/cut\nhello")
    done = kernel.run(f"%or report --by tag --html {tmp_path}/r.html --csv {tmp_path}/r.csv")
    assert "ok" == done.status, done.error
    assert "for 2 answers." in done.text
    assert "mine" in done.displays[0]["data"]["text/html"]
    assert "no tag" in done.displays[0]["data"]["text/html"]
    assert "simulated: no real money" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert 3 == len((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines())
    assert "['mine', 'no tag']" == kernel.value("sorted(_.index)")
    assert "ok" == kernel.run("%or report --all --since 7d --by cell").status


def test_a_saved_notebook_is_reported_beside_the_session(kernel: Kernel, tmp_path: Path) -> None:
    """Of a colleague, say: real money there, simulated here, and neither in the other's sum."""
    path = notebook(tmp_path, [cell(receipt(cost_usd="0.25", tag="<img src=x>"))], "their study.ipynb")
    done = kernel.run(f'%or report "{path}" --by tag')
    assert "$0.2500 for 1 answer.\n" == done.text
    assert "&lt;img src=x&gt;" in done.displays[0]["data"]["text/html"]
    assert "<img" not in done.displays[0]["data"]["text/html"]
    kernel.run("import or_magic as orm")
    assert "0.25" == kernel.value(f"float(orm.tracker.receipts({str(path)!r}).cost_usd.sum())")


@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("%or report --by provider", "OptionError", "cell, model or tag"),
        ("%or report none.ipynb", "ReportError", "No such file"),
        ("%or report none.ipynb --all", "OptionError", "carry no date"),
        ("%or report none.ipynb --since 7d", "OptionError", "carry no date"),
        ("%or report --html none/r.html", "ReportError", "cannot be written"),
        ("%or report --since yesterday", "OptionError", "7d"),
        ("%or report --to x", "OptionError", "--to"),
        ("orm.tracker.receipts('none.ipynb')", "ReportError", "none.ipynb"),
    ],
)
def test_a_report_that_cannot_be_made_fails_in_one_line(kernel: Kernel, line: str, name: str, words: str) -> None:
    """What is wrong, and nothing is written."""
    kernel.run("import or_magic as orm")
    done = kernel.run(line)
    assert (name, 1) == (done.reply["content"]["ename"], len(done.error))
    assert words in done.error[0]


def test_the_key_is_in_no_receipt(executed: tuple[Path, Path]) -> None:
    """A notebook is mailed around."""
    assert "sk-or-" not in json.dumps(json.loads(executed[0].read_text(encoding="utf-8")))
