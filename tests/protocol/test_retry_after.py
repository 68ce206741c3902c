"""Waits: what a gateway asks us to wait, read from headers and bodies, and what of it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from or_magic.errors import (
    CallError,
)
from or_magic.protocol.faults import fault_of_error, fault_of_response, retry_after_s

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
FREE = "Nothing ran and nothing was billed."
UNKNOWN = "What it cost is not known yet."


def _fault(status: int, error: object = None, headers: dict[str, str] | None = None) -> CallError:
    told = {"code": status, "message": "it did not work."} if error is None else error
    return fault_of_response(status, headers or {}, json.dumps({"error": told, "user_id": "u"}).encode(), NOW)


RETRY_AFTER: list[tuple[str, float | None]] = [
    ("0", 0.0),
    ("1", 1.0),
    ("30", 30.0),
    ("  7  ", 7.0),
    ("1.5", 1.5),
    ("0.0", 0.0),
    ("-1", 0.0),
    ("-0", 0.0),
    ("-2.5", 0.0),
    ("86400", 86400.0),
    ("inf", None),
    ("-inf", None),
    ("Infinity", None),
    ("nan", None),
    ("1e309", None),
    ("-1e309", None),
    ("", None),
    ("   ", None),
    ("soon", None),
    ("5 seconds", None),
    ("5s", None),
    ("0x10", None),
    ("1_000", None),
    ("1,5", None),
    ("٣", None),
    ("１２", None),
    ("½", None),
    ("²", None),
    ("9" * 400, None),
    ("\0", None),
    ("()", None),
    ("120, 60", None),
    ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
    ("Fri, 20 Nov 2026 13:00:30 +0100", 30.0),
    ("Friday, 20-Nov-26 12:00:30 GMT", 30.0),
    ("Fri Nov 20 12:00:30 2026", 30.0),
    ("Fri, 20 Nov 2026 12:00:30", 30.0),
    ("Fri, 20 Nov 2020 12:00:30 GMT", 0.0),
    ("Fri, 31 Feb 2026 12:00:00 GMT", None),
    ("2026-11-20T12:00:30Z", None),
    ("Fri, 20 Nov 99999 12:00:00 GMT", None),
    ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
    ("Fri, 20 Nov 2026 12:00:30 +99999999999999", None),
    ("Fri, 20 Nov 2026 12:00:30 -9999", None),
    ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ("Fri, 99 Nov 2026 99:99:99 GMT", None),
]


@pytest.mark.parametrize(("value", "expected"), RETRY_AFTER, ids=[value[:30] for value, _ in RETRY_AFTER])
def test_retry_after_is_read_by_a_table(value: str, expected: float | None) -> None:
    """Seconds, dates, the past, and everything that is none of them: a wrong wait is a hung notebook."""
    assert expected == retry_after_s({"retry-after": value}, NOW)
    assert len(RETRY_AFTER) >= 40


@pytest.mark.parametrize(
    ("milliseconds", "seconds", "expected"),
    [
        ("1500", "9", 1.5),
        ("0", "9", 0.0),
        ("-5", "9", 0.0),
        ("junk", "9", 9.0),
        ("nan", "9", 9.0),
        ("", "9", 9.0),
        ("junk", "junk", None),
        ("250", None, 0.25),
    ],
)
def test_milliseconds_win_over_seconds_and_junk_falls_through(
    milliseconds: str, seconds: str | None, expected: float | None
) -> None:
    """``retry-after-ms`` is the finer one."""
    headers = {"retry-after-ms": milliseconds} | ({"retry-after": seconds} if seconds else {})
    assert expected == retry_after_s(headers, NOW)


def test_a_wait_is_told_in_the_advice_and_kept_as_a_number() -> None:
    """People read the one, the retry reads the other."""
    fault = _fault(429, headers={"retry-after": "12"})
    assert 12.0 == fault.retry_after_s
    assert "Wait 12 s" in fault.advice
    assert _fault(429).retry_after_s is None


def test_a_wait_of_less_than_a_second_is_not_told_as_none() -> None:
    """``Wait 0 s`` is no advice."""
    assert "Wait 0 s" not in _fault(429, headers={"retry-after-ms": "300"}).advice


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404])
def test_waiting_is_no_advice_where_it_does_not_help(code: int) -> None:
    """A missing balance does not come back in 30 seconds."""
    assert _fault(code).advice == _fault(code, headers={"retry-after": "30"}).advice


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (3, 3.0),
        (2.5, 2.5),
        (Decimal("2.5"), 2.5),
        (0, 0.0),
        (-1, None),
        (True, None),
        ("3", None),
        (10**400, None),
        ([], None),
    ],
)
def test_the_availability_hint_is_used_where_no_header_is(hint: object, expected: float | None) -> None:
    """It is a number of seconds in the body, Decimal inside a stream."""
    error = {"message": "no capacity", "availability": {"code": "capacity_exhausted", "retry_after": hint}}
    assert expected == fault_of_error(error).retry_after_s


def test_a_header_wins_over_the_availability_hint() -> None:
    """It is the later and nearer word."""
    error = {"code": 503, "message": "x", "availability": {"retry_after": 99}}
    assert 5.0 == _fault(503, error, {"retry-after": "5"}).retry_after_s
