"""A kernel as a front end meets it: whole messages from the wire, when they came, and what they leave in the cell."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

_DELIMITER = b"<IDS|MSG>"
_DISPLAYS = ("display_data", "update_display_data", "stream", "execute_result")


class Message(NamedTuple):
    """One message as it came: ``size_bytes`` is that of all its frames, ``at`` is ``time.monotonic``."""

    at: float
    size_bytes: int
    kind: str
    parent: str
    content: dict[str, Any]

    @property
    def shown(self) -> str:
        """The text that it shows, if any."""
        data = self.content.get("data") or {}
        return self.content.get("text") or data.get("text/markdown") or data.get("text/plain") or ""


def received(frames: Sequence[bytes]) -> Message:
    """Read a message that has just come."""
    at = time.monotonic()
    _, header, parent, _, content = frames[frames.index(_DELIMITER) + 1 :][:5]
    kind, before = json.loads(header)["msg_type"], json.loads(parent).get("msg_id", "")
    return Message(at, sum(map(len, frames)), kind, before, json.loads(content))


@dataclass
class Run:
    """What one cell did: its messages in order."""

    sent_at: float
    messages: list[Message] = field(default_factory=list)
    pressed_at: float = math.nan  # when it was interrupted
    replied_at: float = math.nan
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """All that went over IOPub for this cell."""
        return sum(message.size_bytes for message in self.messages)

    @property
    def drawings(self) -> list[Message]:
        """The messages that change what is on the screen."""
        return [message for message in self.messages if message.kind in _DISPLAYS]

    def first_shown(self, word: str) -> float:
        """Return when a word was on the screen; nan where it never was."""
        return next((message.at for message in self.drawings if word in message.shown), math.nan)


class _Area:
    """The outputs of a cell, as messages change them."""

    def __init__(self) -> None:
        self.left: list[dict[str, Any]] = []
        self._names: list[str | None] = []
        self._clear = False

    def take(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "update_display_data":
            self._update(content)
        elif kind == "clear_output":
            self._clear = True
            if not content["wait"]:
                self._begin()
        elif kind in (*_DISPLAYS, "error"):
            self._begin()
            self._append(kind, content)

    def _begin(self) -> None:
        if self._clear:
            self.left, self._names, self._clear = [], [], False

    def _update(self, content: Mapping[str, Any]) -> None:
        for output, name in zip(self.left, self._names, strict=True):
            if name == content["transient"]["display_id"]:
                output |= {"data": content["data"], "metadata": content["metadata"]}

    def _append(self, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "stream" and self.left and self.left[-1].get("name") == content["name"]:
            self.left[-1]["text"] += content["text"]  # as JupyterLab does
            return
        self.left.append({key: value for key, value in content.items() if key != "transient"} | {"output_type": kind})
        self._names.append(content.get("transient", {}).get("display_id"))


def outputs(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the outputs that a notebook saved after these messages holds."""
    area = _Area()
    for message in messages:
        area.take(message.kind, message.content)
    return area.left


def saved_bytes(left: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the size of outputs as JSON, and what they add to a file as Jupyter writes it, a line of text each."""
    cell = nbformat.v4.new_code_cell("", id="cell", outputs=[nbformat.from_dict(dict(output)) for output in left])
    empty = nbformat.v4.new_code_cell("", id="cell")
    full, bare = (nbformat.writes(nbformat.v4.new_notebook(cells=[each])) for each in (cell, empty))
    return len(json.dumps(cell["outputs"]).encode()), len(full.encode()) - len(bare.encode())


class FrontEnd:
    """Runs cells in a kernel and takes down all that comes of them."""

    def __init__(self, client: BlockingKernelClient, iopub: zmq.Socket[bytes]) -> None:
        self._client = client
        self._iopub = iopub
        self._pid = int(self.value("__import__('os').getpid()"))

    def run(
        self, code: str, *, watched: bool = True, press_after_s: float | None = None, limit_s: float = 600.0
    ) -> Run:
        """Run a cell to its end; ``watched``: a person may be looking; ``press_after_s``: interrupt it then.

        Raises:
            RuntimeError: the cell failed (unless it was interrupted), or did not end; the message says of what.
        """
        run = Run(time.monotonic())
        sent = self._client.execute(code, allow_stdin=watched, store_history=False)
        press_at = math.inf if press_after_s is None else run.sent_at + press_after_s
        shell = self._client.shell_channel.socket
        poller = zmq.Poller()
        poller.register(self._iopub, zmq.POLLIN)
        poller.register(shell, zmq.POLLIN)
        idle = False
        while not (idle and run.reply):
            now = time.monotonic()
            if now > run.sent_at + limit_s:
                raise RuntimeError(f"no end within {limit_s:g} s")
            if now >= press_at:
                press_at, run.pressed_at = math.inf, time.monotonic()
                os.kill(self._pid, signal.SIGINT)
            ready = dict(poller.poll(math.ceil(1000 * min(0.5, max(0.0, press_at - now)))))
            if shell in ready:
                reply = received(shell.recv_multipart())
                if reply.parent == sent:
                    run.replied_at, run.reply = reply.at, reply.content
            if self._iopub in ready:
                message = received(self._iopub.recv_multipart())
                if message.parent == sent:
                    run.messages.append(message)
                    idle = idle or message.content.get("execution_state") == "idle"
        if run.reply["status"] != "ok" and press_after_s is None:
            raise RuntimeError(f"{run.reply.get('ename')}: {str(run.reply.get('evalue'))[:300]}")
        return run

    def value(self, expression: str) -> Any:
        """Return the value of an expression that JSON can carry."""
        run = self.run(f"import json; print(json.dumps({expression}))")
        return json.loads("".join([message.shown for message in run.drawings]))

    def cpu_s(self) -> float:
        """Return the CPU time of the kernel's process, all its threads."""
        return float(self.value("__import__('time').process_time()"))


@contextlib.contextmanager
def kernel(python: Path, env: Mapping[str, str]) -> Iterator[FrontEnd]:
    """Run a kernel of this interpreter while the body runs."""
    name = "measured"
    specs = Path(tempfile.mkdtemp(dir=env["HOME"]))  # one each: several kernels may start at once
    (specs / name).mkdir()
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (specs / name / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))
    manager = KernelManager(kernel_name=name, kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]))
    manager.start_kernel(env=dict(env), cwd=env["HOME"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client: BlockingKernelClient = manager.blocking_client()
    client.start_channels()
    iopub: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    # Nothing is dropped here; of a flood the kernel's own socket may drop some, which then count for less.
    iopub.setsockopt(zmq.RCVHWM, 0)
    iopub.setsockopt(zmq.SUBSCRIBE, b"")
    iopub.connect(f"tcp://{manager.ip}:{manager.iopub_port}")
    try:
        client.wait_for_ready(timeout=60)
        client.iopub_channel.stop()  # a second reader would make the kernel send everything twice
        yield FrontEnd(client, iopub)
    finally:
        iopub.close(linger=0)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
