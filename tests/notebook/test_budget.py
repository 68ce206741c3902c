"""Money and bad days in a cell: what is stopped, said, waited for, and what an interrupt does to a wait."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..guards import SOON_S
from .kernel import Kernel, Run
from .test_interrupts import press

MODEL = "anthropic/claude-sonnet-4.6"


@pytest.fixture
def rich(kernel: Kernel) -> Iterator[Kernel]:
    """The module's kernel, without a budget before and after."""
    kernel.run("%or budget off")
    yield kernel
    kernel.run("%or budget off")


def history(kernel: Kernel) -> str:
    """The wordings of all cells."""
    return str(kernel.run("%or history all").displays[0]["data"]["text/plain"])


def line(kernel: Kernel, cell: str) -> str:
    """Run a cell and return the line below its answer."""
    run = kernel.run(cell)
    assert "ok" == run.status, run.error
    return str(run.displays[-1]["data"]["text/plain"])


def test_a_cell_over_budget_fails_before_anything_is_sent_and_changes_nothing(rich: Kernel) -> None:
    """*Run all* stops; the last reply is the one before; nothing of it is in the books or in the history."""
    rich.run(f"%%or {MODEL} --max-tokens 20\nfirst")
    before = rich.value("(_or.id, len(__import__('or_magic').tracker.frame()))")
    rich.run("%or budget --session 0.0001")
    run = rich.run(f"%%or {MODEL} -o answer --max-tokens 500\nsecond")
    assert "error" == run.status
    assert run.error[0].startswith("OverBudget: The session's budget is $0.0001:")
    assert "Nothing was sent." in run.error[0]
    assert 2 == len(run.error)
    assert "-y" in run.error[1]
    assert [] == run.displays
    assert before == rich.value("(_or.id, len(__import__('or_magic').tracker.frame()))")
    assert "False" == rich.value("'answer' in globals()")
    assert "second" not in history(rich)


_UNTIL_DRAWN = """
import threading
from or_magic import api
from or_magic.notebook.live import Live
drawn, put, ledger = threading.Event(), Live._put, api.current().engine.ledger
Live._put = lambda self, *told: (put(self, *told), drawn.set())[0]
ledger.open = lambda *told, open=ledger.open: (drawn.wait(60), open(*told))[1]
"""


def test_a_cell_that_a_budget_stops_late_does_not_go_on_waiting(fresh_kernel: Kernel) -> None:
    """A first call loads what it needs before its budget is looked up; a saved "waiting" says that it was sent."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\n%or budget --session 0.0001")
    fresh_kernel.run(_UNTIL_DRAWN)
    stopped = fresh_kernel.run(f"%%or {MODEL} --max-tokens 500\nhello")
    assert "OverBudget" == stopped.reply["content"]["ename"]
    assert "*waiting for" in stopped.drawn
    assert [] == stopped.displays
    fresh_kernel.run("drawn.clear()")
    stopped = fresh_kernel.run("print('mine')\n%or ask " + "hello " * 900)
    assert "OverBudget" == stopped.reply["content"]["ename"]
    assert "*waiting for" in stopped.drawn
    assert "mine\n" == stopped.text
    assert [{"text/plain": ""}] == [shown["data"] for shown in stopped.displays]


def test_again_is_about_the_question_that_was_stopped(rich: Kernel) -> None:
    """The error advises -y: said to another question, it would pay for what nobody asked for."""
    rich.run(f"%%or {MODEL}\nfirst")
    rich.run("%or budget --session 0.0001")
    rich.run(f"%%or {MODEL} --max-tokens 500\nsecond")
    assert "OverBudget" == rich.run("%or again").reply["content"]["ename"]
    assert "sent by -y" in line(rich, "%or again -y")
    assert "◂" in history(rich).rpartition("second")[0]


def test_yes_is_for_one_call(rich: Kernel) -> None:
    """``again`` does not inherit it."""
    rich.run("%or budget --session 0.0001")
    assert "sent by -y past a budget (session)" in line(rich, f"%%or {MODEL} -y --max-tokens 500\nhello")
    assert "OverBudget" == rich.run("%or again").reply["content"]["ename"]
    assert "sent by -y" in line(rich, "%or again -y")


def test_the_line_below_the_answer_says_when_a_budget_is_nearly_spent(rich: Kernel) -> None:
    """Once."""
    rich.run("%or budget --tag soon=0.0011")
    told = [line(rich, f"%%or {MODEL} --tag soon --max-tokens 500 -y\nhello there") for _ in range(2)]
    assert "% of the budget of the tag 'soon' is spent" in told[0]
    assert "simulated of $0.0011" in told[0].rpartition("spent: ")[2]
    assert "% of the budget" not in told[1]


def test_budgets_are_told_in_words(rich: Kernel) -> None:
    """What is spent, held and left of each."""
    assert "No budget holds." in rich.run("%or budget").text
    told = rich.run("%or budget --session 5 --week 20 --tag thesis=1.5").text.splitlines()
    assert ["session", "week", "tag thesis"] == [each.split("  ")[0] for each in told]
    assert "of $1.50 simulated spent · $1.50 left" in told[2]
    rich.run("%or budget --week off")
    assert "week" not in rich.run("%or budget").text


def test_a_budget_is_set_and_taken_off_although_the_ledger_cannot_be_read(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """The error that advises "%or budget off" must not come again when that is done."""
    (tmp_path / "offline").mkdir()
    (tmp_path / "offline" / "ledger.sqlite").write_bytes(b"this is no database, and never was one" * 100)
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    told = fresh_kernel.run("%or budget --session 5").text
    assert told.startswith("That is set; how much of it is spent cannot be looked up now. The ledger ")
    stopped = "\n".join(fresh_kernel.run(f"%%or {MODEL}\nhello").error)
    assert "So the budget cannot be checked. Nothing was sent." in stopped
    assert "not affected" not in stopped
    assert "error" == fresh_kernel.run("%or budget").status
    assert "No budget holds." in fresh_kernel.run("%or budget off").text
    asked = fresh_kernel.run(f"%%or {MODEL}\nhello")
    assert "ok" == asked.status
    assert asked.text.startswith("<or_magic>:1: LedgerWarning: The ledger "), "no path of libraries in a saved notebook"
    assert 1 == len(asked.text.splitlines())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--dya 5", "Did you mean --day?"),
        ("--day five", "is no amount of dollars"),
        ("--day", "expected one argument"),
        ("--tag thesis", "is not NAME=USD"),
        ("--save", "--save keeps what is set with it"),
        ("5", "'5' does not belong here"),
    ],
)
def test_a_wrong_budget_is_named_and_changes_nothing(rich: Kernel, words: str, told: str) -> None:
    """A budget that is silently none would be the worst of all."""
    run = rich.run(f"%or budget {words}")
    assert "error" == run.status
    assert told in "\n".join(run.error)
    assert "No budget holds." in rich.run("%or budget").text


def test_a_saved_budget_holds_in_every_kernel(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """For real money: the simulator's counts against none that is only saved."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    told = fresh_kernel.run("%or budget --day 5 --tag thesis=20 --save").text
    assert f"Saved in {tmp_path / 'config.toml'}" in told
    saved = tomllib.loads((tmp_path / "config.toml").read_text())
    assert {"daily_budget": "5", "tag_budgets": {"thesis": "20"}} == saved
    fresh_kernel.run("%or budget --day off --tag thesis=off --save")
    assert {"tag_budgets": {}} == tomllib.loads((tmp_path / "config.toml").read_text())


