"""What ran in this session: which cell a number of ``In`` was, how it ended, and the last one that failed."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, NamedTuple

_KEPT = 1_000
_COMMAND = re.compile(r"\s*(?:[\w.]+\s*=\s*)?%(?:openrouter|or)(?=\s|$)")


class Run(NamedTuple):
    """One execution: the id of its cell, where the front end tells one, and the name of what it raised."""

    cell_id: str | None
    raised: str | None


class Failed(NamedTuple):
    """What a cell raised, and its code."""

    error: BaseException
    code: str


class Runs:
    """The latest executions by their number, and the last failure that may be asked about."""

    def __init__(self) -> None:
        self.failed: Failed | None = None
        self._known: OrderedDict[int, Run] = OrderedDict()

    def get(self, number: int) -> Run:
        """Return what is known of an execution."""
        return self._known.get(number, Run(None, None))

    def note(self, result: Any) -> None:
        """Note how a cell ended; what is run silently is nobody's cell."""
        info = getattr(result, "info", None)
        if info is None or not info.store_history or result.execution_count is None:
            return
        error = result.error_in_exec or result.error_before_exec
        cell_id = getattr(info, "cell_id", None)
        self._known[result.execution_count] = Run(cell_id, None if error is None else type(error).__name__)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        # A command that failed says so itself, and what it was to be about still is.
        if isinstance(error, Exception) and not _COMMAND.match(info.raw_cell):
            self.failed = Failed(error, info.raw_cell)
