"""The simulator's quotas, patterns, key limit and price maximum hold by its own clock, and its books stay exact."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.offline import Server, serve
from or_magic.offline.traffic import Traffic

from ..guards import HANG_S

MONDAY_S = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
PATH = "/api/v1/chat/completions"


@dataclass
class Clock:
    """A clock that a test sets."""

    now_s: float = MONDAY_S
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Server]:
    with serve(clock=clock) as running:
        yield running


@dataclass(frozen=True)
class Seen:
    status: int
    headers: dict[str, str]
    data: Any

    @property
    def wait_s(self) -> float:
        return float(self.headers["retry-after"])


def fetch(server: Server, path: str, body: Any = None, key: str = "a") -> Seen:
    """Ask once; an answer that is no whole JSON has the data None."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)) as connection:
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        text = response.read()
    try:
        return Seen(response.status, headers, json.loads(text, parse_float=Decimal))
    except json.JSONDecodeError:
        return Seen(response.status, headers, None)


def ask(server: Server, model: str, prompt: str = "Hello", key: str = "a", **more: Any) -> Seen:
    return fetch(server, PATH, {"model": model, "messages": [{"role": "user", "content": prompt}], **more}, key)


def asked(server: Server, model: str, count: int, **more: Any) -> list[int]:
    """Return the statuses of so many requests, each with words of its own."""
    return [ask(server, model, f"question {number}", **more).status for number in range(count)]


def test_a_quota_lets_its_number_pass_in_any_minute(server: Server, clock: Clock) -> None:
    """The window slides: a place is free again exactly a minute after it was taken, and not at a full minute."""
    assert [200, 200] == asked(server, "offline/quota:3", 2)
    clock.now_s += 59
    assert [200, 429] == asked(server, "offline/quota:3", 2)
    clock.now_s += 1
    assert [200, 200, 429] == asked(server, "offline/quota:3", 3)


def test_a_quota_says_when_it_is_over_and_keeps_its_word(server: Server, clock: Clock) -> None:
    """Headers, body and behaviour tell the same moment."""
    asked(server, "offline/quota:2", 1)
    clock.now_s += 20.5
    asked(server, "offline/quota:2", 1)
    refused = ask(server, "offline/quota:2")
    assert ("2", "0", 40.0) == (
        refused.headers["x-ratelimit-limit"],
        refused.headers["x-ratelimit-remaining"],
        refused.wait_s,
    )
    assert round((MONDAY_S + 60) * 1000) == int(refused.headers["x-ratelimit-reset"])
    assert refused.data["error"]["metadata"]["headers"]["X-RateLimit-Reset"] == refused.headers["x-ratelimit-reset"]
    clock.now_s += refused.wait_s
    assert [200, 429] == asked(server, "offline/quota:2", 2)


def test_a_refused_request_takes_no_place(server: Server, clock: Clock) -> None:
    """Who hammers is not punished beyond the quota, so a proof can count what passed."""
    assert [200, *[429] * 20] == asked(server, "offline/quota:1", 21)
    clock.now_s += 60
    assert [200] == asked(server, "offline/quota:1", 1)


def test_a_quota_may_have_a_window_of_its_own(server: Server, clock: Clock) -> None:
    """Who tries it by hand does not want to wait a minute."""
    assert [200, 200, 429] == asked(server, "offline/quota:2/3", 3)
    clock.now_s += 3
    assert [200] == asked(server, "offline/quota:2/3", 1)


def test_a_quota_is_one_for_all_or_one_for_each_key(server: Server) -> None:
    """Limits of a provider are shared; those of an account are not."""
    assert [200, 429] == [ask(server, "offline/quota:1", key=key).status for key in "ab"]
    assert [200, 200, 429] == [ask(server, "offline/quota-key:1", key=key).status for key in "aba"]


def test_a_bare_quota_says_nothing_of_when(server: Server) -> None:
    """Some gateways do not; a client has to find out."""
    assert [200, 429] == asked(server, "offline/quota-bare:1", 2)
    refused = ask(server, "offline/quota-bare:1")
    assert not {"retry-after", "x-ratelimit-reset"} & set(refused.headers)


