"""R27 and the end of things: thousands of streams, reloading, restarting and forking leave nothing behind."""

from __future__ import annotations

import ast
import os

import pytest

from ..guards import HANG_S
from .kernel import Kernel

_MEASURE = """
import gc, os, psutil, threading
def measure():
    gc.collect()
    this = psutil.Process()
    # IPython's history opens and closes its journal whenever it likes.
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{name}")]
    fds = len([link for link in links if "profile_default" not in link])
    return {"rss": this.memory_info().rss, "fds": fds, "threads": len(threading.enumerate()),
            "sockets": len(this.net_connections())}
"""
MIB = 2**20


def streams(kernel: Kernel, count: int) -> dict[str, int]:
    """Run ``count`` cells' worth of streams, a broken one and one left early among every ten."""
    done = kernel.run(
        f"for number in range({count}):\n"
        "    model = 'offline/cut' if number % 10 == 3 else 'offline/long:60'\n"
        "    try:\n"
        "        if number % 10 == 7:\n"
        "            with orm.stream('hello', model='offline/long:400') as stream:\n"
        "                next(stream)\n"
        "        else:\n"
        "            get_ipython().run_cell_magic('or', model, 'hello')\n"
        "    except orm.OrMagicError:\n"
        "        pass",
        limit_s=600,
    )
    assert "ok" == done.status, done.error
    return measured(kernel)


def measured(kernel: Kernel) -> dict[str, int]:
    return dict(ast.literal_eval(kernel.value("measure()")))


def settled(kernel: Kernel, before: dict[str, int]) -> None:
    """Nothing more than before; the kernel itself collects the pipes of threads that have drawn every ten seconds."""
    wait = f"import time\nfor _ in range({2 * int(HANG_S)}):\n    if measure()['fds'] <= {before['fds']}:\n        break\n    time.sleep(0.5)"
    assert "ok" == kernel.run(wait).status
    after = measured(kernel)
    for kind in ("fds", "threads", "sockets"):
        assert after[kind] <= before[kind], kind


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_many_streams_leave_nothing(fresh_kernel: Kernel, count: int) -> None:
    """Memory within 10 MiB; not one descriptor, thread or socket more."""
    started = fresh_kernel.run(f"%load_ext or_magic\nimport or_magic as orm\nfrom or_magic import api\n{_MEASURE}")
    assert "ok" == started.status, started.error
    fresh_kernel.run("api.use(orm.connect(offline=True))")
    # All threads that draw, each of which the kernel gives a pipe.
    fresh_kernel.run(
        "from or_magic.notebook import _faces\n(face,) = _faces.values()\nface._warmer.close()\n"
        "together = threading.Barrier(4)\n"
        f"list(face.painters.map(lambda number: (print(number), together.wait({HANG_S})), range(4)))"
    )
    # What is kept on purpose (the last 500 wordings and answers) must be there before it is measured.
    before = streams(fresh_kernel, 100 if count < 1000 else 600)
    fresh_kernel.run("api.use(None)")
    closed = measured(fresh_kernel)
    fresh_kernel.run("api.use(orm.connect(offline=True))")
    after = streams(fresh_kernel, count)
    assert after["rss"] - before["rss"] < 10 * MIB
    for kind in ("fds", "threads", "sockets"):
        assert after[kind] <= before[kind] + 10, f"{kind}: a few pooled connections come and go"
    fresh_kernel.run("api.use(None)")
    settled(fresh_kernel, closed)


