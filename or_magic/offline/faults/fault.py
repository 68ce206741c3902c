"""What a fault is: a pseudo-model that refuses, says, or delivers something in its own way. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from or_magic.offline.asked import Asked
from or_magic.offline.catalogue import Model
from or_magic.offline.chunks import Call
from or_magic.offline.steps import Plain, Steps
from or_magic.offline.traffic import Traffic
from or_magic.offline.words import Answer

_MOST_TIMES = 1_000_000

PRICING: Mapping[str, Any] = {"prompt": "0.000001", "completion": "0.000002"}


@dataclass(frozen=True)
class Tried:
    """One request on its way to one pseudo-model, at a moment of the simulator's clock."""

    asked: Asked
    model: Model
    arg: str
    headers: Mapping[str, str]
    port: int
    traffic: Traffic
    now_s: float

    def nth(self) -> int:
        """Count how often this very body came, this time included."""
        return self.traffic.nth(self.asked.digest)


def _never(_: Tried) -> Plain | None:
    return None


def _as_it_is(answer: Answer, _: Tried) -> Answer:
    return answer


def _untouched(steps: Steps, _: Call) -> Steps:
    return steps


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    ``bills`` says what the books get: ``all`` of the generation (what was made until then if the client leaves),
    ``all, always`` also if the client leaves, or ``nothing`` because no generation ran. ``rate`` is what is charged of
    the list price; ``byok`` says that the list price itself is paid to the provider.
    """

    name: str
    says: str
    refuse: Callable[[Tried], Plain | None] = _never
    answer: Callable[[Answer, Tried], Answer] = _as_it_is
    deliver: Callable[[Steps, Call], Steps] = _untouched
    bills: Literal["all", "all, always", "nothing"] = "all"
    status: Literal["ok", "error"] = "ok"
    shape: str = "2026-08"
    id_prefix: str = ""
    late: Callable[[str], float] = field(default=lambda _: 0.0)
    pricing: Mapping[str, Any] = field(default_factory=lambda: PRICING)
    rate: Callable[[str], Decimal] = field(default=lambda _: Decimal(1))
    byok: bool = False

    @property
    def id(self) -> str:
        """Return the model id."""
        return f"offline/{self.name}"


def number(arg: str, default: float) -> float:
    """Return the ARG as a number, the default where it is none."""
    try:
        value = float(arg)
    except ValueError:
        return default
    return default if math.isnan(value) else value


def times(arg: str, default: str, unit: str = "1") -> Decimal:
    """Return the ARG as a factor in this unit, the default where it is none that a price could have."""
    try:
        value = Decimal(arg)
    except InvalidOperation:
        value = Decimal(default)
    if not (value.is_finite() and 0 <= value <= _MOST_TIMES):
        value = Decimal(default)
    return value * Decimal(unit)


def seconds(arg: str, default: float | None) -> float | None:
    """Return the ARG as seconds of silence; None, also for ``inf``, is for ever."""
    value = number(arg, math.inf if default is None else default)
    return None if math.isinf(value) else max(0.0, value)
