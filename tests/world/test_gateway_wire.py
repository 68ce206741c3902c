"""What really goes over the wire, and what never does: headers, keys, redirects, proxies, TLS, compression."""

from __future__ import annotations

import gzip
import json
import socket
from decimal import Decimal

import openai
import pytest

from or_magic.api import Session
from or_magic.errors import (
    CallError,
    ConnectionFailedError,
    ProtocolError,
    RefusedError,
    TruncatedError,
)

from ..canary import make_canary
from ..guards import HANG_S
from .fixtures import Connect
from .kit import Asked, RawServer, answer, books, play_answer, response, streamed, until


def ask(session: Session, server: RawServer) -> Asked:
    """Ask once and return the request as it came."""
    session.ask("Hello")
    return server.asked[-1]


def test_the_key_is_sent_exactly_once_and_nothing_else_is_told(
    raw_server: RawServer, open_session: Connect, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who uses which machine, and accounts of other services, are nobody's business (WIRE §11)."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "leak-me")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: leak-me")
    asked = ask(open_session(base_url=raw_server.url), raw_server)
    names = {name.lower() for name, _ in asked.headers}
    assert [f"Bearer {canary}"] == asked.all("Authorization")
    assert set() == {name for name in names if name.startswith(("x-stainless", "openai", "x-leak"))}
    assert "leak-me" not in str(asked.headers)
    assert ["or_magic"] == [value.partition("/")[0] for value in asked.all("User-Agent")]
    assert "POST /api/v1/chat/completions HTTP/1.1" == asked.line


def test_the_body_is_ours(raw_server: RawServer, open_session: Connect) -> None:
    """No field that nobody asked for."""
    asked = ask(open_session(base_url=raw_server.url, model="some/model"), raw_server)
    expected = {
        "model": "some/model", "messages": [{"role": "user", "content": "Hello"}], "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert expected == json.loads(asked.body)


def test_the_app_is_named_as_the_settings_say(raw_server: RawServer, open_session: Connect) -> None:
    """Attribution (WIRE §1)."""
    named = ask(open_session(base_url=raw_server.url, app_url="https://app.example", app_name="My app"), raw_server)
    assert (["https://app.example"], ["My app"]) == (named.all("HTTP-Referer"), named.all("X-OpenRouter-Title"))
    plain = ask(open_session(base_url=raw_server.url), raw_server)
    assert ([], []) == (plain.all("HTTP-Referer"), plain.all("X-OpenRouter-Title"))


@pytest.mark.parametrize("name", ["Prüfstand Zürich", "日本", "a\nX-Evil: 1", "\x00", "naïve ☕"])
def test_a_name_that_is_no_header_breaks_no_call(raw_server: RawServer, open_session: Connect, name: str) -> None:
    """Headers are ASCII; an app may be called anything."""
    asked = ask(open_session(base_url=raw_server.url, app_url="https://app.example", app_name=name), raw_server)
    assert [] == asked.all("X-Evil")
    assert ["https://app.example"] == asked.all("HTTP-Referer")


@pytest.mark.parametrize("host", ["LocalHost", "127.0.0.1", "user:word@127.0.0.1"])
def test_the_key_reaches_its_host_however_that_is_spelled(
    raw_server: RawServer, open_session: Connect, canary: str, host: str
) -> None:
    """Upper case and user names in an address are the same host."""
    asked = ask(open_session(base_url=f"http://{host}:{raw_server.port}/api/v1"), raw_server)
    assert f"Bearer {canary}" in asked.all("Authorization")


def test_a_redirect_is_not_followed(open_session: Connect) -> None:
    """Neither the key nor the question goes to whom the gateway points at."""
    with RawServer(play_answer) as elsewhere:
        there = elsewhere.url.replace("127.0.0.1", "127.0.0.2")
        moved = response(b"", "307 Temporary Redirect", f"Location: {there}/chat/completions")
        with RawServer(lambda sock, _: sock.sendall(moved)) as server:
            session = open_session(base_url=server.url)
            with pytest.raises(RefusedError, match="redirects"):
                session.ask("Hello")
            with pytest.raises(RefusedError, match="redirects"):
                session.engine.gateway.get("/generation", {"id": "gen-1"})
        assert (0, []) == (elsewhere.accepted, elsewhere.asked)
    assert ["refused"] == [row["status"] for row in books(session.engine.ledger.path)]


ECHOES = {
    "401": lambda key: response(json.dumps({"error": {"code": 401, "message": f"bad key {key}"}}).encode(), "401 No"),
    "500 html": lambda key: response(f"<title>{key}</title>".encode(), "500 No", kind="text/html"),
    "redirect": lambda key: response(b"", "307 Go", f"Location: https://evil.example/?k={key}"),
    "error body": lambda key: response(json.dumps({"error": {"message": f"bad {key}"}}).encode()),
    "html": lambda key: response(f"<title>{key}</title>".encode(), kind="text/html"),
    "chunk": lambda key: streamed(f'data: {{"error":{{"message":"no {key}"}}}}\n\n'.encode()),
    "answer": lambda key: streamed(answer(f"Your key is {key}!")),
    "generation id": lambda key: streamed(answer(), f"X-Generation-Id: gen-{key}"),
    "provider": lambda key: streamed(f'data: {{"provider":"{key}","model":"{key}","id":"{key}","choices":[]}}\n\n'.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_a_key_that_is_echoed_is_shown_nowhere(
    open_session: Connect, monkeypatch: pytest.MonkeyPatch, name: str, whose: str
) -> None:
    """A gateway may repeat what it got; errors, replies and rows must not (R14)."""
    key = make_canary(1)  # not the run's own: the HTTP library logs response headers, which here hold the key
    monkeypatch.setenv("OPENROUTER_API_KEY", key)
    with RawServer(lambda sock, _: sock.sendall(ECHOES[name](key))) as server:
        if whose == "ours":
            session = open_session(base_url=server.url)
        else:
            monkeypatch.delenv("OPENROUTER_API_KEY")
            session = open_session(client=openai.OpenAI(base_url=server.url, api_key=key))
        told: list[object] = []
        try:
            told.append(session.ask("Hello"))
        except CallError as error:
            told += [error, str(error), repr(error), error.body, error.reply]
    told += books(session.engine.ledger.path)
    assert key[9:] not in repr(told)


@pytest.mark.parametrize("packed", [gzip.compress, lambda body: body])
def test_a_packed_answer_is_unpacked(open_session: Connect, packed: object) -> None:
    """Proxies pack what they like."""
    body = packed(answer("Grüße"))
    extra = ("Content-Encoding: gzip",) if body[:2] == b"\x1f\x8b" else ()
    with RawServer(lambda sock, _: sock.sendall(streamed(body, *extra))) as server:
        session = open_session(base_url=server.url)
        assert "Grüße" == session.ask("Hello").text
        assert any("gzip" in value for value in server.asked[0].all("Accept-Encoding"))


def test_a_server_that_closes_after_each_answer_without_saying_so(open_session: Connect) -> None:
    """A connection that is gone must be noticed before a question is written to it."""

    def once(sock: socket.socket, _: Asked) -> None:
        sock.sendall(streamed(answer()))
        sock.shutdown(socket.SHUT_RDWR)

    with RawServer(once) as server:
        session = open_session(base_url=server.url)
        for _ in range(20):
            session.ask("Hello")
            assert until(lambda: server.accepted == len(server.asked))
        assert 20 == server.accepted
    assert ["ok"] * 20 == [row["status"] for row in books(session.engine.ledger.path)]


def test_money_keeps_every_digit_of_its_text(open_session: Connect) -> None:
    """The JSON number becomes Decimal from its text, the row keeps that text (DESIGN §2)."""
    costs = ["0.00000465", "0.0000001", "1e-7", "0.1234567890123456", "0", "3", "0.30000000000000004"]
    texts = iter(costs)
    with RawServer(lambda sock, _: sock.sendall(streamed(answer(cost=next(texts))))) as server:
        session = open_session(base_url=server.url)
        assert [Decimal(cost) for cost in costs] == [session.ask("Hello").cost_usd for _ in costs]
    rows = books(session.engine.ledger.path)
    assert [Decimal(cost) for cost in costs] == [Decimal(row["cost_text"]) for row in rows]
    assert [4_650_000, 100_000, 100_000, 123_456_789_012, 0, 3 * 10**12, 3 * 10**11] == [
        row["cost_pico"] for row in rows
    ]  # fmt: skip


def test_a_failure_that_ran_is_not_free(open_session: Connect) -> None:
    """A 502 that names a generation may have cost something: it is asked for, not assumed."""

    def fail(sock: socket.socket, asked: Asked) -> None:
        if "/generation" in asked.line:
            sock.sendall(response(b'{"data":{"total_cost":0.5}}'))
        else:
            body = b'{"error":{"code":502,"message":"Provider returned error"}}'
            sock.sendall(response(body, "502 Bad Gateway", "X-Generation-Id: gen-ran"))

    with RawServer(fail) as server:
        session = open_session(base_url=server.url)
        with pytest.raises(CallError):
            session.ask("Hello")
        assert session.engine.reconciler.wait(HANG_S)
        session.reconcile()
    (row,) = books(session.engine.ledger.path)
    assert ("error", "gen-ran", "reconciled", 5 * 10**11) == (
        row["status"], row["generation_id"], row["cost_source"], row["cost_pico"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "error"),
    [(b"", CallError), (b"SSH-2.0-OpenSSH_9.6\r\n", CallError), (b"HTTP/1.1 200 OK\r\n\r\n", TruncatedError),
     (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", CallError),
     (b"HTTP/1.1 204 No Content\r\n\r\n", TruncatedError),
     (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", CallError),
     (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk", CallError),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull", ProtocolError),
     (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n", CallError)],
)  # fmt: skip
def test_a_server_of_another_kind_is_a_typed_error_and_a_row(
    open_session: Connect, sent: bytes, error: type[CallError]
) -> None:
    """Whatever listens there, a cell shows one sentence and the books know that something was sent."""

    def play(sock: socket.socket, _: Asked) -> None:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_RDWR)

    with RawServer(play) as server:
        session = open_session(base_url=server.url)
        with pytest.raises(error):
            session.ask("Hello")
    (row,) = books(session.engine.ledger.path)
    assert row["status"] in ("unknown", "partial", "error")
    assert (None, True) == (row["cost_pico"], row["cost_source"] in ("unknown", "estimated")) or row["cost_pico"]


def test_a_name_that_cannot_be_resolved_is_not_sent(open_session: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook on a train."""

    def no_network(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    session = open_session(base_url="https://gateway.example/v1")
    with pytest.raises(ConnectionFailedError, match=r"gateway\.example cannot be reached .*Nothing was sent\."):
        session.ask("Hello")
    assert [] == books(session.engine.ledger.path)


@pytest.mark.parametrize("cookie", ["track=me; Path=/", "tr\xa6ck=m\xff"])
def test_no_cookie_is_kept(open_session: Connect, cookie: str) -> None:
    """An API needs none: it would tell sessions apart, and an odd one would break every later call."""
    played = streamed(answer(), f"Set-Cookie: {cookie}").replace(cookie.encode(), cookie.encode("latin-1"))
    with RawServer(lambda sock, _: sock.sendall(played)) as server:
        session = open_session(base_url=server.url)
        assert ["ok"] * 2 == [session.ask("Hello").status for _ in range(2)]
        assert [] == server.asked[-1].all("Cookie")
