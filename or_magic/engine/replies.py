"""A session's replies in memory, newest last, within a number and a size. No I/O."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import overload

from .. import neutral
from ..charges import charges, cost, served
from ..content import Audio
from ..values import Reply

MOST = 500
MOST_BYTES = 128 * 2**20  # an answer may hold pictures
_DRAWN = 20
_WIDTH = 80


class Replies(Sequence[Reply]):
    """The latest replies of a session, whole and partial, of cells and of Python: ``replies[-1]`` is the last one.

    The oldest go first, where there are more than 500 or they take more than 128 MiB; the last one always stays.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.RLock()  # the collector may book a forgotten stream while this thread adds another
        self._kept: deque[tuple[Reply, int]] = deque()
        self._bytes = 0
        self._gone = 0

    def add(self, reply: Reply) -> None:
        """Keep a reply, and let go of the oldest ones that it leaves no room for."""
        size_bytes = size_of(reply.parts)
        with self._lock:
            self._kept.append((reply, size_bytes))
            self._bytes += size_bytes
            while len(self._kept) > 1 and (len(self._kept) > self._most or self._bytes > self._most_bytes):
                self._bytes -= self._kept.popleft()[1]
                self._gone += 1

    def clear(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._kept.clear()
            self._bytes = self._gone = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._now())

    @overload
    def __getitem__(self, place: int) -> Reply: ...
    @overload
    def __getitem__(self, place: slice) -> list[Reply]: ...
    def __getitem__(self, place: int | slice) -> Reply | list[Reply]:
        kept = self._now()
        if not isinstance(place, slice) and not hasattr(place, "__index__"):
            raise TypeError(f"replies[{place!r:.60}]: a place is a whole number, as in replies[-1], or a slice of them")
        if isinstance(place, int) and not -len(kept) <= place < len(kept):
            raise IndexError(f"there are {len(kept)} replies in this session" if kept else "no reply is here yet")
        return kept[place]

    def __repr__(self) -> str:
        rows = [(str(place), *told) for place, told in self._rows()]
        if not rows:
            return "No reply is here yet."
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{n:>{widths[0]}}  {m:<{widths[1]}}  {c:<{widths[2]}}  {w}" for n, m, c, w in rows]
        return "\n".join([*lines, self._below()])

    def _repr_html_(self) -> str:
        rows = [(str(place), *map(neutral.cell, told)) for place, told in self._rows()]
        return neutral.table(("", "model", "cost", "answer"), rows, self._below()) if rows else "No reply is here yet."

    def _now(self) -> list[Reply]:
        with self._lock:
            return [reply for reply, _ in self._kept]

    def _rows(self) -> list[tuple[int, tuple[str, str, str]]]:
        kept = self._now()
        first = max(0, len(kept) - _DRAWN)
        return [(place, (served(r), cost(r), first_words(r))) for place, r in enumerate(kept[first:], first)]

    def _below(self) -> str:
        kept = self._now()
        told = [f"{len(kept)} replies"] if len(kept) != 1 else ["1 reply"]
        told += [f"the last {_DRAWN} are shown"] if len(kept) > _DRAWN else []
        told += [f"{self._gone:,} older ones were let go of"] if self._gone else []
        return " · ".join([*told, charges(kept)])


def first_words(reply: Reply, width: int = _WIDTH) -> str:
    """Return the beginning of the answer on one line, what is not text in words, and how it ended unless well."""
    text = neutral.line(reply.text[: 4 * width])
    told = [text if len(text) <= width else f"{text[: width - 1]}…"] if text else []
    pictures = len(reply.images)
    told += [f"[{pictures} pictures]" if pictures > 1 else "[a picture]"] if pictures else []
    told += ["[sound]"] if any(isinstance(part, Audio) for part in reply.parts) else []
    told += [f"[{reply.status}]"] if reply.status != "ok" else []
    return " ".join(told) or "[no text]"


def size_of(value: object) -> int:
    """Return about how many bytes a part, or what it is made of, takes in memory."""
    if isinstance(value, (str, bytes)):
        return sys.getsizeof(value)
    if isinstance(value, Mapping):
        return sum(size_of(name) + size_of(inner) for name, inner in value.items())
    if isinstance(value, (tuple, list)):
        return sum(map(size_of, value))
    if is_dataclass(value):
        return sum(size_of(getattr(value, field.name)) for field in fields(value))
    return 0
