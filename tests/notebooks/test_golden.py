"""The notebooks are the product's face: they run, give what they show, and look good where nothing runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ..guards import HANG_S

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """As a person has it, but for the home."""
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return kept | {"OR_MAGIC_HOME": str(tmp_path / "home")}


def test_there_are_notebooks() -> None:
    """A glob that finds nothing would pass every test below."""
    assert "01-quickstart" in {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Offline, and every cell that may fail says so by its tag."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=HANG_S, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_gives_exactly_the_outputs_it_shows(path: Path, environment: dict[str, str]) -> None:
    """nbval compares every output, strictly; only times are left out."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", str(FOLDER / "sanitize.cfg"),
            "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=", str(path),
        ],
        capture_output=True, text=True, timeout=HANG_S, cwd=FOLDER, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_saved_with_its_outputs(path: Path) -> None:
    """On GitHub nothing runs: answers, receipts and the plot must be in the file, and errors only where they are meant."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    plots = [cell for cell in code if "plot(" in cell.source]
    assert all(any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in plots)
    receipts = [output["metadata"]["or_magic"] for output in outputs if "or_magic" in output.get("metadata", {})]
    assert receipts
    assert {"offline"} == {receipt["gateway"] for receipt in receipts}
    failing = [cell for cell in code if any(output.output_type == "error" for output in cell.outputs)]
    assert all("raises-exception" in cell.metadata.get("tags", []) for cell in failing)
    assert "widgets" not in notebook.metadata
    assert len(json.dumps(notebook)) < 200_000
