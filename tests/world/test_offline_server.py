"""The offline simulator as a process and a server: many clients, clean ends, light imports, its command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import or_magic.offline
from or_magic.offline import Server, serve
from or_magic.offline.faults import markdown

from ..guards import HANG_S
from .kit import until

ROOT = Path(__file__).resolve().parents[2]
PATH = "/api/v1/chat/completions"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def question(model: str, text: str = "Hi") -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": True})


def test_one_connection_carries_many_answers(server: Server) -> None:
    """Keep-alive is what makes a second call cheap."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for model in ("openai/gpt-5-mini", "offline/error-429", "offline/cut", "openai/gpt-4o-mini"):
        connection.request("POST", PATH, question(model))
        connection.getresponse().read()
    connection.close()
    assert (1, 4) == (server.connections(), server.received())


def test_64_clients_at_once_are_all_answered(server: Server) -> None:
    """And every one of their calls stands in the books once."""

    def ask(number: int) -> bytes:
        model = ("openai/gpt-5-mini", "offline/cut", "offline/echo", "offline/stall:0.001")[number % 4]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
        connection.request("POST", PATH, question(model, f"call {number}"))
        data = connection.getresponse().read()
        connection.close()
        return data

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(512)))
    assert all(answers)
    assert server.idle(HANG_S)
    assert sorted(f"call {number}" for number in range(512)) == sorted(billed.prompt for billed in server.billed())
    assert 512 == len({billed.generation_id for billed in server.billed()})


def test_closing_ends_every_thread_and_socket() -> None:
    """Also with clients that are connected, silent, or in the middle of an answer."""
    before = set(threading.enumerate())
    server = serve()
    connections = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.connect()
        if number % 2:
            connection.request("POST", PATH, question("offline/stall"))
            connection.getresponse().read1()
    server.close()
    server.close()
    assert until(lambda: before == set(threading.enumerate()))
    with pytest.raises(ConnectionError):
        http.client.HTTPConnection("127.0.0.1", server.port).connect()
    for connection in connections:
        connection.close()


def test_it_imports_the_standard_library_and_nothing_else() -> None:
    """Not even the rest of this package: it must not share the client's mistakes."""
    code = (
        "import sys, or_magic; before = set(sys.modules); import or_magic.offline; new = set(sys.modules) - before;"
        "print(sorted(name for name in new if name.partition('.')[0] not in sys.stdlib_module_names"
        " and not name.startswith('or_magic.offline')), 'asyncio' in new)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[] False" == found.stdout.strip()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_line_serves_until_it_is_told_to_stop(stop: signal.Signals) -> None:
    """One line with the address, then quiet, then exit code 0."""
    command = [sys.executable, "-W", "error", "-m", "or_magic.offline", "--pace", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "simulator" in line
        port = int(line.rpartition(":")[2].partition("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/api/v1/models/count")
        assert json.loads(connection.getresponse().read())["data"]["count"] > 40
        process.send_signal(stop)
        rest = process.communicate(timeout=HANG_S)
        connection.close()
    assert (0, ("", "")) == (process.returncode, rest)


def test_the_document_lists_every_fault() -> None:
    """The table in docs/offline.md is the table of the code."""
    assert markdown() in (ROOT / "docs" / "offline.md").read_text("utf-8")


def test_the_public_names_are_three() -> None:
    """Small surfaces stay true."""
    assert ["Billed", "Server", "serve"] == or_magic.offline.__all__
