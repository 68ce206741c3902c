"""Every example in the documents is run, and every option and command is in the README."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from or_magic.config_file import FILE_NAME, read_config
from or_magic.notebook.commands import COMMANDS
from or_magic.options import arguments, help_text

from .notebook.kernel import Kernel

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(<!-- fails -->\n)?```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_example_runs(path: Path, tmp_path: Path) -> None:
    """In order, in one kernel, against the simulator; what is said to fail must fail."""
    examples = _BLOCK.findall(path.read_text(encoding="utf-8"))
    if path.name == "README.md":
        assert len(examples) >= 5
    (tmp_path / "chart.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    kernel = Kernel()
    try:
        kernel.run(
            f"import os; os.chdir({str(tmp_path)!r})\n"
            f"os.environ |= {{'OPENROUTER_BASE_URL': 'offline', 'OR_MAGIC_HOME': {str(tmp_path)!r}}}\n%load_ext or_magic"
        )
        for fails, code in examples:
            done = kernel.run(code)
            assert ("error" if fails else "ok") == done.status, (code, done.error)
    finally:
        kernel.close()


def test_the_readme_names_every_option_and_command() -> None:
    """A table that is not complete is not a table of options."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for option in set(re.findall(r"--[a-z-]+", help_text())):
        assert f"`{option}" in readme or f"/{option}" in readme, option
    for name in COMMANDS:
        assert f"%or {name}" in readme, name


def test_the_readme_has_the_order_of_the_help() -> None:
    """Twelve core options come first in both: who knows one of the two finds things in the other."""
    _, _, table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| on the first line of a cell |")
    listed = re.findall(r"^\| (`(?:[^|\\]|\\.)*)\|", table.partition("\n\n")[0], re.MULTILINE)
    named = [name for cell in listed for name in re.findall(r"(?<=[`/])(?:--[a-z-]+|MODEL)", cell)]
    wanted = [argument.names[1 if len(argument.names) > 1 else 0] for argument in arguments()]
    assert wanted == [name for name in named if name != "--image"]
    assert [True] * 12 + [False] * (len(wanted) - 12) == [argument.core for argument in arguments()]


def test_every_command_line_of_the_report_runs() -> None:
    """A build that fails by a typo in the README is our fault."""
    lines = re.findall(
        r"^python (-m or_magic report .*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert lines
    for line in lines:
        done = subprocess.run([sys.executable, *line.split()], cwd=ROOT, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr


def test_every_config_file_is_one(tmp_path: Path) -> None:
    """And all that it says means something."""
    found = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for text in found:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        config = read_config(tmp_path)
        assert () == config.warnings
        assert set(config.settings) == set(tomllib.loads(text)) - {"aliases"}


def test_links_between_documents_lead_somewhere() -> None:
    """A dead link on the first page ends the visit."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
