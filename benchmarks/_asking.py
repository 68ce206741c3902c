"""A kernel prepared for one way to show answers, the server it asks, and what one answer took."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import peers
from _answers import CHUNK_SIZE, answer
from _cells import MODEL, Way
from _common import Sample, gateway
from _front_end import FrontEnd, Run, kernel, outputs, saved_bytes

PACE_MS = 2.0
_ONE_DRAWING_S = 0.03  # messages closer to each other than this change the screen once
_FASTER = """
import or_magic.notebook.live as _live
_live.UPDATE_S /= {0}; _live._PATIENCE_S /= {0}; _live._TICK_S /= {0}; _live._BYTES_PER_S *= {0}
"""


class Bench(NamedTuple):
    """Where and how everything is measured."""

    env: Mapping[str, str]
    envs: Path
    quicker: int = 1  # how many times faster the clocks run while an answer flows at its pace


class Asker:
    """A kernel that is prepared for one way, and the server that it asks."""

    def __init__(self, way: Way, front_end: FrontEnd, url: str) -> None:
        self.way = way
        self.front_end = front_end
        self._url = url

    def ask(
        self,
        shape: str,
        chunks: int,
        pace_ms: float = 0.0,
        delay_ms: float = 0.0,
        press_after_s: float | None = None,
    ) -> Run:
        """Run the cell that asks for this answer.

        Raises:
            RuntimeError: the cell failed, or its answer is not on the screen.
        """
        cell = self.way.cell(f"{shape}-{chunks}-{pace_ms:g}ms-after-{delay_ms:g}ms")
        run = self.front_end.run(cell, watched=self.way.watched, press_after_s=press_after_s)
        shown = "".join([message.shown for message in run.drawings[-2:]])
        if press_after_s is None and self.way.label != "nothing shown" and _end(shape, chunks) not in shown:
            raise RuntimeError(f"{self.way.label}: the answer's end is not on the screen")
        return run

    def seen(self, what: str, within_s: float = 0.0) -> float:
        """Return when the server saw something; nan if it has not by then."""
        end = time.monotonic() + within_s
        while True:
            with urlopen(self._url + "/seen") as response:
                at = json.load(response).get(what)
            if at is not None or time.monotonic() >= end:
                return math.nan if at is None else float(at)
            time.sleep(0.01)


def _end(shape: str, chunks: int) -> str:
    return answer(shape, chunks).split()[-2 if shape == "table" else -1]


@contextlib.contextmanager
def asking(bench: Bench, way: Way) -> Iterator[Asker]:
    """Lend a kernel that has asked once, with a server of its own.

    Raises:
        RuntimeError: the way's package is not installed, or does not work.
    """
    found = peers.find(bench.envs, way.peer) if way.peer else None
    python = found.python if found else Path(sys.executable)
    if python is None:
        raise RuntimeError(f"{way.peer} is missing: {found.why if found else ''}")
    with gateway(bench.env) as url:
        asked = {"OPENROUTER_DEFAULT_MODEL": MODEL, "OPENAI_API_KEY": "no-key"}
        asked |= dict.fromkeys(("OPENROUTER_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"), url)
        if way.lab:
            asked["JPY_SESSION_NAME"] = "/benchmark.ipynb"
        with kernel(python, {**bench.env, **asked}) as front_end:
            front_end.run(way.prepare)
            asker = Asker(way, front_end, url)
            asker.ask("mix", 20)
            yield asker


def taken(asker: Asker, shape: str, chunks: int, pace_ms: float = 0.0, quicker: int = 1) -> Sample:
    """Ask once and return what that took; ``quicker``: with our clock and the server's so many times faster."""
    if quicker > 1:
        asker.front_end.run(_FASTER.format(quicker))
    cpu_s = asker.front_end.cpu_s()
    run = asker.ask(shape, chunks, pace_ms / quicker)
    cpu_s = asker.front_end.cpu_s() - cpu_s
    size_bytes = chunks * CHUNK_SIZE
    saved, in_file = saved_bytes(outputs(run.messages))
    return {
        "messages": len(run.messages),
        "bytes": run.size_bytes,
        "bytes_per_byte": run.size_bytes / size_bytes,
        "saved_bytes": saved,
        "saved_in_file_bytes": in_file,
        "text_bytes": size_bytes,
        "cpu_s": cpu_s,
        "wall_s": run.replied_at - run.sent_at,
        **_rates(run, quicker),
    }


def _rates(run: Run, quicker: int) -> Sample:
    """Return how often the screen changed while text flowed: per second, and the longest pause between two changes."""
    at = [message.at * quicker for message in run.drawings if "waiting for" not in message.shown]
    drawn: list[float] = []
    for each in at:
        if not drawn or each - drawn[-1] > _ONE_DRAWING_S:
            drawn.append(each)
    if len(drawn) < 3:
        return {"updates_per_s": math.nan, "longest_pause_s": math.nan}
    pauses = [later - earlier for earlier, later in itertools.pairwise(drawn)]
    return {"updates_per_s": len(pauses) / (drawn[-1] - drawn[0]), "longest_pause_s": max(pauses)}
