"""Encoding: the body is the published schema's, keeps what must go back unchanged, and obeys the user's own fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.content import (
    Audio,
    Citation,
    File,
    Image,
    ParsedFile,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from or_magic.protocol.accumulate import Accumulation
from or_magic.protocol.encode import encode
from or_magic.values import Message, Request

from .streams import read, say, sse

Validate = Callable[[dict[str, Any]], None]
MODEL = "anthropic/claude-sonnet-4.6"
DETAIL = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "format": None, "index": 0}
ANNOTATION = {"type": "file", "file": {"hash": "h", "name": "n", "content": [{"type": "text", "text": "t"}]}}


@pytest.fixture(scope="session")
def validate(shared: Path) -> Validate:
    """A function that raises where a body is not a ChatRequest of the official spec."""
    import jsonschema
    import yaml

    spec = yaml.load((shared / "openrouter/openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    schema = {"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]}
    return jsonschema.Draft202012Validator(schema).validate


def _request(*messages: Message, model: str = MODEL, stream: bool = True, **params: Any) -> Request:
    return Request(model, messages or (Message("user", (Text("hi"),)),), params, stream)


def _sent(request: Request) -> dict[str, Any]:
    """Return the body as it goes over the wire; what JSON cannot say fails here."""
    told: dict[str, Any] = json.loads(json.dumps(encode(request)))
    return told


USER_PARTS: dict[str, tuple[Part, ...]] = {
    "text": (Text("hi"),),
    "texts": (Text("a"), Text("b")),
    "picture by link": (Text("see"), Image(url="https://x/y.png")),
    "picture by bytes": (Image(data=b"\x89PNG", media_type="image/png"), Text("see")),
    "document by link": (File("a.pdf", url="https://x/a.pdf"), Text("read")),
    "document by bytes": (File("a.pdf", data=b"%PDF"), Text("read")),
    "sound": (Text("hear"), Audio(base64="UklGRg==", format="wav")),
    "video by link": (Text("watch"), Video(url="https://x/v.mp4")),
    "video by bytes": (Text("watch"), Video(data=b"\0\0", media_type="video/webm")),
    "everything": (
        Text("a"),
        Image(url="https://x"),
        Text("b"),
        File(data=b"x"),
        Audio("AA==", "mp3"),
        Video(url="https://v"),
    ),
    "nothing": (),
    "blank": (Text(""),),
}
ASSISTANT_PARTS: dict[str, tuple[Part, ...]] = {
    "text": (Text("hi"),),
    "thoughts": (Reasoning("hm", (DETAIL, ENCRYPTED), MODEL), Text("hi")),
    "a call": (ToolCall(0, "call_1", "f", '{"a": 1}'),),
    "a call without arguments": (ToolCall(0, "call_1", "f", ""),),
    "a call without id": (ToolCall(0, None, "f", "{}"),),
    "text and calls": (Text("let me see"), ToolCall(0, "call_1", "f", "{}"), ToolCall(1, "call_2", "g", "{}")),
    "citations": (Text("hi"), Citation("https://a", "A", "content", 0, 1), Citation("https://b")),
    "a parsed file": (Text("hi"), ParsedFile(ANNOTATION)),
    "a picture it made": (Text("here"), Image(data=b"\x89PNG")),
    "sound it made": (Audio(base64="AAAA", transcript="hello", id="audio_1"),),
    "a refusal": (Text("no", refusal=True),),
    "nothing": (),
}


@pytest.mark.parametrize("name", USER_PARTS)
def test_a_question_of_any_parts_is_valid(validate: Validate, name: str) -> None:
    """By the official schema."""
    validate(_sent(_request(Message("system", (Text("be brief"),)), Message("user", USER_PARTS[name]))))


@pytest.mark.parametrize("name", ASSISTANT_PARTS)
def test_an_answer_of_any_parts_goes_back_valid(validate: Validate, name: str) -> None:
    """By the official schema: each reply becomes a turn of a chat."""
    turns = (
        Message("user", (Text("hi"),)),
        Message("assistant", ASSISTANT_PARTS[name]),
        Message("user", (Text("go on"),)),
    )
    validate(_sent(_request(*turns)))


def test_a_round_of_tools_is_valid(validate: Validate) -> None:
    """Calls, then a message for each result."""
    calls = (ToolCall(0, "call_1", "f", "{}"), ToolCall(1, "call_2", "g", '{"a": 1}'))
    results = Message("tool", (ToolResult("call_1", "one"), ToolResult("call_2", "")))
    body = _sent(_request(Message("user", (Text("hi"),)), Message("assistant", calls), results))
    validate(body)
    assert ["user", "assistant", "tool", "tool"] == [message["role"] for message in body["messages"]]
    assert [("call_1", "one"), ("call_2", "")] == [(m["tool_call_id"], m["content"]) for m in body["messages"][2:]]
    assert ["call_1", "call_2"] == [call["id"] for call in body["messages"][1]["tool_calls"]]
    assert ["{}", '{"a": 1}'] == [call["function"]["arguments"] for call in body["messages"][1]["tool_calls"]]


def test_words_beside_results_are_not_lost() -> None:
    """A message that holds both is two on the wire."""
    parts = (ToolResult("call_1", "one"), Text("and now in French"))
    body = _sent(_request(Message("user", parts)))
    assert ["tool", "user"] == [message["role"] for message in body["messages"]]
    assert "and now in French" == body["messages"][1]["content"]


def test_text_alone_stays_a_string_and_pictures_make_a_list_in_order() -> None:
    """Many servers read only a string; a picture stands at its very place."""
    assert "ab" == _sent(_request(Message("user", USER_PARTS["texts"])))["messages"][0]["content"]
    content = _sent(_request(Message("user", USER_PARTS["everything"])))["messages"][0]["content"]
    assert ["text", "image_url", "text", "file", "input_audio", "video_url"] == [part["type"] for part in content]


def test_params_win_over_what_we_add() -> None:
    """What the user says is what is sent."""
    body = _sent(_request(temperature=0.2, stream_options={"x": 1}, model="a/b", provider={"sort": "price"}))
    assert (0.2, {"x": 1}, "a/b", {"sort": "price"}) == tuple(
        body[name] for name in ("temperature", "stream_options", "model", "provider")
    )
    assert {"model", "messages", "stream", "stream_options"} == set(_sent(_request()))


def test_a_whole_answer_is_asked_for_without_stream_options() -> None:
    """OpenAI refuses them there."""
    body = _sent(_request(stream=False))
    assert body["stream"] is False
    assert "stream_options" not in body


def test_encoding_changes_no_argument() -> None:
    """The same request is sent again by retry, and kept by the chat."""
    params = {"provider": {"order": ["a"]}}
    request = _request(Message("assistant", ASSISTANT_PARTS["thoughts"]), **params)
    before = repr(request)
    body = encode(request)
    body["provider"]["order"] = "changed" if body is None else ["a"]
    body["messages"][0]["reasoning_details"][0] = {}
    assert before == repr(request)


# --- what must go back unchanged ---------------------------------------------------------------------------------


def test_reasoning_goes_back_in_order_and_unmodified_to_the_model_that_made_it() -> None:
    """A signature is made over these bytes."""
    body = _sent(_request(Message("assistant", ASSISTANT_PARTS["thoughts"])))
    assert [DETAIL, ENCRYPTED] == body["messages"][0]["reasoning_details"]
    assert list(DETAIL) == list(body["messages"][0]["reasoning_details"][0])


def test_reasoning_does_not_go_to_another_model() -> None:
    """It may be refused there, and it is nobody else's business."""
    body = _sent(_request(Message("assistant", ASSISTANT_PARTS["thoughts"]), model="openai/gpt-5"))
    assert {"role": "assistant", "content": "hi"} == body["messages"][0]


