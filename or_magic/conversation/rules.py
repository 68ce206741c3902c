"""The rules: what a turn is sent with, where its answer goes, and what becomes of the turns after it. Pure.

A cell that runs again replaces its own turns and is sent with those before them; the later ones are kept as stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ..values import Message
from .turn import Key, Turn

Policy = Literal["error", "drop-oldest", "compress"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns in order; ``policy`` is what happens where they outgrow the model, None as the settings say."""

    turns: tuple[Turn, ...] = ()
    policy: Policy | None = None

    @property
    def set_aside(self) -> int:
        """How many turns stand before the one that began anew last: a question at the end is not told of them."""
        return _start(self.turns)


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn before its answer: what it is sent with, and where it will stand.

    ``after`` is the turn behind which a new one goes; None is the end. ``left_out`` are stale turns that are not sent.
    """

    sent: tuple[Turn, ...]
    system: Message | None
    key: Key | None = None
    begins: bool = False
    after: Key | None = None
    left_out: int = 0


def begin(conversation: Conversation, key: Key | None = None, *, anew: bool = False) -> Draft:
    """Return what a turn that is asked now is sent with; ``anew``: nothing of what was before."""
    turns = conversation.turns
    place, after = _place(turns, key)
    if anew:
        return Draft((), None, key, begins=True, after=after)
    before = turns[_start(turns[:place]) : place]
    whole = [turn for turn in before if turn.complete]
    sent = tuple([turn for turn in whole if turn.current])
    return Draft(
        sent=sent,
        # Also of a turn that broke off: the user has said it.
        system=next((turn.system for turn in reversed(before) if turn.current), None),
        key=key,
        after=after,
        left_out=len(whole) - len(sent),
    )


def record(conversation: Conversation, draft: Draft, turn: Turn) -> Conversation:
    """Return the conversation with the turn in its place.

    What broke off takes no whole answer's place, and before its first word nobody's: nothing was gained for what would
    be set aside, and what was said still stands.
    """
    turns = conversation.turns
    place = _find(turns, draft.key)
    turn = replace(turn, key=draft.key, begins=draft.begins, stale=False)
    if place is not None:
        before = turns[place]
        if not turn.reply.parts and not turn.complete:
            return conversation
        if before.complete and not turn.complete:
            kept = replace(before, broken_off=(*before.broken_off, turn))
            return replace(conversation, turns=(*turns[:place], kept, *turns[place + 1 :]))
        versions = tuple([replace(run, versions=(), broken_off=()) for run in before.runs])
        turn = replace(turn, versions=versions, pinned=before.pinned and turn.complete)
        return replace(conversation, turns=(*turns[:place], turn, *_stale(turns[place + 1 :])))
    anchor = _find(turns, draft.after)
    if anchor is None:
        return replace(conversation, turns=(*turns, turn))
    return replace(conversation, turns=(*turns[: anchor + 1], turn, *_stale(turns[anchor + 1 :])))


def cut(conversation: Conversation) -> Conversation:
    """Return the conversation without its stale turns; a turn that began anew hands that on to the next."""
    kept: list[Turn] = []
    begins = False
    for turn in conversation.turns:
        if turn.stale and not turn.pinned:
            begins = begins or turn.begins
            continue
        kept.append(replace(turn, begins=True) if begins and not turn.begins else turn)
        begins = False
    return replace(conversation, turns=tuple(kept))


def pin(conversation: Conversation, place: int, *, pinned: bool = True) -> Conversation:
    """Return the conversation with the turn at ``place`` pinned, or let go again."""
    turns = list(conversation.turns)
    turns[place] = replace(turns[place], pinned=pinned)
    return replace(conversation, turns=tuple(turns))


def _start(turns: tuple[Turn, ...]) -> int:
    """Return the place of the turn that began anew last, or of the first."""
    return next((at for at in range(len(turns) - 1, -1, -1) if turns[at].begins), 0)


def _place(turns: tuple[Turn, ...], key: Key | None) -> tuple[int, Key | None]:
    """Return where a turn stands, or will: in its own place, behind the one before it in its cell, at the end."""
    own = _find(turns, key)
    if own is not None:
        return own, None
    before = _before(turns, key)
    if before is None or before == len(turns) - 1:
        return len(turns), None
    return before + 1, turns[before].key


def _find(turns: tuple[Turn, ...], key: Key | None) -> int | None:
    if key is None:
        return None
    return next((at for at, turn in enumerate(turns) if turn.key == key), None)


def _before(turns: tuple[Turn, ...], key: Key | None) -> int | None:
    """Return the place of the last turn that the same cell asked before this one."""
    if key is None:
        return None
    earlier = [at for at, turn in enumerate(turns) if turn.key and turn.key.cell == key.cell]
    return max([at for at in earlier if (found := turns[at].key) and found.number < key.number], default=None)


def _stale(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns as stale, up to where the conversation begins anew: that one was told nothing of it."""
    marked: list[Turn] = []
    reached = False
    for turn in turns:
        reached = reached or turn.begins
        marked.append(turn if reached or turn.stale else replace(turn, stale=True))
    return marked
