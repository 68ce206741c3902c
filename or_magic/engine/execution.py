"""Which cell runs: what the turns of a conversation are known by. No I/O, and light: every cell passes here."""

from __future__ import annotations

from contextvars import ContextVar


class Execution:
    """One run of a cell, by the front end's request for it: it counts the turns that it begins in each conversation."""

    def __init__(self, cell_id: str, request_id: str) -> None:
        self.cell_id = cell_id
        self.request_id = request_id
        self.begun: dict[str, int] = {}


# It reaches what the cell awaits and starts, but no thread: those may outlive their cell.
execution: ContextVar[Execution | None] = ContextVar("or_magic_execution", default=None)


def begin(cell_id: str | None, request_id: str) -> None:
    """Note that a cell begins to run; what it runs inside of itself, by the same request, is a part of it."""
    running = execution.get()
    if running is None or running.request_id != request_id or running.cell_id != cell_id:
        execution.set(Execution(cell_id, request_id) if cell_id else None)
