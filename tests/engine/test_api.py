"""The verbs: ask, stream, aask, threads, what a prompt may be, and what is left after close."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from or_magic import api
from or_magic.api import Session
from or_magic.content import Audio, File, Image, Text, Video
from or_magic.errors import (
    CallError,
    CallInterruptedError,
    OptionError,
    OrMagicError,
    ProviderError,
    TruncatedError,
    UnknownModelError,
)
from or_magic.events import Closed, Metered, Notice, Opened, Piece

from ..guards import HANG_S
from ..world.fixtures import Connect
from ..world.kit import RawServer, answer, own_threads, png, rows, server_of, statuses, streamed


def test_ask_returns_the_whole_answer(offline: Session) -> None:
    """The shortest program."""
    reply = offline.ask("What did I say?", model="offline/echo", system="Be exact.", temperature=0.5, max_tokens=50)
    assert ("What did I say?", "ok", "stop", True) == (reply.text, reply.status, reply.finish_reason, reply.simulated)
    assert str(reply) == reply.text


def test_a_stream_is_made_of_five_kinds_of_events(offline: Session) -> None:
    """In their order, whatever the answer holds (DESIGN §3)."""
    for model in (
        "plain",
        "reasoning",
        "tools-shuffled",
        "image",
        "audio",
        "citations",
        "usage-cumulative",
        "unknown-keys",
    ):
        with offline.stream("Hello", model=f"offline/{model}") as stream:
            events = list(stream)
        assert {Opened, Piece, Notice, Metered, Closed} >= {type(event) for event in events}
        assert [Opened] == [type(event) for event in events if isinstance(event, Opened)]
        assert events[-1].final
        assert [events[-1]] == [event for event in events if isinstance(event, Closed)]


def test_what_fails_raises_with_the_partial_reply(offline: Session) -> None:
    """What came was paid for, and the error says what it cost."""
    with pytest.raises(TruncatedError) as caught:
        offline.ask("Hello", model="offline/cut")
    assert caught.value.reply.text
    assert "partial" == caught.value.reply.status
    with pytest.raises(ProviderError, match=r"\$0\.0\d+ simulated was billed\."):
        offline.ask("Hello", model="offline/mid-stream-error-usage")


def test_a_stream_yields_to_the_end_and_raises_then(offline: Session) -> None:
    """Whoever draws it has drawn everything before the error."""
    stream = offline.stream("Hello", model="offline/cut")
    seen = []
    with pytest.raises(TruncatedError):
        seen += [seen.append(event) for event in stream]  # type: ignore[func-returns-value]
    assert isinstance(seen[-1], Closed)
    assert "partial" == stream.reply.status


def test_an_unknown_model_names_the_closest(offline: Session) -> None:
    """A typo costs nothing but a second."""
    with pytest.raises(UnknownModelError, match="openai/gpt-5-mini") as caught:
        offline.ask("Hello", model="openai/gpt-5-mimi")
    assert "openai/gpt-5-mini" in caught.value.closest


def test_an_unknown_model_that_looks_like_none_says_where_they_are_listed(offline: Session) -> None:
    """There is nothing about the request that could be corrected."""
    with pytest.raises(UnknownModelError, match=r"billed\.\s%or models lists what there is"):
        offline.ask("Hello", model="nobody/zzzzzz")


def test_a_misspelt_alias_is_named(open_session: Connect, tmp_path: Path) -> None:
    """The user gave it that name; the gateway cannot know."""
    (tmp_path / "config.toml").write_text('[aliases]\nquick = "openai/gpt-5-mini"\n')
    session = open_session(offline=True, home=tmp_path)
    with pytest.raises(UnknownModelError, match="Did you mean quick"):
        session.ask("Hello", model="quik")


@pytest.mark.parametrize("verb", ["ask", "stream"])
def test_an_unknown_keyword_names_the_closest(offline: Session, verb: str) -> None:
    """Never accepted and ignored."""
    with pytest.raises(OptionError, match=r"'modle'.*Did you mean model\?"):
        getattr(offline, verb)("Hello", modle="x")
    with pytest.raises(OptionError, match="max_tokens"):
        getattr(offline, verb)("Hello", max_token=5)


def test_a_stream_that_is_never_read_is_never_sent(offline: Session) -> None:
    """No row, no request."""
    offline.stream("Hello", model="offline/plain").close()
    offline.stream("Hello", model="offline/plain")
    offline.ask("Hello", model="offline/plain")
    assert (1, ["ok"]) == (server_of(offline).received(), statuses(offline))


def test_close_again_is_harmless(offline: Session) -> None:
    """In a finally, in a with, by hand."""
    with offline.stream("Hello", model="offline/plain") as stream:
        next(stream)
        stream.close()
        stream.close()
    stream.close()
    assert ["interrupted"] == statuses(offline)
    with offline.stream("Hello", model="offline/plain") as stream:
        list(stream)
        stream.close()
    assert ["interrupted", "ok"] == statuses(offline)
    assert "ok" == stream.reply.status


def test_breaking_off_closes_the_connection(paced: Session) -> None:
    """An open stream goes on costing."""
    with paced.stream("Hello", model="offline/long:100000") as stream:
        for number, _ in enumerate(stream):
            if number == 10:
                break
    assert server_of(paced).idle(HANG_S)
    (billed,) = server_of(paced).billed()
    assert ("cancelled", True) == (billed.status, billed.completion_tokens < 50_000)
    assert ["interrupted"] == statuses(paced)
    assert stream.reply.text.startswith(" word")


def test_another_thread_closes_a_stream_that_is_being_read(paced: Session) -> None:
    """The stop button; the reader is told."""
    stream = paced.stream("Hello", model="offline/long:100000")
    closer = threading.Thread(target=stream.close)
    with pytest.raises(CallInterruptedError) as caught:
        for event in stream:
            if isinstance(event, Piece) and not closer.ident:
                closer.start()
    closer.join(HANG_S)
    assert caught.value.reply.text.startswith(" word")
    assert server_of(paced).idle(HANG_S)
    assert server_of(paced).billed()[0].completion_tokens < 50_000
    assert ["interrupted"] == statuses(paced)


def test_a_loop_closed_from_another_thread_does_not_end_as_if_it_were_over(paced: Session) -> None:
    """Also if the reader was busy with an event in that very moment."""
    stream = paced.stream("Hello", model="offline/long:100000")

    def read() -> None:
        for number, _ in enumerate(stream):
            if number == 5:
                closer = threading.Thread(target=stream.close)
                closer.start()
                closer.join()

    with pytest.raises(CallInterruptedError):
        read()


def test_a_reader_that_comes_while_another_thread_closes_is_told(paced: Session) -> None:
    """Booking takes a moment, and in that moment the reader may come for the next event."""
    store = paced.engine.ledger._store
    inside, go_on, settle = threading.Event(), threading.Event(), store.settle

    def slow(rows: Any, limits: Any) -> Any:
        inside.set()
        go_on.wait(HANG_S)
        return settle(rows, limits)

    store.settle = slow  # type: ignore[method-assign]
    stream = paced.stream("Hello", model="offline/long:100000")
    next(stream)
    closer = threading.Thread(target=stream.close)
    closer.start()
    assert inside.wait(HANG_S)
    threading.Timer(0.2, go_on.set).start()
    with pytest.raises(CallInterruptedError):
        list(stream)
    closer.join()
    assert ["interrupted"] == statuses(paced)


@pytest.mark.parametrize(("model", "error"), [("offline/plain", None), ("offline/error-520", ProviderError)])
def test_closing_after_the_end_changes_nothing(offline: Session, model: str, error: type[CallError] | None) -> None:
    """A complete answer stays complete, a failure keeps its reason."""
    stream = offline.stream("Hello", model=model)
    for event in stream:
        if isinstance(event, Closed):
            break
    closer = threading.Thread(target=stream.close)
    closer.start()
    closer.join()
    if error is None:
        list(stream)
    else:
        with pytest.raises(error):
            list(stream)
    assert (error is None) == (stream.reply.status == "ok")


def test_a_stop_before_the_request_left_is_not_lost(offline: Session) -> None:
    """While the row is being written nothing runs yet that could be stopped; later it must not run."""
    store = offline.engine.ledger._store
    inside, go_on, insert = threading.Event(), threading.Event(), store.insert

    def slow(row: Any, terms: Any) -> Any:
        inside.set()
        go_on.wait(HANG_S)
        return insert(row, terms)

    store.insert = slow  # type: ignore[method-assign]
    stream = offline.stream("Hello", model="offline/plain")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(stream.run)
        assert inside.wait(HANG_S)
        stream.close()
        go_on.set()
        assert isinstance(reading.exception(HANG_S), CallInterruptedError)
    assert (0, []) == (server_of(offline).received(), rows(offline))


def test_threads_share_a_session(offline: Session) -> None:
    """64 at once, each with its own answer."""
    with ThreadPoolExecutor(64) as pool:
        texts = list(pool.map(lambda n: offline.ask(f"call {n}", model="offline/echo").text, range(200)))
    assert [f"call {n}" for n in range(200)] == texts
    assert 200 == len(rows(offline)) == len({row["call_id"] for row in rows(offline)})


PROMPTS: dict[str, list[Any]] = {
    "text": ["Hello"],
    "texts": ["Hello ", "again"],
    "picture": ["What is this?", png()],
    "picture by address": [Image(url="https://x.example/a.png"), "And this?"],
    "pdf": [b"%PDF-1.7 x", "Summarise."],
    "sound": [b"ID3\x04" + b"x" * 9, "Who speaks?"],
    "film": [b"\0\0\0\x20ftypisom" + b"x" * 9, "What happens?"],
    "parts": [Text("a"), File(filename="a.pdf", data=b"%PDF-1"), Audio(base64="QUJD", format="wav"),
              Video(url="https://x.example/a.mp4"), Text("b")],
}  # fmt: skip


@pytest.fixture(scope="module")
def chat_request(shared: Path) -> Any:
    """The official schema of a chat request."""
    import yaml

    spec = yaml.load((shared / "openrouter" / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    schema = {"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_of_any_parts_is_a_request_of_the_official_schema(
    open_session: Connect, chat_request: Any, tmp_path: Path, name: str
) -> None:
    """What the spec does not know, the gateway may refuse."""
    (tmp_path / "notes.txt").write_text("some notes")
    with RawServer(lambda sock, _: sock.sendall(streamed(answer()))) as server:
        session = open_session(base_url=server.url)
        session.ask([*PROMPTS[name], tmp_path / "notes.txt"], model="a/b", system="Be brief.", temperature=1, max_tokens=9,
                    params={"reasoning": {"effort": "low"}, "provider": {"sort": "price"}, "stop": ["END"]})  # fmt: skip
        body = json.loads(server.asked[-1].body)
    assert [] == [error.message for error in chat_request.iter_errors(body)]
    assert ["system", "user"] == [message["role"] for message in body["messages"]]
    assert "some notes" in json.dumps(body["messages"][1])


def test_the_simulator_receives_what_was_attached(offline: Session) -> None:
    """Real types, told from the bytes."""
    assert "PNG 1 × 1" in offline.ask(["Look:", png()], model="offline/plain").text


def test_the_module_s_verbs_use_one_session(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made from the environment at first use, closed when another takes its place."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    api.use(None)
    assert "Hello" == api.ask("Hello", model="offline/echo").text
    with api.stream("Hello", model="offline/echo") as stream:
        assert stream.run().simulated
    assert "Hello" == asyncio.run(api.aask("Hello", model="offline/echo")).text
    first = api.current()
    assert first is api.current() is api.existing()
    api.use(None)
    assert [] == own_threads()
    assert first is not api.current()
    api.use(None)


def test_first_calls_from_many_threads_make_one_session(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would be two ledgers' worth of connections, and two simulators."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    api.use(None)
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: id(api.current()), range(64)))
    api.use(None)
    assert 1 == len(found)


def test_every_error_of_a_call_is_of_one_family(offline: Session) -> None:
    """One except clause is enough."""
    for model in ("error-400", "error-500", "cut", "html", "reset-early", "bad-json", "redirect", "choice-error"):
        with pytest.raises(OrMagicError) as caught:
            offline.ask("Hello", model=f"offline/{model}")
        assert isinstance(caught.value, CallError)
        assert f"{type(caught.value).__name__}: " in caught.value._render_traceback_()[0]
