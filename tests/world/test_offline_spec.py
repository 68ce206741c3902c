"""What the simulator sends is valid by OpenRouter's own OpenAPI document, and shaped like the newest recordings."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from or_magic.offline import Server, serve
from or_magic.offline.faults import TABLE

from ..guards import HANG_S

Check = Callable[[str, Any], None]
SAME_SHAPE = {
    "tools",
    "image",
    "audio",
    "citations",
    "reasoning",
    "refusal",
    "length",
    "content-filter",
    "empty",
    "plain",
}


@pytest.fixture(scope="module")
def check(shared: Path) -> Check:
    """Return a function that validates a value by the name of a schema, or by a path into the document."""
    text = (shared / "openrouter" / "openapi.yaml").read_text("utf-8")
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    registry = Registry().with_resource("urn:openrouter", DRAFT202012.create_resource(document))

    def validate(name: str, value: Any) -> None:
        pointer = name if name.startswith("/") else f"/components/schemas/{name}"
        Draft202012Validator({"$ref": f"urn:openrouter#{pointer}"}, registry=registry).validate(value)

    return validate


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Path:
    return shared / "openrouter" / "recorded"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def fetch(server: Server, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


def ask(server: Server, model: str, *, stream: bool, **more: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream, **more}
    data = fetch(server, "/api/v1/chat/completions", body)[1]
    return events(data) if stream else json.loads(data)


def events(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(event[6:]) for event in data.split(b"\n\n") if event.startswith(b"data: {")]


@pytest.mark.parametrize("model", ["openai/gpt-5-mini", *sorted(f"offline/{name}" for name in SAME_SHAPE)])
def test_answers_are_valid(server: Server, check: Check, model: str) -> None:
    """Streamed and whole, with every kind of content."""
    check("ChatResult", ask(server, model, stream=False))
    for chunk in ask(server, model, stream=True, reasoning={"effort": "low"}):
        check("ChatStreamChunk", chunk)


@pytest.mark.parametrize("model", ["offline/mid-stream-error", "offline/usage-2026-03", "offline/usage-2025"])
def test_faulty_streams_are_valid_chunk_by_chunk(server: Server, check: Check, model: str) -> None:
    """A fault is in the order of things, not in their form."""
    for chunk in ask(server, model, stream=True):
        check("ChatStreamChunk", chunk)


@pytest.mark.parametrize("model", [fault.id for fault in TABLE if fault.name.startswith("error-4")] + ["x/y"])
def test_errors_are_valid(server: Server, check: Check, model: str) -> None:
    """The envelope is the same for every status."""
    error = ask(server, model, stream=True) or ask(server, model, stream=False)
    check("BadRequestResponse", error)
    assert isinstance(error["user_id"], str)


def test_the_catalogue_is_valid(server: Server, check: Check) -> None:
    """With and without the pseudo-models; the listing has every key that an item needs."""
    for path in ("/api/v1/models", "/api/v1/models?output_modalities=all", "/api/v1/models?q=offline&limit=3"):
        check("ModelsListResponse", json.loads(fetch(server, path)[1]))
    check("ModelsCountResponse", json.loads(fetch(server, "/api/v1/models/count")[1]))
    for name in (
        "~anthropic/claude-sonnet-latest",
        "openai/gpt-5-mini:floor",
        "meta-llama/llama-3.3-70b-instruct:free",
    ):
        check("ModelResponse", json.loads(fetch(server, f"/api/v1/model/{name}")[1]))
    assert 404 == fetch(server, "/api/v1/model/no/such")[0]


def test_pseudo_models_are_listed_to_those_who_look_for_them(server: Server) -> None:
    """A list to choose a model from has none of them."""
    listed = json.loads(fetch(server, "/api/v1/models")[1])["data"]
    found = json.loads(fetch(server, "/api/v1/models?q=offline")[1])["data"]
    assert not [item for item in listed if item["id"].startswith("offline/")]
    assert [fault.id for fault in TABLE] == [item["id"] for item in found]
    assert [fault.says for fault in TABLE] == [item["description"] for item in found]


def test_the_key_is_valid(server: Server, check: Check) -> None:
    """Without a limit, and with the sum of all that was billed."""
    data = json.loads(fetch(server, "/api/v1/key")[1])
    check("/paths/~1key/get/responses/200/content/application~1json/schema", data)
    assert data["data"]["limit"] is None


def test_a_generation_is_valid(server: Server, check: Check) -> None:
    """Finished, cancelled upstream, and failed."""
    for model in ("openai/gpt-5-mini", "openrouter/auto", "offline/mid-stream-error", "offline/cut"):
        ask(server, model, stream=True)
        identity = server.billed()[-1].generation_id
        check("GenerationResponse", json.loads(fetch(server, f"/api/v1/generation?id={identity}")[1]))


def test_chunks_have_the_keys_of_the_newest_recording(server: Server, recorded: Path) -> None:
    """In the same order; what a client may see is what it was recorded to see."""
    real = events((recorded / "pai-web-search-tool-usage-stream.sse").read_bytes())
    ours = ask(server, "openai/gpt-5-mini", stream=True)
    for theirs, mine in ((real[0], ours[0]), (real[-1], ours[-1])):
        assert list(theirs) == list(mine)
        assert list(theirs["choices"][0]) == list(mine["choices"][0])
        assert list(theirs["choices"][0]["delta"]) == list(mine["choices"][0]["delta"])
    theirs, mine = real[-1]["usage"], ours[-1]["usage"]
    assert [key for key in theirs if key != "server_tool_use_details"] == list(mine)
    assert [list(theirs[key]) for key in mine if isinstance(mine[key], dict)] == [
        list(value) for value in mine.values() if isinstance(value, dict)
    ]


def test_whole_answers_have_the_keys_of_the_newest_recording(server: Server, recorded: Path) -> None:
    """The one recorded with a thinking model in October 2026."""
    real = json.loads((recorded / "litellm-claude-reasoning.json").read_bytes())
    mine = ask(server, "anthropic/claude-sonnet-4.6", stream=False, reasoning={"effort": "low"})
    assert list(real) == list(mine)
    assert list(real["choices"][0]) == list(mine["choices"][0])
    assert list(real["choices"][0]["message"]) == list(mine["choices"][0]["message"])


@pytest.mark.parametrize(
    ("stem", "model"),
    [
        ("chatlas-simple-streaming-request", "offline/usage-2025"),
        ("magentic-complete-image-bytes", "offline/usage-2026-03"),
        ("pai-web-search-tool-usage-stream", "offline/usage-2026-08"),
    ],
)
def test_the_three_usage_chunks_are_those_recorded(server: Server, recorded: Path, stem: str, model: str) -> None:
    """Each generation of the protocol ended its streams in another way."""
    real = events((recorded / f"{stem}.sse").read_bytes())[-1]
    mine = ask(server, model, stream=True)[-1]
    assert [choice["finish_reason"] for choice in real["choices"]] == [
        each["finish_reason"] for each in mine["choices"]
    ]
    assert [list(choice) for choice in real["choices"]] == [list(choice) for choice in mine["choices"]]
    assert (real["usage"]["cost_details"]["upstream_inference_cost"] is None) == (
        mine["usage"]["cost_details"]["upstream_inference_cost"] is None
    )


def test_the_catalogue_repeats_the_archived_facts(recorded: Path) -> None:
    """Prices, limits and modalities of the day it is dated; no sentence of anybody's."""
    ours = json.loads((Path(__file__).parents[2] / "or_magic" / "data" / "models-2026-05-01.json").read_text("utf-8"))
    real = {item["id"]: item for item in json.loads((recorded / "models-2026-05-01.data.json").read_bytes())}
    assert "2026-05-01" == ours["date"]
    for item in ours["data"]:
        target = item.pop("alias_target", None)
        assert {key: real[item["id"]][key] for key in item} == item
        assert target is None or real[target["slug"]]["name"] == target["name"]
    assert not {"description", "hugging_face_id"} & {key for item in ours["data"] for key in item}
