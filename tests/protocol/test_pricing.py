"""Prices: exact, unknown where they are unknown, and a bound that no real call has passed."""

from __future__ import annotations

import decimal
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.content import Audio, File, Image, Text, ToolCall, ToolResult, Video
from or_magic.pricing import Prices, affordable_tokens, bound_usd, limited, parse_prices
from or_magic.values import Message, Request

from .oracle import naive, naive_whole
from .streams import recordings

CHEAP = parse_prices({"prompt": "0.000001", "completion": "0.000002"})


def _ask(text: str = "hi", asked: str = "some/model", **params: Any) -> Request:
    return Request(asked, (Message("user", (Text(text),)),), params)


# --- reading prices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "price"),
    [
        ("0.000003", Decimal("0.000003")),
        ("0", Decimal(0)),
        ("0.00000008333333333333334", Decimal("0.00000008333333333333334")),
        (0, Decimal(0)),
        (1e-6, Decimal("0.000001")),
        (Decimal("0.5"), Decimal("0.5")),
        ("1e-7", Decimal("1e-7")),
        ("-1", None),
        ("-0.000001", None),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        (None, None),
        (True, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_price_is_a_decimal_or_unknown(told: object, price: Decimal | None) -> None:
    """``-1`` means that nobody knows beforehand; multiplied, it would earn money."""
    assert price == parse_prices({"prompt": told}).usd.get("prompt")


def test_unknown_prices_are_absent_not_zero() -> None:
    """A router is not free."""
    router = parse_prices({"prompt": "-1", "completion": "-1"})
    assert not router.known()
    assert not parse_prices({"prompt": "0"}).known()
    assert parse_prices({"prompt": "0", "completion": "0"}).known()
    assert bound_usd(router, _ask(max_tokens=1), 1) is None


@pytest.mark.parametrize("odd", [None, 7, "x", {}, [None, 7, "x"], [[]]])
def test_overrides_of_a_wrong_shape_are_passed_over(odd: object) -> None:
    """Catalogues grow new shapes."""
    assert Decimal(1) == parse_prices({"prompt": "1", "completion": "1", "overrides": odd}).dearest()["prompt"]


def test_the_dearest_override_counts_for_every_unit() -> None:
    """The whole request is priced at the override, and which one applies is known only afterwards."""
    overrides = [
        {"min_prompt_tokens": 200000, "prompt": "0.000006", "completion": "0.0000225"},
        {"utc_start": "0000", "utc_end": "0800", "prompt": "0.000001"},
        {"utc_days": [1], "input_cache_write": "0.00001", "completion": "-1"},
    ]
    told = {"prompt": "0.000003", "completion": "0.000015", "overrides": overrides}
    assert {
        "prompt": Decimal("0.000006"),
        "completion": Decimal("0.0000225"),
        "input_cache_write": Decimal("0.00001"),
    } == parse_prices(told).dearest()
    assert Decimal("0.000003") == parse_prices(told).usd["prompt"]


def test_every_recorded_catalogue_is_read(shared: Path) -> None:
    """Three generations; a model whose tokens have no price is a router."""
    for name in ("models-2025-12-31.json", "models-2026-05-01.data.json", "models-2026-08-04.partial.json"):
        for item in _catalogue(shared, name):
            prices = parse_prices(item["pricing"])
            assert all(type(price) is Decimal and price >= 0 for price in prices.usd.values())
            assert prices.known() == ("-1" not in (item["pricing"]["prompt"], item["pricing"]["completion"])), item[
                "id"
            ]
            assert all(prices.dearest()[unit] >= price for unit, price in prices.usd.items())


# --- where there is no bound -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [Image(url="https://x"), Image(data=b"x"), File(data=b"x"), Audio("AA==", "wav"), Video(url="https://v")],
    ids=lambda part: part.kind,
)
def test_pictures_files_and_sound_have_no_bound_without_a_context(part: Any) -> None:
    """Nothing of their size is known, and of the model neither."""
    request = Request("m", (Message("user", (Text("see"), part)),), {"max_tokens": 5})
    assert bound_usd(CHEAP, request, 100) is None


@pytest.mark.parametrize(
    "params",
    [
        {"plugins": [{"id": "web"}]},
        {"web_search_options": {}},
        {"models": ["a/b"]},
        {"n": 4},
        {"preset": "p"},
        {"modalities": ["image", "text"]},
        {"audio": {"voice": "v", "format": "wav"}},
        {"image_config": {}},
        {"model": "other/dearer"},
        {"service_tier": "priority"},
        {"tools": [{"type": "openrouter:web_search"}]},
        {"tools": [{"type": "openrouter:image_generation", "parameters": {}}]},
    ],
    ids=lambda params: next(iter(params)),
)
def test_what_lets_the_gateway_do_more_has_no_bound(params: dict[str, Any]) -> None:
    """Searches, other models, pictures and tiers are paid beside the tokens."""
    assert bound_usd(CHEAP, _ask(max_tokens=5, **params), 100) is None


@pytest.mark.parametrize("model", ["a/b:online", "a/b:nitro", "a/b:exacto"])
def test_suffixes_that_add_or_choose_have_no_bound(model: str) -> None:
    """``:online`` searches, ``:nitro`` admits priority endpoints."""
    assert bound_usd(CHEAP, _ask(asked=model, max_tokens=5), 100) is None


@pytest.mark.parametrize(
    "params",
    [{}, {"max_tokens": None}, {"max_tokens": 0}, {"max_tokens": -5}, {"max_tokens": "5"}, {"max_tokens": 5.5}],
)
def test_without_any_limit_on_the_answer_there_is_no_bound(params: dict[str, Any]) -> None:
    """Neither asked nor known."""
    assert bound_usd(CHEAP, _ask(**params), None) is None


# --- the bound ---------------------------------------------------------------------------------------------------


@given(st.text(max_size=200), st.integers(1, 10**5), st.integers(1, 10**5) | st.none())
def test_the_bound_covers_a_token_for_every_byte_and_the_whole_answer(text: str, asked: int, most: int | None) -> None:
    """A token is at least one byte."""
    bound = bound_usd(CHEAP, _ask(text, max_tokens=asked), most)
    limit = min(asked, most or asked)
    assert bound is not None
    assert bound >= len(text.encode("utf-8", "surrogatepass")) * Decimal("0.000001") + limit * Decimal("0.000002")


@given(
    st.text(st.characters(codec="utf-8"), max_size=50),
    st.text(st.characters(codec="utf-8"), max_size=50),
    st.integers(1, 999),
)
def test_more_text_and_a_longer_answer_never_cost_less(text: str, more: str, limit: int) -> None:
    """Monotone in everything."""
    short, long = (bound_usd(CHEAP, _ask(words, max_tokens=limit), None) for words in (text, text + more))
    longer = bound_usd(CHEAP, _ask(text + more, max_tokens=limit + 1), None)
    assert short is not None
    assert long is not None
    assert longer is not None
    assert short <= long < longer


@pytest.mark.parametrize(
    ("unit", "of_prompt"),
    [("input_cache_write", True), ("input_cache_write_1h", True), ("internal_reasoning", False), ("request", None)],
)
def test_dearer_units_raise_the_bound(unit: str, of_prompt: bool | None) -> None:
    """Prompts may be written to a cache, thoughts may be dearer than words, some calls cost a fee."""
    request = _ask("x" * 1000, max_tokens=1000, cache_control={"type": "ephemeral", "ttl": "1h"})
    plain, dearer = (
        bound_usd(parse_prices({"prompt": "0.000001", "completion": "0.000001"} | more), request, None)
        for more in ({}, {unit: "0.5"})
    )
    assert plain is not None
    assert dearer is not None
    assert dearer - plain >= (Decimal("0.5") if of_prompt is None else 499)


def test_tools_and_schemas_are_part_of_the_prompt() -> None:
    """They are sent with every call."""
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 10_000, "parameters": {}}}]
    plain, armed = bound_usd(CHEAP, _ask(max_tokens=5), None), bound_usd(CHEAP, _ask(max_tokens=5, tools=tools), None)
    assert plain is not None
    assert armed is not None
    assert armed - plain > Decimal("0.01")


