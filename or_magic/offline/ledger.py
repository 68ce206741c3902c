"""The simulator's own books: what every generation really cost, written before its bytes are sent. Pure but for a lock.

It is the truth that a client's ledger is compared with, so it shares no code with any client. Keys are never kept.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from or_magic.offline.money import FREE, Cost, charge, number_text, pico


@dataclass(frozen=True)
class Billed:
    """One generation; ``cost_text`` is exactly the JSON text of its cost, ``prompt`` begins the last user text."""

    generation_id: str
    model: str
    prompt: str
    prompt_tokens: int
    completion_tokens: int
    cost_pico: int
    cost_text: str
    status: str
    cancelled: bool
    delivered_usage: bool


@dataclass(frozen=True)
class Job:
    """What is known of a generation before its first byte is sent."""

    generation_id: str
    model: str
    prompt: str
    pricing: Mapping[str, Any]
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    media: int = 0
    finish_reason: str | None = "stop"
    native_finish_reason: str | None = "stop"
    status: str = "ok"
    streamed: bool = True
    runs_on: bool = False
    late_s: float = 0.0
    user: str | None = None
    session_id: str | None = None
    router: str | None = None
    rate: Decimal = Decimal(1)
    byok: bool = False
    cached_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True)
class Spent:
    """Exact sums in USD: what was charged, and what was paid to providers with keys of the user's own."""

    cost_usd: Decimal
    byok_usd: Decimal


@dataclass(frozen=True)
class _Entry:
    billed: Billed
    job: Job
    cost: Cost
    started_s: float
    ended_s: float


class Meter:
    """Counts one answer; this one bills nothing, for answers that run no generation."""

    def add(self, tokens: int) -> None:
        """Note tokens that are about to be sent."""

    def settle(self) -> None:
        """Write the whole generation into the books, once."""

    def told(self, *, usage: bool) -> None:
        """Note whether the usage goes out to the client."""

    def cancel(self) -> None:
        """Write what was generated until the client left, unless it is settled."""


UNMETERED = Meter()


class JobMeter(Meter):
    """Counts one generation and settles it exactly once."""

    def __init__(self, ledger: Ledger, job: Job) -> None:
        self._ledger, self._job, self._tokens, self._settled = ledger, job, 0, False
        self._started_s = ledger.clock()

    def add(self, tokens: int) -> None:
        """Count tokens that are about to be sent."""
        self._tokens += tokens

    def settle(self) -> None:
        """Write the whole generation."""
        self._write(self._job.completion_tokens, self._job.status)

    def cancel(self) -> None:
        """Write what was made until now, or all of it where the provider runs on."""
        job = self._job
        self._write(job.completion_tokens if job.runs_on else min(self._tokens, job.completion_tokens), "cancelled")

    def told(self, *, usage: bool) -> None:
        """Note whether the usage of a settled generation goes out."""
        self._ledger.told(self._job.generation_id, usage=usage)

    def _write(self, completion_tokens: int, status: str) -> None:
        if self._settled:
            return
        self._settled = True
        self._ledger.write(self._job, completion_tokens, status, self._started_s)


def cost_of(job: Job, completion_tokens: int, finish_reason: str | None) -> Cost:
    """Return the cost; nothing for an answer that failed, nor for one that is empty and unfinished."""
    if finish_reason == "error" or (completion_tokens == 0 and finish_reason is None):
        return FREE
    return charge(
        job.pricing, job.prompt_tokens, completion_tokens, job.rate,
        read=job.cached_tokens, written=job.cache_write_tokens,
    )  # fmt: skip


class Ledger:
    """All settled generations of one server, in the order of their settlement."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self._lock = clock, threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def meter(self, job: Job) -> Meter:
        """Return the meter of a generation that is about to be sent."""
        return JobMeter(self, job)

    def write(self, job: Job, completion_tokens: int, status: str, started_s: float) -> None:
        """Write one settled generation."""
        cancelled = status == "cancelled"
        finish = None if cancelled else job.finish_reason
        cost = cost_of(job, completion_tokens, finish)
        billed = Billed(
            job.generation_id, job.model, job.prompt, job.prompt_tokens, completion_tokens, pico(cost.total_usd),
            number_text(cost.total_usd), status, cancelled, delivered_usage=False,
        )  # fmt: skip
        job = replace(job, finish_reason=finish, native_finish_reason=None if cancelled else job.native_finish_reason)
        with self._lock:
            self._entries[job.generation_id] = _Entry(billed, job, cost, started_s, self.clock())

    def told(self, generation_id: str, *, usage: bool) -> None:
        """Note whether the usage of a settled generation went to the socket."""
        with self._lock:
            entry = self._entries[generation_id]
            self._entries[generation_id] = replace(entry, billed=replace(entry.billed, delivered_usage=usage))

    def billed(self) -> tuple[Billed, ...]:
        """Return every settled generation."""
        with self._lock:
            return tuple(entry.billed for entry in self._entries.values())

    def spent(self, since_s: float = -math.inf) -> Spent:
        """Return the exact sums of what was settled since then."""
        with self._lock:
            found = [entry for entry in self._entries.values() if entry.ended_s >= since_s]
        total = sum((Decimal(entry.billed.cost_text) for entry in found), Decimal(0))
        return Spent(total, sum((entry.cost.list_usd for entry in found if entry.job.byok), Decimal(0)))

    def generation(self, generation_id: str) -> dict[str, Any] | None:
        """Return the data of ``GET /generation``, or None while there is nothing to tell."""
        with self._lock:
            entry = self._entries.get(generation_id)
        if entry is None or self.clock() < entry.ended_s + entry.job.late_s:
            return None
        return _generation(entry)


def _generation(entry: _Entry) -> dict[str, Any]:
    billed, job = entry.billed, entry.job
    reasoning = min(job.reasoning_tokens, billed.completion_tokens)
    lasted_ms = round((entry.ended_s - entry.started_s) * 1000)
    cost = Decimal(billed.cost_text)
    return {
        "id": billed.generation_id, "upstream_id": None, "total_cost": cost, "cache_discount": None,
        "upstream_inference_cost": entry.cost.list_usd if job.byok else None,
        "created_at": _iso(entry.started_s), "model": billed.model, "app_id": None,
        "streamed": job.streamed, "cancelled": billed.cancelled, "provider_name": PROVIDER, "latency": lasted_ms,
        "moderation_latency": None, "generation_time": lasted_ms, "finish_reason": job.finish_reason,
        "tokens_prompt": billed.prompt_tokens, "tokens_completion": billed.completion_tokens,
        "native_tokens_prompt": billed.prompt_tokens, "native_tokens_completion": billed.completion_tokens,
        "native_tokens_completion_images": job.media, "native_tokens_reasoning": reasoning,
        "native_tokens_cached": job.cached_tokens,
        "num_media_prompt": None, "num_input_audio_prompt": None, "num_media_completion": None,
        "num_search_results": None, "num_fetches": None, "web_search_engine": None, "origin": "", "usage": cost,
        "is_byok": job.byok, "native_finish_reason": job.native_finish_reason, "external_user": job.user,
        "api_type": "completions", "preset_id": None, "router": job.router, "provider_responses": None,
        "user_agent": None, "http_referer": None, "data_region": "global", "workspace_id": None,
        "service_tier": "default", "session_id": job.session_id, "request_id": None,
    }  # fmt: skip


PROVIDER = "Offline Simulator"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
