"""Faults that come and go: by count, by turns, by the simulator's clock. Pure."""

from __future__ import annotations

from collections.abc import Callable

from or_magic.offline.faults.errors import none_available
from or_magic.offline.faults.fault import Tried, number, seconds
from or_magic.offline.steps import DROPPED, Plain

Refuse = Callable[[Tried], "Plain | None"]


def _bare(tried: Tried) -> Plain:
    return none_available(tried, told=False)


def flaky(tried: Tried) -> Plain | None:
    """Refuse the first ARG requests with this very body."""
    return none_available(tried) if tried.nth() <= number(tried.arg, 1) else None


def dropping(tried: Tried) -> Plain | None:
    """Drop the connection of the first ARG requests with this very body."""
    return DROPPED if tried.nth() <= number(tried.arg, 1) else None


def _count(tried: Tried) -> int:
    return tried.traffic.nth(f"{tried.model.id} requests")


def _size(tried: Tried, default: int) -> int:
    return int(max(1, min(number(tried.arg, default), 10**9)))


def first_fail(tried: Tried) -> Plain | None:
    """Refuse the first ARG requests, whatever they say."""
    return _bare(tried) if _count(tried) <= number(tried.arg, 3) else None


def every_nth(tried: Tried) -> Plain | None:
    """Refuse every ARGth request."""
    return _bare(tried) if _count(tried) % _size(tried, 3) == 0 else None


def by_turns(tried: Tried) -> Plain | None:
    """Answer ARG requests, refuse as many, and so on."""
    return _bare(tried) if (_count(tried) - 1) // _size(tried, 5) % 2 else None


def _elapsed_s(tried: Tried) -> float:
    return tried.traffic.since_first_s(f"{tried.model.id} requests", tried.now_s)


def down(tried: Tried) -> Plain | None:
    """Refuse everything for ARG seconds from the first request on."""
    lasts_s = seconds(tried.arg, 1.0)
    return _bare(tried) if lasts_s is None or _elapsed_s(tried) < lasts_s else None


def tides(tried: Tried) -> Plain | None:
    """Answer for ARG seconds from the first request on, refuse for as long, and so on."""
    lasts_s = seconds(tried.arg, 1.0)
    return _bare(tried) if lasts_s and _elapsed_s(tried) // lasts_s % 2 else None
