"""HTTP/1.1 on one accepted socket: read a request, send bytes, be silent and notice who left. Does I/O."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from urllib.parse import parse_qsl, unquote, urlsplit

_HEAD_LIMIT_BYTES = 64 * 1024
_BODY_LIMIT_BYTES = 256 * 1024 * 1024
_PEEK_BYTES = 4096
_REFUSED = re.compile(rb'"model"\s*:\s*"offline/refuse')
_WATCH_S = 1.0


class GoneError(Exception):
    """The client left, or the server is closing."""


class RefusedError(Exception):
    """The request asks for a connection that is reset before it is read."""


class MalformedError(Exception):
    """What arrived is not a request that this server reads."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    version: str = "HTTP/1.1"


class Connection:
    """One accepted socket."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock, self._stopping, self._buffer = sock, stopping, bytearray()

    def receive(self) -> Request:
        """Return the next request.

        Raises:
            GoneError: the client closed.
            RefusedError: the request names ``offline/refuse``.
            MalformedError: the bytes are no HTTP request.
        """
        head = self._until(b"\r\n\r\n", _HEAD_LIMIT_BYTES).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            raise MalformedError(400, "This is not an HTTP/1.1 request")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(headers)
        url = urlsplit(target)
        wish = headers.get("connection", "").lower()
        keep = wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"
        return Request(method, unquote(url.path), dict(parse_qsl(url.query)), headers, body, keep, version)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked()
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise MalformedError(400, "Content-Length is not a number")
        size = int(length)
        if size > _BODY_LIMIT_BYTES:
            raise MalformedError(413, "Request payload too large")
        # A refusal comes while the client still sends, as a closed port would; so only the beginning is looked at.
        self._fill(min(size, _PEEK_BYTES))
        if _REFUSED.search(self._buffer, 0, min(size, _PEEK_BYTES)):
            raise RefusedError
        return self._take(size)

    def _chunked(self) -> bytes:
        body = bytearray()
        while True:
            size = self._chunk_size()
            if size == 0:
                break
            body += self._take(size)
            self._until(b"\r\n", _HEAD_LIMIT_BYTES)
            if len(body) > _BODY_LIMIT_BYTES:
                raise MalformedError(413, "Request payload too large")
        while self._until(b"\r\n", _HEAD_LIMIT_BYTES):
            continue
        return bytes(body)

    def _chunk_size(self) -> int:
        line = self._until(b"\r\n", _HEAD_LIMIT_BYTES)
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError as error:
            raise MalformedError(400, "A chunk has no size") from error

    def _until(self, end: bytes, limit: int) -> bytes:
        start = 0
        while (found := self._buffer.find(end, start)) < 0:
            start = max(0, len(self._buffer) - len(end))
            if len(self._buffer) > limit:
                raise MalformedError(431, "Request header fields too large")
            self._fill(len(self._buffer) + 1)
        line = bytes(self._buffer[:found])
        del self._buffer[: found + len(end)]
        return line

    def _take(self, size: int) -> bytes:
        self._fill(size)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            try:
                data = self._sock.recv(256 * 1024)
            except OSError as error:
                raise GoneError from error
            if not data:
                raise GoneError
            self._buffer += data

    def send(self, data: bytes | bytearray) -> None:
        """Send all of it.

        Raises:
            GoneError: the client closed.
        """
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise GoneError from error

    def wait(self, seconds: float | None) -> None:
        """Be silent for so long, None for ever.

        Raises:
            GoneError: the client closed meanwhile, or the server is closing.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while not self._stopping.is_set():
            left = _WATCH_S if deadline is None else min(_WATCH_S, deadline - monotonic())
            if left <= 0:
                return
            self._watch(left)
        raise GoneError

    def _watch(self, seconds: float) -> None:
        self._sock.settimeout(seconds)
        try:
            closed = not self._sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        except OSError as error:
            raise GoneError from error
        finally:
            self._sock.settimeout(None)
        if closed:
            raise GoneError
        # The next request is already here: behind it the end of the connection cannot be seen.
        self._stopping.wait(min(seconds, 0.05))

    def reset(self) -> None:
        """Close with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
