"""R9, R30: the Big List of Naughty Strings in every field that holds a text: it arrives as it is, or is refused by name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from or_magic import media
from or_magic.api import Session
from or_magic.config_file import read_config, write_preset
from or_magic.content import File, Text
from or_magic.errors import MediaError, OptionError, OrMagicError
from or_magic.media import part_of
from or_magic.options import Options, format_line, from_keywords, parse_line
from or_magic.options.presets import check_name
from or_magic.schema import read, schema_of, wire

from ..protocol.streams import read as decoded
from ..protocol.streams import say, sse
from ..suites import naughty_strings
from ..world.fixtures import Connect
from ..world.kit import RawServer, rows, streamed


@pytest.fixture(scope="module")
def naughty() -> list[str]:
    found = naughty_strings()
    assert 485 == len(found)
    return list(dict.fromkeys(found))  # a few are in it twice


PLAIN = from_keywords({"model": "offline/plain"})


def body(session: Session, prompt: Any, **keywords: Any) -> dict[str, Any]:
    """What would be sent."""
    return json.loads(json.dumps(session.engine.preview(prompt, from_keywords(keywords)).body))


def test_as_a_prompt_and_a_system_prompt(offline: Session, naughty: list[str]) -> None:
    """Unchanged; one without a visible letter is no question."""
    for text in naughty:
        told = body(offline, ["Say: ", text], system=text, model="offline/plain")
        question = told["messages"][-1]["content"]
        said = question if isinstance(question, str) else "".join([part["text"] for part in question])
        assert (f"Say: {text}", text) == (said, told["messages"][0]["content"])


def test_as_an_answer(offline: Session, naughty: list[str]) -> None:
    """All at once and one below the other: over the wire, decoded, accumulated."""
    whole = "\n".join(naughty)
    assert whole == offline.ask(whole, model="offline/echo").text


def test_as_the_value_of_a_template_variable(offline: Session, naughty: list[str]) -> None:
    """Never expanded again, never read as a file."""
    for text in naughty:
        told = offline.engine.preview("<{{ x }}>", PLAIN, values={"x": text}).body
        assert f"<{text}>" == told["messages"][-1]["content"]


def test_as_an_expression(offline: Session, naughty: list[str]) -> None:
    """Within the braces it is the user's own Python: what is none is named before anything is sent."""
    for text in naughty:
        with suppress(OrMagicError):  # and nobody else's exception
            offline.engine.preview(f"<{{{{ {text} }}}}>", PLAIN, values={})
    assert 0 == offline.engine.gateways.server.received()  # type: ignore[union-attr]


def test_as_a_model_and_a_tag(offline: Session, naughty: list[str]) -> None:
    """Sent as it was written: catalogues lag behind, and the gateway refuses. The row says what was asked."""
    for text in naughty:
        try:
            told = body(offline, "x", model=text)
        except OptionError as error:
            assert "Nothing was sent" in str(error), text
        else:
            assert text in (told["model"], ""), text
    tagged = [text for text in naughty if text.isprintable() and text][::10]
    for text in tagged:
        offline.ask("x", model="offline/plain", tag=text)
    assert tagged == [row["tag"] for row in rows(offline)]
    assert set(tagged) == set(offline.tracker.summary(by="tag").index)


def test_on_the_line(naughty: list[str]) -> None:
    """What is written is what is read, in every option that takes a text; a broken line is a named error."""
    for text in naughty:
        options = Options(system=text, tag=text or None, stop=(text,), attach=(text,) if text else ())
        with suppress(OptionError):
            assert options == parse_line(format_line(options)), text
        with suppress(OptionError):
            parse_line(text)


def test_as_the_name_of_a_preset(naughty: list[str], tmp_path: Path) -> None:
    """Only words; what is kept is found again, and its text with it."""
    names: list[str] = []
    kept = []
    for text in naughty:
        with suppress(OptionError):
            check_name(text)
            names.append(text)
    assert 50 <= len(names) < 300
    kept = names[::15]
    for name in kept:
        assert write_preset(tmp_path, name, {"system": naughty[-1 - names.index(name)]})
    saved = read_config(tmp_path).settings["presets"]
    assert {name: {"system": naughty[-1 - names.index(name)]} for name in kept} == saved


