"""What a call may cost and which budgets it has to keep: the money of one session, before it is spent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..budget import SCOPES, Budgets, Limit, Standing, alert, limits_of
from ..gateway.catalog import Catalog, Model
from ..gateway.picture_prices import PicturePrices
from ..pricing import Costs, costs, limited, max_price, pictures_bound_usd
from ..values import EXACT, Request

_LIMITS = ("max_tokens", "max_completion_tokens")
# A call that names no limit takes at most this share of what is left, so that others can run beside it...
_SHARE = Decimal("0.1")
# ...or what an answer of this length costs, if that can be paid.
_ENOUGH_TOKENS = 1024
_LEAST_TOKENS = 256  # a shorter answer would be of no use: better to stop
_BLIND_TOKENS = 4096  # where nobody knows the price
_OPENROUTERS = ("openrouter", "offline")  # they know ``provider.max_price``


class Purse:
    """The budgets of a session as they are at this moment, and the prices that calls are held against."""

    def __init__(
        self,
        budgets: Callable[[], Budgets],
        session: str,
        catalog: Catalog,
        gateway: str,
        pictures: PicturePrices | None = None,
    ) -> None:
        self._budgets = budgets
        self._session = session
        self._catalog = catalog
        self._simulated = gateway == "offline"
        self._caps_prices = gateway in _OPENROUTERS
        self._pictures = pictures if self._caps_prices else None
        self._lock = threading.RLock()  # the collector may book a forgotten call wherever this thread happens to be
        self._told: set[Limit] = set()

    def limits(self, request: Request, now: datetime) -> tuple[Limit, ...]:
        """Return the limits that a request has to keep."""
        origin = request.origin
        return limits_of(
            self._budgets(), now,
            session=self._session, tag=origin.tag, call_id=origin.call_id, call_usd=request.budget_usd,
        )  # fmt: skip

    def all_limits(self, now: datetime) -> tuple[Limit, ...]:
        """Return every limit that holds in this session."""
        budgets = self._budgets()
        limits = limits_of(replace(budgets, tags={}), now, session=self._session)
        return limits + tuple(Limit("tag", usd, tag) for tag, usd in budgets.tags.items())

    def fit(self, request: Request, left_usd: Decimal | None) -> tuple[Request, Decimal | None]:
        """Return the request as it is sent when so much is left, and what it may cost at most.

        Under a budget the answer always has a limit, and no provider may be dearer than the catalogue says.
        """
        if request.endpoint == "image":
            return self._drawn(request, under_budget=left_usd is not None)
        if request.endpoint != "chat":
            return request, None  # no list tells the price of a letter spoken, or of a second heard
        if left_usd is None:
            return request, self.bound(request)
        params: dict[str, Any] = dict(request.params)
        model = self._model(request)
        if cap := self._cap(request):
            params |= _capped(params, cap)
        request = replace(request, params=params)
        found = self._costs(request, model)  # a limit on the answer changes nothing in it
        if all(params.get(name) is None for name in _LIMITS):
            request = limited(request, _tokens(request, model, found, left_usd))
        return request, found.bound_usd(request.params) if found else None

    def bound(self, request: Request) -> Decimal | None:
        """Return what a request may cost at most at the catalogue's prices, or None where that cannot be said."""
        found = self._costs(request, self._model(request))
        return found.bound_usd(request.params) if found else None

    def learn(self, request: Request, now: datetime) -> None:
        """Ask for the prices that a request is held against, where the catalogue has none and a budget has to hold."""
        if self._pictures is not None and request.endpoint == "image" and self.limits(request, now):
            self._pictures.learn(request.model)

    def _drawn(self, request: Request, *, under_budget: bool) -> tuple[Request, Decimal | None]:
        """Return the request for pictures, under a budget for one unless it says how many, and its bound."""
        prices = self._pictures.of(request.model) if self._pictures is not None else None
        if prices is None:
            return request, None
        counted = replace(request, params={"n": 1, **request.params}) if under_budget else request
        bound_usd = pictures_bound_usd(prices, counted)
        return (request if bound_usd is None else counted), bound_usd

    def alert(self, standing: Standing) -> str | None:
        """Return the sentence about a budget that is nearly spent, once for each; of a call's, that it was passed."""
        if standing.limit.scope == "call":
            passed = standing.spent_usd > standing.limit.usd
            return alert(standing, simulated=self._simulated) if passed else None
        with self._lock:
            if standing.limit.scope not in (*SCOPES, "tag") or standing.limit in self._told:
                return None
            self._told.add(standing.limit)
        return alert(standing, simulated=self._simulated)

    def _cap(self, request: Request) -> dict[str, float]:
        """Return the highest list prices of all models that may answer; none where one of them is not known."""
        others = request.params.get("models")
        names = [request.model, *(others if isinstance(others, (list, tuple)) else ())]
        found = [self.find(str(name)) for name in names] if self._caps_prices else []
        caps = [max_price(model.prices) for model in found if model is not None]
        if len(caps) < len(found):
            return {}
        return (
            {unit: max(cap[unit] for cap in caps) for unit in caps[0] if all(unit in cap for cap in caps)}
            if caps
            else {}
        )

    def _costs(self, request: Request, model: Model | None) -> Costs | None:
        if model is None:
            return None
        return costs(
            model.prices, request, model.max_completion_tokens, context_tokens=model.context_tokens, find=self.find
        )

    def _model(self, request: Request) -> Model | None:
        return self.find(request.model)

    def find(self, name: str) -> Model | None:
        """Return a model whose answers are paid by their tokens alone."""
        model = self._catalog.models().find(name)
        if model is None or set(model.output_modalities) - {"text"}:
            return None  # pictures and sound have prices of their own
        return model


def _capped(params: Mapping[str, Any], cap: Mapping[str, float]) -> dict[str, Any]:
    """Return ``provider`` with the cap, or with what the user allows if that is less.

    What is not of the kind that it should be stays as it is: the gateway says so.
    """
    provider = params.get("provider") or {}
    mine = (provider.get("max_price") or {}) if isinstance(provider, Mapping) else None
    if not isinstance(provider, Mapping) or not isinstance(mine, Mapping):
        return {}
    least = {unit: min(usd, mine[unit]) if _is_number(mine.get(unit)) else usd for unit, usd in cap.items()}
    strange = {unit: usd for unit, usd in mine.items() if usd is not None and not _is_number(usd)}
    return {"provider": {**provider, "max_price": {**mine, **least, **strange}}}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _tokens(request: Request, model: Model | None, found: Costs | None, left_usd: Decimal) -> int:
    """Return the limit of an answer for which the request names none."""
    most = (model.max_completion_tokens or model.context_tokens) if model else None
    if found is None:
        return min(_BLIND_TOKENS, most or _BLIND_TOKENS)
    tokens = found.affordable_tokens(request.params, EXACT.multiply(left_usd, _SHARE))
    if tokens < _ENOUGH_TOKENS:
        whole = found.affordable_tokens(request.params, left_usd)
        tokens = max(tokens, min(whole, _ENOUGH_TOKENS), _LEAST_TOKENS)
    return min(tokens, most or tokens)
