"""Whether a bill is what the catalogue's prices lead one to expect. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from ..values import EXACT, Reply, Usage

Verdict = Literal["differs", "unbilled"]

_SHARE = Decimal("0.2")
_TRIFLE_USD = Decimal("0.0001")


def verdict(reply: Reply) -> Verdict | None:
    """Return ``unbilled`` where tokens with a price cost nothing, ``differs`` where they cost far more or less.

    Only what is known is judged: a provider's key of one's own (its bill comes from the provider), and a lower bill
    whose cached tokens were not told, are no differences.
    """
    usage, listed_usd = reply.usage, reply.listed_usd
    if usage is None or usage.cost_usd is None or listed_usd is None or own_key(usage):
        return None
    billed_usd = usage.cost_usd
    if billed_usd < listed_usd and usage.cached_tokens is None:
        return None
    if not billed_usd and listed_usd and usage.completion_tokens and reply.status == "ok":
        return "unbilled"
    apart_usd = abs(EXACT.subtract(billed_usd, listed_usd))
    return "differs" if apart_usd > _TRIFLE_USD and apart_usd > EXACT.multiply(_SHARE, listed_usd) else None


def own_key(usage: Usage) -> bool:
    """Whether the provider was paid with a key of the user's own: the gateway then bills a fee, or nothing."""
    if usage.byok is not None:
        return usage.byok
    return usage.upstream_usd is not None and usage.cost_usd is not None and usage.upstream_usd > usage.cost_usd
