"""A provider's cache of prompts, as the simulator plays it: what is marked is kept for a while. Pure but for a lock.

Only models whose prices name the cache have one, and only prompts that are long enough are kept: both as with the
providers. What is kept are digests, never words.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from or_magic.offline import tokens
from or_magic.offline.attachments import attachment

LEAST_TOKENS = 1_024
_KEPT_S = {"5m": 300.0, "1h": 3_600.0}
_MOST = 4_096  # entries


@dataclass(frozen=True)
class Use:
    """How many tokens of a prompt came out of the cache, and how many were written to it."""

    read: int = 0
    written: int = 0


class PromptCache:
    """Digests of beginnings of prompts, by model, with the time at which they are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, str], float] = {}

    def use(self, body: Mapping[str, Any], model: str, pricing: Mapping[str, Any], now_s: float) -> Use:
        """Return what a prompt takes from the cache and leaves in it."""
        if not {"input_cache_read", "input_cache_write"} <= set(pricing) or not (
            marks(body) or body.get("cache_control")
        ):
            return Use()
        places = [place for place in _places(body) if place[1] >= LEAST_TOKENS]
        marked = [place for place in places if place[2]]
        if not marked:
            return Use()
        with self._lock:
            known = [size for digest, size, _ in places if self._ends.get((model, digest), 0.0) > now_s]
            read = max(known, default=0)
            for digest, _, ttl in marked:
                self._ends[model, digest] = now_s + _KEPT_S.get(ttl, 300.0)
            while len(self._ends) > _MOST:
                self._ends.pop(next(iter(self._ends)))
        return Use(read, max(0, max(size for _, size, _ in marked) - read))


def marks(body: Mapping[str, Any]) -> int:
    """Return how many parts ask to be kept."""
    return sum(1 for message in body["messages"] for part in _parts(message) if part.get("cache_control"))


def _places(body: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Yield for every part digest and tokens of the prompt up to it, and for how long it is to be kept, if it is."""
    digest, size = hashlib.sha256(), 0
    parts = [(message, part) for message in body["messages"] for part in _parts(message)]
    for place, (message, part) in enumerate(parts):
        told = {name: value for name, value in part.items() if name != "cache_control"}
        digest.update(json.dumps([message["role"], told], sort_keys=True).encode())
        size += tokens.count(str(part.get("text", ""))) if part.get("type") == "text" else attachment(part).tokens
        control = part.get("cache_control") or (body.get("cache_control") if place == len(parts) - 1 else None)
        ttl = str(control.get("ttl", "5m")) if isinstance(control, Mapping) else ""
        yield digest.hexdigest(), size, ttl


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
