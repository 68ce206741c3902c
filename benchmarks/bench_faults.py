"""The fault table: the same faults through ours and the peers, and what their users are left with.

Every client asks the offline simulator one question for each fault, with its own defaults, streaming where it can.
Writes ``results/faults.json``, and from it ``faults.md`` beside this file. ``bench_faults.py or_magic`` measures ours
again and keeps what was found of the others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peers
from _common import HERE, RESULTS, environment, home
from _fault_cases import CASES, PATIENCE_S, Case, Met, Record
from _fault_clients import CLIENTS, MODEL, PROMPT, Client
from _fault_page import cell, page, said_of_cost

from or_magic.offline import Server, serve

_RESULT = RESULTS / "faults.json"
_START_S = 90.0
_PRESS_AFTER_S = 1.0
_SEEN_WITHIN_S = 1.0


@dataclass
class Worker:
    """A process of one client, made anew when it does not answer any more."""

    name: str
    python: Path
    env: Mapping[str, str]
    whole: str = ""  # the answer without a fault
    process: subprocess.Popen[str] | None = field(default=None)

    def ask(self, url: str, case: Case, patience_s: float) -> dict[str, Any] | None:
        """Return what the client says, None if it says nothing in time."""
        self.begin(url, case)
        return self.answer(patience_s)

    def begin(self, url: str, case: Case) -> None:
        """Let the client ask."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        asked = {"url": url, "limit_s": case.limit_s, "tool": case.tool, "pause_s": case.pause_s}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def answer(self, patience_s: float) -> dict[str, Any] | None:
        """Return what the client says; a process that says nothing is ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], patience_s)[0]:
            self.close()
            return None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            return None
        told: dict[str, Any] = json.loads(line)
        return told

    def _start(self) -> None:
        command = [self.python, HERE / "_fault_clients.py", self.name]
        self.process = subprocess.Popen(
            [*map(str, command)], env=dict(self.env), cwd=self.env["HOME"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with serve() as server:  # imports are paid here
            told = self.ask(server.url, CASES[0], _START_S)
        if told is None or told["error"]:
            raise RuntimeError(f"{self.name} does not work: {told and told['message']}")
        self.whole = told["text"]

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def meet(worker: Worker, made: type[Client], case: Case) -> Met:
    """Let one client meet one fault."""
    able = (made.takes_limit or not case.limit_s) and (made.takes_tool or not case.tool)
    if not able or (case.pause_s and not made.takes_pause):
        return Met("none")
    if case.dead:
        told = worker.ask(f"http://127.0.0.1:{_dead_port()}/api/v1", case, PATIENCE_S)
        return _judged(worker, told)
    fault = case.fault and f"offline/{case.fault}"
    with serve(fault=fault, pace_s=0.01 if case.pressed else 0.0) as server:
        if case.pressed:
            return _pressed(worker, server, case)
        if case.primed:
            _prime(server)
        before, paid = server.received(), len(server.billed())
        told = worker.ask(server.url, case, PATIENCE_S)
        server.idle(1.0)
        billed = server.billed()[paid:]
        total = sum((Decimal(each.cost_text) for each in billed), Decimal(0))
        attempts = server.received() - before
        return _judged(worker, told, attempts=attempts, billed=f"{total:f}", generations=len(billed))


def _judged(worker: Worker, told: dict[str, Any] | None, **facts: Any) -> Met:
    if told is None:
        return Met("waits", took_s=None, **facts)
    text, whole = told["text"], worker.whole
    kept = min(1.0, len(text) / len(whole))
    if told["error"] == "PrintedError":
        outcome = "printed"
    elif told["error"]:
        outcome = "error" if told["typed"] else "untyped"
    elif text == whole:
        outcome = "answer"
    else:
        outcome = "marked" if text.replace("\ufffd", "") == whole else "silent"
    return Met(
        outcome, told["error"] or "", _short(told["message"]), round(kept, 3), took_s=round(told["took_s"], 3),
        told=told["cost"], **facts,
    )  # fmt: skip


def _short(message: str) -> str:
    """Return the beginning of a message, without the places of this machine."""
    return re.sub(r"(/[\w.-]+){2,}", "/…", message.partition("\n")[0])[:120]


def _pressed(worker: Worker, server: Server, case: Case) -> Met:
    """Interrupt, and look whether the server loses its reader."""
    worker.begin(server.url, case)
    arrive_by = time.monotonic() + PATIENCE_S
    while not server.received() and time.monotonic() < arrive_by:
        time.sleep(0.01)
    time.sleep(_PRESS_AFTER_S)
    assert worker.process is not None
    if server.idle(0.0):
        raise RuntimeError(f"{worker.name}: there was nothing to interrupt")
    began = time.perf_counter()
    os.kill(worker.process.pid, signal.SIGINT)
    closed = server.idle(_SEEN_WITHIN_S)
    took_s = time.perf_counter() - began
    told = worker.answer(PATIENCE_S)
    worker.close()
    outcome = "closed" if closed else "open"
    error = (told["error"] or "") if told else "no answer"
    return Met(outcome, error, attempts=server.received(), took_s=round(took_s, 4))


def _prime(server: Server) -> None:
    import http.client

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
        connection.request("POST", "/api/v1/chat/completions", json.dumps(body))
        connection.getresponse().read()


def _dead_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def record(name: str, peer: peers.Found | None) -> Record:
    """Let one client meet every fault."""
    python = peer.python if peer and peer.python else Path(sys.executable)
    mets: dict[str, Met] = {}
    with home() as folder:
        worker = Worker(name, python, environment(folder))
        for case in CASES:
            mets[case.label] = met = meet(worker, CLIENTS[name], case)
            print(f"{name:14} {case.label:38} {cell(met)}  [{said_of_cost(met)}]", flush=True)
        worker.close()
    return Record(peer.version if peer else version(name), datetime.now(UTC).date().isoformat(), mets)


def _kept() -> dict[str, Record]:
    """Return what earlier runs found, as far as it is of the same faults."""
    try:
        told = json.loads(_RESULT.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    found = {
        name: Record(each["version"], each["measured"], {label: Met(**met) for label, met in each["met"].items()})
        for name, each in told["clients"].items()
    }
    return {name: each for name, each in found.items() if set(each.met) == {case.label for case in CASES}}


def main() -> int:
    """Let everybody meet every fault, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_option(parser)
    known = ", ".join(CLIENTS)
    parser.add_argument("names", nargs="*", metavar="CLIENT", help=f"{known}; of the others, what was found is kept")
    arguments = parser.parse_args()
    found = _kept() if arguments.names else {}
    for name in arguments.names or CLIENTS:
        peer = peers.find(arguments.envs, name) if name in peers.PEERS else None
        if peer is not None and peer.python is None:
            print(f"left out: {name}: {peer.why}")
            continue
        found[name] = record(name, peer)
    found = {name: found[name] for name in CLIENTS if name in found}
    told = {"model": MODEL, "clients": {name: asdict(each) for name, each in found.items()}}
    _RESULT.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (HERE / "faults.md").write_text(page(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
