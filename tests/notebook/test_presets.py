"""``%or preset`` and ``--preset`` in a real kernel."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from .kernel import Kernel

CHEAP = "openai/gpt-5-mini"


@pytest.fixture(scope="module")
def home(kernel: Kernel) -> Path:
    """The kernel's home, where the config file lies."""
    return Path(json.loads(kernel.run("import os, json; print(json.dumps(os.environ['OR_MAGIC_HOME']))").text))


def test_a_preset_is_saved_used_shown_and_deleted(kernel: Kernel, home: Path, tmp_path: Path) -> None:
    """The text of a file goes into it, so that it works wherever the file is not."""
    rules = tmp_path / "review.md"
    rules.write_text("You review.\nBe brief.\n")
    saved = kernel.run(f"%or preset save referee -m {CHEAP} -t 0.2 -s @{rules} --tag review --stop END -p top_k=3 -q")
    assert "The preset referee is saved in config.toml: --preset referee" == saved.text.strip(), saved.error
    rules.unlink()
    assert {
        "model": CHEAP, "system": "You review.\nBe brief.\n", "temperature": 0.2, "stop": ["END"], "tag": "review",
        "quiet": True, "param": ["top_k=3"],
    } == tomllib.loads((home / "config.toml").read_text())["presets"]["referee"]  # fmt: skip
    seen = kernel.run("%%or --preset referee --dry-run -t 0.5\nhello {{ 1 + 1 }}").text
    assert f"Dry run of {CHEAP}" in seen
    assert "You review." in seen
    assert '"temperature": 0.5' in seen
    done = kernel.run("%%or --preset referee\nhello")
    assert "ok" == done.status, done.error
    assert "" == done.drawn  # -q
    assert "ok" == kernel.run("import or_magic").status
    assert "'review'" == kernel.value("or_magic.tracker.frame().tag.iloc[-1]")
    shown = kernel.run("%or preset show referee").text
    assert "You review.\nBe brief." in shown
    assert f"%%or --model={CHEAP}" in shown
    assert "referee" in kernel.run("%or preset").text
    assert "ok" == kernel.run("%or again --preset coding -s 'Say yes.'").status
    assert "is deleted" in kernel.run("%or preset delete referee").text
    assert "There is no preset 'referee'" in "".join(kernel.run("%%or --preset referee\nhello").error)


def test_a_shipped_preset_needs_no_saving(kernel: Kernel) -> None:
    """And yours of that name wins until it is deleted."""
    assert "You review code" in kernel.run("%%or --preset reviewer --dry-run\nhello").text
    kernel.run("%or preset save reviewer -s Mine.")
    assert "── system\nMine." in kernel.run("%%or --preset reviewer --dry-run\nhello").text
    assert "shipped one again" in kernel.run("%or preset delete reviewer").text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("preset sav x -t 1", "Did you mean save?"),
        ("preset save", "preset takes"),
        ("preset save x", "nothing to save"),
        ("preset save x --temprature 1", "Did you mean --temperature?"),
        ("preset save x --dry-run", "--dry-run belongs to one call"),
        ("preset save x -o name", "--out belongs to one call"),
        ("preset save a/b -t 1", "cannot be the name of a preset"),
        ("preset save x --api-key y", "A key is never an option"),
        ("preset show revewer", "Did you mean reviewer?"),
        ("preset delete coding", "It is shipped with or_magic, and stays"),
        ("preset list x", "preset takes"),
        ("preset save x -s $no_such", "$no_such is not defined"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(kernel: Kernel, home: Path, line: str, words: str) -> None:
    """And nothing is written."""
    before = (home / "config.toml").read_bytes() if (home / "config.toml").exists() else b""
    assert words in "".join(kernel.run(f"%or {line}").error)
    assert before == ((home / "config.toml").read_bytes() if (home / "config.toml").exists() else b"")


def test_a_file_with_braces_does_not_become_a_preset_that_runs_them(kernel: Kernel, tmp_path: Path) -> None:
    """A persona from somewhere is text; a preset would evaluate it in every cell."""
    (tmp_path / "persona.md").write_text("Be brief. {{ 6 * 7 }}", encoding="utf-8")
    done = kernel.run(f"%or preset save persona -s '@{tmp_path / 'persona.md'}'")
    assert "error" == done.status
    assert "Nothing was changed." in str(done.error)
    told = kernel.run(f"%%or --dry-run -s '@{tmp_path / 'persona.md'}'\nHello")
    assert "{{ 6 * 7 }}" in str(told)
