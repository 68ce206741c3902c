"""What was counted of a conversation bounds what its next turn may cost: never below the bill, and where it is no use."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.api import Session
from or_magic.content import Reasoning, Text
from or_magic.engine.counts import Counts
from or_magic.errors import OverBudget
from or_magic.estimate import estimate_tokens
from or_magic.pricing import bound_usd, counted_before, most_prompt_tokens, parse_prices
from or_magic.values import Counted, Message, Reply, Request, Usage

from ..world.kit import rows

MODEL = "openai/gpt-5-mini"
PRICES = parse_prices({"prompt": "0.000001", "completion": "0.000002"})
PROSE = "The sea was calm that evening, and nobody on the quay remembered the storm of the week before. " * 40


class Provider:
    """Bills as a gateway does: a vocabulary of its own, role marks, and perhaps a prompt of its own before ours."""

    def __init__(self, vocabulary: list[str], marks: int, hidden: int, reads_thoughts: bool) -> None:
        self.pieces = sorted({piece.encode() for piece in vocabulary if piece}, key=len, reverse=True)
        self.marks, self.hidden, self.reads_thoughts = marks, hidden, reads_thoughts

    def tokens(self, messages: tuple[Message, ...]) -> int:
        read = (Text, Reasoning) if self.reads_thoughts else (Text,)
        texts = [part.text for message in messages for part in message.parts if isinstance(part, read)]
        return self.hidden + self.marks * (len(messages) + 1) + sum(map(self._of, texts))

    def _of(self, text: str) -> int:
        data, count = text.encode(), 0
        while data:
            data = data[len(next((piece for piece in self.pieces if data.startswith(piece)), b"x")) :]
            count += 1
        return count


TEXT = st.text("abc é海", max_size=60)
MESSAGES = st.lists(TEXT, max_size=6)
VOCABULARIES = st.lists(st.text("abc é海", min_size=1, max_size=4), max_size=12)


@given(VOCABULARIES, MESSAGES, MESSAGES, TEXT, st.integers(0, 8), st.tuples(*[st.integers(0, 900)] * 2), st.booleans())
@settings(max_examples=300)
def test_no_turn_is_billed_more_than_its_bound(
    vocabulary: list[str],
    said: list[str],
    new: list[str],
    thought: str,
    marks: int,
    hidden: tuple[int, int],
    other: bool,
) -> None:
    """Whatever the vocabulary, and when another provider of the same model reads thoughts, or has a prompt of its own."""
    roles: Any = ("user", "assistant")
    told = tuple(Message(roles[at % 2], (Text(text),)) for at, text in enumerate(said))
    told = (*told, Message("assistant", (Reasoning(thought), Text("b"))))
    before = Request(MODEL, (*told, Message("user", (Text("a"),))))
    counted = Provider(vocabulary, marks, hidden[0], reads_thoughts=False).tokens(before.messages)
    messages = (*before.messages, *[Message("user", (Text(text),)) for text in new])
    later = Request(MODEL, messages, {"max_tokens": 7}, counted=counted_before(before, counted))
    billed = Provider(vocabulary, marks, hidden[1], reads_thoughts=other).tokens(messages)
    bound = bound_usd(PRICES, later, None)
    assert bound is not None
    assert Decimal("0.000001") * billed + Decimal("0.000002") * 7 <= bound
    alone = bound_usd(PRICES, replace(later, counted=None), None)
    assert alone is not None
    assert bound <= alone


def test_a_count_is_for_its_own_model_alone() -> None:
    """Another one of a fallback list has another tokenizer."""
    request = Request(MODEL, (Message("user", (Text(PROSE),)),))
    size = len(PROSE.encode())
    counted = replace(request, counted=Counted(MODEL, 800, size))
    assert most_prompt_tokens(counted, MODEL) == most_prompt_tokens(request, MODEL) - size + 800  # type: ignore[operator]
    assert most_prompt_tokens(counted, "other/model") == most_prompt_tokens(request, "other/model")


def test_a_long_conversation_is_not_stopped_by_its_bytes(offline: Session) -> None:
    """Its last turn was counted; only what is new since then is bound by its bytes."""
    chat = offline.chat("x")
    chat.ask(PROSE, model=MODEL, max_tokens=20)
    chat.ask("And then?", model=MODEL, max_tokens=20)
    chat.ask("And then?", model=MODEL, max_tokens=20)
    first, _, third = [row["bound_pico"] for row in rows(offline)]
    offline.tracker.budget(session=Decimal(sum(row["cost_pico"] for row in rows(offline)) + third).scaleb(-12))
    assert third < first
    with pytest.raises(OverBudget):
        offline.ask(PROSE, model=MODEL, max_tokens=20)
    assert "ok" == chat.ask("End?", model=MODEL, max_tokens=1).status
    for row in rows(offline):
        assert row["cost_pico"] <= row["bound_pico"]


def _turn(**facts: Any) -> tuple[Request, Reply]:
    request = Request(MODEL, (Message("user", (Text(PROSE),)),), facts.pop("params", {}))
    usage = Usage(prompt_tokens=facts.pop("counted", estimate_tokens(request)))
    return request, replace(Reply(usage=usage, model=MODEL, gateway="openrouter", status="ok"), **facts)


def _next(request: Request, gateway: str = "openrouter", model: str = MODEL, context: int | None = 400_000) -> Any:
    def of(reply: Reply) -> Counted | None:
        counts = Counts(lambda _: context, lambda one, other: one == other)
        counts.note(request, reply)
        later = replace(request, model=model, messages=(*request.messages, Message("user", (Text("more"),))))
        return counts.told(later, gateway).counted

    return of


@pytest.mark.parametrize(
    "facts",
    [{"model": "other/model"}, {"model": None}, {"status": "interrupted"}, {"usage": None}, {"usage": Usage()}, {"counted": 5}],
)  # fmt: skip
def test_a_count_that_may_be_of_something_else_is_not_used(facts: dict[str, Any]) -> None:
    """Served by a fallback, broken off, not told, or far less than such a text can be."""
    request, reply = _turn()
    assert _next(request)(reply) is not None
    request, reply = _turn(**facts)
    assert _next(request)(reply) is None


def test_a_count_holds_where_it_was_made() -> None:
    """A simulator's, another model's and a shortened prompt's say nothing here."""
    request, reply = _turn()
    assert _next(request, gateway="offline")(reply) is None
    assert _next(request, model="other/model")(reply) is None
    assert _next(request, context=None)(reply) is None
    assert _next(request, context=2 * len(PROSE))(reply) is None  # it may have been shortened to fit beside an answer
    request, reply = _turn(params={"max_tokens": 9})
    assert _next(request, context=2 * len(PROSE))(reply) is not None


