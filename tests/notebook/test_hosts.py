"""Programs that run notebooks without anybody looking: the same two outputs everywhere, and pages that can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from ..guards import HANG_S

WORDS = "Name three rivers and a bridge."
CELLS = (
    "%load_ext or_magic\n%or use offline",
    f"%%or\n{WORDS}",
    "%%or offline/cut\nThis one breaks.",
    "print('after')",
)
SAID = "**Offline simulator.**"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """As a person has it, but for the home."""
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return kept | {"OR_MAGIC_HOME": str(tmp_path / "home")}


def _write(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(notebook, path)
    return path


def _command(*words: str | Path) -> Callable[[Path, Path, dict[str, str]], int]:
    def run(path: Path, out: Path, environment: dict[str, str]) -> int:
        filled = [str(word).format(path=path, out=out, stem=out.stem, folder=out.parent) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", *filled],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            env=environment,
            cwd=path.parent,
            check=False,
        )
        assert "Traceback (most recent call last)" not in done.stdout.replace("File <stdin>", "") or done.returncode
        return done.returncode

    return run


def _nbclient(path: Path, out: Path, environment: dict[str, str]) -> int:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=HANG_S, resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute(env=environment)
    except CellExecutionError:  # what it says is looked at in the file
        return 1
    finally:
        nbformat.write(notebook, out)
    return 0


RUNNERS: dict[str, Callable[[Path, Path, dict[str, str]], int]] = {
    "nbclient": _nbclient,
    "jupyter execute": _command("jupyter", "execute", "{path}", "--output", "{out}"),
    "nbconvert": _command("jupyter", "nbconvert", "--to", "notebook", "--execute", "{path}", "--output", "{stem}"),
    "papermill": _command("papermill", "{path}", "{out}", "--no-progress-bar", "--log-level", "ERROR"),
}


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_executed_notebook_holds_one_answer_and_one_status_line(
    runner: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Whatever ran it: nothing of the streaming, nothing twice."""
    path, out = _write(tmp_path / "asked.ipynb", *CELLS[:2]), tmp_path / "done.ipynb"
    assert 0 == RUNNERS[runner](path, out, environment)
    cell = next(cell for cell in nbformat.read(out, as_version=4).cells if WORDS in cell.source)
    answer, status = cell.outputs
    assert {"text/markdown", "text/plain"} == set(answer.data)
    assert SAID in answer.data["text/markdown"]
    assert WORDS in answer.data["text/markdown"]
    assert "ok" == answer.metadata["or_magic"]["status"]
    assert {"text/html", "text/plain"} == set(status.data)
    assert status.data["text/plain"].startswith("✓ ")


@pytest.mark.parametrize("runner", ["nbclient", "papermill"])
def test_a_notebook_stops_at_a_call_that_failed(runner: str, tmp_path: Path, environment: dict[str, str]) -> None:
    """What stands below would work with an answer that is not whole; the one line of the error is in the file."""
    path, out = _write(tmp_path / "asked.ipynb", *CELLS), tmp_path / "done.ipynb"
    assert 0 != RUNNERS[runner](path, out, environment)
    cells = [cell for cell in nbformat.read(out, as_version=4).cells if cell.cell_type == "code"]
    broken = next(cell for cell in cells if "offline/cut" in cell.source)
    assert ["display_data", "display_data", "error"] == [output.output_type for output in broken.outputs]
    assert "partial" == broken.outputs[0].metadata["or_magic"]["status"]
    assert len(broken.outputs[2].traceback) <= 2
    assert "print('after')" == cells[-1].source
    assert [] == cells[-1].outputs


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook with an answer, a plot and a failed call in it."""
    folder = tmp_path_factory.mktemp("executed")
    cells = (*CELLS[:2], "%or plot", CELLS[2])
    path = _write(folder / "asked.ipynb", *cells)
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    _nbclient(path, path, kept | {"OR_MAGIC_HOME": str(folder / "home")})
    return path


@pytest.mark.parametrize(("form", "rendered"), [("html", "<strong>Offline simulator.</strong>"), ("markdown", SAID)])
def test_an_exported_page_tells_answer_and_status_once(
    form: str, rendered: str, executed: Path, environment: dict[str, str]
) -> None:
    """A report for somebody without Jupyter: rendered, readable, nothing twice, no warning on the way."""
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--to", form, "--stdout", "--log-level", "WARN", str(executed)],
        capture_output=True, text=True, timeout=HANG_S, env=environment, check=True,
    )  # fmt: skip
    page = done.stdout
    # One for each of the two answers that were asked for.
    assert 2 == page.count(rendered)
    assert 1 == page.count("✓ ")
    assert 1 == page.count("✗ partial")
    assert 1 == page.count("TruncatedError")
    assert "still streaming" not in page
    assert "or_magic" not in done.stderr
    assert "UserWarning" not in done.stderr


def test_what_was_spent_can_be_read_from_the_file(executed: Path) -> None:
    """A notebook that was mailed says what it cost, without the ledger."""
    outputs = [output for cell in nbformat.read(executed, as_version=4).cells for output in cell.get("outputs", [])]
    receipts = [output.metadata["or_magic"] for output in outputs if "or_magic" in output.get("metadata", {})]
    assert ["ok", "partial"] == [receipt["status"] for receipt in receipts]
    assert all(float(receipt["cost_usd"] or 0) >= 0 for receipt in receipts)
    assert float(receipts[0]["cost_usd"]) > 0
    assert "sk-or-" not in json.dumps(outputs)
