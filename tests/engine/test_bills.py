"""Bills held against the price list, dry runs, and the key's use beside the ledger: through sessions and alone."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.api import Session, connect
from or_magic.content import Image, Video
from or_magic.engine.bills import BillingWarning, Bills, learnt
from or_magic.engine.drift import Baseline, Drift, KeyWatch, Spent, drift
from or_magic.events import Notice
from or_magic.gateway.catalog import Model
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.options import Options
from or_magic.pricing import parse_prices, verdict
from or_magic.values import Message, Reply, Request, Row, Usage

from .outcomes import ORDINARY

MODEL = Model("a/b", "b", "a/b-2026", parse_prices({"prompt": "0.000001", "completion": "0.000002"}))
FREE = replace(MODEL, id="a/b:free", prices=parse_prices({"prompt": "0", "completion": "0"}))
CATALOGUE = {"a/b": MODEL, "a/b-2026": MODEL, "a/b:free": FREE}
USAGE = Usage(100, 50, cost_usd=Decimal("0.0002"), cached_tokens=0, byok=False)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _reply(cost: str = "0.0002", **told: Any) -> Reply:
    usual = {"model": "a/b-2026", "model_requested": "a/b", "gateway": "openrouter", "status": "ok"}
    return Reply(usage=replace(USAGE, cost_usd=Decimal(cost)), **usual | told)


def _bills(told: list[str]) -> Bills:
    return Bills(CATALOGUE.get, told.append)


ASKED = Request("a/b", (Message("user", ()),))


# --- list prices of replies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "request_", "listed"),
    [
        (_reply(), ASKED, "0.0002"),
        (_reply(model=None), ASKED, "0.0002"),
        (_reply(model="a/b"), replace(ASKED, model="router"), "0.0002"),
        (_reply(model="other"), ASKED, None),
        (_reply(), replace(ASKED, model="a/b:free"), "0"),  # the slug is told without its variant
        (_reply(), replace(ASKED, params={"models": ["a/b:free"]}), None),  # either may have answered
        (_reply(), replace(ASKED, params={"plugins": [{"id": "web"}]}), None),
        (_reply(gateway="localhost"), ASKED, None),
        (_reply(gateway="local:ollama"), ASKED, None),
        (Reply(model="a/b", gateway="openrouter"), ASKED, None),
    ],
    ids=str,
)
def test_a_reply_names_the_list_price_of_the_model_that_answered(
    reply: Reply, request_: Request, listed: str | None
) -> None:
    """None wherever the catalogue's price of tokens is not what explains the bill."""
    found = _bills([]).judged(reply, None, request_).listed_usd
    assert (None if listed is None else Decimal(listed)) == found


def test_a_picture_whose_price_may_be_one_of_its_own_is_not_judged() -> None:
    """Catalogues tell a price of a picture's tokens and of the whole picture under one name."""
    seen = replace(ASKED, messages=(Message("user", (Image(url="https://x"),)),))
    priced = replace(MODEL, prices=parse_prices({"prompt": "0.000001", "completion": "0.000002", "image": "0.001"}))
    assert Decimal("0.0002") == _bills([]).judged(_reply(), None, seen).listed_usd
    assert Bills({"a/b": priced}.get, [].append).judged(_reply(), None, seen).listed_usd is None


def test_tokens_that_cost_nothing_are_told_once_a_model() -> None:
    """A loop over a frame must not warn a thousand times."""
    told: list[str] = []
    bills = _bills(told)
    for _ in range(3):
        bills.judged(_reply("0"), None, ASKED)
    bills.judged(_reply("0", model="a/b:free"), None, replace(ASKED, model="a/b:free"))
    assert 1 == len(told)
    assert "a/b-2026 billed $0 for tokens that cost $0.000200" in told[0]