def test_turns_of_a_tool_round_are_bounded_too() -> None:
    """Otherwise a budget would stop every tool loop at its second round."""
    turns = (
        Message("user", (Text("hi"),)),
        Message("assistant", (Text("let me see"), ToolCall(0, "c", "f", '{"a": "' + "x" * 1500 + '"}'))),
        Message("tool", (ToolResult("c", "r" * 1000),)),
    )
    bound = bound_usd(CHEAP, Request("m", turns, {"max_tokens": 5}), None)
    assert bound is not None
    assert bound >= Decimal("0.000001") * 2500


def test_a_notebooks_own_precision_does_not_lower_the_bound() -> None:
    """``getcontext().prec = 2`` in a cell."""
    request = _ask("x" * 1234, max_tokens=4321)
    exact = bound_usd(CHEAP, request, None)
    with decimal.localcontext() as context:
        context.prec = 2
        assert exact == bound_usd(CHEAP, request, None)


def test_a_free_model_costs_nothing() -> None:
    """Known to be 0 is not unknown."""
    assert 0 == bound_usd(parse_prices({"prompt": "0", "completion": "0"}), _ask(max_tokens=5), None)
    assert Prices() == parse_prices({})


# --- what comes to the text ----------------------------------------------------------------------------------------


def test_a_models_context_bounds_what_has_no_bound_of_its_own() -> None:
    """A prompt that is longer than the context is refused, and costs nothing."""
    for part in (File(data=b"%PDF-1.4"), Audio("AA==", "wav"), Video(url="https://v"), Image(url="https://x")):
        request = Request("unknown/model", (Message("user", (Text("see"), part)),), {"max_tokens": 5})
        bound = bound_usd(CHEAP, request, None, context_tokens=1000)
        fee = Decimal(2) if isinstance(part, File) else Decimal(0)
        assert fee + Decimal("0.001") + Decimal("0.00001") == bound, part.kind


