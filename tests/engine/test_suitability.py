"""What the catalogue knows against a request is said before it is sent: a model that goes away, fields it ignores."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from or_magic.api import Session
from or_magic.engine.suitability import about_end, lacking, successor
from or_magic.errors import OptionError
from or_magic.events import Notice
from or_magic.gateway.catalog import bundled
from or_magic.options import Options

from ..world.fixtures import Connect
from .test_choosing import CATALOGUES, item, listed, recorded

TODAY = date(2026, 5, 1)
COLD = "openai/gpt-5-mini"  # it takes no temperature


def notices(session: Session, **options: Any) -> dict[str, str]:
    with session.stream("Hello", **options) as running:
        return {
            event.reason: event.text for event in running if isinstance(event, Notice) and event.reason != "waiting"
        }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperature": 0.2}, "temperature"),
        ({"temperature": 0.0, "top_p": 0.5, "stop": ["x"]}, "temperature, top_p and stop"),
        ({"params": {"top_k": 3}}, "top_k"),
        ({"preset": "coding"}, "temperature"),
        ({"max_tokens": 9, "seed": 1, "reasoning": "low"}, None),
        ({"params": {"an_unknown_field": 1}}, None),
        ({"params": {"temperature": None}}, None),
    ],
)
def test_fields_that_a_model_does_not_support_are_named(
    offline: Session, options: dict[str, Any], told: str | None
) -> None:
    """OpenRouter ignores them: the answer comes all the same, and the sentence is there each time."""
    wanted = {} if told is None else {"unsupported": f"{COLD} does not support {told}: ignored, most likely"}
    assert wanted == notices(offline, model=COLD, **options)
    assert wanted == notices(offline, model=COLD, **options)
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    preview = offline.engine.preview("Hello", Options(**({"model": COLD} | said)))
    assert list(wanted.values()) == [notice.text for notice in preview.notices]


@pytest.mark.parametrize(
    ("model", "params", "wanted"),
    [
        ("openai/gpt-4o-mini", {"reasoning": {"effort": "high"}}, ["reasoning"]),
        ("openai/gpt-4o-mini", {"reasoning": {"effort": "none"}}, []),
        ("openai/gpt-4o-mini", {"reasoning": {"enabled": False}}, []),
        ("openai/gpt-4o-mini", {"max_completion_tokens": 5, "response_format": {}, "tools": []}, []),
        ("perplexity/sonar", {"tools": [], "response_format": {}}, ["tools"]),
        ("openrouter/auto", {"temperature": 1, "logit_bias": {}}, []),
    ],
)
def test_what_is_lacking_follows_the_catalogue(model: str, params: dict[str, Any], wanted: list[str]) -> None:
    """A field has several names there; a router hands it on."""
    found = bundled().find(model)
    assert found is not None
    if model == "perplexity/sonar":
        wanted = [name for name in params if name not in found.supported and name == "tools"] + [
            name for name in ["response_format"] if not {"response_format", "structured_outputs"} & set(found.supported)
        ]
    assert wanted == lacking(found, params)


def test_of_an_unknown_model_nothing_is_said(offline: Session) -> None:
    """Catalogues lag behind."""
    assert {} == notices(offline, model="offline/plain", temperature=0.5, params={"top_k": 1})


def test_fields_that_are_insisted_on_stop_the_call(offline: Session) -> None:
    """With require_parameters no provider would be left; the cheapest model that takes them is named."""
    options = {"temperature": 0.5, "params": {"provider": {"require_parameters": True}}}
    with pytest.raises(OptionError, match="does not support temperature") as caught:
        offline.ask("Hello", model=COLD, **options)
    assert "Nothing was sent. The cheapest that can: " in str(caught.value)
    with pytest.raises(OptionError, match="does not support temperature"):
        offline.engine.preview("Hello", Options(model=COLD, temperature=0.5, params=options["params"]))
    assert 0 == offline.engine.gateways.server.received()
    assert "ok" == offline.ask("Hello", model="openai/gpt-4o-mini", **options).status


def with_catalogue(open_session: Connect, home: Any, *items: dict[str, Any]) -> Session:
    """Return a session of the simulator whose catalogue on disk has these entries."""
    session = open_session(offline=True)
    (home / "offline").mkdir(parents=True, exist_ok=True)
    text = json.dumps({"date": datetime.now(UTC).isoformat(), "body": {"data": list(items)}})
    (home / "offline" / "models-offline.json").write_text(text)
    return session


def test_a_model_that_goes_away_is_said_once(open_session: Connect, home: Any) -> None:
    """Once for a session and model, with what to take instead; a dry run says it every time."""
    session = with_catalogue(
        open_session, home, item(COLD, expiration_date="2099-01-01"), item("openai/gpt-9-mini", created=9)
    )
    told = {"expiring": f"{COLD} goes away on 2099-01-01: take openai/gpt-9-mini instead"}
    for _ in range(2):
        assert [*told.values()] == [n.text for n in session.engine.preview("Hello", Options(model=COLD)).notices]
    assert told == notices(session, model=COLD)
    assert {} == notices(session, model=COLD)


def test_a_model_whose_last_day_is_over_should_be_gone() -> None:
    """The catalogue may be older than that."""
    models = listed(item("a/m-1", expiration_date="2026-04-30"), item("a/m-2"))
    model = models.find("a/m-1")
    assert model is not None
    assert "a/m-1 should be gone since 2026-04-30: take a/m-2 instead" == about_end(model, models, TODAY)


@pytest.mark.parametrize(
    ("model", "instead"),
    [
        ("anthropic/claude-3.7-sonnet", "anthropic/claude-sonnet-4.6"),
        ("google/gemini-2.0-flash-001", "google/gemini-3-flash-preview"),
    ],
)
def test_what_to_take_instead_is_of_the_same_family(model: str, instead: str) -> None:
    """By the recorded catalogue of May 2026."""
    models = recorded("models-2026-05-01.data.json")
    found = models.find(model)
    assert found is not None
    other = successor(found, models)
    assert other is not None
    assert instead == other.id


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_whatever_is_taken_instead_stays_and_can_do_the_same(catalogue: str) -> None:
    """For every expiring model that was recorded."""
    models = CATALOGUES[catalogue]()
    for model in [model for model in models.entries if model.is_expiring]:
        other = successor(model, models)
        assert other is not None
        assert not other.is_expiring
        assert set(model.input_modalities) - {"file"} <= set(other.input_modalities)
        assert model.is_free is other.is_free


def test_a_stranger_has_no_successor() -> None:
    """Nothing is named where nothing can do the same."""
    models = listed(item("a/m", expiration_date="2026-06-01", inputs=["text", "video"]), item("b/n"))
    found = models.find("a/m")
    assert found is not None
    assert successor(found, models) is None
    assert Decimal(0) < found.prices.usd["prompt"]
