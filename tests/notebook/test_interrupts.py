"""R13: an interrupt at any moment of a call closes the connection, keeps the text, books the row and fails the cell."""

from __future__ import annotations

import ast
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.offline import Server, serve

from ..world.kit import until
from .kernel import Kernel, Run

# What a cell may be doing, and after how long at most it is interrupted.
MOMENTS = {
    "offline/long:100000": 0.25,  # text flows
    "offline/stall": 0.3,  # some text, then silence
    "offline/stall-first": 0.2,  # headers, then silence
    "offline/stall-headers": 0.2,  # not a byte
    "offline/comments": 0.2,  # comments for ever
    "offline/plain": 0.03,  # it may be complete by then
}
CLOSED_S = 0.25  # what the server may need to see it (R13: p99 0.1, at most 0.25)
FAILED_S = 0.5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Server]]:
    """A kernel that asks a simulator in this process."""
    home = tmp_path_factory.mktemp("home")
    kernel = Kernel()
    with serve(pace_s=0.001) as server:
        started = kernel.run(
            f"import os, threading; os.environ |= {{'OR_MAGIC_HOME': {str(home)!r}, 'OPENROUTER_BASE_URL': {server.url!r}}}\n"
            "%load_ext or_magic\nimport or_magic as orm"
        )
        assert "ok" == started.status, started.error
        assert "ok" == kernel.run("%%or offline/plain\nwarm").status
        try:
            yield kernel, server
        finally:
            kernel.close()


def press(kernel: Kernel, cell: str, after_s: float) -> tuple[Run, float, float]:
    """Run a cell, interrupt it, and return what it did, when the interrupt was sent and when the cell had failed."""
    sent = kernel.client.execute(cell, allow_stdin=True)
    run, pressed = Run(), 0.0
    due = None
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if due is not None and not pressed and time.monotonic() >= due:
            pressed = time.monotonic()
            kernel.manager.interrupt_kernel()
        wait_s = 0.002 if due is not None and not pressed else 0.05
        if kernel.client.iopub_channel.msg_ready() or kernel.client.iopub_channel.socket.poll(int(wait_s * 1000)):
            message = kernel.client.get_iopub_msg(timeout=1)
            if message["parent_header"].get("msg_id") != sent:
                continue
            run.messages.append(message)
            state = message["content"].get("execution_state")
            if message["msg_type"] == "execute_input":
                due = time.monotonic() + after_s
            if message["msg_type"] == "status" and state == "idle":
                break
    while run.reply.get("parent_header", {}).get("msg_id") != sent:
        run.reply = kernel.client.get_shell_msg(timeout=5)
    run.status = run.reply["content"]["status"]
    return run, pressed, time.monotonic()


def check(kernel: Kernel, server: Server, model: str, after_s: float) -> str:
    """Interrupt one call and return how it ended: not begun, complete, or interrupted."""
    run, pressed, failed = press(kernel, f"%%or {model} -t 0.5\nhello", after_s)
    if not pressed:  # it was quicker than the finger
        assert "ok" == run.status
        return "complete"
    assert server.idle(CLOSED_S), f"{model} after {after_s}: the connection is still open"
    assert failed - pressed < FAILED_S, f"{model} after {after_s}: {failed - pressed:.3f} s"
    if run.status == "ok":  # the interrupt came after the cell's last instruction
        return "complete"
    name = run.reply["content"]["ename"]
    assert name in ("CallInterruptedError", "KeyboardInterrupt"), run.error
    if name == "KeyboardInterrupt":  # before the magic had begun, or after it had ended
        return "not begun"
    assert 1 == len(run.error), run.error
    if "Nothing was sent" in run.error[0]:
        return "not begun"
    if "complete by then" in run.error[0]:
        return "complete"
    return "interrupted"


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.long)])
def test_an_interrupt_at_any_moment(place: tuple[Kernel, Server], rounds: int) -> None:
    """0 of N: no connection left open, no row missing or wrong, no kernel that does not answer."""
    kernel, server = place
    chance = random.Random(13)
    ends = []
    before = int(kernel.value("len(orm.tracker.frame())"))
    received = server.received()
    for number in range(rounds):
        model = list(MOMENTS)[number % len(MOMENTS)]
        ends.append(check(kernel, server, model, chance.uniform(0, MOMENTS[model])))
    assert rounds == len(ends)
    assert ends.count("interrupted") > rounds / 2
    new = f"orm.tracker.frame()[{before}:]"
    rows = kernel.value(f"{new}.status.value_counts().to_dict()")
    assert "'open'" not in rows
    # One that was cut off while it was being sent has a row, although the server never had all of it.
    assert server.received() - received <= int(kernel.value(f"len({new})")) <= rounds
    statuses: dict[str, Any] = ast.literal_eval(rows)
    assert set(statuses) <= {"interrupted", "ok", "unknown"}, statuses
    assert ends.count("interrupted") <= statuses.get("interrupted", 0) + statuses.get("unknown", 0)
    assert "ok" == kernel.run("%%or offline/plain\nthe next cell works").status
    threads = kernel.value("[t.name for t in threading.enumerate() if t.name.startswith('or_magic live')]")
    assert len(ast.literal_eval(threads)) <= 4, "a few threads that draw serve all cells"


def test_the_partial_text_stays_and_is_marked(place: tuple[Kernel, Server]) -> None:
    """What came was paid for; it is shown, not as finished, and its row is asked for later."""
    kernel, _ = place
    done = kernel.run("%%or offline/long:100000\nhello", interrupt_after="word word")
    answer, status = done.displays
    assert "word" in answer["data"]["text/markdown"]
    assert "*— interrupted here —*" in answer["data"]["text/markdown"]
    assert "still streaming" not in answer["data"]["text/markdown"]
    assert status["data"]["text/plain"].startswith("✗ interrupted")
    assert "('interrupted', True)" == kernel.value("(_or.status, len(_or.text) > 0)")
    assert "'interrupted'" == kernel.value("orm.tracker.frame().status.iloc[-1]")


def test_waiting_for_a_connection_can_be_interrupted(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """A host that does not answer has no socket that could be closed."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        with socket.socket() as first, socket.socket() as second:  # they fill the queue: a third one waits
            first.connect(("127.0.0.1", port))
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", port))
            fresh_kernel.run(f"os.environ['OPENROUTER_BASE_URL'] = 'http://127.0.0.1:{port}/v1'\n%load_ext or_magic")
            fresh_kernel.run("import or_magic as orm, openai, httpx2; orm.tracker.total()")
            run, pressed, failed = press(fresh_kernel, "%%or a/b\nhello", 1.0)
    assert pressed
    assert "CallInterruptedError" == run.reply["content"]["ename"], run.error
    assert failed - pressed < FAILED_S
    assert 1 == len(run.error)


def test_pressing_twice_does_no_harm(place: tuple[Kernel, Server]) -> None:
    """The second press of an impatient finger must not tear what the first one began.

    The first comes when the call runs: one that comes before the cell has begun takes ipykernel's reply away.
    """
    kernel, server = place
    for _ in range(5):
        sent = kernel.client.execute("%%or offline/stall\nhello", allow_stdin=True)
        assert until(lambda: not server.idle(0.0))
        for _ in range(3):
            kernel.manager.interrupt_kernel()
        while True:
            reply = kernel.client.get_shell_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == sent:
                break
        assert "error" == reply["content"]["status"]
        assert server.idle(CLOSED_S)
        assert "ok" == kernel.run("1").status or "ok" == kernel.run("1").status  # a press may hit the next cell
        assert "'interrupted'" == kernel.value("orm.tracker.frame().status.iloc[-1]")
