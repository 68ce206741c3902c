"""``%or history`` and ``%or again``: the ways in which a cell was asked, what changed, what came and what it cost."""

from __future__ import annotations

import pytest

from or_magic.notebook.wordings import as_html, as_text, compared

from ..features.inert import skeleton
from ..protocol.payloads import payloads
from .kernel import Kernel, Run


def told(run: Run) -> str:
    """The plain text of what was displayed."""
    assert "ok" == run.status, run.error
    return str(run.displays[0]["data"]["text/plain"])


def test_wordings_of_one_cell_and_what_changed(kernel: Kernel) -> None:
    """Each with its options, answer and cost; what other cells asked is not among them; a table that is saved well."""
    kernel.run("%%or offline/echo\nanother cell", cell="other")
    kernel.run("%%or offline/echo --tag a\nSay hello to the world", cell="mine")
    kernel.run("%%or offline/echo -t 0.5\nSay good bye to the world", cell="mine")
    run = kernel.run("%or history", cell="third")
    plain, html = told(run), run.displays[0]["data"]["text/html"]
    assert "another cell" not in plain
    assert "   --model=offline/echo --tag=a\n   ▸ Say hello to the world\n   ◂ Say hello to the world" in plain
    assert "▸ Say [-hello-] {+good bye+} to the world" in plain
    assert "Say <del>hello</del> <ins>good bye</ins> to the world" in html
    assert plain.count("simulated") == 3
    assert plain.splitlines()[-1].startswith("2 wordings · $0.00")
    assert "another cell" in told(kernel.run("%or history all"))


def test_again_is_a_wording_of_the_cell_that_it_repeats(kernel: Kernel) -> None:
    """Wherever it was typed; the ledger names the cell that it was typed in."""
    kernel.run("%%or offline/echo\nthe same words", cell="asking")
    kernel.run("%or again -m offline/plain", cell="repeating")
    plain = told(kernel.run("%or history", cell="looking"))
    assert plain.splitlines()[-1].startswith("2 wordings")
    assert "offline/plain · ok" in plain
    assert "'repeating'" == kernel.value("__import__('or_magic').tracker.frame().cell_id.iloc[-1]")


def test_one_wording_whole(kernel: Kernel) -> None:
    """Prompt, options and answer without a cut; ``all`` counts those of every cell."""
    long = "word " * 300 + "the end"
    kernel.run(f"%%or offline/echo\n{long}", cell="whole")
    run = kernel.run("%or history 1", cell="looking")
    assert f"{long}\n" in run.text
    assert "the end" in run.displays[0]["data"]["text/markdown"]
    assert "history has 1 to 1" in kernel.run("%or history 2", cell="looking").error[0]
    assert "ok" == kernel.run("%or history all 1").status
    assert "Did you mean all?" in kernel.run("%or history al").error[0]


def test_a_cost_that_came_late_is_in_the_history(kernel: Kernel) -> None:
    """A broken call's cost is asked for afterwards; the history does not say for ever that nobody knows it."""
    kernel.run("%%or offline/cut\nbroken", cell="late")
    kernel.run("%or reconcile")
    plain = told(kernel.run("%or history", cell="looking"))
    assert "partial · $0.00" in plain
    assert "not known" not in plain
    assert "unknown" not in plain


def test_failed_and_stopped_calls_can_be_asked_again(kernel: Kernel) -> None:
    """With any option; a failure is a wording as well, what was stopped before it was sent is none."""
    assert "error" == kernel.run("%%or offline/error-401\nhello there", cell="failing").status
    assert "hello there" == kernel.run("%or again -m offline/echo").displays[0]["data"]["text/markdown"].strip()
    assert "error" == kernel.run("%%or offline/echo --budget 0\nno money", cell="failing").status
    assert "no money" in kernel.run("%or again --dry-run -y").text
    assert "OverBudget" == kernel.run("%or again -f text").reply["content"]["ename"]
    done = kernel.run("%or again -y -f text -o free -t 0 --tag again --max-tokens 50 -s brief -p seed=1 -q")
    assert "ok" == done.status, done.error
    assert "'no money'" == kernel.value("free.text")
    plain = told(kernel.run("%or history", cell="looking"))
    assert "refused · nothing billed" in plain
    assert plain.splitlines()[-1].startswith("3 wordings")
    assert "is one word too many" in kernel.run("%or again offline/echo shorter, please").error[0]


