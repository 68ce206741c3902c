"""Play the steps of one answer onto a connection, and keep its meter true before every byte. Does I/O."""

from __future__ import annotations

from or_magic.offline.ledger import Meter
from or_magic.offline.steps import Close, Event, Head, Pause, Raw, Reset, Steps, body_bytes
from or_magic.offline.wire import Connection, GoneError

_COALESCE_BYTES = 16 * 1024
_REASONS = {
    200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
    403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 409: "Conflict", 413: "Payload Too Large",
    422: "Unprocessable Entity", 425: "Too Early", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    520: "Unknown Error", 524: "A Timeout Occurred", 529: "Overloaded",
}  # fmt: skip
_PACED = frozenset({"comment", "reasoning", "text", "tool", "image", "audio", "citation"})


class _Body:
    """Frames bytes as the head promised and sends as few packets as the steps allow."""

    def __init__(self, connection: Connection, meter: Meter, chunks_allowed: bool) -> None:
        self._connection, self._meter, self._chunks_allowed = connection, meter, chunks_allowed
        self._wire, self._body = bytearray(), bytearray()
        self._chunked, self._left, self._tells_usage = False, 0, False
        self.reusable = True

    def head(self, head: Head) -> None:
        """Send status line and headers, and remember how the body is framed."""
        self._chunked = head.length is None and self._chunks_allowed
        self._left = head.length or 0
        self.reusable = self._chunks_allowed or head.length is not None
        headers = [("Server", "or_magic-offline"), *head.headers]
        if head.length is not None:
            headers.append(("Content-Length", str(head.length)))
        elif self._chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        lines = [f"HTTP/1.1 {head.status} {_REASONS.get(head.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        data = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if not head.byte_pause_s:
            self._wire += data
            return
        for byte in data:
            self._connection.send(bytes((byte,)))
            self._connection.wait(head.byte_pause_s)

    def add(self, step: Event | Raw) -> None:
        """Meter a piece of the body and put it into the buffer."""
        self._meter.add(step.tokens)
        if step.tag in ("usage", "body"):
            self._meter.settle()
            self._tells_usage = True
        self._body += body_bytes(step)
        if len(self._body) >= _COALESCE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is in the buffer."""
        if self._body:
            self._left -= len(self._body)
            if self._chunked:
                self._wire += b"%x\r\n%b\r\n" % (len(self._body), bytes(self._body))
            else:
                self._wire += self._body
            self._body.clear()
        if self._wire:
            data, self._wire = self._wire, bytearray()
            self._send(data)

    def _send(self, data: bytearray) -> None:
        # Noted before and taken back if need be: a client that has read the usage must find the note.
        if self._tells_usage:
            self._meter.told(usage=True)
        try:
            self._connection.send(data)
        except GoneError:
            if self._tells_usage:
                self._meter.told(usage=False)
            raise
        self._tells_usage = False

    def end(self) -> None:
        """End the body as the head promised, if it can be."""
        if self._chunked:
            self.flush()
            self._wire += b"0\r\n\r\n"
        self.flush()
        self.reusable = self.reusable and (self._chunked or self._left == 0)


def deliver(
    connection: Connection, steps: Steps, *, meter: Meter, pace_s: float = 0.0, chunks_allowed: bool = True
) -> bool:
    """Send one answer and return whether the connection can carry another.

    Raises:
        GoneError: the client left; what was metered so far stays for the caller to settle.
    """
    body = _Body(connection, meter, chunks_allowed)
    for step in steps:
        if isinstance(step, Head):
            body.head(step)
        elif isinstance(step, Pause):
            body.flush()
            connection.wait(step.seconds)
        elif isinstance(step, (Reset, Close)):
            meter.settle()
            body.flush()
            if isinstance(step, Reset):
                connection.reset()
            return False
        else:
            body.add(step)
            if pace_s or (isinstance(step, Raw) and step.flush):
                body.flush()
            if pace_s and step.tag in _PACED:
                connection.wait(pace_s)
    meter.settle()
    body.end()
    return body.reusable
