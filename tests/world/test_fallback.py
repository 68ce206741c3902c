"""R23: whoever answers in place of another is named, recorded and priced; words of two models are never one answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.errors import CallError, ConnectionFailedError, OptionError, OverBudget, ProviderError, TruncatedError
from or_magic.events import Closed, Notice, Piece
from or_magic.offline import Server, serve

from .kit import LIMITS, dead_port, rows, server_of

SONNET, HAIKU = "anthropic/claude-sonnet-4.6", "anthropic/claude-haiku-4.5"
FAILING = "offline/error-503"
Connect = Callable[..., Session]


@pytest.fixture
def local() -> Iterator[Server]:
    """A server of one's own, simulated."""
    with serve(local="llama3.2") as server:
        yield server


def nowhere(open_session: Connect, **settings: Any) -> Session:
    """Return a session whose gateway is away."""
    return open_session(base_url=f"http://127.0.0.1:{dead_port()}/v1", **settings)


def at(server: Server) -> str:
    return server.url.replace("/api/v1", "/v1")


def notices(session: Session, prompt: str = "Hello", **options: Any) -> list[str]:
    stream = session.stream(prompt, **options)
    return [event.text for event in stream if isinstance(event, Notice) and event.reason == "fallback"]


# --- OpenRouter's own list ---------------------------------------------------------------------------------------


def test_the_list_is_sent_once_and_who_answered_is_named_recorded_and_priced(offline: Session) -> None:
    """One request, one row, one bill: that of the model that answered."""
    reply = offline.ask("Hello", model=FAILING, fallback=[SONNET, HAIKU], max_tokens=50)
    (row,) = rows(offline)
    (billed,) = server_of(offline).billed()
    assert 1 == server_of(offline).received()
    assert offline.engine.catalog.same(SONNET, str(reply.model))
    assert (FAILING, reply.model, billed.cost_pico) == (row["model_requested"], row["model"], row["cost_pico"])
    assert billed.cost_text == f"{reply.cost_usd:f}"


def test_it_is_said_who_answered_in_place_of_whom(offline: Session) -> None:
    """And nothing is said where the first one answered."""
    assert [f"{HAIKU} answered in place of {FAILING}"] == notices(offline, model=FAILING, fallback=[HAIKU])
    assert [] == notices(offline, model=SONNET, fallback=[HAIKU])
    assert [] == notices(offline, model="~openai/gpt-mini-latest", fallback=[HAIKU])


def test_the_list_of_the_settings_holds_where_a_call_names_none(open_session: Connect) -> None:
    """``none`` takes it off for one call; aliases mean what they mean; no model stands in it twice."""
    session = open_session(offline=True, fallback_models=[HAIKU, SONNET])

    def models(**options: Any) -> Any:
        from or_magic.options import from_keywords

        return session.engine.preview("Hello", from_keywords(options)).body.get("models")

    assert [HAIKU, SONNET] == models(model=FAILING)
    assert [HAIKU] == models(model=SONNET)
    assert ["a/b"] == models(model=FAILING, fallback=["a/b"])
    assert None is models(model=FAILING, fallback=["none"])
    assert ["x/y"] == models(model=FAILING, params={"models": ["x/y"]})


def test_a_bound_covers_the_dearest_of_the_list(open_session: Connect) -> None:
    """Whoever answers is paid."""
    from or_magic.options import Options

    session = open_session(offline=True)
    alone = session.engine.preview("Hello", Options(model=HAIKU, max_tokens=100)).bound_usd
    listed = session.engine.preview("Hello", Options(model=HAIKU, max_tokens=100, fallback=(SONNET,))).bound_usd
    dear = session.engine.preview("Hello", Options(model=SONNET, max_tokens=100)).bound_usd
    assert alone is not None
    assert listed is None or (dear is not None and alone < dear <= listed)


