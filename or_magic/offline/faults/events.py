"""Faults in the order of events: what ends early, is missing, doubled or moved. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from or_magic.offline import chunks, tokens
from or_magic.offline.chunks import Call
from or_magic.offline.faults.fault import number
from or_magic.offline.steps import DONE, Event, Head, Raw, Steps, body_bytes, dump


def dropped(*tags: str) -> Callable[[Steps, Call], Steps]:
    """Return a fault that leaves out the events with these tags."""
    return lambda steps, _: (step for step in steps if getattr(step, "tag", None) not in tags)


def cut(steps: Steps, _: Call) -> Steps:
    """End the body before anything says that the answer is complete."""
    for step in steps:
        tag = getattr(step, "tag", None)
        if tag in ("finish", "usage", "done"):
            return
        if isinstance(step, Event) and tag == "body":
            data = body_bytes(step)
            yield Raw(data[: len(data) // 2], "text", step.tokens)
            return
        yield step


def cut_short(steps: Steps, call: Call) -> Steps:
    """End the body after ARG pieces of text, or after all of them."""
    left = number(call.arg, math.inf)
    for step in cut(steps, call):
        if getattr(step, "tag", None) == "text":
            if left <= 0:
                return
            left -= 1
        yield step


def cut_done(steps: Steps, call: Call) -> Steps:
    """End without a finish reason, and say ``[DONE]``."""
    yield from cut(steps, call)
    if call.job.streamed:
        yield DONE


def failed(call: Call) -> dict[str, Any]:
    """Return the error of a generation that began; an ARG becomes its code, number or word."""
    code: int | str = int(call.arg) if call.arg.isdecimal() else call.arg or 502
    metadata = {"error_type": "provider_unavailable", "provider_code": "stream_closed"}
    return {"code": code, "message": "Provider disconnected (simulated)", "metadata": metadata}


def mid_stream_error(steps: Steps, call: Call) -> Steps:
    """Put one chunk with a top-level error in place of the end."""
    for step in cut(steps, call):
        if getattr(step, "tag", None) == "text" and not call.job.streamed:
            yield Event({"error": failed(call)}, "body")
            return
        yield step
    ended = chunks.chunk(call, {}, finish_reason="error", native="error")
    yield Event({**_with_error(ended, call)}, "finish")


def mid_stream_error_usage(steps: Steps, call: Call) -> Steps:
    """Put the error into the usage chunk, as recorded in 2025: no finish reason, then ``[DONE]``."""
    for step in steps:
        if isinstance(step, Event) and step.tag in ("usage", "body"):
            yield replace(step, data=_with_error(step.data, call))
        else:
            yield step


def _with_error(data: dict[str, Any], call: Call) -> dict[str, Any]:
    items = list(data.items())
    return dict([*items[:5], ("error", failed(call)), *items[5:]])


def choice_error(steps: Steps, call: Call) -> Steps:
    """Put the error into the choice, beside its finish reason."""
    for step in steps:
        if isinstance(step, Event) and step.tag in ("finish", "body"):
            choice = {**step.data["choices"][0], "error": failed(call)}
            yield replace(step, data={**step.data, "choices": [choice]})
        else:
            yield step


def edited_usage(edit: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[Steps, Call], Steps]:
    """Return a fault that changes the usage wherever it stands; None takes it away, from a stream with its chunk."""

    def deliver(steps: Steps, _: Call) -> Steps:
        for step in steps:
            if not (isinstance(step, Event) and "usage" in step.data):
                yield step
                continue
            usage = edit(step.data["usage"])
            rest = {key: value for key, value in step.data.items() if key != "usage"}
            if usage is not None:
                yield replace(step, data={**rest, "usage": usage})
            elif step.tag == "body":
                # Nothing is told, so the books must not say that it was.
                yield Raw(dump(rest), "text", step.tokens)

    return deliver


def without_cost(usage: dict[str, Any]) -> dict[str, Any]:
    """Return the usage with its tokens and no money."""
    return {key: value for key, value in usage.items() if key not in ("cost", "cost_details")}


def cache_hit(steps: Steps, call: Call) -> Steps:
    """Answer as OpenRouter's response cache does: a header says so, and the usage is all zeros without a cost."""
    hit = (("X-OpenRouter-Cache-Status", "HIT"), ("X-OpenRouter-Cache-Age", "1"))
    for step in edited_usage(lambda usage: _zeroed(without_cost(usage)))(steps, call):
        yield replace(step, headers=(*step.headers, *hit)) if isinstance(step, Head) else step


def _zeroed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _zeroed(each) for key, each in value.items()}
    return 0 if isinstance(value, int) and not isinstance(value, bool) else value


def usage_twice(steps: Steps, _: Call) -> Steps:
    """Send the chunk with the usage two times."""
    for step in steps:
        yield step
        if getattr(step, "tag", None) == "usage":
            yield step


def usage_early(steps: Steps, _: Call) -> Steps:
    """Send the usage before the last piece of text."""
    found = list(steps)
    tags = [getattr(step, "tag", None) for step in found]
    if "usage" in tags and "text" in tags:
        last = len(tags) - 1 - tags[::-1].index("text")
        found.insert(last, found.pop(tags.index("usage")))
    return iter(found)


def usage_cumulative(steps: Steps, call: Call) -> Steps:
    """Put the usage up to then into every piece of text."""
    count = 0
    for step in steps:
        count += getattr(step, "tokens", 0)
        if isinstance(step, Event) and step.tag in ("text", "reasoning"):
            yield replace(step, data={**step.data, "usage": chunks.usage(call, count)})
        else:
            yield step


def drawn_between(steps: Steps, call: Call) -> Steps:
    """Draw when half of the text is said."""
    said, half = 0, len(tokens.pieces(call.answer.text, call.answer.chunk_tokens)) // 2
    for step in steps:
        tag = getattr(step, "tag", None)
        if tag != "image":
            yield step
        said += tag == "text"
        if tag == "text" and said == half:
            yield from chunks.drawn(call)