def test_a_long_text_is_bounded_by_the_context() -> None:
    """A megabyte of letters reserves a million tokens, of which the model can read 1000."""
    request = _ask("x" * 10**6, max_tokens=1)
    assert Decimal("0.001002") == bound_usd(CHEAP, request, None, context_tokens=1000)


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("model", "part", "tokens"),
    [
        ("some/model", Image(data=_png(64, 64)), 4096),
        ("some/model", Image(data=_png(2800, 1400)), 200 * 101),
        ("openai/gpt-5", Image(data=_png(2800, 1400)), 16_384),
        ("openai/gpt-5", Image(url="https://x"), 16_384),
        ("openai/gpt-4o-mini", Image(data=_png(64, 64)), 48_169),
    ],
)
def test_a_picture_is_bounded_by_its_size_and_by_what_is_documented(model: str, part: Image, tokens: int) -> None:
    """Vendors cut pictures into squares of 14 pixels or more, and no further than a documented number."""
    with_one, without = (
        bound_usd(CHEAP, Request(model, (Message("user", parts),), {"max_tokens": 1}), None)
        for parts in ((Text("a"), part), (Text("a"),))
    )
    assert with_one is not None
    assert without is not None
    assert tokens * Decimal("0.000001") == with_one - without


def test_a_price_of_a_picture_is_one_of_its_tokens_or_of_the_whole() -> None:
    """Catalogues have told both under the same name: 0.0000003 and 0.001238 for the same model (WIRE.md §8)."""
    request = Request("some/model", (Message("user", (Text("a"), Image(data=_png(64, 64)))),), {"max_tokens": 1})
    told = {"prompt": "0.000001", "completion": "0.000002"}
    plain, by_token, by_picture = (
        bound_usd(parse_prices(told | more), request, None) for more in ({}, {"image": "0.000002"}, {"image": "0.5"})
    )
    assert plain is not None
    assert by_token is not None
    assert by_token > plain * Decimal("1.9")
    assert plain + Decimal("0.5") == by_picture


