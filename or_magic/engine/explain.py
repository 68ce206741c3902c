"""What an error can say only on this side: the money by the books, and the closest names by the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ..errors import CallError, UnknownModelError
from ..values import Row, Total, dollars

_OTHERS = ("image", "speech", "transcription")  # the catalogue has the models that write

# What fits is estimated before a call is sent, so near the limit the gateway may still say that it does not.
_TOO_LONG = "context_length_exceeded"
_SHORTER = "Shorten the question, or choose a model that reads more (%or models --context 400k)."
_SHORTER_CHAT = (
    "Or begin the conversation anew (--new), remove what is stale (%or chat cut), or let it be shortened "
    "(%or config context_policy drop-oldest)."
)


def explain(error: CallError, row: Row | None, earlier: Total, closest: Callable[[str], tuple[str, ...]]) -> None:
    """Complete ``error``: what it says of money follows the books, an unknown model gets the closest names.

    ``row`` is that of the last attempt, None where it was not sent; ``earlier`` is what those before it cost.
    """
    simulated = error.reply is not None and error.reply.simulated
    before = _before(earlier, simulated=simulated)
    if row is None:
        error.billed = before or error.billed
        error.earlier = ""
        return
    error.billed, error.earlier = _billing(error, row, simulated=simulated), before
    if error.error_type == _TOO_LONG:
        error.advice = _SHORTER if row.chat is None else f"{_SHORTER} {_SHORTER_CHAT}"
    if isinstance(error, UnknownModelError) and row.purpose not in _OTHERS:
        error.closest = closest(row.model_requested)
        meant = f"Did you mean {' or '.join(error.closest)}? " if error.closest else ""
        error.advice = f"{meant}%or models lists what there is."


def _billing(error: CallError, row: Row, *, simulated: bool) -> str:
    if row.cost_source == "none":
        return error.billed if row.status == "refused" else "Nothing was billed."
    if row.cost_source == "billed" and row.cost_usd == 0:
        return "Nothing was billed."
    if row.cost_source == "billed" and row.cost_usd is not None:
        return f"{_money(row.cost_usd, simulated=simulated)} was billed."
    if row.cost_source == "estimated" and row.cost_usd is not None:
        return f"It may have cost up to {_money(row.cost_usd, simulated=simulated)}."
    if str(row.generation_id).startswith("gen-"):
        return "What it cost is being asked for."
    return "What it cost is not known."


def _before(earlier: Total, *, simulated: bool) -> str:
    told = [
        f"{_money(earlier.billed_usd, simulated=simulated)} was billed" if earlier.billed_usd else "",
        f"up to {_money(earlier.estimated_usd, simulated=simulated)} may be billed" if earlier.estimated_usd else "",
        "what it cost is not known yet" if earlier.unknown_calls else "",
    ]
    words = " and ".join([part for part in told if part])
    return f"For what was tried before, {words}." if words else ""


def _money(amount_usd: Decimal, *, simulated: bool) -> str:
    return dollars(amount_usd) + " simulated" * simulated
