"""``python -m or_magic report``: exit codes that CI can trust, words that people can read, JSON that programs can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.__main__ import main
from or_magic.features.report_page import MARK

from ..guards import HANG_S
from .notebooks import cell, notebook, receipt


def run(*words: object, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "or_magic", *map(str, words)],
        capture_output=True, encoding="utf-8", timeout=HANG_S, cwd=folder, check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
    )  # fmt: skip


@pytest.fixture
def spent(tmp_path: Path) -> Path:
    """A notebook that cost three cents and simulated five dollars."""
    return notebook(
        tmp_path,
        [
            cell(receipt(cost_usd="0.01", model="acme/one", tag="x")),
            cell(receipt(cost_usd="0.02", model="acme/two")),
            cell(receipt(cost_usd="5", model="acme/sim", gateway="offline")),
        ],
    )


def test_the_command_runs_as_a_module(spent: Path) -> None:
    """As a job of CI calls it, in a process of its own, over the budget."""
    done = run("report", spent, "--max-usd", "0.02")
    assert 1 == done.returncode
    assert "$0.0300 for 2 answers; $5.0000 simulated for 1 answer." in done.stdout
    assert "acme/two" in done.stdout
    assert "Over the budget: $0.0300 is $0.0100 more than $0.0200.\n" == done.stderr


def test_a_log_that_knows_only_ascii_does_not_fail_the_job(tmp_path: Path) -> None:
    """A gate that falls over its own arrow would be switched off."""
    path = notebook(tmp_path, [cell(receipt(model="模型 →")), cell(receipt(cost_usd=None))])
    done = run("report", path, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], 0),
        (["--max-usd", "0.03"], 0),
        (["--max-usd", "$0.03"], 0),
        (["--max-usd", "3e-2"], 0),
        (["--max-usd", "0.029999999999"], 1),
        (["--max-usd", "0"], 1),
        (["--max-usd", "0", "--allow-unknown"], 1),
        (["--max-usd", "100", "--json"], 0),
        (["--max-usd", "0.01", "--json"], 1),
    ],
)
def test_the_exit_code_is_the_verdict(spent: Path, words: list[str], expected: int) -> None:
    """To the last pico-dollar; the simulator's five dollars do not count."""
    assert expected == main(["report", str(spent), *words])


@pytest.mark.parametrize(
    ("cells", "strict", "allowed"),
    [
        ([cell(receipt(cost_usd=None, status="partial"))], 1, 0),
        ([cell(receipt(cost_usd="-5"))], 1, 0),
        ([cell("damaged")], 1, 0),
        ([cell(source="%%or\nnot run, or cleared")], 1, 0),
        ([cell(receipt(cost_usd=None, gateway="offline"))], 0, 0),
        ([cell(receipt(cost_usd=None, status="refused"))], 0, 0),
        ([cell(source="%%or --dry-run\nhello")], 0, 0),
        ([], 0, 0),
    ],
)
def test_a_bill_does_not_hide(tmp_path: Path, cells: list[Any], strict: int, allowed: int) -> None:
    """What nobody knows is not within any budget, unless somebody says that it may be."""
    words = ["report", str(notebook(tmp_path, cells)), "--max-usd", "10"]
    assert strict == main(words)
    assert allowed == main([*words, "--allow-unknown"])
    assert 0 == main(words[:2])


def test_what_cannot_be_read_is_a_2(spent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not one of two notebooks is reported as if it were both; no file is written either."""
    (tmp_path / "broken.ipynb").write_text("{")
    for words in (["broken.ipynb"], ["none.ipynb"], [str(spent), str(tmp_path / "broken.ipynb")]):
        assert 2 == main(["report", *words, "--html", str(tmp_path / "r.html"), "--max-usd", "9"])
        told = capsys.readouterr()
        assert "" == told.out
        assert told.err.startswith("or_magic: ")
        assert 1 == told.err.count("\n")
    assert not (tmp_path / "r.html").exists()


def test_what_cannot_be_written_is_a_2(spent: Path, tmp_path: Path) -> None:
    """A missing page must not look like a page."""
    assert 2 == main(["report", str(spent), "--html", str(tmp_path / "none" / "r.html")])
    assert 2 == main(["report", str(spent), "--html", str(spent)])
    assert spent.read_text().startswith("{")


@pytest.mark.parametrize(
    "words",
    [
        [], ["report"], ["reprot", "x"], ["report", "x", "--max-usd", "much"], ["report", "x", "--max-usd", "-1"],
        ["report", "x", "--max-usd", "NaN"], ["report", "x", "--max-usd", "1e999999"], ["report", "x", "--max", "1"],
        ["report", "x", "--max-usd", ""], ["report", "x", "--by", "provider"], ["report", "x", "--max-usd"],
    ],
)  # fmt: skip
def test_a_wrong_command_is_a_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped gate must not be an open one."""
    with pytest.raises(SystemExit) as told:
        main(words)
    assert 2 == told.value.code
    assert "usage: python -m or_magic" in capsys.readouterr().err


def test_help_says_what_is_counted_and_what_each_exit_means(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever puts it into CI reads this once."""
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "Each answer counts once",
        "never counts against --max-usd",
        "in the ledger only",
        "exit status",
        "--json",
    ):
        assert words in told


def test_json_is_exact_and_alone_on_its_stream(spent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Amounts are text, so that nobody's float rounds them."""
    assert 1 == main(["report", str(spent), "--json", "--max-usd", "0.02"])
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert ("0.03", "5", False, "0.02") == (
        found["real"]["billed_usd"], found["simulated"]["billed_usd"], found["within"], found["max_usd"],
    )  # fmt: skip
    assert Decimal("0.03") == sum(Decimal(each["billed_usd"]) for each in found["by"]["tag"] if not each["simulated"])
    assert {None, "x"} == {each["tag"] for each in found["by"]["tag"]}
    assert told.err.startswith("Over the budget")


def test_several_notebooks_are_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A project has many; cells say which one they are of."""
    paths = [notebook(tmp_path, [cell(receipt(cost_usd="0.4"))], f"{name}.ipynb") for name in "ab"]
    assert 0 == main(["report", *map(str, paths), "--by", "cell", "--max-usd", "0.8"])
    told = capsys.readouterr().out
    assert "$0.8000 for 2 answers." in told
    assert "b.ipynb · cell 1" in told


def test_page_and_table_are_written(spent: Path, tmp_path: Path) -> None:
    """Also over the budget: that is when they are looked at."""
    assert 1 == main(
        ["report", str(spent), "--html", f"{tmp_path}/r.html", "--csv", f"{tmp_path}/r.csv", "--max-usd", "0"]
    )
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith(MARK)
    assert 4 == len((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines())
