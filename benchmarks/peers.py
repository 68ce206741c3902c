"""Make one environment per peer, outside the repository, and say which could not be made and why. Runs pip.

``python benchmarks/peers.py`` makes what is missing; ``--envs DIR`` or ``OR_MAGIC_BENCH_ENVS`` says where.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import platformdirs

# Versions are fixed, so that figures of two days compare. litellm: newer releases need a certifi that is not out.
PEERS: dict[str, tuple[str, ...]] = {
    "limit": ("msgspec==0.22.0", f"httpx2=={version('httpx2')}"),  # not a peer: the raw clients
    "chatlas": ("chatlas==0.23.0", f"openai=={version('openai')}"),
    "langchain": ("langchain-openai==1.7.3",),
    "litellm": ("litellm==1.106.2",),
    "llm": ("llm==0.36",),
    "openrouter": ("openrouter==1.3.84",),
    "genai": ("genai==2.1.0",),
    "jupyter_ai_2": ("jupyter-ai-magics==2.31.7",),
    "jupyter_ai_3": ("jupyter-ai-magic-commands==0.0.4",),
    "jupysql": ("jupysql==0.11.1",),
    "chatlab": ("chatlab==2.1.1",),
    "lisette": ("lisette==0.1.37", "litellm==1.106.2", "toolslm==0.3.29"),  # needs what later toolslm left out
}
_KERNEL = "ipykernel"  # loading is measured in a kernel of the peer's own
_NOTE = "installed.json"


class Found(NamedTuple):
    """A peer's interpreter and the version of its package; ``python`` is None where ``why`` it is missing is told."""

    name: str
    python: Path | None
    version: str = ""
    why: str = ""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let ``parser`` take the place of the environments."""
    default = os.environ.get("OR_MAGIC_BENCH_ENVS") or platformdirs.user_cache_dir("or_magic-benchmarks")
    parser.add_argument("--envs", type=Path, default=Path(default), metavar="DIR", help="where the peers are installed")


def find(envs: Path, name: str) -> Found:
    """Return what is known of a peer, without installing anything."""
    try:
        told = json.loads((envs / name / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Found(name, None, why="not installed: run benchmarks/peers.py")
    if told["why"] or told["wanted"] != list(PEERS[name]):
        return Found(name, None, why=told["why"] or "another version: run benchmarks/peers.py")
    return Found(name, _python(envs / name), told["version"])


def make(envs: Path, name: str) -> Found:
    """Make a peer's environment if it is not there, and return what came of it."""
    found = find(envs, name)
    if found.python is not None:
        return found
    place = envs / name
    venv.create(place, with_pip=True, clear=True)
    packages = (_KERNEL, *PEERS[name])
    done = _pip(place, "install", "--quiet", *packages)
    note = {"wanted": list(PEERS[name]), "version": "", "why": ""}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        note["why"] = (lines or ["pip failed"])[-1].removeprefix("ERROR: ")[:200]
    else:
        note["version"] = PEERS[name][0].partition("==")[2]
    (place / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    return find(envs, name)


def _pip(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_python(place), "-m", "pip", *arguments], capture_output=True, text=True, check=False)


def _python(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main(line: Sequence[str] | None = None) -> int:
    """Make the environments that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(PEERS)}; all where none is named")
    arguments = parser.parse_args(line)
    unknown = [name for name in arguments.names if name not in PEERS]
    if unknown:
        parser.error(f"there is no peer {unknown[0]!r}")
    made = [make(arguments.envs, name) for name in arguments.names or PEERS]
    for found in made:
        print(f"{found.name:14} {found.version or 'missing: ' + found.why}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
