"""The simulator as a local server: OpenAI's protocol, one model, no money, and nothing of OpenRouter's."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from or_magic.offline import Server, serve
from or_magic.offline.__main__ import main

from ..guards import HANG_S

ROOT = Path(__file__).resolve().parents[2]
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(local="llama3.2") as running:
        yield running


def fetch(server: Server, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_it_lists_its_one_model_as_openai_does(server: Server) -> None:
    """That is how a client finds out that somebody is there."""
    assert f"http://127.0.0.1:{server.port}/v1" == server.url
    status, found = fetch(server, "/v1/models")
    assert (200, "list", ["llama3.2"]) == (status, found["object"], [item["id"] for item in found["data"]])
    assert (200, "llama3.2") == (fetch(server, "/v1/models/llama3.2")[0], fetch(server, "/v1/models/llama3.2")[1]["id"])


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/key", "/v1/key", "/v1/generation?id=x", "/v1/models/x"])
def test_what_openrouter_has_is_unknown_here(server: Server, path: str) -> None:
    """A client that takes it for OpenRouter finds out at once."""
    status, found = fetch(server, path)
    assert (404, "invalid_request_error") == (status, found["error"]["type"])


def test_a_whole_answer_has_tokens_and_no_money(server: Server) -> None:
    """And says that it is simulated."""
    _, found = fetch(server, "/v1/chat/completions", {"model": "llama3.2", "messages": HELLO})
    assert {"prompt_tokens", "completion_tokens", "total_tokens"} == set(found["usage"])
    text = found["choices"][0]["message"]["content"]
    assert text.startswith("**Offline simulator.** No model wrote this: it tells back what a local server would")
    assert {"id", "object", "created", "model", "choices", "usage"} == set(found)
    assert ("chatcmpl", "llama3.2") == (found["id"].split("-")[0], found["model"])
    assert [("llama3.2", 0)] == [(billed.model, billed.cost_pico) for billed in server.billed()]


def test_openais_own_client_reads_it(server: Server) -> None:
    """Streamed, with usage where it is asked for, and with a tool call."""
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        assert ["llama3.2"] == [model.id for model in client.models.list()]
        ask: Any = client.chat.completions.create
        chunks = list(ask(model="llama3.2", messages=HELLO, stream=True, stream_options={"include_usage": True}))
        silent = list(ask(model="llama3.2", messages=HELLO, stream=True))
        called = ask(model="llama3.2", messages=HELLO, tools=[TOOL], tool_choice="required")
    assert "Offline simulator" in "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert ([], True) == (chunks[-1].choices, chunks[-1].usage.total_tokens > 0)
    assert not [chunk for chunk in silent if chunk.usage]
    assert {"stop", None} == {choice.finish_reason for chunk in silent for choice in chunk.choices}
    assert "get_weather" == called.choices[0].message.tool_calls[0].function.name


def test_another_model_is_not_here(server: Server) -> None:
    """404 in OpenAI's envelope, and nothing is booked."""
    for model in ("openai/gpt-4o-mini", "llama", ""):
        status, found = fetch(server, "/v1/chat/completions", {"model": model, "messages": HELLO})
        assert (404, "model_not_found") == (status, found["error"]["code"])
    assert (400, None) == (
        (found := fetch(server, "/v1/chat/completions", {"model": "llama3.2"}))[0],
        found[1]["error"]["code"],
    )
    assert () == server.billed()


def test_the_pseudo_models_answer_here_too(server: Server) -> None:
    """A local server can fail as well."""
    assert 503 == fetch(server, "/v1/chat/completions", {"model": "offline/error-503", "messages": HELLO})[0]
    with serve(local="llama3.2", fault="offline/error-500") as failing:
        assert 500 == fetch(failing, "/v1/chat/completions", {"model": "llama3.2", "messages": HELLO})[0]
        assert 200 == fetch(failing, "/v1/models")[0]


def test_the_command_line_says_what_it_simulates() -> None:
    """And where."""
    command = [sys.executable, "-W", "error", "-m", "or_magic.offline", "--local", "qwen3"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("Simulator of a local server (no model answers here): http://127.0.0.1:")
    assert line.endswith("/v1\n")


def test_the_command_line_takes_a_limit_of_the_key() -> None:
    """As a decimal number; a bad one is told so."""
    command = [sys.executable, "-W", "error", "-m", "or_magic.offline", "--key-limit", "0.25"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/api/v1/key")
        data = json.loads(connection.getresponse().read(), parse_float=Decimal)["data"]
        connection.close()
        process.terminate()
    assert (Decimal("0.25"), Decimal("0.25")) == (data["limit"], data["limit_remaining"])
    for wrong in ("a lot", "-1", "nan"):
        with pytest.raises(SystemExit):
            main([f"--key-limit={wrong}"])