def test_the_warning_is_one_that_can_be_filtered_and_breaks_nothing() -> None:
    """Where warnings are errors, the answer that was paid must still arrive."""
    with pytest.warns(BillingWarning, match="billed \\$0"):
        Bills(CATALOGUE.get).judged(_reply("0"), None, ASKED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Decimal("0.0002") == Bills(CATALOGUE.get).judged(_reply("0"), None, ASKED).listed_usd


def test_ordinary_answers_cost_their_list_price(tmp_path: Path) -> None:
    """Against the simulator's own books: nothing to question, streamed or whole."""
    with connect(offline=True, home=tmp_path) as session:
        for model in ORDINARY:
            for whole in (False, True):
                reply = session.ask("What is a ledger?", model=model, no_stream=whole)
                assert reply.listed_usd == reply.cost_usd, model
                assert verdict(reply) is None


# --- dry runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path: Path) -> Any:
    with connect(offline=True, home=tmp_path) as opened:
        yield opened


def _preview(session: Session, *things: Any, **options: Any) -> Any:
    return session.engine.preview(list(things), Options(**{"model": "openai/gpt-4o-mini"} | options))


def test_a_dry_run_tells_a_range_and_a_bound(session: Session) -> None:
    """Low, likely and at most, in this order."""
    preview = _preview(session, "What is a ledger? " * 30, max_tokens=100)
    prompt = preview.expected.prompt
    assert 100 < prompt.low < prompt.likely < prompt.high < 250
    least, most = preview.expected.usd
    assert 0 < least < most < preview.bound_usd
    assert preview.prompt_tokens == prompt.likely
    assert 100 == preview.expected.answer.high


def test_a_dry_run_with_what_nobody_can_count_names_no_price(session: Session) -> None:
    """A film by URL: its bound is the model's whole context."""
    preview = _preview(
        session, "What is it?", Video(url="https://v"), model="google/gemini-2.5-flash-lite", max_tokens=100
    )
    assert preview.expected.usd is None
    assert preview.bound_usd is not None
    assert preview.bound_usd > Decimal("0.01")


def test_a_session_learns_how_its_model_counts(session: Session) -> None:
    """The simulator counts in its own way; after some calls the estimate is nearer, and the bound is what it was."""
    text = "What is a ledger, and who keeps it? " * 40
    before = _preview(session, text, max_tokens=100)
    for _ in range(12):
        counted = session.ask(text, model="openai/gpt-4o-mini", max_tokens=100).usage.prompt_tokens
    after = _preview(session, text, max_tokens=100)
    assert abs(after.prompt_tokens - counted) < abs(before.prompt_tokens - counted) / 2
    assert before.bound_usd == after.bound_usd
    assert after.expected.answer.high <= 100


def test_only_the_latest_calls_of_the_same_model_teach(tmp_path: Path) -> None:
    """Providers change their tokenizers, and every model has its own."""
    store = SqliteStore(tmp_path / "ledger.sqlite")
    usual: dict[str, Any] = {"session": "s", "gateway": "openrouter", "status": "ok", "prompt_estimate": 1000}
    counts = [("a/b", 2000)] * 300 + [("a/b", 1100)] * 250 + [("c/d", 500)] * 50
    store.settle(
        [
            Row(
                row_id=f"{n}", call_id=f"{n}", started_at=NOW + timedelta(seconds=n), model_requested=model,
                prompt_tokens=tokens, completion_tokens=n % 7 + 1, **usual,
            )
            for n, (model, tokens) in enumerate(counts)
        ]
    )  # fmt: skip
    ledger = Ledger(store)
    calibration, answer = learnt(ledger, "a/b")
    assert 200 == calibration.pairs
    assert 1.1 == pytest.approx(calibration.ratio, rel=0.01)
    assert (1, 4, 7) == (answer.low, answer.likely, answer.high)
    assert 0 == learnt(ledger, "e/f")[0].pairs
    ledger.close()


# --- the key's use beside the ledger -------------------------------------------------------------------------------


def _spent(
    start_s: float, end_s: float | None, usd: str | None, *, ours: bool = True, most: str | None = None
) -> Spent:
    least = Decimal(usd or 0)
    ended = None if end_s is None else NOW + timedelta(seconds=end_s)
    highest = Decimal(most) if most else (None if usd is None else least)
    return Spent(NOW + timedelta(seconds=start_s), ended, ours, least, highest)


BASELINE = Baseline(Decimal(10), NOW, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("used", "rows", "word", "between"),
    [
        ("10.5", [_spent(5, 9, "0.5")], "agrees", ("0.5", "0.5")),
        ("10.504", [_spent(5, 9, "0.5")], "agrees", ("0.5", "0.5")),
        ("10.51", [_spent(5, 9, "0.5")], "more", ("0.5", "0.5")),
        ("10.49", [_spent(5, 9, "0.5")], "less", ("0.5", "0.5")),
        ("10", [], "agrees", ("0", "0")),
        ("10.00009", [], "agrees", ("0", "0")),
        ("10.2", [], "more", ("0", "0")),
        ("10", [_spent(-20, 9, "0.5")], "agrees", ("0", "0.5")),  # ran at the baseline
        ("10.5", [_spent(-20, 9, "0.5")], "agrees", ("0", "0.5")),
        ("10.6", [_spent(-20, 9, "0.5")], "more", ("0", "0.5")),
        ("10.5", [_spent(-30, -10, "0.5")], "agrees", ("0", "0.5")),  # counted a little late
        ("10.5", [_spent(-300, -100, "0.5")], "more", ("0", "0")),
        ("10", [_spent(3550, 3590, "0.5")], "agrees", ("0", "0.5")),  # ended just now
        ("10.5", [_spent(5, 9, "0.5", ours=False)], "agrees", ("0", "0.5")),
        ("10", [_spent(5, 9, "0.5", ours=False)], "agrees", ("0", "0.5")),
        ("10.3", [_spent(5, None, None, most="0.5")], "agrees", ("0", "0.5")),
        ("99", [_spent(5, 9, None)], "agrees", ("0", None)),
    ],
)
def test_only_what_no_call_can_explain_is_a_difference(
    used: str, rows: list[Spent], word: str, between: tuple[str, str | None]
) -> None:
    """Calls at the edges, of other sessions and of unknown cost make a range; the alarm is outside of it."""
    found = drift(BASELINE, Decimal(used), NOW + timedelta(hours=1), rows)
    assert word == found.word
    assert between[0] == str(found.least_usd)
    assert (None if between[1] is None else Decimal(between[1])) == found.most_usd
    assert "the key was charged" in str(found)


_CALLS = st.tuples(st.integers(-200, 4000), st.integers(0, 500), st.integers(0, 10**6), st.booleans(), st.booleans())


@given(st.lists(_CALLS, max_size=20))
def test_a_key_that_was_charged_what_the_ledger_says_never_alarms(
    calls: list[tuple[int, int, int, bool, bool]],
) -> None:
    """Whenever the calls ran, and whichever of those at the edges the gateway had counted by then."""
    rows, used = [], Decimal(10)
    for start_s, took_s, micro, ours, counted in calls:
        usd, end_s = Decimal(micro).scaleb(-6), start_s + took_s
        rows.append(_spent(start_s, end_s, str(usd), ours=ours))
        inside = start_s >= 1 and end_s <= 3540
        outside = end_s < -60 or start_s > 3600
        used += usd if (inside and ours) or (counted and not outside) else 0
    assert "agrees" == drift(BASELINE, used, NOW + timedelta(hours=1), rows).word


def test_a_session_compares_its_key_with_its_ledger(session: Session) -> None:
    """Against the simulator's /key: nothing before a baseline, agreement after calls, an alarm for somebody else's."""
    engine = session.engine
    assert engine.key_watch.compare() is None
    charged = Decimal(0)
    later = [0]

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=later[0])

    def ask() -> dict[str, Any]:
        return {"usage": Decimal(3) + charged}

    watch = KeyWatch(ask, engine.ledger, engine.session, engine.gateway.name, now)
    watch.begin()
    for _ in range(3):
        charged += session.ask("hi", model="openai/gpt-4o-mini", max_tokens=5000).cost_usd or 0
    later[0] = 120
    assert "agrees" == _word(watch.compare())
    charged += 1
    assert "more" == _word(watch.compare())
    charged -= 2
    assert "less" == _word(watch.compare())
    watch.forget()
    assert watch.compare() is None


def _word(found: Drift | None) -> str:
    assert found is not None
    return found.word


def test_the_simulators_key_can_be_compared(session: Session) -> None:
    """The engine's own watch speaks to the gateway."""
    engine = session.engine
    engine.key_watch.begin()
    session.ask("hi", model="openai/gpt-4o-mini")
    found = engine.key_watch.compare()
    assert "agrees" == _word(found)


def test_a_budget_that_nobody_can_keep_is_told_before_and_after(tmp_path: Path) -> None:
    """Nobody knows beforehand what an unlisted model costs: that its own budget may be passed, and was, must be seen."""
    with connect(offline=True, home=tmp_path) as session:
        told = [
            event.text
            for event in session.stream("Hello", model="offline/plain", budget="0.0000001")
            if isinstance(event, Notice) and event.reason == "budget"
        ]
        kept = [
            event for event in session.stream("Hello", model="openai/gpt-5-mini", budget=1) if isinstance(event, Notice)
        ]
    assert "may be passed" in told[0]
    assert "the budget of this call" in told[1]
    assert not [event for event in kept if event.reason == "budget"]
