"""What an error can say only on this side: the money by the books, and the closest names by the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import CallError, UnknownModelError
from ..values import Row, dollars


def explain(error: CallError, row: Row | None, closest: Callable[[str], tuple[str, ...]]) -> None:
    """Complete ``error``: its sentence about money follows ``row``, an unknown model gets the closest names."""
    if row is None:
        return
    error.billed = _billing(error, row)
    if isinstance(error, UnknownModelError) and (near := closest(row.model_requested)):
        error.closest = near
        error.advice = f"Did you mean {' or '.join(near)}? %or models lists what there is."


def _billing(error: CallError, row: Row) -> str:
    if row.cost_source == "none":
        return error.billed if row.status == "refused" else "Nothing was billed."
    if row.cost_source == "billed" and row.cost_usd is not None:
        return f"{dollars(row.cost_usd)} was billed."
    if row.cost_source == "estimated" and row.cost_usd is not None:
        return f"It may have cost up to {dollars(row.cost_usd)}."
    if str(row.generation_id).startswith("gen-"):
        return "What it cost is being asked for."
    return "What it cost is not known."
