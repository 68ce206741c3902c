"""R22: every limit fires, whatever keeps a connection busy, never early, and says which one it was.

How late it may be is measured by benchmarks/bench_timeouts.py. Here every other limit, and what the server does, take
longer than the guard against hanging: a limit that does not fire fails the test.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import openai
import pytest

from or_magic.api import Session
from or_magic.errors import CallError, CallTimeoutError
from or_magic.values import Timeouts

from ..guards import AGES_S
from .fixtures import Connect
from .kit import Asked, RawServer, Simulator, answer, books, hard_deadline, streamed, until

WIDE = Timeouts(connect_s=AGES_S, first_token_s=AGES_S, idle_s=AGES_S, total_s=AGES_S)


@dataclass(frozen=True)
class Case:
    """One way to be kept waiting, the limit that ends it, and what the row then says."""

    model: str
    limit: str
    phase: str
    status: str
    limit_s: float = 0.4


CASES = [
    Case("offline/stall-first", "first_token_s", "first token", "unknown"),
    Case("offline/stall-headers", "first_token_s", "first token", "unknown"),
    Case("offline/comments", "first_token_s", "first token", "unknown"),
    Case("offline/drip:0.01", "first_token_s", "first token", "unknown"),
    Case("offline/stall", "idle_s", "idle", "interrupted"),
    Case("offline/stall-first", "total_s", "total", "unknown"),
    Case("offline/comments", "total_s", "total", "unknown"),
    Case("offline/drip:0.001", "total_s", "total", "interrupted", 1.2),
    Case("offline/stall", "total_s", "total", "interrupted"),
]


@pytest.fixture(params=["ours", "theirs"])
def connect_as(request: pytest.FixtureRequest, open_session: Connect, simulator: Simulator) -> Iterator[Connect]:
    """A session over our transport, and one over a client that the user brought along."""
    if request.param == "ours":
        yield lambda timeouts: open_session(base_url=simulator.url, timeouts=timeouts)
        return
    with openai.OpenAI(base_url=simulator.url, api_key="theirs") as client:
        yield lambda timeouts: open_session(client=client, timeouts=timeouts)


def run_into(session: Session, model: str = "offline/plain") -> tuple[CallTimeoutError, float]:
    """Ask, expect a limit, and return its error and after how many seconds it came."""
    began = time.monotonic()
    with hard_deadline(), pytest.raises(CallTimeoutError) as caught:
        session.ask("Are you there?", model=model)
    return caught.value, time.monotonic() - began


def row_of(session: Session) -> dict[str, object]:
    """The row of the last call."""
    return books(session.engine.ledger.path)[-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model[8:]} {case.phase}")
def test_each_limit_fires_on_time_and_names_itself(connect_as: Connect, case: Case) -> None:
    """Comments and single bytes keep a per-read timeout from firing for ever; not ours."""
    check(connect_as, case)


def test_headers_that_drip_are_limited(open_session: Connect, simulator: Simulator) -> None:
    """Over our own transport; a client brought along waits for headers by its own rules."""
    case = Case("offline/slow-headers:0.1", "first_token_s", "first token", "unknown")
    check(lambda timeouts: open_session(base_url=simulator.url, timeouts=timeouts), case)


def check(connect: Connect, case: Case) -> None:
    """Run into a limit. A machine may be so busy that the first words come no sooner: then into a longer one."""
    for longer in (1, 5, 25):
        limit_s = case.limit_s * longer
        session = connect(replace(WIDE, **{case.limit: limit_s}))
        error, took_s = run_into(session, case.model)
        if (case.phase, case.status) == (error.phase, error.reply.status):
            break
    row = row_of(session)
    assert case.phase == error.phase
    assert took_s >= limit_s * 0.9
    assert (case.status, f"CallTimeoutError {case.phase}") == (row["status"], row["error"])
    assert case.status == error.reply.status
    assert row["cost_source"] in ("unknown", "estimated", "reconciled")
    assert "What it cost is" in str(error)


def test_comments_in_the_middle_do_not_count_as_data(open_session: Connect) -> None:
    """A gateway that says only that it is alive is silent all the same."""

    def chatter(sock: socket.socket, _: Asked) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + answer().partition(b"\n\n")[0])
        sock.sendall(b"\n\n")
        while True:
            sock.sendall(b": OPENROUTER PROCESSING\n\n")
            time.sleep(0.02)

    with RawServer(chatter) as server:
        error, took_s = run_into(open_session(base_url=server.url, timeouts=replace(WIDE, idle_s=0.4)))
    assert "idle" == error.phase
    assert took_s >= 0.35


def test_data_that_keeps_coming_is_never_idle(open_session: Connect) -> None:
    """Slow is not silent: pieces that come within the limit reset it."""

    def slowly(sock: socket.socket, _: Asked) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for _ in range(8):
            time.sleep(0.6)
            sock.sendall(answer().partition(b"\n\n")[0] + b"\n\n")
        sock.sendall(answer())
        sock.shutdown(socket.SHUT_WR)

    with RawServer(slowly) as server:
        session = open_session(base_url=server.url, timeouts=replace(WIDE, idle_s=4.0, first_token_s=4.0))
        assert "Hello" * 9 == session.ask("Slowly, please.").text


def test_a_body_that_never_ends_after_done_is_a_complete_answer(connect_as: Connect) -> None:
    """The words are all there: nobody waits for the end of a connection (pi#7954)."""
    session = connect_as(WIDE)
    with hard_deadline():
        reply = session.ask("Hello", model="offline/no-end")
    assert ("ok", "ok") == (reply.status, row_of(session)["status"])


def test_the_connection_of_a_body_that_never_ends_is_not_used_again(connect_as: Connect) -> None:
    """Whatever it still says would be taken for the next answer."""
    session = connect_as(WIDE)
    session.ask("Hello", model="offline/no-end")
    assert "second" == session.ask("second", model="offline/echo").text


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port that is listened to and never accepts: SYNs get no answer once its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("limit", ["connect_s", "total_s"])
def test_connecting_is_limited_and_nothing_was_sent(open_session: Connect, limit: str) -> None:
    """A firewall that drops packets answers nothing at all; the total limit holds here too."""
    with full_backlog() as port:
        session = open_session(base_url=f"http://127.0.0.1:{port}/v1", timeouts=replace(WIDE, **{limit: 0.4}))
        error, took_s = run_into(session)
    assert error.phase in ("connect", limit.removesuffix("_s"))
    assert took_s >= 0.35
    assert "Nothing was sent." in str(error)
    assert f"{AGES_S:g}" not in str(error), "it names a limit that did not fire"
    assert [] == books(session.engine.ledger.path)


def test_a_server_that_is_frozen_is_a_silent_one(open_session: Connect, simulator: Simulator) -> None:
    """Half-open TCP: the kernel still acknowledges what nobody reads."""
    session = open_session(base_url=simulator.url, timeouts=WIDE)
    patient = session.engine.settings
    assert "ok" == session.ask("Hello", model="offline/plain").status
    simulator.freeze()
    session.engine.settings = replace(patient, timeouts=replace(WIDE, first_token_s=0.5))
    error, took_s = run_into(session)
    session.engine.settings = patient
    simulator.thaw()
    assert "first token" == error.phase
    assert took_s >= 0.45
    assert ["ok", "unknown"] == [row["status"] for row in books(session.engine.ledger.path)]
    assert "ok" == session.ask("And now?", model="offline/plain").status


def test_a_server_that_freezes_in_the_middle_is_idle(open_session: Connect) -> None:
    """As a laptop lid closed at the other end."""
    simulator = Simulator("--pace", "0.01")
    session = open_session(base_url=simulator.url, timeouts=replace(WIDE, idle_s=2.0))
    stream = session.stream("Hello", model="offline/long:1000")
    with hard_deadline(), pytest.raises(CallTimeoutError) as caught:
        for number, _ in enumerate(stream):
            if number == 20:
                simulator.freeze()
    simulator.close()
    assert "idle" == caught.value.phase
    assert caught.value.reply.text.startswith(" word")
    assert "interrupted" == row_of(session)["status"]


@pytest.mark.parametrize("bytes_per_s", [2_000, 2_000_000])
def test_a_server_that_reads_slowly_is_limited_too(open_session: Connect, bytes_per_s: int) -> None:
    """An upload makes progress with every packet, and a limit per packet would never fire."""
    over = threading.Event()

    def slow_reader(raw: socket.socket) -> socket.socket:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not over.wait(0.05):
            raw.recv(bytes_per_s // 20)
        return raw

    with RawServer(lambda *_: None, slow_reader) as server:
        session = open_session(base_url=server.url, timeouts=replace(WIDE, total_s=0.8))
        with hard_deadline(), pytest.raises(CallError):
            session.ask("x" * 30_000_000)
        over.set()
    assert ("unknown", "CallTimeoutError total") == (row_of(session)["status"], row_of(session)["error"])


def test_a_whole_answer_that_stalls_is_unknown_not_broken(offline: Session) -> None:
    """Half a body is no protocol error when it is we who stop waiting."""
    from or_magic.options import Options

    offline.engine.settings = replace(offline.engine.settings, timeouts=replace(WIDE, total_s=0.5))
    for model in ("offline/stall", "offline/drip:0.01", "offline/stall-headers"):
        stream = offline.engine.stream("Hello", Options(model=model, no_stream=True))
        with hard_deadline(), pytest.raises(CallTimeoutError) as caught:
            stream.run()
        assert ("total", "unknown") == (caught.value.phase, caught.value.reply.status)
    assert ["unknown"] * 3 == [row["status"] for row in books(offline.engine.ledger.path)]


def test_a_limit_frees_the_connection_at_once(open_session: Connect, simulator: Simulator) -> None:
    """A connection that stays open goes on costing."""
    import psutil

    session = open_session(base_url=simulator.url, timeouts=replace(WIDE, idle_s=0.3))
    run_into(session, "offline/stall")

    def connected() -> list[object]:
        return [c for c in psutil.Process().net_connections("tcp") if c.raddr and c.raddr.port == simulator.port]

    assert until(lambda: len([c for c in connected() if c.status == "ESTABLISHED"]) <= 1)
    assert "ok" == session.ask("Next.", model="offline/plain").status


def test_the_answer_of_a_fast_server_is_never_late(open_session: Connect) -> None:
    """Limits start when the request does, not when the session does."""
    with RawServer(lambda sock, _: sock.sendall(streamed(answer()))) as server:
        session = open_session(base_url=server.url, timeouts=replace(WIDE, first_token_s=4.0, total_s=4.0))
        session.ask("Warm up.")
        time.sleep(4.2)
        assert ["ok"] * 20 == [session.ask("Again.").status for _ in range(20)]
