"""What the benchmarks share: processes that take turns, medians, targets with verdicts, tables, JSON files."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
_LIMIT_S = 90.0  # litellm sometimes waits for itself for ever

Sample = dict[str, float]


class Contender(NamedTuple):
    """Who is measured, in which interpreter; ``version`` is of the package that is measured."""

    name: str
    python: Path
    version: str = ""


class Target(NamedTuple):
    """What was promised, and what was found."""

    name: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def environment(home: Path) -> dict[str, str]:
    """Return the environment of every measured process: no key, no proxy, no network but loopback, a home to lose."""
    gone = ("OPENROUTER_", "OR_MAGIC_", "OPENAI_", "PYTHON", "LLM_", "JUPYTER_", "IPYTHON")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(gone) and not name.lower().endswith("_proxy")
    }
    return kept | {
        "HOME": str(home),
        "OR_MAGIC_HOME": str(home / "or_magic"),
        "PYTHONPATH": os.pathsep.join([str(HERE / "_guard"), str(ROOT)]),
        # Both would ask the network at their import, and wait.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PLOOMBER_STATS_ENABLED": "false",
    }


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """Lend a home folder on a real disk."""
    with tempfile.TemporaryDirectory(prefix="or_magic-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def serving(command: Sequence[str | Path], env: Mapping[str, str]) -> Iterator[str]:
    """Run a server in a process of its own while the body runs; yield the first line that it prints."""
    process = subprocess.Popen(
        [*map(str, command)], env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=env["HOME"]
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextlib.contextmanager
def gateway(env: Mapping[str, str]) -> Iterator[str]:
    """Run the gateway of pre-rendered bytes; yield its base URL."""
    with serving([sys.executable, HERE / "_server.py"], env) as port:
        yield f"http://127.0.0.1:{port}/api/v1"


def ask_client(contender: Contender, env: Mapping[str, str], *arguments: str | int) -> Sample:
    """Run one client in a process of its own and return what it measured.

    Raises:
        RuntimeError: it failed, or did not end; the message names it.
    """
    command = [contender.python, HERE / "_clients.py", contender.name, *map(str, arguments)]
    try:
        done = subprocess.run(
            command, env=dict(env), capture_output=True, text=True, check=False, timeout=_LIMIT_S, cwd=env["HOME"]
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{contender.name} did not end within {_LIMIT_S:g} s") from None
    if done.returncode:
        raise RuntimeError(f"{contender.name}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    told: Sample = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def alternate(
    contenders: Sequence[Contender], rounds: int, measure: Callable[[Contender], Sample]
) -> dict[str, list[Sample]]:
    """Measure everybody once a round, each round from another start, so that no one has the quiet minutes."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in [*contenders[turn:], *contenders[:turn]]:
            try:
                samples[contender.name].append(measure(contender))
            except RuntimeError as error:
                print(f"failed: {error}", flush=True)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return {name: taken for name, taken in samples.items() if taken}


def middle(samples: Sequence[Sample], what: str) -> float:
    """Return the median of one figure."""
    return statistics.median(sample[what] for sample in samples)


def least(samples: Sequence[Sample], what: str) -> float:
    """Return the smallest of one figure: what it costs where nothing else disturbs."""
    return min(sample[what] for sample in samples)


def show(title: str, rows: Sequence[Mapping[str, Any]], targets: Sequence[Target]) -> None:
    """Print a table and the verdicts, if any, as Markdown."""
    names = list(rows[0])
    print(f"\n### {title}\n\n| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(_cell(row[name]) for name in names)} |")
    if targets:
        print("\n| target | limit | found | |\n| --- | --- | --- | --- |")
    for target in targets:
        sign = "≥" if target.at_least else "≤"
        print(f"| {target.name} | {sign} {target.limit:g} | {target.found:.3g} | {'met' if target.met else 'MISSED'} |")


def write(name: str, rows: Sequence[Mapping[str, Any]], targets: Sequence[Target], samples: Mapping[str, Any]) -> None:
    """Write the figures for a regression table: medians, verdicts, and every sample behind them."""
    told = {
        "machine": machine(),
        "rows": list(rows),
        "targets": [{**target._asdict(), "met": target.met} for target in targets],
        "samples": samples,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what the figures depend on, and nothing that tells whose machine it is."""
    packages = ("openai", "httpx2", "jiter", "pandas", "ipykernel")
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "packages": {name: version(name) for name in packages},
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
