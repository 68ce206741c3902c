"""Which cell runs: what the turns of a conversation are known by. No I/O, and light: every cell passes here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..conversation import Key


class Execution:
    """One run of a cell, by the front end's request for it: it counts the turns that it begins in each conversation."""

    def __init__(self, cell_id: str, request_id: str) -> None:
        self.cell_id = cell_id
        self.request_id = request_id
        self.begun: dict[str, int] = {}


# It reaches what the cell awaits and starts, but no thread: those may outlive their cell.
execution: ContextVar[Execution | None] = ContextVar("or_magic_execution", default=None)


def begin(cell_id: str | None, request_id: str) -> None:
    """Note that a cell begins to run; what it runs inside of itself, by the same request, is a part of it.

    Without an id, as in a terminal, each run is a cell of its own: its turns come after all others.
    """
    running = execution.get()
    if running is None or running.request_id != request_id or cell_id not in (None, running.cell_id):
        execution.set(Execution(cell_id or uuid.uuid4().hex, request_id))


def begun(chat: str | None) -> Key | None:
    """Return what the turn is known by that this run began last in a conversation."""
    running = execution.get()
    if running is None or chat is None or chat not in running.begun:
        return None
    return Key(running.cell_id, running.begun[chat])


@contextmanager
def repeating(turn: Key | None, chat: str | None) -> Iterator[None]:
    """Let the turn that is begun inside stand in the place of ``turn``, as if its cell ran again."""
    if turn is None or chat is None:
        yield
        return
    there = Execution(turn.cell, "")
    there.begun[chat] = turn.number - 1
    before = execution.set(there)
    try:
        yield
    finally:
        execution.reset(before)
