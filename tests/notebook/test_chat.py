"""Conversations in a real kernel: cells that run again, loops, interrupts, files, and cells without an id."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from ..guards import HANG_S
from .kernel import Kernel, Run

MODEL = "openai/gpt-5-mini"


def ask(kernel: Kernel, chat: str, cell: str | None, words: str, options: str = "", model: str = MODEL) -> Run:
    return kernel.run(f"%%or {model} -c {chat} {options}\n{words}", cell=cell, watched=False)


def turns(kernel: Kernel, chat: str) -> list[list[object]]:
    """Each turn: its question, whether it is stale, and how many versions stood there before."""
    kernel.run("import json, or_magic as orm")
    told = kernel.value(f"json.dumps([[t.prompt, t.stale, len(t.versions)] for t in orm.chat({chat!r}).turns])")
    found: list[list[object]] = json.loads(told[1:-1].replace("\\\\", "\\"))
    return found


def answer(run: Run) -> str:
    assert "ok" == run.status, run.error
    return str(run.displays[0]["data"]["text/markdown"])


def line(run: Run) -> str:
    return str(run.displays[-1]["data"]["text/plain"])


def test_a_cell_takes_part_in_its_conversation(kernel: Kernel) -> None:
    """The turns before it are sent, and a cell without a name stands alone."""
    assert "earlier" not in answer(ask(kernel, "part", "a", "one"))
    second = answer(ask(kernel, "part", "b", "two"))
    assert "1 earlier answer came with it" in second
    assert "> one" in second
    assert "earlier" not in answer(kernel.run(f"%%or {MODEL}\nalone", cell="c", watched=False))


def test_a_cell_that_runs_again_replaces_its_own_turn(kernel: Kernel) -> None:
    """It is asked with what stood before it; what stood after it is kept, marked, and not sent."""
    for cell, words in (("a", "one"), ("b", "two"), ("c", "three")):
        ask(kernel, "again", cell, words)
    again = answer(ask(kernel, "again", "b", "two, better"))
    assert "1 earlier answer came with it" in again
    assert [["one", False, 0], ["two, better", False, 1], ["three", True, 0]] == turns(kernel, "again")
    new = ask(kernel, "again", "d", "four")
    assert "2 earlier answers came with it" in answer(new)
    assert "1 stale turn left out" in line(new)
    assert "stale" in kernel.run("%or chat show again", cell="e").displays[0]["data"]["text/markdown"]
    assert "Removed 1 stale turn of again" in kernel.run("%or chat cut again", cell="e").text
    assert [["one", False, 0], ["two, better", False, 1], ["four", False, 0]] == turns(kernel, "again")


def test_running_what_is_below_again_makes_it_whole(kernel: Kernel) -> None:
    """Run all below is what people do: then nothing is stale any more, and no turn is there twice."""
    cells = (("a", "one"), ("b", "two"), ("c", "three"))
    for cell, words in (*cells, *cells):
        ask(kernel, "all", cell, words)
    assert [["one", False, 1], ["two", False, 1], ["three", False, 1]] == turns(kernel, "all")


@pytest.mark.parametrize("way", ["magic", "python"])
def test_a_loop_in_a_cell_makes_a_turn_each_and_replaces_them_in_order(kernel: Kernel, way: str) -> None:
    """A turn is known by its cell and its number in this run of it; what a shorter run leaves over is stale."""
    name = f"loop-{way}"
    how = {
        "magic": f"get_ipython().run_cell_magic('or', '{MODEL} -q -c {name}', q)",
        "python": f"orm.chat('{name}').ask(q, model='{MODEL}')",
    }[way]
    kernel.run("import or_magic as orm")
    ask(kernel, name, "before", "zero")
    loop = f"for q in {{}}:\n    {how}"
    assert "ok" == kernel.run(loop.format(["a", "b", "c"]), cell="loop").status
    assert "ok" == kernel.run(loop.format(["A", "B"]), cell="loop").status
    found = [["zero", False, 0], ["A", False, 1], ["B", False, 1], ["c", True, 0]]
    assert found == turns(kernel, name)
    assert "ok" == kernel.run(loop.format(["1", "2", "3", "4"]), cell="loop").status
    assert ["zero", "1", "2", "3", "4"] == [turn[0] for turn in turns(kernel, name)]


def test_without_the_id_of_a_cell_turns_are_appended(kernel: Kernel) -> None:
    """Programs that run notebooks tell none."""
    for _ in range(2):
        ask(kernel, "append", None, "again")
    assert [["again", False, 0], ["again", False, 0]] == turns(kernel, "append")


def test_an_interrupted_turn_is_kept_marked_and_not_sent(kernel: Kernel) -> None:
    """Half an answer is no part of a conversation, and the next cell is not told of it."""
    ask(kernel, "stop", "a", "one")
    stopped = kernel.run("%%or offline/stall -c stop\ntwo", cell="b", interrupt_after="Offline")
    assert "error" == stopped.status
    assert "1 earlier answer came with it" in answer(ask(kernel, "stop", "c", "three"))
    shown = kernel.run("%or chat show stop", cell="d").displays[0]["data"]["text/markdown"]
    assert "*interrupted*" in shown
    ask(kernel, "stop", "b", "two again")
    assert [["one", False, 0], ["two again", False, 1], ["three", True, 0]] == turns(kernel, "stop")


def test_a_second_run_that_is_interrupted_leaves_the_answer_before_it(kernel: Kernel) -> None:
    """It was whole and paid for, so later cells are told of it; what came of the second run is kept beside it."""
    ask(kernel, "twice", "a", "one")
    ask(kernel, "twice", "b", "two")
    stopped = kernel.run("%%or offline/stall -c twice\none, worded anew", cell="a", interrupt_after="Offline")
    assert "error" == stopped.status
    assert "2 earlier answers came with it" in answer(ask(kernel, "twice", "c", "three"))
    shown = kernel.run("%or chat show twice", cell="d").displays[0]["data"]["text/markdown"]
    assert "*run again since, interrupted*" in shown
    assert "stale" not in shown
    ask(kernel, "twice", "a", "one at last")
    assert [["one at last", False, 2], ["two", True, 0], ["three", True, 0]] == turns(kernel, "twice")


def test_new_begins_anew_and_keeps_what_was(kernel: Kernel) -> None:
    """The turns before are set aside, also when that cell runs again."""
    ask(kernel, "anew", "a", "one", '-s "Be kind."')
    for _ in range(2):
        assert "earlier" not in answer(ask(kernel, "anew", "b", "two", "--new"))
    assert "1 earlier answer" in answer(ask(kernel, "anew", "c", "three"))
    assert ["one", "two", "three"] == [turn[0] for turn in turns(kernel, "anew")]


def test_a_dry_run_shows_the_turns_and_records_nothing(kernel: Kernel) -> None:
    """Nothing was asked, so nothing was said."""
    ask(kernel, "dry", "a", "one", '-s "Be kind."')
    shown = kernel.run(f"%%or {MODEL} -c dry --dry-run\ntwo", cell="b").text
    assert "── system\nBe kind." in shown
    assert "── assistant" in shown
    assert "one" in shown
    assert 1 == len(turns(kernel, "dry"))


def test_the_ledger_knows_the_conversation(kernel: Kernel) -> None:
    """What each one cost is one line of Python."""
    ask(kernel, "books", "a", "one")
    assert "1" == kernel.value("int(orm.tracker.summary(by='chat').loc['books', 'calls'])")


def test_conversations_are_listed_written_and_loaded(kernel: Kernel, tmp_path: Path) -> None:
    """What was written is never written over without a word."""
    ask(kernel, "files", "a", "one")
    assert "files: 1 turn" in kernel.run("%or chat list").text
    for name in ("talk.md", "talk.ipynb", "talk.json"):
        assert name in kernel.run(f"%or chat export files {tmp_path / name}").text
    nbformat.validate(nbformat.read(tmp_path / "talk.ipynb", 4))
    assert "one" in (tmp_path / "talk.md").read_text()
    refused = kernel.run(f"%or chat save files {tmp_path / 'talk.json'}")
    assert "is there already" in refused.error[0]
    assert "ok" == kernel.run(f"%or chat save files {tmp_path / 'talk.json'} --overwrite").status
    assert "turns already" in kernel.run(f"%or chat load {tmp_path / 'talk.json'}").error[0]
    assert "Forgot 1 turn of files" in kernel.run("%or chat reset files").text
    assert "files has 1 turn," in kernel.run(f"%or chat load {tmp_path / 'talk.json'}").text
    assert [["one", False, 0]] == turns(kernel, "files")


@pytest.mark.parametrize(
    ("line", "told"),
    [("shwo", "Did you mean show?"), ("show nobody", "no conversation"), ("export", "needs a file"),
     ("list x", "one word too many"), ("show --overwrite", "belongs to"), ("export x.txt", "no format"),
     ("save wrong", "needs a file after the name, as in: %or chat save wrong talk.json")],
)  # fmt: skip
def test_what_is_wrong_is_named(kernel: Kernel, line: str, told: str) -> None:
    """And nothing happens."""
    ask(kernel, "wrong", "a", "one")
    assert told in kernel.run(f"%or chat {line}").error[0]


def test_of_several_conversations_the_one_to_forget_is_named(kernel: Kernel) -> None:
    """The one that was last asked in, or loaded, is a guess, and what is forgotten is gone."""
    ask(kernel, "first", "a", "one")
    ask(kernel, "second", "b", "two")
    done = kernel.run("%or chat reset")
    assert "Which one?" in done.error[0]
    assert "first, second" in done.error[0]
    assert [["two", False, 0]] == turns(kernel, "second")


def test_the_policy_is_a_setting(kernel: Kernel) -> None:
    """Of this kernel, or of the config file; a wrong one changes nothing."""
    told = kernel.run("%config OpenRouterMagics.context_policy = 'drop'")
    assert "error, drop-oldest, compress" in told.text
    assert "ok" == kernel.run("%config OpenRouterMagics.context_policy = 'drop-oldest'").status
    assert "drop-oldest" in kernel.run("%or config").text
    kernel.run("%config OpenRouterMagics.context_policy = ''")
    assert "'error'" == kernel.value("orm.api.current().engine.settings.context_policy")


def test_new_without_a_name_is_an_error(kernel: Kernel) -> None:
    """An option that does nothing would be a lie."""
    assert "none is named" in kernel.run("%%or --new\nhello").error[0]


def test_names_of_conversations_are_completed(kernel: Kernel) -> None:
    """After -c, and after the command."""
    ask(kernel, "zebra", "a", "one")
    for text in ("%%or -c ze", "%or chat show ze"):
        kernel.client.complete(text, len(text))
        reply = kernel.client.get_shell_msg(timeout=HANG_S)["content"]
        assert ["zebra"] == reply["matches"], text
