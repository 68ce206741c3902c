"""What the figures of the display say: tables, and whether what was promised is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
from _answers import SHAPES
from _cells import WAYS
from _common import Sample, Target, middle

SHAPES_THAT_GROW = ("mix", "code", "paragraph")
Rows = list[dict[str, Any]]


@dataclass
class Found:
    """All that was measured; ``counts`` are the lengths of the answers in chunks: short, usual, long."""

    counts: Sequence[int]
    growth: dict[str, Sample] = field(default_factory=dict)
    ways: dict[str, Sample] = field(default_factory=dict)
    paced: dict[str, list[Sample]] = field(default_factory=dict)
    first_words: dict[str, Sample] = field(default_factory=dict)
    interrupts: dict[str, Sample] = field(default_factory=dict)

    def samples(self) -> dict[str, Any]:
        """Return every sample behind the tables."""
        parts = ("growth", "ways", "paced", "first_words", "interrupts")
        return {name: _known(getattr(self, name)) for name in parts}

    def tables(self, envs: Path) -> dict[str, Rows]:
        """Return the tables by their titles."""
        usual = f"{self.counts[1]:,} chunks"
        waiting = {name: middle_of(samples) for name, samples in self.paced.items()}
        told = {
            f"{usual} at once": [_way(name, sample, envs) for name, sample in self.ways.items()],
            f"{usual}, one each 2 ms": [_way(name, sample, envs) | _pace(sample) for name, sample in waiting.items()],
            "Ours, a chunk each 2 ms, by shape and length": [
                {"answer": name, "messages": int(sample["messages"]), "bytes a byte": sample["bytes_per_byte"]}
                | _pace(sample)
                | {"saved, × text": sample["saved_bytes"] / sample["text_bytes"]}
                | {"in the file, × text": sample["saved_in_file_bytes"] / sample["text_bytes"]}
                for name, sample in self.growth.items()
            ],
            "From sending the first word to showing it": [
                _first_word(name, sample) for name, sample in self.first_words.items()
            ],
            "Interrupts at random moments": [_interrupt(name, sample) for name, sample in self.interrupts.items()],
        }
        return {title: _known(rows) for title, rows in told.items() if rows}

    def targets(self) -> list[Target]:
        """Return what was promised, as far as it was measured."""
        return [*self._of_growth(), *self._of_cost(), *self._of_time()]

    def _of_growth(self) -> Iterator[Target]:
        for shape in SHAPES if self.growth else ():
            sample = self.growth[f"{shape} {self.counts[1]}"]
            yield Target(f"{shape}: bytes of IOPub a byte", sample["bytes_per_byte"], 10)
            yield Target(f"{shape}: updates a second, at least", sample["updates_per_s"], 6, at_least=True)
            yield Target(f"{shape}: updates a second, at most", sample["updates_per_s"], 20)
            yield Target(f"{shape}: saved cell", sample["saved_bytes"], 1.15 * sample["text_bytes"] + 2000)
        for shape in SHAPES_THAT_GROW if self.growth else ():
            yield Target(f"{shape}: exponent of the bytes", self._exponent(shape), 1.05)

    def _exponent(self, shape: str) -> float:
        low, high = self.counts[0], self.counts[-1]
        ratio = self.growth[f"{shape} {high}"]["bytes"] / self.growth[f"{shape} {low}"]["bytes"]
        return math.log(ratio) / math.log(high / low)

    def _of_cost(self) -> Iterator[Target]:
        if self.ways:
            ours, nothing = self.ways["ours"], self.ways["nothing"]
            yield Target("at once: bytes of IOPub a byte", ours["bytes_per_byte"], 3)
            yield Target("at once: CPU, × nothing shown", ours["cpu_s"] / nothing["cpu_s"], 1.5)
        if self.paced:
            spent = {name: middle(samples, "cpu_s") for name, samples in self.paced.items()}
            yield Target("paced: CPU, × nothing shown", spent["ours"] / spent["nothing"], 1.5)

    def _of_time(self) -> Iterator[Target]:
        for name, sample in self.first_words.items():
            if name.startswith("ours"):
                yield Target(f"first word, {name} after the headers: p95, ms", sample["ms_p95"], 60)
        if self.interrupts:
            ours = self.interrupts["ours"]
            yield Target("interrupt: the server sees it, p99, ms", ours["closed_ms_p99"], 100)
            yield Target("interrupt: the server sees it, max, ms", ours["closed_ms_max"], 250)
            yield Target("interrupt: still open after 1 s", ours["still_open"], 0)
            yield Target("interrupt: the cell has failed, p99, ms", ours["replied_ms_p99"], 500)


def _known(value: Any) -> Any:
    """Return the same with None for what was not found: JSON has no nan."""
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def middle_of(samples: Sequence[Sample]) -> Sample:
    """Return the sample of the middle CPU time."""
    return sorted(samples, key=lambda sample: sample["cpu_s"])[len(samples) // 2]


def _way(name: str, sample: Mapping[str, float], envs: Path) -> dict[str, Any]:
    way = WAYS[name]
    version = peers.find(envs, way.peer).version if way.peer else ""
    told: dict[str, Any] = {
        "shown by": f"{way.label} {version}".strip(),
        "messages": int(sample["messages"]),
        "bytes": int(sample["bytes"]),
        "bytes a byte": sample["bytes_per_byte"],
        "saved cell": int(sample["saved_bytes"]),
        "kernel CPU, s": sample["cpu_s"],
    }
    return told | ({"grows like n^": sample["exponent"]} if "exponent" in sample else {})


def _pace(sample: Mapping[str, float]) -> dict[str, Any]:
    return {"updates a second": sample["updates_per_s"], "longest pause, s": sample["longest_pause_s"]}


def _first_word(name: str, sample: Mapping[str, float]) -> dict[str, Any]:
    way, delay = name.split(", ")
    return {
        "shown by": WAYS[way].label,
        "after the headers": delay,
        "calls": sample["calls"],
        "saw “waiting”": sample["waiting_shown"],
        "median, ms": sample["ms_median"],
        "p95, ms": sample["ms_p95"],
        "max, ms": sample["ms_max"],
    }


def _interrupt(name: str, sample: Mapping[str, float]) -> dict[str, Any]:
    return {
        "cell": WAYS[name].label,
        "interrupts": sample["interrupts"],
        "still open after 1 s": sample["still_open"],
        "server sees it, median, ms": sample["closed_ms_median"],
        "p99": sample["closed_ms_p99"],
        "max": sample["closed_ms_max"],
        "cell has failed, median, ms": sample["replied_ms_median"],
        "p99, ms": sample["replied_ms_p99"],
    }
