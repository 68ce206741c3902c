"""Conversations through a session: what is sent, what is kept, the context window, threads, recorded traffic."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, Field

from or_magic.api import Session
from or_magic.content import Image, Text, ToolResult
from or_magic.conversation import Conversation
from or_magic.errors import (
    ChatError,
    ContextError,
    OptionError,
    OverBudget,
    RefusedError,
    SchemaMismatchError,
    TruncatedError,
)
from or_magic.events import Notice
from or_magic.features import chat_files
from or_magic.values import Message

from ..world.fixtures import Connect
from ..world.kit import Asked, RawServer, png, response, rows

MODEL = "openai/gpt-5-mini"
SMALL = "mistralai/voxtral-small-24b-2507"  # reads 32,000 tokens
ANNOTATION = {"type": "file", "file": {"hash": "h", "name": "a.pdf", "content": [{"type": "text", "text": "read"}]}}
THOUGHT = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}


class Script:
    """Answers with messages, one after the other."""

    def __init__(self, *messages: dict[str, Any], usage: dict[str, Any] | None = None) -> None:
        self.messages = list(messages)
        self.usage = usage

    def __call__(self, sock: socket.socket, asked: Asked) -> None:
        message = self.messages.pop(0) if self.messages else {"content": "Fine."}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
        body = {"id": "gen-1", "model": "m", "choices": [choice], "usage": self.usage or {"cost": 0.25}}
        sock.sendall(response(json.dumps(body).encode()))


def bodies(server: RawServer) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in server.asked if asked.line.startswith("POST")]


def roles(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


@pytest.fixture(scope="module")
def chat_request(shared: Path) -> Any:
    """The official schema of a chat request."""
    import yaml

    spec = yaml.load((shared / "openrouter" / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    schema = {"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_every_part_goes_back_in_a_body_of_the_official_schema(open_session: Connect, chat_request: Any) -> None:
    """A PDF that was read is not paid again, thoughts go to who had them, and a call without its result to nobody."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    first = {"content": "A PDF.", "annotations": [ANNOTATION], "reasoning_details": [THOUGHT], "tool_calls": [call]}
    with RawServer(Script(first, {"content": "A picture.", "images": [picture]})) as server:
        chat = open_session(base_url=server.url).chat("x")
        options: Any = {"no_stream": True, "model": "a/one"}
        chat.ask([b"%PDF-1.7 x", "What is this?"], system="Be brief.", **options)
        chat.ask(["And this?", png(), Image(url="https://x.example/a.png")], **options)
        chat.ask("Well?", **options)
        chat.ask("And you?", no_stream=True, model="b/two")
        sent = bodies(server)
    for body in sent:
        assert [] == [error.message for error in chat_request.iter_errors(body)]
    assert ["system", "user", "assistant", "user", "assistant", "user"] == roles(sent[2])
    told = sent[2]["messages"][2]
    assert ([ANNOTATION], [THOUGHT], None) == (
        told["annotations"], told["reasoning_details"], told.get("tool_calls")
    )  # fmt: skip
    assert [picture] == sent[2]["messages"][4]["images"]
    assert "reasoning_details" not in sent[3]["messages"][2]
    assert sent[0]["messages"][1] == sent[3]["messages"][1]


def test_a_recorded_conversation_is_sent_as_it_was(open_session: Connect, shared: Path) -> None:
    """Three questions and the answers that OpenRouter gave: chatlas 0.15, in December 2025."""
    folder = shared / "openrouter" / "recorded"
    recorded = [json.loads((folder / f"chatlas-data-extraction.{n}.request.json").read_text()) for n in (1, 2, 3)]
    answers = [(folder / f"chatlas-data-extraction.{n}.json").read_bytes() for n in (1, 2, 3)]

    def replay(sock: socket.socket, asked: Asked) -> None:
        sock.sendall(response(answers.pop(0)))

    with RawServer(replay) as server:
        chat = open_session(base_url=server.url).chat("x")
        for body in recorded:
            others = {name: value for name, value in body.items() if name in ("response_format", "seed")}
            question = body["messages"][-1]["content"][0]["text"]
            chat.ask(question, model=body["model"], params=others, no_stream=True)
        sent = bodies(server)
    assert [_plain(body["messages"]) for body in recorded] == [_plain(body["messages"]) for body in sent]
    assert [95, 50, 9] == [turn.question_tokens for turn in chat.turns]
    assert [15, 15, 10] == [turn.answer_tokens for turn in chat.turns]
    assert all(turn.counted for turn in chat.turns)


