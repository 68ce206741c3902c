"""Damaged HTTP, thousands of ways: always an answer or a typed error, always one row for one request, never a hang."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

import pytest

from or_magic.errors import CallError

from .fixtures import Connect
from .kit import LIMITS, Asked, RawServer, answer, books, response, streamed

WHOLE = b'{"id":"gen-w","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"cost":0.5}}'
REFUSAL = response(b'{"error":{"code":429,"message":"slow"}}', "429 Too Many Requests", "Retry-After: 1")
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer()), answer())
)
SEEDS = (streamed(answer()), response(WHOLE), REFUSAL, CHUNKED)
HEADERS = (
    b"Content-Length: -1", b"Content-Length: 5", b"Content-Length: x", b"Content-Length: 1, 2", b"Content-Encoding: br",
    b"Content-Encoding: gzip", b"Content-Encoding: zzz", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip",
    b"Content-Type: \xff\xfe", b"Content-Type: text/event-stream; charset=utf-16", b"Content-Type:", b": empty",
    b"X-Generation-Id: \xf0\x9f\x98\x80", b"X-Generation-Id:", b"Connection: upgrade", b"Location: \x00", b"Retry-After: nan",
    b"Set-Cookie: a=b", b"no colon here", b" folded: yes", b"X: " + b"y" * 70_000,
)  # fmt: skip
Damage = Callable[[bytes, random.Random], bytes]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _header(data: bytes, chance: random.Random) -> bytes:
    first, _, rest = data.partition(b"\r\n")
    return first + b"\r\n" + chance.choice(HEADERS) + b"\r\n" + rest


def _status(data: bytes, chance: random.Random) -> bytes:
    line = chance.choice((b"HTTP/1.1 000 X", b"HTTP/1.1 100 Continue", b"HTTP/1.1 204 No", b"HTTP/1.1 304 No", b"HTTP/1.0 200 OK",
                          b"HTTP/2 200", b"HTTP/1.1 301 Moved", b"HTTP/1.1 599 X", b"HTTP/1.1 -1 X", b"ICY 200 OK"))  # fmt: skip
    return line + b"\r\n" + data.partition(b"\r\n")[2]


def _doubled(data: bytes, _: random.Random) -> bytes:
    return data + data


DAMAGES: tuple[Damage, ...] = (_cut, _flip, _flip, _header, _header, _status, _doubled)


def _survive(open_session: Connect, count: int, seed: int) -> None:
    chance = random.Random(seed)
    current = b""

    def play(sock: socket.socket, _: Asked) -> None:
        sock.sendall(current)
        sock.shutdown(socket.SHUT_WR)

    with RawServer(play) as server:
        session = open_session(base_url=server.url, timeouts=LIMITS)
        for number in range(count):
            current = chance.choice(SEEDS)
            for damage in chance.choices(DAMAGES, k=chance.randint(1, 3)):
                current = damage(current, chance) or b"x"
            _ask(session, number, current)
        rows = books(session.engine.ledger.path)
    assert {f"call {number}" for number in range(count)} == {row["tag"] for row in rows}
    received = sum(asked.line.startswith("POST") for asked in server.asked)
    # A question written on a connection that the server is just closing is never read: a row more, never one less.
    assert 0.99 * count <= received <= len(rows) == count
    assert {"open"} & {row["status"] for row in rows} == set()
    assert all(row["cost_pico"] is None for row in rows if row["cost_source"] == "unknown")


def _ask(session: object, number: int, current: bytes) -> None:
    try:
        reply = session.ask("Hello", tag=f"call {number}")  # type: ignore[attr-defined]
        assert "ok" == reply.status, current
    except CallError as error:
        assert error.reply.status != "ok", current
        assert "Nothing was sent." not in str(error), current


def test_three_hundred_damaged_responses_are_booked(open_session: Connect) -> None:
    """What was sent may have cost something, whatever came back."""
    _survive(open_session, 300, seed=1)


@pytest.mark.long
def test_twenty_thousand_damaged_responses_are_booked(open_session: Connect) -> None:
    """The same at length."""
    _survive(open_session, 20_000, seed=2)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 429 Too\xa6Many",
        b"HTTP/1.1 200 O\xff",
        b"HTTP/1.1 307 \xe9\r\nLocation: http://x/\xff",
        b"HTTP/1.1 502 \xff",
    ],
)
@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream"])
def test_odd_bytes_in_an_answer_do_not_unsend_the_request(open_session: Connect, head: bytes, kind: bytes) -> None:
    """The server has run it by then: the books must know, and the error must not say otherwise."""
    sent = head + b"\r\nContent-Type: " + kind + b"\r\nContent-Length: 0\r\n\r\n"
    with RawServer(lambda sock, _: sock.sendall(sent)) as server:
        session = open_session(base_url=server.url, timeouts=LIMITS)
        with pytest.raises(CallError) as caught:
            session.ask("Hello")
        assert 1 == len(server.asked)
    assert "Nothing was sent." not in str(caught.value)
    assert 1 == len(books(session.engine.ledger.path))
