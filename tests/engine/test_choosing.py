"""The choice of a model: by the rules, from the facts of any catalogue, and the reason in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from or_magic import budget
from or_magic.api import Session
from or_magic.config_file import FILE_NAME, read_config
from or_magic.content import Text
from or_magic.engine.auto import with_choice
from or_magic.engine.choosing import Wanted, _plain, choose
from or_magic.errors import OptionError, OverBudget, SettingsError
from or_magic.events import Notice
from or_magic.gateway.catalog import Models, bundled, parse_models
from or_magic.options import Options
from or_magic.rules import COMPLEXITIES, FAMILIES, RULES, SHARES, Choice, parse_rules
from or_magic.values import Message, Origin, Request

from ..world.fixtures import Connect
from ..world.kit import ROOT, png

RECORDED = ROOT.parent / "shared" / "openrouter" / "recorded"
TODAY = date(2026, 5, 1)


def recorded(name: str) -> Models:
    told = json.loads((RECORDED / name).read_bytes())
    return parse_models(told if isinstance(told, dict) else {"data": told}, datetime(2026, 5, 1, tzinfo=UTC), name)


CATALOGUES = {"bundled": bundled} | {
    name: lambda name=name: recorded(name)
    for name in ("models-2025-12-31.json", "models-2026-05-01.data.json", "models-2026-08-04.partial.json")
}


@pytest.fixture(scope="module", params=CATALOGUES)
def catalogue(request: pytest.FixtureRequest) -> Models:
    return CATALOGUES[request.param]()


def item(name: str, **facts: Any) -> dict[str, Any]:
    """Return an entry of a catalogue: text in and out, 1 and 2 dollars per million tokens."""
    prompt, completion = facts.pop("usd", ("0.000001", "0.000002"))
    inputs, outputs = facts.pop("inputs", ["text"]), facts.pop("outputs", ["text"])
    index = facts.pop("index", None)
    return {
        "id": name, "context_length": 1_000_000, "created": 1, "top_provider": {"max_completion_tokens": 100_000},
        "architecture": {"input_modalities": inputs, "output_modalities": outputs},
        "pricing": {"prompt": prompt, "completion": completion},
        "supported_parameters": ["temperature", "tools", "reasoning", "max_tokens"],
        **({"benchmarks": {"artificial_analysis": {"coding_index": index}}} if index is not None else {}),
    } | facts  # fmt: skip


def listed(*items: dict[str, Any]) -> Models:
    return parse_models({"data": list(items)}, datetime(2026, 5, 1, tzinfo=UTC), "live")


def chosen(models: Models, task: str, complexity: str | None = None, **wishes: Any) -> Choice:
    return choose(models, Wanted(task, complexity, **wishes), {}, TODAY)


@pytest.mark.parametrize("complexity", COMPLEXITIES)
@pytest.mark.parametrize("task", RULES)
def test_every_choice_can_do_what_is_asked(catalogue: Models, task: str, complexity: str) -> None:
    """On every catalogue that was recorded: chosen and fallbacks alike."""
    found, rule = chosen(catalogue, task, complexity), RULES[task]
    names = (found.id, *found.fallbacks)
    for model in [catalogue.find(name) for name in names]:
        assert model is not None
        assert set(rule.inputs) <= set(model.input_modalities)
        assert set(rule.parameters) <= set(model.supported)
        assert (model.context_tokens or 0) >= max(rule.context_tokens, rule.prompt_tokens + rule.answer_tokens)
        assert {"text"} == set(model.output_modalities)
        assert model.expires is None
        assert not any([model.is_free, model.is_router, model.is_alias])
    assert len(names) <= 3
    assert len(set(names)) == len(names)
    assert found.reason.startswith(f"{task}, {complexity}: ")
    assert isinstance(found.estimate_usd, Decimal)
    assert found.estimate_usd > 0


@pytest.mark.parametrize("task", RULES)
def test_a_choice_keeps_to_its_money(catalogue: Models, task: str) -> None:
    """Whatever the limit is: within it, or an error that names the cheapest, which then is the choice."""
    limit = chosen(catalogue, task, "high").estimate_usd
    for _ in range(40):
        try:
            found = chosen(catalogue, task, "high", max_usd=limit)
        except OptionError as error:
            cheapest = str(error).partition("The cheapest that can is ")[2].partition(",")[0]
            least = chosen(catalogue, task, "high", max_usd=limit * 2)
            assert catalogue.find(cheapest) is not None
            assert least.estimate_usd <= limit * 2
            break
        assert found.estimate_usd <= limit
        limit /= 2
    else:
        pytest.fail("it never got too dear")


def test_the_cheapest_that_is_named_is_a_choice_at_its_price(catalogue: Models) -> None:
    """The advice of the error works."""
    with pytest.raises(OptionError, match="The cheapest that can is") as caught:
        chosen(catalogue, "coding", max_usd=Decimal("0.0000001"))
    name = str(caught.value).partition("The cheapest that can is ")[2].partition(",")[0]
    rule, model = RULES["coding"], catalogue.find(name)
    assert model is not None
    usd = model.prices.usd["prompt"] * rule.prompt_tokens + model.prices.usd["completion"] * rule.answer_tokens
    assert name == chosen(catalogue, "coding", max_usd=usd).id


@pytest.mark.parametrize(("complexity", "wanted"), [("low", "a/half"), ("medium", "a/good"), ("high", "a/near")])
def test_benchmarks_decide_where_there_are_enough(complexity: str, wanted: str) -> None:
    """The cheapest that comes near enough to the best."""
    models = listed(
        item("a/best", index=50.0, usd=("0.00001", "0.00005")), item("a/near", index=48.0, usd=("0.000005", "0.00002")),
        item("a/good", index=40.0, usd=("0.000002", "0.00001")), item("a/half", index=26.0, usd=("0.000001", "0.000002")),
        item("a/weak", index=10.0, usd=("0.0000001", "0.0000001")), item("anthropic/claude-opus-9"),
    )  # fmt: skip
    found = chosen(models, "coding", complexity)
    assert wanted == found.id
    assert f"at least {SHARES[complexity]:.0%} of the best coding index" in found.reason
    assert "families of" in chosen(models, "analysis", complexity).reason  # that index is not told
    assert "a/weak" == chosen(models, "coding", complexity, max_usd=Decimal("0.001")).id


def test_families_outlive_their_models() -> None:
    """The newest of a family, by the date of the catalogue; other vendors follow."""
    models = listed(
        item("anthropic/claude-opus-8", created=8), item("anthropic/claude-opus-9.1", created=9),
        item("anthropic/claude-opus-9.1-fast", created=10), item("openai/gpt-7", created=1), item("x/y", created=99),
        item("google/gemini-4-pro-preview", created=3), item("google/gemini-3-pro", created=2),
    )  # fmt: skip
    found = chosen(models, "analysis", "high")
    assert ("anthropic/claude-opus-9.1", ("openai/gpt-7", "google/gemini-4-pro-preview")) == (found.id, found.fallbacks)
    assert "the newest anthropic/claude-opus (families of 2026-05-01, high)" in found.reason


@pytest.mark.parametrize(("complexity", "wanted"), [("low", "v/cheap"), ("medium", "v/middle"), ("high", "v/dear")])
def test_prices_decide_where_nothing_else_is_known(complexity: str, wanted: str) -> None:
    """A catalogue of strangers."""
    models = listed(
        item("v/dear", usd=("0.00001", "0.00002")), item("v/cheap", usd=("0.0000001", "0.0000002")), item("v/middle"),
    )  # fmt: skip
    found = chosen(models, "simple", complexity)
    assert wanted == found.id
    assert "no benchmark and no known family" in found.reason


@pytest.mark.parametrize(
    "facts",
    [{"usd": ("0", "0")}, {"expiration_date": "2027-01-01"}, {"usd": ("-1", "-1")}, {"outputs": ["image", "text"]},
     {"context_length": 100}, {"context_length": None}, {"top_provider": {"max_completion_tokens": 10}},
     {"id": "openrouter/auto"}, {"id": "~a/latest"}],
    ids=str,
)  # fmt: skip
def test_some_models_are_never_chosen_unasked(facts: dict[str, Any]) -> None:
    """Free ones, expiring ones, routers, aliases, and those that cannot hold the call."""
    models = listed(item("a/usable"), item("a/new", created=9) | item("a/new", **facts))
    found = chosen(models, "simple")
    assert ("a/usable", ()) == (found.id, found.fallbacks)


def test_free_and_expiring_models_are_chosen_when_asked_for() -> None:
    """But not one whose last day is over."""
    free, ending = item("a/free", usd=("0", "0")), item("a/ending", expiration_date="2026-06-01")
    assert "a/free" == chosen(listed(free), "simple", free=True).id
    assert "a/ending" == chosen(listed(ending), "simple", expiring=True).id
    with pytest.raises(OptionError, match="No model of the catalogue"):
        chosen(listed(item("a/gone", expiration_date="2026-04-30")), "simple", expiring=True)


def test_an_unknown_task_names_the_tasks() -> None:
    """And an unknown complexity the closest."""
    for task in ("codign", ""):
        with pytest.raises(OptionError, match="Tasks are coding, creative"):
            chosen(bundled(), task)
    with pytest.raises(OptionError, match="Did you mean medium"):
        chosen(bundled(), "coding", "medum")


def test_rules_are_changed_by_argument_and_config_file(offline: Session, home: Any) -> None:
    """A field of a rule, or a task of one's own."""
    rules = {"coding": {"medium": ["deepseek/deepseek-v#-pro"]}, "haiku": {"about": "haiku", "complexity": "low"}}
    assert "deepseek/deepseek-v4-pro" == offline.choose("coding", rules=rules).id
    assert offline.choose("haiku", rules=rules).reason.startswith("haiku, low")
    (home / FILE_NAME).parent.mkdir(exist_ok=True)
    (home / FILE_NAME).write_text('[choose.coding]\nmedium = ["x-ai/grok-#"]\nanswer_tokens = 10\n')
    rule = read_config(home).settings["choose"]["coding"]
    assert replace(RULES["coding"], medium=("x-ai/grok-#",), answer_tokens=10) == rule


