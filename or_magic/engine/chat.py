"""The conversations of one session, in memory: a call is given the turns before it, and leaves its own. No I/O."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..content import Text
from ..context import Room, fit
from ..conversation import Conversation, Draft, Key, Turn, begin, record
from ..errors import OptionError
from ..estimate import estimate_tokens
from ..events import Event, Notice
from ..settings import Settings
from ..values import Message, Reply, Request
from .counts import Counts
from .execution import execution
from .prepare import CATALOGUED

_COMPRESSION = "context-compression"
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Whole:
    """A call with every turn before it, about how many tokens that takes, and whether it may be made shorter."""

    request: Request
    tokens: int
    may_shrink: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """A call as part of a conversation; without a ``draft`` it stands alone.

    ``prompt`` are its messages as later calls will repeat them: without marks for a cache, or words on a schema.
    """

    request: Request
    draft: Draft | None = None
    prompt: tuple[Message, ...] = ()
    question: tuple[Message, ...] = ()
    notes: tuple[str, ...] = ()

    def announced(self, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
        """Yield what is to be said about the context, then the events."""
        yield from [Notice("context", note) for note in self.notes]
        yield from events


class Chats:
    """All conversations by name. Threads may share one: a turn goes in whole, when its answer has come."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        context_tokens: Callable[[str], int | None],
        same: Callable[[str, str], bool] = operator.eq,
    ) -> None:
        """Make a room for conversations.

        Args:
            settings: for the policy of conversations that have none of their own.
            context_tokens: what a model can read; None where that is not known.
            same: whether two names mean one model.
        """
        self._settings = settings
        self._context_tokens = context_tokens
        # Reentrant: the collector may close a forgotten stream, and record it, wherever this thread happens to be.
        self._lock = threading.RLock()
        self._held: dict[str, Conversation] = {}
        self._counts = Counts(context_tokens, same)

    @property
    def names(self) -> tuple[str, ...]:
        """The conversations that have turns, that of the latest turn last."""
        with self._lock:
            return tuple(name for name, held in self._held.items() if held.turns)

    def get(self, name: str) -> Conversation:
        """Return a conversation; one that nobody has begun is empty."""
        with self._lock:
            return self._held.get(name, Conversation())

    def change(self, name: str, how: Callable[[Conversation], Conversation]) -> None:
        """Put a changed conversation in the place of what it was."""
        with self._lock:
            while True:
                before = self._held.get(name)
                after = how(before or Conversation())
                if self._held.get(name) is before:  # else the collector recorded a turn meanwhile, in this very thread
                    self._held.pop(name, None)  # the latest is the last
                    self._held[name] = after
                    return

    def before(self, request: Request, *, dry: bool = False) -> Joined:
        """Return the call with the turns before it; ``dry``: it will not be sent.

        Raises:
            OptionError: ``new`` without a conversation.
            ContextError: the conversation is too long for the model; nothing was sent.
        """
        name = request.origin.chat
        if name is None:
            if request.anew:
                raise OptionError("--new begins a conversation anew, and none is named: -c NAME. Nothing was sent.")
            return Joined(request)
        with self._lock:
            running = execution.get()
            conversation, draft = self._begun(name, anew=request.anew)
            joined = self._joined(request, conversation, draft)
            if running and draft.key and not dry:
                running.begun[name] = draft.key.number
        return joined

    def whole(self, request: Request) -> Whole:
        """Return the call with all turns before it, whether they fit or not: it says what a model has to read."""
        name = request.origin.chat
        if name is None:
            return Whole(request, estimate_tokens(request))
        with self._lock:
            conversation, draft = self._begun(name, anew=request.anew)
        alone, draft, _ = _alone(request, draft)
        tokens = estimate_tokens(alone) + sum([turn.tokens for turn in draft.sent])
        return Whole(_with_turns(alone, draft), tokens, self._policy(conversation) != "error")

    def _begun(self, name: str, *, anew: bool) -> tuple[Conversation, Draft]:
        running = execution.get()
        key = Key(running.cell_id, running.begun.get(name, 0) + 1) if running else None
        conversation = self.get(name)
        return conversation, begin(conversation, key, anew=anew)

    def after(self, joined: Joined, reply: Reply, *, sent: bool) -> None:
        """Keep the turn that a call has become; one that never went out, or was refused, is none."""
        draft, name = joined.draft, joined.request.origin.chat
        if draft is None or name is None or not sent or reply.status == "refused":
            return
        with self._lock:
            self._counts.note(replace(joined.request, messages=joined.prompt), reply)
        turn = _turn(joined, draft, reply)
        self.change(name, lambda conversation: record(conversation, draft, turn))

    def _joined(self, request: Request, conversation: Conversation, draft: Draft) -> Joined:
        policy = self._policy(conversation)
        alone, draft, question = _alone(request, draft)
        draft, notes = self._fitted(alone, draft, policy)
        request = replace(_with_turns(alone, draft), params=self._with_policy(request, policy))
        request = self._counts.told(request, self._settings().gateway)
        return Joined(request, draft, request.messages, question, notes)

    def _policy(self, conversation: Conversation) -> str:
        return conversation.policy or self._settings().context_policy

    def _fitted(self, alone: Request, draft: Draft, policy: str) -> tuple[Draft, tuple[str, ...]]:
        """Return the draft with the turns that are sent, and what is to be said of the others."""
        cells = "its cell" if draft.left_out == 1 else "their cells"
        notes = [f"{_turns(draft.left_out, 'stale')} left out: run {cells} again"] if draft.left_out else []
        context_tokens = self._context_tokens(alone.model)
        if context_tokens is None:
            return draft, tuple(notes)
        limits = [limit for name in _LIMITS if isinstance(limit := alone.params.get(name), int)]
        room = Room(alone.model, context_tokens, max(limits, default=0), estimate_tokens(alone))
        sent, dropped = fit(draft.sent, room, policy)
        if dropped:
            notes.append(f"{_turns(len(dropped), 'oldest')} left out: {room.model} reads {context_tokens:,} tokens")
        if sum([turn.tokens for turn in sent]) > room.left_tokens:
            notes.append(f"the gateway leaves out the middle: {room.model} reads {context_tokens:,} tokens")
        return replace(draft, sent=sent), tuple(notes)

    def _with_policy(self, request: Request, policy: str) -> Mapping[str, Any]:
        """Return the params with the gateway's plugin where it is to shorten the prompt (WIRE.md §2)."""
        params = request.params
        told = params.get("plugins", ())
        if policy != "compress" or self._settings().gateway not in CATALOGUED:
            return params
        if not isinstance(told, (list, tuple)) or any(_is_compression(plugin) for plugin in told):
            return params  # what the user says about it holds
        return {**params, "plugins": [*told, {"id": _COMPRESSION}]}


