"""A streamed answer in a kernel: what each way to show it sends, saves and costs, how soon it shows, how fast it stops.

Real kernels, driven by their own protocol; whole wire messages are counted. Answers flow from a server in a process of
its own, a chunk of four characters each 2 ms, or all at once. ``--quick`` lets both clocks, ours and the server's, run
five times faster while answers are paced, and measures bytes alone (too few on a busy machine); it writes no file.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peers
from _answers import FIRST, SHAPES
from _asking import PACE_MS, Asker, Bench, asking, taken
from _cells import WAYS
from _common import Contender, Sample, alternate, environment, home, show, write
from _display_tables import SHAPES_THAT_GROW, Found

_TOGETHER = 4  # kernels at once: a paced answer keeps one busy for a twentieth of the time
_STILL_OPEN_S = 1.0
_PARTS = ("growth", "ways", "paced", "first", "interrupts")
_FIRST_WORDS = (("ours", 0), ("ours", 700), ("ours_lab", 700), ("print", 0), ("chatlas", 0), ("genai", 0))
_INTERRUPTED = (("ours", 2.5), ("chatlas", 0.25), ("genai", 0.25))  # of the calls of the first words
_PACED = ("ours_lab", "ours_line", "ours_unseen", "print", "update_20")


def growth(bench: Bench, counts: Sequence[int]) -> dict[str, Sample]:
    """Measure paced answers of ours in every shape, and of growing length in some, each in a kernel of its own."""
    asked = [
        (shape, chunks) for shape in SHAPES for chunks in counts if shape in SHAPES_THAT_GROW or chunks == counts[1]
    ]
    asked.sort(key=lambda item: -item[1])

    def measure(item: tuple[str, int]) -> Sample:
        with asking(bench, WAYS["ours"]) as asker:
            return taken(asker, *item, PACE_MS, bench.quicker)

    with ThreadPoolExecutor(_TOGETHER) as pool:
        found = dict(zip(asked, pool.map(measure, asked), strict=True))
    return {f"{shape} {chunks}": found[shape, chunks] for shape, chunks in sorted(found)}


def ways(bench: Bench, names: Sequence[str], counts: Sequence[int]) -> dict[str, Sample]:
    """Measure every way with answers that come all at once, of two lengths."""
    found: dict[str, Sample] = {}
    for name in names:
        try:
            with asking(bench, WAYS[name]) as asker:
                short, long = (_typical(asker, chunks) for chunks in counts[:2])
        except RuntimeError as error:
            print(f"failed: {name}: {error}", flush=True)
            continue
        power = math.log(long["bytes"] / short["bytes"]) / math.log(counts[1] / counts[0])
        found[name] = long | {"exponent": power}
        print(f"{name} measured", file=sys.stderr, flush=True)
    return found


def _typical(asker: Asker, chunks: int) -> Sample:
    """Ask once, or, where that is quick, a few times; return the sample of the middle CPU time."""
    samples = [taken(asker, "mix", chunks)]
    while samples[0]["wall_s"] < 0.5 and len(samples) < 7:
        samples.append(taken(asker, "mix", chunks))
    return sorted(samples, key=lambda sample: sample["cpu_s"])[len(samples) // 2]


def paced(bench: Bench, names: Sequence[str], chunks: int, rounds: int) -> dict[str, list[Sample]]:
    """Measure a few ways with a paced answer, in turns: what the kernel's CPU does meanwhile is in it."""

    def measure(each: Contender) -> Sample:
        with asking(bench, WAYS[each.name]) as asker:
            return taken(asker, "mix", chunks, PACE_MS)

    return alternate([Contender(name, Path(sys.executable)) for name in names], rounds, measure)


def first_words(bench: Bench, name: str, delay_ms: float, calls: int) -> Sample:
    """Return how many ms after it was sent the first word of a short answer was shown."""
    late, waiting = [], 0
    with asking(bench, WAYS[name]) as asker:
        for _ in range(calls):
            run = asker.ask("mix", 100, PACE_MS, delay_ms)
            late.append((run.first_shown(FIRST) - asker.seen("first_at")) * 1000)
            waiting += "waiting" in run.drawings[0].shown
    return {"calls": calls, "waiting_shown": waiting, **_spread("ms", late)}


def interrupts(bench: Bench, name: str, times: int) -> Sample:
    """Interrupt calls at random moments of a flowing answer; ms until the server saw it, and until the cell's reply."""
    chance = random.Random(13)
    closed, replied = [], []
    with asking(bench, WAYS[name]) as asker:
        for _ in range(times):
            run = asker.ask("mix", 5000, PACE_MS, press_after_s=chance.uniform(0.05, 0.4))
            closed.append((asker.seen("gone_at", _STILL_OPEN_S) - run.pressed_at) * 1000)
            replied.append((run.replied_at - run.pressed_at) * 1000)
            if run.reply["status"] == "ok":
                raise RuntimeError(f"{name}: an interrupted cell did not fail")
    seen = [late for late in closed if not math.isnan(late)]
    return {
        "interrupts": times,
        "still_open": times - len(seen),
        **_spread("closed_ms", seen or [math.nan]),
        **_spread("replied_ms", replied),
    }


def _spread(name: str, values: Sequence[float]) -> Sample:
    shares = {"p95": 0.95, "p99": 0.99, "max": 1.0}
    found = {f"{name}_{label}": percentile(values, share) for label, share in shares.items()}
    return {f"{name}_median": statistics.median(values)} | found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def measured(bench: Bench, counts: Sequence[int], parts: Sequence[str], calls: int, rounds: int) -> Found:
    """Measure the parts that are named, one after another."""
    found = Found(counts)
    if "growth" in parts:
        found.growth = growth(bench, counts)
    if "ways" in parts:
        found.ways = ways(bench, list(WAYS), counts)
    if "paced" in parts:
        found.paced = paced(bench, _PACED, counts[1], 1) | paced(bench, ("ours", "nothing"), counts[1], rounds)
    for name, delay_ms in _FIRST_WORDS if "first" in parts else ():
        found.first_words[f"{name}, {delay_ms} ms"] = first_words(bench, name, delay_ms, calls)
    for name, share in _INTERRUPTED if "interrupts" in parts else ():
        found.interrupts[name] = interrupts(bench, name, max(1, int(calls * share)))
    return found


def main() -> int:
    """Measure, print the tables, and, where everything was measured at its full size, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument(
        "--calls", type=int, default=40, help="first words; of interrupts it is two and a half times that"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the two that are compared by CPU")
    parser.add_argument("--quick", action="store_true", help="another clock, shorter answers, bytes only")
    arguments = parser.parse_args()
    counts = (1000, 5000, 20_000) if arguments.quick else (2000, 10_000, 50_000)
    parts = [part for part in arguments.parts if not arguments.quick or part in ("growth", "ways")]
    with home() as folder:
        bench = Bench(environment(folder), arguments.envs, 5 if arguments.quick else 1)
        found = measured(bench, counts, parts, arguments.calls, arguments.rounds)
    report(found, arguments.envs, whole=set(parts) == set(_PARTS))
    return 0


def report(found: Found, envs: Path, *, whole: bool) -> None:
    """Print the tables and the verdicts; write them where they are whole."""
    tables = found.tables(envs)
    targets = found.targets()
    for title, rows in tables.items():
        show(title, rows, targets if title == list(tables)[-1] else [])
    if whole:
        write("display", [row for rows in tables.values() for row in rows], targets, found.samples())


if __name__ == "__main__":
    sys.exit(main())
