"""Pictures with a price each have a bound, never below the bill; the others hold all that is left, as before."""

from __future__ import annotations

import base64
import json
import socket
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.api import connect
from or_magic.budget import Budgets
from or_magic.content import Image, Text
from or_magic.engine.purse import Purse
from or_magic.errors import OverBudget, ProviderError
from or_magic.gateway.catalog import Catalog
from or_magic.gateway.picture_prices import PicturePrices
from or_magic.pricing import parse_picture_prices, pictures_bound_usd
from or_magic.values import Message, Origin, Request

MODEL = "bytedance-seed/seedream-4.5"
NOW = datetime(2026, 11, 28, tzinfo=UTC)
PICTURE = {"billable": "output_image", "unit": "image", "cost_usd": Decimal("0.05")}


def told(*endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": MODEL, "endpoints": [{"provider_name": "p", "pricing": lines} for lines in endpoints]}


def ask(text: str = "a fox", references: int = 0, **params: Any) -> Request:
    parts = (Text(text), *[Image(url="https://x.example/a.png")] * references)
    return Request(MODEL, (Message("user", parts),), {"n": 1, **params}, endpoint="image")


def bound(body: Any, request: Request) -> Decimal | None:
    prices = parse_picture_prices(body)
    return None if prices is None else pictures_bound_usd(prices, request)


def line(billable: str, unit: str, usd: str, **more: Any) -> dict[str, Any]:
    return {"billable": billable, "unit": unit, "cost_usd": Decimal(usd), **more}


def test_the_documented_example_costs_its_price_by_number(shared: Path) -> None:
    """Three pictures of five cents; one reference costs nothing where nothing is said of them."""
    spec = yaml.load((shared / "openrouter" / "openapi.yaml").read_text(), Loader=yaml.CSafeLoader)
    answer = spec["paths"]["/images/models/{author}/{slug}/endpoints"]["get"]["responses"]["200"]
    body = answer["content"]["application/json"]["example"]
    assert Decimal("0.15") == bound(body, ask(references=1, n=3, resolution="4K"))


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (told([line("output_image", "token", "0.00003")]), ask()),
        (told([line("output_image", "megapixel", "0.03")]), ask(size="1024x1024")),
        (told([PICTURE, line("input_image", "megapixel", "0.01")]), ask(references=1)),
        (told([PICTURE, line("something_else", "image", "0.01")]), ask()),
        (told([PICTURE], [line("output_image", "token", "0.00003")]), ask()),  # whoever answers
        (told([PICTURE], []), ask()),
        (told([line("output_image", "image", "0")]), ask()),
        (told([PICTURE, line("output_image", "image", "NaN")]), ask()),
        (told([PICTURE]), ask(n=None)),
        (told([PICTURE]), ask(provider={"options": {"p": {"steps": 90}}})),
        ({"endpoints": []}, ask()), ({"endpoints": [{}]}, ask()), ({}, ask()), (None, ask()), ("x", ask()),
    ],
)  # fmt: skip
def test_what_cannot_be_multiplied_has_no_bound(body: Any, request_: Request) -> None:
    """Nothing limits the tokens of a picture, and providers choose its pixels."""
    assert bound(body, request_) is None


USD = st.decimals(0, 2, places=4)
LINES = st.lists(
    st.builds(
        lambda of, usd: {"billable": of[0], "unit": of[1], "cost_usd": usd},
        st.sampled_from([("output_image", "image"), ("input_image", "image"), ("input_reference", "image"),
                         ("input_text", "token"), ("input_text", "image"), ("input_font", "image")]),
        USD,
    ),
    max_size=6,
)  # fmt: skip


