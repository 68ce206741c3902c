"""What a cell shows while it runs and what it leaves, for every option of the face, in a real kernel."""

from __future__ import annotations

import json

import pytest

from .kernel import Kernel, Run


@pytest.fixture(autouse=True, scope="module")
def _quick(kernel: Kernel) -> None:
    """The simulator of cells takes its time, so that people see how answers stream; here it need not."""
    kernel.run("import or_magic as orm\nfrom or_magic import api\napi.use(orm.connect(offline=True, pace_s=0.001))")


def markdown(run: Run) -> str:
    return run.displays[0]["data"]["text/markdown"]


def line(run: Run) -> str:
    return run.displays[-1]["data"]["text/plain"]


def test_quiet_leaves_the_status_line_with_the_receipt(kernel: Kernel) -> None:
    """The answer is in the value; the spend must still be in the file."""
    done = kernel.run("%%or offline/plain -q -o kept\nhello")
    assert 1 == len(done.displays)
    assert line(done).startswith("✓ offline/plain")
    assert "ok" == done.displays[0]["metadata"]["or_magic"]["status"]
    assert "True" == kernel.value("len(kept.text) > 0")


def test_text_is_shown_as_it_came(kernel: Kernel) -> None:
    """For who wants to see the asterisks."""
    done = kernel.run("%%or offline/echo -f text\n**bold** <b>x</b>")
    assert {"text/plain"} == set(done.displays[0]["data"])
    assert "**bold** <b>x</b>" == done.displays[0]["data"]["text/plain"]


def test_code_goes_into_a_new_cell_below(kernel: Kernel) -> None:
    """Lab and Notebook do it by this payload."""
    done = kernel.run("%%or offline/echo -f code\nHere:\n```python\nx = 1\n\nprint(x)\n```\nand ```more```\n")
    payload = [item for item in done.reply["content"]["payload"] if item["source"] == "set_next_input"]
    assert [("x = 1\n\nprint(x)", False)] == [(item["text"], item["replace"]) for item in payload]
    assert "code in the next cell" in line(done)
    without = kernel.run("%%or offline/echo -f code\nno code here")
    assert [] == without.reply["content"]["payload"]
    assert "no code block in the answer" in line(without)


def test_reasoning_is_seen_while_it_goes_on_and_folded_when_done(kernel: Kernel) -> None:
    """It is long, and it is not the answer."""
    done = kernel.run("%%or offline/reasoning\nhello")
    assert "*thinking" in done.drawn
    folded = markdown(done)
    assert folded.startswith("<details><summary>Reasoning · ")
    assert folded.index("</details>") < folded.index("Offline simulator")
    hidden = kernel.run("%%or offline/reasoning --hide-reasoning\nhello")
    assert "details" not in markdown(hidden)
    assert "True" == kernel.value("len(_or.reasoning) > 0")


def test_citations_are_numbered_links(kernel: Kernel) -> None:
    """Each page once."""
    text = markdown(kernel.run("%%or offline/citations\nhello"))
    assert "**Sources**\n\n1. [Simulated source a](https://example.com/simulated/a)\n2. " in text
    assert "\n3. " not in text


@pytest.mark.parametrize(
    ("model", "mark", "word"),
    [
        ("offline/length", "*— cut off at its token limit —*", "cut short: length"),
        ("offline/content-filter", "*— cut off by a content filter —*", "cut short: content_filter"),
        ("offline/cut", "*— the answer broke off here —*", "✗ partial"),
        ("offline/mid-stream-error", "*— the answer failed here —*", "✗ error"),
    ],
)
def test_an_answer_that_is_not_whole_says_so(kernel: Kernel, model: str, mark: str, word: str) -> None:
    """In the answer itself, where nobody can overlook it, and below it."""
    done = kernel.run(f"%%or {model}\nhello")
    assert mark in markdown(done)
    assert word in line(done)


def test_a_mark_after_an_open_fence_is_not_code(kernel: Kernel) -> None:
    """The fence is closed first."""
    done = kernel.run("%%or offline/echo -r none\n```python\nx = 1")
    assert "```python\nx = 1" == markdown(done)
    cut = kernel.run("from or_magic.content import Text\nfrom or_magic.notebook.words import answer\nfrom or_magic.values import Reply\n"
                     "print(answer(Reply(parts=(Text('```py\\nx = 1'),), status='partial')))")  # fmt: skip
    assert "```py\nx = 1\n```\n\n*— the answer broke off here —*\n" == cut.text


def test_the_wait_is_visible(kernel: Kernel) -> None:
    """Who waits wants to know for what; the words then take the place."""
    done = kernel.run("%%or offline/comments-then-answer:600\nhello")
    assert "*waiting for offline/comments-then-answer:600" in done.drawn
    assert "waiting" not in markdown(done)
    assert 2 == len(done.displays)


@pytest.mark.parametrize("model", ["offline/long:400", "offline/long:2500"])
def test_a_finished_cell_holds_the_answer_and_the_line(kernel: Kernel, model: str) -> None:
    """However many outputs it took while it grew."""
    done = kernel.run(f"%%or {model}\nhello")
    assert 2 == len(done.displays)
    words = int(model.partition(":")[2])
    assert words == markdown(done).split().count("word")
    assert ["or_magic"] == list(done.displays[0]["metadata"])
    assert {} == done.displays[1]["metadata"]
    saved = json.dumps([shown["data"] for shown in done.displays])
    assert len(saved) < 1.15 * len(markdown(done)) + 2000


