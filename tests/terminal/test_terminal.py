"""Terminal IPython: an answer prints pleasantly, is inert, stops at Ctrl-C, and fails in a line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .screen import Screen

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not on this machine")


@pytest.fixture(scope="module", params=[True, False], ids=["with rich", "without rich"])
def screen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """A terminal with the extension; a socket's path must be short, everything else is where the canary looks."""
    with tempfile.TemporaryDirectory(prefix="or-") as short:
        folder = Path(short)
        for name in ("ipython", "home"):
            (folder / name).symlink_to(tmp_path_factory.mktemp(name), target_is_directory=True)
        screen = Screen(folder, rich=request.param)
        try:
            screen.run("%load_ext or_magic")
            yield screen
        finally:
            screen.close()


def test_an_answer_is_printed_once_with_its_line(screen: Screen) -> None:
    """And no Out[n] that says nothing."""
    told = screen.run("%%or\nWhat is the weather?")
    assert 1 == told.count("Offline simulator.")
    assert 2 == told.count("What is the weather?"), "once as it was typed, once as it was told back"
    assert 1 == told.count("✓ openai/gpt")
    assert "simulated" in told
    assert "Out[" not in told
    assert "display" not in told


def test_the_value_is_there_all_the_same(screen: Screen) -> None:
    """In _or, in _ and in Out."""
    screen.run("%%or offline/echo -o kept\nhello")
    assert "('hello', True, True)" in screen.run("_or.text, _or is kept, kept in Out.values()")
    screen.run("r = %or ask hello")
    assert "'ok'" in screen.run("r.status")


def test_words_come_as_they_come_and_ctrl_c_keeps_them(screen: Screen) -> None:
    """The first one is not held back until the last one, which is a quarter of an hour away."""
    screen.start("%%or offline/long:100000\nhello")
    screen.begun("word word")
    screen.press("C-c")
    told = screen.done()
    assert "interrupted here" in told
    assert "✗ interrupted" in told
    assert "CallInterruptedError: Interrupted; the connection is closed" in told
    assert "Traceback" not in told
    assert "'interrupted'" in screen.run("_or.status")


def test_a_failure_is_two_lines(screen: Screen) -> None:
    """What happened, and what to do."""
    told = screen.run("%%or offline/error-401\nhi")
    assert "KeyRefusedError: " in told
    assert "Traceback" not in told
    assert "CallError" not in told
    assert "OptionError: 'spnd' is not a command. Did you mean %or spend?" in screen.run("%or spnd")


def test_code_goes_into_the_next_prompt(screen: Screen) -> None:
    """As in a notebook it goes into a new cell."""
    told = screen.run("%%or offline/echo -f code\n```python\nanswer = 6 * 7\n```")
    assert "code at the next prompt" in told
    screen.wait("answer = 6 * 7")
    screen._cells += 1
    screen.press("Enter")
    screen.done()
    assert "42" in screen.run("answer")


def test_the_first_of_several_code_blocks_waits_at_the_next_prompt(screen: Screen) -> None:
    """The line says so; the others stay in the answer."""
    told = screen.run("%%or offline/echo -f code\n```python\nfirst = 1\n```\nand\n```python\nsecond = 2\n```")
    assert "code at the next prompt" in told
    assert screen.text().rstrip().endswith("first = 1")
    screen._cells += 1
    screen.press("Enter")
    screen.done()
    assert "(1, False)" in screen.run("first, 'second' in dir()")


def test_pictures_and_sound_are_named_where_they_came(screen: Screen) -> None:
    """With what they are and where they are kept: a terminal shows none."""
    told = " ".join(screen.run("%%or offline/image-between\nhello").split())
    assert "a picture, 220 × 36 PNG, 0." in told
    assert told.index("Offline simulator") < told.index("_or.images[0]") < told.index("✓ offline/image-between")
    told = " ".join(screen.run("%%or offline/audio -o heard\nhello").split())
    assert told.index("nobody speaks here.") < told.index("a sound of 0.2 s, wav, 12.1 kB: heard.audio")
    assert "(36, 'wav')" in screen.run("_or.audio.format and (_or.images or 36, heard.audio.format)")
    told = " ".join(screen.run("%or image a hat's shadow --size 64x64 -n 2").split())
    assert "a picture, 64 × 64 PNG" in told
    assert "_or.images[1]" in told


