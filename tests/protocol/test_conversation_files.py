"""A conversation as a file: JSON loses nothing and believes nothing; Markdown and cells are inert."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic import neutral
from or_magic.content import Audio, Citation, File, Image, ParsedFile, Reasoning, Text, ToolCall, Video
from or_magic.conversation import Conversation, Key, Turn
from or_magic.conversation.exported import markdown, notebook, text
from or_magic.conversation.stored import from_json, to_json
from or_magic.options import parse_line
from or_magic.protocol.encode import encode
from or_magic.tables import Typed
from or_magic.values import Message, Reply, Request, Total, Usage

from .payloads import payloads

WORDS = st.text(max_size=12)
SEEN = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
URLS = st.none() | SEEN.map(lambda word: f"https://x.example/{word}")
DATA = st.none() | st.binary(max_size=8)
COUNTS = st.none() | st.integers(0, 10**6)
MONEY = st.none() | st.decimals(0, 10, places=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS | st.sampled_from(["$", "$bytes"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)
SOUND = st.binary(min_size=1, max_size=8).map(lambda data: b64encode(data).decode())
PARTS = st.one_of(
    st.builds(Text, WORDS, st.booleans()),
    st.builds(Reasoning, WORDS, st.lists(OBJECTS, max_size=2).map(tuple), st.none() | WORDS),
    st.builds(Image, url=URLS, data=DATA),
    st.builds(Audio, base64=WORDS, format=st.none() | WORDS, transcript=WORDS),
    st.builds(Video, url=URLS, data=DATA),
    st.builds(File, filename=WORDS, data=DATA),
    st.builds(ParsedFile, OBJECTS),
    st.builds(Citation, WORDS, WORDS, WORDS, COUNTS, COUNTS),
    st.builds(ToolCall, COUNTS, st.none() | WORDS, st.none() | WORDS, WORDS),
)
ASKED = st.one_of(
    st.builds(Text, SEEN),
    st.builds(Image, data=st.binary(min_size=1, max_size=8)),
    st.builds(Audio, base64=SOUND, format=SEEN),
    st.builds(Video, url=st.just("https://x.example/a.mp4")),
    st.builds(File, filename=WORDS, data=st.binary(min_size=1, max_size=8)),
)
USAGES = st.builds(Usage, prompt_tokens=COUNTS, completion_tokens=COUNTS, cost_usd=MONEY)
REPLIES = st.builds(
    Reply,
    parts=st.lists(PARTS, max_size=3).map(tuple),
    usage=st.none() | USAGES,
    model=st.none() | WORDS,
    status=st.sampled_from(["ok", "interrupted", "partial", "error"]),
    latency_s=st.none() | st.floats(0, 100),
    earlier=st.builds(Total, st.decimals(0, 9, places=3), st.decimals(0, 9, places=3), st.integers(0, 3)),
)
QUESTIONS = st.lists(st.builds(Message, st.just("user"), st.tuples(ASKED)), min_size=1, max_size=2).map(tuple)
FACTS = {
    "system": st.none() | st.builds(Message, st.just("system"), st.tuples(st.builds(Text, WORDS))),
    "question_tokens": st.integers(0, 99),
    "counted": st.booleans(),
}
WHOLE = st.builds(Reply, st.tuples(st.builds(Text, SEEN), PARTS), usage=st.none() | USAGES, status=st.just("ok"))
BROKEN = st.builds(Reply, st.lists(PARTS, max_size=2).map(tuple), status=st.sampled_from(["interrupted", "error"]))


@st.composite
def turns(draw: st.DrawFn, number: int) -> Turn:
    """Return a turn as a conversation can have it at that place."""
    key = draw(st.none() | st.builds(Key, WORDS, st.just(number)))

    def run(replies: st.SearchStrategy[Reply], **more: Any) -> Turn:
        return Turn(question=draw(QUESTIONS), reply=draw(replies), key=key, **more)

    turn = run(REPLIES | WHOLE, **{name: draw(value) for name, value in FACTS.items()})
    begins = draw(st.booleans())
    stale = number > 1 and not begins and draw(st.booleans())
    versions = tuple([run(REPLIES) for _ in range(draw(st.integers(0, 1)))])
    broken = tuple([run(BROKEN) for _ in range(draw(st.integers(0, 1)))]) if turn.complete else ()
    pinned = turn.complete and draw(st.booleans())
    return replace(turn, begins=begins, stale=stale, pinned=pinned, versions=versions, broken_off=broken)


CONVERSATIONS = st.builds(
    Conversation,
    st.integers(0, 3).flatmap(lambda count: st.tuples(*[turns(number) for number in range(1, count + 1)])),
    st.none() | st.just("drop-oldest"),
)


def said(question: str, answer: str, **facts: Any) -> Turn:
    reply = Reply((Text(answer),), status="ok", model="a/b-2026", model_requested="a/b", usage=Usage(3, 4))
    return Turn(question=(Message("user", (Text(question),)),), reply=reply, **facts)


@settings(max_examples=60, deadline=None)
@given(SEEN, CONVERSATIONS)
def test_json_is_loaded_again_without_a_loss(name: str, conversation: Conversation) -> None:
    """Bytes, money, signatures of reasoning, what stood there before: all of it was paid for."""
    assert (name, conversation) == from_json(to_json(name, conversation))


def test_typed_answers_are_kept_as_json() -> None:
    """The object of a user's class cannot be; its JSON and the table of it can."""

    @dataclass
    class City:
        name: str

    value: Any = [{"name": "Oslo", "$": 1}]
    for data in (value, [City("Oslo")]):
        reply = Reply((Text("[]"),), status="ok", data=data, typed=Typed(value, {"type": "array"}))
        turn = Turn(question=(Message("user", (Text("q"),)),), reply=reply)
        loaded = from_json(to_json("x", Conversation((turn,))))[1].turns[0].reply
        assert (value, reply.typed) == (loaded.data, loaded.typed)


