"""The books around one attempt: what every end of it costs, and that no interrupt leaves a row behind unsettled."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from or_magic.budget import Limit, Standing, Terms, admit
from or_magic.content import Text
from or_magic.errors import CallTimeoutError, ConnectionFailedError, ProtocolError, ProviderError, RefusedError
from or_magic.events import Closed, Event, Metered, Opened, Piece
from or_magic.middleware.account import Desk, account
from or_magic.values import Origin, Request, Row, Usage

COST = Usage(cost_usd=Decimal("0.5"), prompt_tokens=3)
FREE = Usage(cost_usd=Decimal(0))
TOKENS = Usage(prompt_tokens=3)
BODY = {"message": "no"}
REFUSED = RefusedError("no", status_code=400, body=BODY)
FAILED = ProviderError("no", status_code=502, body=BODY)
PAGE = ProviderError("a page of HTML", status_code=520)


@dataclass
class Books:
    """What was written, in order; ``interrupts`` names the verbs during which the user presses stop, once each."""

    interrupts: list[str] = field(default_factory=list)
    written: list[tuple[str, Row]] = field(default_factory=list)

    def _write(self, verb: str, row: Row) -> None:
        self.written.append((verb, row))
        if verb in self.interrupts:
            self.interrupts.remove(verb)
            raise KeyboardInterrupt

    def open(self, row: Row, terms: Terms) -> Row:
        opened = admit(row, terms, ())
        self._write("open", opened)
        return opened

    def note_generation(self, row: Row, generation_id: str) -> None:
        self._write("note", replace(row, generation_id=generation_id))

    def settle(self, row: Row, limits: Sequence[Limit]) -> Sequence[Standing]:
        self._write("settle", row)
        return ()

    def discard(self, row: Row) -> None:
        self._write("discard", row)

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.written]

    @property
    def last(self) -> Row:
        return self.written[-1][1]


class Clock:
    """A wall clock that jumps back an hour at each look, and a steady one."""

    def __init__(self) -> None:
        self.steady, self.wall = 0.0, 1_795_000_000.0

    def perf(self) -> float:
        self.steady += 1.0
        return self.steady

    def now(self) -> datetime:
        self.wall -= 3600
        return datetime.fromtimestamp(self.wall, UTC)


def calls(books: Books, *events: Event | BaseException, bound: str | None = None) -> Generator[Event, None, None]:
    """Return a booked attempt that consists of these events, or breaks off with an exception."""

    def send(_: Request) -> Generator[Event, None, None]:
        for event in events:
            if isinstance(event, BaseException):
                raise event
            yield event

    clock = Clock()
    desk = Desk(
        "session", "openrouter", lambda request, _: (request, None if bound is None else Decimal(bound)), lambda _: None,
        clock=clock.perf, now=clock.now,
    )  # fmt: skip
    return account(send, books, desk)(Request("a/model", (), origin=Origin(call_id="c", tag="t")))


def closed(status: str, error: object = None, finish: str | None = None, **more: object) -> Closed:
    return Closed(status, error, finish, **more)  # type: ignore[arg-type]


ENDS: list[tuple[str, list[Event], str | None, tuple[str, str | None]]] = [
    ("told", [Metered(COST), closed("ok", finish="stop")], None, ("billed", "0.5")),
    ("free", [Metered(FREE), closed("ok", finish="stop")], "9", ("billed", "0")),
    ("told with an error", [Metered(COST), closed("error", FAILED)], None, ("billed", "0.5")),
    ("told after a filter", [Metered(COST), closed("ok", finish="content_filter")], None, ("billed", "0.5")),
    ("complete, not told", [Metered(TOKENS), closed("ok", finish="stop")], "9", ("unknown", None)),
    ("complete, nothing told", [closed("ok", finish="stop")], "9", ("unknown", None)),
    ("a figure on its way", [Metered(COST), closed("interrupted")], "9", ("estimated", "9")),
    ("a figure on its way, no bound", [Metered(COST), closed("partial")], None, ("unknown", None)),
    ("refused", [closed("refused", REFUSED)], "9", ("none", "0")),
    ("failed before it ran", [closed("error", FAILED)], "9", ("none", "0")),
    ("failed, but it has an id", [closed("error", FAILED, generation_id="gen-1")], "9", ("estimated", "9")),
    ("a page from the edge", [closed("error", PAGE)], "9", ("estimated", "9")),
    ("not the protocol", [closed("error", ProtocolError("?"))], None, ("unknown", None)),
    ("timed out", [closed("unknown", CallTimeoutError("late"))], "9", ("estimated", "9")),
    ("broken", [Opened("gen-1"), closed("partial", ConnectionFailedError("cut"))], None, ("unknown", None)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "events", "bound", "expected"), ENDS, ids=[end[0] for end in ENDS])
def test_each_end_has_its_cost(
    name: str, events: list[Event], bound: str | None, expected: tuple[str, str | None]
) -> None:
    """DESIGN §2: unknown is never 0, and what ran nowhere costs nothing."""
    books = Books()
    list(calls(books, *events, bound=bound))
    cost = None if expected[1] is None else Decimal(expected[1])
    assert (expected[0], cost) == (books.last.cost_source, books.last.cost_usd)
    assert "settle" == books.verbs[-1]
    assert 1 == books.verbs.count("settle")


def test_the_row_is_there_before_the_request_and_the_id_before_the_piece() -> None:
    """What happens next may be a power cut."""
    books = Books()
    stream = calls(books, Opened("gen-1"), Piece(Text("a")), closed("ok", finish="stop"))
    next(stream)
    assert ["open", "note"] == books.verbs
    assert ("open", "gen-1") == (books.last.status, books.last.generation_id)
    list(stream)
    assert ["open", "note", "settle"] == books.verbs


def test_what_was_not_sent_has_no_row() -> None:
    """It cannot have cost anything."""
    books = Books()
    list(calls(books, closed("error", ConnectionFailedError("dead"), sent=False), bound="9"))
    assert ["open", "discard"] == books.verbs


@pytest.mark.parametrize("events", [[], [Opened("gen-1")], [Opened("gen-1"), Piece(Text("a"))]])
def test_a_reader_that_leaves_is_an_interrupted_call(events: list[Event]) -> None:
    """At whichever event."""
    books = Books()
    stream = calls(books, *events, Piece(Text("z")), closed("ok", finish="stop"), bound="9")
    for _ in range(len(events) + 1):
        next(stream)
    stream.close()
    assert ("interrupted", "estimated", Decimal(9)) == (
        books.last.status, books.last.cost_source, books.last.cost_usd,
    )  # fmt: skip
    assert ("gen-1" if events else None) == books.last.generation_id


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("ours"), SystemExit()])
def test_whatever_breaks_off_inside_is_booked(error: BaseException) -> None:
    """An interrupt can come anywhere."""
    books = Books()
    with pytest.raises(type(error)):
        list(calls(books, Opened("gen-1"), error))
    assert ("interrupted", "gen-1") == (books.last.status, books.last.generation_id)


@pytest.mark.parametrize("verb", ["open", "note", "settle"])
def test_an_interrupt_while_the_books_are_written_leaves_no_open_row(verb: str) -> None:
    """The reservation of an open row would hold for the rest of the kernel's life."""
    books = Books([verb])
    with pytest.raises(KeyboardInterrupt):
        list(calls(books, Opened("gen-1"), Piece(Text("a")), Metered(COST), closed("ok", finish="stop")))
    assert books.verbs[-1] == ("discard" if verb == "open" else "settle")
    assert verb == "open" or "open" != books.last.status