def test_pictures_are_not_kept_for_the_history(kernel: Kernel) -> None:
    """Five hundred of them would fill the memory; ``orm.replies`` has the latest, within a bound."""
    kernel.run("%%or offline/image\ndraw", cell="drawing")
    assert "1" == kernel.value("len(__import__('or_magic').replies[-1].images)")
    assert "[a picture]" in told(kernel.run("%or history", cell="looking"))
    kernel.run("from or_magic import notebook")
    assert "((), 1)" == kernel.value(
        "(notebook._faces[id(get_ipython())].asked[-1].reply.images.parts, len(_or.images))"
    )


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (None, "one  two\nthree", "one two three"),
        ("the same", "the same", "the same"),
        ("one two three", "one three", "one [-two-] three"),
        ("one three", "one two three", "one {+two+} three"),
        ("Tell me of cats", "What is 6 * 7?", "What is 6 * 7?"),
        ("a " * 20 + "x" + " b" * 20, "a " * 20 + "y" + " b" * 20, "a a a a a … a a a a a [-x-] {+y+} b b b b b …"),
        ("", "words", "words"),
        ("words", "", ""),
    ],
)
def test_what_changed_is_marked(before: str | None, after: str, wanted: str) -> None:
    """Between wordings of one question; another question is shown as it is."""
    shown = as_text(compared(before, after))
    assert wanted == shown


def test_long_wordings_are_compared_in_time_and_shown_in_short() -> None:
    """A prompt may hold a whole document."""
    bits = compared("word " * 100_000, "word " * 100_000 + "end")
    assert len(as_text(bits)) < 300
    many = compared(" ".join(map(str, range(900))), " ".join([str(n) if n % 3 else "x" for n in range(900)]))
    assert len(as_text(many)) < 2_000


@pytest.mark.parametrize("kind", sorted({each.kind for each in payloads()}))
def test_what_stands_in_a_wording_is_inert(kind: str) -> None:
    """A prompt holds what others wrote as soon as it has been pasted."""
    for payload in payloads():
        if payload.kind == kind:
            for before in (None, f"{payload.text} before", f"before {payload.text}"):
                html = as_html(compared(before, payload.text))
                assert {"ins", "/ins", "del", "/del", "span", "/span"} >= {name for name, _ in skeleton(html)}, payload
                assert not [attributes for _, attributes in skeleton(html) if attributes], payload
                assert as_text(compared(before, payload.text)).isprintable(), payload


def turns(kernel: Kernel, chat: str) -> str:
    """Each turn of a conversation: its question, the model that was asked, what stood there before."""
    kernel.run("import or_magic as orm")
    return kernel.value(f"[(t.prompt, t.reply.model_requested, len(t.versions)) for t in orm.chat({chat!r}).turns]")


@pytest.mark.parametrize("cells", [("a", "b", "c"), (None, None, None)], ids=["with ids", "without ids"])
def test_again_in_a_conversation_asks_the_same_turn_anew(kernel: Kernel, cells: tuple[str | None, ...]) -> None:
    """It takes the place of the turn that it repeats, with the turns before that one, wherever it is typed."""
    name = f"talk-{cells[0]}"
    kernel.run(f"%%or offline/plain -c {name}\none", cell=cells[0])
    kernel.run(f"%%or offline/plain -c {name}\ntwo", cell=cells[1])
    dry = kernel.run("%or again -m offline/echo --dry-run", cell=cells[2])
    assert 1 == dry.text.count("two")
    assert "ok" == kernel.run("%or again -m offline/echo", cell=cells[2]).status
    wanted = "[('one', 'offline/plain', 0), ('two', 'offline/echo', {})]"
    assert wanted.format(1) == turns(kernel, name)
    assert "ok" == kernel.run("%or again", cell=cells[2]).status
    assert wanted.format(2) == turns(kernel, name)
    kernel.run(f"%or again -c other-{cells[0]}", cell=cells[2])
    assert wanted.format(2) == turns(kernel, name)
    assert "[('two', 'offline/echo', 0)]" == turns(kernel, f"other-{cells[0]}")


def test_an_option_is_not_broken_at_its_hyphens(kernel: Kernel) -> None:
    """A narrow column would show ``--`` in one line and its name in the next."""
    kernel.run("%%or -s 'be brief' --tag x\nHyphens")
    html = kernel.run("%or history").displays[0]["data"]["text/html"]
    assert '<code style="white-space:nowrap">--tag=x</code>' in html
    assert "&#x27;--system=be brief&#x27;" in html


def test_what_was_learnt_later_is_in_the_one_sum(kernel: Kernel) -> None:
    """Two sums of the same money side by side are none."""
    kernel.run("%%or offline/cut\nBroken off", cell="sum")
    kernel.run("%or reconcile")
    kernel.run("%%or\nWhole", cell="sum")
    told = kernel.run("%or history").displays[0]["data"]["text/plain"].splitlines()[-1]
    assert (1, 0) == (told.count("simulated"), told.count("unknown")), told
