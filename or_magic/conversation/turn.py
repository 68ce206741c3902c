"""One turn of a conversation: a question and the answer that it got. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..content import Audio, Image, Part, Text, ToolCall, ToolResult
from ..values import Message, Reply


@dataclass(frozen=True, slots=True)
class Key:
    """Where a turn was asked: the ``number``-th turn of this conversation in one run of the cell."""

    cell: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question, which may be of several messages, and its answer.

    ``system`` is the system prompt that was sent with it. ``begins``: the turns before it are set aside. ``stale``: a
    turn before it has changed since. ``pinned``: it is never left out. ``counted``: its tokens are those that the
    gateway counted, and no estimate. ``versions`` are what stood in its place before, oldest first; ``broken_off`` are
    runs of it after this one that gave no whole answer, so that this one still stands.
    """

    question: tuple[Message, ...]
    reply: Reply
    key: Key | None = None
    system: Message | None = None
    begins: bool = False
    stale: bool = False
    pinned: bool = False
    question_tokens: int = 0
    answer_tokens: int = 0
    counted: bool = False
    versions: tuple[Turn, ...] = ()
    broken_off: tuple[Turn, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether there is a whole answer, which some providers want to be of words; the others are never sent."""
        return self.reply.status in ("ok", "cached") and any(map(_says_something, self.reply.parts))

    @property
    def current(self) -> bool:
        """Whether it still counts: nothing before it has changed since, or the user wants it all the same."""
        return self.pinned or not self.stale

    @property
    def live(self) -> bool:
        """Whether later turns are told of it."""
        return self.current and self.complete

    @property
    def tokens(self) -> int:
        """What it takes of a later prompt."""
        return self.question_tokens + self.answer_tokens

    @property
    def messages(self) -> tuple[Message, ...]:
        """What later turns are told: the question and the answer."""
        # A call without its result, and a result without its call, are refused by every provider.
        parts = tuple([part for part in self.reply.parts if not isinstance(part, (ToolCall, ToolResult))])
        return (*self.question, Message("assistant", parts))

    @property
    def runs(self) -> tuple[Turn, ...]:
        """All that was asked and answered in its place, oldest first: what it replaced, itself, what broke off."""
        return (*self.versions, self, *self.broken_off)

    @property
    def prompt(self) -> str:
        """The words of the question."""
        return "\n\n".join([text for message in self.question if (text := _text(message.parts))])

    @property
    def attached(self) -> tuple[Part, ...]:
        """What the question held beside words."""
        return tuple(part for message in self.question for part in message.parts if not isinstance(part, Text))

    @property
    def marks(self) -> tuple[str, ...]:
        """What is to be known of it, in words."""
        told = {
            "begins anew": self.begins,
            "stale": self.stale,
            "pinned": self.pinned,
            self.ending: not self.complete,
        }
        after = [f"run again since, {self.broken_off[-1].ending}"] if self.broken_off else []
        return (*[name for name, holds in told.items() if holds], *after)

    @property
    def ending(self) -> str:
        """How its answer ended, in words."""
        whole = self.reply.status in ("ok", "cached")
        return "no words" if whole and not self.complete else self.reply.status


def _says_something(part: Part) -> bool:
    return bool(part.text.strip()) if isinstance(part, Text) else isinstance(part, (Image, Audio))


def _text(parts: tuple[Part, ...]) -> str:
    return "".join([part.text for part in parts if isinstance(part, Text)])
