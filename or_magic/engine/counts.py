"""What gateways have counted of prompts, kept for the calls that go on with them. Pure but for its own memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..estimate import estimate_tokens
from ..pricing import counted_before, most_prompt_tokens
from ..values import Counted, Message, Reply, Request

_KEPT = 16  # prompts: enough for conversations beside each other, and for a cell that runs again
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class _Sent:
    messages: tuple[Message, ...]
    gateway: str
    counted: Counted


class Counts:
    """The latest counted prompts. A count is believed where nothing can have made it smaller than the prompt was.

    It holds for the same gateway and model alone: another one has another tokenizer. An alias may mean another model
    tomorrow. A prompt that might not have fitted may have been shortened, also where only the account asks for that.
    """

    def __init__(self, context_tokens: Callable[[str], int | None], same: Callable[[str, str], bool]) -> None:
        self._context_tokens = context_tokens
        self._same = same
        # Never changed in place: the collector may close a forgotten stream, and note it, while this is looked through.
        self._sent: tuple[_Sent, ...] = ()

    def note(self, request: Request, reply: Reply) -> None:
        """Keep what was counted for a request, whose messages are those of before they were marked for a cache."""
        usage = reply.usage
        if reply.status != "ok" or usage is None or usage.prompt_tokens is None or request.model.startswith("~"):
            return
        if reply.model is None or not self._same(request.model, reply.model) or request.schema is not None:
            return  # answered by a fallback; or asked several times, in words of ours
        # A count of less than half of what is likely is a mistake of the provider's.
        if self._was_whole(request) and 2 * usage.prompt_tokens >= estimate_tokens(request):
            counted = counted_before(request, usage.prompt_tokens)
            self._sent = (*self._sent, _Sent(request.messages, reply.gateway, counted))[-_KEPT:]

    def told(self, request: Request, gateway: str) -> Request:
        """Return the request with the largest part of its prompt that was counted; of two counts of it, the higher."""
        found = [
            sent
            for sent in self._sent
            if (sent.gateway, sent.counted.model) == (gateway, request.model)
            and request.messages[: len(sent.messages)] == sent.messages
        ]
        best = max(found, key=lambda sent: (len(sent.messages), sent.counted.tokens), default=None)
        return replace(request, counted=best.counted if best else None)

    def _was_whole(self, request: Request) -> bool:
        """Whether the prompt fits beside its answer by its bytes; nobody keeps more than half for one of no limit."""
        context, most = self._context_tokens(request.model), most_prompt_tokens(request, request.model)
        if context is None or most is None:
            return False
        told = [limit for name in _LIMITS if isinstance(limit := request.params.get(name), int)]
        return most + max(told, default=context // 2) <= context
