"""The offline simulator answers like OpenRouter: what it says, what it honours, and what it refuses."""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from or_magic.offline import Server, serve
from or_magic.offline.media import png, tone, wav

from ..guards import HANG_S

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city"],
        },
    },
}


HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
MALFORMED = [
    json.dumps({**HELLO, **wrong}).encode()
    for wrong in (
        {"messages": 5},
        {"messages": [5]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 5}]}]},
        {"tools": [{"type": "function"}]},
        {"tools": [TOOL], "tool_choice": {"function": None}},
        {"stop": [5]},
        {"modalities": [5]},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": 5, "type": "object"}}}},
    )
]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def post(server: Server, body: Any, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", "/api/v1/chat/completions", data, headers)
    response = connection.getresponse()
    found = response.status, response.headers, response.read()
    connection.close()
    return found


def whole(server: Server, prompt: Any = "Hello", model: str = "openai/gpt-5-mini", **more: Any) -> dict[str, Any]:
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    status, _, data = post(server, {"model": model, "messages": messages, **more})
    assert 200 == status, data
    found: dict[str, Any] = json.loads(data)
    return found


def said(server: Server, prompt: Any = "Hello", **more: Any) -> str:
    return str(whole(server, prompt, **more)["choices"][0]["message"]["content"])


def refused(server: Server, **body: Any) -> tuple[int, str, str]:
    body = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}], **body}
    status, _, data = post(server, body)
    error = json.loads(data)["error"]
    return status, error["message"], error["metadata"]["error_type"]


def part(kind: str, **inner: Any) -> list[dict[str, Any]]:
    content = [{"type": "text", "text": "See this."}, {"type": kind, kind: inner}]
    return [{"role": "user", "content": content}]


def streamed(server: Server, **body: Any) -> tuple[list[dict[str, Any]], bytes]:
    _, _, data = post(server, {"model": "openai/gpt-5-mini", "stream": True, **body})
    events = [event[6:] for event in data.split(b"\n\n") if event.startswith(b"data: {")]
    return [json.loads(event) for event in events], data


def test_the_answer_says_that_no_model_wrote_it(server: Server) -> None:
    """Simulated words are never mistaken for a model's."""
    text = said(server, "What is 2 + 2?")
    assert text.startswith("**Offline simulator.** No model wrote this")
    assert "> What is 2 + 2?" in text
    assert "openai/gpt-5-mini-2025-08-07" in text