def test_a_dry_run_says_what_is_left(rich: Kernel) -> None:
    """And whether it would be enough."""
    rich.run("%or budget --session 2 --tag small=0.0001")
    told = rich.run(f"%%or {MODEL} --dry-run --tag small --max-tokens 900\nhello").text
    assert "of the session's budget, $2.00\n" in told
    assert "$0.0001 is left of the budget of the tag 'small', $0.0001: not enough" in told
    rich.run("%or budget --session 0 --tag small=off")
    assert "$0.00: not enough" in rich.run("%%or nobody/knows --dry-run\nhello").text


def test_retries_are_counted_below_the_answer(rich: Kernel) -> None:
    """The time that it tells is that of the last attempt."""
    assert line(rich, "%%or offline/flaky:1\nretries").endswith("2 attempts")


def test_who_answered_in_place_of_whom_is_said(rich: Kernel) -> None:
    """In the line that stays."""
    told = line(rich, f"%%or offline/error-503 --fallback {MODEL}\nsomebody")
    assert told.endswith(f"{MODEL} answered in place of offline/error-503")


def said(words: str) -> Callable[[Run], bool]:
    """Whether the cell shows this."""
    return lambda run: words in str([message["content"] for message in run.messages])


@pytest.mark.parametrize("after_s", [0.0, 0.6, 2.0])
def test_an_interrupt_ends_the_wait_before_a_retry(rich: Kernel, after_s: float) -> None:
    """A wait that cannot be stopped is a kernel that hangs."""
    run, pressed, failed = press(rich, "%%or offline/error-503:60\nhello", after_s, said("again in"))
    assert "CallInterruptedError" == run.reply["content"]["ename"], run.error
    assert failed - pressed < SOON_S
    assert "Nothing was billed" in run.error[0]
    told = run.displays[-1]["data"]["text/plain"]
    assert "nothing billed" in told
    assert "attempts" not in told, "the second was never made"


def test_an_interrupt_ends_the_wait_for_a_limit_a_minute(fresh_kernel: Kernel) -> None:
    """And nothing was sent."""
    fresh_kernel.run(
        "import or_magic.api as api\n%load_ext or_magic\n%or use offline\n"
        "api.set_settings(rate_limits={'*': {'requests': 1}})"
    )
    assert "ok" == fresh_kernel.run("%%or offline/plain\nfirst").status
    run, pressed, failed = press(fresh_kernel, "%%or offline/plain\nsecond", 0.3, said("The call waits"))
    assert "CallInterruptedError" == run.reply["content"]["ename"], run.error
    assert "Nothing was sent." in run.error[0]
    assert failed - pressed < SOON_S
    assert "1 request a minute" in fresh_kernel.run("%or doctor").text
