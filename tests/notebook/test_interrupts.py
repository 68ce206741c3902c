"""R13: an interrupt at any moment of a call closes the connection, keeps the text, books the row and fails the cell.

How soon is measured by benchmarks/bench_display.py. Here nothing would end by itself before a minute and more has
passed: what has ended long before then was ended by the interrupt.
"""

from __future__ import annotations

import ast
import itertools
import math
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from or_magic.notebook.interrupt import Pressed, interrupts
from or_magic.offline import Server, serve

from ..guards import AGES_S, HANG_S, SOON_S
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


def began(run: Run) -> bool:
    """Whether the kernel has begun with the cell."""
    return any(message["msg_type"] == "execute_input" for message in run.messages)


def press(
    kernel: Kernel, cell: str, after_s: float = 0.0, ready: Callable[[Run], bool] = began
) -> tuple[Run, float, float]:
    """Run a cell, interrupt it ``after_s`` after it was ``ready``, and return what it did, when, and when it had failed.

    The moment of the interrupt is 0 where the cell had ended before. The status is "unanswered" where the interrupt
    met the kernel's own code, before the cell or after it: it then never answers, which nothing in a cell can help.
    """
    sent = kernel.client.execute(cell, allow_stdin=True)
    run, pressed, due = Run(), 0.0, math.inf
    end = time.monotonic() + HANG_S
    while time.monotonic() < end:
        if due == math.inf and ready(run):
            due = time.monotonic() + after_s
        if not pressed and time.monotonic() >= due:
            pressed = time.monotonic()
            kernel.manager.interrupt_kernel()
        if not kernel.client.iopub_channel.socket.poll(50 if pressed else 2):
            continue
        message = kernel.client.get_iopub_msg(timeout=HANG_S)
        if message["parent_header"].get("msg_id") != sent:
            continue
        run.messages.append(message)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    ended = time.monotonic()
    after = kernel.client.kernel_info()
    while not {sent, after} & {answered := run.reply.get("parent_header", {}).get("msg_id")}:
        run.reply = kernel.client.get_shell_msg(timeout=HANG_S)
    if answered == after:
        run.status = "unanswered"
    else:
        run.status = run.reply["content"]["status"]
    return run, pressed, ended


def check(kernel: Kernel, server: Server, model: str, after_s: float, *, sent: bool) -> str:
    """Interrupt one call, perhaps not before it was ``sent``, and return how it ended: not begun, complete, interrupted, or outside."""
    # Not before the cell's own code: one that comes in a callback before it is shown by IPython, and the cell goes on.
    cell = f"print('begun', flush=True)\nget_ipython().run_cell_magic('or', {f'{model} -t 0.5'!r}, 'hello')"
    ready = (lambda _: not server.idle(0.0)) if sent else (lambda run: "begun" in run.text)
    run, pressed, failed = press(kernel, cell, after_s, ready)
    if not pressed:  # it was quicker than the finger
        assert "ok" == run.status
        return "complete"
    assert server.idle(SOON_S), f"{model} after {after_s}: the connection is still open"
    assert failed - pressed < SOON_S, f"{model} after {after_s}: {failed - pressed:.3f} s"
    if run.status == "unanswered":
        return "outside"
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
        sent = bool(number // len(MOMENTS) % 2)
        ends.append(check(kernel, server, model, chance.uniform(0, MOMENTS[model]), sent=sent))
    assert rounds == len(ends)
    # Of the half that was not interrupted before it was sent, all but a plain answer, which may be complete.
    assert ends.count("interrupted") > rounds / 3
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
            fresh_kernel.run(
                "import or_magic as orm, openai, httpx2; from or_magic import api; from or_magic.values import Timeouts\n"
                f"api.set_settings(timeouts=Timeouts(*[{AGES_S}] * 4)); orm.tracker.total()"
            )
            process = psutil.Process(int(fresh_kernel.value("os.getpid()")))

            def connecting(_: Run) -> bool:
                return any(each.status == psutil.CONN_SYN_SENT for each in process.net_connections("tcp"))

            run, pressed, failed = press(fresh_kernel, "%%or a/b\nhello", 0.1, connecting)
    assert pressed
    assert "CallInterruptedError" == run.reply["content"]["ename"], run.error
    assert failed - pressed < SOON_S
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
            reply = kernel.client.get_shell_msg(timeout=HANG_S)
            if reply["parent_header"].get("msg_id") == sent:
                break
        assert "error" == reply["content"]["status"]
        assert server.idle(SOON_S)
        assert "ok" == kernel.run("1").status or "ok" == kernel.run("1").status  # a press may hit the next cell
        assert "'interrupted'" == kernel.value("orm.tracker.frame().status.iloc[-1]")


def test_a_press_while_the_failed_cell_is_told_does_no_harm(place: tuple[Kernel, Server]) -> None:
    """A kernel that is interrupted while it answers never answers; the next cell can be interrupted as any."""
    kernel, server = place
    told = kernel.run(
        "import signal\nmanager = get_ipython().payload_manager\nread = manager.read_payload\n"
        "def press():\n    manager.read_payload = read\n    signal.raise_signal(signal.SIGINT)\n    return read()"
    )
    assert "ok" == told.status
    cell = "manager.read_payload = press\nget_ipython().run_cell_magic('or', 'offline/stall', 'hello')"
    run, pressed, _ = press(kernel, cell, ready=lambda _: not server.idle(0.0))
    assert pressed
    assert "CallInterruptedError" == run.reply["content"]["ename"]
    assert "True" == kernel.value("manager.read_payload == read"), "the second press came"
    run, _, _ = press(kernel, "print('begun', flush=True)\nwhile True: pass", ready=lambda run: "begun" in run.text)
    assert "KeyboardInterrupt" == run.reply["content"]["ename"]


def test_a_press_that_comes_later_is_meant() -> None:
    """In a cell that goes on after an interrupted call, Stop works again after a moment."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    pressed = Pressed()
    stops = itertools.count()

    def stop() -> bool:
        return next(stops) >= 0

    try:
        with interrupts(stop, pressed, in_kernel=True):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert 1 == next(stops), "the second one stops nothing"
        pressed.at = -math.inf
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
