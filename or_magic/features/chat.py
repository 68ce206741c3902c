"""One conversation as people hold it: to ask in, look at, cut, and keep in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ..context import POLICIES
from ..conversation import Conversation, Policy, Turn, cut, pin
from ..errors import ChatError, OptionError
from ..options import AskOptions, closest, is_name
from .chat_files import path_of, read, write

if TYPE_CHECKING:
    from ..engine.chat import Chats
    from ..engine.stream import Stream
    from ..values import Reply

_FORMATS = (".md", ".json", ".ipynb")


class Chat:
    """A conversation of this session by its name; ``-c NAME`` in a cell is the same one."""

    def __init__(
        self,
        name: str,
        chats: Chats,
        ask: Callable[..., Reply],
        stream: Callable[..., Stream],
        *,
        policy: Policy | None = None,
    ) -> None:
        if not is_name(name):
            raise OptionError(f"{name!r} is not a name for a conversation: it is one line of text.")
        self.name = name
        self._chats = chats
        self._ask = ask
        self._stream = stream
        if policy is not None:
            if policy not in POLICIES:
                raise OptionError(f"policy={policy!r} is none.{closest(str(policy), list(POLICIES))}")
            self._change(lambda conversation: replace(conversation, policy=policy))

    def ask(self, prompt: str | list[Any], **options: Unpack[AskOptions]) -> Reply:
        """Ask with the turns before, and return the complete answer; ``new=True`` begins anew.

        Raises:
            CallError: anything but a complete answer; what came is kept as a turn that is not sent.
            ContextError: the conversation is longer than what the model reads; nothing was sent.
            OptionError, TemplateError, MediaError, OverBudget, NoKeyError: nothing was sent.
        """
        return self._ask(prompt, **self._mine(options))

    def stream(self, prompt: str | list[Any], **options: Unpack[AskOptions]) -> Stream:
        """Ask as ``ask`` does, and return the running call; its turn is kept when it has ended."""
        return self._stream(prompt, **self._mine(options))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns in order: each with ``question``, ``reply``, ``stale``, ``complete``, ``tokens``, ``versions``."""
        return self._chats.get(self.name).turns

    @property
    def policy(self) -> Policy | None:
        """What happens where the conversation outgrows the model; None: what the settings say."""
        return self._chats.get(self.name).policy

    def pin(self, number: int, *, pinned: bool = True) -> None:
        """Keep a turn, counted from 1, in what is sent: it is neither dropped for room nor left out as stale.

        Raises:
            ChatError: there is no such turn, or it has no whole answer.
        """

        def pinning(conversation: Conversation) -> Conversation:
            count = len(conversation.turns)
            if isinstance(number, bool) or not isinstance(number, int):
                raise ChatError(f"number={number!r:.60} is not the number of a turn: a whole one, from 1 to {count}.")
            if not isinstance(pinned, bool):
                raise ChatError(f"pinned={pinned!r:.60} is not True or False.")
            if not 1 <= number <= count:
                raise ChatError(f"{self.name} has no turn {number}: it has {count}.")
            if pinned and not conversation.turns[number - 1].complete:
                raise ChatError(f"Turn {number} of {self.name} has no whole answer: it is never sent, so not pinned.")
            return pin(conversation, number - 1, pinned=pinned)

        self._change(pinning)

    def cut(self) -> int:
        """Remove the stale turns, but for pinned ones; return how many."""
        before = 0

        def cutting(conversation: Conversation) -> Conversation:
            nonlocal before
            before = len(conversation.turns)
            return cut(conversation)

        self._change(cutting)
        return before - len(self.turns)

    def reset(self) -> int:
        """Forget all turns; return how many. What they cost stays in the ledger."""
        count = len(self.turns)
        self._change(lambda conversation: replace(conversation, turns=()))
        return count

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the conversation as its suffix says: ``.md`` to read, ``.ipynb`` as cells, ``.json`` to load again.

        Raises:
            ChatError: it cannot be written, or something is there already and ``overwrite`` was not said.
        """
        from ..conversation import exported, stored

        writers = {".md": exported.markdown, ".json": stored.to_json, ".ipynb": exported.notebook_text}
        target = path_of(path)
        how = writers.get(target.suffix.lower())
        if how is None:
            raise ChatError(f"{target.name} says no format: its name must end in {', '.join(_FORMATS)}.")
        try:
            text = how(self.name, self._chats.get(self.name))
        except (TypeError, ValueError, RecursionError) as error:
            raise ChatError(
                f"{self.name} holds what no file can keep: {error}. Nothing was written. Export it to read, as .md."
            ) from None
        return write(target, text, overwrite=overwrite)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the conversation, with all that was said, attached and answered, to a JSON file for ``load``.

        Raises:
            ChatError: as ``export``.
        """
        if path_of(path).suffix.lower() != ".json":
            raise ChatError(
                f"{path_of(path).name or path} does not end in .json, which is what is loaded again. See also export."
            )
        return self.export(path, overwrite=overwrite)

    def load(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> int:
        """Take the turns of a file that ``save`` wrote; return how many.

        Raises:
            ChatError: it is no such file, or there are turns already and ``overwrite`` was not said.
        """
        _, found = read(path)
        if self.turns and not overwrite:
            raise ChatError(
                f"{self.name} has turns already. Nothing was loaded. Load under another name, or say "
                "that they may go: --overwrite (overwrite=True)."
            )
        self._change(lambda _: found)
        return len(found.turns)

    def __repr__(self) -> str:
        from ..conversation import exported

        return f"<Chat {exported.headline(self.name, self._chats.get(self.name))}>"

    def __str__(self) -> str:
        from ..conversation import exported

        return exported.text(self.name, self._chats.get(self.name))

    def _repr_markdown_(self) -> str:
        from ..conversation import exported

        return exported.markdown(self.name, self._chats.get(self.name))

    def _mine(self, options: AskOptions) -> dict[str, Any]:
        if "chat" in options:
            raise OptionError(f"This is {self.name!r}; another conversation is orm.chat(name). Nothing was sent.")
        return {**options, "chat": self.name}

    def _change(self, how: Callable[[Conversation], Conversation]) -> None:
        self._chats.change(self.name, how)
