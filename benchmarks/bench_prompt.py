"""What goes into a prompt: that many insertions cost in proportion, and that a large object is no burden.

    python benchmarks/bench_prompt.py [--rounds 7]

CPU milliseconds of the best round, in this process. Figures go to ``results/prompt.json``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _common import Target, show, write

from or_magic.engine.insert import user_parts
from or_magic.objects import parts_of

_FEW, _MANY = 500, 4_000
_ROWS = 1_000_000


def _texts(count: int) -> Callable[[], object]:
    return lambda: user_parts(["x" * 1_000] * count, None)


def _insertions(count: int) -> Callable[[], object]:
    return lambda: user_parts("{{ s }} and " * count, {"s": "y" * 1_000})


def _objects() -> dict[str, Callable[[], object]]:
    of = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "price": of.random(_ROWS),
            "count": of.integers(0, 99, _ROWS),
            "city": of.choice(["Oslo", "Bergen", "Tromsø"], _ROWS),
        }
    )
    numbers = list(range(_ROWS))
    records = [{"id": number, "text": "word " * 20} for number in range(5_000)]
    things = {
        f"a DataFrame of {_ROWS:,} rows": frame,
        f"a list of {_ROWS:,} numbers": numbers,
        "5,000 records": records,
    }
    return {name: lambda thing=thing: parts_of(thing, None) for name, thing in things.items()}


def _ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    assert work()
    return (time.process_time() - began) * 1000


def main() -> int:
    """Measure all of it in turns; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    many = {f"{count:,} texts": _texts(count) for count in (_FEW, _MANY)}
    many |= {f"{count:,} insertions": _insertions(count) for count in (_FEW, _MANY)}
    large = _objects()
    works = many | large
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            samples[name].append({"ms": _ms(work)})
    best = {name: min(taken["ms"] for taken in told) for name, told in samples.items()}
    rows: list[dict[str, Any]] = [{"in a prompt": name, "CPU ms": ms} for name, ms in best.items()]
    targets = [
        Target(
            f"{_MANY / _FEW:.0f} times the {what}, × the time", best[f"{_MANY:,} {what}"] / best[f"{_FEW:,} {what}"], 9
        )
        for what in ("texts", "insertions")
    ]
    targets.append(Target("the slowest object, ms", max(best[name] for name in large), 1_000))
    show("What goes into a prompt", rows, targets)
    write("prompt", rows, targets, samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