def test_a_document_costs_a_fee_per_page_unless_a_free_parser_reads_it() -> None:
    """$2 per 1000 pages, at most 1000 pages; a PDF that shows its pages is counted."""
    pages = File(data=b"%PDF-1.4\n" + b"<</Type /Page /Parent 1 0 R>>\n" * 3)
    bounds = [
        bound_usd(CHEAP, Request("m", (Message("user", (part,)),), {"max_tokens": 1} | more), None, context_tokens=100)
        for part, more in [
            (pages, {}),
            (File(url="https://x/y.pdf"), {}),
            (File(data=b"%PDF-1.4 /Encrypt"), {}),
            (pages, {"plugins": [{"id": "file-parser", "pdf": {"engine": "pdf-text"}}]}),
        ]
    ]
    tokens = Decimal("0.000102")
    assert [Decimal("0.006") + tokens, 2 + tokens, 2 + tokens, tokens] == bounds


def test_the_recorded_document_stayed_below_its_bound() -> None:
    """``pai-file-annotation.json``: one page read for $0.002, 80 tokens of answer."""
    prices = parse_prices({"prompt": "0.00000025", "completion": "0.000002"})
    parts = (Text("What does this PDF contain? Answer in one short sentence."), File(data=b"%PDF-1.4 <</Type/Page>>"))
    request = Request("openai/gpt-5.1-codex-mini", (Message("user", parts),), {"max_tokens": 80})
    bound = bound_usd(prices, request, None, context_tokens=400_000)
    assert bound is not None
    assert Decimal("0.00216775") <= bound < Decimal("0.2")


SEARCH = {"engine": "exa", "max_uses": 1, "search_context_size": "medium"}


@pytest.mark.parametrize(
    ("params", "known"),
    [
        ({"tools": [{"type": "openrouter:web_search", "parameters": SEARCH}]}, True),
        ({"tools": [{"type": "openrouter:web_search", "parameters": SEARCH | {"engine": "auto"}}]}, False),
        ({"tools": [{"type": "openrouter:web_search", "parameters": SEARCH | {"max_uses": None}}]}, False),
        ({"tools": [{"type": "openrouter:web_search", "parameters": SEARCH}], "stop_server_tools_when": []}, False),
        ({"tools": [{"type": "openrouter:web_fetch", "parameters": {}}]}, False),
        ({"tools": [{"type": "web_search_preview"}]}, False),
        ({"tools": "all"}, False),
        ({"plugins": [{"id": "web", "engine": "exa", "max_results": 3}]}, True),
        ({"plugins": [{"id": "web"}]}, False),
        ({"plugins": [{"id": "web", "enabled": False}]}, True),
        ({"plugins": [{"id": "response-healing"}]}, True),
        ({"plugins": [{"id": "fusion"}]}, False),
        ({"service_tier": "flex"}, True),
        ({"modalities": ["text"]}, True),
    ],
    ids=str,
)
def test_what_the_gateway_adds_has_a_bound_where_its_number_and_size_are_named(
    params: dict[str, Any], known: bool
) -> None:
    """A provider's own search engine obeys no limit; the gateway's engines do."""
    bound = bound_usd(CHEAP, _ask(max_tokens=5, **params), 100, context_tokens=100_000)
    assert known == (bound is not None)


def test_the_recorded_search_stayed_below_its_bound() -> None:
    """``pai-web-search-annotations.json``: one search of OpenRouter's own engine for $0.007, and 2315 tokens."""
    prices = parse_prices({"prompt": "0.0000002574", "completion": "0.0000010287"})
    tools = [{"type": "openrouter:web_search", "parameters": SEARCH}]
    request = _ask("x" * 84, "deepseek/deepseek-chat", max_tokens=40, tools=tools, max_tool_calls=1)
    bound = bound_usd(prices, request, None, context_tokens=163_840)
    assert bound is not None
    assert Decimal("0.007637029") <= bound < Decimal("0.2")


def test_a_fallback_list_is_as_dear_as_its_dearest_model() -> None:
    """Any error leads to the next model, and that one's price is billed."""
    dear = Listed(parse_prices({"prompt": "0.001", "completion": "0.002"}), 1000, 10_000)
    request = _ask(max_tokens=5, models=["dear/model"])
    alone = bound_usd(dear.prices, _ask(max_tokens=5, models=[]), 1000)
    bound = bound_usd(CHEAP, request, 100, find=lambda name: dear if name == "dear/model" else None)
    assert alone is not None
    assert bound is not None
    assert alone <= bound < alone * 2
    assert bound_usd(CHEAP, request, 100, find=lambda _: None) is None
    assert bound_usd(CHEAP, _ask(max_tokens=5, models=["dear/model:nitro"]), 100, find=lambda _: dear) is None


