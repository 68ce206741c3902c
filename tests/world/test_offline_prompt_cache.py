"""The simulator's cache of prompts: what is marked and long enough is kept, paid for, and cheaper the next time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from or_magic.api import Session
from or_magic.content import Text
from or_magic.offline.prompt_cache import PromptCache, Use
from or_magic.pricing import listed_usd
from or_magic.values import EXACT, Usage

from .kit import rows

CLAUDE = "anthropic/claude-sonnet-4.6"
PRICES = {
    "prompt": "0.000003",
    "completion": "0.000015",
    "input_cache_read": "0.0000003",
    "input_cache_write": "0.00000375",
}
LONG = "word " * 2_000


def body(*texts: str, mark: Any = None, **more: Any) -> dict[str, Any]:
    """Return a request of one message whose first part is marked."""
    parts = [{"type": "text", "text": text} for text in texts]
    return {
        "messages": [
            {"role": "user", "content": [parts[0] | {"cache_control": mark or {"type": "ephemeral"}}, *parts[1:]]}
        ],
        **more,
    }


def test_what_was_kept_is_read_until_it_is_forgotten() -> None:
    """For five minutes after its last use, by the same model, as long as it begins the same."""
    cache, size = PromptCache(), 2_001
    assert Use(0, size) == cache.use(body(LONG, "a"), "m", PRICES, 0.0)
    assert Use(size, 0) == cache.use(body(LONG, "b"), "m", PRICES, 200.0)
    assert Use(size, 0) == cache.use(body(LONG, "c"), "m", PRICES, 499.0)
    assert Use(0, size) == cache.use(body(LONG, "d"), "m", PRICES, 800.0)
    assert Use(0, size) == cache.use(body(LONG), "another", PRICES, 800.0)
    assert 0 == cache.use(body("x" + LONG), "m", PRICES, 800.0).read
    assert Use(0, size) == cache.use(body(LONG, mark={"type": "ephemeral", "ttl": "1h"}), "hour", PRICES, 0.0)
    assert Use(size, 0) == cache.use(body(LONG), "hour", PRICES, 3_599.0)


def test_what_is_short_unmarked_or_of_a_model_without_cache_is_not_kept() -> None:
    """Silently, as with the providers."""
    cache = PromptCache()
    plain = {"messages": [{"role": "user", "content": LONG}]}
    for _ in range(2):
        assert Use() == cache.use(body("short"), "m", PRICES, 0.0)
        assert Use() == cache.use(plain, "m", PRICES, 0.0)
        assert Use() == cache.use(body(LONG), "m", {"prompt": "1", "completion": "1"}, 0.0)
    top = plain | {"cache_control": {"type": "ephemeral"}}
    assert cache.use(top, "m", PRICES, 0.0).written
    assert cache.use(top, "m", PRICES, 0.0).read


def test_bill_and_savings_of_a_session_are_the_price_of_all_tokens_afresh(offline: Session) -> None:
    """From the simulator's books over the wire into ours, exactly, in the row, the reply and the summary."""
    replies = [offline.ask([Text(LONG, cache_control={"type": "ephemeral"}), f"q{n}"], model=CLAUDE) for n in range(3)]
    model = offline.engine.catalog.models().find(CLAUDE)
    assert model is not None
    for reply in replies:
        assert reply.usage is not None
        assert reply.cost_usd is not None
        assert reply.saved_usd is not None
        afresh = listed_usd(model.prices, Usage(reply.usage.prompt_tokens, reply.usage.completion_tokens))
        assert afresh == EXACT.add(reply.cost_usd, reply.saved_usd)
    first, second, third = (reply.saved_usd for reply in replies)
    assert first is not None
    assert first < 0
    assert second == third
    frame = offline.tracker.frame()
    assert [0, 2_001, 2_001] == list(frame["cached_tokens"])
    together = sum((Decimal(row["saved_pico"]) for row in rows(offline)), Decimal(0)).scaleb(-12)
    assert sum((reply.saved_usd or 0 for reply in replies), Decimal(0)) == together
    summary = offline.tracker.summary()
    assert float(together) == pytest.approx(summary["saved_usd"].iloc[0])
    assert 4_002 == summary["cached_tokens"].iloc[0]
