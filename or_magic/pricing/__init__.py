"""Prices, what tokens cost at them, what a request may cost at most, and how many tokens a budget buys. Pure."""

from __future__ import annotations

from ..estimate import estimate_tokens
from .bound import Costs, Priced, affordable_tokens, bound_usd, costs, limited
from .caching import dearer_usd, keeps, keeps_an_hour, least_kept_tokens, saved_usd
from .extras import only_tokens
from .judge import Verdict, verdict
from .pictures import PicturePriceList, parse_picture_prices, pictures_bound_usd
from .prices import Prices, likely_usd, listed_usd, max_price, parse_prices
from .prompt import counted_before, most_prompt_tokens

__all__ = [
    "Costs",
    "PicturePriceList",
    "Priced",
    "Prices",
    "Verdict",
    "affordable_tokens",
    "bound_usd",
    "costs",
    "counted_before",
    "dearer_usd",
    "estimate_tokens",
    "keeps",
    "keeps_an_hour",
    "least_kept_tokens",
    "likely_usd",
    "limited",
    "listed_usd",
    "max_price",
    "most_prompt_tokens",
    "only_tokens",
    "parse_picture_prices",
    "parse_prices",
    "pictures_bound_usd",
    "saved_usd",
    "verdict",
]
