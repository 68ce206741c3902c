"""R26 through the whole engine: what is sent for a schema, what is asked again, what it costs, what is raised."""

from __future__ import annotations

import inspect
import json
import socket
import typing
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NotRequired

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from or_magic.api import Session
from or_magic.errors import CallError, OptionError, OverBudget, SchemaMismatchError, TruncatedError
from or_magic.events import Closed, Event, Notice
from or_magic.options import from_keywords
from or_magic.schema import read, schema_of, wire

from ..protocol.streams import read as decoded
from ..protocol.streams import read_whole
from ..world.fixtures import Connect
from ..world.kit import Asked, RawServer, answer, rows, streamed


class City(BaseModel):
    name: str
    inhabitants: int
    founded: date | None = None


@dataclass
class Point:
    x: int
    y: float = 0.0


class Loose(TypedDict):
    a: int
    b: NotRequired[str]


class Plain(typing.TypedDict):
    """As anybody writes it; on Python 3.11 pydantic wants that of typing_extensions."""

    stops: typing.NotRequired[list[Stop]]
    best: Stop | None


class Stop(typing.TypedDict, total=False):
    city: typing.Required[str]
    days: typing.Annotated[int, Field(ge=1)]


@pytest.fixture(scope="module")
def chat_request(shared: Path) -> Draft202012Validator:
    """The official schema of a request."""
    spec = yaml.load((shared / "openrouter" / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    return Draft202012Validator({"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]})


ASKED: dict[str, Any] = {
    "a model": City, "a list of models": list[City], "a dataclass": Point, "a TypedDict": Loose, "a plain TypedDict": Plain, "a scalar": int,
    "a union": City | Point, "an open mapping": dict[str, int], "a JSON Schema": {"type": "array", "items": {"type": "integer"}},
    "a JSON Schema as text": '{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}',
    "the short form": "name, age int?, mood good|bad: how it sounds", "the short form of a list": "[a date, b [int]]", "json": "json",
}  # fmt: skip


@pytest.mark.parametrize("schema", ASKED.values(), ids=ASKED)
def test_every_kind_of_schema_is_answered(offline: Session, schema: Any) -> None:
    """By every model: one that enforces it, one that knows JSON, one that is only told."""
    for model in ("openai/gpt-5-mini", "meta-llama/llama-3.3-70b-instruct:free", "offline/plain"):
        reply = offline.ask("x", model=model, schema=schema)
        assert reply.data is not None
        assert len(reply.frame()) >= 1


def test_a_plain_typed_dict_keeps_what_it_says() -> None:
    """What must be there, what may be, its bounds and its words; also in itself, in a list, and in strings."""
    stop = {
        "title": "Stop", "type": "object", "required": ["city"],
        "properties": {"city": {"title": "City", "type": "string"}, "days": {"title": "Days", "type": "integer", "minimum": 1}},
    }  # fmt: skip
    found = schema_of(list[Plain]).body
    assert stop == found["$defs"]["Stop"]
    plain = found["$defs"]["Plain"]
    assert (["best"], inspect.getdoc(Plain)) == (plain["required"], plain["description"])
    assert {"$ref": "#/$defs/Stop"} == plain["properties"]["stops"]["items"]
    assert [{"$ref": "#/$defs/Stop"}, {"type": "null"}] == plain["properties"]["best"]["anyOf"]


def test_data_is_what_was_asked_for(offline: Session) -> None:
    """An instance of the class; dicts and lists for what is no class."""
    assert City(name="simulated", inhabitants=1, founded=date(2026, 5, 1)) == offline.ask("x", schema=City).data
    assert [Point(1, 1)] == offline.ask("x", schema=list[Point]).data
    assert {"a": 1, "b": "simulated"} == offline.ask("x", schema=Loose).data
    assert [{"n": 1}] == offline.ask("x", schema="[n int]").data
    assert None is offline.ask("x").data
    with pytest.raises(TypeError, match="schema="):
        offline.ask("x").frame()


@pytest.mark.parametrize("schema", ASKED.values(), ids=ASKED)
def test_what_is_sent_is_a_request_of_the_official_schema(
    open_session: Connect, chat_request: Draft202012Validator, schema: Any
) -> None:
    """What the spec does not know, the gateway may refuse."""
    kind = schema_of(schema)
    told = answer(json.dumps({"value": 1}) if wire(kind).wrapped else "{}")
    with RawServer(lambda sock, _: sock.sendall(streamed(told))) as server:
        session = open_session(base_url=server.url)
        with suppress(SchemaMismatchError):
            session.ask("x", model="a/b", schema=schema)
        bodies = [json.loads(asked.body) for asked in server.asked]
    for body in bodies:
        assert [] == [error.message for error in chat_request.iter_errors(body)]
        told_format = body["response_format"]
        if kind.any_object:
            assert {"type": "json_object"} == told_format
            assert "JSON" in body["messages"][0]["content"]
        else:
            assert ("json_schema", True) == (
                told_format["type"],
                told_format["json_schema"]["strict"] or schema == dict[str, int],
            )
            assert "object" == told_format["json_schema"]["schema"]["type"]


def test_a_model_that_enforces_nothing_is_told_in_words(offline: Session) -> None:
    """And json_object is asked for where the model knows that much."""
    supported = {model.id: set(model.supported) for model in offline.engine.catalog.models().entries}
    only_json = next(
        name for name, can in supported.items() if "response_format" in can and "structured_outputs" not in can
    )
    nothing = next(name for name, can in supported.items() if "response_format" not in can)
    kinds = [
        offline.engine.preview("x", from_keywords({"model": model, "schema": Point})).body
        for model in ("openai/gpt-5-mini", only_json, nothing)
    ]
    assert ["json_schema", "json_object", None] == [body.get("response_format", {}).get("type") for body in kinds]
    assert [False, True, True] == ["JSON Schema:" in str(body["messages"]) for body in kinds]
    assert ["system", "user"] == [message["role"] for message in kinds[2]["messages"]]
    joined = offline.engine.preview("x", from_keywords({"model": nothing, "schema": Point, "system": "Be kind."})).body[
        "messages"
    ]
    assert joined[0]["content"].startswith("Be kind.\n\nAnswer with JSON")


def test_an_answer_that_does_not_fit_is_asked_again(offline: Session) -> None:
    """With what is wrong; every attempt a row of the same call, and the money of all in the reply."""
    with offline.stream("x", model="offline/json-misfit-once", schema=City, tag="t") as stream:
        events = list(stream)
    reply, books = stream.reply, rows(offline)
    assert ("simulated", "ok") == (reply.data.name, reply.status)
    assert [(1, "answer", "ok", "t"), (2, "reask", "ok", "t")] == [
        (r["attempt"], r["purpose"], r["status"], r["tag"]) for r in books
    ]
    assert {reply.call_id} == {row["call_id"] for row in books}
    assert sum(row["cost_pico"] for row in books) == (reply.earlier.billed_usd + Decimal(str(reply.cost_usd))).scaleb(
        12
    )
    assert [False, True] == [event.final for event in events if isinstance(event, Closed)]
    assert ['Not City: $.name: Field required (got {"simulated_misfit": true}); asked again (attempt 2 of 3).'] == [
        event.text for event in events if isinstance(event, Notice) and event.reason == "reask"
    ]


def test_a_schema_without_a_name_is_given_none(offline: Session) -> None:
    """``answer`` is what the gateway is told; "not answer" tells nobody anything."""
    with offline.stream("x", model="offline/json-misfit", schema="a int") as stream:
        events: list[Event] = []
        with pytest.raises(SchemaMismatchError, match=r"The answer is not what the schema asks for: \$: 'a' is"):
            events.extend(stream)
    told = [event.text for event in events if isinstance(event, Notice) and event.reason == "reask"]
    assert told[0].startswith("Not what the schema asks for: $: 'a' is a required property; asked again")


def test_the_errors_go_back_with_the_answer(open_session: Connect) -> None:
    """What the model is told when it is asked again."""
    told = iter([answer('{"x": "one"}'), answer('{"x": 1, "y": null}')])
    with RawServer(lambda sock, _: sock.sendall(streamed(next(told)))) as server:
        reply = open_session(base_url=server.url).ask("Where?", model="a/b", schema=Point)
        again = json.loads(server.asked[-1].body)["messages"]
    assert Point(1) == reply.data
    assert ["user", "assistant", "user"] == [message["role"] for message in again]
    assert '{"x": "one"}' == again[1]["content"]
    assert '- $.x: Input should be a valid integer (got "one")' in again[2]["content"]


def test_it_is_asked_three_times_and_then_it_is_an_error(offline: Session) -> None:
    """Never an invalid object; the text and what is wrong with it ride on the error."""
    with pytest.raises(SchemaMismatchError) as caught:
        offline.ask("x", model="offline/json-misfit", schema=list[City])
    error = caught.value
    assert '{"simulated_misfit": true}' == error.text == error.reply.text
    assert ('$: Input should be a valid array (got {"simulated_misfit": true})',) == error.errors
    assert (None, "error") == (error.reply.data, error.reply.status)
    assert [1, 2, 3] == [row["attempt"] for row in rows(offline)]
    billed = sum(row["cost_pico"] for row in rows(offline)[:2])
    assert billed == error.reply.earlier.billed_usd.scaleb(12)
    assert 2 == str(error).count(" simulated was billed")


@pytest.mark.parametrize(("model", "fits"), [("offline/json-fenced", True), ("offline/json-chatty", False)])
def test_one_fence_is_opened_and_chatter_is_not_searched(offline: Session, model: str, fits: bool) -> None:
    """What stands in prose could be anything."""
    if fits:
        assert 1 == offline.ask("x", model=model, schema=City).data.inhabitants
    else:
        with pytest.raises(SchemaMismatchError, match="it is no JSON"):
            offline.ask("x", model=model, schema=City)


def test_an_answer_that_was_cut_says_which_limit_to_ask_with(offline: Session) -> None:
    """Asking again in the same way would only cost the same again."""
    with pytest.raises(SchemaMismatchError, match="--max-tokens 1024") as caught:
        offline.ask("x", model="openai/gpt-5-mini", schema=City, max_tokens=5)
    assert (1024, 1) == (caught.value.max_tokens, len(rows(offline)))
    with pytest.raises(SchemaMismatchError, match="--max-tokens 6000"):
        offline.ask("x", model="offline/length", schema=City, max_tokens=3000)


@pytest.mark.parametrize(("model", "told"), [("refusal", "declines this"), ("content-filter", "content filter")])
def test_a_refusal_is_told_as_one(offline: Session, model: str, told: str) -> None:
    """It is no mistake of form, so it is not asked again."""
    with pytest.raises(SchemaMismatchError, match=told):
        offline.ask("x", model=f"offline/{model}", schema=City)
    assert 1 == len(rows(offline))


def test_a_broken_stream_is_a_broken_stream(offline: Session) -> None:
    """Half of an answer is not judged by its schema."""
    with pytest.raises(TruncatedError) as caught:
        offline.ask("x", model="offline/cut", schema=City)
    assert None is caught.value.reply.data


def test_a_second_attempt_that_breaks_off_leaves_the_answer_before_it(open_session: Connect) -> None:
    """It was whole and paid for: who wants it mends it by hand."""
    sent: list[bytes] = []

    def replies(sock: socket.socket, asked: Asked) -> None:
        sent.append(asked.body)
        whole = answer('{"name": 5}')
        sock.sendall(streamed(whole) if len(sent) == 1 else streamed(answer('{"na'))[:-60])
        if len(sent) == 2:
            sock.shutdown(socket.SHUT_RDWR)

    with RawServer(replies) as server, pytest.raises(CallError) as caught:
        open_session(base_url=server.url).ask("x", model="a/b", schema="name str")
    assert 2 == len(sent)
    assert not isinstance(caught.value, SchemaMismatchError)
    assert '{"name": 5}' == caught.value.text
    assert "error.text holds" in str(caught.value)


def test_the_budget_of_a_call_holds_over_its_attempts(offline: Session) -> None:
    """An answer that was paid is not lost when the next attempt would pass the limit: its text rides on the error."""
    never = {"type": "object", "properties": {"a": {"not": {"const": "simulated"}}}, "required": ["a"]}
    asked = {"model": "openai/gpt-5-mini", "schema": never, "max_tokens": 300}
    bound_usd = offline.engine.preview("x", from_keywords({**asked, "budget": 1})).bound_usd
    assert bound_usd is not None
    with pytest.raises(SchemaMismatchError, match=r"No further attempt: The budget of this call") as stopped:
        offline.ask("x", **asked, budget=bound_usd)
    assert ('{"a": "simulated"}', 1) == (stopped.value.text.replace('"simulated": true, ', ""), len(rows(offline)))
    with pytest.raises(OverBudget):
        offline.ask("x", **asked, budget=bound_usd / 2)


def test_an_interrupt_ends_all_attempts(offline: Session) -> None:
    """Closing between two rounds leaves nothing running."""
    stream = offline.stream("x", model="offline/json-misfit", schema=City)
    for event in stream:
        if isinstance(event, Notice) and event.reason == "reask":
            break
    stream.close()
    assert ("interrupted", None) == (stream.reply.status, stream.reply.data)
    assert 1 == len(rows(offline))


def test_an_attempt_without_a_word_does_not_repeat_the_bill_of_the_one_before(offline: Session) -> None:
    """Ctrl-C while the model is asked again: the first attempt is paid once, what the second costs is not known."""
    stream = offline.stream("x", model="offline/json-misfit", schema=City)
    for event in stream:
        if isinstance(event, Closed):
            break
    stream.close()
    first, second = rows(offline)
    assert ("ok", "interrupted", None) == (first["status"], second["status"], second["cost_pico"])
    assert (None, Decimal(first["cost_text"])) == (stream.reply.cost_usd, stream.reply.earlier.billed_usd)


@pytest.mark.parametrize("schema", ASKED.values(), ids=ASKED)
def test_a_conversation_with_a_typed_turn_is_loaded_again(offline: Session, tmp_path: Path, schema: Any) -> None:
    """What was saved and cannot be loaded is lost; of a class the plain JSON comes back."""
    chat = offline.chat("first")
    reply = chat.ask("x", schema=schema)
    again = offline.chat("again")
    again.load(chat.save(tmp_path / "talk.json"))
    assert reply.typed is not None
    assert (reply.typed, reply.typed.value) == (again.turns[0].reply.typed, again.turns[0].reply.data)
    assert reply.frame().equals(again.turns[0].reply.frame())


def test_a_schema_is_no_part_of_what_a_turn_takes(offline: Session) -> None:
    """Nor are the answers that did not fit: later turns are sent neither, and room must not be kept for them."""
    chat = offline.chat("typed")
    reply = chat.ask("x", model="offline/json-misfit-once", schema=City)
    assert reply.usage is not None
    assert chat.turns[0].question_tokens < (reply.usage.prompt_tokens or 0) / 2
    assert not chat.turns[0].counted


def test_a_schema_that_is_only_itself_is_refused_before_it_is_paid(offline: Session) -> None:
    """No answer could ever be judged by it."""
    there = {
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}},
    }
    for schema in ({"$ref": "#"}, there):
        with pytest.raises(OptionError, match=r"without end.*Nothing was sent"):
            offline.ask("x", schema=schema)
    assert [] == rows(offline)


def test_two_formats_are_one_too_many(offline: Session) -> None:
    """Which of them was meant, nobody knows."""
    with pytest.raises(OptionError, match="Nothing was sent"):
        offline.ask("x", schema=City, params={"response_format": {"type": "json_object"}})
    with pytest.raises(OptionError, match="is it a variable"):
        offline.ask("x", schema="City")


def test_a_model_is_chosen_that_can(offline: Session) -> None:
    """What was asked for a schema goes to a model that enforces it."""
    body = offline.engine.preview("x", from_keywords({"model": "auto:simple", "schema": Point})).body
    assert "json_schema" == body["response_format"]["type"]


def test_whole_answers_are_typed_as_well(offline: Session) -> None:
    """no_stream changes how it comes, not what it is."""
    assert 1 == offline.ask("x", schema=City, no_stream=True).data.inhabitants


def _recorded(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield every recorded typed answer: its file, its text, and its schema as it was sent."""
    for path in sorted(folder.glob("*.request.json")):
        body = json.loads(path.read_text())
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        whole = path.with_name(path.name.replace(".request", ""))
        if schema and whole.exists():
            yield whole.name, read_whole(whole.read_bytes()).reply.text, schema


def test_recorded_answers_fit_their_recorded_schemas(shared: Path) -> None:
    """Real traffic of real models."""
    found = list(_recorded(shared / "openrouter" / "recorded"))
    assert 3 <= len(found)
    for name, text, schema in found:
        value, _ = read(text, schema_of(schema), wrapped=False)
        assert set(schema["required"]) == set(value), name
        assert not any([wire(schema_of(schema)).wrapped, not wire(schema_of(schema)).strict])


def test_a_recorded_typed_tool_call_reads_as_what_it_was_asked_for(shared: Path) -> None:
    """Others let a tool carry the answer; its arguments are the same wrapped JSON."""
    folder = shared / "openrouter" / "recorded"
    body = json.loads((folder / "magentic-complete-usage-structured-output.request.json").read_text())
    reply = decoded((folder / "magentic-complete-usage-structured-output.sse").read_bytes()).reply
    wanted = body["tools"][0]["function"]["parameters"]
    assert wire(schema_of(list[int])).body["properties"]["value"]["items"] == wanted["properties"]["value"]["items"]
    assert [1, 2, 3, 4, 5] == read(reply.tool_calls[0].arguments, schema_of(list[int]), wrapped=True)[1]


@pytest.mark.parametrize("model", ["json-misfit", "json-misfit-once", "json-fenced", "json-chatty", "length", "refusal", "empty", "cut",
                                   "mid-stream-error", "tools", "echo", "bad-json", "split-utf8", "usage-missing", "reasoning"])  # fmt: skip
def test_whatever_comes_a_reply_has_data_that_fits_or_none(offline: Session, model: str) -> None:
    """R26 over the simulator's faults."""
    try:
        reply = offline.ask('{"name": "a", "inhabitants": 1}', model=f"offline/{model}", schema=City)
    except CallError as error:
        assert None is error.reply.data
    else:
        assert isinstance(reply.data, City) or (reply.tool_calls and reply.data is None)
