"""How late each time limit fires (R22): connect, first token, idle, total, and the end of a body that never ends.

The simulator runs in a process of its own; calls run one after another, straight through the gateway, so that the
figures are the limits' own and not those of a disk that keeps books beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from _common import Target, environment, home, serving, show, write

from or_magic.content import Text
from or_magic.errors import CallTimeoutError
from or_magic.events import Piece
from or_magic.gateway.http import Gateway
from or_magic.values import Message, Origin, Request, Timeouts

_LIMIT_S = 0.25
_NEVER_S = 30.0
_DRAIN_S = 0.25  # what the gateway grants a body that is complete and does not end
_WIDE = Timeouts(_NEVER_S, _NEVER_S, _NEVER_S, _NEVER_S)
_ALLOWED_MS = 50 + 0.01 * _LIMIT_S * 1000


@dataclass(frozen=True)
class Case:
    """One way to wait, and the limit that has to end it; no limit: the answer is complete."""

    model: str
    limit: str | None
    phase: str


_CASES = (
    Case("offline/stall-headers", "first_token_s", "first token"),
    Case("offline/stall-first", "first_token_s", "first token"),
    Case("offline/slow-headers:0.05", "first_token_s", "first token"),
    Case("offline/comments", "first_token_s", "first token"),
    Case("offline/drip:0.01", "first_token_s", "first token"),
    Case("offline/stall", "idle_s", "idle"),
    Case("offline/comments", "total_s", "total"),
    Case("offline/drip:0.001", "total_s", "total"),
    Case("offline/no-end", None, "after [DONE]"),
)


def late_ms(gateway: Gateway, case: Case, timeouts: Timeouts) -> float:
    """Ask once and return how many milliseconds after its limit the call ended.

    Raises:
        RuntimeError: another limit fired, or none.
    """
    question = Message("user", (Text("Are you there?"),))
    request = Request(case.model, (question,), origin=Origin(call_id=uuid.uuid4().hex), timeouts=timeouts)
    began = time.perf_counter()
    for event in gateway.send(request):
        # Silence is counted from the last piece, and so is what a complete answer is granted.
        if isinstance(event, Piece) and case.phase in ("idle", "after [DONE]"):
            began = time.perf_counter()
    took_s = time.perf_counter() - began
    phase = event.error.phase if isinstance(event.error, CallTimeoutError) else "after [DONE]"
    if phase != case.phase:
        raise RuntimeError(f"{case.model}: {phase} ended it, not {case.phase}")
    return (took_s - (_LIMIT_S if case.limit else _DRAIN_S)) * 1000


def measure(case: Case, base_url: str, rounds: int) -> list[float]:
    """Return the lateness of every round of one case; the call before them pays for the imports."""
    timeouts = replace(_WIDE, **{case.limit: _LIMIT_S}) if case.limit else _WIDE
    gateway = Gateway("simulator", base_url, None, connect_s=timeouts.connect_s)
    late = [late_ms(gateway, case, timeouts) for _ in range(rounds + 1)]
    gateway.close()
    return late[1:]


@contextlib.contextmanager
def _full_backlog() -> Iterator[str]:
    """Lend the address of a port whose queue is full, so that connecting gets no answer."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def _row(case: Case, late: list[float]) -> dict[str, object]:
    ordered = sorted(late)
    return {
        "limit": case.phase,
        "case": case.model.removeprefix("offline/"),
        "calls": len(late),
        "median late, ms": statistics.median(late),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
        "max": ordered[-1],
        "min": ordered[0],
    }


def main() -> int:
    """Measure every case and say whether each limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="calls per case (30)")
    rounds = parser.parse_args().rounds
    found: dict[str, list[float]] = {}
    rows = []
    with home() as folder, _full_backlog() as nowhere:
        env = environment(folder)
        os.environ.clear()
        os.environ.update(env)
        command = [sys.executable, "-m", "or_magic.offline", "--pace", "0"]
        with serving(command, env) as line:
            places = [(case, line.rpartition(" ")[2]) for case in _CASES]
            for case, url in [*places, (Case("full backlog", "connect_s", "connect"), nowhere)]:
                late = measure(case, url, rounds)
                found[f"{case.phase}: {case.model}"] = late
                rows.append(_row(case, late))
    targets = [Target(f"{name}, latest, ms", max(late), _ALLOWED_MS) for name, late in found.items()]
    show(f"Time limits of {_LIMIT_S} s: how late they fire", rows, targets)
    write("timeouts", rows, targets, found)
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
