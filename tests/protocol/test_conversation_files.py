"""A conversation as a file: JSON loses nothing and believes nothing; Markdown and cells are inert."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic import neutral
from or_magic.content import Audio, Citation, File, Image, ParsedFile, Reasoning, Text, ToolCall, ToolResult, Video
from or_magic.conversation import Conversation, Key, Turn
from or_magic.conversation.exported import markdown, notebook, text
from or_magic.conversation.stored import from_json, to_json
from or_magic.options import parse_line
from or_magic.tables import Typed
from or_magic.values import Message, Reply, Total, Usage

from .payloads import payloads

WORDS = st.text(max_size=12)
COUNTS = st.none() | st.integers(0, 10**6)
MONEY = st.none() | st.decimals(0, 10, places=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS | st.sampled_from(["$", "$bytes"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
OBJECTS = st.dictionaries(WORDS, JSON, max_size=3)
PARTS = st.one_of(
    st.builds(Text, WORDS, st.booleans()),
    st.builds(Reasoning, WORDS, st.lists(OBJECTS, max_size=2).map(tuple), st.none() | WORDS),
    st.builds(Image, url=st.none() | WORDS, data=st.none() | st.binary(max_size=8)),
    st.builds(Audio, base64=WORDS, format=st.none() | WORDS, transcript=WORDS),
    st.builds(Video, url=st.none() | WORDS, data=st.none() | st.binary(max_size=8)),
    st.builds(File, filename=WORDS, data=st.none() | st.binary(max_size=8)),
    st.builds(ParsedFile, OBJECTS),
    st.builds(Citation, WORDS, WORDS, WORDS, COUNTS, COUNTS),
    st.builds(ToolCall, COUNTS, st.none() | WORDS, st.none() | WORDS, WORDS),
    st.builds(ToolResult, WORDS, WORDS),
)
REPLIES = st.builds(
    Reply,
    parts=st.lists(PARTS, max_size=3).map(tuple),
    usage=st.none() | st.builds(Usage, prompt_tokens=COUNTS, completion_tokens=COUNTS, cost_usd=MONEY),
    model=st.none() | WORDS,
    status=st.sampled_from(["ok", "interrupted", "partial", "error"]),
    latency_s=st.none() | st.floats(0, 100),
    earlier=st.builds(Total, st.decimals(0, 9, places=3), st.decimals(0, 9, places=3), st.integers(0, 3)),
)
MESSAGES = st.builds(Message, st.sampled_from(["user", "tool"]), st.lists(PARTS, max_size=2).map(tuple))
BARE = {
    "question": st.lists(MESSAGES, min_size=1, max_size=2).map(tuple),
    "reply": REPLIES,
    "key": st.none() | st.builds(Key, WORDS, st.integers(1, 9)),
    "system": st.none() | st.builds(Message, st.just("system"), st.tuples(st.builds(Text, WORDS))),
    "begins": st.booleans(),
    "stale": st.booleans(),
    "pinned": st.booleans(),
    "question_tokens": st.integers(0, 99),
    "counted": st.booleans(),
}
TURNS = st.builds(Turn, **BARE, versions=st.lists(st.builds(Turn, **BARE), max_size=1).map(tuple))
CONVERSATIONS = st.builds(Conversation, st.lists(TURNS, max_size=3).map(tuple), st.none() | st.just("drop-oldest"))


def said(question: str, answer: str, **facts: Any) -> Turn:
    reply = Reply((Text(answer),), status="ok", model="a/b-2026", model_requested="a/b", usage=Usage(3, 4))
    return Turn(question=(Message("user", (Text(question),)),), reply=reply, **facts)


@settings(max_examples=60, deadline=None)
@given(WORDS, CONVERSATIONS)
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


VALID = json.loads(to_json("x", Conversation((said("q", "a", key=Key("c", 1)),))))


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in _places(each, (*at, key)))]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([place for place in _places(VALID) if place]), JSON.filter(lambda v: not isinstance(v, Decimal)))
@example(("conversation", "turns", 0, "$"), "Settings")
@example(("conversation", "turns", 0, "reply"), {"$": "Turn"})
def test_a_file_that_somebody_changed_is_loaded_whole_or_refused(place: tuple[Any, ...], value: Any) -> None:
    """A wrong type is named; nothing of it reaches a request, and no code of ours breaks over it."""
    told = json.loads(json.dumps(VALID))
    target = told
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    try:
        written = json.dumps(told, default=str)
    except (TypeError, ValueError):
        return
    try:
        name, conversation = from_json(written)
    except ValueError:
        return
    assert (name, conversation) == from_json(to_json(name, conversation))
    markdown(name, conversation)


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
