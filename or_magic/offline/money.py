"""Exact prices and costs of the simulator, in Decimal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

# Fifteen significant digits survive a binary double in both directions, so the text of a cost always round-trips.
_JSON_NUMBER = Context(prec=15, rounding=ROUND_HALF_EVEN)
_PICO = Decimal(10) ** 12


@dataclass(frozen=True)
class Cost:
    """What one generation costs, in USD.

    The list price is the prompt, the completion and the fee per request; the total is what is charged of it.
    """

    prompt_usd: Decimal
    completion_usd: Decimal
    list_usd: Decimal
    total_usd: Decimal


def price(pricing: Mapping[str, Any], prompt_tokens: int) -> Mapping[str, Any]:
    """Return the prices that hold for a prompt of this size; later overrides win key by key."""
    prices = dict(pricing)
    for override in pricing.get("overrides", ()):
        if prompt_tokens > Decimal(str(override.get("min_prompt_tokens", -1))):
            prices.update({key: value for key, value in override.items() if key != "min_prompt_tokens"})
    return prices


def charge(
    pricing: Mapping[str, Any],
    prompt_tokens: int,
    completion_tokens: int,
    rate: Decimal = Decimal(1),
    *,
    read: int = 0,
    written: int = 0,
) -> Cost:
    """Return the exact cost of so many tokens, each part rounded once to what a JSON number can carry.

    Of the prompt's tokens so many were ``read`` from a cache and ``written`` to it, at prices of their own.
    """
    prices = price(pricing, prompt_tokens)
    prompt = (prompt_tokens - read - written) * Decimal(prices["prompt"])
    prompt += read * Decimal(prices.get("input_cache_read", "0")) + written * Decimal(
        prices.get("input_cache_write", "0")
    )
    completion = completion_tokens * Decimal(prices["completion"])
    listed = prompt + completion + Decimal(prices.get("request", "0"))
    return Cost(*(_JSON_NUMBER.plus(amount) for amount in (prompt, completion, listed, listed * rate)))


FREE = Cost(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def number_text(amount: Decimal) -> str:
    """Return the amount as a plain JSON number: no exponent, no trailing zeros."""
    return format(amount.normalize(), "f") if amount else "0"


def pico(amount: Decimal) -> int:
    """Return whole pico-dollars, rounded half-even once."""
    return int((amount * _PICO).to_integral_value(rounding=ROUND_HALF_EVEN))
