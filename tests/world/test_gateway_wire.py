"""What really goes over the wire, and what never does: headers, keys, redirects, proxies, TLS, compression."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from or_magic.api import Session
from or_magic.errors import (
    CallError,
    CallInterruptedError,
    CallTimeoutError,
    ConnectionFailedError,
    ProtocolError,
    RefusedError,
    TruncatedError,
)
from or_magic.values import Timeouts

from ..canary import make_canary
from .fixtures import Connect
from .kit import Asked, RawServer, answer, books, read_request, response, streamed, until


def play_answer(sock: socket.socket, _: Asked) -> None:
    sock.sendall(streamed(answer(), "X-Generation-Id: gen-raw"))


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(play_answer) as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ask(session: Session, server: RawServer) -> Asked:
    """Ask once and return the request as it came."""
    session.ask("Hello")
    return server.asked[-1]


def test_the_key_is_sent_exactly_once_and_nothing_else_is_told(
    server: RawServer, open_session: Connect, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who uses which machine, and accounts of other services, are nobody's business (WIRE §11)."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "leak-me")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: leak-me")
    asked = ask(open_session(base_url=server.url), server)
    names = {name.lower() for name, _ in asked.headers}
    assert [f"Bearer {canary}"] == asked.all("Authorization")
    assert set() == {name for name in names if name.startswith(("x-stainless", "openai", "x-leak"))}
    assert "leak-me" not in str(asked.headers)
    assert ["or_magic"] == [value.partition("/")[0] for value in asked.all("User-Agent")]
    assert "POST /api/v1/chat/completions HTTP/1.1" == asked.line


def test_the_body_is_ours(server: RawServer, open_session: Connect) -> None:
    """No field that nobody asked for."""
    asked = ask(open_session(base_url=server.url, model="some/model"), server)
    expected = {
        "model": "some/model", "messages": [{"role": "user", "content": "Hello"}], "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert expected == json.loads(asked.body)


def test_the_app_is_named_as_the_settings_say(server: RawServer, open_session: Connect) -> None:
    """Attribution (WIRE §1)."""
    named = ask(open_session(base_url=server.url, app_url="https://app.example", app_name="My app"), server)
    assert (["https://app.example"], ["My app"]) == (named.all("HTTP-Referer"), named.all("X-OpenRouter-Title"))
    plain = ask(open_session(base_url=server.url), server)
    assert ([], []) == (plain.all("HTTP-Referer"), plain.all("X-OpenRouter-Title"))


@pytest.mark.parametrize("name", ["Prüfstand Zürich", "日本", "a\nX-Evil: 1", "\x00", "naïve ☕"])
def test_a_name_that_is_no_header_breaks_no_call(server: RawServer, open_session: Connect, name: str) -> None:
    """Headers are ASCII; an app may be called anything."""
    asked = ask(open_session(base_url=server.url, app_url="https://app.example", app_name=name), server)
    assert [] == asked.all("X-Evil")
    assert ["https://app.example"] == asked.all("HTTP-Referer")


@pytest.mark.parametrize("host", ["LocalHost", "127.0.0.1", "user:word@127.0.0.1"])
def test_the_key_reaches_its_host_however_that_is_spelled(
    server: RawServer, open_session: Connect, canary: str, host: str
) -> None:
    """Upper case and user names in an address are the same host."""
    asked = ask(open_session(base_url=f"http://{host}:{server.port}/api/v1"), server)
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


@pytest.fixture
def proxy() -> Iterator[RawServer]:
    with RawServer(play_answer) as running:
        yield running


def test_a_proxy_of_the_environment_is_used_with_its_password(
    proxy: RawServer, open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Companies have them."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
    asked = ask(open_session(base_url="http://gateway.example/v1"), proxy)
    assert "POST http://gateway.example/v1/chat/completions HTTP/1.1" == asked.line
    assert [f"Basic {base64.b64encode(b'me:p@ss').decode()}"] == asked.all("Proxy-Authorization")
    assert [] == asked.all("Authorization")


def test_the_key_goes_through_the_tunnel_and_not_to_the_proxy(
    certificate: Path, open_session: Connect, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees a name and a port, and its own password only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "own.pem", certificate / "own.key")
    inside: list[Asked] = []

    def tunnel(sock: socket.socket, asked: Asked) -> None:
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(sock, server_side=True) as tls, tls.makefile("rb") as reader:
            while (found := read_request(reader)) is not None:
                inside.append(found)
                play_answer(tls, found)

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "own.pem"))
    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("https_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
        session = open_session(base_url="https://gateway.example/v1")
        assert ["Hello"] * 2 == [session.ask("Hello").text for _ in range(2)]
        session.close()
    (asked,) = proxy.asked
    assert "CONNECT gateway.example:443 HTTP/1.1" == asked.line
    assert ([], 1) == (asked.all("Authorization"), len(asked.all("Proxy-Authorization")))
    assert [[f"Bearer {canary}"]] * 2 == [found.all("Authorization") for found in inside]
    assert [[]] * 2 == [found.all("Proxy-Authorization") for found in inside]


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "localhost,127.0.0.1"])
def test_an_exempt_host_is_asked_directly(
    server: RawServer, proxy: RawServer, open_session: Connect, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    """NO_PROXY is how local servers stay reachable."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", exempt)
    ask(open_session(base_url=server.url), server)
    assert 0 == proxy.accepted


