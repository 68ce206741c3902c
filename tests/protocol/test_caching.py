"""Caches of prompts: what they saved, to the last digit; a bound that holds when they are written; marks on the wire."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.content import Image, Text
from or_magic.pricing import bound_usd, keeps_an_hour, least_kept_tokens, listed_usd, parse_prices, saved_usd
from or_magic.protocol.decode import usage_of
from or_magic.protocol.encode import encode
from or_magic.values import EXACT, Message, Request, Usage

from .oracle import naive_whole

TOLD = {
    "prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
}  # fmt: skip
PRICES = parse_prices(TOLD)
GOOGLE = parse_prices(TOLD | {"input_cache_write": "0.0000001"})
KEPT = {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pai-cache-anthropic.1.json", "-0.00240825"),  # 3,211 written, a quarter dearer each
        ("pai-cache-anthropic.2.json", "0.00858345"),  # 3,211 read for a tenth, 115 written
    ],
)
def test_recorded_calls_saved_what_they_would_have_cost_more(shared: Path, name: str, expected: str) -> None:
    """The bill itself is the proof: together they are the price of all tokens afresh."""
    usage = usage_of(naive_whole((shared / "openrouter/recorded" / name).read_bytes()).usage)
    saved = saved_usd(PRICES, usage)
    assert Decimal(expected) == saved
    afresh = listed_usd(PRICES, Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens))
    assert usage.cost_usd is not None
    assert afresh == EXACT.add(usage.cost_usd, saved)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))
def test_bill_and_savings_are_the_price_of_everything_afresh(fresh: int, read: int, written: int, answer: int) -> None:
    """For any call, exactly."""
    prompt = fresh + read + written
    usage = Usage(prompt, answer, cached_tokens=read, cache_write_tokens=written)
    billed, saved = listed_usd(PRICES, usage), saved_usd(PRICES, usage)
    assert billed is not None
    assert saved is not None
    assert listed_usd(PRICES, Usage(prompt, answer)) == EXACT.add(billed, saved)


@pytest.mark.parametrize(
    ("prices", "usage", "expected"),
    [
        (PRICES, Usage(100, 5), None),  # nobody told
        (None, Usage(100, 5, cached_tokens=50), None),
        (parse_prices({"prompt": "0.000003", "completion": "0"}), Usage(100, 5, cached_tokens=50), None),
        (PRICES, Usage(None, 5, cached_tokens=50), None),
        (PRICES, Usage(100, 5, cached_tokens=50, byok=True), None),  # the bill is the provider's
        (None, Usage(100, 5, cached_tokens=0), Decimal(0)),  # known, whatever it costs
        (PRICES, Usage(100, 5, cached_tokens=0, cache_write_tokens=0), Decimal(0)),
        (GOOGLE, Usage(100, 5, cached_tokens=0, cache_write_tokens=100), Decimal("-0.00001")),  # storage is on top
    ],
)
def test_what_is_not_known_is_not_said(prices: Any, usage: Usage, expected: Decimal | None) -> None:
    """Unknown is None, never 0; and a price of storage is no discount."""
    assert expected == saved_usd(prices, usage)


def test_an_hour_has_a_price_of_its_own() -> None:
    """Where it is not told, nothing is said of it, and the bound takes twice the price of a prompt."""
    usage = Usage(100, 5, cached_tokens=0, cache_write_tokens=100)
    assert None is saved_usd(PRICES, usage, an_hour=True)
    told = parse_prices(TOLD | {"input_cache_write_1h": "0.000006"})
    assert Decimal("-0.0003") == saved_usd(told, usage, an_hour=True)
    hour = _asked("x" * 10_000, {"type": "ephemeral", "ttl": "1h"})
    assert keeps_an_hour(hour)
    assert keeps_an_hour(Request("a/b", hour.messages[:0], {"cache_control": {"type": "ephemeral", "ttl": "1h"}}))
    assert not keeps_an_hour(_asked("x", KEPT))
    assert bound_usd(told, hour, 10) == bound_usd(PRICES, hour, 10)


def _asked(text: str, control: Any) -> Request:
    return Request("a/b", (Message("user", (Text(text, cache_control=control),)),))


@pytest.mark.parametrize("prices", [PRICES, GOOGLE], ids=["replaces", "on top"])
@given(tokens=st.integers(1, 20_000), answer=st.integers(1, 500))
def test_the_bound_holds_when_the_whole_prompt_is_written(prices: Any, tokens: int, answer: int) -> None:
    """A token is at least one byte; the dearest that can happen is that all are written."""
    most = bound_usd(prices, _asked("x" * tokens, KEPT), answer)
    assert most is not None
    told = EXACT.add(
        listed_usd(prices, Usage(tokens, answer)) or Decimal(0),
        -(saved_usd(prices, Usage(tokens, answer, cached_tokens=0, cache_write_tokens=tokens)) or Decimal(0)),
    )
    assert told <= most


@pytest.mark.parametrize(
    ("model", "prices", "expected"),
    [
        ("anthropic/claude-sonnet-4.6", PRICES, 4_096),
        ("anthropic/claude-unheard-of", None, 4_096),
        ("~anthropic/claude-sonnet-latest", PRICES, 4_096),
        ("qwen/qwen3.6-plus", PRICES, 1_024),
        ("google/gemini-2.5-flash", GOOGLE, None),  # keeps by itself; asked, it takes a price for the storage
        ("openai/gpt-5-mini", None, None),
        ("openrouter/auto", None, None),
        ("local:ollama/anthropic/x", None, None),
    ],
)
def test_only_models_that_need_it_are_asked_to_keep(model: str, prices: Any, expected: int | None) -> None:
    """Asking the others costs, or is of no use."""
    assert expected == least_kept_tokens(model, prices)


def test_a_mark_is_on_its_part_and_only_there(shared: Path) -> None:
    """As in the recorded requests; a message without one stays a plain text."""
    recorded = json.loads((shared / "openrouter/recorded/pai-cache-anthropic.1.request.json").read_bytes())
    system, question = recorded["messages"]
    text = question["content"][0]["text"]
    control = {"type": "ephemeral", "ttl": "5m"}
    request = Request(recorded["model"], (
        Message("system", (Text(system["content"]),)), Message("user", (Text(text, cache_control=control),)),
    ), {name: recorded[name] for name in ("max_completion_tokens", "provider")}, stream=False)  # fmt: skip
    assert recorded == encode(request)
    mixed = encode(
        Request("a/b", (Message("user", (Text("a", cache_control=KEPT), Text("b"), Image(url="https://x"))),))
    )
    kept, plain, shown = mixed["messages"][0]["content"]
    assert ({"type": "text", "text": "a", "cache_control": KEPT}, {"type": "text", "text": "b"}) == (kept, plain)
    assert "cache_control" not in shown