def test_what_no_file_can_hold_is_not_passed_over() -> None:
    """A file that lacks a part of the question would be another conversation."""
    question = (Message("user", (ParsedFile({"a": object()}),)),)
    with pytest.raises(TypeError):
        to_json("x", Conversation((Turn(question=question, reply=Reply()),)))


PICTURED = Turn(
    question=(Message("user", (Text("What is it?"), Image(data=b"x"), File(filename="a.pdf", url="https://x.example/a"))),),
    reply=Reply(
        (Text("[1]"), Reasoning("hm", ({"type": "t", "$": 1},))),
        status="ok",
        usage=Usage(3, 4, cost_usd=Decimal("0.5")),
        latency_s=0.5,
        typed=Typed([1], {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}),
        data=[1],
    ),
    key=Key("c", 2),
    system=Message("system", (Text("Be kind."),)),
    question_tokens=7,
    versions=(said("earlier", "e", key=Key("c", 2)),),
    broken_off=(Turn(question=(Message("user", (Text("?"),)),), reply=Reply(status="error"), key=Key("c", 2)),),
)  # fmt: skip
VALID = json.loads(to_json("x", Conversation((said("q", "a", key=Key("c", 1)), PICTURED), "compress")))


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in _places(each, (*at, key)))]


PLACES = [place for place in _places(VALID) if place]


def changed(place: tuple[Any, ...], how: Callable[[Any, Any], None]) -> dict[str, Any]:
    """Return the file with something done to what holds the place."""
    told: dict[str, Any] = json.loads(json.dumps(VALID))
    target: Any = told
    for key in place[:-1]:
        target = target[key]
    how(target, place[-1])
    return told


def loads_to_itself_or_is_refused(written: str) -> None:
    """Hold what every file must keep to: it is the conversation that it says, or none."""
    try:
        name, conversation = from_json(written)
    except ValueError as error:
        assert len(str(error)) < 400
        return
    assert (name, conversation) == from_json(to_json(name, conversation))
    markdown(name, conversation)
    text(name, conversation)
    notebook(name, conversation)
    for turn in conversation.turns:
        if turn.reply.typed is not None:
            turn.reply.frame()
        json.dumps(encode(Request("m", turn.messages)), allow_nan=False, ensure_ascii=False).encode()


ABSURD = st.sampled_from(
    [-1, 0, 2**53, 10**400, -0.5, 1e308, True, "", "tool", "file:///etc/passwd", "ok", "open", [], {}]
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLACES), ABSURD | JSON.filter(lambda v: not isinstance(v, Decimal)))
@example(("conversation", "turns", 0, "$"), "Settings")
@example(("conversation", "turns", 0, "reply"), {"$": "Turn"})
@example(("conversation", "turns", 1, "reply", "typed", "schema"), {"type": [{}]})
@example(("conversation", "turns", 1, "reply", "typed", "schema", "items"), {"$ref": "#/nowhere"})
def test_a_file_that_somebody_changed_is_loaded_whole_or_refused(place: tuple[Any, ...], value: Any) -> None:
    """A wrong type is named; nothing of it reaches a request, and no code of ours breaks over it."""
    told = changed(place, lambda target, key: target.__setitem__(key, value))
    loads_to_itself_or_is_refused(json.dumps(told, default=str))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from(["drop", "twice", "swap"]))
