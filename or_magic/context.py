"""Whether a conversation fits into what a model can read, and which turns stay where it does not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from .conversation import Policy, Turn
from .errors import ContextError

POLICIES = get_args(Policy)


@dataclass(frozen=True, slots=True)
class Room:
    """What a model can read, and what of it is taken by its answer, by the system prompt and by the question."""

    model: str
    context_tokens: int
    answer_tokens: int = 0
    prompt_tokens: int = 0

    @property
    def left_tokens(self) -> int:
        """What is left for earlier turns."""
        return self.context_tokens - self.answer_tokens - self.prompt_tokens


def fit(turns: Sequence[Turn], limit: Room, policy: str) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """Return the turns that are sent, and those that are dropped; pinned ones stay.

    Under ``compress`` all are sent: the gateway shortens them.

    Raises:
        ContextError: they do not fit, and the policy drops none, or none is left to drop.
    """
    over = sum([turn.tokens for turn in turns]) - limit.left_tokens
    if over <= 0 or policy == "compress":
        return tuple(turns), ()
    droppable = sum([turn.tokens for turn in turns if not turn.pinned])
    if policy == "error" or droppable < over:
        raise _too_long(turns, limit, helps=droppable >= over)
    kept, dropped = [], []
    for turn in turns:
        if over > 0 and not turn.pinned:
            over -= turn.tokens
            dropped.append(turn)
        else:
            kept.append(turn)
    return tuple(kept), tuple(dropped)


def _too_long(turns: Sequence[Turn], limit: Room, *, helps: bool) -> ContextError:
    tokens = sum([turn.tokens for turn in turns]) + limit.prompt_tokens
    answer = f", {limit.answer_tokens:,} of them kept for the answer" if limit.answer_tokens else ""
    advice = (
        "Begin anew (--new), or let it be shortened: the policy drop-oldest leaves out the oldest turns, compress lets "
        "the gateway leave out the middle (%or config context_policy drop-oldest, or "
        'orm.chat(name, policy="drop-oldest")).'
    )
    alone = "Without its earlier turns it does not fit either: shorten the question, or choose a model that reads more."
    return ContextError(
        f"The conversation takes about {tokens:,} tokens with this question, and {limit.model} reads "
        f"{limit.context_tokens:,}{answer}. Nothing was sent. {advice if helps else alone}",
        tokens=tokens,
        limit_tokens=limit.context_tokens - limit.answer_tokens,
    )
