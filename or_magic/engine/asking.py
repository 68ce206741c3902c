"""One call from prompt to booked reply: compose, run its rounds, and complete the reply with what the books know."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any

from ..events import Event, Notice, Send
from ..gateway.catalog import Catalog, Models
from ..gateway.http import Gateway
from ..ledger import Ledger
from ..options import Options
from ..options.presets import with_preset
from ..protocol.accumulate import Accumulation
from ..schema import schema_of
from ..settings import Settings
from ..values import Origin, Reply, Request, Row
from .auto import with_choice
from .bills import Bills
from .chat import Chats, Joined
from .compose import Preview, compose, is_local, local_name
from .explain import explain
from .insert import Inserted, Note, Prompt
from .making import asked_format
from .prepare import CATALOGUED, notices, prepared
from .purse import Purse
from .replies import Replies
from .rounds import rounds
from .stream import Stream, with_figures
from .suitability import Suitability, check
from .typed import TypedAnswer

_KEPT_ROWS = 1024  # of calls whose stream nobody read to its end

# Makes a request of the settings as they are when its call begins, and of whose call it is.
Composed = Callable[[Settings, Origin], Request]


class Asking:
    """What a session asks with; usable from many threads. Each call follows the settings as they are when it begins."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        gateway: Gateway,
        catalog: Catalog,
        ledger: Ledger,
        purse: Purse,
        *,
        send: Callable[[], Send],
        replies: Replies | None = None,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._catalog = catalog
        self._ledger = ledger
        self._purse = purse
        self._send = send
        self.replies = Replies() if replies is None else replies
        self._bills = Bills(purse.find)
        self.chats = Chats(settings, self._context_tokens, catalog.same)
        # Reentrant: the collector may close a forgotten stream, and book it, wherever this thread happens to be.
        self._lock = threading.RLock()
        self._rows: OrderedDict[str, tuple[Row, ...]] = OrderedDict()
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._stuck: dict[str, str] = {}
        self._suitability = Suitability()

    def stream(
        self, prompt: Prompt, options: Options, values: Mapping[str, Any] | None, origin: Origin | None
    ) -> Stream:
        """Return the running call.

        Raises:
            OptionError, TemplateError, MediaError, ContextError: it cannot be composed; nothing was sent.
        """
        return self.start(_asked(prompt, options, values), origin or Origin())

    def start(self, composed: Composed, origin: Origin) -> Stream:
        """Return the running call of the request that is composed now.

        Raises:
            OptionError, TemplateError, MediaError, ContextError: it cannot be composed; nothing was sent.
        """
        call_id = uuid.uuid4().hex
        joined, typed, news = self._joined(composed, replace(origin, call_id=call_id))
        request = joined.request
        stream = Stream(
            joined.announced(self._run(request, typed, news)),
            Accumulation(self._gateway.name, call_id, request.model, asked_format(request)),
            booked=partial(self._booked, joined, typed),
            explain=lambda error, row, earlier: explain(error, row, earlier, self._closest),
            stop=self._gateway.brake(call_id).pull,
        )
        with self._lock:
            self._streams.add(stream)
        return stream

    def preview(self, prompt: Prompt, options: Options, values: Mapping[str, Any] | None) -> Preview:
        """Return what would be sent, and what it may cost; nothing is.

        Raises:
            OptionError, TemplateError, MediaError, ContextError: it cannot be composed.
        """
        inserted: list[Inserted] = []
        joined, _, news = self._joined(_asked(prompt, options, values, inserted.append), Origin(), dry=True)
        request = joined.request
        news += self._worth_knowing(request, once=False)
        standings = self._ledger.standings(self._purse.limits(request, datetime.now(UTC)))
        left = min([standing.left_usd for standing in standings], default=None)
        fitted, bound_usd = self._purse.fit(request, None if request.waived else left)
        expected = self._bills.expect(fitted, self._ledger)
        body = self._gateway.body(fitted)
        return Preview(fitted, body, expected, bound_usd, tuple(standings), tuple(inserted), joined.notes, news)

    def close_streams(self) -> None:
        """Close every call that still runs: a stream that nobody reads is a stream that somebody pays."""
        with self._lock:
            running = list(self._streams)
        for stream in running:
            stream.close()

    def settled(self, row: Row) -> None:
        """Keep a row for the reply that it belongs to."""
        with self._lock:
            self._rows[row.call_id] = (*self._rows.get(row.call_id, ()), row)
            while len(self._rows) > _KEPT_ROWS:
                self._rows.popitem(last=False)

    def fell(self, asked: str, served: str) -> None:
        """Keep the model that answered in place of another for the next calls, if the user wants that."""
        if self._settings().fallback_sticky:
            self._stuck[asked] = served

    def _joined(
        self, composed: Composed, origin: Origin, *, dry: bool = False
    ) -> tuple[Joined, TypedAnswer | None, tuple[Notice, ...]]:
        """Return the request as it goes out, what judges its answer if that is typed, and what was chosen for it."""
        settings, models = self._settings(), self._models()
        request = composed(settings, origin)
        request, news = with_choice(request, self.chats.whole, settings.choose, models, _today())
        joined = self.chats.before(request, dry=dry)
        request = joined.request
        if models is not None:
            check(request, models)
        typed = None
        if request.schema is not None:  # after the conversation, which is not to keep how this one answer is wanted
            typed = TypedAnswer(request.schema, models.find(request.model) if models is not None else None)
            request = typed.asked(request)
        return replace(joined, request=prepared(request, self._catalog, self._gateway)), typed, news

    def _closest(self, name: str) -> tuple[str, ...]:
        """Return the aliases and models that look like what nobody knows."""
        return (*get_close_matches(name, self._settings().aliases, 1), *self._catalog.models().closest(name))

    def _context_tokens(self, model: str) -> int | None:
        """Return what a model reads, prompt and answer together."""
        models = self._models()
        found = models.find(model) if models is not None else None
        return found.context_tokens if found else None

    def _models(self) -> Models | None:
        """Return the catalogue, where it is that of who is asked: elsewhere a model of that name may be another."""
        return self._catalog.models() if self._gateway.name in CATALOGUED else None

    def _worth_knowing(self, request: Request, *, once: bool = True) -> tuple[Notice, ...]:
        models = self._models()
        return () if models is None else tuple(self._suitability.notices(request, models, _today(), once=once))

    def _run(
        self, request: Request, typed: TypedAnswer | None, news: tuple[Notice, ...]
    ) -> Generator[Event, None, None]:
        yield from news
        yield from self._worth_knowing(request)
        yield from notices(request)
        self._purse.learn(request, datetime.now(UTC))
        yield from rounds(self._followed, request, [typed] if typed else ())

    def _followed(self, request: Request) -> Generator[Event, None, None]:
        """Send a request, or ask the model that has answered in its place before."""
        settings = self._settings()
        stuck = self._stuck.get(request.model) if settings.fallback_sticky and request.endpoint == "chat" else None
        if stuck is not None and (not is_local(stuck) or local_name(stuck)[0] in settings.local):
            yield Notice("fallback", f"{stuck} is asked: it answered in place of {request.model} before")
            request = replace(request, model=stuck)
        yield from self._send()(request)

    def _booked(self, joined: Joined, typed: TypedAnswer | None, reply: Reply, sent: bool) -> tuple[Reply, Row | None]:
        with self._lock:
            rows = self._rows.pop(reply.call_id, ())
        reply, row = with_figures(typed.completed(reply) if typed else reply, rows, sent=sent)
        reply = self._bills.judged(reply, row, joined.request)
        self.chats.after(joined, reply, sent=sent and row is not None)
        if row is not None:
            self.replies.add(reply)
        return reply, row


def _today() -> date:
    return datetime.now(UTC).date()


def _asked(prompt: Prompt, options: Options, values: Mapping[str, Any] | None, note: Note | None = None) -> Composed:
    def composed(settings: Settings, origin: Origin) -> Request:
        said = with_preset(options, settings.presets)
        origin = replace(origin, tag=said.tag, chat=said.chat)
        request = compose(prompt, said, settings, origin, values=values, note=note)
        schema = None if said.schema is None else schema_of(said.schema)
        return replace(request, anew=said.new, schema=schema)

    return composed
