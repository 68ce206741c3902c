"""Several attempts of one call become one reply: that of the last, with nothing of those before it."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from or_magic.content import Text
from or_magic.errors import CallInterruptedError, ConnectionFailedError, ProviderError
from or_magic.events import Closed, Event, Metered, Notice, Opened, Piece
from or_magic.protocol.accumulate import Accumulation
from or_magic.values import Reply, Usage

FAILED = ProviderError("It failed (503).", status_code=503, body={})
FIRST: dict[str, list[Event]] = {
    "nothing": [],
    "an id": [Opened("gen-1")],
    "words": [Opened("gen-1"), Piece(Text("old "))],
    "figures": [Opened("gen-1"), Piece(Text("old ")), Metered(Usage(cost_usd=Decimal(7)))],
    "figures alone": [Metered(Usage(cost_usd=Decimal(7)))],
}
SECOND: dict[str, tuple[list[Event], str, str]] = {
    "complete": ([Opened("gen-2"), Piece(Text("new")), Closed("ok", finish_reason="stop")], "new", "ok"),
    "without an id": ([Piece(Text("new")), Closed("ok", finish_reason="stop")], "new", "ok"),
    "refused": ([Closed("refused", FAILED)], "", "refused"),
    "unreachable": ([Closed("error", ConnectionFailedError("x"), sent=False)], "", "error"),
    "stopped": ([Closed("interrupted", CallInterruptedError("x"), sent=False)], "", "interrupted"),
    "waiting, then words": (
        [Notice("retry", "again"), Notice("rate limit", "waits"), Piece(Text("new")), Closed("ok")], "new", "ok",
    ),
}  # fmt: skip


def fold(events: list[Event]) -> Accumulation:
    answer = Accumulation("openrouter", "c", "a/model")
    for event in events:
        answer.add(event)
    return answer


@pytest.mark.parametrize(("first", "second"), list(product(FIRST, SECOND)))
def test_nothing_of_an_attempt_leaks_into_the_next(first: str, second: str) -> None:
    """No word, no figure, no id: an attempt that brings no Opened begins anew all the same."""
    events, text, status = SECOND[second]
    before: list[Event] = [*FIRST[first], Closed("error", FAILED, generation_id="gen-1", model="old", final=False)]
    reply = fold([*before, *events]).reply()
    expected = fold(events).reply()
    assert expected == reply
    assert (text, status, None) == (reply.text, reply.status, reply.usage)
    assert "gen-1" != reply.id


def test_while_another_attempt_is_awaited_the_call_has_neither_failed_nor_ended() -> None:
    """Whoever looks now sees an unfinished reply; whoever closes the stream now has interrupted it."""
    answer = fold([Closed("error", FAILED, final=False), Notice("retry", "again in 2 s")])
    assert answer.error is None
    assert "interrupted" == answer.reply().status
    assert Reply(status="partial", gateway="openrouter", call_id="c", model_requested="a/model") == answer.reply(
        "partial"
    )


def test_an_id_that_comes_after_the_first_words_is_of_the_same_attempt() -> None:
    """It is the gateway's habit, not another attempt."""
    assert "ab" == fold([Piece(Text("a")), Opened("gen-1"), Piece(Text("b")), Closed("ok")]).reply().text
