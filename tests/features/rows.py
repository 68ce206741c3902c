"""Rows and ledgers to look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import Row

BEGIN = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
_numbers = itertools.count()


def row(after_s: float = 0.0, **told: Any) -> Row:
    """A settled, billed row of session "ours"; a cost may be given as text."""
    number = next(_numbers)
    if isinstance(told.get("cost_usd"), str):
        told["cost_usd"] = Decimal(told["cost_usd"])
    usual: dict[str, Any] = {
        "row_id": f"row {number}",
        "call_id": f"call {number}",
        "started_at": BEGIN + timedelta(seconds=after_s),
        "session": "ours",
        "gateway": "openrouter",
        "model_requested": "acme/one",
        "model": "acme/one",
        "status": "ok",
        "cost_usd": Decimal("0.001"),
        "cost_source": "billed",
    }
    return Row(**usual | told)


def unknown(after_s: float = 0.0, **told: Any) -> Row:
    """A row whose cost was never told."""
    return row(after_s, **{"cost_usd": None, "cost_source": "unknown", "status": "partial"} | told)


def ledger_of(folder: Path, rows: Iterable[Row]) -> Ledger:
    """A ledger with these rows, written in one go."""
    store = SqliteStore(folder / "ledger.sqlite")
    store.settle(list(rows))
    return Ledger(store)


def tracker_of(folder: Path, *rows: Row, **settings: Any) -> Tracker:
    """The tracker of session "ours" over these rows."""
    return Tracker(ledger_of(folder, rows), "ours", **settings)
