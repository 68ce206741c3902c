"""What the gateway may do for a request beside one answer of one model, and what bounds it (WIRE.md §2, §3). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from ..content import Audio, File, Video
from ..estimate.media import pdf_pages
from ..values import EXACT, Request

# Suffixes that may choose dearer endpoints than the ones whose prices are listed.
ROUTED = (":nitro", ":online", ":exacto", ":floor")
# Fields that let the gateway do what nothing here bounds: other models, pictures, searches of the provider's own.
_UNBOUNDED = ("web_search_options", "model", "n", "preset", "audio", "image_config", "stop_server_tools_when")
_LISTED_TIERS = (None, "auto", "default", "flex")  # the last is cheaper than what is listed
_FREE_PLUGINS = ("response-healing", "context-compression")
_FREE_PARSERS = ("native", "cloudflare-ai", "pdf-text")
_PAGE_USD, _MOST_PAGES = Decimal("0.002"), 1_000
# Engines that OpenRouter asks itself. The dearest rates seen are $7 per 1000 searches and $5 per 1000 results.
_ENGINES = ("exa", "parallel", "perplexity")
_SEARCH_USD, _RESULT_USD = Decimal("0.01"), Decimal("0.005")
_RESULTS = 5
_EXA_CHARACTERS = {"low": 5_000, "medium": 15_000, "high": 30_000}
_BYTES_PER_CHARACTER = 4
_MOST_STEPS = 30  # of the gateway's own loop


@dataclass(frozen=True, slots=True)
class Extras:
    """``rounds``: how often the model is asked; ``added_tokens`` to its prompt, None where only its context bounds it.

    ``searches`` and ``results`` are paid beside ``fee_usd``.
    """

    rounds: int = 1
    added_tokens: int | None = 0
    searches: int = 0
    results: int = 0
    fee_usd: Decimal = Decimal(0)

    def __add__(self, other: Extras) -> Extras:
        known = self.added_tokens is not None and other.added_tokens is not None
        return Extras(
            max(self.rounds, other.rounds),
            (self.added_tokens or 0) + (other.added_tokens or 0) if known else None,
            self.searches + other.searches,
            self.results + other.results,
            EXACT.add(self.fee_usd, other.fee_usd),
        )

    def usd(self, search_usd: Decimal | None) -> Decimal:
        """Return the fees; ``search_usd`` is the model's own price of a search."""
        with localcontext(EXACT):
            each_usd = max(search_usd or Decimal(0), _SEARCH_USD)
            return self.fee_usd + each_usd * self.searches + _RESULT_USD * self.results


def extras(request: Request, model: str) -> Extras | None:
    """Return what may come to one answer of the model, or None where nothing bounds it."""
    params = request.params
    others = {name: value for name, value in params.items() if name not in ("tools", "models")}
    if (
        any(name in params for name in _UNBOUNDED)
        or model.endswith(ROUTED)
        or '"openrouter:' in json.dumps(others, default=str)
        or params.get("service_tier") not in _LISTED_TIERS
        or params.get("modalities", ["text"]) != ["text"]
    ):
        return None
    total = Extras()
    for found in (*_plugins(params.get("plugins")), *_tools(params, model), *_files(request)):
        if found is None:
            return None
        total += found
    return total


def only_tokens(request: Request) -> bool:
    """Whether a bill for the request holds nothing but text at the price of tokens."""
    found = extras(request, request.model)
    parts = [part for message in request.messages for part in message.parts]
    return found == Extras() and not any(isinstance(part, (Audio, File, Video)) for part in parts)


def _plugins(told: object) -> Iterator[Extras | None]:
    if told is None:
        return
    for plugin in told if isinstance(told, (list, tuple)) else [None]:
        if not isinstance(plugin, Mapping):
            yield None
        elif plugin.get("enabled") is not False and plugin.get("id") not in (*_FREE_PLUGINS, "file-parser"):
            yield _web(plugin) if plugin.get("id") == "web" else None


def _web(plugin: Mapping[str, Any]) -> Extras | None:
    searches, results = _count(plugin.get("max_uses", 1)), _count(plugin.get("max_results", _RESULTS))
    if plugin.get("engine") not in _ENGINES or searches is None or results is None:
        return None
    return Extras(added_tokens=None, searches=searches, results=searches * results)


def _tools(params: Mapping[str, Any], model: str) -> Iterator[Extras | None]:
    told = params.get("tools") or ()
    for tool in told if isinstance(told, (list, tuple)) else [None]:
        tool = tool if isinstance(tool, Mapping) else {}
        kind = tool.get("type")
        if kind in ("openrouter:web_search", "openrouter:datetime"):
            steps = _count(params.get("max_tool_calls", _MOST_STEPS)) or _MOST_STEPS
            looped = Extras(rounds=1 + min(steps, _MOST_STEPS))
            found = _search(tool.get("parameters") or {}, model) if kind == "openrouter:web_search" else Extras()
            yield None if found is None else looped + found
        elif kind != "function":
            yield None


def _search(told: Mapping[str, Any], model: str) -> Extras | None:
    """Return what the search tool may add; without ``max_uses`` the model may search in every step, and in parallel."""
    searches, each = _count(told.get("max_uses")), _count(told.get("max_results", _RESULTS))
    if searches is None or each is None:
        return None
    engine = told.get("engine", "auto")
    if engine in ("auto", "native") and model.startswith("anthropic/"):  # the only provider that obeys max_uses
        return Extras(added_tokens=None, searches=searches, results=searches * each)
    if engine not in _ENGINES:
        return None
    results = min(_count(told.get("max_total_results")) or searches * each, searches * each)
    characters = _count(told.get("max_characters"))
    if characters is None and engine == "exa":
        characters = _EXA_CHARACTERS.get(str(told.get("search_context_size")))
    added = None if characters is None else characters * _BYTES_PER_CHARACTER * results
    return Extras(added_tokens=added, searches=searches, results=results)


def _files(request: Request) -> Iterator[Extras]:
    """Yield what reading documents costs: by default a page has a price, unless a free parser is chosen."""
    for part in [part for message in request.messages for part in message.parts]:
        if isinstance(part, File) and _parser(request.params.get("plugins")) not in _FREE_PARSERS:
            pages = pdf_pages(part.data) if part.data is not None else None
            yield Extras(fee_usd=EXACT.multiply(_PAGE_USD, min(_MOST_PAGES, pages or _MOST_PAGES)))


def _parser(plugins: object) -> object:
    for plugin in plugins if isinstance(plugins, (list, tuple)) else ():
        if isinstance(plugin, Mapping) and plugin.get("id") == "file-parser" and plugin.get("enabled") is not False:
            pdf = plugin.get("pdf")
            return pdf.get("engine") if isinstance(pdf, Mapping) else None
    return None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
