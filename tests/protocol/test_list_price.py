"""What tokens cost by the catalogue: exactly what was billed in recorded calls, and None where it cannot be said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.estimate import Range
from or_magic.pricing import likely_usd, listed_usd, only_tokens, parse_prices, verdict
from or_magic.protocol.decode import usage_of
from or_magic.values import Message, Reply, Request, Usage

from .oracle import naive, naive_whole

TOLD = {
    "prompt": "0.000003",
    "completion": "0.000015",
    "input_cache_read": "0.0000003",
    "input_cache_write": "0.00000375",
}
PRICES = parse_prices(TOLD)


# --- the list price ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "catalogue", "model"),
    [
        ("pai-cache-anthropic.1.json", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4.6"),
        ("pai-cache-anthropic.2.json", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4.6"),
        ("pai-cache-streaming.sse", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4.6"),
        ("pai-streaming-reasoning.sse", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4.5"),
        ("pai-thinking-high-emits-effort-high.json", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4.5"),
        ("pai-usage.2.json", "models-2026-05-01.data.json", "openai/gpt-5-mini"),
        ("pai-stream-with-reasoning.sse", "models-2026-05-01.data.json", "openai/o3"),
        ("chatlas-tool-variations.4.sse", "models-2025-12-31.json", "openai/gpt-4o-mini-2024-07-18"),
        ("chatlas-data-extraction.3.json", "models-2025-12-31.json", "openai/gpt-4o-mini-2024-07-18"),
        ("litellm-claude-reasoning.json", "models-2026-05-01.data.json", "anthropic/claude-sonnet-4"),
    ],
)
def test_recorded_bills_are_the_list_price_to_the_last_digit(
    shared: Path, name: str, catalogue: str, model: str
) -> None:
    """Reads and writes of a cache, reasoning, tools: no rounding, no surcharge."""
    folder = shared / "openrouter/recorded"
    raw = (folder / name).read_bytes()
    told = (naive(raw) if name.endswith(".sse") else naive_whole(raw)).usage
    items = json.loads((folder / catalogue).read_bytes())
    (item,) = [item for item in (items if isinstance(items, list) else items["data"]) if item["id"] == model]
    usage = usage_of(told)
    assert usage.cost_usd is not None
    assert listed_usd(parse_prices(item["pricing"]), usage) == Decimal(str(usage.cost_usd))


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5)
)
def test_the_parts_of_a_usage_are_priced_one_by_one(
    fresh: int, read: int, written: int, said: int, thought: int
) -> None:
    """Cached and written tokens are inside the prompt's, reasoning is inside the answer's (WIRE.md §6)."""
    prices = parse_prices(TOLD | {"internal_reasoning": "0.00002", "request": "0.01"})
    usage = Usage(fresh + read + written, said + thought, thought, read, written)
    by_hand = (
        fresh * Decimal("0.000003") + read * Decimal("0.0000003") + written * Decimal("0.00000375")
        + said * Decimal("0.000015") + thought * Decimal("0.00002") + Decimal("0.01")
    )  # fmt: skip
    assert by_hand == listed_usd(prices, usage)


@pytest.mark.parametrize(
    ("prices", "usage"),
    [
        (TOLD, Usage(completion_tokens=5)),
        (TOLD, Usage(prompt_tokens=5)),
        ({"prompt": "-1", "completion": "-1"}, Usage(5, 5)),
        ({"prompt": "1", "completion": "1"}, Usage(5, 5, cached_tokens=1)),
        ({"prompt": "1", "completion": "1"}, Usage(5, 5, cache_write_tokens=1)),
        (TOLD, Usage(5, 5, cached_tokens=6)),
        (TOLD | {"overrides": [{"utc_start": 100, "utc_end": 200, "prompt": "9"}]}, Usage(5, 5)),
        (TOLD | {"overrides": [{"utc_days": [1], "prompt": "9"}]}, Usage(5, 5)),
    ],
    ids=str,
)
def test_what_cannot_be_priced_has_no_list_price(prices: dict[str, Any], usage: Usage) -> None:
    """A guess would be called a difference of the bill."""
    assert listed_usd(parse_prices(prices), usage) is None


@pytest.mark.parametrize(
    ("override", "prompt_tokens", "hour", "price"),
    [
        ({"min_prompt_tokens": 100}, 100, 0, 1),
        ({"min_prompt_tokens": 100}, 101, 0, 9),
        ({"min_prompt_tokens": "100"}, 101, 0, 9),
        ({"utc_start": 100, "utc_end": 300}, 1, 2, 9),
        ({"utc_start": 100, "utc_end": 300}, 1, 3, 1),
        ({"utc_start": "2200", "utc_end": "0200"}, 1, 23, 9),
        ({"utc_start": "2200", "utc_end": "0200"}, 1, 1, 9),
        ({"utc_start": "2200", "utc_end": "0200"}, 1, 2, 1),
        ({"min_prompt_tokens": 100, "utc_start": 0, "utc_end": 2400}, 1, 3, 1),
    ],
)
def test_an_override_holds_under_all_its_conditions(
    override: dict[str, Any], prompt_tokens: int, hour: int, price: int
) -> None:
    """The whole request is priced at it (WIRE.md §8)."""
    prices = parse_prices({"prompt": "1", "completion": "0", "overrides": [override | {"prompt": "9"}]})
    at = datetime(2026, 11, 21, hour, tzinfo=UTC)
    assert price * prompt_tokens == listed_usd(prices, Usage(prompt_tokens, 0), at=at)


def test_of_two_overrides_the_later_one_wins_key_by_key() -> None:
    """A missing key inherits."""
    overrides = [{"min_prompt_tokens": 1, "prompt": "2", "completion": "3"}, {"min_prompt_tokens": 2, "prompt": "4"}]
    prices = parse_prices({"prompt": "1", "completion": "1", "overrides": overrides})
    assert 4 * 10 + 3 * 10 == listed_usd(prices, Usage(10, 10))


def test_a_cache_for_an_hour_has_its_own_price() -> None:
    """It costs twice a prompt and not 1.25 times."""
    prices = parse_prices(TOLD | {"input_cache_write_1h": "0.000006"})
    assert Decimal("0.0006") == listed_usd(prices, Usage(100, 0, cache_write_tokens=100), cached_for_an_hour=True)


def test_a_range_of_tokens_is_a_range_of_money() -> None:
    """Low with low, high with high."""
    assert (Decimal("0.000045"), Decimal("0.00036")) == likely_usd(PRICES, Range(10, 15, 20), Range(1, 9, 20))
    assert likely_usd(parse_prices({"prompt": "-1", "completion": "-1"}), Range(), Range()) is None


# --- when a difference is said -------------------------------------------------------------------------------------


def _reply(billed: str | None, listed: str | None, **told: Any) -> Reply:
    usual = {"prompt_tokens": 100, "completion_tokens": 50, "cached_tokens": 0, "byok": False}
    usage = Usage(**usual | told, cost_usd=None if billed is None else Decimal(billed))
    return Reply(usage=usage, status="ok", listed_usd=None if listed is None else Decimal(listed))


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (_reply("0.0012", "0.0003"), "differs"),
        (_reply("0.0003", "0.0012"), "differs"),
        (_reply("0.00119", "0.001"), None),  # 19 %
        (_reply("0.00005", "0.00001"), None),  # a trifle
        (_reply("0.0012", None), None),
        (_reply(None, "0.0012"), None),
        (_reply("0", "0.0012"), "unbilled"),
        (_reply("0", "0.00000465"), "unbilled"),
        (_reply("0", "0"), None),  # a free model
        (_reply("0", "0.0012", byok=True), None),
        (_reply("0.00006", "0.0012", byok=True), None),
        (_reply("0.00006", "0.0012", byok=None, upstream_usd=Decimal("0.0012")), None),
        (_reply("0.0012", "0.0003", byok=None, upstream_usd=Decimal("0.0012")), "differs"),
        (_reply("0.0003", "0.0012", cached_tokens=None), None),  # a discount that nobody explains
        (_reply("0.0012", "0.0003", cached_tokens=None), "differs"),
        (_reply("0", "0.0012", completion_tokens=0), "differs"),
        (Reply(), None),
    ],
    ids=str,
)
def test_a_bill_is_questioned_only_where_nothing_known_explains_it(reply: Reply, word: str | None) -> None:
    """Keys of one's own, caches and trifles must not cry wolf."""
    assert word == verdict(reply)


@pytest.mark.parametrize(
    ("params", "alone"),
    [
        ({}, True),
        ({"temperature": 1, "max_tokens": 5, "tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({"plugins": [{"id": "web", "engine": "exa"}]}, False),
        ({"tools": [{"type": "openrouter:datetime"}]}, False),
        ({"service_tier": "priority"}, False),
        ({"preset": "p"}, False),
    ],
    ids=str,
)
def test_fees_and_loops_of_the_gateway_are_no_tokens(params: dict[str, Any], alone: bool) -> None:
    """Their bill cannot be explained by the price of tokens, so it is not held against it."""
    assert alone == only_tokens(Request("m", (Message("user", ()),), params))