def test_reasoning_goes_back_although_the_served_name_differs_from_the_asked_one() -> None:
    """WIRE §4: claude-sonnet-4.6 answers as claude-4.6-sonnet-20260217; a tool round needs its thoughts."""
    chunk = say("", reasoning_details=[DETAIL]) | {"model": "anthropic/claude-4.6-sonnet-20260217"}
    accumulation = Accumulation("openrouter", "c", model_requested=MODEL)
    told = read(sse(chunk, say("a", finish="stop") | {"model": "anthropic/claude-4.6-sonnet-20260217"}))
    for item in (*told.events, told.closed):
        accumulation.add(item)
    reply = accumulation.reply()
    assert "anthropic/claude-4.6-sonnet-20260217" == reply.model
    body = _sent(_request(Message("assistant", reply.parts)))
    assert [DETAIL] == body["messages"][0]["reasoning_details"]


def test_fractions_inside_details_and_annotations_go_back_as_numbers(validate: Validate) -> None:
    """They are read as Decimal, which JSON cannot write."""
    detail = DETAIL | {"confidence": 0.75, "deep": [{"x": 1.5}]}
    annotation = {"type": "file", "file": ANNOTATION["file"] | {"score": 0.5}}
    told = read(sse(say("a", reasoning_details=[detail], annotations=[annotation]), say("", finish="stop"))).reply
    body = _sent(Request("some/model-2026", (Message("assistant", told.parts),)))
    assert [detail] == body["messages"][0]["reasoning_details"]
    assert [annotation] == body["messages"][0]["annotations"]
    assert not any(
        isinstance(value, str) and value == "0.75" for value in body["messages"][0]["reasoning_details"][0].values()
    )
    assert Decimal("0.75") == Decimal(str(body["messages"][0]["reasoning_details"][0]["confidence"]))