def test_an_answer_in_a_loop_clears_nothing_else(kernel: Kernel) -> None:
    """What the cell printed before is not ours to clear, however long the answer."""
    done = kernel.run(
        "print('mine')\nfor n in (1, 2):\n    get_ipython().run_cell_magic('or', 'offline/long:2500', 'hello')\nprint('after')"
    )
    assert "clear_output" not in [m["msg_type"] for m in done.messages]
    assert "mine\nafter\n" == done.text
    assert 4 == len(done.displays)
    assert all(2500 == shown["data"]["text/markdown"].split().count("word") for shown in done.displays[::2])


def test_captured_output_is_only_the_end(kernel: Kernel) -> None:
    """``%%capture`` is for later: it must not hold every state of a stream."""
    kernel.run("%%capture kept\nget_ipython().run_cell_magic('or', 'offline/plain', 'hello')")
    assert "2" == kernel.value("len([output for output in kept.outputs if output.data])")


def test_a_whole_answer_can_be_asked_for(kernel: Kernel) -> None:
    """For servers that stream badly."""
    done = kernel.run("%%or offline/plain --no-stream\nhello")
    assert "ok" == done.status
    assert "Offline simulator" in markdown(done)


def test_verbatim_sends_braces(kernel: Kernel) -> None:
    """A prompt about templates is a prompt, too."""
    assert "{{ nothing }}" in markdown(kernel.run("%%or offline/echo --verbatim\n{{ nothing }}"))


def test_a_dry_run_shows_everything_and_sends_nothing(kernel: Kernel) -> None:
    """The exact messages, the other fields, the bound."""
    server = "__import__('or_magic').api.current().engine.gateways.server"
    kernel.run("%%or offline/plain -q\nhello\n")
    before = kernel.value(f"({server}.received(), len(__import__('or_magic').tracker.frame()))")
    done = kernel.run(
        '%%or openai/gpt-5-mini --dry-run -s "You count." -t 0.5 --max-tokens 100 --sort price --zdr -r low\nOne, {{ 1 + 1 }}'
    )
    assert "ok" == done.status
    assert "nothing was sent" in done.text
    assert "── system\nYou count.\n" in done.text
    assert "── user\nOne, 2\n" in done.text
    fields = json.loads(done.text.partition("── other fields: ")[2].splitlines()[0])
    assert {"temperature": 0.5, "max_tokens": 100, "stream": True, "reasoning": {"effort": "low"},
            "provider": {"sort": "price", "zdr": True}} == fields  # fmt: skip
    assert "at most $0.00" in done.text
    assert [] == done.displays
    assert before == kernel.value(f"({server}.received(), len(__import__('or_magic').tracker.frame()))")


def test_again_asks_with_other_options(kernel: Kernel) -> None:
    """The wording stays, its expressions are evaluated anew."""
    kernel.run("count = 1")
    kernel.run('%%or offline/echo -s "Be brief."\ncount is {{ count }}')
    kernel.run("count = 2")
    done = kernel.run("%or again --tag second")
    assert "count is 2" == markdown(done)
    assert "'second'" == kernel.value("orm.tracker.frame().tag.iloc[-1]")
    other = kernel.run("%or again -m offline/plain")
    assert line(other).startswith("✓ offline/plain")


def test_history_has_wordings_answers_and_costs(kernel: Kernel) -> None:
    """What was tried on the way to the prompt that works."""
    kernel.run("%%or offline/echo --tag a\nfirst wording")
    kernel.run("%%or offline/cut\nsecond wording")
    told = kernel.run("%or history").displays[0]["data"]["text/plain"]
    first, second = told.index("◂ first wording"), told.index("▸ [-first-] {+second+} wording")
    assert first < second
    assert "--model=offline/echo --tag=a" in told
    assert "partial · cost not known yet" in told


def test_out_is_left_alone_by_a_failure(kernel: Kernel) -> None:
    """A name never holds half an answer; ``_or`` does."""
    kernel.run("%%or offline/plain -o good -q\nhello")
    before = kernel.value("good.id")
    kernel.run("%%or offline/cut -o good\nhello")
    assert before == kernel.value("good.id")
    assert "'partial'" == kernel.value("_or.status")


def test_the_status_line_is_small_and_its_money_is_no_formula(kernel: Kernel) -> None:
    """Front ends typeset what stands between two dollars of one element."""
    shown = kernel.run("%%or offline/plain\nhello").displays[-1]["data"]["text/html"]
    assert shown.startswith("<small ")
    assert all(piece.count("$") <= 1 for piece in shown.split("<"))


def test_names_in_the_status_line_are_text(kernel: Kernel) -> None:
    """A model's name comes from outside."""
    told = kernel.run(
        "from or_magic.notebook.words import *\nfrom or_magic.values import Reply\n"
        "print(status_bundle(status_line(Reply(model='<img src=x onerror=alert(1)>\\x1b[31m'), None))['text/html'])"
    ).text
    assert "<img" not in told
    assert "\x1b" not in told
