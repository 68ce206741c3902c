"""A status, a body or an error object becomes an exception in plain words (WIRE.md §7). Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from ..errors import (
    CallError,
    ForbiddenError,
    KeyRefusedError,
    PaymentError,
    ProtocolError,
    ProviderError,
    RateLimitedError,
    RefusedError,
    UnknownModelError,
)

_CLASSES: dict[int, type[CallError]] = {
    401: KeyRefusedError,
    402: PaymentError,
    403: ForbiddenError,
    404: UnknownModelError,
    429: RateLimitedError,
}
_T = TypeVar("_T")
_DAILY = "openrouter_free_tier_daily"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TEXT = 10_000  # more of a message is not even looked at
_LONGEST_S = 10**9  # nobody means to wait for more
_ADVICE: dict[type[CallError], str] = {
    KeyRefusedError: "Check the key: it may be mistyped, disabled or of another account.",
    PaymentError: "Add credits, raise the key's limit, or ask for a smaller max_tokens.",
    ForbiddenError: "Change the prompt, or the privacy and moderation settings of the account.",
    RateLimitedError: "Wait and run it again, or choose another model.",
}
_BY_CODE = {
    400: "Correct the request and run it again.",
    404: "Check the model's name, or loosen the routing and privacy filters.",
    408: "The gateway gave up waiting; run it again.",
    413: "Make the prompt or its attachments smaller.",
}


def fault_of_response(status_code: int, headers: Mapping[str, str], body: bytes, now: datetime) -> CallError:
    """Return the exception for an HTTP status of 300 and more.

    ``now`` turns a ``Retry-After`` date into seconds.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    told = parsed.get("error") if isinstance(parsed, Mapping) else None
    if isinstance(told, str):
        told = {"message": told}
    wait_s = retry_after_s(headers, now)
    if not isinstance(told, Mapping):
        return _fault_without_envelope(status_code, headers, body, wait_s)
    error = {"code": status_code} | dict(told)
    return fault_of_error(error, wait_s=wait_s, status_code=status_code, headers=headers)


