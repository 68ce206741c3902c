"""Tool calls: a function the model wants run, told in fragments. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call, or a fragment of one; ``index`` tells parallel calls apart.

    ``arguments`` is JSON text as the model wrote it; nothing is repaired.
    """

    kind: ClassVar[str] = "tool_call"

    index: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""

    def parsed(self) -> dict[str, Any]:
        """Return the arguments as a dict; an empty text is a call without arguments (WIRE.md §5.4).

        Raises:
            ValueError: the text is not one JSON object; such a call must not be run.
        """
        value = json.loads(self.arguments) if self.arguments.strip() else {}
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004 - it is the model's text that is wrong, not a type of ours
                f"the arguments of {self.name!r} are not a JSON object: {self.arguments[:80]!r}"
            )
        return value

    def to_json(self) -> dict[str, Any]:
        """Return the item of an assistant message's ``tool_calls``."""
        told = {"name": self.name or "", "arguments": self.arguments or "{}"}
        return {"id": self.id or f"call_{self.index}", "type": "function", "function": told}


def read(value: object) -> Iterator[ToolCall]:
    """Yield the fragments of a ``tool_calls`` list."""
    for position, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield _fragment(item, position)


def join(fragments: Sequence[ToolCall]) -> ToolCall:
    """Return one call: the first id and name, the arguments in order."""
    return ToolCall(
        index=fragments[0].index,
        id=next((f.id for f in fragments if f.id), None),
        name=next((f.name for f in fragments if f.name), None),
        arguments="".join([f.arguments for f in fragments]),
    )


def _fragment(item: Mapping[str, Any], position: int) -> ToolCall:
    told = item.get("function")
    told = told if isinstance(told, Mapping) else {}
    index, name, written = item.get("index"), told.get("name"), told.get("arguments")
    if isinstance(written, (dict, list)):  # some servers send the object itself
        written = json.dumps(written, ensure_ascii=False, default=str)
    return ToolCall(
        index=index if isinstance(index, int) else position,
        id=item["id"] if isinstance(item.get("id"), str) else None,
        name=name if isinstance(name, str) else None,
        arguments=written if isinstance(written, str) else "",
    )