def test_the_simulator_is_never_asked_through_a_proxy(
    proxy: RawServer, open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives in this process: a proxy elsewhere could not even reach it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert "ok" == open_session(offline=True).ask("Hello", model="offline/plain").status
    assert 0 == proxy.accepted


def test_a_proxy_that_refuses_the_tunnel_sent_nothing(open_session: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """With https the request never leaves without a tunnel."""
    with RawServer(lambda sock, _: sock.sendall(response(b"", "407 Proxy Authentication Required"))) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        session = open_session(base_url="https://openrouter.example/api/v1")
        with pytest.raises(ConnectionFailedError, match=r"Nothing was sent\."):
            session.ask("Hello")
    (asked,) = proxy.asked
    assert "CONNECT openrouter.example:443 HTTP/1.1" == asked.line
    assert [] == asked.all("Authorization")
    assert [] == books(session.engine.ledger.path)


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
        session.engine.reconciler.wait(5)
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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own authority, with its key, for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,DNS:gateway.example,IP:127.0.0.1", "-keyout", "own.key", "-out", "own.pem"]  # fmt: skip
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not on this machine")
    return folder


@contextlib.contextmanager
def tls_server(certificate: Path, play: object) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "own.pem", certificate / "own.key")
    with RawServer(play, lambda sock: context.wrap_socket(sock, server_side=True)) as server:
        yield server


def test_an_authority_of_the_environment_is_trusted(
    certificate: Path, open_session: Connect, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is how companies name theirs."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "own.pem"))
    with tls_server(certificate, play_answer) as server:
        session = open_session(base_url=server.url.replace("http", "https"))
        assert ["Hello"] * 3 == [session.ask("Hello").text for _ in range(3)]
        assert (1, [f"Bearer {canary}"]) == (server.accepted, server.asked[0].all("Authorization"))


def test_an_unknown_authority_is_refused_before_anything_is_sent(certificate: Path, open_session: Connect) -> None:
    """A certificate that cannot be checked may be anybody's."""
    with tls_server(certificate, play_answer) as server:
        session = open_session(base_url=server.url.replace("http", "https"))
        with pytest.raises(ConnectionFailedError, match=r"Nothing was sent\."):
            session.ask("Hello")
        assert [] == server.asked
    assert [] == books(session.engine.ledger.path)


def test_a_stream_over_tls_is_closed_by_another_thread(
    certificate: Path, open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waking a read that waits inside TLS is a case of its own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "own.pem"))
    left: list[bool] = []

    def stall(sock: socket.socket, _: Asked) -> None:
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + answer().partition(b"\n\n")[0] + b"\n\n"
        )
        with contextlib.suppress(OSError):
            sock.recv(1)
        left.append(True)

    with tls_server(certificate, stall) as server:
        session = open_session(base_url=server.url.replace("http", "https"))
        stream = session.stream("Hello")
        closer = threading.Timer(0.3, stream.close)
        closer.start()
        with pytest.raises(CallInterruptedError):
            stream.run()
        assert until(lambda: left, 3)
    assert "Hello" == stream.reply.text
    assert ["interrupted"] == [row["status"] for row in books(session.engine.ledger.path)]


def test_a_server_that_never_speaks_tls_is_the_connect_limit(open_session: Connect) -> None:
    """The handshake is part of connecting; nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        session = open_session(
            base_url=f"https://127.0.0.1:{silent.getsockname()[1]}/v1", timeouts=Timeouts(0.5, 60, 60, 60)
        )
        with pytest.raises(CallTimeoutError, match=r"Nothing was sent\.") as caught:
            session.ask("Hello")
    assert "connect" == caught.value.phase
    assert [] == books(session.engine.ledger.path)