def test_an_interrupt_while_an_outcome_is_written_keeps_the_outcome() -> None:
    """It was learnt, so it is written, whatever the user pressed meanwhile."""
    books = Books(["settle"])
    with pytest.raises(KeyboardInterrupt):
        list(calls(books, Metered(COST), closed("ok", finish="stop")))
    assert ("ok", "billed") == (books.last.status, books.last.cost_source)


def test_an_answers_time_begins_when_its_request_leaves() -> None:
    """A kernel's first call imports libraries, and the books may wait for their lock: no model took that long."""
    clock = Clock()

    def load() -> None:
        clock.steady += 100

    @dataclass
    class SlowBooks(Books):
        def open(self, row: Row, terms: Terms) -> Row:
            clock.steady += 1000
            return super().open(row, terms)

    def send(_: Request) -> Generator[Event, None, None]:
        clock.steady += 5
        yield Piece(Text("a"))
        yield closed("ok", finish="stop")

    books = SlowBooks()
    desk = Desk("session", "openrouter", lambda r, _: (r, None), lambda _: None, load=load, clock=clock.perf)
    list(account(send, books, desk)(Request("a/model", ())))
    assert (6.0, 7.0) == (books.last.first_token_s, books.last.latency_s)


def test_what_cannot_be_loaded_has_no_row() -> None:
    """Nothing was sent, so nothing may be held of a budget."""

    def load() -> None:
        raise KeyboardInterrupt

    books = Books()
    desk = Desk("session", "openrouter", lambda r, _: (r, None), lambda _: None, load=load)
    with pytest.raises(KeyboardInterrupt):
        list(account(lambda _: pytest.fail("it was sent"), books, desk)(Request("a/model", ())))
    assert [] == books.verbs


def test_a_clock_that_jumps_changes_no_duration() -> None:
    """NTP, a suspended laptop, summer time: only the date of a row may show it."""
    books = Books()
    list(calls(books, Opened("gen-1"), Piece(Text("a")), Piece(Text("b")), closed("ok", finish="stop")))
    assert (1.0, 2.0) == (books.last.first_token_s, books.last.latency_s)
