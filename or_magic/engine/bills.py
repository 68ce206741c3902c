"""Bills held against expectations: the catalogue's prices of a call's tokens, and what a model's past calls took."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from ..content import Image
from ..errors import emit_warning
from ..estimate import Calibration, PartTokens, Range, calibrate, estimate
from ..gateway.catalog import Model
from ..ledger import Ledger
from ..pricing import keeps_an_hour, likely_usd, listed_usd, only_tokens, saved_usd, verdict
from ..values import Reply, Request, Row, Usage, dollars

Find = Callable[[str], Model | None]

_PRICED = ("openrouter", "offline")  # the catalogue's prices are theirs
_LOOKED_AT, _USED = 5_000, 200  # the latest rows of the ledger, and of them the latest of one model
_FEW = 5
_USUAL_ANSWER = Range(20, 300, 1_500)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a call will likely take: the prompt's tokens, part by part, the answer's, and their price if it is known.

    ``share`` is what each token counts that is estimated of something in the prompt; the parts' are counted so.
    """

    prompt: Range
    parts: tuple[PartTokens, ...]
    answer: Range
    usd: tuple[Decimal, Decimal] | None
    share: float = 1.0


class BillingWarning(UserWarning):
    """A gateway bills what its own price list does not explain."""


def _warn(text: str) -> None:
    with contextlib.suppress(BillingWarning):  # where warnings are errors, the answer must not be lost with it
        emit_warning(text, BillingWarning)


class Bills:
    """Completes replies with their list price, and warns once for each model that bills nothing for priced tokens."""

    def __init__(self, find: Find, warn: Callable[[str], None] = _warn) -> None:
        self._find = find
        self._warn = warn
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def judged(self, reply: Reply, row: Row | None, request: Request) -> Reply:
        """Return the reply with ``listed_usd``."""
        reply = replace(reply, listed_usd=list_price(reply, row, request, self._find))
        if verdict(reply) == "unbilled" and reply.listed_usd is not None:
            model = reply.model or reply.model_requested
            with self._lock:
                first = model not in self._told
                self._told.add(model)
            if first:
                self._warn(
                    f"{model} billed $0 for tokens that cost {dollars(reply.listed_usd)} at the catalogue's prices. "
                    "It may be billed later, or be a mistake of the gateway: look at %or doctor and the account's "
                    "activity before you rely on it."
                )
        return reply

    def expect(self, request: Request, ledger: Ledger) -> Expected:
        """Return what the request will likely take, as far as this model's past calls and the catalogue tell.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        found = estimate(request)
        calibration, answer = learnt(ledger, request.model)
        told = [request.params.get(name) for name in ("max_tokens", "max_completion_tokens")]
        if limit := max([n for n in told if isinstance(n, int)], default=0):
            answer = Range(min(answer.low, limit), min(answer.likely, limit), min(answer.high, limit))
        prompt, model = calibration(found.tokens), self._find(request.model)
        share = calibration.share(found.tokens)
        parts = tuple(
            [part if part.tokens is None else replace(part, tokens=part.tokens * share) for part in found.parts]
        )
        known = model is not None and only_tokens(request) and not found.uncounted
        usd = likely_usd(model.prices, prompt, answer) if model and known else None
        return Expected(prompt, parts, answer, usd, share)


def list_price(reply: Reply, row: Row | None, request: Request, find: Find) -> Decimal | None:
    """Return what the reply's tokens cost at the catalogue's prices, or None where these do not explain its bill."""
    if reply.usage is None or reply.gateway not in _PRICED or not only_tokens(request) or request.endpoint != "chat":
        return None
    model = _served(reply.model, request, find)
    if model is None or (_shows(request) and "image" in model.prices.usd):
        return None  # some catalogues price a token of a picture, others the whole (WIRE.md §8)
    at, an_hour = row.started_at if row else None, keeps_an_hour(request)
    return listed_usd(model.prices, reply.usage, at=at, cached_for_an_hour=an_hour)


def saved(request: Request, row: Row, usage: Usage, find: Find) -> Decimal | None:
    """Return what cached tokens cost less than they would have cost afresh, or None where that cannot be said."""
    if row.gateway not in _PRICED:
        return None
    model = _served(row.model, request, find)
    prices = model.prices if model else None
    return saved_usd(prices, usage, at=row.started_at, an_hour=keeps_an_hour(request))


def _shows(request: Request) -> bool:
    return any(isinstance(part, Image) for message in request.messages for part in message.parts)


def _served(served: str | None, request: Request, find: Find) -> Model | None:
    """Return the entry that answered; None where several with other prices go by its name (WIRE.md §4)."""
    others = request.params.get("models")
    asked = [request.model, *(others if isinstance(others, (list, tuple)) else ())]
    known = [model for name in asked if isinstance(name, str) and (model := find(name)) is not None]
    fitting = [model for model in known if served in (None, model.id, model.canonical)]
    if fitting:
        return fitting[0] if all(model.prices == fitting[0].prices for model in fitting) else None
    return find(served) if served else None


def learnt(ledger: Ledger, model: str) -> tuple[Calibration, Range]:
    """Return how the model has counted prompts lately, and between what its answers were long.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    where = f"model_requested = ? AND status = 'ok' AND id > (SELECT coalesce(max(id), 0) FROM calls) - {_LOOKED_AT}"
    columns = ("prompt_estimate", "prompt_tokens", "completion_tokens")
    rows = [record for batch in ledger.batches(columns, where, (model,)) for record in batch][-_USED:]
    pairs = [(estimated, counted) for estimated, counted, _ in rows if estimated and counted]
    answers = sorted(tokens for _, _, tokens in rows if tokens)
    if len(answers) < _FEW:
        return calibrate(pairs), _USUAL_ANSWER
    last = len(answers) - 1
    return calibrate(pairs), Range(*(answers[round(share * last)] for share in (0.1, 0.5, 0.9)))
