"""Reasoning details: what a model signed goes back byte for byte, so merging may glue nothing that was apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from or_magic.content import (
    Reasoning,
    join,
)
from or_magic.content.reasoning import read_details


def _details(*items: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the merged details of items that came one per delta."""
    (part,) = join([Reasoning(), *(fragment for item in items for fragment in read_details([item]))])
    assert isinstance(part, Reasoning)
    return [dict(detail) for detail in part.details]


def test_encrypted_and_summary_pieces_of_the_same_index_stay_apart() -> None:
    """Recorded with OpenAI's models."""
    summary = {"type": "reasoning.summary", "summary": "s", "index": 0}
    sealed = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "index": 0}
    assert [summary | {"summary": "s!"}, sealed] == _details(
        summary, sealed, {"type": "reasoning.summary", "summary": "!", "index": 0}
    )


def test_two_sealed_pieces_of_the_same_index_stay_apart() -> None:
    """Each is whole; the later must not take the earlier one's place."""
    one = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "index": 0}
    two = {"type": "reasoning.encrypted", "data": "y", "id": "rs_2", "index": 0}
    assert [one, two] == _details(one, two)
    assert [one, one | {"data": "z"}] == _details(one, one | {"data": "z"})


def test_two_signed_blocks_of_the_same_index_stay_apart() -> None:
    """A signature is over its own words; glued words have no valid signature."""
    one = {"type": "reasoning.text", "text": "a", "signature": "s1", "index": 0}
    two = {"type": "reasoning.text", "text": "b", "signature": "s2", "index": 0}
    assert [one, two] == _details(one, two)


def test_pieces_with_ids_and_without_index_stay_apart() -> None:
    """The id tells as well as an index."""
    one, two = ({"type": "reasoning.text", "text": name, "id": name} for name in "ab")
    assert [one, two] == _details(one, two)
    assert [one | {"index": None}, two | {"index": None}] == _details(one | {"index": None}, two | {"index": None})


def test_interleaved_indices_are_told_apart_and_keep_their_order() -> None:
    """Order is that of the beginnings."""
    items = [
        {"type": "reasoning.text", "text": text, "index": index}
        for index, text in ((1, "a"), (0, "x"), (1, "b"), (0, "y"))
    ]
    assert [(1, "ab"), (0, "xy")] == [(detail["index"], detail["text"]) for detail in _details(*items)]


def test_an_empty_signature_never_takes_the_place_of_one() -> None:
    """Recorded: the first piece has an empty one; others repeat it at the end."""
    first = {"type": "reasoning.text", "text": "", "signature": "", "index": 0}
    signed = {"type": "reasoning.text", "signature": "s", "index": 0}
    assert [first | {"signature": "s"}] == _details(first, signed, first)
    assert [first | {"signature": "s"}] == _details(
        first, signed, {"type": "reasoning.text", "signature": None, "index": 0}
    )


def test_unknown_kinds_of_details_go_through_unaltered() -> None:
    """New kinds come without notice."""
    call = {
        "type": "reasoning.server_tool_call",
        "tool_name": "t",
        "arguments": "{}",
        "result": {"a": [1]},
        "id": "i",
        "index": 0,
        "new": True,
    }
    assert [call] == _details(call)
    assert list(call) == list(_details(call)[0])


def test_details_of_one_whole_answer_are_never_merged() -> None:
    """A message that was not streamed holds whole items, whatever their indices say."""
    items = [{"type": "reasoning.text", "text": text, "index": 0} for text in "ab"]
    (part,) = join(read_details(items))
    assert isinstance(part, Reasoning)
    assert items == list(part.details)


def test_merging_details_costs_in_proportion_to_the_pieces() -> None:
    """Counted by the look-ups of keys: doubling the pieces doubles them."""

    class Item(dict[str, Any]):
        seen = 0

        def get(self, *args: Any) -> Any:
            Item.seen += 1
            return super().get(*args)

    def looked(count: int) -> int:
        fragments = [Reasoning("a", (Item(type="reasoning.text", text="a", index=0),)) for _ in range(count)]
        Item.seen = 0
        join(fragments)
        return Item.seen

    assert looked(4000) <= 2.1 * looked(2000)
