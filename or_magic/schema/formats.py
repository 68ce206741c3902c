"""The formats of texts that an answer is held to: those that gateways enforce. All others are words to the model. Pure.

Moments may come without an offset, as Python's own do; the zone is then the user's to know. Durations may be
negative, of parts of a second, and of hours and seconds alone, as pydantic writes them.
"""

from __future__ import annotations

import re
from datetime import datetime, time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema import FormatChecker

_TIME = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DURATION = re.compile(
    r"-?P(?:\d+W|(?=\d|T\d)(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)", re.ASCII
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


@cache
def formats() -> FormatChecker:
    """Return what checks them."""
    from jsonschema import FormatChecker

    checker = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))
    checker.checks("date-time", raises=ValueError)(_is_moment)
    checker.checks("time", raises=ValueError)(_is_time)
    for name, pattern in (("duration", _DURATION), ("hostname", _HOSTNAME)):
        checker.checks(name)(lambda value, pattern=pattern: _matches(value, pattern))
    return checker


def _matches(value: object, pattern: re.Pattern[str]) -> bool:
    return not isinstance(value, str) or pattern.fullmatch(value) is not None


def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or ("T" in value.upper() and bool(datetime.fromisoformat(value)))


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if found := _matches(value, _TIME):
        time.fromisoformat(value.upper())  # raises where there is no such hour
    return found
