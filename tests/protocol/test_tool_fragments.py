"""R10: a call that is told in fragments is the call that is told whole, or it is not run.

The oracle is the same answer, not streamed. What real servers do to fragments is listed in ``STYLES``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from or_magic.content import ToolCall, join
from or_magic.content.tool_call import read as read_calls

from .streams import read, read_whole, say, sse

Call = dict[str, Any]  # as in a message that was not streamed
Delta = list[dict[str, Any]]  # the ``tool_calls`` of one chunk

NAMES = ("get_weather", "f", "plus", "naïve_name", "a.b", "日本", "get_")
TEXTS = (
    "",
    "Kyoto",
    "🙂",
    "👩🏽‍🚀",
    'say "hi"',
    "back\\slash",
    "line\nend",
    "{}",
    "}{",
    "\u2028",
    "null",
    "a" * 300,
    "</tool>",
)
SCALARS = (None, True, False, 0, -1, 7, 10**20, 0.1, 1.5e-7, 1e300, -0.0, 123456.789)


def _arguments(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    return {rng.choice(TEXTS) + str(n): _value(rng, depth) for n in range(rng.choice((0, 1, 1, 2, 4)))}


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(6 if depth < 3 else 4)
    if kind == 4:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 5:
        return _arguments(rng, depth + 1)
    return rng.choice(TEXTS) if kind < 2 else rng.choice(SCALARS)


def _calls(rng: random.Random) -> list[Call]:
    calls = []
    for index in range(rng.choice((1, 1, 1, 2, 2, 3, 8))):
        written = json.dumps(_arguments(rng), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1)))
        function = {"name": rng.choice(NAMES), "arguments": written}
        calls.append(
            {"index": index, "id": f"call_{rng.randrange(10**9)}_{index}", "type": "function", "function": function}
        )
    return calls


def _pieces(text: str, rng: random.Random) -> list[str]:
    """Cut a text at random places; often the last character comes alone, sometimes a piece is empty."""
    places = sorted(rng.randrange(len(text) + 1) for _ in range(rng.choice((0, 1, 1, 2, 5, 12))))
    if rng.random() < 0.5:
        places.append(len(text) - 1)
    ends = [*sorted(place for place in places if place >= 0), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _start(call: Call, **more: Any) -> dict[str, Any]:
    return {
        "index": call["index"],
        "id": call["id"],
        "type": "function",
        "function": {"name": call["function"]["name"]} | more,
    }


def _more(call: Call, piece: str, **more: Any) -> dict[str, Any]:
    return {"index": call["index"], "function": {"arguments": piece} | more}


def _one_after_another(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """OpenAI: id and name first with empty arguments, then index and fragments."""
    for call in calls:
        yield [_start(call, arguments="")]
        for piece in _pieces(call["function"]["arguments"], rng):
            yield [_more(call, piece)]


def _interleaved(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """Parallel calls arrive shuffled together; only the index tells them apart."""
    queues = [list(_one_after_another([call], rng)) for call in calls]
    first = [queue.pop(0)[0] for queue in queues]
    yield from [first] if rng.random() < 0.5 else [[start] for start in first]
    while live := [queue for queue in queues if queue]:
        yield rng.choice(live).pop(0)


def _all_repeated(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """agentscope#1223 and others: every fragment repeats id, type and name."""
    for delta in _interleaved(calls, rng):
        yield [_start(calls[item["index"]], **item["function"]) | {"index": item["index"]} for item in delta]


