"""Requests and responses kept in memory for who asked to see them: bounded, and never with the key."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..events import Closed

KEPT = 20
_MOST_BYTES = 256 * 2**10  # of one request, and of one answer
_LONGEST_KEY = 1024  # a key may arrive in two pieces
# Pictures and sound: nobody reads them, and one would fill the log.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_SHOWN_HEADERS = frozenset({
    "cf-ray", "content-encoding", "content-length", "content-type", "date", "retry-after", "retry-after-ms", "server",
    "x-generation-id", "x-provider-name", "x-request-id",
})  # fmt: skip
_SHOWN_PREFIXES = ("x-ratelimit-",)

Redact = Callable[[bytes], bytes]


class Exchange:
    """One request and what came back, while it comes. One thread writes; any may read."""

    def __init__(self, request: str, redact: Redact, started_at: datetime) -> None:
        self.request = request
        self.started_at = started_at
        self.status_code: int | None = None
        self.headers: dict[str, str] = {}
        self.ended: str | None = None  # how, once it has
        self.size_bytes = 0
        self._redact = redact
        self._body = bytearray()

    @property
    def body(self) -> str:
        """What came of the answer, as far as it is kept."""
        return _shortened(bytes(self._body[:_MOST_BYTES]).decode("utf-8", "replace"))

    @property
    def unkept_bytes(self) -> int:
        """How much more came than is kept."""
        return max(0, self.size_bytes - _MOST_BYTES)

    def answer(self, status_code: int, headers: Mapping[str, str]) -> None:
        """Note the beginning of the response; only harmless headers are kept."""
        self.status_code = status_code
        self.headers = {
            name: value
            for name, value in headers.items()
            if name.lower() in _SHOWN_HEADERS or name.lower().startswith(_SHOWN_PREFIXES)
        }

    def take(self, chunk: bytes) -> None:
        """Note a piece of the body."""
        self.size_bytes += len(chunk)
        if len(self._body) < _MOST_BYTES + _LONGEST_KEY:
            start = max(0, len(self._body) - _LONGEST_KEY)
            self._body[start:] = self._redact(bytes(self._body[start:]) + chunk[: _MOST_BYTES + _LONGEST_KEY])

    def end(self, closed: Closed) -> None:
        """Note how the attempt ended."""
        self.ended = closed.status if closed.error is None else f"{closed.status}: {closed.error.happened}"


class Recorder:
    """Keeps the last ``KEPT`` exchanges; ``redact`` takes the key out of whatever is given to it."""

    def __init__(self, redact: Redact, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._redact = redact
        self._now = now
        self._lock = threading.Lock()
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def begin(self, body: Mapping[str, Any]) -> Exchange:
        """Return the exchange that begins with this request."""
        text = json.dumps(body, indent=2, ensure_ascii=False, default=str)
        text = self._redact(_shortened(text).encode("utf-8", "replace")).decode("utf-8", "replace")
        more = len(text) - _MOST_BYTES
        exchange = Exchange(
            f"{text[:_MOST_BYTES]}… {more:,} characters more" if more > 0 else text, self._redact, self._now()
        )
        with self._lock:
            self._kept.append(exchange)
        return exchange

    def exchanges(self) -> list[Exchange]:
        """Return what is kept, oldest first."""
        with self._lock:
            return list(self._kept)


def _shortened(text: str) -> str:
    return _BASE64.sub(lambda found: f"{found[0][:24]}… ({len(found[0]):,} characters)", text)
