"""What a refusal tells of limits and of another attempt, read from headers and bodies; junk says nothing."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.errors import CallError, RateLimitedError
from or_magic.protocol.faults import fault_of_error, fault_of_response

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
RESET = datetime(2026, 11, 21, 0, 0, 0, tzinfo=UTC)
RESET_MS = int(RESET.timestamp() * 1000)
NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def refused(metadata: Any = None, headers: dict[str, str] | None = None, message: str = "slow down") -> CallError:
    error = {"code": 429, "message": message, "metadata": metadata}
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return fault_of_response(429, lower, json.dumps({"error": error}).encode(), NOW)


def limits(fault: CallError) -> tuple[object, ...]:
    assert isinstance(fault, RateLimitedError)
    return fault.limit, fault.remaining, fault.reset_at


TOLD = dict(zip(NAMES, ("20", "0", str(RESET_MS)), strict=True))


def test_limits_are_read_from_headers_and_from_the_body() -> None:
    """OpenRouter tells them in either place (WIRE §7); the headers are nearer."""
    assert (20, 0, RESET) == limits(refused(headers=TOLD))
    assert (20, 0, RESET) == limits(refused({"headers": TOLD}))
    assert (20, 0, RESET) == limits(refused({"headers": {"x-ratelimit-limit": 20, "X-RATELIMIT-REMAINING": 0,
                                                         "X-RateLimit-Reset": RESET_MS}}))  # fmt: skip
    other = {"X-RateLimit-Limit": "7"}
    assert (7, 0, RESET) == limits(refused({"headers": TOLD}, other))
    assert (20, 0, RESET) == limits(refused({"headers": TOLD}, {"X-RateLimit-Limit": "many"}))
    assert (20, 0, RESET) == limits(fault_of_error({"code": 429, "message": "x", "metadata": {"headers": TOLD}}))
    page = fault_of_response(429, {name.lower(): value for name, value in TOLD.items()}, b"<html>", NOW)
    assert (20, 0, RESET) == limits(page)


JUNK: list[object] = [
    None, "", " ", "many", "-1", "1e3", "1.5", "inf", "nan", "²", "٣", "9" * 400, "0x10", "1_000", True, False, -1, 1.5,
    10**400, -(10**400), [], {}, [20], {"a": 1}, Decimal("NaN"), b"20", "20;w=60", "20, 30", "\0",
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:20])
def test_junk_is_not_a_limit(junk: object) -> None:
    """A wrong limit would slow a session down for good; a wrong reset would stop it."""
    for name in NAMES:
        fault = fault_of_error({"code": 429, "message": "x", "metadata": {"headers": {name: junk}}})
        assert (None, None, None) == limits(fault)
    assert (None, None, None) == limits(fault_of_error({"code": 429, "message": "x", "metadata": {"headers": junk}}))


@pytest.mark.parametrize("reset", [0, 1, 60, 1_777_593_660, 10**13, 10**14, "30s", "1777593660", "6m0s", str(10**13)])
def test_a_reset_that_is_not_in_milliseconds_of_this_era_is_not_guessed_at(reset: object) -> None:
    """Others tell seconds, or a span; taken for milliseconds they would be 1970."""
    fault = fault_of_error({"code": 429, "message": "x", "metadata": {"headers": {"X-RateLimit-Reset": reset}}})
    assert (None, None, None) == limits(fault)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "headers", "a"]), inner),
    max_leaves=8,
)


@given(json_like, json_like, json_like)
def test_no_metadata_breaks_the_reading(metadata: object, availability: object, message: object) -> None:
    """It comes from elsewhere."""
    error = {"code": 429, "message": message, "metadata": metadata, "availability": availability}
    fault = fault_of_error(error)
    assert fault.retryable in (None, True, False)
    assert str(fault)


@pytest.mark.parametrize(
    ("told", "expected"),
    [(True, True), (False, False), (None, None), ("true", None), (1, None), (0, None), ([], None)],
)
@pytest.mark.parametrize("code", [404, 429, 503, None])
def test_whether_another_attempt_may_help_is_told_by_the_gateway(told: object, expected: object, code: object) -> None:
    """WIRE §7: trust ``retryable``, where it is one."""
    fault = fault_of_error({"code": code, "message": "x", "availability": {"retryable": told}})
    assert expected is fault.retryable
    assert fault_of_error({"code": code, "message": "x", "availability": told}).retryable is None


DAILY = [
    ({"limit_source": "openrouter_free_tier_daily"}, "Rate limit exceeded"),
    (None, "Rate limit exceeded: free-models-per-day"),
    (None, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"),
    (None, "Rate limit exceeded: free-models-per-day-high-balance."),
    (None, "Rate limit exceeded: per-day-high-balance"),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "message"), DAILY)
def test_the_limit_of_a_day_is_known_and_nobody_is_told_to_run_it_again(metadata: Any, message: str) -> None:
    """Every further request would be refused, and count."""
    for headers in ({}, TOLD, {"Retry-After": "40000"}):
        fault = refused(metadata, headers, message)
        assert isinstance(fault, RateLimitedError)
        assert (True, True, False) == (fault.daily, fault.free_tier, fault.retryable)
        assert "run it again" not in str(fault).lower()
        assert "without :free" in fault.advice
        assert ("2026-11-21 00:00 UTC" in fault.advice) == (headers is TOLD)
        assert ("1000 free requests" in fault.advice) == ("high-balance" not in message)


def test_the_limit_of_a_minute_is_not_that_of_a_day() -> None:
    """It is waited for; but it is one of all free models together."""
    fault = refused(None, TOLD, "Rate limit exceeded: free-models-per-min.")
    assert isinstance(fault, RateLimitedError)
    assert (False, True, None) == (fault.daily, fault.free_tier, fault.retryable)
    other = refused({"limit_source": "provider"}, TOLD, "Provider returned error")
    assert isinstance(other, RateLimitedError)
    assert (False, False) == (other.daily, other.free_tier)


def test_what_was_told_survives_a_worker_process() -> None:
    """joblib brings the error home."""
    fault = refused({"limit_source": "openrouter_free_tier_daily"}, TOLD)
    again = pickle.loads(pickle.dumps(fault))
    assert (limits(fault), fault.daily, fault.retryable) == (limits(again), again.daily, again.retryable)


@pytest.mark.parametrize("code", [429, 503])
def test_a_page_of_the_edge_may_ask_to_wait_as_well(code: int) -> None:
    """Cloudflare sends the header beside its HTML."""
    assert 7.0 == fault_of_response(code, {"retry-after": "7"}, b"<html>", NOW).retry_after_s