def test_reloading_again_and_again_leaves_one_of_everything(fresh_kernel: Kernel) -> None:
    """Every hook of the first loading is gone when the second one comes."""
    hooks = (
        "ip = get_ipython(); {'threads': sorted(t.name for t in threading.enumerate() if t.name.startswith('or_magic')),"
        " 'events': {name: len(found) for name, found in ip.events.callbacks.items()},"
        " 'transforms': len(ip.input_transformers_cleanup), 'matchers': len(ip.Completer.custom_matchers),"
        " 'configurables': len(ip.configurables), 'formatters': len(ip.display_formatter.ipython_display_formatter.deferred_printers)}"
    )
    fresh_kernel.run(f"{_MEASURE}\n%load_ext or_magic\n%or use offline")
    fresh_kernel.run("%%or\nhello")
    first = fresh_kernel.value(f"exec({hooks.partition(';')[0]!r}) or {hooks.partition(';')[2].strip()}")
    fresh_kernel.run("%unload_ext or_magic")
    before = measured(fresh_kernel)
    fresh_kernel.run("%load_ext or_magic")
    for _ in range(5):
        assert "ok" == fresh_kernel.run("%reload_ext or_magic\n%or use offline").status
        assert "ok" == fresh_kernel.run("%%or\nhello").status
    assert first == fresh_kernel.value(hooks.partition(";")[2].strip())
    fresh_kernel.run("%unload_ext or_magic")
    settled(fresh_kernel, before)


def test_a_restarted_kernel_begins_anew_and_the_ledger_stays(fresh_kernel: Kernel) -> None:
    """A new session, the old rows."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\nimport or_magic as orm")
    fresh_kernel.run("%%or\nhello")
    home = fresh_kernel.value("os.environ['OR_MAGIC_HOME']")
    fresh_kernel.manager.restart_kernel(now=True)
    fresh_kernel.client.wait_for_ready(timeout=HANG_S)
    fresh_kernel.run(
        f"import os; os.environ['OR_MAGIC_HOME'] = {home}\n%load_ext or_magic\n%or use offline\nimport or_magic as orm"
    )
    assert "(0, 1)" == fresh_kernel.value("(len(orm.tracker.frame()), len(orm.tracker.frame(all=True)))")
    assert "ok" == fresh_kernel.run("%%or\nhello").status


def test_two_kernels_share_the_books_and_nothing_else(fresh_kernel: Kernel) -> None:
    """Two notebooks side by side."""
    home = fresh_kernel.value("os.environ['OR_MAGIC_HOME']")
    other = Kernel()
    try:
        for kernel in (fresh_kernel, other):
            kernel.run(
                f"import os; os.environ['OR_MAGIC_HOME'] = {home}\n%load_ext or_magic\n%or use offline\nimport or_magic as orm"
            )
        for _ in range(3):
            for kernel in (fresh_kernel, other):
                assert "ok" == kernel.run("%%or\nhello").status
        for kernel in (fresh_kernel, other):
            assert "(3, 6)" == kernel.value("(len(orm.tracker.frame()), len(orm.tracker.frame(all=True)))")
    finally:
        other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_asks_for_itself(fresh_kernel: Kernel) -> None:
    """Joblib and multiprocessing fork kernels; a socket, a lock or a simulator of the parent is of no use there."""
    fresh_kernel.run(
        "%load_ext or_magic\n%or use offline\nimport or_magic as orm, warnings\nwarnings.simplefilter('ignore')"
    )
    fresh_kernel.run("%%or\nhello")
    child = (
        "def child():\n    os.environ['OPENROUTER_BASE_URL'] = 'offline'\n    return orm.ask('hello', model='offline/echo').text\n"
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    found = [pool.apply(child) for _ in range(4)]"
    )
    assert "ok" == fresh_kernel.run(child).status
    assert str(["hello"] * 4) == fresh_kernel.value("found")
    assert "ok" == fresh_kernel.run("%%or\nhello").status


def test_a_closed_kernel_leaves_no_process_behind(fresh_kernel: Kernel) -> None:
    """Shutting down while an answer streams ends at once."""
    import psutil

    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    pid = int(fresh_kernel.value("os.getpid()"))
    fresh_kernel.client.execute("%%or offline/long:100000\nhello", allow_stdin=True)
    while fresh_kernel.client.get_iopub_msg(timeout=HANG_S)["msg_type"] != "display_data":
        continue
    process = psutil.Process(pid)
    children = process.children(recursive=True)
    fresh_kernel.manager.shutdown_kernel(now=False)
    assert [] == psutil.wait_procs([process, *children], timeout=HANG_S)[1]
