"""What drawing costs, by model: asked of the gateway when a budget first has to hold, and kept for a day."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from ..errors import OrMagicError
from ..pricing import PicturePriceList, parse_picture_prices
from .catalog import FRESH

_AGAIN = timedelta(minutes=5)


class PicturePrices:
    """The price lists known now; one that could not be had is asked for again a while later."""

    def __init__(self, fetch: Callable[[str], Any], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._told: dict[str, tuple[datetime, PicturePriceList | None]] = {}

    def learn(self, model: str) -> None:
        """Ask for the prices of a model that are not known, or are older than a day."""
        with self._lock:
            told = self._told.get(model)
        if told is not None and self._now() - told[0] < (_AGAIN if told[1] is None else FRESH):
            return
        try:
            found = parse_picture_prices(self._fetch(f"/images/models/{quote(model, safe='/:')}/endpoints"))
        except OrMagicError:
            found = None
        with self._lock:
            self._told[model] = (self._now(), found)

    def of(self, model: str) -> PicturePriceList | None:
        """Return what was learnt, asking nobody."""
        with self._lock:
            told = self._told.get(model)
        return told[1] if told is not None and self._now() - told[0] < FRESH else None
