"""The wiring: settings, gateway, books and catalogue become one Engine that asks and streams."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import uuid
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..budget import Standing
from ..errors import CallError, LedgerError, NoKeyError, OptionError, SettingsError
from ..events import Send
from ..gateway.catalog import Catalog
from ..gateway.http import Attribution
from ..gateway.picture_prices import PicturePrices
from ..ledger import Ledger
from ..ledger.reconcile import Reconciler
from ..ledger.store import open_store
from ..middleware.account import user
from ..middleware.fallback import Elsewhere
from ..options import Options
from ..secrets import WHERE_KEYS_GO, Key
from ..settings import Settings, SettingsWarning, as_offline, check_url, with_budgets
from ..values import Origin, Reply, Row, Timeouts
from .asking import Asking, Composed
from .chores import Chores
from .compose import Preview
from .drift import KeyWatch
from .gateways import Gateways
from .insert import Prompt
from .purse import Purse
from .replies import Replies
from .stack import Stack
from .stream import Stream

if TYPE_CHECKING:
    import openai

_CLOSING_S = 5.0
_BASELINE = Timeouts(connect_s=5.0, first_token_s=5.0, idle_s=5.0, total_s=8.0)


class Engine:
    """One gateway, one ledger, one session; usable from many threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger | None = None,
        client: openai.OpenAI | None = None,
        pace_s: float = 0.0,
        session: str | None = None,
        replies: Replies | None = None,
    ) -> None:
        if not isinstance(ledger, Ledger | None):
            raise OptionError(f"ledger={ledger!r:.60} is not an or_magic.ledger.Ledger. Nothing was opened.")
        self.settings, self._untold = settings, settings.warnings
        self.session = session or new_session()
        self.simulated = settings.offline
        home = settings.home / "offline" if self.simulated else settings.home
        team = None if self.simulated or settings.ledger is None else settings.ledger.reveal
        self.ledger = ledger or Ledger(open_store(home / "ledger.sqlite", team))
        self._theirs = client is not None
        self.gateways = Gateways(settings, client, pace_s)
        self.gateway = self.gateways.main
        catalogue = home / f"models-{_file_name(self.gateway.name)}.json"
        self.catalog = Catalog(catalogue, lambda: self.gateway.get("/models"))
        me = user()
        self.reconciler = Reconciler(
            self.ledger, self._ask_generation, self.gateway.name, mine=lambda row: row.user in (None, me)
        )
        pictures = PicturePrices(self.gateway.get)
        self._purse = Purse(lambda: self.settings.budgets, self.session, self.catalog, self.gateway.name, pictures)
        self.asking = Asking(
            lambda: self.settings, self.gateway, self.catalog, self.ledger, self._purse, send=self._send,
            replies=replies,
        )  # fmt: skip
        self.key_watch = KeyWatch(lambda: self.balance(_BASELINE), self.ledger, self.session, self.gateway.name)
        self._chores = Chores(self.reconciler, self._look_up)
        # Streams that nobody reads to their end are closed and booked while threads still run.
        self._at_exit = _closer(weakref.ref(self))
        atexit.register(self._at_exit)
        self.stack = Stack(
            lambda: self.settings, self.gateways, self.ledger, self._purse,
            session=self.session, settled=self._settled, stopped=self._chores.look_again,
            elsewhere=lambda local: Elsewhere(local, self.catalog.same, self.asking.fell),
        )  # fmt: skip

    @property
    def lacks_key(self) -> bool:
        """Whether nothing can be asked: no key, no other gateway, no client brought along."""
        return self.settings.lacks_key and not self._theirs

    def stream(
        self,
        prompt: Prompt,
        options: Options,
        *,
        values: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> Stream:
        """Return the running call.

        Raises:
            NoKeyError, OptionError, TemplateError, MediaError: it cannot be sent; nothing was sent.
        """
        self._ready()
        return self.asking.stream(prompt, options, values, origin)

    def start(self, composed: Composed, origin: Origin) -> Stream:
        """Return the running call of the request that is composed now.

        Raises:
            NoKeyError, and what ``composed`` raises; nothing was sent.
        """
        self._ready()
        return self.asking.start(composed, origin)

    def _ready(self) -> None:
        if self.lacks_key:
            raise NoKeyError(
                " ".join(["There is no key. Nothing was sent.", *self.untold(), WHERE_KEYS_GO])
                + " Or choose the offline simulator: %or use offline, or_magic.connect(offline=True) or "
                "OPENROUTER_BASE_URL=offline."
            )
        for text in self.untold():
            warnings.warn(text, SettingsWarning, stacklevel=4)
        self._chores.begin()

    def untold(self) -> tuple[str, ...]:
        """Return, once, what the settings say in vain: a mistyped name must not be passed over in silence."""
        told, self._untold = self._untold, ()
        return told

    def use_key(self, key: Key) -> None:
        """Ask with ``key`` from the next request on; the session, its books and its connections go on.

        Raises:
            SettingsError: the key may not travel to this gateway; the key before stays.
        """
        settings = replace(self.settings, key=key)
        check_url(settings)
        self.settings = settings
        self.gateway.use_key(key.secret)
        self.key_watch.forget()

    def adopt(self, settings: Settings) -> None:
        """Use these settings from the next call on; gateway, key, time limits and books stay what they are."""
        mine = self.settings
        if mine.offline and not settings.offline:
            settings = as_offline(settings, None)
        fixed = {name: mine.sources[name] for name in ("base_url", "home") if name in mine.sources}
        others = {name: source for name, source in settings.sources.items() if name not in ("base_url", "home")}
        self.settings = replace(
            settings, base_url=mine.base_url, home=mine.home, key=mine.key, timeouts=mine.timeouts,
            sources={**others, **fixed},
        )  # fmt: skip
        if settings.rate_limits != mine.rate_limits:
            self.stack.forget_limits()
        self._untold = tuple([text for text in settings.warnings if text not in mine.warnings])
        self.gateway.introduce(Attribution(settings.app_url, settings.app_name))

    def balance(self, timeouts: Timeouts) -> Mapping[str, Any]:
        """Return what the gateway tells of the key: limits and use, amounts as Decimal; it costs nothing.

        Raises:
            CallError: no answer, a refusal, or no JSON.
        """
        told = self.gateway.get("/key", timeouts=timeouts)
        data = told.get("data") if isinstance(told, Mapping) else None
        return data if isinstance(data, Mapping) else {}

    def preview(self, prompt: Prompt, options: Options, *, values: Mapping[str, Any] | None = None) -> Preview:
        """Return what would be sent, and what it may cost; nothing is.

        Raises:
            OptionError, TemplateError, MediaError: it cannot be composed.
        """
        return self.asking.preview(prompt, options, values)

    def ask(
        self, prompt: Prompt, options: Options, *, values: Mapping[str, Any] | None = None, origin: Origin | None = None
    ) -> Reply:
        """Return the complete answer.

        Raises:
            CallError: anything but a complete answer; the partial reply rides on it.
            NoKeyError, OptionError, TemplateError, MediaError: it cannot be sent; nothing was sent.
        """
        return self.stream(prompt, options, values=values, origin=origin).run()

    async def aask(self, prompt: Prompt, options: Options, *, values: Mapping[str, Any] | None = None) -> Reply:
        """As ``ask``, in a thread; cancelling closes the connection."""
        stream = self.stream(prompt, options, values=values)
        try:
            return await asyncio.to_thread(stream.run)
        except asyncio.CancelledError:
            stream.close()
            raise

    def warm(self) -> None:
        """Pay now what the first call would pay: imports, the ledger, the catalogue, a connection."""
        if not self.lacks_key:
            self.catalog.models()
            self.gateway.warm()
        with contextlib.suppress(LedgerError):  # the first call says what is wrong, where somebody reads it
            self.ledger.unsettled()

    def close_streams(self) -> None:
        """Close every call that still runs: a stream that nobody reads is a stream that somebody pays."""
        self.asking.close_streams()

    def close(self) -> None:
        """Close calls, connections, threads, files and the simulator."""
        atexit.unregister(self._at_exit)
        self.reconciler.stop()
        self.close_streams()
        self.gateways.close()
        self.reconciler.wait(_CLOSING_S)
        self._chores.wait(_CLOSING_S)
        self.ledger.close()
        self.gateways.close_server()

    def set_budgets(self, budgets: Mapping[str, Any]) -> None:
        """Set budgets by the names of their settings, in dollars; ``off`` takes one off.

        Raises:
            SettingsError: a value cannot be used; nothing was changed.
        """
        self.settings = with_budgets(self.settings, budgets)

    def standings(self) -> list[Standing]:
        """Return how every budget of this session stands.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return self.ledger.standings(self._purse.all_limits(datetime.now(UTC)))

    def _send(self) -> Send:
        return self.stack.send()

    def _settled(self, row: Row) -> None:
        self.asking.settled(row)
        self.reconciler.soon(row)

    def _ask_generation(self, generation_id: str) -> Mapping[str, Any]:
        told = self.gateway.get("/generation", {"id": generation_id})
        data = told.get("data") if isinstance(told, Mapping) else None
        return data if isinstance(data, Mapping) else {}

    def _look_up(self) -> None:
        """Note what the key has used by now, and have today's prices, where they are told."""
        if self.gateway.name == "openrouter":
            with contextlib.suppress(CallError, SettingsError):  # %or doctor says what is wrong with a key
                self.key_watch.begin()
            self.catalog.refresh()


def new_session() -> str:
    """Return a name under which the books add up what one kernel spends in its life."""
    return uuid.uuid4().hex[:12]


def _closer(engine: weakref.ref[Engine]) -> Callable[[], None]:
    mine = os.getpid()

    def close() -> None:
        # A forked child that ends must not close its parent's connections.
        if os.getpid() == mine and (alive := engine()) is not None:
            alive.close()

    return close


def _file_name(name: str) -> str:
    return "".join([c if c.isalnum() or c in ".-" else "_" for c in name])
