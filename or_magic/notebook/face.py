"""One shell's face: its magics and hooks, and the session its cells use."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import MAGIC_NO_VAR_EXPAND_ATTR

from .completion import Completion
from .transform import keep_question_marks
from .warm import Warmer

if TYPE_CHECKING:
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.interactiveshell import InteractiveShell

    from ..api import Session
    from ..values import Reply
    from .cell import Asked

NAMES = ("openrouter", "or")
# A simulator that answers at once would show nothing of how streaming looks.
_PACE_S = 0.01
_REMEMBERED = 500  # calls whose wording and answer are kept in memory for again and history


class Face:
    """What the extension adds to ``shell``; ``close`` takes it away again."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self.just_drawn: Reply | None = None  # the cell's value, which is on the screen already
        self._lock = threading.Lock()
        self._told_offline = False
        for name in NAMES:
            shell.magics_manager.register_function(self._magic(), "line_cell", name)
        self._formatter = cast("DisplayFormatter", shell.display_formatter).ipython_display_formatter
        self._formatter.for_type_by_name("or_magic.values", "Reply", self._draw)
        shell.events.register("post_run_cell", self._after_cell)
        shell.input_transformers_cleanup.append(keep_question_marks)
        self._completion = Completion(self)
        self._warmer = Warmer(shell, self._warm)

    def session(self) -> Session:
        """Return the session of this process; without a key and without a choice, an offline one that says so."""
        from .. import api

        with self._lock:
            if api.existing() is None:
                api.use(api.connect(pace_s=_PACE_S))
            session = api.current()
            if session.engine.lacks_key:
                session = api.Session(api.connect(offline=True, pace_s=_PACE_S).engine, automatic=True)
                api.use(session)
            return session

    def announcement(self, session: Session) -> str | None:
        """Return, once, the sentence that answers are simulated because there is no key."""
        if not session.automatic or self._told_offline:
            return None
        self._told_offline = True
        return "No key: answers come from the offline simulator; set OPENROUTER_API_KEY to use OpenRouter"

    def use_offline(self) -> None:
        """Make the simulator the chosen gateway, for Python code as well."""
        from .. import api

        session = api.current()
        if session.engine.simulated:  # the session goes on, now by choice
            session.automatic = False
        else:
            api.use(api.connect(offline=True, pace_s=_PACE_S))

    def close(self) -> None:
        """Take back magics, hooks, threads and connections."""
        from .. import api

        self._warmer.close()
        self._completion.close()
        self.shell.events.unregister("post_run_cell", self._after_cell)
        self.shell.input_transformers_cleanup.remove(keep_question_marks)
        self._formatter.pop("or_magic.values.Reply", None)
        for kind in ("line", "cell"):
            for name in NAMES:
                self.shell.magics_manager.magics[kind].pop(name, None)
        api.use(None)

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

    def _after_cell(self, result: Any) -> None:
        """Close what a failed cell left running: its traceback would keep the stream, and the bill, alive."""
        self.just_drawn = None  # a value that this cell did not display is drawn when it is asked for
        api = sys.modules.get("or_magic.api")
        if api is not None and result is not None and not result.success:
            session = api.existing()
            if session is not None:
                session.engine.close_streams()

    def _warm(self) -> None:
        from ..errors import OrMagicError
        from . import cell, commands  # noqa: F401 - what the first cell would import

        with contextlib.suppress(OrMagicError):  # the first cell will say what is wrong, where somebody reads it
            session = self.session()
            session.engine.warm()
            session.tracker.total()
