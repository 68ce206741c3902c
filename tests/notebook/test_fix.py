"""``%or fix`` and ``--context`` in a real kernel: what is sent, what never is, and where the corrected cell goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..canary import found_in
from .kernel import Kernel, Run

# What arrived, as it was on the wire: a recorder of ours would have taken the key out.
WIRETAP = """
from or_magic.offline import wire
received, _read = [], wire.Connection._body
def _noted(self, headers):
    received.append(_read(self, headers))
    return received[-1]
wire.Connection._body = _noted
"""


@pytest.fixture(scope="module")
def fixing(tmp_path_factory: pytest.TempPathFactory, canary: str) -> Iterator[Kernel]:
    """A kernel with a key, whose gateway is a simulator reached by address."""
    kernel = Kernel()
    try:
        home = str(tmp_path_factory.mktemp("home"))
        kernel.run(
            f"import os; os.environ['OR_MAGIC_HOME'] = {home!r}\n%load_ext or_magic\n"
            "%config HistoryManager.enabled = False\n"  # IPython keeps what is typed: a key in a cell is in there
            f"{WIRETAP}\nfrom or_magic.offline import serve\nserver = serve()\nos.environ['OPENROUTER_BASE_URL'] = server.url"
        )
        yield kernel
    finally:
        kernel.close()


def sent(kernel: Kernel) -> str:
    """The last request of all, as JSON."""
    return kernel.run("print([body for body in received if body][-1].decode())").text


def prompt(kernel: Kernel) -> str:
    """The text of the last question."""
    content = json.loads(sent(kernel))["messages"][-1]["content"]
    return content if isinstance(content, str) else "\n".join([part["text"] for part in content])


def code(run: Run) -> list[tuple[str, bool]]:
    """What goes into the cell below."""
    assert "ok" == run.status, run.error
    return [(item["text"], item["replace"]) for item in run.reply["content"]["payload"]]


def test_nothing_failed_yet(fresh_kernel: Kernel) -> None:
    """A sentence, no request."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    done = fresh_kernel.run("%or fix")
    assert "OptionError: No cell has failed since or_magic was loaded. Nothing was sent." == done.error[0]


def test_the_error_and_the_code_are_sent_and_the_corrected_cell_comes_below(fixing: Kernel) -> None:
    """With what the user adds; no value of a variable, no other cell."""
    fixing.run("password_of_mine = 'hunter2-in-another-cell'\nrows = ['value-of-a-local']")
    fixing.run("def mean(rows):\n    hidden = 'a-local-value'\n    return sum(rows) / len(rows)")
    failed = fixing.run("# my comment with {{ braces }}\nmean([])")
    assert "ZeroDivisionError" == failed.reply["content"]["ename"]
    done = fixing.run("%or fix -m openai/gpt-5-mini it must stay a function; don't ask")
    assert [('# The offline simulator wrote this, not a model.\nprint("simulated")', False)] == code(done)
    asked = prompt(fixing)
    assert "```python\n# my comment with {{ braces }}\nmean([])\n```" in asked
    assert "ZeroDivisionError: division by zero" in asked
    assert "return sum(rows) / len(rows)" in asked
    assert "Its author adds: it must stay a function; don't ask" in asked
    assert "hunter2" not in asked
    assert "value-of-a-local" not in asked
    assert "site-packages" not in asked


def test_a_dry_run_says_what_would_go(fixing: Kernel) -> None:
    """Exactly, and nothing goes; ``--`` ends the options."""
    fixing.run("1/0")
    before = fixing.value("len(received)")
    done = fixing.run("%or fix --dry-run -- -O2 stays")
    assert "nothing was sent" in done.text
    assert "1/0" in done.text
    assert "Its author adds: -O2 stays" in done.text
    assert "ZeroDivisionError" in done.text
    assert before == fixing.value("len(received)")
    late = fixing.run("%or fix it must be fast --dry-run")
    assert "--dry-run comes after the words" in late.error[0]
    assert before == fixing.value("len(received)")


def test_a_syntax_error_has_no_frames(fixing: Kernel) -> None:
    """The line and the place are in it."""
    assert "SyntaxError" == fixing.run("x = [1, 2\nprint(x)").reply["content"]["ename"]
    fixing.run("%or fix")
    asked = prompt(fixing)
    assert "x = [1, 2\nprint(x)" in asked
    assert "SyntaxError: '[' was never closed" in asked


def test_a_failure_of_or_magic_is_not_sent(fixing: Kernel) -> None:
    """Its message says what to do; that of a command is passed over, and so is an interrupt."""
    fixing.run("1/0")
    before = fixing.value("len(received)")
    assert "error" == fixing.run("%or fixx").status
    assert "error" == fixing.run("%or fix --tmp 1").status
    fixing.run("raise KeyboardInterrupt")
    assert "1/0" in fixing.run("%or fix --dry-run").text
    fixing.run("%%or --temprature 1\nhello")
    done = fixing.run("%or fix")
    assert "or_magic's own: OptionError" in done.error[0]
    assert "%or traceback" in done.error[0]
    assert before == fixing.value("len(received)")
    fixing.run("1/0")
    assert "1/0" in fixing.run("%or fix --dry-run").text