def _plain(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return roles and words: one text part and a text are the same to the gateway."""
    return [(m["role"], m["content"] if isinstance(m["content"], str) else m["content"][0]["text"]) for m in messages]


def test_a_system_prompt_is_first_once_and_kept_until_it_is_changed(open_session: Connect) -> None:
    """An empty one ends it; beginning anew forgets it."""
    steps: list[tuple[dict[str, Any], str | None]] = [
        ({"system": "A"}, "A"), ({}, "A"), ({"system": "B"}, "B"), ({}, "B"), ({"system": ""}, None), ({}, None),
        ({"system": "C"}, "C"), ({"new": True}, None), ({}, None),
    ]  # fmt: skip
    with RawServer(Script()) as server:
        chat = open_session(base_url=server.url).chat("x")
        for options, _ in steps:
            chat.ask("Go on.", model="a/b", no_stream=True, **options)
        for body, (_, system) in zip(bodies(server), steps, strict=True):
            told = [message["content"] for message in body["messages"] if message["role"] == "system"]
            assert ([system] if system else []) == told
            assert system is None or "system" == roles(body)[0]


def test_what_broke_off_is_kept_and_not_sent(offline: Session) -> None:
    """Marked, with its words, and out of the context."""
    chat = offline.chat("x")
    chat.ask("one", model=MODEL)
    with pytest.raises(TruncatedError):
        chat.ask("two", model="offline/cut")
    with closing(chat.stream("three", model=MODEL)) as stream:
        next(stream)
    with pytest.raises(RefusedError):
        chat.ask("four", model="offline/error-400")
    assert "1 earlier answer came with it" in chat.ask("five", model=MODEL).text
    assert [("one", "ok"), ("two", "partial"), ("three", "interrupted"), ("five", "ok")] == [
        (turn.prompt, turn.reply.status) for turn in chat.turns
    ]
    assert [True, False, False, True] == [turn.complete for turn in chat.turns]


def test_what_a_budget_stops_leaves_no_turn(offline: Session) -> None:
    """Nothing was sent."""
    chat = offline.chat("x")
    with pytest.raises(OverBudget):
        chat.ask("one", model=MODEL, budget="0.000001")
    assert () == chat.turns


def test_magic_keyword_and_object_are_one_conversation(offline: Session) -> None:
    """By name; other names and other sessions are others."""
    offline.ask("one", chat="x", model=MODEL)
    assert "1 earlier answer" in offline.chat("x").ask("two", model=MODEL).text
    assert "earlier" not in offline.chat("y").ask("two", model=MODEL).text
    asyncio.run(offline.aask("three", chat="x", model=MODEL))
    assert ["one", "two", "three"] == [turn.prompt for turn in offline.chat("x").turns]
    assert ["x", "x", "y", "x"] == [row["chat"] for row in rows(offline)]
    assert 3 == offline.tracker.summary(by="chat").loc["x", "calls"]


def test_the_books_add_up_over_the_turns(offline: Session) -> None:
    """Tokens of past turns are those that were counted: the next prompt is their sum and the question."""
    chat = offline.chat("x")
    for words in ("one", "two", "three", "four"):
        reply = chat.ask(words, model=MODEL)
        assert reply.usage is not None
        assert reply.usage.prompt_tokens == sum(turn.tokens for turn in chat.turns) - chat.turns[-1].answer_tokens


def _filled(session: Session, **options: Any) -> Any:
    """Return a conversation of four turns that take 24,000 tokens, as the simulator counts them."""
    chat = session.chat("long", **options)
    for number in range(4):
        chat.ask(f"turn {number} " + "word " * 5_900, model=SMALL, max_tokens=40)
    return chat


def test_a_conversation_that_is_too_long_is_stopped_before_it_is_sent(offline: Session) -> None:
    """The error says how long it is and what helps, and there is no row."""
    chat = _filled(offline)
    count = len(rows(offline))
    with pytest.raises(ContextError, match="drop-oldest") as caught:
        chat.ask("word " * 8_000, model=SMALL, max_tokens=2_000)
    assert caught.value.tokens > caught.value.limit_tokens == 30_000
    assert (count, 4) == (len(rows(offline)), len(chat.turns))
    assert "4 earlier answers" in chat.ask("word " * 8_000, model=MODEL).text  # a model that reads more


def test_the_oldest_turns_are_dropped_if_that_is_the_policy(open_session: Connect) -> None:
    """System and pinned turns stay; what was dropped is said, kept, and shown by a dry run."""
    session = open_session(offline=True, context_policy="drop-oldest")
    chat = session.chat("long")
    chat.ask("turn 0 " + "word " * 5_900, model=SMALL, max_tokens=40, system="Be brief.")
    for number in range(1, 4):
        chat.ask(f"turn {number} " + "word " * 5_900, model=SMALL, max_tokens=40)
    chat.pin(1)
    with chat.stream("word " * 8_000, model=SMALL, max_tokens=2_000) as stream:
        notices = [event.text for event in stream if isinstance(event, Notice) and event.reason == "context"]
    assert ["1 oldest turn left out: mistralai/voxtral-small-24b-2507 reads 32,000 tokens"] == notices
    assert "3 earlier answers" in stream.reply.text
    assert "1 system" in stream.reply.text
    assert 5 == len(chat.turns)
    from or_magic.options import Options

    preview = session.engine.preview("hello " * 8_000, Options(chat="long", model=SMALL))
    assert "left out" in preview.notes[0]
    assert any("turn 0" in str(message.parts) for message in preview.request.messages)
    assert not any("turn 1" in str(message.parts) for message in preview.request.messages)


def test_the_gateway_compresses_if_that_is_the_policy(open_session: Connect, chat_request: Any) -> None:
    """By its plugin, which a user's own word about it overrules."""
    session = open_session(offline=True)
    from or_magic.options import Options

    chat = _filled(session, policy="compress")
    preview = session.engine.preview("word " * 16_000, Options(chat="long", model=SMALL))
    assert [{"id": "context-compression"}] == preview.body["plugins"]
    assert [] == [error.message for error in chat_request.iter_errors(dict(preview.body))]
    assert "leaves out the middle" in preview.notes[0]
    told = {"plugins": [{"id": "context-compression", "enabled": False}, {"id": "response-healing"}]}
    body = session.engine.preview("hi", Options(chat="long", model=SMALL, params=told)).body
    assert told["plugins"] == body["plugins"]
    assert "compress" == chat.policy


def test_an_unknown_model_is_not_checked(offline: Session) -> None:
    """Catalogues lag behind: the gateway says what it cannot read."""
    chat = _filled(offline)
    assert "4 earlier answers" in chat.ask("word " * 9_000, model="offline/plain").text


def test_a_typed_question_is_kept_as_it_was_asked(offline: Session) -> None:
    """How one answer is wanted is no part of what later turns are told; the data are."""
    chat = offline.chat("x")
    assert "name" in chat.ask("Who?", model=MODEL, schema="name, age int").data
    from or_magic.options import Options

    body = offline.engine.preview("And now?", Options(chat="x", model=MODEL)).body
    assert "response_format" not in body
    assert ["Who?", chat.turns[0].reply.text, "And now?"] == [message["content"] for message in body["messages"]]


def test_threads_share_a_conversation_in_whole_turns(offline: Session) -> None:
    """In the order in which they finish; none is lost and none is torn."""
    chat = offline.chat("x")
    chat.ask("first", model=MODEL)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: chat.ask(f"question {n}", model=MODEL), range(24)))
    assert 25 == len(chat.turns)
    assert all(turn.prompt in turn.reply.text for turn in chat.turns)
    assert {reply.call_id for reply in replies} == {turn.reply.call_id for turn in chat.turns[1:]}