def test_what_is_moved_dropped_or_doubled_is_loaded_whole_or_refused(
    place: tuple[Any, ...], other: tuple[Any, ...], how: str
) -> None:
    """Somebody tidied the file by hand."""
    found: Any = VALID
    for key in other:
        found = found[key]

    def edit(target: Any, key: Any) -> None:
        if how == "drop":
            del target[key]
        elif how == "twice" and isinstance(target, list):
            target.append(target[key])
        else:
            target[key] = found

    loads_to_itself_or_is_refused(json.dumps(changed(place, edit)))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_text_that_was_cut_or_scribbled_on_is_loaded_whole_or_refused(data: st.DataObject) -> None:
    """An editor, a merge, a disk that was full."""
    written = json.dumps(VALID, indent=1)
    at = data.draw(st.integers(0, len(written)))
    until = data.draw(st.integers(at, min(len(written), at + 20)) | st.just(len(written)))
    loads_to_itself_or_is_refused(
        written[:at] + data.draw(WORDS | st.sampled_from(['"', "NaN", "\\ud800"])) + written[until:]
    )


FIRST, SECOND = ("conversation", "turns", 0), ("conversation", "turns", 1)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((*FIRST, "question", 0, "role"), "robot", "turn 1: role of a Message"),
        ((*FIRST, "question", 0, "role"), "assistant", "turn 1: its question is said to be the assistant's"),
        ((*SECOND, "question"), [], "turn 2: its question is empty"),
        ((*SECOND, "system", "role"), "user", "turn 2: its system prompt is said to be the user's"),
        ((*SECOND, "question_tokens"), -1, "turn 2: question_tokens cannot be -1"),
        ((*SECOND, "question_tokens"), 2**60, "turn 2: question_tokens cannot be"),
        ((*SECOND, "reply", "latency_s"), -1, "turn 2: latency_s cannot be -1"),
        ((*SECOND, "reply", "usage", "cost_usd"), {"$decimal": "-3"}, "turn 2: cost_usd cannot be -3"),
        ((*SECOND, "reply", "usage", "cost_usd"), {"$decimal": "NaN"}, "turn 2: a value cannot be read"),
        ((*SECOND, "reply", "typed", "schema", "items"), {"$ref": "#/no"}, "turn 2: its schema cannot be followed"),
        ((*SECOND, "reply", "typed", "schema"), {"type": [{}]}, "turn 2: its schema cannot be followed"),
        ((*SECOND, "reply", "status"), "open", "turn 2: a call that ended as 'open' has no turn"),
        ((*SECOND, "question", 0, "parts", 2, "url"), "file:///etc/passwd", "turn 2: file 'file:///etc/passwd' is no"),
        ((*SECOND, "question", 0, "parts", 2, "url"), "FILE:/etc/passwd", "turn 2: file"),
        ((*SECOND, "question", 0, "parts", 2, "url"), "javascript:alert(1)", "turn 2: file"),
        ((*SECOND, "question", 0, "parts", 1, "media_type"), "a\nb", "turn 2: the image in its question cannot be"),
        ((*SECOND, "key", "number"), 1, "turn 2: an earlier run of it has another key"),
        ((*FIRST, "stale"), True, "turn 1 is marked as stale"),
        ((*SECOND, "stale"), 1, "turn 2: stale of a Turn cannot be '1'"),
        ((*SECOND, "versions", 0, "question"), [], "turn 2: earlier run 1: its question is empty"),
        ((*SECOND, "reply", "status"), "error", "turn 2: it has no whole answer that could stand"),
        (("conversation", "policy"), "forget", "policy of a Conversation cannot be 'forget'"),
        (("name",), "two\nlines", "is not a name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_turn(place: tuple[Any, ...], value: Any, words: str) -> None:
    """A file of a hundred turns has to be mended by somebody."""
    told = changed(place, lambda target, key: target.__setitem__(key, value))
    with pytest.raises(ValueError) as caught:
        from_json(json.dumps(told))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://example.com/rules", "type": "object"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}},
        {"properties": {"a": {"pattern": r"^\p{L}$"}, "b": {"patternProperties": {"[": {}}}}},
    ],
    ids=["unknown rules", "draft 4", "patterns of Rust"],
)  # fmt: skip
def test_a_schema_that_judges_no_more_need_not_be_understood(schema: dict[str, Any]) -> None:
    """Its answer was there when the file was written: by a class of the user's, or before drafts were told apart."""
    reply = Reply((Text("{}"),), status="ok", typed=Typed({}, schema), data={})
    whole = Conversation((Turn(question=(Message("user", (Text("q"),)),), reply=reply),))
    assert ("x", whole) == from_json(to_json("x", whole))


