"""A long streamed answer: chunks a second and CPU of or_magic, of raw clients, and of the peers that are installed.

Everybody reads the same bytes from a gateway in another process, in turns, in a process and an environment of its own.
The best of the rounds counts, since what else runs on a machine only ever adds; the median stands beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peers
from _common import (
    Contender,
    Sample,
    Target,
    alternate,
    ask_client,
    environment,
    gateway,
    home,
    least,
    middle,
    show,
    write,
)

_LABELS = {
    "raw_socket": "raw socket + msgspec (the limit)",
    "httpx_raw": "httpx2 raw + msgspec",
    "http_client": "http.client read1 + json",
    "or_magic_stream": "**or_magic stream**",
    "or_magic_ask": "**or_magic ask**",
    "openai_sync": "openai, its own iteration",
}
_HERE = ("http_client", "openai_sync", "or_magic_stream", "or_magic_ask")
_PEERS = ("chatlas", "langchain", "litellm", "llm", "openrouter")
_RAW = ("raw_socket", "httpx_raw")
_MIB = 2**20


def contenders(envs: Path) -> tuple[list[Contender], list[peers.Found]]:
    """Return who can be measured, and which peers cannot."""
    limit = peers.find(envs, "limit")
    found = [peers.find(envs, name) for name in _PEERS]
    able = [Contender(name, Path(sys.executable)) for name in _HERE]
    able += [Contender(name, limit.python) for name in _RAW if limit.python]
    able += [Contender(peer.name, peer.python, peer.version) for peer in found if peer.python]
    return able, [peer for peer in [limit, *found] if peer.python is None]


def label(contender: Contender) -> str:
    """Return the name for a table."""
    return f"{_LABELS.get(contender.name, contender.name)} {contender.version}".strip()


def growth(base_url: str, env: Mapping[str, str], chunks: int) -> Sample:
    """Return the CPU seconds of an answer and of one five times as long, and the memory that the long one took."""
    ours = Contender("or_magic_ask", Path(sys.executable))
    short = ask_client(ours, env, base_url, "stream", chunks)
    long = ask_client(ours, env, base_url, "stream", 5 * chunks)
    return {
        "short_cpu_s": short["cpu_s"],
        "long_cpu_s": long["cpu_s"],
        "ratio": long["cpu_s"] / short["cpu_s"],
        "grown_mib": long["grown_bytes"] / _MIB,
        "allowed_mib": 3 * long["text_bytes"] / _MIB + 20,
    }


def main() -> int:
    """Measure everybody, then how ours grows; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=20_000)
    arguments = parser.parse_args()
    able, missing = contenders(arguments.envs)
    with home() as folder:
        env = environment(folder)
        with gateway(env) as url:
            samples = alternate(
                able, arguments.rounds, lambda each: ask_client(each, env, url, "stream", arguments.chunks)
            )
            ours = [Contender("growth", Path(sys.executable))]
            grown = alternate(ours, arguments.rounds, lambda _: growth(url, env, arguments.chunks))["growth"]
    report(able, samples, grown, arguments.chunks)
    for peer in missing:
        print(f"{peer.name} is missing: {peer.why}")
    return 0


def report(able: list[Contender], samples: dict[str, list[Sample]], grown: list[Sample], chunks: int) -> None:
    """Print and write the figures."""
    rate = {name: chunks / least(taken, "wall_s") for name, taken in samples.items()}
    cpu = {name: least(taken, "cpu_s") * 1000 / chunks for name, taken in samples.items()}
    rows: list[dict[str, Any]] = [
        {
            f"{chunks:,} chunks": label(each),
            "chunks/s, best": rate[each.name],
            "median": chunks / middle(samples[each.name], "wall_s"),
            "CPU s / 1000, best": cpu[each.name],
            "× openai, by time": rate[each.name] / rate["openai_sync"],
            "× openai, by CPU": cpu["openai_sync"] / cpu[each.name],
        }
        for each in able
        if each.name in samples
    ]
    rows.sort(key=lambda row: -row["chunks/s, best"])
    stream, ask = rate["or_magic_stream"], rate["or_magic_ask"]
    targets = [
        Target("stream, × openai's own iteration", stream / rate["openai_sync"], 6, at_least=True),
        Target("ask, × stream", ask / stream, 0.9, at_least=True),
        Target("CPU of five times the chunks, ×", middle(grown, "ratio"), 5.3),
        Target(f"memory of {5 * chunks:,} chunks, MiB", middle(grown, "grown_mib"), grown[0]["allowed_mib"]),
    ]
    if "httpx_raw" in rate:
        targets.insert(1, Target("stream, × httpx2 raw + msgspec", stream / rate["httpx_raw"], 0.5, at_least=True))
    show(f"Streaming, {chunks:,} chunks", rows, targets)
    write("stream", rows, targets, samples | {"growth": grown})


if __name__ == "__main__":
    sys.exit(main())
