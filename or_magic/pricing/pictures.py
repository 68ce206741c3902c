"""What pictures of ``POST /images`` may cost at most, by the price lines of who may draw them. Pure.

A line per picture can be multiplied: the request says how many there are at most. One per token or per megapixel
cannot, as nothing in a request limits the tokens of a picture, and providers choose its pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

from ..content import Image, Text
from ..values import EXACT, Request
from .prompt import most_text_tokens

# Fields that change how a picture looks, and at most which of a line's variants it is: the dearest is taken anyway.
_FIELDS = frozenset(
    ("n", "size", "aspect_ratio", "resolution", "quality", "background", "output_format", "output_compression", "seed")
)


@dataclass(frozen=True, slots=True)
class PictureLine:
    """USD per ``unit`` (image, megapixel, token) of what is billed (output_image, input_text, …)."""

    billable: str
    unit: str
    usd: Decimal


PicturePriceList = tuple[tuple[PictureLine, ...], ...]


def parse_picture_prices(body: Any) -> PicturePriceList | None:
    """Return the lines of every endpoint of ``GET /images/models/…/endpoints``, or None where one is not understood."""
    endpoints = body.get("endpoints") if isinstance(body, Mapping) else None
    if not isinstance(endpoints, list) or not endpoints:
        return None
    told = [item.get("pricing") if isinstance(item, Mapping) else None for item in endpoints]
    found = [[_line(line) for line in lines] if isinstance(lines, list) else [None] for lines in told]
    known = tuple([tuple([line for line in lines if line is not None]) for lines in found])
    return known if all(map(all, found)) else None


def pictures_bound_usd(prices: PicturePriceList, request: Request) -> Decimal | None:
    """Return what the pictures may cost at most, whoever draws them, or None where that cannot be said."""
    count = request.params.get("n")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1 or not _FIELDS.issuperset(request.params):
        return None
    costs = [_usd(lines, request) for lines in prices]
    known = [usd for usd in costs if usd is not None]
    return EXACT.multiply(max(known), count) if known and len(known) == len(costs) else None


def _usd(lines: Iterable[PictureLine], request: Request) -> Decimal | None:
    """Return the most of one picture; of the variants of a line the dearest counts."""
    parts = [part for message in request.messages for part in message.parts]
    references = sum([isinstance(part, Image) for part in parts])
    texts = sum([isinstance(part, Text) for part in parts])
    counts: Mapping[tuple[str, str], int] = {
        ("output_image", "image"): 1,
        ("input_image", "image"): references,
        ("input_reference", "image"): references,
        ("input_text", "image"): texts,
        ("input_text", "token"): most_text_tokens(request, request.model),
    }
    unsent = ("input_font",) if references else ("input_font", "input_image", "input_reference")
    dearest: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        if not line.usd or line.billable in unsent:
            continue
        of = (line.billable, line.unit)
        if of not in counts:
            return None
        dearest[of] = max(line.usd, dearest.get(of, line.usd))
    if not any(billable == "output_image" for billable, _ in dearest):
        return None  # nobody draws for nothing: its price is not told
    with localcontext(EXACT):
        return sum([usd * counts[of] for of, usd in dearest.items()], Decimal(0))


def _line(told: object) -> PictureLine | None:
    if not isinstance(told, Mapping):
        return None
    try:
        usd = Decimal(str(told.get("cost_usd")))
    except InvalidOperation:
        return None
    known = usd.is_finite() and 0 <= usd < 10**6
    return PictureLine(str(told.get("billable")), str(told.get("unit")), usd) if known else None
