"""R11: budgets hold across threads, kernels and crashes, against what the gateway really billed; no call is stopped in vain."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, ask, connect, current, forget_choices, set_settings, use
from or_magic.errors import CallError, OptionError, OverBudget, SettingsError
from or_magic.events import Notice
from or_magic.values import from_pico

from ..guards import HANG_S
from .kit import LIMITS, ROOT, Simulator, books, rows, server_of

MODEL = "anthropic/claude-haiku-4.5"
# Each thread asks until it is stopped; every stop is told with what it was justified by.
_WORKER = """
import json, sys, threading
from decimal import Decimal
import or_magic as orm
from or_magic.errors import OverBudget
from tests.world.kit import LIMITS
url, home, usd, threads, model = sys.argv[1:]
session = orm.connect(base_url=url, home=home, total_budget=usd, timeouts=LIMITS)
said = threading.Lock()
def tell(**facts):
    with said:
        print(json.dumps(facts, default=str), flush=True)
def ask_on():
    try:
        while True:
            session.ask("Say a word or two about the sea, and then stop.", model=model, max_tokens=40)
    except OverBudget as error:
        tell(limit=error.limit_usd, spent=error.spent_usd, held=error.held_usd, asked=error.asked_usd)
    except Exception as error:
        tell(failed=repr(error))
