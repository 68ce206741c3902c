"""What a reply cost and who gave it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from . import neutral
from .values import Reply, Total, dollars


def served(reply: Reply) -> str:
    """Return the model that answered, else the one that was asked."""
    return neutral.line(reply.model or reply.model_requested)


def cost(reply: Reply) -> str:
    """Return what the call cost, as far as it is known."""
    return " + ".join([_last(reply), *_before(reply)])


def charge(reply: Reply) -> Total:
    """Return what the call cost, for sums: the attempts before it are in it, and what nobody knows is counted."""
    if reply.status == "refused" and reply.cost_usd is None:
        return replace(reply.earlier, simulated=reply.simulated)
    return replace(reply.earlier + Total.of(reply.cost_usd, "billed"), simulated=reply.simulated)


def charges(replies: Iterable[Reply]) -> str:
    """Return what calls cost together."""
    return together(map(charge, replies))


def together(charged: Iterable[Total]) -> str:
    """Return the sum; real and simulated money are never one."""
    told = list(charged)
    real = sum([each for each in told if not each.simulated], Total())
    simulated = sum([each for each in told if each.simulated], Total())
    return " + ".join([str(each) for each in (real, simulated) if each] or [str(Total())])


def _last(reply: Reply) -> str:
    if reply.cost_usd is None:
        return "nothing billed" if reply.status == "refused" else "cost not known yet"
    if reply.gateway.startswith("local:"):
        return "$0 local"
    if not reply.cost_usd and reply.status in ("error", "refused", "interrupted"):
        return "nothing billed"
    return f"{dollars(reply.cost_usd)} simulated" if reply.simulated else dollars(reply.cost_usd)


def _before(reply: Reply) -> Iterator[str]:
    earlier = reply.earlier
    told = [
        dollars(earlier.billed_usd) if earlier.billed_usd else "",
        f"~{dollars(earlier.estimated_usd)} estimated" if earlier.estimated_usd else "",
        "an unknown cost" if earlier.unknown_calls else "",
    ]
    if words := " and ".join([part for part in told if part]):
        yield f"{words} for earlier attempts"