@dataclass(frozen=True)
class Listed:
    """A model as the catalogue has it."""

    prices: Prices
    max_completion_tokens: int | None = None
    context_tokens: int | None = None


def test_an_override_for_long_prompts_leaves_short_ones_alone() -> None:
    """Otherwise half of a budget could not be spent with such a model."""
    told = {"prompt": "0.000003", "completion": "0.000015"}
    tiered = parse_prices(told | {"overrides": [{"min_prompt_tokens": 200_000, "prompt": "1", "completion": "1"}]})
    assert bound_usd(parse_prices(told), _ask(max_tokens=5), None) == bound_usd(tiered, _ask(max_tokens=5), None)
    long = bound_usd(tiered, _ask("x" * 200_000, max_tokens=5), None)
    assert long is not None
    assert long > 200_000


# --- what is left, in tokens ---------------------------------------------------------------------------------------

PRICE = st.decimals(0, "0.001", places=9)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[Prices, Request, dict[str, Any]]:
    """Return prices, a request and what else is known of its model."""
    names = ("prompt", "completion", "request", "internal_reasoning", "input_cache_write_1h", "image")
    told: dict[str, Any] = {name: str(draw(PRICE)) for name in names if name in names[:2] or draw(st.booleans())}
    if draw(st.booleans()):
        told["overrides"] = [{"min_prompt_tokens": draw(st.integers(0, 3000)), "completion": str(draw(PRICE))}]
    parts = [Text(draw(st.text(max_size=50)))] + [Image(data=_png(99, 99))] * draw(st.integers(0, 1))
    params: dict[str, Any] = draw(st.sampled_from([{}, {"max_tokens": 700}, {"max_completion_tokens": 90}]))
    if draw(st.booleans()):
        params = params | {"tools": [{"type": "openrouter:datetime"}], "max_tool_calls": 3}
    if draw(st.booleans()):
        params = params | {"models": ["other/model"]}
    other = Listed(CHEAP, draw(st.none() | st.integers(1, 500)), draw(st.none() | st.integers(1, 5000)))
    known = {"context_tokens": draw(st.none() | st.integers(1, 20_000)), "find": lambda _: other}
    return parse_prices(told), Request("some/model", (Message("user", tuple(parts)),), params), known


@given(_calls(), st.decimals(0, 2, places=9), st.none() | st.integers(1, 4000))
@settings(max_examples=300)
def test_the_answer_that_can_be_afforded_is_the_longest_that_is_within_the_money(
    call: tuple[Prices, Request, dict[str, Any]], left_usd: Decimal, longest: int | None
) -> None:
    """One token more would pass what is left, unless something else limits the answer."""
    prices, request, known = call
    tokens = affordable_tokens(prices, request, left_usd, longest, **known)
    assert tokens is not None
    if tokens:
        bound = bound_usd(prices, limited(request, tokens), longest, **known)
        assert bound is not None
        assert bound <= left_usd
    asked = max(request.params.get("max_tokens", 0), request.params.get("max_completion_tokens", 0))
    if tokens < (asked or longest or 1):
        more = bound_usd(prices, limited(request, tokens + 1), longest, **known)
        assert more is not None
        assert more > left_usd


def test_what_can_be_afforded_is_at_most_what_is_asked_for_or_possible() -> None:
    """A free model has no price that would limit it."""
    free = parse_prices({"prompt": "0", "completion": "0"})
    assert 7 == affordable_tokens(free, _ask(max_tokens=7), Decimal(0))
    assert 99 == affordable_tokens(free, _ask(), Decimal(0), 99, context_tokens=128_000)
    assert 128_000 == affordable_tokens(free, _ask(), Decimal(0), context_tokens=128_000)
    assert 2**20 == affordable_tokens(free, _ask(), Decimal(0))
    assert 0 == affordable_tokens(CHEAP, _ask(), Decimal("0.000001"))
    assert 0 == affordable_tokens(CHEAP, _ask(), Decimal(-1))
    assert affordable_tokens(CHEAP, _ask(preset="p"), Decimal(1)) is None


