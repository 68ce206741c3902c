"""What came and when: counts, first times and sliding windows, by name. Pure but for a lock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True)
class Entry:
    """What a window says to a request: whether it may pass, what is left then, and how long to wait if it may not.

    ``wait_s`` is None where no wait would help, because the window never holds that much.
    """

    passes: bool
    left: int
    wait_s: float | None = 0.0


class Traffic:
    """What a running simulator remembers of the requests that came; it keeps no key and no text."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, float] = {}
        self._windows: dict[str, deque[tuple[float, int]]] = {}

    def nth(self, name: str) -> int:
        """Count one more under this name, and return how many there were."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]

    def since_first_s(self, name: str, now_s: float) -> float:
        """Return the seconds since this was first asked under this name."""
        with self._lock:
            return now_s - self._firsts.setdefault(name, now_s)

    def enter(self, name: str, weight: int, *, limit: int, window_s: float, now_s: float) -> Entry:
        """Let a request of this weight pass if no window of that length would hold more than the limit.

        Who does not pass is not counted.
        """
        with self._lock:
            passed = self._windows.setdefault(name, deque())
            while passed and passed[0][0] <= now_s - window_s:
                passed.popleft()
            left = limit - sum(size for _, size in passed)
            if weight > left:
                return Entry(passes=False, left=left, wait_s=_wait_s(passed, weight - left, window_s - now_s))
            passed.append((now_s, weight))
            return Entry(passes=True, left=left - weight)


def _wait_s(passed: deque[tuple[float, int]], needed: int, until_s: float) -> float | None:
    for came_s, size in passed:
        needed -= size
        if needed <= 0:
            return max(0.0, came_s + until_s)
    return None
