"""Recorded traffic comes back from the offline simulator byte for byte, and is billed to nobody."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.offline import Server, serve

from ..guards import HANG_S


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Path:
    return shared / "openrouter" / "recorded"


@pytest.fixture(scope="module")
def server(recorded: Path) -> Iterator[Server]:
    with serve(replay=recorded) as running:
        yield running


def post(server: Server, body: Any) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    connection.request("POST", "/api/v1/chat/completions", json.dumps(body))
    response = connection.getresponse()
    found = response.status, response.headers["Content-Type"], response.read()
    connection.close()
    return found


def test_every_recording_comes_back_byte_for_byte(server: Server, recorded: Path) -> None:
    """With the status and the content type that it had."""
    rows = [row for row in json.loads((recorded / "index.json").read_bytes()) if "chat/completions" in row["uri"]]
    assert len(rows) > 30
    for row in rows:
        file = recorded / row["file"]
        messages = [{"role": "user", "content": "Hi"}]
        status, kind, data = post(server, {"model": f"replay/{file.stem}", "messages": messages})
        assert (row["status"], file.read_bytes()) == (status, data)
        assert row["headers"].get("content-type", kind) == kind


def test_the_recorded_request_finds_its_answer(server: Server, recorded: Path) -> None:
    """So that a whole recorded conversation can be played again."""
    request = json.loads((recorded / "pai-stream-error.request.json").read_bytes())
    assert (recorded / "pai-stream-error.sse").read_bytes() == post(server, request)[2]


def test_recordings_are_listed_and_never_billed(server: Server) -> None:
    """They were paid for once, by somebody else."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/offline/replay")
    found = json.loads(connection.getresponse().read())
    connection.close()
    assert "replay/pai-stream-error" in {row["model"] for row in found["data"]}
    assert "billed to nobody" in found["billing"]
    post(server, {"model": "replay/pai-stream-error", "messages": [{"role": "user", "content": "Hi"}]})
    assert () == server.billed()


def test_an_unknown_recording_is_404(server: Server) -> None:
    """It is not answered by the simulator in the recording's place."""
    assert 404 == post(server, {"model": "replay/none", "messages": [{"role": "user", "content": "Hi"}]})[0]


def test_what_was_not_recorded_is_simulated(server: Server) -> None:
    """A replay directory adds answers and takes none away."""
    assert 200 == post(server, {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]})[0]