def test_the_answer_tells_back_roles_and_options(server: Server) -> None:
    """Prototyping needs to see what was really sent."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    text = said(server, messages, temperature=0.2, seed=7, provider={"sort": "price"})
    assert "1 system (9 characters), 1 user (2 characters)" in text
    assert all(option in text for option in ("temperature `0.2`", "seed `7`", 'provider `{"sort": "price"}`'))


def test_a_stream_and_a_whole_answer_say_the_same(server: Server) -> None:
    """One request body is one answer, however it is delivered."""
    chunks, _ = streamed(server, messages=[{"role": "user", "content": "Hello"}])
    text = "".join(choice["delta"]["content"] for chunk in chunks for choice in chunk["choices"])
    assert said(server) == text
    assert {"assistant"} == {choice["delta"]["role"] for chunk in chunks for choice in chunk["choices"]}


def test_the_same_question_gets_the_same_answer_and_a_new_id(server: Server) -> None:
    """Tests and caches rely on the first half, ledgers on the second."""
    first, second = whole(server), whole(server)
    assert (first["choices"], first["usage"]) == (second["choices"], second["usage"])
    assert first["id"] != second["id"]
    assert first["id"].startswith("gen-")


def test_the_generation_id_is_also_a_header(server: Server) -> None:
    """So that a stream that dies can be looked up."""
    body = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    _, headers, data = post(server, body)
    assert headers["X-Generation-Id"] in data.decode()
    assert ("text/event-stream", "no-cache") == (headers["Content-Type"], headers["Cache-Control"])
    assert data.startswith(b": OPENROUTER PROCESSING\n\n")


def test_attachments_are_named_by_their_real_type(server: Server) -> None:
    """What a data URL claims may be wrong; what its bytes are is not."""
    url = "data:image/jpeg;base64," + base64.b64encode(png()).decode()
    assert f"PNG 220 × 36, {len(png()):,} bytes, claimed image/jpeg" in said(server, part("image_url", url=url))
    assert "picture at https://example.com/a.png (not fetched)" in said(
        server, part("image_url", url="https://example.com/a.png")
    )
    pdf = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7 simulated").decode()
    assert "file a.pdf: PDF" in said(server, part("file", filename="a.pdf", file_data=pdf))
    data = base64.b64encode(wav(tone(1.0))).decode()
    heard = said(server, part("input_audio", data=data, format="wav"), model="google/gemini-2.5-flash")
    assert "audio: WAV 1.0" in heard


def test_the_question_is_told_back_line_by_line_with_its_pictures_in_place(server: Server) -> None:
    """A table stays a table, a list no list; and one sees where a picture stood."""
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    texts = [{"type": "text", "text": text} for text in ("Here:\n", "\n- a,b\n- 1,2")]
    content = [texts[0], {"type": "image_url", "image_url": {"url": url}}, texts[1]]
    told = said(server, [{"role": "user", "content": content}])
    assert told.endswith(">     Here:\n>     [picture: PNG 220 × 36]\n>     - a,b\n>     - 1,2")


def test_max_tokens_cuts_the_answer(server: Server) -> None:
    """The finish reason says so, and only what was said is counted."""
    found = whole(server, max_tokens=5)
    assert ("length", 5) == (found["choices"][0]["finish_reason"], found["usage"]["completion_tokens"])


def test_stop_ends_before_the_word(server: Server) -> None:
    """The stop text itself never appears."""
    assert "**Offline simulator.** No " == said(server, stop=["zebra", "model"])


def test_thinking_comes_first_and_counts_as_completion(server: Server) -> None:
    """It is simulated too, and says so."""
    chunks, _ = streamed(server, messages=[{"role": "user", "content": "Hi"}], reasoning={"effort": "low"})
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    thinking = [index for index, delta in enumerate(deltas) if delta.get("reasoning")]
    assert thinking == list(range(len(thinking)))
    assert all(deltas[index]["reasoning_details"][0]["text"] == deltas[index]["reasoning"] for index in thinking)
    usage = chunks[-1]["usage"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]
    assert whole(server, reasoning={"effort": "none"})["choices"][0]["message"]["reasoning"] is None
    assert whole(server, reasoning={"effort": "high", "exclude": True})["choices"][0]["message"]["reasoning"] is None


@pytest.mark.parametrize("more", [{"tool_choice": "required"}, {}])
def test_a_tool_is_called_when_it_is_required_or_named(server: Server, more: dict[str, Any]) -> None:
    """Its arguments fit its schema and come in fragments."""
    messages = [{"role": "user", "content": "Hi" if more else "Please get_weather in Paris"}]
    chunks, _ = streamed(server, messages=messages, tools=[TOOL], **more)
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]
    assert ("get_weather", "") == (pieces[0]["function"]["name"], pieces[0]["function"]["arguments"])
    assert len(pieces) > 2
    assert {"city": "simulated", "days": 2} == json.loads("".join(each["function"]["arguments"] for each in pieces))
    assert "tool_calls" == chunks[-1]["choices"][0]["finish_reason"]


def test_a_tool_result_is_told_back(server: Server) -> None:
    """And no further call is made, or a loop would never end."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "get_weather"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    assert "The tool returned:\n\n> 21 degrees" in said(server, messages, tools=[TOOL], tool_choice="required")


def test_json_is_asked_for_and_json_comes(server: Server) -> None:
    """Marked as simulated wherever the schema lets it."""
    assert {"simulated": True} == json.loads(said(server, response_format={"type": "json_object"}))
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "additionalProperties": False}
    wish = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert {"age": 1} == json.loads(said(server, response_format=wish))


SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 12},
            "age": {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
            "day": {"type": "string", "format": "date"},
            "child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "required": ["name", "age", "tags", "day", "child"],
    },
    {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"], "type": "object"}], "required": ["a"]},
    {"$ref": "#/$defs/p", "$defs": {"p": {"type": "object", "properties": {"x": {"type": ["string", "null"]}}}}},
    {"type": "array", "items": {"oneOf": [{"type": "object", "properties": {"k": {"const": 7}}, "required": ["k"]}]}},
    {
        "type": "object",
        "required": ["t"],
        "properties": {"t": {"$ref": "#/$defs/t"}},
        "$defs": {
            "t": {"type": "object", "required": ["l"], "properties": {"l": {"items": {"$ref": "#/$defs/t"}}}},
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_json_satisfies_its_schema(server: Server, schema: dict[str, Any]) -> None:
    """Also with references, bounds, unions, and schemas that contain themselves."""
    wish = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    Draft202012Validator(schema).validate(json.loads(said(server, response_format=wish)))


def test_a_picture_model_draws_when_asked(server: Server) -> None:
    """A real PNG that says SIMULATED."""
    found = whole(server, model="google/gemini-2.5-flash-image", modalities=["image", "text"])
    url = found["choices"][0]["message"]["images"][0]["image_url"]["url"]
    assert base64.b64decode(url.split(",")[1]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("~anthropic/claude-haiku-latest", "anthropic/claude-4.5-haiku-20251001"),
        ("openai/gpt-5-mini:nitro", "openai/gpt-5-mini-2025-08-07"),
        ("openai/gpt-5-mini@preset/calm", "openai/gpt-5-mini-2025-08-07"),
        ("openai/gpt-5-mini-2025-08-07", "openai/gpt-5-mini-2025-08-07"),
        ("meta-llama/llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
        ("openrouter/auto", "openai/gpt-5-mini-2025-08-07"),
        ("@preset/calm", "openai/gpt-4o-mini"),
    ],
)
def test_aliases_suffixes_and_routers_resolve(server: Server, asked: str, served: str) -> None:
    """The served model is named by its canonical slug, as OpenRouter does."""
    assert served == whole(server, model=asked)["model"]


def test_a_free_model_costs_nothing(server: Server) -> None:
    """Zero is a known cost."""
    assert 0 == whole(server, model="meta-llama/llama-3.3-70b-instruct:free")["usage"]["cost"]


def test_the_next_model_answers_when_the_first_one_fails(server: Server) -> None:
    """OpenRouter falls back by itself, and names the model that answered."""
    models = ["offline/error-503", "no/such-model", "openai/gpt-4o-mini"]
    assert "openai/gpt-4o-mini" == whole(server, model="offline/error-429", models=models)["model"]


@pytest.mark.parametrize(
    ("body", "status", "message", "kind"),
    [
        ({"model": "x/y"}, 400, "x/y is not a valid model ID", "invalid_request"),
        ({"messages": []}, 400, 'Input required: specify "messages"', "invalid_request"),
        ({"temperature": 3}, 400, "temperature has to be a number from 0 to 2", "invalid_request"),
        ({"messages": [{"role": "king", "content": ""}]}, 400, "messages[0]: role is missing", "invalid_request"),
        (
            {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            400,
            "messages[0]: content part",
            "invalid_request",
        ),
        (
            {"messages": [{"role": "user", "content": "a " * 450_000}]},
            400,
            "This endpoint's maximum",
            "context_length_exceeded",
        ),
        (
            {"messages": part("image_url", url="data:image/png;base64,%%%")},
            400,
            "A content part cannot",
            "invalid_image",
        ),
        (
            {"model": "deepseek/deepseek-v4-pro", "messages": part("image_url", url="https://example.com/a.png")},
            404,
            "No endpoints found that support image input",
            "not_found",
        ),
        ({"modalities": ["image", "text"]}, 404, "No endpoints found that support the requested output", "not_found"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    server: Server, body: dict[str, Any], status: int, message: str, kind: str
) -> None:
    """With the status, the words and the error type that OpenRouter uses."""
    found = refused(server, **body)
    assert (status, kind) == (found[0], found[2])
    assert found[1].startswith(message)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000, *MALFORMED])
def test_a_body_that_is_no_request_is_refused(server: Server, data: bytes) -> None:
    """Whatever arrives, the server answers and lives on."""
    assert 400 == post(server, data)[0]
    assert whole(server)


def test_text_of_every_kind_comes_back_whole(server: Server) -> None:
    """Emoji, lone surrogates, control characters and marks that look like the server's own."""
    for text in ("👩🏽‍💻 naïve 日本語", "\ud83d alone", "a\0b\x1b[0m", "x" * 599, "tabs\tand \u2028 lines"):
        assert text == said(server, text, model="offline/echo")


def test_a_key_is_neither_needed_nor_kept(server: Server) -> None:
    """Only `offline/echo-key` says it back, because that is its purpose."""
    body = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    canary = "canary-" + os.urandom(8).hex()
    _, headers, data = post(server, body, Authorization=f"Bearer {canary}")
    told = post(server, {**body, "model": "offline/echo-key"}, Authorization=f"Bearer {canary}")[2]
    assert canary in told.decode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/offline/ledger")
    ledger = connection.getresponse().read()
    connection.close()
    assert canary not in f"{headers}{data!r}{ledger!r}{server.billed()}{vars(server._simulator)}"