def _null_ids_later(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """Later fragments carry id null, name null or "", type null."""
    started: set[int] = set()
    for delta in _interleaved(calls, rng):
        for item in delta:
            if item["index"] in started:
                item |= {"id": rng.choice((None, "")), "type": None}
                item["function"] |= {"name": rng.choice((None, ""))}
            started.add(item["index"])
        yield delta


def _new_id_for_every_fragment(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """VLLM, until late 2025: a fresh id with every fragment; the name comes once."""
    for delta in _one_after_another(calls, rng):
        (item,) = delta
        later = {} if "name" in item["function"] else {"id": f"chatcmpl-tool-{rng.randrange(10**9)}"}
        yield [item | later]


def _no_index_but_ids(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """No index at all: the id begins a call, what follows belongs to it."""
    for delta in _one_after_another(calls, rng):
        yield [_without(item, "index") for item in delta]


def _no_index_but_ids_on_all(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """No index, interleaved, the id on every fragment."""
    for delta in _interleaved(calls, rng):
        yield [_without(item, "index") | {"id": calls[item["index"]]["id"]} for item in delta]


def _index_always_zero(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """Gemini behind compatible servers: each call whole, in its own chunk, all with index 0."""
    for call in calls:
        yield [call | {"index": 0}]


def _whole_in_one_chunk(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """Ollama and others: all calls whole in one chunk."""
    yield calls


def _whole_without_index(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """All calls whole in one chunk, told apart by their place alone."""
    yield [_without(call, "index") for call in calls]


def _object_arguments(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """The object itself where its text belongs."""
    for call in calls:
        yield [_start(call, arguments=json.loads(call["function"]["arguments"]))]


def _empty_arguments(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """A tool without parameters: arguments end as "" (or are null, or never come)."""
    for call in calls:
        call["function"]["arguments"] = ""
        yield [_start(call, **rng.choice(({}, {"arguments": ""}, {"arguments": None})))]
        if rng.random() < 0.5:
            yield [_more(call, "")]


def _one_character_each(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """The smallest fragments there are."""
    for call in calls:
        yield [_start(call, arguments="")]
        yield from ([_more(call, character)] for character in call["function"]["arguments"])


def _backwards(calls: list[Call], rng: random.Random) -> Iterator[Delta]:
    """The calls begin in another order than their indices."""
    yield from _one_after_another(calls[::-1], rng)


def _without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


STYLES: tuple[Callable[[list[Call], random.Random], Iterator[Delta]], ...] = (
    _one_after_another,
    _interleaved,
    _all_repeated,
    _null_ids_later,
    _new_id_for_every_fragment,
    _no_index_but_ids,
    _no_index_but_ids_on_all,
    _index_always_zero,
    _whole_in_one_chunk,
    _whole_without_index,
    _object_arguments,
    _empty_arguments,
    _one_character_each,
    _backwards,
)


def _check(style: Callable[[list[Call], random.Random], Iterator[Delta]], seed: int) -> None:
    rng = random.Random(seed)
    calls = _calls(rng)
    deltas = json.loads(json.dumps(list(style(calls, rng))))
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = read_whole({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}).reply
    streamed = read(sse(*(say(None, tool_calls=delta) for delta in deltas), say("", finish="tool_calls"))).reply
    assert "ok" == streamed.status
    expected = _by_id([(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls])
    assert expected == _by_id([(call.id, call.name, call.arguments) for call in whole.tool_calls])
    told = _by_id([(call.id, call.name, call.arguments) for call in streamed.tool_calls])
    if style in (_object_arguments, _empty_arguments):  # the text is another, its meaning is not
        told, expected = _meaning(told), _meaning(expected)
    assert expected == told, (style.__name__, seed)
    if style is not _backwards:
        assert [call["id"] for call in calls] == [call.id for call in streamed.tool_calls], (style.__name__, seed)


def _by_id(calls: list[tuple[Any, Any, Any]]) -> list[tuple[Any, Any, Any]]:
    return sorted(calls, key=lambda call: str(call[0]))


def _meaning(calls: list[tuple[Any, Any, Any]]) -> list[tuple[Any, Any, Any]]:
    return [(call[0], call[1], json.loads(call[2] or "{}")) for call in calls]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__.strip("_"))
def test_fragments_of_every_style_are_the_whole_call(
    style: Callable[[list[Call], random.Random], Iterator[Delta]],
) -> None:
    """About 5,000 splits of 500 answers, everyday."""
    for seed in range(360):
        _check(style, seed)


@pytest.mark.long
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__.strip("_"))
def test_a_hundred_thousand_splits(style: Callable[[list[Call], random.Random], Iterator[Delta]]) -> None:
    """R10 in full: 14 styles × 7,200 splits."""
    for seed in range(1000, 8200):
        _check(style, seed)


def test_without_ids_the_index_tells_calls_apart() -> None:
    """A server that never sends ids; the calls are answered under ids of our own."""
    rng = random.Random(0)
    for seed in range(300):
        calls = _calls(random.Random(seed))
        deltas = [[_without(item, "id") for item in delta] for delta in _interleaved(calls, rng)]
        told = read(sse(*(say(None, tool_calls=delta) for delta in deltas), say("", finish="tool_calls"))).reply
        assert [call["function"]["arguments"] for call in calls] == [call.arguments for call in told.tool_calls]
        ids = [call.to_json()["id"] for call in told.tool_calls]
        assert len(set(ids)) == len(calls)


def test_without_ids_and_indices_a_single_call_is_whole() -> None:
    """The poorest server of all."""
    start = {"function": {"name": "f", "arguments": ""}}
    deltas = [[start], [{"function": {"arguments": '{"a":'}}], [{"function": {"arguments": " 1}"}}]]
    (call,) = read(
        sse(*(say(None, tool_calls=delta) for delta in deltas), say("", finish="tool_calls"))
    ).reply.tool_calls
    assert ("f", {"a": 1}) == (call.name, call.parsed())


def test_calls_without_ids_are_sent_back_under_different_ids() -> None:
    """A result could not be matched otherwise."""
    told = join([*read_calls([{"function": {"name": "f"}}, {"function": {"name": "g"}}])])
    ids = [part.to_json()["id"] for part in told if isinstance(part, ToolCall)]
    assert 2 == len(set(ids))


@pytest.mark.parametrize("cut_at", range(1, 8))
def test_a_call_that_was_cut_short_cannot_be_run(cut_at: int) -> None:
    """A stream that dies inside the arguments leaves a call that must not run with half of them."""
    text = '{"a": 1}'[:cut_at]
    told = read(sse(say(None, tool_calls=[{"index": 0, "id": "c", "function": {"name": "rm", "arguments": text}}])))
    assert "partial" == told.closed.status
    (call,) = told.reply.tool_calls
    with pytest.raises(ValueError):
        call.parsed()