def test_a_fix_can_be_asked_again_of_another_model(fixing: Kernel) -> None:
    """It is a question like any other."""
    fixing.run("{}['missing']")
    fixing.run("%or fix -q --tag mending")
    assert (
        "code in the next cell"
        in fixing.run("%or again -m anthropic/claude-haiku-4.5").displays[-1]["data"]["text/plain"]
    )
    assert "KeyError: 'missing'" in prompt(fixing)
    assert "'mending'" == fixing.value("__import__('or_magic').tracker.frame().tag.iloc[-1]")


def test_no_key_in_a_cell_is_sent(fixing: Kernel, canary: str, tmp_path: Path) -> None:
    """The session's own in any piece, other keys by their shape and their names: by fix, by context, by again."""
    head, tail = canary[:30], canary[30:]
    fixing.run(f"client = dict(head='{head}')\npassword = 'correct-horse'\n1/0", cell="keys")
    told = fixing.run("%or fix --dry-run")
    assert "[key]" in told.text
    done = fixing.run("%or fix")
    assert "values that may be a key" in done.text
    fixing.run(f"%env OTHER_VALUE={tail}")
    fixing.run("%%or --context 5\nWhat is this?")
    dry = fixing.run("%%or --context 5 --dry-run\nWhat is this?")
    assert "values like keys are left out" in dry.text
    fixing.run("%or again")
    requests = fixing.run("print([body for body in received if body])")
    for run in (told, done, dry, requests):
        shown = json.dumps([message["content"] for message in run.messages if message["msg_type"] != "execute_input"])
        assert [] == list(found_in(canary, shown.encode()))
        assert "correct-horse" not in shown


def test_context_is_the_cells_before_with_short_results(fixing: Kernel) -> None:
    """Each once, as it ran last; ours, keys and environment are left out; errors are named, never drawn."""
    fixing.run("x = 40", cell="x")
    fixing.run("x = 41", cell="x")
    fixing.run("%or key")
    fixing.run("%env PLACE=here")
    fixing.run("%%or\nnot this one")
    fixing.run("x + 1\n")
    fixing.run("local_value = 7; 1/0")
    fixing.run("y = x\n%or spend\n'r' * 5000")
    fixing.run("%%or --context 4 -s 'be brief'\nWhat is {{ x }}?")
    asked = prompt(fixing)
    assert asked.startswith("The cells of my notebook that ran before, the latest last:")
    assert asked.endswith("My question:\n\nWhat is 41?")
    assert "x = 40" not in asked
    assert asked.index("```python\nx = 41\n```") < asked.index("```python\nx + 1\n```\n\nOut [")
    assert "```\n42\n```" in asked
    assert "(It raised ZeroDivisionError.)" in asked
    assert "Traceback" not in asked
    for absent in ("not this one", "PLACE", "spend", "%or", "Offline simulator"):
        assert absent not in asked
    assert "characters left out" in asked
    assert len(asked) < 2_000


def test_context_has_a_line_of_its_own_in_the_dry_run(fixing: Kernel) -> None:
    """Which cells, and about how many tokens they add; braces in them are no expressions."""
    fixing.run("first = '{{ undefined_name }}'")
    fixing.run("second = 2")
    done = fixing.run("%%or --context 2 --dry-run\nhello")
    assert "ok" == done.status, done.error
    [line] = [line for line in done.text.splitlines() if line.startswith("── inserted --context")]
    assert "tokens" in line
    assert "In [" in line
    assert "'{{ undefined_name }}'" in done.text
    assert "first" not in fixing.run("%%or --context 1 --dry-run\nhello").text.replace("first word", "")


@pytest.mark.parametrize("number", ["0", "51", "-1", "x", "1.5"])
def test_context_is_a_number_of_cells(fixing: Kernel, number: str) -> None:
    """Bounded, so that no slip sends a whole day."""
    done = fixing.run(f"%%or --context={number}\nhello")
    assert "from 1 to 50" in done.error[0]


def test_without_a_cell_before_there_is_no_context(fresh_kernel: Kernel) -> None:
    """The question is sent as it is, and the dry run says why; as soon as a cell ran, it goes along."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\n%reset -f in")
    dry = fresh_kernel.run("%%or offline/echo --context 3 --dry-run\nhello")
    assert "── inserted --context, no cell ran before this one" in dry.text, dry.error
    fresh_kernel.run("%%or offline/echo --context 3\nhello")
    assert "'hello'" == fresh_kernel.value("_or.text")
    fresh_kernel.run("number = 1")
    fresh_kernel.run("%%or offline/echo --context 3\nhello")
    assert "True" == fresh_kernel.value("'number = 1' in _or.text and _or.text.endswith('My question:\\n\\nhello')")


def test_again_sees_the_cells_that_are_before_it(fixing: Kernel) -> None:
    """As its expressions, its context is of now; our own cells in between do not count."""
    fixing.run("number = 1")
    fixing.run("%%or --context 1\nhello")
    fixing.run("%or spend")
    fixing.run("%or again")
    assert "number = 1" in prompt(fixing)
    fixing.run("number = 2")
    fixing.run("%or again")
    assert "number = 2" in prompt(fixing)