def test_another_beginning_is_not_what_was_counted() -> None:
    """A changed system prompt, a turn that ran again."""
    request, reply = _turn()
    counts = Counts(lambda _: 400_000, lambda one, other: one == other)
    counts.note(request, reply)
    changed = replace(request, messages=(Message("system", (Text("Be brief."),)), *request.messages))
    assert counts.told(changed, "openrouter").counted is None
    assert counts.told(request, "openrouter").counted is not None


def test_of_two_counts_of_one_prompt_the_higher_holds() -> None:
    """One provider of a model has a prompt of its own before ours, and may answer again."""
    request, reply = _turn()
    for counted in (1000, 1900, 1000):
        told = _turn(counted=counted)[1]
        counts = Counts(lambda _: 400_000, lambda one, other: one == other)
        for each in (reply, told):
            counts.note(request, each)
        found = counts.told(request, "openrouter").counted
        assert found is not None
        assert max(counted, estimate_tokens(request)) == found.tokens


def test_a_stream_that_the_collector_closes_meanwhile_is_noted() -> None:
    """It may do so while the counts are looked through, in this very thread."""
    request, reply = _turn()
    counts = Counts(lambda _: 400_000, lambda one, other: one == other)

    class Collected(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            counts.note(request, reply)
            return str.__eq__(self, other)

    counts.note(request, reply)
    asked = replace(request, messages=(Message("user", (Text(Collected(PROSE)),)),))
    assert counts.told(asked, "openrouter").counted is not None
