"""R28: asking works in every kind of host, again and again; no loop of ours is left that could be closed or forgotten."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from or_magic.api import Session

from ..guards import HANG_S

Main = Callable[[], Awaitable[list[str]]]
ROUNDS = [10, pytest.param(200, marks=pytest.mark.long)]


def asyncio_run(main: Main) -> list[str]:
    return asyncio.run(main())  # type: ignore[arg-type]


def uvloop_run(main: Main) -> list[str]:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def anyio_run(main: Main) -> list[str]:
    return anyio.run(main)


def in_a_thread(main: Main) -> list[str]:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(asyncio_run(main)))
    thread.start()
    thread.join()
    return found


@pytest.mark.parametrize("host", [asyncio_run, uvloop_run, anyio_run, in_a_thread])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_aask_in_every_loop_again_and_again(offline: Session, host: Callable[[Main], list[str]], rounds: int) -> None:
    """Each round is a loop of its own: nothing of ours may belong to the one before."""

    async def main() -> list[str]:
        replies = await asyncio.gather(*(offline.aask(f"call {n}", model="offline/echo") for n in range(2)))
        return [reply.text for reply in replies]

    for _ in range(rounds):
        assert ["call 0", "call 1"] == host(main)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_ask_inside_a_running_loop(offline: Session, rounds: int) -> None:
    """Where ``asyncio.run`` cannot be called: a notebook's cell, a web server's handler."""

    async def main() -> list[str]:
        return [offline.ask("hello", model="offline/echo").text for _ in range(rounds)]

    assert ["hello"] * rounds == asyncio.run(main())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ask_in_a_worker_thread_of_another_framework(offline: Session, backend: str) -> None:
    """Trio has no asyncio loop at all; its threads are threads."""
    pytest.importorskip(backend)

    async def main() -> str:
        return await anyio.to_thread.run_sync(lambda: offline.ask("hello", model="offline/echo").text)

    assert "hello" == anyio.run(main, backend=backend)


_NESTED = """
import asyncio, nest_asyncio
nest_asyncio.apply()
import or_magic as orm
session = orm.connect(offline=True, home={home!r})
async def inner():
    return (await session.aask("hello", model="offline/echo")).text
async def outer():
    return [asyncio.run(inner()) for _ in range(5)]
print(asyncio.run(outer()))
session.close()
"""


def test_aask_under_nested_loops(tmp_path: Path) -> None:
    """In a process of its own: the patch stays in the loop that it is applied to."""
    pytest.importorskip("nest_asyncio")
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", _NESTED.format(home=str(tmp_path))],
        capture_output=True, text=True, timeout=HANG_S, check=False,
    )  # fmt: skip
    assert f"{['hello'] * 5}\n" == done.stdout
    assert "" == done.stderr
