"""The context window: what is dropped, what stays, and that nothing is sent which does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.content import Text
from or_magic.context import Room, fit
from or_magic.conversation import Turn
from or_magic.errors import ContextError, OrMagicError
from or_magic.values import Message, Reply


def turn(tokens: int, *, pinned: bool = False) -> Turn:
    return Turn(question=(Message("user", (Text("q"),)),), reply=Reply(), question_tokens=tokens, pinned=pinned)


TURNS = st.lists(st.builds(turn, st.integers(0, 50), pinned=st.booleans()), max_size=12)
ROOMS = st.builds(Room, st.just("m"), st.integers(0, 300), st.integers(0, 40), st.integers(0, 40))


@given(TURNS, ROOMS)
def test_only_the_oldest_are_dropped_and_only_as_many_as_must_be(turns: list[Turn], room: Room) -> None:
    """Pinned ones stay, the order stays, and one more would not fit."""
    over = sum(each.tokens for each in turns) > room.left_tokens
    hopeless = sum(each.tokens for each in turns if each.pinned) > room.left_tokens
    if over and hopeless:
        with pytest.raises(ContextError, match="does not fit either"):
            fit(turns, room, "drop-oldest")
        return
    kept, dropped = fit(turns, room, "drop-oldest")
    assert [each for each in turns if any(each is one for one in kept)] == list(kept)
    assert len(turns) == len(kept) + len(dropped)
    assert not any(each.pinned for each in dropped)
    assert sum(each.tokens for each in kept) <= room.left_tokens
    loose = [each for each in turns if not each.pinned]
    assert list(dropped) == loose[: len(dropped)]
    if dropped:
        assert sum(each.tokens for each in kept) + dropped[-1].tokens > room.left_tokens


@given(TURNS, ROOMS)
def test_without_a_policy_all_is_sent_or_nothing(turns: list[Turn], room: Room) -> None:
    """A conversation is never shortened without being told to."""
    if sum(each.tokens for each in turns) > room.left_tokens:
        with pytest.raises(ContextError, match="Nothing was sent") as caught:
            fit(turns, room, "error")
        assert sum(each.tokens for each in turns) + room.prompt_tokens == caught.value.tokens
        assert room.context_tokens - room.answer_tokens == caught.value.limit_tokens
    else:
        assert (tuple(turns), ()) == fit(turns, room, "error")


@given(TURNS, ROOMS)
def test_the_gateway_gets_all_to_compress(turns: list[Turn], room: Room) -> None:
    """It knows what to leave out."""
    assert (tuple(turns), ()) == fit(turns, room, "compress")


def test_the_error_says_how_much_and_what_helps() -> None:
    """A user reads it once and knows what to type."""
    with pytest.raises(OrMagicError) as caught:
        fit([turn(9_000), turn(500)], Room("a/b", 8_192, 1_000, 100), "error")
    told = str(caught.value)
    for words in ("about 9,600 tokens", "a/b reads 8,192", "1,000 of them", "drop-oldest", "compress", "--new"):
        assert words in told
