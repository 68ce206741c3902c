"""A Row as a record of the table and as a line of JSON, and back. Pure."""

from __future__ import annotations

import operator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ..budget import Limit
from ..values import Row, from_pico, to_pico

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONEY = ("cost_usd", "upstream_usd", "saved_usd", "bound_usd", "held_usd")
_QUARTER_US = 15 * 60 * 10**6
FIELDS = tuple(f.name for f in fields(Row))

_values = operator.attrgetter(*FIELDS)
_STARTED, _COST = FIELDS.index("started_at"), FIELDS.index("cost_usd")
_PICO = tuple(FIELDS.index(name) for name in _MONEY if name != "cost_usd")

# Columns of the table, in the order of ``to_record``.
COLUMNS = (*("cost_text" if n == "cost_usd" else n.replace("_usd", "_pico") for n in FIELDS), "cost_pico")

# An SQL expression, or names whose values are wanted together, as one JSON array.
Column = str | tuple[str, ...]

_OF_CALL = (
    "SELECT sum(coalesce(cost_pico, 0)), "
    "sum(CASE WHEN cost_pico IS NULL THEN coalesce(held_pico, bound_pico, 0) ELSE 0 END) FROM calls WHERE call_id = ?"
)
_FIRST = frozenset(COLUMNS) - {"held_pico", "waived", "prompt_estimate"}


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def quarter(moment: datetime) -> str:
    """Return the quarter of an hour that holds ``moment``, as the key under which sums are kept.

    Days of every time zone begin at one.
    """
    return f"{microseconds(moment) // _QUARTER_US:012d}"


def sums_of(limit: Limit) -> tuple[str, tuple[str, ...]]:
    """Return the statement that tells what is spent and what is held under a limit, in pico-dollars."""
    if limit.scope == "call":
        return _OF_CALL, (limit.key,)
    if limit.since is not None:
        return "SELECT sum(spent_pico), sum(held_pico) FROM sums WHERE scope = 'quarter' AND key >= ?", (
            quarter(limit.since),
        )
    return "SELECT sum(spent_pico), sum(held_pico) FROM sums WHERE scope = ? AND key = ?", (limit.scope, limit.key)


def to_record(row: Row) -> tuple[Any, ...]:
    """Return the values of ``COLUMNS``."""
    # A file name of the system may hold bytes that are no text; the books keep what can be kept.
    record: list[Any] = [
        value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value
        for value in _values(row)
    ]
    record[_STARTED] = microseconds(row.started_at)
    for place in _PICO:
        if record[place] is not None:
            record[place] = to_pico(record[place])
    record[_COST] = None if row.cost_usd is None else str(row.cost_usd)
    return (*record, None if row.cost_usd is None else to_pico(row.cost_usd))


def from_record(record: tuple[Any, ...]) -> Row:
    """Return the row of a record."""
    told = dict(zip(FIELDS, record, strict=False))
    told["started_at"] = _EPOCH + told["started_at"] * _MICROSECOND
    for name in _MONEY:
        if told[name] is not None:
            told[name] = Decimal(told[name]) if name == "cost_usd" else from_pico(told[name])
    return Row(**told)


def to_json(row: Row) -> dict[str, Any]:
    """Return the row for a line of the spool."""
    return dict(zip(COLUMNS, to_record(row), strict=True))


def from_json(told: dict[str, Any]) -> Row:
    """Return the row of a line of the spool; an older or_magic may have written it, and knew fewer columns."""
    return from_record(tuple(told[name] if name in _FIRST else told.get(name) for name in COLUMNS))
