"""Faults in what single events hold: broken, huge, strange or shuffled, and a server of another kind. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from or_magic.offline import chunks, tokens
from or_magic.offline.chunks import Call
from or_magic.offline.faults.fault import number
from or_magic.offline.steps import DONE, Event, Head, Raw, Step, Steps, body_bytes, dump

_AFTER = 3  # damage is done to the third piece of text
_DEPTH = 100_000
_MIB = 1024 * 1024


def _in_the_middle(steps: Steps, damage: Callable[[Event], Iterator[Step]]) -> Steps:
    texts = itertools.count(1)
    for step in steps:
        is_text = isinstance(step, Event) and step.tag == "text"
        if isinstance(step, Event) and (step.tag == "body" or (is_text and next(texts) == _AFTER)):
            yield from damage(step)
        else:
            yield step


def bad_utf8(steps: Steps, _: Call) -> Steps:
    """Put a byte into a text that no UTF-8 contains."""

    def damage(step: Event) -> Iterator[Step]:
        yield Raw(body_bytes(step).replace(b'"content":"', b'"content":"\xff', 1), step.tag, step.tokens)

    return _in_the_middle(steps, damage)


def bad_json(steps: Steps, _: Call) -> Steps:
    """Break the JSON of one event."""

    def damage(step: Event) -> Iterator[Step]:
        yield Raw(body_bytes(step).rstrip()[:-7] + b"\n\n", step.tag, step.tokens)

    return _in_the_middle(steps, damage)


def instead(payload: Callable[[Call], bytes]) -> Callable[[Steps, Call], Steps]:
    """Return a fault that puts an event with this payload before one piece of text, or in place of the whole body."""

    def deliver(steps: Steps, call: Call) -> Steps:
        def damage(step: Event) -> Iterator[Step]:
            if step.tag == "body":
                yield Raw(payload(call), "text", step.tokens)
            else:
                yield Raw(b"data: " + payload(call) + b"\n\n")
                yield step

        return _in_the_middle(steps, damage)

    return deliver


def deep(call: Call) -> bytes:
    """Return JSON nested ARG deep."""
    depth = int(number(call.arg, _DEPTH))
    return b'{"a":' * depth + b"1" + b"}" * depth


def huge_line(steps: Steps, call: Call) -> Steps:
    """Blow one event up to ARG MiB on one line; what it adds stands under a key that means nothing."""

    def damage(step: Event) -> Iterator[Step]:
        padding = "x" * int(number(call.arg, 16) * _MIB)
        yield replace(step, data={**step.data, "x_padding": padding})

    return _in_the_middle(steps, damage)


def multi_line(steps: Steps, _: Call) -> Steps:
    """Spread the JSON of every event over several ``data:`` lines."""
    for step in steps:
        if isinstance(step, Event) and step.tag != "body":
            inner = dump(step.data)[1:-1]
            yield Raw(b"data: {\ndata: " + inner + b"\ndata: }\n\n", step.tag, step.tokens)
        else:
            yield step


def strange(steps: Steps, call: Call) -> Steps:
    """Add keys, types, values and whole events that nobody promised and that a client may ignore."""
    yield next(steps)
    if call.job.streamed:
        yield Raw(b'event: ping\nid: 7\nretry: 10\ndata: {"type":"ping"}\n\n')
        first = chunks.base(call, "chat.completion.chunk")
        yield Event({**first, "choices": [], "debug": {"echo_upstream_body": {"a": [None]}}}, "debug")
    yield from (replace(step, data=_strange(step.data)) if isinstance(step, Event) else step for step in steps)


def _strange(data: dict[str, Any]) -> dict[str, Any]:
    extra = {"x_number": 1e300, "x_list": [[], {}, None], "system_fingerprint": 7, "moderation": False, "": ""}
    choices = [_strange_choice(choice) for choice in data.get("choices", [])]
    usage = {**data["usage"], "x_new_tokens": 3, "server_tool_use": None} if "usage" in data else None
    return {**extra, **data, "choices": choices, **({"usage": usage} if usage else {})}


def _strange_choice(choice: dict[str, Any]) -> dict[str, Any]:
    inner = "delta" if "delta" in choice else "message"
    detail = {"type": "reasoning.future", "format": "future-v9", "index": 0, "blob": {"a": 1}}
    more = {"annotations": [{"type": "future_citation", "future": 1}], "reasoning_details": [detail], "x_mood": 0.5}
    return {**choice, "logprobs": {"future": []}, "x_index": "0", inner: {**more, **choice[inner]}}


def signed(steps: Steps, call: Call) -> Steps:
    """End the thinking with a signature that comes alone, and with an encrypted block."""
    for thinking, group in itertools.groupby(steps, lambda step: getattr(step, "tag", None) == "reasoning"):
        yield from group
        if thinking:
            yield from (
                Event(chunks.chunk(call, {"reasoning": None, "reasoning_details": [each]}), "extra") for each in _SEALS
            )


_SEALS = (
    {"type": "reasoning.text", "signature": "c2ltdWxhdGVk", "format": "anthropic-claude-v1", "index": 0},
    {
        "type": "reasoning.encrypted",
        "data": "c2ltdWxhdGVk",
        "id": "rs_simulated",
        "format": "openai-responses-v1",
        "index": 1,
    },
)


def shuffled_tools(steps: Steps, call: Call) -> Steps:
    """Send parallel tool calls in turns, the last one first, with names and types repeated."""
    for is_tool, group in itertools.groupby(steps, lambda step: getattr(step, "tag", None) == "tool"):
        yield from _shuffled(call) if is_tool else group


def _shuffled(call: Call) -> Iterator[Event]:
    tools = list(enumerate(call.answer.calls))[::-1]
    for index, tool in tools:
        opening = {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": ""}}
        yield chunks.tool_event(
            call, {"index": index, **opening}, tokens.count(tool.name) + tokens.count(tool.arguments)
        )
    longest = max(len(tool.arguments) for _, tool in tools)
    for start in range(0, longest, 5):
        for index, tool in tools:
            function = {"name": tool.name, "arguments": tool.arguments[start : start + 5]}
            if function["arguments"]:
                yield chunks.tool_event(call, {"index": index, "type": "function", "function": function})


def openai_plain(steps: Steps, call: Call) -> Steps:
    """Answer as a server does that knows OpenAI's protocol and nothing of OpenRouter's."""
    for step in steps:
        if isinstance(step, Head):
            kind = "text/event-stream" if call.job.streamed else "application/json"
            yield replace(step, headers=(("Content-Type", kind),))
        elif step is DONE:
            yield step
        elif isinstance(step, Event) and step.tag == "usage":
            if call.include_usage:
                count = _tokens_alone(step.data["usage"])
                yield replace(step, data={**_bare(step.data), "choices": [], "usage": count})
        elif isinstance(step, Event) and step.tag in ("text", "tool", "finish", "body"):
            yield replace(step, data=_plain_chunk(step.data, told=call.include_usage))


def _bare(data: dict[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in ("id", "object", "created", "model")}


def _tokens_alone(usage: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in usage.items() if key.endswith("_tokens")}


def _plain_chunk(data: dict[str, Any], *, told: bool) -> dict[str, Any]:
    choice = {key: value for key, value in data["choices"][0].items() if key != "native_finish_reason"}
    inner = "delta" if "delta" in choice else "message"
    kept = {key: choice[inner][key] for key in ("role", "content", "tool_calls") if key in choice[inner]}
    usage = {"usage": _tokens_alone(data["usage"])} if "usage" in data else {"usage": None} if told else {}
    return {**_bare(data), "choices": [{**choice, inner: kept}], **usage}