@pytest.mark.parametrize(
    "table", ["choose = 3", "[choose]\ncoding = 3", "[choose.coding]\nmediun = []", "[choose.coding]\nmedium = 3",
              "[choose.coding]\nindex = 'iq'", "[choose.coding]\nprompt_tokens = -1", '[choose."a b"]\nlow = []'],
)  # fmt: skip
def test_a_wrong_rule_is_an_error_of_the_file(tmp_path: Any, table: str) -> None:
    """With its line, as every other."""
    (tmp_path / FILE_NAME).write_text(table)
    with pytest.raises(SettingsError, match="choose: "):
        read_config(tmp_path)


def test_a_given_prompt_decides_how_dear_and_how_large_a_call_is(offline: Session) -> None:
    """And a picture in it needs a model that sees."""
    from or_magic.content import Image

    usual, long = offline.choose("simple"), offline.choose("simple", prompt="word " * 100_000)
    assert long.estimate_usd > usual.estimate_usd * 50
    seen = offline.choose("simple", prompt=["What is it?", Image(url="https://example.org/a.png")])
    model = offline.engine.catalog.models().find(seen.id)
    assert model is not None
    assert "image" in model.input_modalities
    with pytest.raises(OptionError, match="Did you mean max_usd"):
        offline.choose("simple", max_us=1)
    with pytest.raises(OptionError, match="Nothing was sent"):
        offline.choose("simple", max_usd="cheap")


