"""The verbs: ask, stream, aask, threads, what a prompt may be, and what is left after close."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import psutil
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
from or_magic.offline import Server, serve

from ..world.fixtures import Connect
from ..world.kit import ROOT, RawServer, answer, books, own_threads, streamed, until
from ..world.test_media import png


@pytest.fixture
def paced(open_session: Connect) -> Session:
    """A session whose simulator takes its time."""
    return open_session(offline=True, pace_s=0.01)


def server_of(session: Session) -> Server:
    server = session.engine._server
    assert server is not None
    return server


def rows(session: Session) -> list[dict[str, Any]]:
    return books(session.engine.ledger.path)


def statuses(session: Session) -> list[str]:
    return [row["status"] for row in rows(session)]


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
    with pytest.raises(ProviderError, match=r"\$0\.0\d+ was billed\."):
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
    with paced.stream("Hello", model="offline/long:1000") as stream:
        for number, _ in enumerate(stream):
            if number == 10:
                break
    assert server_of(paced).idle(2)
    (billed,) = server_of(paced).billed()
    assert ("cancelled", True) == (billed.status, billed.completion_tokens < 500)
    assert ["interrupted"] == statuses(paced)
    assert stream.reply.text.startswith(" word")


def test_another_thread_closes_a_stream_that_is_being_read(paced: Session) -> None:
    """The stop button; the reader is told."""
    stream = paced.stream("Hello", model="offline/long:1000")
    closer = threading.Timer(0.2, stream.close)
    closer.start()
    with pytest.raises(CallInterruptedError) as caught:
        stream.run()
    assert caught.value.reply.text.startswith(" word")
    assert server_of(paced).idle(2)
    assert server_of(paced).billed()[0].completion_tokens < 500
    assert ["interrupted"] == statuses(paced)


def test_a_loop_closed_from_another_thread_does_not_end_as_if_it_were_over(paced: Session) -> None:
    """Also if the reader was busy with an event in that very moment."""
    stream = paced.stream("Hello", model="offline/long:1000")

    def read() -> None:
        for number, _ in enumerate(stream):
            if number == 5:
                closer = threading.Thread(target=stream.close)
                closer.start()
                closer.join()

    with pytest.raises(CallInterruptedError):
        read()


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

    def slow(row: Any) -> None:
        inside.set()
        go_on.wait(10)
        insert(row)

    store.insert = slow  # type: ignore[method-assign]
    stream = offline.stream("Hello", model="offline/plain")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(stream.run)
        assert inside.wait(10)
        stream.close()
        go_on.set()
        assert isinstance(reading.exception(10), CallInterruptedError)
    assert (0, []) == (server_of(offline).received(), rows(offline))


def test_aask_answers(offline: Session) -> None:
    """For those who live in a loop."""

    async def three() -> list[str]:
        replies = await asyncio.gather(*(offline.aask(f"call {n}", model="offline/echo") for n in range(3)))
        return [reply.text for reply in replies]

    assert ["call 0", "call 1", "call 2"] == asyncio.run(three())


def test_aask_raises_what_ask_raises(offline: Session) -> None:
    """With the partial reply on it."""
    with pytest.raises(TruncatedError) as caught:
        asyncio.run(offline.aask("Hello", model="offline/cut"))
    assert caught.value.reply.text


def test_cancelling_aask_closes_the_connection(paced: Session) -> None:
    """The server sees it, and the books know it."""

    async def cancelled() -> None:
        task = asyncio.create_task(paced.aask("Hello", model="offline/long:1000"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert server_of(paced).idle(2)
    (billed,) = server_of(paced).billed()
    assert ("cancelled", True) == (billed.status, billed.completion_tokens < 500)
    assert until(lambda: statuses(paced) == ["interrupted"])


def test_cancelling_aask_at_once_sends_nothing_or_books_it(paced: Session) -> None:
    """Every moment of the first milliseconds is a moment to be cancelled in."""

    async def cancelled() -> None:
        for number in range(40):
            task = asyncio.create_task(paced.aask(f"call {number}", model="offline/long:1000"))
            await asyncio.sleep(number * 0.0005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    assert server_of(paced).idle(5)
    assert set() == {billed.status for billed in server_of(paced).billed()} - {"cancelled"}
    assert len(rows(paced)) >= server_of(paced).received()
    assert set(statuses(paced)) <= {"interrupted"}


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


def sockets() -> int:
    return len(psutil.Process().net_connections("all"))


@pytest.mark.parametrize("how", ["offline", "http", "busy"])
def test_a_closed_session_leaves_nothing(open_session: Connect, how: str) -> None:
    """No thread, no socket, no open file, no ResourceWarning."""
    gc.collect()
    before, files = sockets(), set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with serve() as server:
            session = open_session(offline=True) if how != "http" else open_session(base_url=server.url)
            session.ask("Hello", model="offline/plain")
            if how == "busy":
                streams = [session.stream("Hello", model="offline/stall") for _ in range(3)]
                for stream in streams:
                    next(event for event in stream if isinstance(event, Piece))
            session.reconcile()
            session.close()
            session.close()
        gc.collect()
    assert [] == own_threads()
    assert before == sockets()
    if files:
        assert len(files) >= len(set(os.listdir("/proc/self/fd")))


def test_closing_a_session_ends_its_running_calls_and_books_them(paced: Session) -> None:
    """A kernel that shuts down must not leave a meter running."""
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(paced.ask, f"call {n}", model="offline/long:5000") for n in range(4)]
        assert until(lambda: len(rows(paced)) == 4 and all(row["generation_id"] for row in rows(paced)))
        paced.close()
        assert [CallInterruptedError] * 4 == [type(each.exception(10)) for each in running]
    assert until(lambda: statuses(paced) == ["interrupted"] * 4)
    assert until(lambda: own_threads() == [])


def _python(script: str, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home), "OR_MAGIC_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env=environment, cwd=home, capture_output=True, text=True
    )
    assert "" == done.stderr
    return done.stdout


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    """Loading is not felt (DESIGN §1)."""
    script = """