def test_a_parsed_file_goes_back_exactly() -> None:
    """It spares paying for the same document again."""
    body = _sent(_request(Message("assistant", ASSISTANT_PARTS["a parsed file"])))
    assert [ANNOTATION] == body["messages"][0]["annotations"]


def test_citations_do_not_go_back() -> None:
    """Whole pages would be paid for again as prompt."""
    body = _sent(_request(Message("assistant", ASSISTANT_PARTS["citations"])))
    assert {"role": "assistant", "content": "hi"} == body["messages"][0]


def test_what_the_model_thought_is_not_sent_in_a_users_turn() -> None:
    """Parts of an answer that landed in a question are no content of it."""
    parts = (Text("hi"), Reasoning("hm", (DETAIL,), MODEL), ToolCall(0, "c", "f", "{}"), ParsedFile(ANNOTATION))
    assert [{"role": "user", "content": "hi"}] == _sent(_request(Message("user", parts)))["messages"]


# --- recorded requests -------------------------------------------------------------------------------------------


def _recorded_requests(shared: Path) -> list[tuple[str, dict[str, Any]]]:
    folder = shared / "openrouter/recorded"
    bodies = [(path.name, json.loads(path.read_bytes())) for path in sorted(folder.glob("*.request.json"))]
    return [(name, body) for name, body in bodies if "messages" in body]


def _part(told: dict[str, Any]) -> Part:
    """Return our part for a recorded one."""
    kind = told["type"]
    if kind == "text":
        return Text(told["text"])
    if kind == "image_url":
        return Image(url=told["image_url"]["url"])
    if kind == "file":
        return File(told["file"]["filename"], url=told["file"]["file_data"])
    assert kind == "video_url"
    return Video(url=told["video_url"]["url"])


def _message(told: dict[str, Any]) -> Message:
    content = told.get("content")
    parts: list[Part] = [Text(content)] if isinstance(content, str) else [_part(item) for item in content or []]
    if told["role"] == "tool":
        text = content if isinstance(content, str) else "".join(item["text"] for item in content)
        return Message("tool", (ToolResult(told["tool_call_id"], text),))
    calls = told.get("tool_calls") or []
    parts += [ToolCall(i, c["id"], c["function"]["name"], c["function"]["arguments"]) for i, c in enumerate(calls)]
    return Message(told["role"], tuple(parts))


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message in one spelling: text as one string, no empty fields, no cache marks, calls in one order."""
    content = message.get("content")
    if isinstance(content, list) and all(part["type"] == "text" for part in content):
        content = "".join(part["text"] for part in content)
    calls = [{"id": c["id"], "function": c["function"], "type": "function"} for c in message.get("tool_calls") or []]
    plain = {
        "role": message["role"],
        "content": content or "",
        "tool_call_id": message.get("tool_call_id"),
        "tool_calls": calls,
    }
    return {key: value for key, value in plain.items() if value not in (None, [])}


def test_recorded_requests_are_what_we_would_send(shared: Path) -> None:
    """Real clients' bodies, rebuilt from our values."""
    compared = 0
    for name, body in _recorded_requests(shared):
        params = {key: value for key, value in body.items() if key not in ("model", "messages", "stream")}
        request = Request(body["model"], tuple(map(_message, body["messages"])), params, body["stream"])
        ours = _sent(request)
        assert [_plain(message) for message in body["messages"]] == [_plain(message) for message in ours["messages"]], (
            name
        )
        rest = {key: value for key, value in ours.items() if key != "messages"}
        assert {key: value for key, value in body.items() if key != "messages"} | {"stream_options": None} == rest | {
            "stream_options": None
        }, name
        compared += 1
    assert compared > 30


def test_what_the_model_made_goes_back_in_its_own_fields() -> None:
    """The schema has ``images`` and ``audio`` for an assistant's turn; its content is words."""
    parts = (
        Text("here"),
        Image(data=b"\x89PNG\r"),
        Image(url="https://x"),
        Audio("AAAA", transcript="hello", id="audio_1"),
    )
    (message,) = _sent(_request(Message("assistant", parts)))["messages"]
    assert "here" == message["content"]
    assert ["data:image/png;base64,iVBORw0=", "https://x"] == [image["image_url"]["url"] for image in message["images"]]
    assert "audio_1" == message["audio"]["id"]