def test_a_choice_is_taken_for_a_model(offline: Session) -> None:
    """With its fallbacks; and it draws itself, inert: $0.02 … $0.01 in one line is no formula."""
    choice = offline.choose("coding", max_usd=0.02)
    reply = offline.ask("Hello", model=choice)
    assert choice.id == reply.model_requested
    shown = choice._repr_markdown_()
    assert choice.id in shown
    assert 2 == shown.count("<span>&#36;</span>")
    assert "$" not in shown
    assert "<b>" not in replace(choice, id="<b>x")._repr_markdown_()


def test_auto_chooses_when_the_call_is_made(offline: Session) -> None:
    """It says what and why, and its fallbacks go along."""
    with offline.stream("Hello", model="auto:coding:high") as running:
        events = list(running)
    (told,) = [event for event in events if isinstance(event, Notice) and event.reason == "chosen"]
    wanted = chosen(bundled(), "coding", "high")
    assert wanted.id == running.reply.model_requested
    assert f"{wanted.id} chosen for coding, high" == told.text
    preview = offline.engine.preview("Hello", Options(model="auto:coding:high"))
    assert list(wanted.fallbacks) == preview.body["models"]
    assert told.text in [notice.text for notice in preview.notices]


def test_auto_follows_what_the_call_says(open_session: Connect) -> None:
    """Its fallbacks, its fields, its money; and the settings' model may be one."""
    session = open_session(offline=True, model="auto:simple", fallback_models=["openai/gpt-4o-mini"])

    def body(**said: Any) -> Any:
        return session.engine.preview("Hello", Options(**said)).body

    assert list(chosen(bundled(), "simple").fallbacks) == body()["models"]
    assert ["cohere/command-a"] == body(fallback=("cohere/command-a",))["models"]
    assert "models" not in body(fallback=("none",))
    assert ["a/b"] == body(params={"models": ["a/b"]})["models"]
    model = bundled().find(body(model="auto:coding:high", temperature=0.1)["model"])
    assert model is not None
    assert "temperature" in model.supported  # the newest of the family does not take it
    with pytest.raises(OptionError, match="The cheapest that can is"):
        body(model="auto:coding", budget=budget.parse_usd("0.0000001"))
    with pytest.raises((OptionError, OverBudget)):
        session.ask("Hello", budget="0.0000001")


