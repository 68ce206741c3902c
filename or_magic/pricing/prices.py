"""Prices as a catalogue tells them, and what tokens cost at them; Decimal throughout (WIRE.md §8). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from ..estimate import Range
from ..values import EXACT, Usage

# Conditions of an override; every other key of it is a price.
_CONDITIONS = ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
_NOTHING = Decimal(0)
_MOST_USD = Decimal(10) ** 9  # also the size of a prompt is read as a price


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per unit by name (``prompt``, ``completion``, ``request``, …); a name with an unknown price is absent."""

    usd: Mapping[str, Decimal] = field(default_factory=dict)
    overrides: tuple[Mapping[str, Any], ...] = ()

    def known(self) -> bool:
        """Whether tokens have a price: routers, for example, have none beforehand."""
        return "prompt" in self.usd and "completion" in self.usd

    def dearest(self, most_prompt_tokens: int | None = None) -> Mapping[str, Decimal]:
        """Return for every unit the highest price that any override can make of it for such a prompt."""
        highest = dict(self.usd)
        for override in self.overrides:
            least = _price(override.get("min_prompt_tokens"))
            if most_prompt_tokens is None or least is None or most_prompt_tokens > least:
                for name, price in _prices(override).items():
                    highest[name] = max(price, highest.get(name, price))
        return highest

    def of(self, prompt_tokens: int, at: datetime | None = None) -> Mapping[str, Decimal] | None:
        """Return the prices of a prompt of so many tokens, or None where an hour or a day that is not known decides."""
        usd = dict(self.usd)
        for override in self.overrides:
            applies = _applies(override, prompt_tokens, at)
            if applies is None:
                return None
            if applies:
                usd |= _prices(override)
        return usd


def parse_prices(told: Mapping[str, Any]) -> Prices:
    """Return the prices of a catalogue item; ``-1`` and what is no number are unknown, an absent price too."""
    overrides = told.get("overrides")
    found = tuple(item for item in overrides if isinstance(item, Mapping)) if isinstance(overrides, list) else ()
    return Prices(_prices(told), found)


def listed_usd(
    prices: Prices, usage: Usage, *, at: datetime | None = None, cached_for_an_hour: bool = False
) -> Decimal | None:
    """Return what the tokens cost at these prices, or None where that cannot be said.

    Cached tokens without a price of their own are such a case: providers take anything from nothing to the full
    price for them. Fees for what is no token (a search, a page read) are not in it.
    """
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if prompt is None or completion is None or not prices.known():
        return None
    usd = prices.of(prompt, at)
    if usd is None:
        return None
    read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    read_usd = usd.get("input_cache_read")
    write_usd = usd.get("input_cache_write_1h" if cached_for_an_hour else "input_cache_write")
    if (read and read_usd is None) or (written and write_usd is None) or read + written > prompt:
        return None
    thought = min(usage.reasoning_tokens or 0, completion)
    with localcontext(EXACT):
        return (
            usd["prompt"] * (prompt - read - written)
            + (read_usd or _NOTHING) * read
            + (write_usd or _NOTHING) * written
            + usd["completion"] * (completion - thought)
            + usd.get("internal_reasoning", usd["completion"]) * thought
            + usd.get("request", _NOTHING)
        )


def max_price(prices: Prices) -> dict[str, float]:
    """Return the ``provider.max_price`` of a request: USD per million tokens, none dearer than listed (WIRE.md §2)."""
    usd = prices.dearest()
    return {name: float(usd[name].scaleb(6, EXACT)) for name in ("prompt", "completion") if name in usd}


def likely_usd(prices: Prices, prompt: Range, answer: Range) -> tuple[Decimal, Decimal] | None:
    """Return between what and what a call of such a prompt and such an answer costs, or None without prices."""
    least = listed_usd(prices, Usage(prompt_tokens=prompt.low, completion_tokens=answer.low))
    most = listed_usd(prices, Usage(prompt_tokens=prompt.high, completion_tokens=answer.high))
    return None if least is None or most is None else (least, most)


def _applies(override: Mapping[str, Any], prompt_tokens: int, at: datetime | None) -> bool | None:
    """Return whether an override applies; None where that depends on what is not known."""
    if (least := _price(override.get("min_prompt_tokens"))) is not None and prompt_tokens <= least:
        return False
    if "utc_days" in override:
        return None  # how days are numbered is not documented
    start, end = override.get("utc_start"), override.get("utc_end")
    if start is None and end is None:
        return True
    minutes = [_clock(start), _clock(end)]
    if at is None or None in minutes:
        return None
    begins, ends = (minute or 0 for minute in minutes)
    now = at.astimezone(UTC).hour * 60 + at.astimezone(UTC).minute
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def _clock(told: object) -> int | None:
    """Return minutes after midnight of an HHMM number or text."""
    try:
        hours, minutes = divmod(int(str(told)), 100)
    except ValueError:
        return None
    return hours * 60 + minutes if 0 <= hours <= 24 and 0 <= minutes < 60 else None


def _prices(told: Mapping[str, Any]) -> dict[str, Decimal]:
    return dict(_priced(told))


def _priced(told: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for name, value in told.items():
        if name not in _CONDITIONS and (price := _price(value)) is not None:
            yield name, price


def _price(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 <= price < _MOST_USD else None