def test_a_quota_of_tokens_counts_prompt_and_answer(server: Server, clock: Clock) -> None:
    """Exactly those that are billed; what never fits is told so."""
    size = ask(server, "offline/quota-tokens").data["usage"]["total_tokens"]
    same = f"offline/quota-tokens:{2 * size}"
    # The id is told back in the answer, so its length counts as well.
    exact = ask(server, same).data["usage"]["total_tokens"]
    twice = f"offline/quota-tokens:{2 * exact}"
    assert [200, 200, 429] == [ask(server, twice).status for _ in range(3)]
    clock.now_s += 60
    assert 200 == ask(server, twice).status
    never = ask(server, "offline/quota-tokens:5")
    assert (429, False) == (never.status, never.data["error"]["availability"]["retryable"])
    assert "retry-after" not in never.headers


def test_a_daily_quota_is_over_at_midnight_utc(server: Server, clock: Clock) -> None:
    """And says so, in the words of the free tier."""
    assert [200, 200, 429] == asked(server, "offline/quota-daily:2", 3)
    refused = ask(server, "offline/quota-daily:2")
    assert "openrouter_free_tier_daily" == refused.data["error"]["metadata"]["limit_source"]
    midnight_s = int(refused.headers["x-ratelimit-reset"]) / 1000
    assert datetime(2026, 12, 1, tzinfo=UTC).timestamp() == midnight_s
    clock.now_s = midnight_s
    assert [200, 200, 429] == asked(server, "offline/quota-daily:2", 3)


def test_a_quota_holds_against_many_threads(server: Server) -> None:
    """One place is never given twice."""
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda number: ask(server, "offline/quota:50", f"{number}").status, range(200)))
    assert (50, 150) == (found.count(200), found.count(429))
    assert 50 == len(server.billed())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(0, 40, allow_nan=False), st.integers(1, 4)), max_size=60),
)
def test_no_window_ever_holds_more_than_its_limit(limit: int, steps: list[tuple[float, int]]) -> None:
    """Whatever comes when: every stretch of a minute, and a wait that is told is never too short."""
    traffic, now_s, passed = Traffic(), 0.0, []
    for gap_s, weight in steps:
        now_s += gap_s
        entry = traffic.enter("x", weight, limit=limit, window_s=60, now_s=now_s)
        if entry.passes:
            passed.append((now_s, weight))
        elif entry.wait_s is None:
            assert weight > limit
        else:
            now_s += entry.wait_s + 1e-9
            assert traffic.enter("x", weight, limit=limit, window_s=60, now_s=now_s).passes
            passed.append((now_s, weight))
    for start_s, _ in passed:
        assert limit >= sum(weight for at_s, weight in passed if start_s <= at_s < start_s + 60 - 1e-6)


def test_patterns_by_count(server: Server) -> None:
    """Breakers are proved on failures of a known shape."""
    assert [503, 503, 200, 200] == asked(server, "offline/fails-first:2", 4)
    assert [200, 200, 503, 200, 200, 503] == asked(server, "offline/fails-every:3", 6)
    assert [200, 200, 503, 503, 200, 200, 503] == asked(server, "offline/fails-by-turns:2", 7)
    assert [503, 200] == [ask(server, "offline/flaky").status for _ in range(2)]


def test_patterns_by_the_clock(server: Server, clock: Clock) -> None:
    """They begin with the first request, whenever that comes."""
    assert [503, 200] == asked(server, "offline/down:10", 1) + asked(server, "offline/tides:10", 1)
    clock.now_s += 9.9
    assert [503, 200] == asked(server, "offline/down:10", 1) + asked(server, "offline/tides:10", 1)
    clock.now_s += 0.1
    assert [200, 503] == asked(server, "offline/down:10", 1) + asked(server, "offline/tides:10", 1)
    clock.now_s += 10
    assert [200, 200] == asked(server, "offline/down:10", 1) + asked(server, "offline/tides:10", 1)


