"""What ``%load_ext or_magic`` costs in a kernel that runs, and what the first call in a cell costs after it.

Every figure is of a fresh kernel (jupyter_client); the smallest of the rounds counts, as nothing else is the import.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import peers
from _common import (
    Contender,
    Sample,
    Target,
    alternate,
    environment,
    home,
    least,
    middle,
    serving,
    show,
    write,
)
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

_TIMED = """
import json as _json, sys as _sys, time as _time
_known, _wall, _cpu = len(_sys.modules), _time.perf_counter(), _time.process_time()
{statement}
_wall, _cpu = _time.perf_counter() - _wall, _time.process_time() - _cpu
print("\\n" + _json.dumps({{"wall_ms": _wall * 1e3, "cpu_ms": _cpu * 1e3, "modules": len(_sys.modules) - _known}}))
"""
_FIRST_CELL = "import json, sys, time"
_LOAD = "%load_ext or_magic"
_CALL = "_reply = get_ipython().run_cell_magic('openrouter', 'openai/gpt-4o-mini', 'Say hello.')"
_IDLE_S = 2.0

# In the environment of this process.
HERE_STATEMENTS = (
    "pass",
    _LOAD,
    "import json, sqlite3",
    "import ipywidgets",
    "import pandas",
    "import openai",
    "import matplotlib.pyplot",
)
PEER_STATEMENTS = {
    "chatlas": "import chatlas",
    "langchain": "import langchain_openai",
    "litellm": "import litellm",
    "llm": "import llm",
    "openrouter": "import openrouter",
    "genai": "%load_ext genai",
    "jupysql": "%load_ext sql",
    "jupyter_ai_2": "%load_ext jupyter_ai_magics",
    "jupyter_ai_3": "%load_ext jupyter_ai_magic_commands",
}


@contextlib.contextmanager
def kernel(python: Path, env: Mapping[str, str]) -> Iterator[Callable[[str], Sample]]:
    """Run a kernel while the body runs; yield what runs a cell and returns the JSON on its last line."""
    specs = Path(env["HOME"]) / "kernels"
    name = f"k{abs(hash(python)):x}"
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (specs / name).mkdir(parents=True, exist_ok=True)
    (specs / name / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))
    manager = KernelManager(kernel_name=name, kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)]))
    manager.start_kernel(env=dict(env), cwd=env["HOME"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client: BlockingKernelClient = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield lambda code: _run(client, code)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client: BlockingKernelClient, code: str) -> Sample:
    printed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=take, timeout=120)["content"]
    if reply["status"] != "ok":
        raise RuntimeError(f"{reply.get('ename')}: {str(reply.get('evalue'))[:200]}")
    lines = [line for line in "".join(printed).splitlines() if line.startswith("{")]
    told: Sample = json.loads(lines[-1]) if lines else {}
    return told


def load(contender: Contender, env: Mapping[str, str]) -> Sample:
    """Return what one statement costs in a kernel that has run a cell."""
    statement = PEER_STATEMENTS.get(contender.name, contender.name)
    with kernel(contender.python, env) as run:
        run(_FIRST_CELL)
        return run(_TIMED.format(statement=statement))


def first_calls(idle_s: float, env: Mapping[str, str]) -> Sample:
    """Return what the first and the second call in a cell cost, ``idle_s`` after loading."""
    with kernel(Path(sys.executable), env) as run:
        run(_FIRST_CELL)
        run(_LOAD)
        time.sleep(idle_s)
        first, second = (run(_TIMED.format(statement=_CALL)) for _ in range(2))
    return {
        "first_ms": first["wall_ms"],
        "second_ms": second["wall_ms"],
        "extra_ms": first["wall_ms"] - second["wall_ms"],
        "modules": first["modules"],
    }


def main() -> int:
    """Measure loading, then first calls; print both tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    here = [Contender(name, Path(sys.executable)) for name in HERE_STATEMENTS]
    found = [peers.find(arguments.envs, name) for name in PEER_STATEMENTS]
    contenders = here + [Contender(peer.name, peer.python, peer.version) for peer in found if peer.python]
    with home() as folder:
        env = environment(folder)
        alternate(contenders, 1, lambda contender: load(contender, env))  # writes bytecode, reads the disk
        loads = alternate(contenders, arguments.rounds, lambda contender: load(contender, env))
        command = [sys.executable, "-m", "or_magic.offline", "--port", "0", "--pace", "0"]
        with serving(command, env) as line:
            env["OPENROUTER_BASE_URL"] = line.rpartition(" ")[2]
            idle = {f"{_IDLE_S:g} s after loading": _IDLE_S, "at once": 0.0}
            waits = [Contender(name, Path(sys.executable)) for name in idle]
            calls = alternate(waits, arguments.rounds, lambda wait: first_calls(idle[wait.name], env))
    report(contenders, loads, calls)
    for peer in found:
        if peer.python is None:
            print(f"{peer.name} is missing: {peer.why}")
    return 0


def report(contenders: list[Contender], loads: dict[str, list[Sample]], calls: dict[str, list[Sample]]) -> None:
    """Print and write the figures."""
    pandas_ms = least(loads["import pandas"], "wall_ms")
    rows: list[dict[str, Any]] = [
        {
            "in a running kernel": _label(contender),
            "ms, min": least(loads[contender.name], "wall_ms"),
            "CPU ms, min": least(loads[contender.name], "cpu_ms"),
            "new modules": int(least(loads[contender.name], "modules")),
            "× import pandas": least(loads[contender.name], "wall_ms") / pandas_ms,
        }
        for contender in contenders
        if contender.name in loads
    ]
    rows.sort(key=lambda row: row["ms, min"])
    first = [
        {"first call": name, "first, ms": middle(taken, "first_ms"), "second, ms": middle(taken, "second_ms"),
         "extra, ms": middle(taken, "extra_ms"), "modules it imports": int(middle(taken, "modules"))}
        for name, taken in calls.items()
    ]  # fmt: skip
    ours = loads[_LOAD]
    targets = [
        Target("load, × import pandas", least(ours, "wall_ms") / pandas_ms, 0.15),
        Target("new modules", least(ours, "modules"), 60),
        Target("first call after 2 s, extra ms", middle(next(iter(calls.values())), "extra_ms"), 30),
    ]
    show("Loading", rows, targets)
    show("The first call in a cell", first, targets[2:])
    write("load", [*rows, *first], targets, {"load": loads, "first_call": calls})


def _label(contender: Contender) -> str:
    return f"{PEER_STATEMENTS.get(contender.name, contender.name)} {contender.version}".strip()


if __name__ == "__main__":
    sys.exit(main())
