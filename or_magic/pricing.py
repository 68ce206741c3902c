"""Prices, and what a request may cost at most; Decimal throughout (WIRE.md §8). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from .content import Part, Text, ToolCall, ToolResult
from .values import EXACT, Request

# Conditions of an override; every other key of it is a price.
_CONDITIONS = ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
# Fields that let the gateway do more than one answer of one model.
_UNBOUNDED = (
    "plugins", "web_search_options", "models", "model", "n", "preset", "modalities", "audio", "image_config",
    "service_tier",
)  # fmt: skip
# Suffixes that may choose dearer endpoints than the ones whose prices are listed.
_ROUTED = (":nitro", ":online", ":exacto", ":floor")
# Some providers put a prompt of their own before ours: 670 tokens were seen in a recorded answer.
_HIDDEN_TOKENS = 1000
_MOST_TOKENS = 10**9
_MOST_USD = Decimal(10) ** 6  # a dearer answer is a broken price
_TOKENS_PER_MESSAGE = 8  # role marks and separators of every template we know are fewer


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per unit by name (``prompt``, ``completion``, ``request``, …); a name with an unknown price is absent."""

    usd: Mapping[str, Decimal] = field(default_factory=dict)
    overrides: tuple[Mapping[str, Any], ...] = ()

    def known(self) -> bool:
        """Whether tokens have a price: routers, for example, have none beforehand."""
        return "prompt" in self.usd and "completion" in self.usd

    def dearest(self) -> Mapping[str, Decimal]:
        """Return for every unit the highest price that any override can make of it."""
        highest = dict(self.usd)
        for override in self.overrides:
            for name, price in _prices(override).items():
                highest[name] = max(price, highest.get(name, price))
        return highest


def parse_prices(told: Mapping[str, Any]) -> Prices:
    """Return the prices of a catalogue item; ``-1`` and what is no number are unknown, an absent price too."""
    overrides = told.get("overrides")
    found = tuple(item for item in overrides if isinstance(item, Mapping)) if isinstance(overrides, list) else ()
    return Prices(_prices(told), found)


def bound_usd(prices: Prices, request: Request, max_completion_tokens: int | None) -> Decimal | None:
    """Return what the request may cost at most at these prices, or None where that cannot be said.

    The catalogue lists the top provider's prices; another one that serves the model may be dearer.
    A token is at least one byte, so the bytes of the text bound its tokens. Pictures, files and sound have no
    such bound, nor has what the gateway may add on its own (a web search, another model); without any limit on
    the answer there is none either.
    """
    limit = _limit(request.params, max_completion_tokens)
    parts = [part for message in request.messages for part in message.parts]
    sizes = [_size_bytes(part) for part in parts]
    if limit is None or not prices.known() or None in sizes:
        return None
    written = json.dumps(dict(request.params), default=str, ensure_ascii=False)
    if (
        any(name in request.params for name in _UNBOUNDED)
        or '"openrouter:' in written
        or request.model.endswith(_ROUTED)
    ):
        return None
    size = _bytes(written) + sum(size or 0 for size in sizes)
    tokens = size + _HIDDEN_TOKENS + _TOKENS_PER_MESSAGE * (len(request.messages) + 1)
    usd = prices.dearest()
    prompt_usd = max(price for name, price in usd.items() if name == "prompt" or "cache_write" in name)
    completion_usd = max(usd["completion"], usd.get("internal_reasoning", usd["completion"]))
    with localcontext(EXACT):
        bound = prompt_usd * tokens + completion_usd * limit + usd.get("request", Decimal(0))
    return bound if bound < _MOST_USD else None


def estimate_tokens(request: Request) -> int:
    """Return about how many tokens the text of the messages takes: four letters each, one for other scripts' signs."""
    texts = [part.text for message in request.messages for part in message.parts if isinstance(part, Text)]
    letters = sum(len(text) for text in texts)
    ascii_letters = sum(len(text.encode("ascii", "ignore")) for text in texts)
    return round(ascii_letters / 4 + (letters - ascii_letters) * 0.75) + _TOKENS_PER_MESSAGE // 2 * len(
        request.messages
    )


def _size_bytes(part: Part) -> int | None:
    if isinstance(part, Text):
        return _bytes(part.text)
    if isinstance(part, (ToolCall, ToolResult)):
        return _bytes(json.dumps(part.to_json(), ensure_ascii=False))
    return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _limit(params: Mapping[str, Any], max_completion_tokens: int | None) -> int | None:
    asked = params.get("max_completion_tokens", params.get("max_tokens"))
    limits = [n for n in (asked, max_completion_tokens) if isinstance(n, int) and n > 0]
    return min(limits, default=None)


def _prices(told: Mapping[str, Any]) -> dict[str, Decimal]:
    found = {name: _price(value) for name, value in told.items() if name not in _CONDITIONS}
    return {name: price for name, price in found.items() if price is not None}


def _price(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price >= 0 else None


def affordable_tokens(prices: Prices, request: Request, left_usd: Decimal) -> int | None:
    """Return how long the answer may be at most if so much is left: 0 where not even the prompt is covered.

    None where no bound can be given.
    """
    one, two = (
        bound_usd(prices, replace(request, params={**request.params, "max_tokens": tokens}), None) for tokens in (1, 2)
    )
    if one is None or two is None:
        return None
    with localcontext(EXACT):
        each = two - one
        rest = left_usd - (one - each)
        return max(0, int(rest // each)) if each else _MOST_TOKENS


def max_price(prices: Prices) -> dict[str, float]:
    """Return the ``provider.max_price`` of a request: USD per million tokens, none dearer than listed (WIRE.md §2)."""
    usd = prices.dearest()
    return {name: float(usd[name] * 10**6) for name in ("prompt", "completion") if name in usd}
