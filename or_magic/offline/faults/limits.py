"""Faults that limit: 429 in every form that a wait is told in, and real quotas by the simulator's clock. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

from or_magic.offline import words
from or_magic.offline.faults.fault import Tried, number
from or_magic.offline.ledger import PROVIDER
from or_magic.offline.refusals import refusal, unavailable
from or_magic.offline.steps import Headers, Plain, json_answer
from or_magic.offline.traffic import Entry

Refuse = Callable[[Tried], "Plain | None"]

_DAY_S = 86_400
_MINUTE_S = 60.0
_FREE_OF_A_DAY = 50
_TODAY = "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"
_LIMITED = "Provider returned error"


def retry_after(arg: str, now_s: float) -> Headers:
    """Return the header that an ARG asks for.

    ``date`` and ``ms`` may carry an amount, as in ``date:-60``; ``none`` is no header; any other word stands as it is.
    """
    word = "".join(letter for letter in arg if letter.isascii() and letter.isprintable())
    form, _, amount = word.partition(":")
    if form == "date":
        from email.utils import formatdate  # 8 ms that nothing else here needs

        return (("Retry-After", formatdate(now_s + number(amount, 2), usegmt=True)),)
    if form == "ms":
        return (("retry-after-ms", amount or "1500"),)
    return (("Retry-After", word),) if word not in ("", "none") else ()


def _epoch_ms(seconds: float) -> str:
    return str(math.ceil(seconds * 1000))


def _rate(limit: int, left: int, reset_s: float) -> Headers:
    counts = (("X-RateLimit-Limit", str(limit)), ("X-RateLimit-Remaining", str(left)))
    return (*counts, ("X-RateLimit-Reset", _epoch_ms(reset_s)))


def _wish_s(arg: str, default: float) -> float:
    wish = number(arg, default)
    return wish if 0 <= wish < _DAY_S else default


def limited(tried: Tried) -> Plain:
    """Refuse with 429: a limit of the provider, told in the headers and in the body."""
    limits = _rate(20, 0, tried.now_s + _wish_s(tried.arg, 1))
    raw = f"{tried.model.id} is temporarily rate-limited (simulated)"
    metadata = {"headers": dict(limits), "provider_name": PROVIDER, "raw": raw}
    return refusal(429, _LIMITED, metadata, headers=(*limits, *retry_after(tried.arg or "1", tried.now_s)))


def limited_in_headers(tried: Tried) -> Plain:
    """Refuse with 429: X-RateLimit headers alone say when it is over."""
    return refusal(429, _LIMITED, headers=_rate(20, 0, tried.now_s + number(tried.arg, 2)))


def limited_in_body(tried: Tried) -> Plain:
    """Refuse with 429: what would be X-RateLimit headers stands in the body alone."""
    return refusal(429, _LIMITED, {"headers": dict(_rate(20, 0, tried.now_s + number(tried.arg, 2)))})


def limited_without_hint(_: Tried) -> Plain:
    """Refuse with 429 and say nothing of when it is over."""
    return refusal(429, _LIMITED)


def limited_for_today(tried: Tried) -> Plain:
    """Refuse with 429: the free requests of the day are used up, so that a retry is useless."""
    limits = _rate(_FREE_OF_A_DAY, 0, (tried.now_s // _DAY_S + 1) * _DAY_S)
    metadata = {"headers": dict(limits), "limit_source": "openrouter_free_tier_daily"}
    return refusal(429, _TODAY, metadata, headers=limits)


def told_retryable(*, retryable: bool) -> Refuse:
    """Return a refusal that ``availability`` decides about; ARG is its status and, after a colon, its wait."""

    def refuse(tried: Tried) -> Plain:
        status, _, wait = tried.arg.partition(":")
        code = int(status) if status.isdecimal() and 400 <= int(status) <= 599 else 503
        hint: dict[str, Any] = {"retry_after": number(wait, 1)} if wait else {}
        told = unavailable("temporarily_unavailable", tried.model.id, retryable=retryable, **hint)
        # As in the documents' examples: the status stands under another name, and there is no code.
        error = {"message": "Temporarily unavailable", "http_status": code, "availability": told}
        return json_answer({"error": error}, code)

    return refuse


def _amount(arg: str, default: int) -> tuple[int, float]:
    limit, _, window = arg.partition("/")
    window_s = number(window, _MINUTE_S)
    return max(0, int(_wish(limit, default))), window_s if 0 < window_s <= _DAY_S else _MINUTE_S


def _wish(word: str, default: float) -> float:
    wish = number(word, default)
    return wish if math.isfinite(wish) else default


def _whose(tried: Tried) -> str:
    key = tried.headers.get("authorization", "")
    return hashlib.sha256(key.encode()).hexdigest()  # keys are never kept


def requests_quota(*, by_key: bool = False, hints: bool = True) -> Refuse:
    """Return a quota of ARG requests a minute, or ARG requests in so many seconds."""

    def refuse(tried: Tried) -> Plain | None:
        limit, window_s = _amount(tried.arg, 20)
        name = tried.model.id + (_whose(tried) if by_key else "")
        entry = tried.traffic.enter(name, 1, limit=limit, window_s=window_s, now_s=tried.now_s)
        return None if entry.passes else _over(tried, entry, limit, "requests", hints=hints)

    return refuse


def tokens_quota(tried: Tried) -> Plain | None:
    """Refuse what goes beyond ARG tokens a minute: those of the prompt and of the answer as it will be."""
    limit, window_s = _amount(tried.arg, 10_000)
    weight = tried.asked.prompt_tokens + words.answer(tried.asked, tried.model).completion_tokens
    entry = tried.traffic.enter(tried.model.id, weight, limit=limit, window_s=window_s, now_s=tried.now_s)
    return None if entry.passes else _over(tried, entry, limit, "tokens")


def daily_quota(tried: Tried) -> Plain | None:
    """Refuse what goes beyond ARG requests a UTC day."""
    limit = int(_wish(tried.arg, _FREE_OF_A_DAY))
    day = int(tried.now_s // _DAY_S)
    return limited_for_today(tried) if tried.traffic.nth(f"{tried.model.id} {day}") > limit else None


def _over(tried: Tried, entry: Entry, limit: int, what: str, *, hints: bool = True) -> Plain:
    if entry.wait_s is None:
        told = unavailable("constraint_filtered", tried.model.id)
        return refusal(429, f"Limit of {limit} {what} exceeded: this is never allowed at once", availability=told)
    if not hints:
        return limited_without_hint(tried)
    rate = _rate(limit, entry.left, tried.now_s + entry.wait_s)
    headers = (*rate, ("Retry-After", str(math.ceil(entry.wait_s))))
    metadata = {"headers": dict(rate), "limit_source": f"simulated_{what}"}
    return refusal(429, f"Rate limit exceeded: {limit} {what} (simulated)", metadata, headers=headers)