def test_a_thread_is_no_part_of_the_cell_that_happens_to_run(offline: Session) -> None:
    """It may outlive its cell: its turns are appended, and replace nobody's."""
    from or_magic.engine.execution import begin, execution

    begin("cell", "request")
    try:
        thread = threading.Thread(target=lambda: offline.ask("beside", chat="x", model=MODEL))
        thread.start()
        thread.join()
        offline.ask("mine", chat="x", model=MODEL)
    finally:
        execution.set(None)
    assert [("beside", None), ("mine", "cell")] == [
        (turn.prompt, turn.key and turn.key.cell) for turn in offline.chat("x").turns
    ]


def test_a_conversation_goes_on_from_its_file(offline: Session, open_session: Connect, tmp_path: Path) -> None:
    """In another session, without a loss; nothing is written or loaded over without a word."""
    chat = offline.chat("x")
    chat.ask(["one", png()], model=MODEL)
    chat.ask("two", model=MODEL)
    saved = chat.save(tmp_path / "talk.json")
    other = open_session(offline=True).chat("y")
    assert 2 == other.load(saved)
    assert chat.turns == other.turns
    assert "2 earlier answers" in other.ask("three", model=MODEL).text
    for refused in (lambda: chat.save(saved), lambda: other.load(saved)):
        with pytest.raises(ChatError, match="overwrite"):
            refused()
    assert 2 == other.load(saved, overwrite=True)
    assert saved == chat.save(saved, overwrite=True)
    assert [saved.name] == [each.name for each in tmp_path.iterdir() if each.is_file()]
    assert 2 == chat.reset() == 2 - len(chat.turns)


