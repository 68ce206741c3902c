"""The gateway over HTTP: openai's client carries the bytes, everything said about them is ours.

The client retries nothing, decodes nothing and follows no redirect; the body is read to its end, so that the
connection is used again, and closed in our own ``finally``, so that an interrupt stops the billing.
"""

from __future__ import annotations

import os
import socket
import threading
import unicodedata
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..addresses import without_password
from ..errors import OrMagicError
from ..events import Closed, Event, Metered
from ..protocol.decode import decode, parse_json
from ..protocol.encode import encode
from ..protocol.endpoints import WAYS, named
from ..protocol.faults import fault_of_response, not_the_protocol
from ..protocol.write import write_heavy
from ..secrets import Secret, hide_pieces, redactor
from ..values import Request, Timeouts
from .body import Body
from .network_faults import broken, failed, network_fault, stopped, timed_out, unreachable, unsendable

if TYPE_CHECKING:
    import httpx2
    import openai

    from .deadlines import Brake, Deadlines
    from .debug import Exchange, Recorder

_TELL_USAGE = ("openrouter", "offline")
_QUERY = Timeouts(first_token_s=20.0, total_s=20.0)


@dataclass(frozen=True, slots=True)
class Attribution:
    """How this app is named to OpenRouter (WIRE.md §1); nothing is attributed without ``url``."""

    url: str | None = None
    name: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the attribution headers."""
        told = {"HTTP-Referer": self.url, "X-OpenRouter-Title": self.name}
        return {name: _ascii(value) for name, value in told.items() if value and _ascii(value)}


class Gateway:
    """One base URL and one key; ``send`` is its Send. The client is made at first use, and again after a fork."""

    def __init__(
        self,
        name: str,
        base_url: str,
        key: Secret | None,
        *,
        attribution: Attribution | None = None,
        client: openai.OpenAI | None = None,
        connect_s: float = Timeouts().connect_s,
        brakes: weakref.WeakValueDictionary[str, Brake] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.base_url = base_url
        self._key = key
        # What must not be seen in what comes back: also the key before this one, which a log of theirs may repeat.
        self._hidden: tuple[Secret, ...] = (Secret(client.api_key),) if client else (key,) if key else ()
        self._redact = redactor(self._hidden)
        self._attribution = attribution or Attribution()
        # Theirs retries nothing either: each attempt is a row of the books.
        self._theirs = client.with_options(max_retries=0) if client else None
        self._connect_s = connect_s
        self._now = now
        self._lock = threading.Lock()
        self._ours: tuple[int, openai.OpenAI] | None = None
        self.brakes = weakref.WeakValueDictionary() if brakes is None else brakes  # one call may ask several gateways
        self._queries: set[Deadlines] = set()
        self.recorder: Recorder | None = None  # only while somebody wants to see what is said

    def send(self, request: Request) -> Generator[Event, None, None]:
        """Send one attempt; what the network or the gateway does to it is told by its Closed, never raised."""
        from .deadlines import Deadlines

        deadlines = Deadlines(request.timeouts, streamed=request.stream)
        brake = self.brake(request.origin.call_id)
        if not brake.watch(deadlines):
            yield failed(stopped(), sent=False)
            return
        note = self.recorder.begin(self.body(request)) if self.recorder else None
        try:
            closed = yield from self._exchange(request, deadlines, note)
        except KeyboardInterrupt as error:
            raise _cut(error) from None
        finally:
            brake.release()
        if note:
            note.end(closed)
        yield closed

    def body(self, request: Request) -> dict[str, Any]:
        """Return the JSON body that ``send`` sends."""
        if request.endpoint != "chat":
            return WAYS[request.endpoint].encode(request)
        return encode(request, ask_usage=self._asks_usage)

    @property
    def _asks_usage(self) -> bool:
        return self.name not in _TELL_USAGE

    def brake(self, call_id: str) -> Brake:
        """Return what stops a call from any thread; its stream then ends as interrupted. Keep it while it may run."""
        from .deadlines import Brake

        with self._lock:
            brake = self.brakes.get(call_id) or Brake()
            self.brakes[call_id] = brake
            return brake

    def get(self, path: str, params: Mapping[str, str] | None = None, timeouts: Timeouts = _QUERY) -> Any:
        """Return the JSON of ``GET path``, its numbers as Decimal.

        Raises:
            CallError: no answer, a refusal, or no JSON.
        """
        import httpx2
        import openai

        from .deadlines import Deadlines

        deadlines = Deadlines(timeouts, streamed=False)
        options: Any = {"params": dict(params or {})}
        self._queries.add(deadlines)
        try:
            with deadlines:
                response = self._client().get(path, cast_to=httpx2.Response, options=options)
            return parse_json(self._redact(response.content))
        except (openai.APIError, httpx2.HTTPError) as error:
            raise self._ended(error, deadlines).error or not_the_protocol("no answer") from None
        except ValueError:
            raise not_the_protocol(f"{without_password(self.base_url)}{path} did not answer with JSON") from None
        except RuntimeError:  # the client was closed by another thread, between our getting and using it
            raise stopped() from None
        except KeyboardInterrupt as error:
            raise _cut(error) from None
        finally:
            self._queries.discard(deadlines)

    def use_key(self, key: Secret) -> None:
        """Send ``key`` from the next request on, over the same connections."""
        self._hidden = (*self._hidden, key)
        self._redact = redactor(self._hidden)
        self._key = key

    def record(self, *, on: bool) -> None:
        """Keep requests and answers in ``recorder`` from now on, or forget them."""
        from .debug import Recorder

        self.recorder = Recorder(self.hide) if on else None

    def hide(self, body: bytes) -> bytes:
        """Return ``body`` without the key, whichever it is by now."""
        return self._redact(body)

    def hide_pieces(self, text: str) -> str:
        """Return ``text`` without any readable piece of the key."""
        return hide_pieces(text, self._hidden)

    def introduce(self, attribution: Attribution) -> None:
        """Name this app so from the next request on."""
        self._attribution = attribution

    def load(self) -> None:
        """Have the client ready: its imports and its TLS context take most of a second, once."""
        with suppress(TypeError, ValueError, RuntimeError):  # an attempt says it, as its own end
            self._client()

    def warm(self) -> None:
        """Pay now what the first call would pay: the imports, the TLS context and, where one answers, a connection."""
        try:
            self.get("/models/count")
        except OrMagicError:
            return  # the first call will say what is wrong, in its own words

    def close(self) -> None:
        """Close every connection that is ours, and end what is being asked."""
        for deadlines in list(self._queries):
            deadlines.stop()
        with self._lock:
            if self._ours is not None:
                self._ours[1].close()
            self._ours = None

    def _exchange(
        self, request: Request, deadlines: Deadlines, note: Exchange | None
    ) -> Generator[Event, None, Closed]:
        import httpx2
        import openai

        from .deadlines import watchdog

        with ExitStack() as stack:
            try:
                with deadlines, deadlines.waking_by_signal() if self._theirs else nullcontext():
                    response = stack.enter_context(closing(self._post(request)))
            except (openai.APIError, httpx2.HTTPError) as error:
                return self._ended(error, deadlines, note)
            except (TypeError, ValueError, RuntimeError) as error:  # not even written down; RuntimeError: just closed
                return failed(unsendable(error), sent=False)
            if self._theirs is not None:
                stack.enter_context(watchdog(deadlines, _socket_of(response)))
            body = Body(response, deadlines, self._redact)
            headers = self._headers(response)
            if note:
                note.answer(response.status_code, headers)
                body.tap = note.take
            generation_id = headers.get("x-generation-id")
            free = headers.get("x-openrouter-cache-status", "").upper() == "HIT"
            kind = headers.get("content-type", "")
            if "text/event-stream" in kind:
                closed = yield from _priced(decode(body.payloads(), generation_id), free=free)
                body.drain()
            else:
                whole = body.whole()
                read = WAYS[request.endpoint].decode(whole, generation_id, kind)
                closed = named((yield from _priced(read, free=free)), request)
                if body.fault:
                    closed = replace(closed, status="partial")  # half an answer is no answer of another kind
            return broken(closed, body.fault, began=deadlines.data_came) if body.fault else closed

    def _post(self, request: Request) -> httpx2.Response:
        """Return the response, its body unread.

        ``post`` is the client's way to endpoints that it does not know: it neither checks nor copies a body that is
        ours already. Its Stream is never iterated; only the response under it is.
        """
        import openai

        options: Any = {"headers": self._attribution.headers(), "timeout": self._timeout(request.timeouts)}
        # A client brought along may read the body to find its address: Azure's does.
        heavy = None if self._theirs else write_heavy(request, ask_usage=self._asks_usage)
        path = WAYS[request.endpoint].path
        stream = self._client().post(
            path if self._theirs else self.base_url + path,  # a whole address is parsed once, a part of one three times
            cast_to=object,
            body=self.body(request) if heavy is None else None,
            content=heavy,
            options=options,
            stream=True,
            stream_cls=openai.Stream[object],
        )
        return stream.response

    def _timeout(self, timeouts: Timeouts) -> Any:
        import httpx2

        # Ours obeys Deadlines; a client brought along has one limit for every read, the wait for headers included.
        return httpx2.Timeout(min(timeouts.first_token_s, timeouts.total_s), connect=timeouts.connect_s)

    def _client(self) -> openai.OpenAI:
        if self._theirs is not None:
            return self._theirs
        with self._lock:
            if self._ours is None or self._ours[0] != os.getpid():  # sockets must not be shared over a fork
                self._ours = (os.getpid(), self._new_client())
            return self._ours[1]

    def _new_client(self) -> openai.OpenAI:
        import httpx2
        import openai

        from .transport import Transport

        return openai.OpenAI(
            api_key="held-by-the-transport",
            base_url=self.base_url,
            max_retries=0,
            http_client=httpx2.Client(
                transport=Transport(self.base_url, lambda: self._key),
                timeout=httpx2.Timeout(None, connect=self._connect_s),
            ),
            default_headers={"User-Agent": "or_magic"},
        )

    def _ended(
        self, error: openai.APIError | httpx2.HTTPError, deadlines: Deadlines, note: Exchange | None = None
    ) -> Closed:
        """Return the end of an attempt for what the client raised."""
        import httpx2
        import openai

        if isinstance(error, openai.APIStatusError):
            headers = self._headers(error.response)
            body = self._redact(error.response.content)
            if note:
                note.answer(error.status_code, headers)
                note.take(body)
            fault = fault_of_response(error.status_code, headers, body, self._now())
            return replace(failed(fault, sent=True), generation_id=headers.get("x-generation-id"))
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectTimeout):
            phase = deadlines.passed()
            return failed(timed_out(phase or "connect", None if phase else self._connect_s), sent=False)
        if isinstance(cause, httpx2.ConnectError):
            return failed(unreachable(without_password(self.base_url), str(cause)), sent=False)
        return failed(network_fault(deadlines), sent=True)

    def _headers(self, response: httpx2.Response) -> dict[str, str]:
        """Return the headers of an answer; a gateway may echo the key in them, too."""
        return {name.lower(): self._redact(value.encode()).decode() for name, value in response.headers.items()}


def _priced(events: Generator[Event, None, Closed], *, free: bool) -> Generator[Event, None, Closed]:
    """Pass the events on; what OpenRouter's response cache answered costs nothing, though it tells no cost (§6)."""
    if not free:
        return (yield from events)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            closed: Closed = end.value
            return replace(closed, cached=True)
        if isinstance(event, Metered) and event.usage.cost_usd is None:
            event = Metered(replace(event.usage, cost_usd=Decimal(0)))
        yield event


def _cut(error: KeyboardInterrupt) -> KeyboardInterrupt:
    """Return the interrupt without the frames below: they hold the key while they send it, and tracebacks show that."""
    return error.with_traceback(None)


def _socket_of(response: httpx2.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    return None if stream is None else stream.get_extra_info("socket")


def _ascii(text: str) -> str:
    # Headers carry ASCII: an accent is left out rather than the whole call.
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join([c for c in plain if c.isprintable()]).strip()
