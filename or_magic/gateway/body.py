"""A response's body, read under deadlines and to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..errors import CallError
from ..protocol.faults import not_the_protocol
from ..protocol.sse import Comment, payloads
from .network_faults import network_fault

if TYPE_CHECKING:
    import httpx2

    from .deadlines import Deadlines

_DRAIN_S = 0.25  # a body that does not end after the answer is not worth waiting for
_MAX_WHOLE_BYTES = 256 * 2**20


class Body:
    """A response's body read under deadlines; what breaks it is kept in ``fault``, so that decoding can conclude."""

    def __init__(self, response: httpx2.Response, deadlines: Deadlines, redact: Callable[[bytes], bytes]) -> None:
        self._response = response
        self._deadlines = deadlines
        self._redact = redact
        self._chunks = self._read()
        self.tap: Callable[[bytes], None] | None = None  # is given every piece as it came
        self.fault: CallError | None = None

    def payloads(self) -> Iterator[bytes | Comment]:
        """Yield the payloads of an event stream."""
        try:
            for payload in payloads(self._chunks):
                yield payload if isinstance(payload, Comment) else self._data(payload)
        except CallError as error:  # a cap of the decoder
            self.fault = error

    def _data(self, payload: bytes) -> bytes:
        self._deadlines.saw_data()
        return self._redact(payload)

    def drain(self) -> None:
        """Read on to the body's end, so that its connection is used again; how it ends does not matter any more."""
        if self.fault is not None:
            return
        self._deadlines.drain(_DRAIN_S)
        for _ in self._chunks:
            continue
        self.fault = None

    def whole(self) -> bytes:
        """Return the whole body, up to a cap."""
        held: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            held.append(chunk)
            size += len(chunk)
            if size > _MAX_WHOLE_BYTES:
                self.fault = not_the_protocol(f"the answer is larger than {_MAX_WHOLE_BYTES:,} bytes")
                break
        return self._redact(b"".join(held))

    def _read(self) -> Iterator[bytes]:
        chunks = self._response.iter_bytes()
        while True:
            try:
                with self._deadlines:
                    chunk = next(chunks, None)
            except Exception:  # noqa: BLE001 - whatever the HTTP stack raises here, the connection or its framing broke
                self.fault = network_fault(self._deadlines)
                return
            if chunk is None:
                if self._deadlines.stopped or self._deadlines.passed():  # our own shutdown can look like a clean end
                    self.fault = network_fault(self._deadlines)
                return
            if self.tap is not None:
                self.tap(chunk)
            yield chunk