import sys
import or_magic
import or_magic.api
heavy = ["openai", "pandas", "matplotlib", "ipywidgets", "pydantic", "httpx2", "httpcore2", "numpy", "IPython"]
print([name for name in heavy if name in sys.modules])
print(or_magic.OrMagicError.__name__, sorted(or_magic.__all__) == list(or_magic.__all__))
"""
    assert "[]\nOrMagicError True\n" == _python(script, tmp_path)


def test_everything_but_the_notebook_works_without_ipython(tmp_path: Path) -> None:
    """Floors 1-4 are for scripts too."""
    script = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("IPython", "ipywidgets", "traitlets", "ipykernel"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Refuse())
import asyncio
import or_magic as orm
with orm.connect(offline=True) as session:
    print(session.ask("one", model="offline/echo").text)
    print(asyncio.run(session.aask("two", model="offline/echo")).text)
    with session.stream("three", model="offline/echo") as stream:
        print(stream.run().text)
    print(session.reconcile(), len(session.models("gpt-5")) > 0)
    try:
        session.ask("four", model="offline/cut")
    except orm.OrMagicError as error:
        print(type(error).__name__)
"""
    assert ["one", "two", "three", "(0, 0) True", "TruncatedError"] == _python(script, tmp_path).split("\n")[:-1]


def test_a_process_that_forgets_to_close_ends_by_itself(tmp_path: Path) -> None:
    """Threads of ours must not keep an interpreter alive, nor complain at its end."""
    script = """
import or_magic as orm
session = orm.connect(offline=True)
stream = session.stream("Hello", model="offline/stall")
for _, event in zip(range(3), stream):
    pass
print("end")
"""
    assert "end\n" == _python(script, tmp_path)


def test_every_error_of_a_call_is_of_one_family(offline: Session) -> None:
    """One except clause is enough."""
    for model in ("error-400", "error-500", "cut", "html", "reset-early", "bad-json", "redirect", "choice-error"):
        with pytest.raises(OrMagicError) as caught:
            offline.ask("Hello", model=f"offline/{model}")
        assert isinstance(caught.value, CallError)
        assert f"{type(caught.value).__name__}: " in caught.value._render_traceback_()[0]