@pytest.mark.parametrize("model", ["auto", "auto:", "auto:codign", "auto:coding:hard", "auto:coding:"])
def test_auto_without_a_known_task_is_an_error(offline: Session, model: str) -> None:
    """Nothing is sent; the router of OpenRouter is a model and is."""
    with pytest.raises(OptionError, match=r"Tasks are coding|complexity"):
        offline.ask("Hello", model=model)
    assert 0 == offline.engine.gateways.server.received()
    assert "openrouter/auto" == offline.ask("Hello", model="openrouter/auto").model_requested


def test_a_task_that_is_misspelt_names_the_closest(offline: Session) -> None:
    """And all there are."""
    with pytest.raises(OptionError, match=r"no task 'codng'.* Did you mean coding\? Tasks are coding, "):
        offline.ask("Hello", model="auto:codng")


def test_a_limit_is_written_as_people_write_it() -> None:
    """Two cents are $0.02."""
    with pytest.raises(OptionError, match=r"for \$0\.00001 a call"):
        chosen(bundled(), "coding", max_usd=Decimal("0.00001"))
    assert chosen(bundled(), "coding", max_usd=Decimal("0.02")).reason.endswith("within $0.02.")


@pytest.mark.parametrize("name", [name for level in FAMILIES.values() for name in level])
def test_a_reason_names_a_family_and_no_pattern(name: str) -> None:
    """What stands for versions is for the rules."""
    assert re.fullmatch(r"[a-z-]+/[a-z-]*[a-z]", _plain(name))


LONG = "One word after the other, and none that is missing. " * 9_000


def test_auto_reads_the_whole_conversation(offline: Session) -> None:
    """The model is chosen for what is sent, its pictures too, and the fit is checked for the chosen one."""
    chat = offline.chat("x")
    assert "mistralai/mistral-small-2603" != chat.ask("Hello", model="auto:simple").model_requested
    chat.ask([LONG, "Well?"], model="openai/gpt-4.1-mini", max_tokens=5)
    found = bundled().find(chat.ask("And then?", model="auto:vision:low").model_requested)
    assert found is not None
    assert (found.context_tokens or 0) > sum(turn.tokens for turn in chat.turns)
    chat.ask([png(), "What is this?"], model="openai/gpt-4.1-mini", max_tokens=5)
    seeing = bundled().find(chat.ask("In a word?", model="auto:simple").model_requested)
    assert seeing is not None
    assert "image" in seeing.input_modalities


def test_a_conversation_that_no_model_reads_may_still_be_shortened(offline: Session) -> None:
    """Where the policy says so; else it is told how much room there would have to be."""
    chat = offline.chat("x")
    chat.ask([LONG, "Well?"], model="openai/gpt-4.1-mini", max_tokens=5)
    rules = {"short": {"about": "never mind", "inputs": ["text"]}}
    few = listed(item("a/small", context_length=20_000))
    whole = offline.engine.asking.chats.whole
    request = Request("auto:short", (Message("user", (Text("And then?"),)),), origin=Origin(chat="x"))
    with pytest.raises(OptionError, match=r"room for \d+,\d{3} tokens"):
        with_choice(request, whole, parse_rules(rules), few, TODAY)
    offline.chat("x", policy="drop-oldest")
    assert "a/small" == with_choice(request, whole, parse_rules(rules), few, TODAY)[0].model


def test_auto_is_for_the_catalogue_that_is_known(open_session: Connect) -> None:
    """Another server has other models."""
    session = open_session(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(OptionError, match="another gateway is asked"):
        session.ask("Hello", model="auto:coding")


def test_rules_name_fields_that_there_are() -> None:
    """A typo in the table would never match anything."""
    for task, rule in RULES.items():
        assert {task: rule} == parse_rules({task: {}})
        assert rule.complexity in COMPLEXITIES
        for complexity in COMPLEXITIES:
            for family in getattr(rule, complexity):
                assert "/" in family
