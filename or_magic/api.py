"""The verbs of ``orm`` and of ``Session``: delegations to the engine and the features."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from .content import Audio
from .conversation import Policy
from .engine import making
from .engine.insert import Prompt
from .engine.making import ImageOptions, SpeechOptions, TranscriptionOptions
from .engine.replies import Replies
from .engine.session import Engine, new_session
from .engine.stream import Stream
from .options import AskOptions, Options, from_keywords
from .rules import Choice
from .secrets import KEY_NAME, WHERE_KEYS_GO, Key
from .setting_kinds import ConnectOptions
from .settings import Settings, as_offline, load_settings
from .values import Origin, Reply

if TYPE_CHECKING:
    import openai
    import pandas as pd

    from .features.chat import Chat
    from .features.choose import Wishes
    from .features.models import Filters
    from .features.tracker import Tracker
    from .ledger import Ledger


class Session:
    """One gateway and one ledger, with the verbs of this module. Threads may share it; processes must not."""

    def __init__(self, engine: Engine, *, automatic: bool = False) -> None:
        self.engine = engine
        self.automatic = automatic  # a cell's own offline session: nobody chose it, so Python must not use it

    def ask(self, prompt: Prompt, **options: Unpack[AskOptions]) -> Reply:
        """Ask, wait, and return the complete answer.

        Args:
            prompt: text, or a list of text, Paths, bytes and content parts (``or_magic.content``); nothing in it
                is expanded unless ``values`` are given.
            **options: the long options of a cell, with ``_`` for ``-`` (repeatable ones as lists): ``model system
                max_tokens reasoning fallback budget yes tag`` and more, ``params`` for any other field of the request,
                and ``values``, which opts in to ``{{ }}`` in the prompt's only text. ``attach`` takes one thing or a
                list: a Path, bytes, an object, or a str: an http(s) or data URL, else a path. Never words of others.

        Raises:
            CallError: anything but a complete answer; ``error.reply`` is the partial one.
            OverBudget: a budget does not cover it; nothing was sent.
            NoKeyError, OptionError, TemplateError, MediaError: nothing was sent.
        """
        return self._engine().ask(prompt, _said(options), values=options.get("values"))

    def stream(self, prompt: Prompt, **options: Unpack[AskOptions]) -> Stream:
        """Ask and return the running call: an iterator of ``or_magic.events``, to be closed or read to its end.

        Raises:
            CallError: at the end of the iteration, for anything but a complete answer.
            NoKeyError, OptionError, TemplateError, MediaError: nothing was sent.
        """
        return self._engine().stream(prompt, _said(options), values=options.get("values"))

    async def aask(self, prompt: Prompt, **options: Unpack[AskOptions]) -> Reply:
        """As ``ask``, for ``await``; the waiting is done in a thread.

        In a notebook cell an ``await`` cannot be interrupted (a limit of ipykernel 7): the total time limit of
        the settings is what ends it.
        """
        return await self._engine().aask(prompt, _said(options), values=options.get("values"))

    def chat(self, name: str, *, policy: Policy | None = None) -> Chat:
        """Return the conversation ``name`` of this session; ``policy``: what happens where it outgrows the model.

        Raises:
            OptionError: it is no name, or no policy.
        """
        from .features.chat import Chat

        return Chat(name, self.engine.asking.chats, self.ask, self.stream, policy=policy)

    def image(self, prompt: str, **options: Unpack[ImageOptions]) -> Reply:
        """Make pictures of a text; see ``or_magic.image``."""
        return self._engine().start(making.image(prompt, options), Origin()).run()

    def speak(self, text: str, **options: Unpack[SpeechOptions]) -> Reply:
        """Return a text as speech; see ``or_magic.speak``."""
        return self._engine().start(making.speech(text, options), Origin()).run()

    def transcribe(self, sound: Path | bytes | Audio, **options: Unpack[TranscriptionOptions]) -> Reply:
        """Return what is said in a sound; see ``or_magic.transcribe``."""
        return self._engine().start(making.transcription(sound, options), Origin()).run()

    def models(self, query: str = "", **filters: Unpack[Filters]) -> pd.DataFrame:
        """Return the models whose id or name holds every word of ``query``, with prices; see ``or_magic.models``."""
        from .features.models import models_frame

        return models_frame(self.engine.catalog, query, **filters)

    def choose(self, task: str, complexity: str | None = None, **wishes: Unpack[Wishes]) -> Choice:
        """Return the model that the rules choose for a task; see ``or_magic.choose``."""
        from .features.choose import choose_model

        return choose_model(self.engine, task, complexity, wishes)

    @cached_property
    def tracker(self) -> Tracker:
        """What was asked and what it cost."""
        from .features.tracker import Tracker
        from .features.what_if import known_model

        return Tracker(
            self.engine.ledger,
            self.engine.session,
            simulated=self.engine.simulated,
            standings=self.engine.standings,
            set_budgets=self._set_budgets,
            model=lambda name: known_model(self.engine.catalog, self.engine.settings.resolve(name)),
        )

    @property
    def replies(self) -> Replies:
        """The latest replies of this session, newest last, of cells and of Python; in memory only."""
        return self.engine.asking.replies

    def reconcile(self) -> tuple[int, int]:
        """Ask the gateway once for every call whose cost is not known; return (settled, still unknown).

        Raises:
            LedgerError: the ledger cannot be read.
        """
        return self.engine.reconciler.now()

    def close(self) -> None:
        """Close running calls, connections, threads and files."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _set_budgets(self, budgets: Mapping[str, Any]) -> None:
        """Set budgets by the names of their settings; those of this process's session outlive it."""
        told = dict(budgets)
        if "tag_budgets" in told:
            told["tag_budgets"] = {**self.engine.settings.budgets.tags, **told["tag_budgets"]}
        if self is _process.session:
            set_settings(**told)
        else:
            self.engine.set_budgets(told)

    def _engine(self) -> Engine:
        if self.automatic:
            from .errors import NoKeyError

            raise NoKeyError(
                "There is no key, and the offline simulator was not chosen for Python code. Nothing was sent. "
                f"{WHERE_KEYS_GO} Or choose the simulator: %or use offline."
            )
        return self.engine


