"""From the import to the end of the process: what is loaded, what is left after close, what ends by itself."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from or_magic.api import Session
from or_magic.errors import CallInterruptedError
from or_magic.events import Piece
from or_magic.gateway.http import Gateway
from or_magic.ledger import Ledger
from or_magic.offline import serve

from ..guards import HANG_S
from ..world.fixtures import Connect
from ..world.kit import ROOT, own_threads, rows, statuses, until


def sockets() -> int:
    return len(psutil.Process().net_connections("all"))


@pytest.mark.parametrize("how", ["offline", "http", "busy"])
def test_a_closed_session_leaves_nothing(open_session: Connect, how: str) -> None:
    """No thread, no socket, no open file, no ResourceWarning."""
    gc.collect()
    before, files = sockets(), set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with serve() as server:
            session = open_session(offline=True) if how != "http" else open_session(base_url=server.url)
            session.ask("Hello", model="offline/plain")
            if how == "busy":
                streams = [session.stream("Hello", model="offline/stall") for _ in range(3)]
                for stream in streams:
                    next(event for event in stream if isinstance(event, Piece))
            session.reconcile()
            session.close()
            session.close()
        gc.collect()
    assert [] == own_threads()
    assert before == sockets()
    if files:
        assert len(files) >= len(set(os.listdir("/proc/self/fd")))


def test_the_client_is_made_before_the_first_row_is_opened(
    open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row's times are the answer's: half a second of imports would make each kernel's first model look slow."""
    order: list[str] = []
    for room, name in ((Gateway, "_new_client"), (Ledger, "open")):
        monkeypatch.setattr(room, name, _noted(order, name, getattr(room, name)))
    open_session(offline=True).ask("Hello", model="offline/plain")
    assert ["_new_client", "open"] == list(dict.fromkeys(order))


def _noted(order: list[str], name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: Any, **more: Any) -> Any:
        order.append(name)
        return method(*arguments, **more)

    return noted


def test_closing_a_session_ends_its_running_calls_and_books_them(paced: Session) -> None:
    """A kernel that shuts down must not leave a meter running."""
    paced.tracker.total()  # the books exist before anybody looks into them
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(paced.ask, f"call {n}", model="offline/long:100000") for n in range(4)]
        assert until(lambda: len(rows(paced)) == 4 and all(row["generation_id"] for row in rows(paced)))
        paced.close()
        assert [CallInterruptedError] * 4 == [type(each.exception(HANG_S)) for each in running]
    assert until(lambda: statuses(paced) == ["interrupted"] * 4)
    assert until(lambda: own_threads() == [])


def _python(script: str, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home), "OR_MAGIC_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=environment, cwd=home, capture_output=True, text=True
    )
    assert "" == done.stderr
    return done.stdout


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    """Loading is not felt (DESIGN §1)."""
    script = """
import sys
import or_magic
import or_magic.api
heavy = ["openai", "pandas", "matplotlib", "ipywidgets", "pydantic", "httpx2", "httpcore2", "numpy", "IPython"]
print([name for name in heavy if name in sys.modules])
print(or_magic.OrMagicError.__name__, sorted(or_magic.__all__) == list(or_magic.__all__))
"""
    assert "[]\nOrMagicError True\n" == _python(script, tmp_path)


def test_everything_but_the_notebook_works_without_ipython(tmp_path: Path) -> None:
    """Floors 1-4 are for scripts too."""
    script = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("IPython", "ipywidgets", "traitlets", "ipykernel"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Refuse())
import asyncio
import or_magic as orm
with orm.connect(offline=True) as session:
    print(session.ask("one", model="offline/echo").text)
    print(asyncio.run(session.aask("two", model="offline/echo")).text)
    with session.stream("three", model="offline/echo") as stream:
        print(stream.run().text)
    print(session.reconcile(), len(session.models("gpt-5")) > 0)
    try:
        session.ask("four", model="offline/cut")
    except orm.OrMagicError as error:
        print(type(error).__name__)
"""
    assert ["one", "two", "three", "(0, 0) True", "TruncatedError"] == _python(script, tmp_path).split("\n")[:-1]


def test_a_process_that_forgets_to_close_ends_by_itself(tmp_path: Path) -> None:
    """Threads of ours must not keep an interpreter alive, nor complain at its end."""
    script = """
import or_magic as orm
session = orm.connect(offline=True)
stream = session.stream("Hello", model="offline/stall")
for _, event in zip(range(3), stream):
    pass
print("end")
"""
    assert "end\n" == _python(script, tmp_path)