def test_a_flaky_connection_recovers(server: Server) -> None:
    """As a flaky model does, and nothing ran."""
    for _ in range(2):
        with pytest.raises(ConnectionError):
            ask(server, "offline/flaky-reset:2")
    assert 200 == ask(server, "offline/flaky-reset:2").status
    assert 1 == len(server.billed())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["error-429", "error-503", "quota:0", "fails-first", "error-402", "retryable"])
def test_the_next_model_serves_and_is_billed_as_itself(server: Server, model: str, *, stream: bool) -> None:
    """A fallback is paid at the price of the model that answered, and named."""
    body = {
        "model": f"offline/{model}",
        "models": ["offline/error-500", "openai/gpt-4o-mini", "openai/gpt-5-mini"],
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": stream,
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    connection.request("POST", PATH, json.dumps(body))
    text = connection.getresponse().read().decode()
    connection.close()
    (billed,) = server.billed()
    price = Decimal("0.00000015") * billed.prompt_tokens + Decimal("0.0000006") * billed.completion_tokens
    assert ("openai/gpt-4o-mini", price) == (billed.model, Decimal(billed.cost_text))
    assert f'"cost":{billed.cost_text},' in text
    assert '"model":"openai/gpt-4o-mini"' in text
    assert "offline/error-500" not in text.partition("Offline simulator")[0]


@pytest.mark.parametrize("model", ["mid-stream-error", "cut", "error-body"])
def test_no_other_model_takes_over_what_has_begun(server: Server, model: str) -> None:
    """A failure after HTTP 200 stays one: two models never speak in one answer."""
    assert 200 == ask(server, f"offline/{model}", models=["openai/gpt-4o-mini"]).status
    assert "openai/gpt-4o-mini" not in [billed.model for billed in server.billed()]


@pytest.mark.parametrize(
    ("highest", "status"),
    [
        ({"prompt": 0.15, "completion": 0.6}, 200),
        ({"prompt": "0.15", "completion": "0.60"}, 200),
        ({"prompt": 0.1499}, 404),
        ({"completion": "0.5"}, 404),
        ({"request": 0}, 200),
        ({"prompt": -1}, 400),
        ({"prompt": "cheap"}, 400),
        ({"prompt": float("nan")}, 400),
        (5, 400),
    ],
)
def test_a_price_above_the_maximum_is_refused(server: Server, highest: Any, status: int) -> None:
    """In USD per million tokens; what is no price is told so."""
    found = ask(server, "openai/gpt-4o-mini", provider={"max_price": highest})
    assert status == found.status
    if status == 404:
        assert "constraint_filtered" == found.data["error"]["availability"]["code"]


def test_a_maximum_leaves_the_cheaper_candidate(server: Server) -> None:
    """As OpenRouter does: what is too dear has no endpoint, and the next model is tried."""
    found = ask(server, "openai/gpt-5-mini", models=["openai/gpt-4o-mini"], provider={"max_price": {"completion": 1}})
    assert "openai/gpt-4o-mini" == found.data["model"]
    assert 404 == ask(server, "offline/request-fee", provider={"max_price": {"request": 0.004}}).status
    tall = "word " * 1100
    assert 404 == ask(server, "offline/tiered", tall, provider={"max_price": {"prompt": 1}}).status


def test_what_is_told_is_what_stands_in_the_books(server: Server) -> None:
    """Also where it is not the list price: answer, books, /generation and /key agree."""
    models = ["usage-zero", "usage-markup:2.5", "byok", "byok:10", "plain"]
    costs = [ask(server, f"offline/{model}").data["usage"]["cost"] for model in models]
    assert costs == [Decimal(billed.cost_text) for billed in server.billed()]
    each = [fetch(server, f"/api/v1/generation?id={billed.generation_id}").data["data"] for billed in server.billed()]
    assert costs == [found["total_cost"] for found in each]
    assert [False, False, True, True, False] == [found["is_byok"] for found in each]
    listed = [Decimal(billed.prompt_tokens + 2 * billed.completion_tokens) / 1_000_000 for billed in server.billed()]
    rates = [Decimal(rate) for rate in ("0", "2.5", "0.05", "0.1", "1")]
    assert [price * rate for price, rate in zip(listed, rates, strict=True)] == costs
    assert [None, None, listed[2], listed[3], None] == [found["upstream_inference_cost"] for found in each]
    key = fetch(server, "/api/v1/key").data["data"]
    assert (sum(costs), listed[2] + listed[3]) == (key["usage"], key["byok_usage"])


def test_a_cache_hit_is_billed_to_nobody(server: Server) -> None:
    """Zeros and no cost: nothing ran."""
    usage = ask(server, "offline/cache-hit").data["usage"]
    assert (0, False) == (usage["total_tokens"], "cost" in usage)
    assert () == server.billed()


def test_the_key_knows_day_week_and_month(server: Server, clock: Clock) -> None:
    """UTC days, weeks from Monday: what was settled before belongs to the time before."""
    cost = ask(server, "offline/plain").data["usage"]["cost"]
    clock.now_s += 86_400  # Tuesday, 1 December
    ask(server, "offline/plain")
    key = fetch(server, "/api/v1/key").data["data"]
    told = [key[f"usage{period}"] for period in ("", "_daily", "_weekly", "_monthly")]
    assert [2 * cost, cost, 2 * cost, cost] == told
    clock.now_s += 7 * 86_400
    key = fetch(server, "/api/v1/key").data["data"]
    assert [2 * cost, 0, 0, 2 * cost - cost] == [key[f"usage{each}"] for each in ("", "_daily", "_weekly", "_monthly")]


def test_a_spent_key_is_refused_with_402(clock: Clock) -> None:
    """It is looked at before each request; what was begun is paid."""
    with serve(clock=clock, key_limit_usd=Decimal("0.0004")) as server:
        statuses = asked(server, "offline/plain", 8)
        spent = sum(Decimal(billed.cost_text) for billed in server.billed())
        key = fetch(server, "/api/v1/key").data["data"]
        free = ask(server, "meta-llama/llama-3.3-70b-instruct:free")
    passed = statuses.count(200)
    assert [200] * passed + [402] * (8 - passed) == statuses
    assert 0 < passed < 8
    assert spent >= Decimal("0.0004") > spent - Decimal(server.billed()[-1].cost_text)
    assert (Decimal("0.0004"), 0, spent) == (key["limit"], key["limit_remaining"], key["usage"])
    assert (402, "payment_required") == (free.status, free.data["error"]["metadata"]["error_type"])


def test_what_is_left_of_a_limit_is_exact(clock: Clock) -> None:
    """Decimal, to the last digit."""
    with serve(clock=clock, key_limit_usd=Decimal(1)) as server:
        cost = ask(server, "openai/gpt-5-mini").data["usage"]["cost"]
        assert 1 - cost == fetch(server, "/api/v1/key").data["data"]["limit_remaining"]


def test_the_clock_may_go_backwards(server: Server, clock: Clock) -> None:
    """Clocks of machines do; a quota must neither break nor answer nonsense."""
    chance = random.Random(1)
    for _ in range(20):
        clock.now_s = MONDAY_S + chance.uniform(-100, 100)
        found = ask(server, "offline/quota:3")
        assert found.status == 200 or found.wait_s >= 0


def test_a_bad_day_holds_for_every_ordinary_model(clock: Clock) -> None:
    """At the model's own price; a pseudo-model stays what it is."""
    with serve(clock=clock, fault="offline/fails-every:2") as server:
        assert [200, 503, 200, 503] == asked(server, "openai/gpt-4o-mini", 4)
        assert [200, 200] == asked(server, "offline/plain", 2)
        billed = server.billed()[0]
    price = Decimal("0.00000015") * billed.prompt_tokens + Decimal("0.0000006") * billed.completion_tokens
    assert price == Decimal(billed.cost_text)
    with pytest.raises(ValueError, match="no fault 'offline/rain'"):
        serve(fault="offline/rain")
