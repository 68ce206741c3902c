"""The pseudo-models ``offline/NAME[:ARG]``: one table of everything that can go wrong, and how to find a row. Pure."""

from __future__ import annotations

from or_magic.offline.faults.fault import Fault
from or_magic.offline.faults.table import TABLE

_BY_NAME = {fault.name: fault for fault in TABLE}
_PREFIX = "offline/"


def find(model: str) -> tuple[Fault | None, str]:
    """Return the fault that a model id names, and its ARG."""
    if not model.startswith(_PREFIX):
        return None, ""
    name, _, arg = model[len(_PREFIX) :].partition(":")
    return _BY_NAME.get(name), arg


def rows() -> list[tuple[str, str, str]]:
    """Return (model id, sentence, what is billed) of every fault, in the order of the table."""
    return [(fault.id, fault.says, fault.bills) for fault in TABLE]


def markdown() -> str:
    """Return the table of faults as Markdown."""
    lines = [f"| `{model}` | {says} | {bills} |" for model, says, bills in rows()]
    return "\n".join(["| model | what it does | billed |", "| --- | --- | --- |", *lines]) + "\n"


__all__ = ["TABLE", "Fault", "find", "markdown", "rows"]
