"""One family of exceptions. Pure.

::

    OrMagicError                    root of all
    ├── SettingsError               a setting cannot be used; nothing was sent
    │   └── NoKeyError              no key, and offline was not chosen; nothing was sent
    ├── OptionError                 an option, keyword or command is not known or wrong; nothing was sent
    ├── TemplateError               a {{ expression }} failed; nothing was sent
    ├── MediaError                  an attachment cannot be read, and nothing was sent; or a picture of an answer cannot
    ├── ChatError                   a conversation cannot be read, written or changed so
    │   └── ContextError            it is longer than what the model reads; nothing was sent
    ├── ReportError                 a notebook cannot be read for its receipts, or a report not be written
    ├── LedgerError                 the books cannot be read or written; answers are not affected
    ├── OverBudget                  a budget does not cover what the call may cost; nothing was sent
    └── CallError                   a call did not give a complete answer; the partial one is in ``.reply``
        ├── RefusedError            4xx: nothing ran, nothing was billed
        │   ├── KeyRefusedError     401
        │   ├── PaymentError        402; ``.affordable_tokens`` where it was told
        │   ├── ForbiddenError      403: moderation, guardrail, region
        │   ├── UnknownModelError   no such model, or none left after routing filters
        │   └── RateLimitedError    429; ``.retry_after_s``, ``.limit`` and ``.reset_at`` where they were told
        ├── ProviderError           5xx, or an error in the middle of an answer
        ├── TruncatedError          the answer ended before it said that it was finished
        ├── ProtocolError           what came back is not the protocol
        ├── CallTimeoutError        ``.phase`` says which limit: connect, first token, idle, total
        ├── ConnectionFailedError   no network, or the connection broke
        ├── SchemaMismatchError     the answer is not what its schema asks for; ``.text`` and ``.errors`` say what it is
        ├── CircuitOpenError        it failed too often just now, so it is left alone for a while; nothing was sent
        └── CallInterruptedError    closed on this side
"""

from __future__ import annotations

import warnings
from datetime import datetime
from decimal import Decimal
from typing import Any

UNSENT = "Nothing was sent."


def emit_warning(text: str, category: type[Warning]) -> None:
    """Warn, naming no file: a saved notebook would show where its owner keeps his libraries."""
    warnings.warn_explicit(text, category, "<or_magic>", 1, module="or_magic")


class OrMagicError(Exception):
    """What happened, what was (not) sent or billed, and what to do next."""

    def _render_traceback_(self) -> list[str]:
        # The notebook's brief form: the message says all; a traceback of our own frames says nothing more.
        return [_inert(f"{type(self).__name__}: {self}")]


def _inert(text: str) -> str:
    """Return one line that neither a terminal nor a reader takes for another: an error repeats words of others."""
    from . import neutral  # its patterns take longer to build than all of this module

    return neutral.line(text)


class SettingsError(OrMagicError):
    """A setting cannot be used."""


class NoKeyError(SettingsError):
    """There is no key, and the offline simulator was not chosen."""


class OptionError(OrMagicError):
    """An option, a keyword or a command is not known or has a wrong value."""


class TemplateError(OrMagicError):
    """A ``{{ expression }}`` does not parse or fails."""


class MediaError(OrMagicError):
    """An attachment, or a picture of an answer, cannot be read or is not what it says."""


class ChatError(OrMagicError):
    """A conversation cannot be read from a file, written to one, or changed so."""


class ContextError(ChatError):
    """A conversation is longer than what the model reads; nothing was sent.

    Attributes:
        tokens: about how many it takes, with the question.
        limit_tokens: how many the model reads beside its answer.
    """

    def __init__(self, happened: str, *, tokens: int = 0, limit_tokens: int = 0) -> None:
        super().__init__(happened)
        self.tokens, self.limit_tokens = tokens, limit_tokens


class ReportError(OrMagicError):
    """A notebook cannot be read for its receipts, or a report cannot be written."""


class LedgerError(OrMagicError):
    """The ledger cannot be read or written; the message names the file and what to do.

    Attributes:
        uncertain: whether what was being written may be found written all the same, as after a commit that failed.
    """

    uncertain = False