def fault_of_error(
    told: object,
    *,
    began: bool = False,
    wait_s: float | None = None,
    status_code: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> CallError:
    """Return the exception for an error object; ``began`` says that an answer had already begun.

    ``headers`` have lower-case names; what they say of limits goes before what the object says.
    """
    error: Mapping[str, Any] = told if isinstance(told, Mapping) else {"message": str(told)}
    metadata = _mapping(error.get("metadata"))
    code = status_code or _code(error)
    error_type = error.get("error_type") or metadata.get("error_type")
    hints = f"{error_type} {_mapping(error.get('availability')).get('code')} {error.get('message')}"
    kind = _class_of(code, hints, began=began)
    wait_s = wait_s if wait_s is not None else _hint_s(error)
    fault = kind(
        f"{_message(error, metadata)}{f' ({code})' if code else ''}.",
        _advice(kind, code, error, wait_s),
        status_code=code,
        error_type=str(error_type) if error_type else None,
        body=told,
        retry_after_s=wait_s,
    )
    retryable = _mapping(error.get("availability")).get("retryable")
    fault.retryable = retryable if isinstance(retryable, bool) else None
    if isinstance(fault, PaymentError):
        fault.affordable_tokens = _affordable(str(error.get("message")))
    if isinstance(fault, RateLimitedError):
        _note_limits(fault, error, metadata, headers or {})
    return fault


def not_the_protocol(what: str, body: bytes = b"") -> ProtocolError:
    """Return the exception for an answer that cannot be read."""
    start = f": {_readable(body)!r}" if body else ""
    return ProtocolError(f"{what}{start}.", "Check the base URL; a proxy may have answered.")


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that ``retry-after-ms`` or ``Retry-After`` (seconds or date) asks for; junk is None."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        wait_s = _seconds(value, unit_s, now)
        if wait_s is not None:
            return wait_s
    return None


def _seconds(value: str, unit_s: float, now: datetime) -> float | None:
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", value):
        return max(0.0, float(value) * unit_s)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _note_limits(
    fault: RateLimitedError, error: Mapping[str, Any], metadata: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """Add what a 429 tells of the limit that it is about (WIRE.md §7 and §10)."""
    in_body = {str(name).lower(): value for name, value in _mapping(metadata.get("headers")).items()}
    fault.limit = _told("x-ratelimit-limit", headers, in_body, _whole)
    fault.remaining = _told("x-ratelimit-remaining", headers, in_body, _whole)
    fault.reset_at = _told("x-ratelimit-reset", headers, in_body, _moment)
    message = str(error.get("message"))
    fault.daily = metadata.get("limit_source") == _DAILY or "free-models-per-day" in message
    fault.daily = fault.daily or "per-day-high-balance" in message
    fault.free_tier = fault.daily or "free-models-per-" in message
    if fault.daily:
        fault.retryable = False
        fault.advice = _until_tomorrow(fault.reset_at, paid_for="high-balance" in message)


def _until_tomorrow(reset_at: datetime | None, *, paid_for: bool) -> str:
    end = f"at {reset_at:%Y-%m-%d %H:%M} UTC" if reset_at else "when the gateway's day is over"
    more = "" if paid_for else ", or buy credits: from 10 on there are 1000 free requests a day instead of 50"
    return f"It ends {end}. Until then take a model without :free{more}."


def _told(
    name: str, headers: Mapping[str, Any], in_body: Mapping[str, Any], read: Callable[[object], _T | None]
) -> _T | None:
    told = read(headers.get(name))
    return read(in_body.get(name)) if told is None else told


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value).strip() if isinstance(value, str) else f"{value:d}"[:20]
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _moment(value: object) -> datetime | None:
    """Return the moment of epoch milliseconds; anything that is not of this era is junk."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = value.strip() if isinstance(value, str) else str(value) if 0 < value < 10**13 else ""
    return _EPOCH + timedelta(milliseconds=int(text)) if re.fullmatch(r"[1-9][0-9]{12}", text) else None


def _class_of(code: int | None, hints: str, *, began: bool) -> type[CallError]:
    if began or code is None or code >= 500 or code < 400:
        return ProviderError
    if code == 400 and ("not_found" in hints or "not a valid model" in hints):  # it was 404 before (WIRE.md §12)
        return UnknownModelError
    return _CLASSES.get(code, RefusedError)


def _advice(kind: type[CallError], code: int | None, error: Mapping[str, Any], wait_s: float | None) -> str:
    if wait_s and (kind in (RateLimitedError, ProviderError) or code in (408, 425)):
        advice = f"Wait {math.ceil(wait_s)} s and run it again."
    else:
        advice = _ADVICE.get(kind) or _BY_CODE.get(code or 0) or "Run it again, or choose another model."
    fallbacks = _mapping(error.get("availability")).get("fallback_models")
    if isinstance(fallbacks, list) and fallbacks:
        advice += f" The gateway suggests {_plain(', '.join(map(str, fallbacks)))}."
    return advice


def _message(error: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    message = str(error.get("message") or "the gateway gave no reason").strip().rstrip(".")
    raw = metadata.get("raw")
    if raw:  # "Provider returned error" alone says nothing
        message = f"{message}: {_raw_message(raw)}"
    provider = metadata.get("provider_name")
    if isinstance(provider, str) and provider not in message:
        message = f"{provider}: {message}"
    if reasons := metadata.get("reasons"):
        message = f"{message} [{', '.join(map(str, reasons))}]" if isinstance(reasons, list) else message
    return _plain(message)


def _raw_message(raw: object) -> str:
    try:
        inner = json.loads(raw) if isinstance(raw, str) else raw
    except (ValueError, RecursionError):
        inner = raw
    if isinstance(inner, Mapping):
        nested = _mapping(inner.get("error"))
        inner = nested.get("message") or inner.get("message") or json.dumps(inner, default=str)
    return str(inner).strip().rstrip(".")


def _fault_without_envelope(
    status_code: int, headers: Mapping[str, str], body: bytes, wait_s: float | None
) -> CallError:
    if 300 <= status_code < 400:
        where = _plain(headers.get("location", "nowhere"))
        return RefusedError(
            f"The gateway redirects ({status_code}) to {where}; that is not followed: the key stays with its host.",
            "Set the base URL to the right address.",
            status_code=status_code,
        )
    fault = _class_of(status_code, "", began=False)(
        f"HTTP {status_code} without an error object: {_readable(body)!r}.",
        "Run it again; check the base URL if it stays so.",
        status_code=status_code,
        retry_after_s=wait_s,
    )
    if isinstance(fault, RateLimitedError):
        _note_limits(fault, {}, {}, headers)
    return fault


def _readable(body: bytes) -> str:
    text = body[:2000].decode("utf-8", "replace")
    title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return " ".join((title[1] if title else text).split())[:120]


def _plain(text: str) -> str:
    # Control characters could rewrite a terminal's line; length could bury the advice.
    from .. import neutral  # only a failed call needs its patterns, which take 18 ms to build

    return neutral.line(text[:_MOST_TEXT])[:400]


def _code(error: Mapping[str, Any]) -> int | None:
    code = error.get("code", error.get("http_status"))
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        return int(code)
    return code if isinstance(code, int) and 100 <= code <= 599 else None


def _hint_s(error: Mapping[str, Any]) -> float | None:
    hint = _mapping(error.get("availability")).get("retry_after")
    if isinstance(hint, bool) or not isinstance(hint, (int, float, Decimal)) or not 0 <= hint <= _LONGEST_S:
        return None
    return float(hint)


def _affordable(message: str) -> int | None:
    found = re.search(r"can only afford (\d{1,9})", message)
    return int(found[1]) if found else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