def test_the_model_that_answered_stays_if_the_user_wants_that(open_session: Connect) -> None:
    """For the session; it is said each time."""
    session = open_session(offline=True, fallback_sticky=True, fallback_models=[HAIKU])
    session.ask("Hello", model=FAILING)
    assert [f"{HAIKU} is asked: it answered in place of {FAILING} before"] == notices(session, model=FAILING)
    assert [FAILING, HAIKU] == [row["model_requested"] for row in rows(session)]
    plain = open_session(offline=True, fallback_models=[HAIKU])
    plain.ask("Hello", model=FAILING)
    plain.ask("Hello", model=FAILING)
    assert [FAILING] * 2 == [row["model_requested"] for row in rows(plain) if row["session"] == plain.engine.session]


def test_who_is_no_longer_there_or_no_longer_wanted_answers_for_nobody(open_session: Connect, local: Server) -> None:
    """Settings may change while a session goes on: a server that is taken out of them must not break its calls."""
    session = nowhere(
        open_session, local={"mine": at(local)}, fallback_models=["local:mine"], fallback_sticky=True, retries=0
    )
    engine = session.engine
    assert "local:mine" == session.ask("Hello", model=SONNET).gateway
    settings = engine.settings
    for changed in (replace(settings, local={}), replace(settings, fallback_sticky=False)):
        engine.settings = replace(changed, fallback_models=())
        with pytest.raises(ConnectionFailedError):
            session.ask("Hello", model=SONNET)
    engine.settings = settings
    stream = session.stream("Hello", model="local:mine")
    engine.settings = replace(settings, local={})
    with pytest.raises(OptionError, match=r"names no local server any more\. Nothing was sent"):
        list(stream)
    assert 1 == local.received()


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_no_answer_holds_words_of_two_models(open_session: Connect, count: int) -> None:
    """Whatever fails, and whenever: a failure in the middle keeps what came, and asks nobody else."""
    session = open_session(offline=True, retries=1)
    middle = {
        "offline/mid-stream-error": ProviderError,
        "offline/cut": TruncatedError,
        "offline/reset:1500": ConnectionFailedError,
    }
    chance = random.Random(23)
    plans = [
        (chance.choice([FAILING, "offline/error-429", "offline/error-404", SONNET, *middle]), n) for n in range(count)
    ]

    def ask(plan: tuple[str, int]) -> str:
        model, number = plan
        stream = session.stream(f"call {number}", model=model, fallback=[HAIKU], max_tokens=60)
        pieces, error = [], None
        try:
            pieces = [event for event in stream if isinstance(event, (Piece, Closed))]
        except CallError as failure:
            error = failure
        reply = stream.reply
        served = {SONNET: SONNET}.get(model, HAIKU)
        if model in middle:
            right = type(error) is middle[model] and reply.model in (None, model) and "Offline" in reply.text
        else:
            right = error is None and session.engine.catalog.same(served, str(reply.model)) and len(pieces) > 1
        return "" if right else f"{model}: {error!r} {reply.model}"

    with ThreadPoolExecutor(16) as pool:
        assert [] == [wrong for wrong in pool.map(ask, plans) if wrong]
    paid = {billed.generation_id: billed for billed in server_of(session).billed()}
    found = [row for row in rows(session) if row["cost_source"] == "billed"]
    assert [paid[row["generation_id"]].cost_pico for row in found] == [row["cost_pico"] for row in found]
    assert all(session.engine.catalog.same(paid[row["generation_id"]].model, row["model"]) for row in found)


# --- local servers -----------------------------------------------------------------------------------------------


def test_a_local_server_is_asked_by_its_name_and_bills_nothing(open_session: Connect, local: Server) -> None:
    """Its model is the one it names, or the one that is named."""
    session = open_session(
        offline=True, local={"mine": at(local), "named": {"base_url": at(local), "model": "llama3.2"}}
    )
    for model in ("local:mine", "local:named", "local:mine/llama3.2"):
        reply = session.ask("Hello", model=model)
        assert ("local:" + model.partition(":")[2].partition("/")[0], 0) == (reply.gateway, reply.cost_usd)
        assert not reply.simulated
    assert {("ok", "none", 0, "llama3.2")} == {
        (row["status"], row["cost_source"], row["cost_pico"], row["model"]) for row in rows(session)
    }
    assert ["local:mine", "local:named", "local:mine/llama3.2"] == [row["model_requested"] for row in rows(session)]
    assert 3 == local.received()


