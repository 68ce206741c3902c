"""What a provider's cache of prompts saves, and which models have to be asked to use it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

from ..content import Text
from ..values import EXACT, Request, Usage
from .judge import own_key
from .prices import Prices

# Tokens of a prompt that are worth keeping, by vendor: the longest minimum that any of its models has, as a shorter
# prompt is silently not kept.
_LEAST_TOKENS = {"anthropic": 4_096}
_LEAST_OF_OTHERS = 1_024
# They keep prompts without being asked, at no price; asked, they take one.
_BY_THEMSELVES = ("google", "openai", "deepseek", "x-ai", "moonshotai", "z-ai")


def least_kept_tokens(model: str, prices: Prices | None) -> int | None:
    """Return from how many tokens on a prompt is kept only if that is asked for; None where it need not be asked."""
    vendor = model.removeprefix("~").partition("/")[0]
    if vendor in _BY_THEMSELVES:
        return None
    asks = vendor in _LEAST_TOKENS or (prices is not None and "input_cache_write" in prices.usd)
    return _LEAST_TOKENS.get(vendor, _LEAST_OF_OTHERS) if asks else None


def saved_usd(
    prices: Prices | None, usage: Usage, *, at: datetime | None = None, an_hour: bool = False
) -> Decimal | None:
    """Return what cached tokens cost less than the full price of a prompt, or None where that cannot be said.

    Negative where more was paid for writing than reading has saved: the next calls get it back.
    """
    read, written, prompt = usage.cached_tokens, usage.cache_write_tokens or 0, usage.prompt_tokens
    if read is None or own_key(usage):
        return None
    if not read and not written:
        return Decimal(0)
    usd = prices.of(prompt, at) if prices is not None and prompt is not None else None
    if usd is None or "prompt" not in usd:
        return None
    full_usd = usd["prompt"]
    read_usd, write_usd = (
        usd.get("input_cache_read"),
        usd.get("input_cache_write_1h" if an_hour else "input_cache_write"),
    )
    if (read and read_usd is None) or (written and write_usd is None):
        return None
    with localcontext(EXACT):
        return (full_usd - (read_usd or Decimal(0))) * read - dearer_usd(full_usd, write_usd or full_usd) * written


def dearer_usd(full_usd: Decimal, write_usd: Decimal) -> Decimal:
    """Return what writing a token costs above reading it afresh.

    A price below that of the prompt cannot replace it: it is that of storage, which comes on top.
    """
    return EXACT.subtract(write_usd, full_usd) if write_usd >= full_usd else write_usd


def keeps(request: Request) -> Mapping[str, Any] | None:
    """Return the longest keeping that a request asks for, None where it asks for none."""
    told = [request.params.get("cache_control")]
    told += [part.cache_control for message in request.messages for part in message.parts if isinstance(part, Text)]
    asked = [control for control in told if isinstance(control, Mapping)]
    return max(asked, key=lambda control: control.get("ttl") == "1h", default=None)


def keeps_an_hour(request: Request) -> bool:
    """Whether a request asks to keep its prompt for an hour, which costs more to write."""
    return (keeps(request) or {}).get("ttl") == "1h"
