"""What a request may cost at most, and how long its answer may be for the money that is left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any, Protocol

from ..content import Audio, File, Image, Video
from ..estimate.media import most_picture_tokens
from ..values import EXACT, Request
from .caching import dearer_usd, keeps
from .extras import Extras, extras
from .prices import Prices
from .prompt import LIMITS, most_text_tokens

_NOTHING = Decimal(0)
_MOST_USD = Decimal(10) ** 6  # a dearer answer is a broken price
_LONGEST = 2**20  # an answer's tokens where neither request nor catalogue limits them
_AN_HOUR = 2  # times the price of a prompt is what keeping it for an hour costs where no catalogue tells it
_PER_TOKEN = 10  # a price of a picture that is hardly more than a token's is one of its tokens (WIRE.md §8)


class Priced(Protocol):
    """What is needed to know of a model: its prices and limits; None is unknown."""

    @property
    def prices(self) -> Prices:
        """Its prices."""

    @property
    def max_completion_tokens(self) -> int | None:
        """The longest answer."""

    @property
    def context_tokens(self) -> int | None:
        """The longest prompt and answer together."""


Find = Callable[[str], Priced | None]


@dataclass(frozen=True, slots=True)
class Costs:
    """What one request may cost, by how long its answer may be; made once, however often that is asked."""

    bills: tuple[_Bill, ...]

    def bound_usd(self, params: Mapping[str, Any]) -> Decimal | None:
        """Return what it may cost at most under the limit that ``params`` name, or None where nothing limits it."""
        asked = _asked(params)
        if asked is None and any(bill.longest is None for bill in self.bills):
            return None
        bound = _dearest(self.bills, _LONGEST if asked is None else asked)
        return bound if bound < _MOST_USD else None

    def affordable_tokens(self, params: Mapping[str, Any], left_usd: Decimal) -> int:
        """Return the longest answer whose bound is within ``left_usd``; never more than ``params`` ask for."""
        known = [longest for bill in self.bills if (longest := bill.longest or bill.context)]
        asked = _asked(params)
        low, high = 0, asked if asked is not None else max(known, default=_LONGEST)
        if _dearest(self.bills, high) <= left_usd:
            return high
        low, high = _near(self.bills, left_usd, high)
        while low < high:  # the bound never falls when the answer gets longer
            middle = (low + high + 1) // 2
            if _dearest(self.bills, middle) <= left_usd:
                low = middle
            else:
                high = middle - 1
        return low


def costs(
    prices: Prices,
    request: Request,
    max_completion_tokens: int | None,
    *,
    context_tokens: int | None = None,
    find: Find | None = None,
) -> Costs | None:
    """Return what the request may cost at these prices, or None where that cannot be said.

    The catalogue lists the top provider's prices; another one that serves the model may be dearer.
    A token is at least one byte, so the bytes of the text bound its tokens, and a model's context bounds everything;
    of documents, sound and films nothing else does. ``find`` gives the models of a fallback list. No bound is there
    without any limit on the answer, and where the gateway may add what cannot be counted.
    """
    bills = _bills(prices, request, max_completion_tokens, context_tokens, find)
    return Costs(tuple(bills)) if bills else None


def bound_usd(
    prices: Prices,
    request: Request,
    max_completion_tokens: int | None,
    *,
    context_tokens: int | None = None,
    find: Find | None = None,
) -> Decimal | None:
    """Return what the request may cost at most at these prices, or None where that cannot be said (``costs``)."""
    found = costs(prices, request, max_completion_tokens, context_tokens=context_tokens, find=find)
    return found.bound_usd(request.params) if found else None


def affordable_tokens(
    prices: Prices,
    request: Request,
    left_usd: Decimal,
    max_completion_tokens: int | None = None,
    *,
    context_tokens: int | None = None,
    find: Find | None = None,
) -> int | None:
    """Return the longest answer, in tokens, whose bound is within ``left_usd``; never more than is asked for.

    0 where not even the prompt and one token fit, None where no bound can be given. With ``limited`` the request is
    bound by ``left_usd``.
    """
    found = costs(prices, request, max_completion_tokens, context_tokens=context_tokens, find=find)
    return found.affordable_tokens(request.params, left_usd) if found else None


def limited(request: Request, tokens: int) -> Request:
    """Return the request with this limit on its answer, under the name that it uses already."""
    name = next((name for name in LIMITS if name in request.params), "max_tokens")
    others = {key: value for key, value in request.params.items() if key not in LIMITS}
    return replace(request, params={**others, name: tokens})


def _near(bills: Sequence[_Bill], left_usd: Decimal, high: int) -> tuple[int, int]:
    """Return where the longest answer lies: one place if the bound is a line, which it usually is."""
    one, two = _dearest(bills, 1), _dearest(bills, 2)
    if one < two:
        with localcontext(EXACT):
            guess = int((left_usd - one) // (two - one)) + 1
        if 0 < guess < high and _dearest(bills, guess) <= left_usd < _dearest(bills, guess + 1):
            return guess, guess
    return 0, high


@dataclass(frozen=True, slots=True)
class _Bill:
    """What one model may charge, but for the length of its answer."""

    prices: Prices
    kinds: frozenset[str]
    text: int
    pictures: tuple[int, ...]
    open_ended: bool
    keeps: str | None
    context: int | None
    longest: int | None
    extras: Extras

    def usd(self, answer: int) -> Decimal:
        if self.longest is not None:
            answer = min(answer, self.longest)
        rounds = self.extras.rounds
        tokens = self.text + (self.extras.added_tokens or 0) + answer * (rounds - 1)  # a round reads those before it
        if self.context is not None:
            tokens = self.context if self.open_ended else min(tokens, self.context)
        tokens += sum(self.pictures)
        usd = self.prices.dearest(tokens)
        with localcontext(EXACT):
            picture_usd, fees_usd = usd.get("image", _NOTHING) if self.pictures else _NOTHING, _NOTHING
            if picture_usd > usd["prompt"] * _PER_TOKEN:
                picture_usd, fees_usd = _NOTHING, picture_usd * len(self.pictures)
            prompt_usd = max([picture_usd, *_rates(usd, self.kinds, self.keeps)])
            completion_usd = max(usd["completion"], usd.get("internal_reasoning", _NOTHING))
            once_usd = prompt_usd * tokens + completion_usd * answer + fees_usd + usd.get("request", _NOTHING)
            return once_usd * rounds + self.extras.usd(usd.get("web_search"))


def _rates(usd: Mapping[str, Decimal], kinds: frozenset[str], keeps: str | None) -> Iterator[Decimal]:
    """Yield what a token of the prompt may cost; ``keeps``: for how long the provider is asked to keep it."""
    for name, price in usd.items():
        if name == "prompt" or "cache_write" in name or any(name in _OF_KIND[kind] for kind in kinds):
            yield price
        if keeps and "cache_write" in name:
            yield usd["prompt"] + dearer_usd(usd["prompt"], price)
    if keeps == "1h" and "input_cache_write_1h" not in usd:
        yield usd["prompt"] * _AN_HOUR


_OF_KIND = {
    "image": ("image_token",),
    "file": ("image_token",),
    "video": ("image_token", "audio", "input_audio_cache"),
    "audio": ("audio", "input_audio_cache"),
}


def _dearest(bills: Iterable[_Bill], answer: int) -> Decimal:
    return max(bill.usd(answer) for bill in bills)


def _bills(
    prices: Prices, request: Request, longest: int | None, context: int | None, find: Find | None
) -> list[_Bill] | None:
    """Return a bill for every model that may answer, or None where one of them has none."""
    others = request.params.get("models", [])
    if not isinstance(others, (list, tuple)) or not all(isinstance(name, str) for name in others):
        return None
    bills = [_bill(request.model, prices, request, longest, context)]
    for name in others:
        model = find(name) if find else None
        bills.append(
            _bill(name, model.prices, request, model.max_completion_tokens, model.context_tokens) if model else None
        )
    known = [bill for bill in bills if bill is not None]
    return known if len(known) == len(bills) else None


def _bill(model: str, prices: Prices, request: Request, longest: int | None, context: int | None) -> _Bill | None:
    more = extras(request, model)
    if more is None or not prices.known():
        return None
    parts = [part for message in request.messages for part in message.parts]
    pictures = [most_picture_tokens(part, model) for part in parts if isinstance(part, Image)]
    endless = any(isinstance(part, (File, Audio, Video)) for part in parts)
    open_ended = endless or None in pictures or more.added_tokens is None
    if open_ended and context is None:
        return None
    text = most_text_tokens(request, model)
    kinds = frozenset(part.kind for part in parts if part.kind in _OF_KIND)
    longest = longest if longest and longest > 0 else None
    known = tuple(tokens for tokens in pictures if tokens is not None)
    kept = keeps(request)
    ttl = None if kept is None else str(kept.get("ttl", "5m"))
    return _Bill(prices, kinds, text, known, open_ended, ttl, context, longest, more)


def _asked(params: Mapping[str, Any]) -> int | None:
    """Return the limit that the request names; of two the longer, as nobody says which one counts."""
    told = [params.get(name) for name in LIMITS]
    return max((n for n in told if isinstance(n, int) and not isinstance(n, bool) and n > 0), default=None)