@given(st.lists(LINES, min_size=1, max_size=3), st.integers(1, 10), st.integers(0, 3), st.text(max_size=30), st.data())
@settings(max_examples=200)
def test_no_pictures_are_billed_more_than_their_bound(
    endpoints: list[list[dict[str, Any]]], n: int, references: int, text: str, data: st.DataObject
) -> None:
    """Whoever draws, whichever variant of a line counts, and however many of those asked for are drawn."""
    found = bound(told(*endpoints), ask(text, references, n=n))
    lines = data.draw(st.sampled_from(endpoints))
    by_kind = {(each["billable"], each["unit"]): [] for each in lines}  # type: ignore[var-annotated]
    for each in lines:
        by_kind[each["billable"], each["unit"]].append(each["cost_usd"])
    counts = {"output_image": 1, "input_image": references, "input_reference": references, "input_font": 0}
    billed = Decimal(0)
    for (billable, unit), variants in by_kind.items():
        count = len(text.encode()) if unit == "token" else counts.get(billable, 1)
        billed += data.draw(st.sampled_from(variants)) * count
    if found is not None:
        assert billed * data.draw(st.integers(0, n)) <= found


def purse(answers: list[Any], budgets: Budgets, tmp_path: Path) -> Purse:
    def fetch(path: str) -> Any:
        assert f"/images/models/{MODEL}/endpoints" == path
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    prices = PicturePrices(fetch, lambda: NOW)
    return Purse(lambda: budgets, "s", Catalog(tmp_path / "none.json", lambda: None), "openrouter", prices)


def test_under_a_budget_a_picture_holds_its_price_and_no_more(tmp_path: Path) -> None:
    """And says how many it wants, as an answer says how long it may be; without a budget nothing is asked or added."""
    unnumbered = Request(MODEL, (Message("user", (Text("a fox"),)),), endpoint="image", origin=Origin())
    held = purse([told([PICTURE])], Budgets(session=Decimal(1)), tmp_path)
    assert (unnumbered, None) == held.fit(unnumbered, Decimal(1))
    held.learn(unnumbered, NOW)
    held.learn(unnumbered, NOW)  # asked once
    request, bound_usd = held.fit(unnumbered, Decimal(1))
    assert ({"n": 1}, Decimal("0.05")) == (request.params, bound_usd)
    assert (unnumbered, None) == held.fit(unnumbered, None)
    free = purse([], Budgets(), tmp_path)
    free.learn(unnumbered, NOW)


def test_a_price_list_that_cannot_be_had_changes_nothing() -> None:
    """It is asked for again, but not with every picture."""
    answers = [ProviderError("no"), told([PICTURE])]
    now = [NOW]

    def fetch(_: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    prices = PicturePrices(fetch, lambda: now[0])
    prices.learn(MODEL)
    prices.learn(MODEL)
    assert prices.of(MODEL) is None
    now[0] += timedelta(minutes=6)
    prices.learn(MODEL)
    assert prices.of(MODEL) is not None
    now[0] += timedelta(days=2)
    assert prices.of(MODEL) is None


def test_pictures_run_beside_each_other_within_a_budget_and_stop_before_it(tmp_path: Path) -> None:
    """At ten cents two of five cents each are drawn, and the third is not sent."""
    from .kit import RawServer, response, rows

    def answer(sock: socket.socket, asked: Any) -> None:
        if asked.line.startswith("GET"):
            body = told([{**PICTURE, "cost_usd": 0.05}])
        else:
            body = {"data": [{"b64_json": base64.b64encode(b"x").decode()}], "usage": {"cost": 0.05}}
        sock.sendall(response(json.dumps(body).encode()))

    with RawServer(answer) as server:
        session = connect(base_url=server.url, home=tmp_path, session_budget="0.10")
        purse_ = session.engine._purse
        purse_._pictures = PicturePrices(session.engine.gateway.get)  # a server on this machine is not OpenRouter
        for _ in range(2):
            session.image("a fox", model=MODEL)
        with pytest.raises(OverBudget, match=r"may cost \$0\.05"):
            session.image("a fox", model=MODEL)
        assert [50_000_000_000] * 2 == [row["bound_pico"] for row in rows(session)]
        assert 3 == len(server.asked)
        session.close()