def connect(
    *,
    client: openai.OpenAI | None = None,
    ledger: Ledger | None = None,
    pace_s: float = 0.0,
    **settings: Unpack[ConnectOptions],
) -> Session:
    """Return a session of its own.

    Args:
        client: an ``openai.OpenAI`` of yours, for servers with their own keys; its base URL is used.
        ledger: books of your own.
        pace_s: the pause between two pieces of the offline simulator, in seconds.
        **settings: ``base_url model app_url app_name home offline timeouts``; budgets in dollars (or "off")
            ``session_budget daily_budget weekly_budget total_budget tag_budgets``; ``fallback_models
            fallback_sticky retries circuit_breaker context_policy``; ``local`` servers by name; ``rate_limits`` a
            minute by model; ``presets`` by name; ``choose``, rules by task.

    Raises:
        OptionError, SettingsError: a setting is unknown or cannot be used.
    """
    found = load_settings(settings, key=_process.key, keyless=client is not None)
    return Session(Engine(found, ledger=ledger, client=client, pace_s=pace_s))


class _Process:
    """What this process has: one session, made when it is needed, and what was said about it in a notebook."""

    def __init__(self) -> None:
        self.chosen: dict[str, Any] = {}
        self.key: Key | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the session: the sockets, threads and locks of a parent are of no use in its child."""
        self.lock = threading.Lock()
        self.session: Session | None = None
        # One for its whole life: who changes the gateway, and comes back, has the session's budget but once.
        self.name = new_session()
        self.replies = Replies()  # likewise: an answer is not forgotten because another gateway gave it

    def settings(self, chosen: Mapping[str, Any]) -> Settings:
        return load_settings(chosen, key=self.key, giver="%config")

    def engine(self, settings: Settings, pace_s: float) -> Engine:
        return Engine(settings, pace_s=pace_s, session=self.name, replies=self.replies)


_process = _Process()


def current(*, pace_s: float = 0.0) -> Session:
    """Return the session of this process, made from its settings at first use; ``pace_s`` is the simulator's."""
    with _process.lock:
        before = _process.session
        if before is not None:
            if not _could_ask_now(before):
                return before
            _process.session = None
            before.close()
        _process.session = Session(_process.engine(_process.settings(_process.chosen), pace_s))
        return _process.session


