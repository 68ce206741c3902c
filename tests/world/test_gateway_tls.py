"""The way out: proxies of the environment, and TLS with the authorities that this machine trusts."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from or_magic.api import Session
from or_magic.errors import CallInterruptedError, CallTimeoutError, ConnectionFailedError, SettingsError
from or_magic.values import Timeouts

from .fixtures import Connect
from .kit import Asked, Play, RawServer, answer, books, play_answer, read_request, response, until


def ask(session: Session, server: RawServer) -> Asked:
    """Ask once and return the request as it came."""
    session.ask("Hello")
    return server.asked[-1]


@pytest.fixture
def proxy() -> Iterator[RawServer]:
    """A proxy that answers for everybody."""
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
    raw_server: RawServer, proxy: RawServer, open_session: Connect, monkeypatch: pytest.MonkeyPatch, exempt: str
) -> None:
    """NO_PROXY is how local servers stay reachable."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", exempt)
    ask(open_session(base_url=raw_server.url), raw_server)
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
def tls_server(certificate: Path, play: Play) -> Iterator[RawServer]:
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


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named_and_leave_no_row(
    content: str | None, open_session: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A company's setting that outlived its file: the library's own error says neither the file nor the variable."""
    place = tmp_path / "company.pem"
    if content is not None:
        place.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(place))
    session = open_session(base_url="https://127.0.0.1:9/v1")
    with pytest.raises(SettingsError, match=r"Nothing was sent\. SSL_CERT_FILE"):
        session.ask("Hello")
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
        closer = threading.Thread(target=lambda: until(lambda: stream.reply.text) and stream.close())
        closer.start()
        with pytest.raises(CallInterruptedError):
            stream.run()
        closer.join()
        assert until(lambda: left)
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
