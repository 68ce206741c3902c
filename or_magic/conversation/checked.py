"""What each part of a loaded conversation must mean, beside being of the right type: the first thing wrong. Pure.

A file may come from anywhere. What is refused here no conversation of ours can hold, no gateway would take, or it names
a place on a disk, which a server that runs here might read.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from ..content import Audio, File, Image, Text, ToolResult, Video
from ..content.address import is_address
from ..schema.drafts import check
from ..tables import Typed
from ..values import Message, Reply, Total, Usage
from .rules import Conversation
from .turn import Key, Turn

_MOST = 2**53  # tokens, and whatever else is counted; as the gateways' own figures are read
_MOST_USD = Decimal(10) ** 9
_MOST_S = 10.0**9
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:;[\w.+=\" -]+)*", re.ASCII)
_UNKEPT = ("open", "refused")  # not over, and never run: neither becomes a turn


def wrong(value: Any) -> str | None:
    """Return what is wrong with a value as such, once its fields are of their types; None: nothing."""
    check = _CHECKS.get(type(value))
    return next(check(value), None) if check else None


def _conversation(value: Conversation) -> Iterator[str]:
    seen: dict[Key, int] = {}
    for number, turn in enumerate(value.turns, 1):
        if turn.key is not None and seen.setdefault(turn.key, number) != number:
            yield f"turn {number} has the key of turn {seen[turn.key]}: one cell asked one of them only"
    if value.turns and value.turns[0].stale:
        yield "turn 1 is marked as stale, and there is none before it that could have changed"


def _turn(value: Turn) -> Iterator[str]:
    yield from _question(value.question)
    if value.system is not None and value.system.role != "system":
        yield f"its system prompt is said to be the {value.system.role}'s"
    if value.reply.status in _UNKEPT:
        yield f"a call that ended as {value.reply.status!r} has no turn"
    if value.stale and value.begins:
        yield "it begins anew, so that no turn before it can make it stale"
    if value.pinned and not value.complete:
        yield "it is pinned and has no whole answer"
    yield from _counts(value, "question_tokens", "answer_tokens")
    yield from _runs(value)


def _question(messages: tuple[Message, ...]) -> Iterator[str]:
    parts = [part for message in messages for part in message.parts]
    if other := next((message.role for message in messages if message.role != "user"), None):
        yield f"its question is said to be the {other}'s: no gateway takes it in that place"
    if any(isinstance(part, ToolResult) for part in parts):
        yield "its question holds the result of a tool that nobody called"
    if not any(not isinstance(part, Text) or part.text.strip() for part in parts):
        yield "its question is empty"
    for part in parts:
        if isinstance(part, (Image, Video, File)):
            yield from _askable(part)
        elif isinstance(part, Audio) and not (part.format and _is_base64(part.base64)):
            yield "the sound in its question is no base64, or has no format"


def _askable(part: Image | Video | File) -> Iterator[str]:
    if part.url is None and not part.data:
        yield f"the {part.kind} in its question has neither an address nor bytes"
    if not _MEDIA_TYPE.fullmatch(part.media_type):
        yield f"the {part.kind} in its question cannot be of the type {part.media_type[:60]!r}"


def _runs(value: Turn) -> Iterator[str]:
    others = (*value.versions, *value.broken_off)
    if any(run.versions or run.broken_off for run in others):
        yield "an earlier run of it has runs of its own"
    if any(run.key != value.key for run in others):
        yield "an earlier run of it has another key"
    if value.broken_off and not value.complete:
        yield "it has no whole answer that could stand in place of a run that broke off"
    if any(run.complete for run in value.broken_off):
        yield "a run of it that is said to have broken off has a whole answer"


def _message(value: Message) -> Iterator[str]:
    if value.role == "system" and not all(isinstance(part, Text) for part in value.parts):
        yield "a system prompt is text only"


def _reply(value: Reply) -> Iterator[str]:
    yield from _seconds(value, "latency_s", "first_token_s")
    yield from _money(value, "listed_usd")
    if value.saved_usd is not None and not abs(value.saved_usd) < _MOST_USD:
        yield f"saved_usd cannot be {value.saved_usd}"
    if value.typed is None and value.data is not None:
        yield "it has data, and no schema that it would fit"


def _typed(value: Typed) -> Iterator[str]:
    try:
        check(value.schema, judges=False)
        _ = value.columns
    except (LookupError, TypeError, ValueError) as error:
        yield f"its schema cannot be followed: {str(error)[:120]}"


def _usage(value: Usage) -> Iterator[str]:
    yield from _counts(value, *[name for name in value.__slots__ if name.endswith("_tokens")])
    yield from _money(value, "cost_usd", "upstream_usd")


def _total(value: Total) -> Iterator[str]:
    yield from _counts(value, "unknown_calls")
    yield from _money(value, "billed_usd", "estimated_usd")


def _key(value: Key) -> Iterator[str]:
    if not 1 <= value.number < _MOST:
        yield f"a turn cannot be number {value.number} of its cell"


def _address(value: Image | Video | File) -> Iterator[str]:
    if value.url is not None and not is_address(value.url):
        yield f"{value.kind} {value.url[:60]!r} is no http, https or data address"


def _counts(value: Any, *names: str) -> Iterator[str]:
    yield from _outside(value, names, lambda count: 0 <= count < _MOST)


def _money(value: Any, *names: str) -> Iterator[str]:
    yield from _outside(value, names, lambda usd: 0 <= usd < _MOST_USD)


def _seconds(value: Any, *names: str) -> Iterator[str]:
    yield from _outside(value, names, lambda seconds: 0 <= seconds < _MOST_S)


def _outside(value: Any, names: Iterable[str], fits: Callable[[Any], bool]) -> Iterator[str]:
    for name in names:
        told = getattr(value, name)
        if told is not None and not fits(told):
            yield f"{name} cannot be {str(told)[:60]}"


def _is_base64(text: str) -> bool:
    try:
        return bool(binascii.a2b_base64(text, strict_mode=True))
    except ValueError:
        return False


_CHECKS: Mapping[type, Callable[[Any], Iterator[str]]] = {
    Conversation: _conversation,
    Turn: _turn,
    Key: _key,
    Message: _message,
    Reply: _reply,
    Typed: _typed,
    Usage: _usage,
    Total: _total,
    Image: _address,
    Video: _address,
    File: _address,
}
