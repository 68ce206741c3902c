"""Attachments in a real kernel: on the line by path, URL and variable; what is told; what is refused; completion."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kernel import Kernel

SETUP = """
import os, base64
from pathlib import Path
os.chdir({folder!r})
from PIL import Image as Pictures
Pictures.new("RGB", (30, 20), "red").save("red chart.png")
Pictures.new("L", (5000, 10)).save("wide.png")
Path("notes.md").write_text("# Title")
Path("paper.pdf").write_bytes(b"%PDF-1.7")
raw = Path("wide.png").read_bytes()
page = Path("paper.pdf")
address = "https://example.org/map.webp"
secret = {secret!r}
"""


@pytest.fixture
def cell(kernel: Kernel, tmp_path: Path) -> Kernel:
    """A kernel in a folder of files."""
    (tmp_path / "secret.txt").write_text("private words")
    done = kernel.run(SETUP.format(folder=str(tmp_path), secret=str(tmp_path / "secret.txt")))
    assert "ok" == done.status, done.error
    return kernel


def test_paths_urls_and_variables_are_sent_along(cell: Kernel) -> None:
    """The simulator tells what it received, from the bytes themselves."""
    done = cell.run(
        "%%or google/gemini-2.5-flash -a 'red chart.png' --image $raw -a $page --attach=$address -a notes.md\nWhat is all this?"
    )
    assert "ok" == done.status, done.error
    told = done.displays[0]["data"]["text/markdown"]
    assert "PNG 30 × 20" in told
    assert "PNG 4096 × 8" in told
    assert "file paper.pdf: PDF" in told
    assert "https://example.org/map.webp (not fetched)" in told
    assert "notes.md:" in told
    assert "the picture: scaled down from 5,000 × 10 to 4,096 × 8 pixels" in done.displays[1]["data"]["text/plain"]


def test_an_array_and_a_table_are_sent_along(cell: Kernel) -> None:
    """Other than most objects, they answer a comparison for each of their values."""
    cell.run(
        "import numpy as np, pandas as pd; grid = np.zeros((20, 30, 3), np.uint8); week = pd.DataFrame({'c': [4.1]})"
    )
    done = cell.run("%%or -a $grid -a $week\nWhat is all this?")
    assert "ok" == done.status, done.error
    told = done.displays[0]["data"]["text/markdown"]
    assert "PNG 30 × 20" in told
    assert "DataFrame: 1 row × 1 column" in told


def test_a_text_in_a_variable_is_no_path(cell: Kernel) -> None:
    """Nor is a path in the prompt, nor one that a template inserts (R17)."""
    done = cell.run("%%or -a $secret\nWhat?")
    assert "error" == done.status
    assert "a text never names a file" in "".join(done.error)
    done = cell.run("%or image A cat -a $secret")
    assert "a text never names a file" in "".join(done.error)
    done = cell.run("%%or\nRead {{ secret }} and @secret.txt and /etc/hostname")
    assert "private words" not in done.displays[0]["data"]["text/markdown"]


def test_what_is_wrong_is_one_line_and_nothing_is_sent(cell: Kernel) -> None:
    """With what was meant, or what can be done."""
    for line, told in {
        "-a wdie.png": "Did you mean wide.png?",
        "-a $rwa": "Did you mean $raw?",
        "-a file:///etc/passwd": "Write the path itself",
        "deepseek/deepseek-v4-flash -a wide.png": "The cheapest that can:",
        "-a /proc/self/environ": "is not a file",
    }.items():
        done = cell.run(f"%%or {line}\nWhat?")
        assert "error" == done.status, line
        assert 1 == len(done.error), done.error
        assert told in done.error[0]
        assert "Nothing was sent." in done.error[0]


def test_a_dry_run_shows_what_would_go(cell: Kernel) -> None:
    """Kind, size, and what was done to it; not its base64."""
    done = cell.run("%%or google/gemini-2.5-flash --dry-run -a wide.png -a $page -a $address -a notes.md\nWhat?")
    assert "[image: image/png, 4,096 × 8 pixels, " in done.text
    assert "wide.png: scaled down from 5,000 × 10 to 4,096 × 8 pixels]" in done.text
    assert "[file: paper.pdf, application/pdf, 8 bytes]" in done.text
    assert "[image: at https://example.org/map.webp, not fetched here]" in done.text
    assert done.text.index("notes.md:") < done.text.index("What?") < done.text.index("[image")
    assert "base64" not in done.text


def test_the_last_question_can_be_asked_again_with_its_attachments(cell: Kernel) -> None:
    """``again`` keeps them; the history names them without their bytes."""
    cell.run("%%or google/gemini-2.5-flash -a 'red chart.png' -a $raw\nWhat?")
    done = cell.run("%or again")
    assert "PNG 30 × 20" in done.displays[0]["data"]["text/markdown"]
    told = cell.run("%or history").displays[0]["data"]["text/plain"]
    assert "red chart.png" in told
    assert "<bytes>" in told


def test_savings_are_on_the_status_line(cell: Kernel) -> None:
    """What the provider's cache did, of which the simulator has one."""
    cell.run("Path('book.txt').write_text('The quick brown fox jumps over the lazy dog. ' * 600)")
    first = cell.run("%%or anthropic/claude-sonnet-4.6 -a book.txt\nWho jumps?").displays[1]["data"]["text/plain"]
    again = cell.run("%%or anthropic/claude-sonnet-4.6 -a book.txt\nWho is lazy?").displays[1]["data"]["text/plain"]
    assert "to the cache" in first
    assert "dearer this once" in first
    assert "cached " in again
    assert "saved $" in again
    assert "simulated" in again