def test_an_answer_of_a_class_with_a_pattern_of_rust_is_loaded_again(offline: Session, tmp_path: Path) -> None:
    """Pydantic's patterns need not be Python's; nothing is judged by them when the answer is there."""

    class Word(BaseModel):
        letters: str = Field(pattern=r"^\p{L}*$")

    chat = offline.chat("x")
    with suppress(SchemaMismatchError):  # the simulator cannot know what fits such a pattern
        chat.ask("one", model=MODEL, schema=Word)
    assert 1 == offline.chat("y").load(chat.save(tmp_path / "talk.json"))
    assert chat.turns[0].reply.typed == offline.chat("y").turns[0].reply.typed


def test_what_could_not_be_loaded_again_is_not_saved(
    offline: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better to know it while the conversation is there than when the file is all that is left."""
    chat = offline.chat("x")
    chat.ask("one", model=MODEL)
    asked = (Message("user", (Text("one"), ToolResult("id", "3 degrees"))),)
    offline.engine.asking.chats.change("x", lambda held: Conversation((replace(held.turns[0], question=asked),)))
    with pytest.raises(ChatError, match=r"no file can keep: turn 1: .* nobody called\. Nothing was written"):
        chat.save(tmp_path / "talk.json")
    whole = offline.chat("y")
    whole.ask("one", model=MODEL)
    monkeypatch.setattr(chat_files, "_MOST_BYTES", 100)
    with pytest.raises(ChatError, match=r"are loaded again\. Nothing was written"):
        whole.save(tmp_path / "talk.json")
    assert [] == [each.name for each in tmp_path.iterdir() if each.is_file()]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda chat, path: chat.export(path / "a.txt"), "no format"),
        (lambda chat, path: chat.save(path / "a.md"), "does not end in .json"),
        (lambda chat, path: chat.export(path / "none" / "a.md"), "cannot be written"),
        (lambda chat, path: chat.load(path / "none.json"), "cannot be loaded"),
        (lambda chat, path: chat.pin(1), "no turn 1"),
    ],
)
def test_what_cannot_be_done_says_so(offline: Session, tmp_path: Path, wrong: Any, words: str) -> None:
    """And does nothing."""
    with pytest.raises(ChatError, match=words):
        wrong(offline.chat("x"), tmp_path)


def test_names_policies_and_keywords_are_checked(offline: Session, open_session: Connect) -> None:
    """The closest is named, and nothing was sent."""
    for wrong in ("", " ", "two\nlines"):
        with pytest.raises(OptionError):
            offline.chat(wrong)
        with pytest.raises(OptionError):
            offline.ask("hi", chat=wrong)
    with pytest.raises(OptionError, match="drop-oldest"):
        offline.chat("x", policy="drop-oldst")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="another conversation"):
        offline.chat("x").ask("hi", chat="y")
    with pytest.raises(OptionError, match="none is named"):
        offline.ask("hi", new=True)


def test_a_chat_draws_itself(offline: Session) -> None:
    """As Markdown in a notebook, as one line where somebody prints it by accident."""
    chat = offline.chat("<b>x</b>")
    chat.ask("one <script>", model=MODEL)
    assert "\n" not in repr(chat)
    assert "1 turn" in repr(chat)
    assert "▸ one <script>" in str(chat)
    assert "<b>" not in chat._repr_markdown_()
    assert "<script>" not in chat._repr_markdown_()


def test_what_the_gateway_finds_too_long_says_what_to_do(offline: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit is an estimate: what it lets pass near the limit the gateway refuses, for nothing."""
    monkeypatch.setattr("or_magic.engine.chat.estimate_tokens", lambda _: 1)
    with pytest.raises(RefusedError) as caught:
        offline.chat("x").ask("One word after the other. " * 12_000, model=SMALL)
    for words in ("maximum context length", "%or chat cut", "context_policy drop-oldest", "--new", "reads more"):
        assert words in str(caught.value)
    (row,) = rows(offline)
    assert ("refused", 0) == (row["status"], row["cost_pico"])
    assert () == offline.chat("x").turns
    with pytest.raises(RefusedError) as alone:
        offline.ask("One word after the other. " * 12_000, model=SMALL)
    assert "reads more" in str(alone.value)
    assert "--new" not in str(alone.value)