def simulate(*, pace_s: float) -> Session:
    """Return the simulator as this process's session, for want of a key; Python verbs do not use it."""
    settings = as_offline(current().engine.settings, "no key")
    session = Session(_process.engine(settings, pace_s), automatic=True)
    use(session)
    return session


def existing() -> Session | None:
    """Return the session of this process if there is one already."""
    return _process.session


def use(session: Session | None) -> None:
    """Make ``session`` the one of this process and close the one before; None: make a new one when it is needed."""
    with _process.lock:
        before, _process.session = _process.session, session
    if before is not None and before is not session:
        before.close()


def _could_ask_now(session: Session) -> bool:
    """Whether a key has come into the environment since this session began without one."""
    return (session.automatic or session.engine.lacks_key) and bool(os.environ.get(KEY_NAME, "").strip())


def chosen() -> Mapping[str, Any]:
    """Return what ``set_settings`` has set."""
    return dict(_process.chosen)


def set_settings(**settings: Any) -> bool:
    """Set settings of this process's session, as ``%config`` does; None takes one back.

    Returns:
        Whether the session ended: another base URL needs one of its own, made when it is needed.

    Raises:
        OptionError, SettingsError: a setting is unknown or cannot be used; nothing was changed.
    """
    with _process.lock:
        chosen = {name: value for name, value in (_process.chosen | settings).items() if value is not None}
        found = _process.settings(chosen)
        moved = chosen.get("base_url") != _process.chosen.get("base_url")
        _process.chosen = chosen
        session = _process.session
    if session is None:
        return False
    if not moved or found.base_url == session.engine.settings.base_url:
        session.automatic = session.automatic and not (moved and found.offline)
        if found.offline and not session.engine.simulated:  # it goes on asking for real money: its budgets hold on
            found = _process.settings({**chosen, "base_url": session.engine.settings.base_url})
        session.engine.adopt(found)
        return False
    use(None)
    return True


def forget_choices() -> None:
    """Take back all that ``set_settings`` has set, and begin a life of its own for the sessions to come."""
    _process.chosen, _process.name, _process.replies = {}, new_session(), Replies()


def reread() -> None:
    """Let this process's session follow ``.env`` and the config file as they are now, but for the base URL.

    Raises:
        SettingsError: a value cannot be used; nothing was changed.
    """
    set_settings()


def use_key(key: Key | None) -> bool:
    """Ask with ``key`` from now on, in this session and those to come; None: with the one that is found.

    Returns:
        Whether the session ended: the simulator that answered for want of a key.

    Raises:
        SettingsError: the key may not travel to this session's gateway; nothing was changed.
    """
    session = _process.session
    if key is not None and session is not None and not session.engine.simulated:
        session.engine.use_key(key)
    _process.key = key
    if key is None or session is None or not session.automatic:
        return False
    use(None)
    return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.begin)


def ask(prompt: Prompt, **options: Unpack[AskOptions]) -> Reply:
    """Ask, wait, and return the complete answer; see ``Session.ask``."""
    return current().ask(prompt, **options)


def stream(prompt: Prompt, **options: Unpack[AskOptions]) -> Stream:
    """Ask and return the running call; see ``Session.stream``."""
    return current().stream(prompt, **options)


async def aask(prompt: Prompt, **options: Unpack[AskOptions]) -> Reply:
    """As ``ask``, for ``await``; see ``Session.aask`` for what an interrupt cannot do."""
    return await current().aask(prompt, **options)


def _said(options: Mapping[str, Any]) -> Options:
    return from_keywords({name: value for name, value in options.items() if name != "values"})