def _alone(request: Request, draft: Draft) -> tuple[Request, Draft, tuple[Message, ...]]:
    """Return the call without the turns before it, the draft with its system prompt, and the question."""
    question = tuple(message for message in request.messages if message.role != "system")
    told = tuple(message for message in request.messages if message.role == "system")
    if told:
        # An empty one: the conversation has none from here on.
        draft = replace(draft, system=next((message for message in told if _has_words(message)), None))
    system = (draft.system,) if draft.system is not None else ()
    return replace(request, messages=(*system, *question)), draft, question


def _with_turns(alone: Request, draft: Draft) -> Request:
    earlier = [message for turn in draft.sent for message in turn.messages]
    at = int(draft.system is not None)
    return replace(alone, messages=(*alone.messages[:at], *earlier, *alone.messages[at:]))


def _is_compression(plugin: object) -> bool:
    return isinstance(plugin, Mapping) and plugin.get("id") == _COMPRESSION


def _has_words(message: Message) -> bool:
    return any(not isinstance(part, Text) or part.text.strip() for part in message.parts)


def _turns(count: int, kind: str) -> str:
    return f"{count} {kind} turn{'s' * (count != 1)}"


def _turn(joined: Joined, draft: Draft, reply: Reply) -> Turn:
    """Return the turn with its tokens: as they were counted, else as they are estimated."""
    turn = Turn(question=joined.question, reply=reply, system=draft.system)
    model, usage = joined.request.model, reply.usage
    asked = None
    if usage is not None and usage.prompt_tokens is not None and _is_comparable(joined.request, draft.sent):
        system = _estimated(model, [draft.system] if draft.system is not None else [])
        asked = usage.prompt_tokens - sum([each.tokens for each in draft.sent]) - system
    answered = None
    if usage is not None and usage.completion_tokens is not None:
        answered = usage.completion_tokens - (usage.reasoning_tokens or 0)  # no provider reads old thoughts again
    counted = asked is not None and asked > 0 and answered is not None and answered >= 0
    return replace(
        turn,
        question_tokens=asked if counted and asked is not None else _estimated(model, turn.question),
        answer_tokens=answered if counted and answered is not None else _estimated(model, turn.messages[-1:]),
        counted=counted,
    )


def _is_comparable(request: Request, sent: Sequence[Turn]) -> bool:
    """Whether the prompt's tokens are those of the earlier turns and the question, told by one and the same model."""
    if request.schema is not None:
        return False  # they are also those of the schema, and of answers that did not fit it
    plugins = request.params.get("plugins", ())
    shortened = isinstance(plugins, (list, tuple)) and any(_is_compression(plugin) for plugin in plugins)
    return not shortened and all(turn.reply.model_requested == request.model for turn in sent)


def _estimated(model: str, messages: Sequence[Message]) -> int:
    return estimate_tokens(Request(model, tuple(messages))) if messages else 0