def test_as_the_name_of_a_conversation(offline: Session, naughty: list[str], tmp_path: Path) -> None:
    """One line that can be seen, or a named error; the file keeps it."""
    for text in naughty:
        try:
            chat = offline.chat(text)
        except OptionError as error:
            assert "not a name for a conversation" in str(error)
            continue
        assert (text, ()) == (chat.name, chat.turns)
    for text in [text for text in naughty if text.isprintable() and text.strip()][::25]:
        chat = offline.chat(text)
        chat.ask(text, model="offline/echo")
        (turn,) = chat.turns
        saved = chat.save(tmp_path / "chat.json", overwrite=True)
        again = offline.chat(f"again {text}")
        again.load(saved)
        assert [text, text] == [each.turns[0].reply.text for each in (chat, again)]
        assert turn.reply.text == text


def test_as_the_name_of_a_file(naughty: list[str], tmp_path: Path) -> None:
    """Read where a disk can have it; shown on one line, without what cannot be seen."""
    made = 0
    for text in naughty:
        if "/" in text or not text:
            continue
        path = tmp_path / text
        try:
            path.write_text("private words")
        except (OSError, ValueError):  # no name of a file
            continue
        made += 1
        try:
            part = part_of(path)
        except MediaError as error:
            assert "Nothing was sent" in str(error)
        else:
            assert isinstance(part, Text)
            head, _, rest = part.text.partition(":\n\nprivate")
            assert (" words", True, len(text)) == (rest, head.isprintable(), len(head))
        path.unlink()
    assert made >= 250


def test_as_an_attachment_on_the_line(naughty: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is there, so nothing is read, but for what the path itself leads to."""
    monkeypatch.chdir(tmp_path)
    for text in naughty:
        try:
            documents, shown = media.attached([text], lambda thing: [part_of(thing)])
        except MediaError as error:
            assert "Nothing was sent" in str(error)
            continue
        (part,) = [*documents, *shown]
        assert Path(text).is_file() or getattr(part, "url", None) == text, text
        assert isinstance(part, (Text, File)) or part.url == text  # type: ignore[union-attr]
    assert [] == os.listdir(tmp_path)


def test_as_the_name_and_the_arguments_of_a_tool(naughty: list[str]) -> None:
    """As the model wrote them; nothing is repaired, and what is no object is no call."""
    for text in naughty:
        calls = [
            {"index": 0, "id": "c", "function": {"name": text or "f", "arguments": json.dumps({text: [text]})}},
            {"index": 1, "id": "d", "function": {"name": "f", "arguments": text}},
        ]
        first, second = decoded(sse(say(None, tool_calls=calls), say("", finish="tool_calls"))).reply.tool_calls
        assert (text or "f", {text: [text]}, text) == (first.name, first.parsed(), second.arguments)
        with suppress(ValueError):
            assert {} == second.parsed()
            assert text.strip(" \t\r\n") in ("", "{}")


def test_as_a_property_of_a_schema(offline: Session, naughty: list[str]) -> None:
    """All of them in one object, and each alone; the frame has a column for each."""
    names = [text for text in naughty if text]
    every = {"type": "object", "properties": {name: {"const": name} for name in names}, "required": names}
    reply = offline.ask("x", schema=every, model="openai/gpt-5-mini")
    assert {name: name for name in names} == reply.data
    assert names == list(reply.frame().columns)
    for name in naughty:
        schema = schema_of(
            {"title": name, "type": "object", "properties": {name: {"type": "integer"}}, "required": [name]}
        )
        sent = wire(schema)
        assert ([name], False) == (list(sent.body["properties"]), sent.wrapped)
        assert {name: 1} == read(json.dumps({name: 1}), schema, wrapped=False)[0]
        assert len(schema.name) <= 64


def _streams(naughty: list[str]) -> Iterator[bytes]:
    for text in naughty:
        chunk = {"id": text, "model": text, "provider": text, "choices": [{"index": 0, "delta": {"content": "x"}}]}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"cost": text}}
        yield b"".join([b"data: " + json.dumps(each).encode() + b"\n\n" for each in (chunk, end)]) + b"data: [DONE]\n\n"


def test_as_whatever_a_gateway_says(open_session: Connect, naughty: list[str]) -> None:
    """Ids, models and providers come from elsewhere: shown inert, booked as they are, and a cost in words is no cost."""
    told = _streams(naughty[::5])
    with RawServer(lambda sock, _: sock.sendall(streamed(next(told)))) as server:
        session = open_session(base_url=server.url)
        for text in naughty[::5]:
            reply = session.ask("x", model="a/b")
            assert ("x", text or "a/b") == (reply.text, reply.model or "a/b")
            assert "<script" not in str(reply._repr_markdown_() if hasattr(reply, "_repr_markdown_") else "")
    assert len(naughty[::5]) == len(rows(session))
