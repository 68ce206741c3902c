"""Faults that refuse: HTTP errors, HTML where JSON was due, a redirect. Pure."""

from __future__ import annotations

from typing import Any

from or_magic.offline.faults.fault import Tried, number
from or_magic.offline.faults.limits import Refuse, retry_after
from or_magic.offline.ledger import PROVIDER
from or_magic.offline.refusals import refusal, unavailable
from or_magic.offline.steps import Plain, json_answer

_STATUSES = frozenset(map(str, range(400, 600)))
_HTML = (
    "<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
    "<body><h1>{title}</h1><p>This page was sent by the offline simulator in place of JSON.</p></body></html>\n"
)


def error(status: int, message: str, **metadata: Any) -> Refuse:
    """Return a refusal with this status; an ARG becomes its Retry-After."""
    return lambda tried: refusal(status, message, metadata, headers=retry_after(tried.arg, tried.now_s))


def unaffordable(tried: Tried) -> Plain:
    """Refuse with 402: the tokens asked for cannot be paid, ARG of them could be."""
    wanted, affordable = tried.asked.max_tokens or 65_536, int(number(tried.arg, 100))
    message = (
        f"This request requires more credits, or fewer max_tokens. You requested up to {wanted} tokens, "
        f"but can only afford {affordable}. To increase, visit https://openrouter.ai/settings/credits"
    )
    return refusal(402, message, {"provider_name": None})


def moderated(tried: Tried) -> Plain:
    """Refuse with 403: the moderation flagged the input."""
    metadata = {
        "reasons": ["simulated"], "flagged_input": tried.asked.last_user_text[:100], "provider_name": PROVIDER,
        "model_slug": tried.model.id, "error_type": "content_policy_violation",
    }  # fmt: skip
    return refusal(403, "Your chosen model requires moderation and your input was flagged", metadata)


def no_endpoints(tried: Tried) -> Plain:
    """Refuse with 404: routing left no endpoint."""
    available = unavailable("no_endpoints", tried.model.id, fallback_models=["openai/gpt-4o-mini"])
    return refusal(404, f"No endpoints found for {tried.model.id}.", availability=available)


def provider_failed(tried: Tried) -> Plain:
    """Refuse with 502: the provider failed, and so did the one before it."""
    metadata = {
        "provider_name": PROVIDER, "provider_code": "bad_gateway",
        "raw": '{"error":"upstream connect error (simulated)"}',
        "previous_errors": [{"provider": "Another Simulator", "code": "timeout", "status": 504}],
    }  # fmt: skip
    return refusal(502, "Provider returned error", metadata, headers=retry_after(tried.arg, tried.now_s))


def none_available(tried: Tried, *, told: bool = True) -> Plain:
    """Refuse with 503: no provider has room; ARG is the wait, unless it is not to be told."""
    arg = tried.arg if told else ""
    wait = {"retry_after": int(number(arg, 1))} if arg else {}
    available = unavailable("capacity_exhausted", tried.model.id, retryable=True, **wait)
    return refusal(
        503, "There is no available model provider that meets your routing requirements",
        headers=retry_after(arg, tried.now_s), availability=available,
    )  # fmt: skip


def html(status: int, title: str) -> Refuse:
    """Return an answer of HTML, as an edge or a captive portal sends it; ARG is another status."""
    headers = (("Content-Type", "text/html; charset=UTF-8"), ("cf-ray", "simulated-OFF"))

    def refuse(tried: Tried) -> Plain:
        code = int(tried.arg) if tried.arg in _STATUSES else status
        return Plain(code, _HTML.format(title=title).encode(), headers)

    return refuse


def error_body(_: Tried) -> Plain:
    """Answer 200 with an error in the body, as it happens also to streams."""
    metadata = {"error_type": "provider_unavailable", "provider_name": PROVIDER}
    return json_answer({"error": {"message": "Provider returned error", "code": 502, "metadata": metadata}})


def redirected(tried: Tried) -> Plain:
    """Send the client, and with luck its key, to another host."""
    there = tried.arg if "//" in tried.arg else f"http://127.0.0.2:{tried.port}/api/v1/chat/completions"
    word = "".join(letter for letter in there if letter.isascii() and letter.isprintable())
    return Plain(307, b"", (("Location", word),))


def echoed_key(tried: Tried) -> Plain:
    """Refuse with 401 and repeat what the client sent as its key."""
    return refusal(401, f"No auth credentials match {tried.headers.get('authorization', 'nothing')}")
