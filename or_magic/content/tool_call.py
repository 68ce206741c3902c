"""Tool calls: a function the model wants run, told in fragments. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call, or a fragment of one; ``index`` tells parallel calls apart.

    ``arguments`` is JSON text as the model wrote it; nothing is repaired.
    """

    kind: ClassVar[str] = "tool_call"

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""

    def parsed(self) -> dict[str, Any]:
        """Return the arguments as a dict; an empty text is a call without arguments (WIRE.md §5.4).

        Raises:
            ValueError: the text is not one JSON object; such a call must not be run.
        """
        written = self.arguments.strip(" \t\r\n")
        try:
            value = json.loads(written, parse_constant=_refuse) if written else {}
        except RecursionError:
            value = None
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004 - it is the model's text that is wrong, not a type of ours
                f"the arguments of {self.name!r} are not a JSON object: {self.arguments[:80]!r}"
            )
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the item of an assistant message's ``tool_calls``."""
        told = {"name": self.name or "", "arguments": self.arguments or "{}"}
        return {"id": self.id or f"call_{self.index or 0}", "type": "function", "function": told}


def read(value: object) -> Iterator[ToolCall]:
    """Yield the fragments of a ``tool_calls`` list; several without an index are told apart by their places."""
    items = [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
    for place, item in enumerate(items):
        yield _fragment(item, place if len(items) > 1 else None)


def slots() -> Callable[[ToolCall], Hashable]:
    """Return a function that says, fragment by fragment, to which call each belongs.

    An id that was told before goes on with its call. A new id with a name begins a call, even under the index of
    another one; a new id without a name is one of those that some servers make anew for each fragment. Without
    index and id, the last call goes on.
    """
    by_id: dict[str, int] = {}
    with_id: set[int] = set()
    latest: dict[int | None, int] = {}
    calls = 0

    def slot(part: ToolCall) -> int:
        nonlocal calls
        call = by_id.get(part.id or "")
        if call is None:
            call = latest.get(part.index)
            if call is None or (part.id and part.name and call in with_id):
                call, calls = calls, calls + 1
        if part.id and (part.name or call not in with_id):
            by_id[part.id] = call
            with_id.add(call)
        latest[part.index] = call
        return call

    return slot


def join(fragments: Sequence[ToolCall]) -> ToolCall:
    """Return one call: the first id and name, the arguments in order."""
    return ToolCall(
        index=fragments[0].index,
        id=next((f.id for f in fragments if f.id), None),
        name=next((f.name for f in fragments if f.name), None),
        arguments="".join([f.arguments for f in fragments]),
    )


def _fragment(item: Mapping[str, Any], place: int | None) -> ToolCall:
    told = item.get("function")
    told = told if isinstance(told, Mapping) else {}
    index, name, written = item.get("index"), told.get("name"), told.get("arguments")
    if written is not None and not isinstance(written, str):  # some servers send the object itself
        written = json.dumps(written, ensure_ascii=False, default=float)
    return ToolCall(
        index=index if isinstance(index, int) else place,
        id=item["id"] if isinstance(item.get("id"), str) else None,
        name=name if isinstance(name, str) else None,
        arguments=written or "",
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