class OverBudget(OrMagicError):  # noqa: N818 - the name people were promised
    """A budget does not cover what a call may cost; nothing was sent.

    Attributes:
        scope: call, session, day, week, total or tag.
        limit_usd, spent_usd, held_usd: the budget, what counts against it, and what is held for calls under way.
        asked_usd: what the call may cost at most; None where nobody knows.
    """

    def __init__(
        self,
        happened: str,
        advice: str = "",
        *,
        scope: str = "",
        limit_usd: Decimal = Decimal(0),
        spent_usd: Decimal = Decimal(0),
        held_usd: Decimal = Decimal(0),
        asked_usd: Decimal | None = None,
    ) -> None:
        super().__init__(happened, advice)
        self.happened, self.advice = happened, advice
        self.scope = scope
        self.limit_usd, self.spent_usd, self.held_usd, self.asked_usd = limit_usd, spent_usd, held_usd, asked_usd

    def __str__(self) -> str:
        return " ".join([words for words in (self.happened, UNSENT, self.advice) if words])

    def _render_traceback_(self) -> list[str]:
        told = f"{type(self).__name__}: {self.happened} {UNSENT}"
        return [_inert(words) for words in (told, self.advice) if words]


class CallError(OrMagicError):
    """A call did not give a complete answer.

    Attributes:
        happened, billed, advice: the three sentences of the message; ``billed`` follows the ledger.
        earlier: a sentence about the money of the attempts before this one; empty where they cost nothing.
        reply: the partial Reply, or None where nothing came.
        text: where it was asked again, the last whole answer, which did not fit; else empty.
        status_code: the HTTP status, or the code inside the body; None where there was none.
        error_type: OpenRouter's ``metadata.error_type`` (WIRE.md §7).
        body: the error object as it came, for those who want to look.
        retry_after_s: the wait that was asked for.
        retryable: what is known of another attempt: False is useless or may be billed twice; None is not known.
    """

    billed = "What it cost is not known yet."
    retryable: bool | None = None
    earlier: str = ""
    text: str = ""

    def __init__(
        self,
        happened: str,
        advice: str = "",
        *,
        status_code: int | None = None,
        error_type: str | None = None,
        body: Any = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(happened, advice)
        self.happened = happened
        self.advice = advice
        self.status_code = status_code
        self.error_type = error_type
        self.body = body
        self.retry_after_s = retry_after_s
        self.reply: Any = None

    def __str__(self) -> str:
        return " ".join([words for words in (self.happened, self.billed, self.earlier, self.advice) if words])

    def _render_traceback_(self) -> list[str]:
        happened = " ".join([words for words in (self.happened, self.billed, self.earlier) if words])
        return [_inert(words) for words in (f"{type(self).__name__}: {happened}", self.advice) if words]

    @property
    def label(self) -> str:
        """A short name for the ledger, which must not hold words of prompts or answers."""
        code = f" {self.status_code}" if self.status_code else ""
        return f"{type(self).__name__}{code}"


class RefusedError(CallError):
    """4xx: the gateway refused; nothing ran and nothing was billed."""

    billed = "Nothing ran and nothing was billed."


class KeyRefusedError(RefusedError):
    """401: the key is missing, wrong or disabled."""


class PaymentError(RefusedError):
    """402: the balance or the key's limit does not cover the call."""

    affordable_tokens: int | None = None


class ForbiddenError(RefusedError):
    """403: moderation, a guardrail, the region or a missing right."""


class UnknownModelError(RefusedError):
    """No endpoint serves this model under this request's routing."""

    closest: tuple[str, ...] = ()


class RateLimitedError(RefusedError):
    """429: too many requests, for the account or for the provider.

    Attributes:
        limit, remaining: requests, as far as they were told.
        reset_at: when the limit begins anew.
        free_tier: it is the limit of all free models together.
        daily: it is that of a day, which no wait of a call outlasts.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None
    free_tier: bool = False
    daily: bool = False


class ProviderError(CallError):
    """The provider or the gateway failed: 5xx, or an error after the answer had begun."""


class TruncatedError(CallError):
    """The stream ended before a finish reason."""


class ProtocolError(CallError):
    """What came back cannot be read as the protocol."""


class CallTimeoutError(CallError):
    """A time limit was reached; ``phase`` is connect, first token, idle or total."""

    phase: str = ""

    @property
    def label(self) -> str:
        """As for every call error, with the phase."""
        return f"{type(self).__name__} {self.phase}".rstrip()


class ConnectionFailedError(CallError):
    """The gateway cannot be reached, or the connection broke."""


class SchemaMismatchError(CallError):
    """The answer came, and is not what its schema asks for: also after it was asked again.

    Attributes:
        text: the answer as it came.
        errors: what is wrong with it, each with its place.
        max_tokens: the limit to ask with where the answer was cut off at its limit; else None.
    """

    errors: tuple[str, ...] = ()
    max_tokens: int | None = None


class CircuitOpenError(CallError):
    """It failed too often just now; ``retry_after_s`` is when it is tried again.

    Attributes:
        whole_gateway: the gateway cannot be reached at all; else it is one model of it.
    """

    billed = UNSENT
    retryable = False
    whole_gateway: bool = False


class CallInterruptedError(CallError):
    """The call was closed on this side before it was complete."""