def test_a_typed_answer_is_a_table(screen: Screen, request: pytest.FixtureRequest) -> None:
    """With rich as in a notebook, else as JSON; once, and with its line."""
    told = screen.run("%%or --schema '[city, days int]' -o trips\nWhere to?").partition("Where to?")[2]
    lines = [line.split() for line in told.splitlines()]
    if request.node.callspec.params["screen"]:
        head, row = lines.index(["city", "days"]), lines.index(["simulated", "1"])
        assert 2 == row - head, "one rule between them"
        assert "{" not in told
    else:
        assert ['"city":', '"simulated",'] in lines
    assert 1 == told.count("city")
    assert 1 == told.count("✓ openai/gpt")
    assert "[('simulated', 1)]" in screen.run("[tuple(row.values()) for row in trips.data]")


def test_control_codes_of_a_model_are_shown_not_obeyed(screen: Screen) -> None:
    """A title, a colour, a clipboard: nothing of it reaches the terminal."""
    screen.run(r"bad = 'red \x1b[31m, title \x1b]0;OWNED\x07, clear \x1b[2J\x1b[H end'")
    told = screen.run("%%or offline/echo\n{{ bad }}")
    assert "clear \ufffd[2J\ufffd[H end" in " ".join(told.split())
    assert "OWNED" not in screen._tmux("display-message", "-p", "-t", "it", "#{pane_title}")
    assert "In [1]:" in screen.text(), "the screen was cleared"


def test_help_fits_the_width(screen: Screen) -> None:
    """Options and commands, core ones first."""
    told = screen.run("%or help")
    assert (
        told.index("core options") < told.index("--temperature") < told.index("more options") < told.index("commands:")
    )


def test_tables_show_the_columns_that_count(screen: Screen) -> None:
    """A terminal hides those in the middle."""
    assert "..." not in screen.run("%or models sonnet").partition("sonnet")[2]
    told = screen.run("%or spend")
    assert "cost_usd" in told
    assert "unknown_calls" in told


def test_reasoning_does_not_run_into_the_answer(screen: Screen) -> None:
    """It is told apart, and the answer begins on a line of its own."""
    told = screen.run("%%or offline/reasoning\nhello")
    assert any(line.lstrip("* ").startswith("Offline simulator") for line in told.splitlines())


def test_a_dry_run_and_again(screen: Screen) -> None:
    """The same commands as anywhere."""
    assert "nothing was sent" in screen.run("%%or offline/plain --dry-run\nhello")
    screen.run("%%or offline/echo\nonce more")
    assert "once more" in screen.run("%or again")


def test_an_error_is_explained_and_the_corrected_cell_comes_next(screen: Screen) -> None:
    """%or fix: what failed goes to the model, and its code is there to be looked at and run."""
    screen.run("1/0")
    assert "ZeroDivisionError" in screen.run("%or fix --dry-run")
    told = screen.run("%or fix it must not fail")
    assert "code at the next prompt" in told
    screen.wait('print("simulated")')
    screen._cells += 1
    screen.press("M-Enter")
    assert "simulated" in screen.done()


def test_a_conversation_in_a_terminal_is_appended_to_and_printed(screen: Screen) -> None:
    """There are no cells to run again."""
    for _ in range(2):
        assert "✓" in screen.run("%%or offline/echo -c term\nsame words")
    told = screen.run("%or chat show term")
    assert "term: 2 turns" in told
    assert 2 == told.count("▸ same words")
    assert "<Chat" not in told