def test_two_turns_of_one_key_are_refused() -> None:
    """A cell that runs again would replace one of them and leave the other."""
    turns = (said("q", "a", key=Key("c", 1)), said("r", "b", key=Key("c", 1)))
    with pytest.raises(ValueError, match="turn 2 has the key of turn 1"):
        from_json(to_json("x", Conversation(turns)))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("# talk\n\n> Hello", "it is no JSON"),
        ('{"nbformat": 4, "cells": []}', "it is a notebook"),
        ('{"format": "or_magic conversation", "format": 1}', "'format' is said twice"),
        ('{"format": NaN}', "NaN is no number"),
        ('{"format": 1e999}', "1e999 is no number"),
        ('{"format": "\\ud800"}', "half of a character"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 300 + "]" * 300, "nested too deeply"),
        ("9" * 5000, "a number of 5,000 digits"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_conversation_is_told_apart(written: str, words: str) -> None:
    """The user has picked the wrong one: say which one it is."""
    with pytest.raises(ValueError, match=words):
        from_json(written)


@pytest.mark.parametrize(
    "written",
    ["", "[]", "{}", "null", '{"format": "or_magic conversation"}', "[" * 100_000,
     '{"format": "or_magic conversation", "version": 2}',
     '{"format": "or_magic conversation", "version": 1, "name": "x", "conversation": {"$": "Reply"}}'],
)  # fmt: skip
def test_another_file_is_refused(written: str) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError):
        from_json(written)


def test_markdown_and_text_tell_all_that_is_to_be_known() -> None:
    """Who answered, what it took, and what a turn is not: current, whole, whole again."""
    old = said("first wording", "old answer")
    broken = Turn(question=(Message("user", (Text("why?"),)),), reply=Reply((Text("Bec"),), status="interrupted"))
    turns = (said("Hello", "Hi", versions=(old,)), said("And?", "So.", stale=True, pinned=True), broken)
    for told in (markdown("talk", Conversation(turns)), text("talk", Conversation(turns))):
        for words in (
            "talk",
            "3 turns",
            "1 stale",
            "a/b-2026",
            "1 earlier version",
            "stale, pinned",
            "interrupted",
            "Bec",
        ):
            assert words in told, words


def test_what_is_set_aside_is_not_told_as_sent() -> None:
    """The list is looked at to see what the next question will cost."""
    broken = Turn(question=(Message("user", (Text("why?"),)),), reply=Reply((Text("Bec"),), status="interrupted"))
    turns = (
        said("old", "o", question_tokens=500),
        said("new", "n", begins=True, question_tokens=20, broken_off=(broken,)),
        said("late", "l", stale=True, question_tokens=300),
    )
    told = text("talk", Conversation(turns))
    assert "talk: 3 turns, 1 set aside, 1 stale, 1 sent with the next question, about 20 tokens" in told
    for marks in ("(set aside)", "(begins anew, run again since, interrupted)", "(stale)"):
        assert marks in told


def test_what_a_model_wrote_is_inert_in_every_export() -> None:
    """Files are opened by others, in programs that run what they find."""
    turns = tuple(said(each.text, each.text, key=Key("c", n)) for n, each in enumerate(payloads()[::40], 1))
    told = markdown("<b>talk</b>", Conversation(turns))
    assert neutral.markdown(told) == told
    for cell in notebook("<b>talk</b>", Conversation(turns))["cells"]:
        for output in cell.get("outputs", ()):
            shown = output["data"].get("text/markdown", "")
            assert neutral.markdown(shown) == shown


def test_an_open_fence_ends_with_its_answer() -> None:
    """Half a code block must not swallow the turns after it."""
    turns = (said("code", "```python\nprint(1)"), said("next", "words"))
    assert "\n\n**2 · You**\n\n> next\n" in markdown("talk", Conversation(turns))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(max_size=12).filter(str.isprintable))
@settings(max_examples=60, deadline=None)
def test_a_cell_of_the_exported_notebook_asks_the_same(question: str, name: str) -> None:
    """Its first line is options, its rest the question, and nothing in it is expanded."""
    if not name.strip():
        return
    turn = said(question, "a", system=Message("system", (Text("Be\nkind."),)), begins=True)
    told = notebook(name, Conversation((turn, turn)))
    nbformat.validate(nbformat.from_dict(told))
    sources = [cell["source"] for cell in told["cells"] if cell["source"].startswith("%%or ")]
    first, _, rest = sources[0].partition("\n")
    options = parse_line(first.removeprefix("%%or "))
    assert ("a/b", name, "Be kind.", False, "{{" in question) == (
        options.model, options.chat, options.system, options.new, options.verbatim
    )  # fmt: skip
    assert question == rest
    assert parse_line(sources[1].partition("\n")[0].removeprefix("%%or ")).new
