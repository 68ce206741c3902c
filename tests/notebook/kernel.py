"""A real kernel, driven by its own protocol, as a front end drives it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from jupyter_client.manager import start_new_kernel

from ..guards import HANG_S


@dataclass
class Run:
    """What one cell did: its messages in order, as a front end would apply them."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    status: str = ""
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return "".join([m["content"]["text"] for m in self.messages if m["msg_type"] == "stream"])

    @property
    def displays(self) -> list[dict[str, Any]]:
        """The displays and the cell's value that are left when the cell is done, updates applied."""
        left: list[dict[str, Any]] = []
        for message in self.messages:
            content = message["content"]
            if message["msg_type"] == "clear_output":
                left.clear()
            elif message["msg_type"] in ("display_data", "execute_result"):
                left.append(content)
            elif message["msg_type"] == "update_display_data":
                name = content["transient"]["display_id"]
                left = [content if shown.get("transient", {}).get("display_id") == name else shown for shown in left]
        return left

    @property
    def drawn(self) -> str:
        """All that was ever displayed as Markdown, in order."""
        kinds = ("display_data", "update_display_data")
        shown = [m["content"]["data"].get("text/markdown", "") for m in self.messages if m["msg_type"] in kinds]
        return "\n".join(shown)

    @property
    def error(self) -> list[str]:
        """The lines of the traceback that was shown."""
        return next((m["content"]["traceback"] for m in self.messages if m["msg_type"] == "error"), [])


class Kernel:
    """A running kernel; leave it by ``close``."""

    def __init__(self) -> None:
        # The kernel chooses its own way to draw, as it does for a person.
        environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        self.manager, self.client = start_new_kernel(kernel_name="python3", startup_timeout=HANG_S, env=environment)

    def run(
        self,
        code: str,
        *,
        watched: bool = True,
        limit_s: float = HANG_S,
        interrupt_after: str | None = None,
        cell: str | None = None,
    ) -> Run:
        """Run a cell; ``watched``: a person may be looking. ``interrupt_after``: once this text has been printed.

        ``cell`` is the cell's id, which Lab and Notebook tell, and programs that run notebooks do not.
        """
        run = Run()
        sent = self._send(code, watched=watched, cell=cell)
        end = time.monotonic() + limit_s
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
            if message["parent_header"].get("msg_id") != sent:
                continue
            run.messages.append(message)
            if interrupt_after is not None and interrupt_after in run.text + run.drawn:
                self.manager.interrupt_kernel()
                interrupt_after = None
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while run.reply.get("parent_header", {}).get("msg_id") != sent:
            run.reply = self.client.get_shell_msg(timeout=max(0.1, end - time.monotonic()))
        run.status = run.reply["content"]["status"]
        return run

    def _send(self, code: str, *, watched: bool, cell: str | None) -> str:
        content = {
            "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": watched,
            "stop_on_error": True,
        }  # fmt: skip
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell} if cell else None)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def value(self, expression: str) -> str:
        """Return the repr of an expression."""
        done = self.run(f"print(repr({expression}))")
        assert done.status == "ok", done.error
        return done.text.strip()

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