def test_a_limit_is_set_under_the_name_that_the_request_uses() -> None:
    """Of two names nobody knows which one counts."""
    assert {"max_tokens": 5} == limited(_ask(), 5).params
    assert {"max_completion_tokens": 5} == limited(_ask(max_completion_tokens=9, max_tokens=7), 5).params
    wide = bound_usd(CHEAP, _ask(max_completion_tokens=9, max_tokens=700), None)
    assert bound_usd(CHEAP, _ask(max_tokens=700), None) == wide


# --- recorded calls ----------------------------------------------------------------------------------------------


def _catalogue(shared: Path, name: str) -> list[dict[str, Any]]:
    told = json.loads((shared / "openrouter/recorded" / name).read_bytes())
    items: list[dict[str, Any]] = told if isinstance(told, list) else told["data"]
    return items


def _recorded_calls(shared: Path) -> list[tuple[str, Request, Decimal, int, str | None]]:
    """Return (file, request, real cost, completion tokens, provider) of the calls whose request is all text."""
    folder = shared / "openrouter/recorded"
    calls = []
    for item in recordings(shared):
        asked = folder / str(item.get("request"))
        raw = (folder / item["file"]).read_bytes()
        told = naive(raw) if item["file"].endswith(".sse") else naive_whole(raw)
        if not asked.is_file() or not told.usage.get("cost"):
            continue
        body = json.loads(asked.read_bytes())
        texts = [_text(message.get("content") or "") for message in body["messages"]]
        if None not in texts:
            params = {
                key: value for key, value in body.items() if key not in ("model", "messages", "stream", "transforms")
            }
            messages = tuple(Message("user", (Text(text or ""),)) for text in texts)
            cost = Decimal(str(told.usage["cost"]))
            calls.append(
                (
                    item["file"],
                    Request(body["model"], messages, params),
                    cost,
                    told.usage["completion_tokens"],
                    told.provider,
                )
            )
    return calls


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content) if all(part["type"] == "text" for part in content) else None


# Served by a provider 2.3 times dearer than the top one of the catalogue of that day, with a long answer.
DEARER_PROVIDER = ("magentic-reasoning-tokens.sse", "models-2025-12-31.json")


def test_no_recorded_call_cost_more_than_its_bound(shared: Path) -> None:
    """Real requests, real bills, the catalogue's prices, and the very number of tokens of the answer as the limit."""
    compared = set()
    for catalogue in ("models-2025-12-31.json", "models-2026-05-01.data.json"):
        items = _catalogue(shared, catalogue)
        found = {item["canonical_slug"]: item for item in reversed(items)} | {item["id"]: item for item in items}
        for name, request, cost, tokens, _ in _recorded_calls(shared):
            item = found.get(request.model)
            bound = bound_usd(parse_prices(item["pricing"]), request, tokens) if item else None
            if bound is not None and (name, catalogue) != DEARER_PROVIDER:
                assert cost <= bound, (name, catalogue)
                compared.add(name)
    assert len(compared) >= 15


def test_a_providers_own_prompt_is_covered(shared: Path) -> None:
    """Recorded: grok-4 counted 687 prompt tokens for ``Who are you``."""
    (found,) = [call for call in _recorded_calls(shared) if call[0] == "pai-stream-with-native-options.sse"]
    (item,) = [item for item in _catalogue(shared, "models-2026-05-01.data.json") if item["id"] == "x-ai/grok-4"]
    _, request, cost, tokens, _ = found
    bound = bound_usd(parse_prices(item["pricing"]), Request("x-ai/grok-4", request.messages), tokens)
    assert bound is not None
    assert cost <= bound


def test_a_prompt_with_half_a_character_still_has_a_bound() -> None:
    """File names on POSIX bring lone surrogates."""
    assert bound_usd(CHEAP, _ask("\udcff", max_tokens=5), None) is not None


@pytest.mark.parametrize("price", ["1e999999", "1e400", "1e9", "-1", "NaN"])
def test_a_price_that_can_be_none_is_unknown(price: str) -> None:
    """A catalogue that is broken, or hostile, must not end every call with an overflow."""
    assert not parse_prices({"prompt": price, "completion": "0.000001"}).known()
