"""Tool results: what a function returned, on its way back to the model. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The text a call gave; ``call_id`` is the id of its ToolCall."""

    kind: ClassVar[str] = "tool_result"

    call_id: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the whole ``tool`` message: results are messages of their own on the wire."""
        return {"role": "tool", "tool_call_id": self.call_id, "content": self.text}
