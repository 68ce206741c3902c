"""One shell's face: its magics and hooks, and the session its cells use."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import MAGIC_NO_VAR_EXPAND_ATTR

from .completion import Completion
from .namespace import is_users
from .runs import Runs
from .traits import OpenRouterMagics
from .transform import keep_question_marks
from .warm import Warmer

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from types import ModuleType

    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from ..api import Session
    from ..errors import OrMagicError
    from ..values import Reply
    from .cell import Asked

NAMES = ("openrouter", "or")
# A simulator that answers at once would show nothing of how streaming looks.
_PACE_S = 0.01
_PAINTERS = 4  # cells that may be drawn at the same time, in subshells and threads
_REMEMBERED = 500  # calls whose wording and answer are kept in memory for again and history


class Face:
    """What the extension adds to ``shell``; ``close`` takes it away again."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self.stopped: Asked | None = None  # what was asked last, where a budget or the ledger stopped it
        self.just_drawn: Reply | None = None  # the cell's value, which is on the screen already
        self.failure: OrMagicError | None = None  # the last one, for ``%or traceback``
        self.raised: BaseException | None = None  # the user's last exception, for ``{{ error }}``
        self.runs = Runs()
        self._lock = threading.Lock()
        self._told_offline = False
        self._news: tuple[str, ...] = ()
        self.traits = OpenRouterMagics(shell, self._set)
        cast("list[Any]", shell.configurables).append(self.traits)
        for name in NAMES:
            shell.magics_manager.register_function(self._magic(), "line_cell", name)
        self._formatter = cast("DisplayFormatter", shell.display_formatter).ipython_display_formatter
        self._formatter.for_type_by_name("or_magic.values", "Reply", self._draw)
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        shell.input_transformers_cleanup.append(keep_question_marks)
        self._completion = Completion(self)
        self._warmer = Warmer(shell, self._warm)

    def session(self) -> Session:
        """Return the session of this process; without a key and without a choice, an offline one that says so."""
        from .. import api

        with self._lock:
            session = self._found(api)
            self._news += session.engine.untold()
            return session

    @cached_property
    def painters(self) -> Executor:
        """The threads that draw while cells read: they stay, as front ends keep a socket for each thread that draws."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(_PAINTERS, thread_name_prefix="or_magic live")

    def existing(self) -> Session | None:
        """Return the session of this process if there is one already; never makes one, nor waits."""
        # The module may be half imported, by the warmer's thread.
        find = getattr(sys.modules.get("or_magic.api"), "existing", None)
        session: Session | None = find() if find else None
        return session

    def announcement(self, session: Session) -> str | None:
        """Return, once, what must be known before an answer: that it is simulated, and settings that mean nothing."""
        news, self._news = list(self._news), ()
        if session.automatic and not self._told_offline:
            self._told_offline = True
            news.append("No key: answers come from the offline simulator; %or key --set to use OpenRouter")
        return "\n".join(news) or None

    def use_offline(self) -> None:
        """Make the simulator the chosen gateway, for Python code as well."""
        from ..settings import OFFLINE

        self.set_settings(base_url=OFFLINE)
        self.session()

    def set_settings(self, **settings: str | None) -> None:
        """Set settings as ``%config`` does; None takes one back.

        Raises:
            SettingsError: a value cannot be used; nothing was changed.
        """
        self._set(settings)
        self.traits.follow(settings)

    def set_quietly(self, settings: Mapping[str, Any]) -> None:
        """Set settings that ``%config`` does not show.

        Raises:
            SettingsError: a value cannot be used; nothing was changed.
        """
        from .. import api

        self.session()
        api.set_settings(**settings)

    def _found(self, api: ModuleType) -> Session:
        session: Session = api.current(pace_s=_PACE_S)
        return api.simulate(pace_s=_PACE_S) if session.engine.lacks_key else session

    def _set(self, settings: Mapping[str, str | None]) -> None:
        """Give what ``%config`` says to this process's session."""
        from .. import api

        if api.set_settings(**settings):
            print("Another gateway answers from now on, with books and connections of its own.")

    def close(self) -> None:
        """Take back magics, hooks, threads and connections."""
        from .. import api

        self._warmer.close()
        self._completion.close()
        if "painters" in self.__dict__:
            self.painters.shutdown()
        self.shell.events.unregister("pre_run_cell", self._before_cell)
        self.shell.events.unregister("post_run_cell", self._after_cell)
        self.shell.input_transformers_cleanup.remove(keep_question_marks)
        self._formatter.pop("or_magic.values.Reply", None)
        for kind in ("line", "cell"):
            for name in NAMES:
                self.shell.magics_manager.magics[kind].pop(name, None)
        cast("list[Any]", self.shell.configurables).remove(self.traits)
        api.use(None)
        api.forget_choices()

    def _magic(self) -> Callable[..., Any]:
        def openrouter(line: str, cell: str | None = None) -> Any:
            """Ask a model with the rest of the cell, or run a command; ``%or help`` tells all."""
            from . import cell as cells
            from . import commands

            return self._value(commands.run(self, line) if cell is None else cells.run(self, line, cell))

        def page() -> str:
            from . import commands

            return commands.help_page()

        setattr(openrouter, "getdoc", page)  # noqa: B010 - what ``?`` asks first
        # IPython's own expansion is all or nothing, and eats dollars; ours says what is wrong.
        setattr(openrouter, MAGIC_NO_VAR_EXPAND_ATTR, True)
        return openrouter

    def _value(self, value: Any) -> Any:
        """Return a magic's value; a terminal gets it into ``Out`` without the empty line that would announce it."""
        if value is None or hasattr(self.shell, "kernel") or value is not self.just_drawn:
            return value
        if not self.shell.user_ns["In"][-1].startswith("get_ipython()"):  # it is part of a statement
            return value
        self.shell.displayhook.update_user_ns(value)
        return None

    def _draw(self, reply: Reply) -> None:
        from .display import publish

        if reply is self.just_drawn:
            self.just_drawn = None
        else:
            publish(self.shell, reply)

    def _before_cell(self, _info: Any) -> None:
        """Let conversations know which cell runs, and that it is another run of it."""
        from ..engine.execution import begin

        shell: Any = self.shell
        if hasattr(shell, "kernel"):
            parent = shell.get_parent()
            begin((parent.get("metadata") or {}).get("cellId"), (parent.get("header") or {}).get("msg_id", ""))
        else:
            begin(None, str(shell.execution_count))

    def _after_cell(self, result: Any) -> None:
        """Close what a failed cell left running: its traceback would keep the stream, and the bill, alive."""
        self.just_drawn = None  # a value that this cell did not display is drawn when it is asked for
        for sentence in self._news:  # no answer was asked for that would have said it
            print(sentence)
        self._news = ()
        self.runs.note(result)
        if result is not None and not result.success:
            self._keep(result.error_in_exec or result.error_before_exec)
            session = self.existing()
            if session is not None:
                session.engine.close_streams()

    def _keep(self, error: BaseException | None) -> None:
        """Keep a failure of ours, without what its traceback would not show: frames that hold connections."""
        from ..errors import OrMagicError

        if is_users(error):
            self.raised = error
        if not isinstance(error, OrMagicError):
            return
        self.failure = error
        link: BaseException | None = error
        while link is not None:
            # The end of an iteration is where the failure of a stream is raised, and no cause of it.
            if link.__suppress_context__ or isinstance(link.__context__, StopIteration):
                link.__context__ = None
            link = link.__cause__ or link.__context__

    def _warm(self) -> None:
        from .. import api
        from ..errors import OrMagicError
        from ..secrets import is_front_end_asked
        from . import cell, commands  # noqa: F401 - what the first cell would import

        if is_front_end_asked():  # not from this thread: the first cell looks for the key itself
            return
        with contextlib.suppress(OrMagicError):  # the first cell will say what is wrong, where somebody reads it
            with self._lock:
                session = self._found(api)
            session.engine.warm()
            session.tracker.total()
