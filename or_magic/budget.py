"""Budgets: how much may be spent in which scope, and whether one more call fits. Pure.

What is spent is known; what is held is the most that calls may cost which run now, or whose cost nobody has told yet.
Both count, so that calls which run beside each other cannot pass a budget together.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

from .errors import OverBudget
from .values import EXACT, Row, dollars

SCOPES = ("session", "day", "week", "total")
# Of a budget: from here on the one who pays is told.
ALERT = Decimal("0.8")
_NAMES = {
    "call": "the budget of this call",
    "session": "the session's budget",
    "day": "today's budget",
    "week": "this week's budget",
    "total": "the total budget",
}
_RAISE = {
    "call": "raise --budget",
    "session": "raise it: %or budget --session USD",
    "day": "raise it: %or budget --day USD",
    "week": "raise it: %or budget --week USD",
    "total": "raise it: %or budget --total USD",
    "tag": "raise it: %or budget --tag {}",
}
_MOST_USD = Decimal(10) ** 6  # what is held in pico-dollars has to fit into 64 bits

# What a call may cost at most, if so much is left; None where that cannot be said beforehand.
Bound = Callable[[Decimal | None], Decimal | None]


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets that hold, in dollars; None is no budget."""

    session: Decimal | None = None
    day: Decimal | None = None
    week: Decimal | None = None
    total: Decimal | None = None
    tags: Mapping[str, Decimal] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tags) or any(getattr(self, scope) is not None for scope in SCOPES)


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget as the ledger can add it up: ``key`` is a call, a session or a tag; ``since`` begins a day or week."""

    scope: str
    usd: Decimal
    key: str = ""
    since: datetime | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"the budget of the tag {self.key!r}" if self.scope == "tag" else _NAMES[self.scope]


@dataclass(frozen=True, slots=True)
class Standing:
    """A limit, and what counts against it."""

    limit: Limit
    spent_usd: Decimal
    held_usd: Decimal

    @property
    def left_usd(self) -> Decimal:
        """What one more call may cost; below 0 where more was spent than allowed."""
        return EXACT.subtract(self.limit.usd, EXACT.add(self.spent_usd, self.held_usd))

    def covers(self, bound_usd: Decimal | None) -> bool:
        """Whether a call that costs at most so much may be sent; None is not known beforehand."""
        if bound_usd == 0:  # what costs nothing may go on when nothing is left
            return True
        return self.left_usd > 0 if bound_usd is None else self.left_usd >= bound_usd

    @property
    def alerting(self) -> bool:
        """Whether so much is spent that it should be said."""
        return self.spent_usd > 0 and self.spent_usd >= EXACT.multiply(ALERT, self.limit.usd)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a row may be opened: the limits it has to keep, or to name where ``waived``."""

    limits: tuple[Limit, ...]
    bound: Bound
    waived: bool = False


def limits_of(
    budgets: Budgets,
    now: datetime,
    *,
    session: str,
    tag: str | None = None,
    call_id: str = "",
    call_usd: Decimal | None = None,
    zone: tzinfo | None = None,
) -> tuple[Limit, ...]:
    """Return the limits that a call has to keep; days, and weeks (from Monday), begin in ``zone`` or the user's."""
    if call_usd is None and not budgets:
        return ()
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=zone)
    monday = midnight - timedelta(days=midnight.weekday())
    told = [
        ("call", call_usd, call_id, None),
        ("session", budgets.session, session, None),
        ("day", budgets.day, "", _start(midnight)),
        ("week", budgets.week, "", _start(monday)),
        ("total", budgets.total, "", None),
        ("tag", budgets.tags.get(tag or ""), tag or "", None),
    ]
    return tuple(Limit(scope, usd, key, since) for scope, usd, key, since in told if usd is not None)


def admit(row: Row, terms: Terms, standings: Sequence[Standing]) -> Row:
    """Return the row with what it may cost at most, what it reserves, and which limits were waived for it.

    A call whose bound nobody knows reserves all that is left.

    Raises:
        OverBudget: it does not fit.
    """
    if not standings:
        bound = terms.bound(None)
        return replace(row, bound_usd=bound, held_usd=bound)
    left = min(standing.left_usd for standing in standings)
    bound = terms.bound(None if terms.waived else left)
    passed = [standing for standing in standings if not standing.covers(bound)]
    if passed and not terms.waived:
        raise over(passed[0], bound, simulated=row.gateway == "offline")
    held = max(left, Decimal(0)) if bound is None else bound
    names = ", ".join([standing.limit.scope for standing in passed]) or None
    return replace(row, bound_usd=bound, held_usd=held, waived=names)


def over(standing: Standing, bound: Decimal | None, *, simulated: bool = False) -> OverBudget:
    """Return the error for a call that ``standing`` does not allow."""
    limit = standing.limit
    kind = " simulated" * simulated
    held_usd = standing.held_usd
    held = f" and {amount(held_usd)}{kind} is held for calls whose cost is not known yet" if held_usd else ""
    asked = "what this one may cost is not known" if bound is None else f"this call may cost {amount(bound)}{kind}"
    name = f"{limit.name[0].upper()}{limit.name[1:]}"
    shorter = "" if bound is None else ", ask for a smaller --max-tokens"
    raise_it = _RAISE[limit.scope].format(shlex.quote(f"{limit.key}=USD"))
    return OverBudget(
        f"{name} is {amount(limit.usd)}: {amount(standing.spent_usd)}{kind} is spent{held}, and {asked}.",
        f"To go on, run it with -y to send it this once{shorter}, or {raise_it}.",
        scope=limit.scope,
        limit_usd=limit.usd,
        spent_usd=standing.spent_usd,
        held_usd=held_usd,
        asked_usd=bound,
    )


def alert(standing: Standing, *, simulated: bool = False) -> str:
    """Return the sentence about a budget that is nearly, or wholly, spent."""
    share = (
        int(EXACT.divide(EXACT.multiply(standing.spent_usd, 100), standing.limit.usd)) if standing.limit.usd else 100
    )
    spent = amount(standing.spent_usd) + " simulated" * simulated
    return f"{share} % of {standing.limit.name} is spent: {spent} of {amount(standing.limit.usd)}."


def amount(usd: Decimal) -> str:
    """Return an amount as people write it: two decimals, or as many as it needs, up to six."""
    return dollars(usd, digits=min(6, max(2, -int(usd.normalize(EXACT).as_tuple().exponent))))


def parse_usd(value: object) -> Decimal | None:
    """Return an amount of dollars, None for the word ``off``.

    Raises:
        ValueError: it is neither; the message says what it should be.
    """
    text = str(value).strip().removeprefix("$")
    if text.lower() == "off":
        return None
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal("NaN")
    if isinstance(value, bool) or not usd.is_finite() or not 0 <= usd < _MOST_USD:
        raise ValueError(f"{value!r:.60} is no amount of dollars below a million: write for example 2.50, or off")
    return usd


def _start(local: datetime) -> datetime:
    # Without a zone it is the system's, by the rules of that very day: since then summer time may have begun.
    # By the timestamp: where a day begins at one, astimezone of a moment without a zone is an hour too early.
    return datetime.fromtimestamp(local.timestamp(), UTC)