running = [threading.Thread(target=ask_on) for _ in range(int(threads))]
[thread.start() for thread in running]
tell(began=True)
[thread.join() for thread in running]
"""


def _spend(home: Path, usd: str, processes: int, threads: int, killed: int) -> list[dict[str, Any]]:
    """Let workers spend a budget together, kill some of them on the way, and return what they told."""
    simulator = Simulator()
    try:
        command = [sys.executable, "-c", _WORKER, simulator.url, str(home), usd, str(threads), MODEL]
        workers = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=None, text=True)
            for _ in range(processes)
        ]
        told: list[dict[str, Any]] = []
        for worker in workers:  # all have begun before the first is killed
            assert worker.stdout is not None
            told.append(json.loads(worker.stdout.readline()))
        for worker in workers[:killed]:
            _after_some_calls(simulator)
            worker.send_signal(signal.SIGKILL)
        for worker in workers:
            told += [json.loads(line) for line in worker.communicate(timeout=600)[0].splitlines() if line.endswith("}")]
        _settle(simulator, home)
        _compare(simulator, home, Decimal(usd))
    finally:
        simulator.close()
    return [facts for facts in told if "began" not in facts]


def _after_some_calls(simulator: Simulator) -> None:
    """Return when the simulator has billed a few calls more: then some are under way in every worker."""
    before = len(simulator.ledger())
    end = time.monotonic() + HANG_S
    while len(simulator.ledger()) < before + random.randint(1, 20) and time.monotonic() < end:
        time.sleep(0.002)


def _settle(simulator: Simulator, home: Path) -> None:
    """Ask for what broke off, as the next kernel does by itself."""
    with connect(base_url=simulator.url, home=home, timeouts=LIMITS) as session:
        session.reconcile()


def _compare(simulator: Simulator, home: Path, usd: Decimal) -> None:
    """What was really billed is within the budget, and nothing is held for calls that are over."""
    billed = sum((Decimal(entry["cost_text"]) for entry in simulator.ledger()), Decimal(0))
    found = books(home / "ledger.sqlite")
    assert billed <= usd
    assert [] == [row for row in found if row["status"] == "open"]
    assert 0 == sum(row["held_pico"] or 0 for row in found if row["cost_pico"] is None)
    known = sum(row["cost_pico"] for row in found if row["cost_source"] in ("billed", "reconciled"))
    estimated = sum(row["cost_pico"] for row in found if row["cost_source"] == "estimated")
    assert from_pico(known) <= billed <= from_pico(known + estimated)
    assert from_pico(known + estimated) <= usd
    # It was really spent: what is left is less than one more call would have held.
    assert usd - from_pico(known + estimated) < max(from_pico(row["bound_pico"]) for row in found)


def _check_stops(stops: list[dict[str, Any]]) -> None:
    assert [] == [facts for facts in stops if "failed" in facts]
    assert stops
    for facts in stops:
        limit, spent, held, asked = (Decimal(facts[name]) for name in ("limit", "spent", "held", "asked"))
        assert limit - spent - held < asked, "a false stop"


def test_kernels_and_threads_spend_a_budget_together_and_never_more(tmp_path: Path) -> None:
    """An eighth of them is killed on the way."""
    _check_stops(_spend(tmp_path, "0.2", processes=4, threads=8, killed=1))


@pytest.mark.long
def test_eight_kernels_of_sixty_four_threads_spend_a_dollar_and_never_more(tmp_path: Path) -> None:
    """The full N of R11, a tenth of the workers killed, five rounds."""
    for number in range(5):
        _check_stops(_spend(tmp_path / str(number), "1", processes=8, threads=64, killed=1))


# --- one session -------------------------------------------------------------------------------------------------


def test_a_call_that_may_pass_the_budget_is_not_sent(offline: Session) -> None:
    """And has no row."""
    offline.tracker.budget(session="0.001")
    with pytest.raises(OverBudget, match="The session's budget is"):
        offline.ask("Hello", model=MODEL, max_tokens=2000)
    assert (0, []) == (server_of(offline).received(), rows(offline))


@pytest.mark.parametrize("scope", ["session", "day", "week", "total"])
def test_every_scope_stops(offline: Session, scope: str) -> None:
    """Whatever it is called."""
    offline.tracker.budget(**{scope: 0.001})
    with pytest.raises(OverBudget) as caught:
        offline.ask("Hello", model=MODEL, max_tokens=2000)
    assert scope == caught.value.scope
    offline.tracker.budget(**{scope: "off"})
    assert "ok" == offline.ask("Hello", model=MODEL, max_tokens=2000).status


def test_a_tag_has_a_budget_of_its_own(offline: Session) -> None:
    """Other calls go on."""
    offline.tracker.budget(tags={"thesis": "0.001", "other": 9})
    with pytest.raises(OverBudget, match="'thesis'"):
        offline.ask("Hello", model=MODEL, max_tokens=2000, tag="thesis")
    assert "ok" == offline.ask("Hello", model=MODEL, max_tokens=2000).status
    assert "ok" == offline.ask("Hello", model=MODEL, max_tokens=2000, tag="other").status
    frame = offline.tracker.budget()
    assert ["tag thesis", "tag other"] == list(frame.index)
    assert 0 == frame.loc["tag thesis", "spent_usd"] < frame.loc["tag other", "spent_usd"]


def test_a_call_has_a_budget_of_its_own(offline: Session) -> None:
    """``--budget`` holds for this call."""
    with pytest.raises(OverBudget, match="The budget of this call is"):
        offline.ask("Hello", model=MODEL, max_tokens=2000, budget="0.001")
    assert "ok" == offline.ask("Hello", model=MODEL, max_tokens=200, budget=0.01).status


def test_yes_sends_it_once_and_the_row_says_so(offline: Session) -> None:
    """On record, for whoever asks later who allowed that."""
    offline.tracker.budget(session="0.001", total=5)
    stream = offline.stream("Hello", model=MODEL, max_tokens=2000, yes=True)
    assert "sent by -y past a budget (session)" in [event.text for event in stream if isinstance(event, Notice)]
    with pytest.raises(OverBudget):
        offline.ask("Hello", model=MODEL, max_tokens=2000)
    assert ["session"] == [row["waived"] for row in rows(offline)]


def test_under_a_budget_the_answer_has_a_limit_and_the_provider_a_price(offline: Session) -> None:
    """Without a limit of its own a call takes a share of what is left, so that others can run beside it."""
    from or_magic.options import Options

    offline.tracker.budget(session=1)
    preview = offline.engine.preview("Hello", Options(model=MODEL))
    assert {"max_price": {"prompt": 1.0, "completion": 5.0}} == preview.body["provider"]
    assert 15_000 < preview.body["max_tokens"] < 20_000
    assert preview.bound_usd is not None
    assert Decimal("0.08") < preview.bound_usd <= Decimal("0.11")
    mine = {"provider": {"max_price": {"completion": 2}, "sort": "price"}}
    preview = offline.engine.preview("Hello", Options(model=MODEL, max_tokens=7, params=mine))
    assert 7 == preview.body["max_tokens"]
    assert {"max_price": {"prompt": 1.0, "completion": 2}, "sort": "price"} == preview.body["provider"]
    unknown = offline.engine.preview("Hello", Options(model="some/unknown-model"))
    assert (4096, None) == (unknown.body["max_tokens"], unknown.bound_usd)


@pytest.mark.parametrize(
    ("provider", "sent"),
    [
        ({"max_price": {"prompt": 1000, "completion": 2}}, {"max_price": {"prompt": 1.0, "completion": 2}}),
        ({"max_price": {"prompt": "a lot"}}, {"max_price": {"prompt": "a lot", "completion": 5.0}}),
        ({"max_price": "a lot"}, {"max_price": "a lot"}),
        ("a-provider", "a-provider"),
        (None, {"max_price": {"prompt": 1.0, "completion": 5.0}}),
    ],
)
def test_no_provider_may_be_dearer_than_the_bound_assumes(offline: Session, provider: Any, sent: Any) -> None:
    """Whoever allows more has another bound; what is no price, or no routing, is for the gateway to refuse."""
    from or_magic.options import Options

    offline.tracker.budget(session=1)
    preview = offline.engine.preview("Hello", Options(model=MODEL, params={"provider": provider}))
    assert sent == preview.body["provider"]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_is_null_is_none(offline: Session, name: str) -> None:
    """Under a budget the answer always has one."""
    from or_magic.options import Options

    offline.tracker.budget(session=1)
    preview = offline.engine.preview("Hello", Options(model=MODEL, params={name: None}))
    assert 15_000 < preview.body[name] < 20_000


def test_the_largest_budget_fits_the_books(offline: Session) -> None:
    """A call of unknown price holds all of it, in a column of 64 bits."""
    offline.tracker.budget(session="999999.99")
    assert "ok" == offline.ask("Hello", model="offline/plain").status


def test_without_a_budget_nothing_is_added(offline: Session) -> None:
    """Then the request is what was asked for."""
    from or_magic.options import Options

    body = offline.engine.preview("Hello", Options(model=MODEL)).body
    assert {"model", "messages", "stream"} == set(body)


def test_the_smaller_what_is_left_the_shorter_the_answer_and_then_it_stops(offline: Session) -> None:
    """It never ends in answers of three words."""
    offline.tracker.budget(session="0.02")
    asked = []
    with pytest.raises(OverBudget):
        while True:
            offline.ask("Hello", model="anthropic/claude-sonnet-4.6")
            asked.append(rows(offline)[-1]["bound_pico"])
    assert asked
    assert asked[-1] <= asked[0]
    assert offline.tracker.budget().loc["session", "left_usd"] >= 0


def test_a_price_that_nobody_knows_reserves_all_that_is_left(offline: Session) -> None:
    """While it runs nothing else fits; when its cost is told, the rest is free again."""
    offline.tracker.budget(session=1)
    with offline.stream("Hello", model="offline/plain") as stream:
        next(stream)
        with pytest.raises(OverBudget, match=r"\$1.00 simulated is held"):
            offline.ask("Hello", model=MODEL)
        for _ in stream:
            continue
    assert "ok" == offline.ask("Hello", model=MODEL).status


def test_at_four_fifths_it_is_said_once(offline: Session) -> None:
    """Before the stop comes."""
    told: list[str] = []

    def ask() -> None:
        stream = offline.stream("Hello", model=MODEL, max_tokens=100, yes=True)
        told.extend(event.text for event in stream if isinstance(event, Notice) and "% of" in event.text)

    ask()
    assert [] == told
    (cost,) = [Decimal(row["cost_text"]) for row in rows(offline)]
    offline.tracker.budget(session=cost * 2, day=1)
    for _ in range(3):
        ask()
    assert 1 == len(told)
    assert "100 % of the session's budget is spent" in told[0]


def test_a_broken_call_holds_its_bound_until_its_cost_is_known(offline: Session) -> None:
    """What may still be billed is not free."""
    offline.tracker.budget(session=1)
    with pytest.raises(CallError):
        offline.ask("Hello", model="offline/reset-early", max_tokens=10)
    assert ("unknown", 10**12) == (rows(offline)[0]["status"], rows(offline)[0]["held_pico"])
    with pytest.raises(OverBudget, match=r"\$1.00 simulated is held"):
        offline.ask("Hello", model=MODEL)


@pytest.mark.parametrize("wrong", [{"dya": 5}, {"session": "five"}, {"day": -1}, {"tags": {"x": "much"}}])
def test_a_wrong_budget_changes_nothing(offline: Session, wrong: dict[str, Any]) -> None:
    """A budget that is silently none would be the worst of all."""
    offline.tracker.budget(total=3)
    with pytest.raises((OptionError, SettingsError)):
        offline.tracker.budget(**wrong)
    assert ["total"] == list(offline.tracker.budget().index)


def test_the_environment_s_budget_is_for_real_money(
    home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator's money counts against no budget; that of a gateway does."""
    monkeypatch.setenv("OPENROUTER_DAILY_BUDGET", "0.001")
    with connect(offline=True, home=home) as session:
        assert session.tracker.budget().empty
        assert "ok" == session.ask("Hello", model=MODEL).status
    with connect(base_url=simulator.url, home=home, timeouts=LIMITS) as session:
        assert ["day"] == list(session.tracker.budget().index)
        with pytest.raises(OverBudget, match="Today's budget"):
            session.ask("Hello", model=MODEL, max_tokens=2000)
    with connect(base_url=simulator.url, home=home, timeouts=LIMITS, daily_budget="off") as session:
        assert session.tracker.budget().empty


def test_a_session_that_leaves_its_gateway_and_comes_back_has_its_budget_once(
    home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel has one session budget, however often it looks at the simulator in between."""
    monkeypatch.setenv("OR_MAGIC_HOME", str(home))
    try:
        set_settings(base_url=simulator.url, session_budget="0.004")
        reply = ask("Hello", model=MODEL, max_tokens=50)
        set_settings(base_url="offline")
        assert current().tracker.total().billed_usd == 0
        set_settings(base_url=simulator.url)
        (standing,) = current().engine.standings()
        assert (Decimal("0.004"), reply.cost_usd) == (standing.limit.usd, standing.spent_usd)
    finally:
        use(None)
        forget_choices()