def test_a_local_server_answers_where_the_gateway_is_away(open_session: Connect, local: Server) -> None:
    """Said loudly; nothing of OpenRouter's own goes to it; the row names it."""
    session = nowhere(open_session, local={"mine": at(local)}, fallback_models=[HAIKU, "local:mine"])
    told = notices(session, "Are you there?", model=SONNET, provider=["anthropic"])
    assert 1 == len(told)
    assert "cannot be reached" in told[0]
    assert f"local:mine is asked instead of {SONNET}" in told[0]
    (row,) = rows(session)
    assert ("local:mine", "local:mine", "ok", 2) == (
        row["gateway"], row["model_requested"], row["status"], row["attempt"],
    )  # fmt: skip


def test_nobody_is_asked_elsewhere_unless_that_was_asked_for(open_session: Connect, local: Server) -> None:
    """A local server that is only known is no fallback."""
    session = nowhere(open_session, local={"mine": at(local)})
    with pytest.raises(ConnectionFailedError, match=r"Nothing was sent\."):
        session.ask("Hello", model=SONNET)
    assert 0 == local.received()


@pytest.mark.parametrize("model", ["offline/error-401", "offline/error-503", "offline/reset-early", "offline/cut"])
def test_a_gateway_that_was_reached_keeps_the_call(open_session: Connect, local: Server, model: str) -> None:
    """Whoever has got the question may bill it."""
    session = open_session(offline=True, local={"mine": at(local)})
    with pytest.raises(CallError):
        session.ask("Hello", model=model, fallback=["local:mine"])
    assert 0 == local.received()


def test_if_all_are_away_the_last_one_s_error_is_told(open_session: Connect) -> None:
    """One server after the other."""
    servers = {name: f"http://127.0.0.1:{dead_port()}/v1" for name in ("one", "two")}
    session = nowhere(open_session, local=servers)
    with pytest.raises(ConnectionFailedError, match=servers["two"].partition("//")[2].partition("/")[0]):
        session.ask("Hello", model=SONNET, fallback=["local:one", "local:two"])
    assert [] == rows(session)


def test_a_local_answer_needs_no_budget_and_takes_none(open_session: Connect, local: Server) -> None:
    """When the money is spent, one's own machine still answers."""
    session = open_session(offline=True, local={"mine": at(local)}, session_budget=0)
    with pytest.raises(OverBudget):
        session.ask("Hello", model=HAIKU)
    assert "ok" == session.ask("Hello", model="local:mine").status
    assert 0 == session.tracker.budget().loc["session", "spent_usd"]


def test_an_unknown_local_server_is_named_with_those_there_are(open_session: Connect) -> None:
    """And nothing is sent."""
    session = open_session(offline=True, local={"mine": "http://127.0.0.1:9/v1"})
    for options in ({"model": "local:mind"}, {"model": HAIKU, "fallback": ["local:mind"]}):
        with pytest.raises(OptionError, match=r"local:mind.*Known are local:mine.*Nothing was sent"):
            session.ask("Hello", **options)


def test_the_next_call_goes_to_the_gateway_again(home: Path, local: Server) -> None:
    """A local answer is for want of a better one, unless it is to stay."""
    with serve() as server:
        port = server.port
    with connect(
        base_url=f"http://127.0.0.1:{port}/api/v1", home=home, timeouts=LIMITS, retries=0, circuit_breaker=False,
        local={"mine": at(local)}, fallback_models=["local:mine"],
    ) as session:  # fmt: skip
        assert "local:mine" == session.ask("Hello", model=HAIKU).gateway
        with serve(port):
            assert f"127.0.0.1:{port}" == session.ask("Hello", model=HAIKU).gateway
