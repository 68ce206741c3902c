"""Faults in what is said: how an answer ends, what it is made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from or_magic.offline import tokens, words
from or_magic.offline.asked import Asked
from or_magic.offline.faults.fault import Tried, number
from or_magic.offline.words import Answer, ToolCall

_EMOJI = "Simulated 🙂🚀 – naïve café, 日本語, 👩🏽‍💻. "
_TOOL: Mapping[str, Any] = {
    "name": "simulated_tool",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}, "count": {"type": "integer"}}},
}
_WORD = " word"


def half(answer: Answer) -> Answer:
    """Return the answer with the first half of its text."""
    return replace(answer, text=tokens.cut(answer.text, tokens.count(answer.text) // 2))


def ended(reason: str | None) -> Callable[[Answer, Tried], Answer]:
    """Return a fault that ends half way with this finish reason."""
    return lambda answer, _: replace(half(answer), finish_reason=reason, native_finish_reason=reason)


def refused(answer: Answer, _: Tried) -> Answer:
    """Say no, in the field made for it."""
    said = "The simulator declines this, as a model could."
    return replace(answer, text="", calls=(), refusal=said, native_finish_reason="refusal")


def empty(_: Answer, __: Tried) -> Answer:
    """Say nothing at all."""
    return Answer()


def echoed(_: Answer, tried: Tried) -> Answer:
    """Say exactly the last user text."""
    return Answer(tried.asked.last_user_text)


def colourful(answer: Answer, _: Tried) -> Answer:
    """Begin with characters of two, three and four bytes."""
    return replace(answer, text=_EMOJI * 3 + answer.text)


def thoughtful(answer: Answer, tried: Tried) -> Answer:
    """Think, whether asked to or not."""
    asked = Asked({**tried.asked.body, "reasoning": {"effort": "high"}})
    return answer if answer.reasoning else replace(answer, reasoning=words.answer(asked, tried.model).reasoning)


def _functions(tried: Tried) -> list[Mapping[str, Any]]:
    return tried.asked.functions or [_TOOL]


def _calling(*calls: ToolCall) -> Answer:
    return Answer(calls=calls, finish_reason="tool_calls", native_finish_reason="tool_calls")


def calls_always(_: Answer, tried: Tried) -> Answer:
    """Call the first tool in every round."""
    return _calling(words.tool_call(tried.asked, _functions(tried)[0]))


def calls_one(answer: Answer, tried: Tried) -> Answer:
    """Call the first tool, then answer with its result."""
    return answer if _has_result(tried) else calls_always(answer, tried)


def calls_two(answer: Answer, tried: Tried) -> Answer:
    """Call two tools at once, then answer."""
    if _has_result(tried):
        return answer
    functions = (_functions(tried) * 2)[:2]
    return _calling(*(words.tool_call(tried.asked, function, number) for number, function in enumerate(functions)))


def calls_bare(answer: Answer, tried: Tried) -> Answer:
    """Call the first tool with arguments that are no text at all."""
    return (
        answer
        if _has_result(tried)
        else _calling(replace(words.tool_call(tried.asked, _functions(tried)[0]), arguments=""))
    )


def calls_broken(answer: Answer, tried: Tried) -> Answer:
    """Call the first tool with JSON that breaks off."""
    if _has_result(tried):
        return answer
    call = words.tool_call(tried.asked, _functions(tried)[0])
    return _calling(replace(call, arguments='{"text": "simul'))


def _has_result(tried: Tried) -> bool:
    return bool(tried.asked.messages[-1]["role"] == "tool")


def misfitting(answer: Answer, _: Tried) -> Answer:
    """Answer with JSON that fits no schema of an object: its only member says so."""
    return replace(answer, text='{"simulated_misfit": true}')


def misfitting_once(answer: Answer, tried: Tried) -> Answer:
    """Answer with JSON that does not fit until an answer was called wrong."""
    again = any(message["role"] == "assistant" for message in tried.asked.messages)
    return answer if again else misfitting(answer, tried)


def fenced(answer: Answer, _: Tried) -> Answer:
    """Put the answer into a fenced block, with words around it."""
    return replace(answer, text=f"Here is the simulated answer:\n\n```json\n{answer.text}\n```\n\nIs it of use?")


def chatty(answer: Answer, _: Tried) -> Answer:
    """Put words before the answer, and no fence around it."""
    return replace(answer, text=f"Here is the simulated answer: {answer.text}")


def drawn(answer: Answer, tried: Tried) -> Answer:
    """Add a picture."""
    return replace(answer, images=(words.picture(tried.asked),))


def spoken(_: Answer, tried: Tried) -> Answer:
    """Speak instead of writing."""
    return Answer(sound=words.sound(tried.asked))


def cited(answer: Answer, _: Tried) -> Answer:
    """Cite two sources, the first of them twice."""
    first, second = _citation("a"), _citation("b")
    return replace(answer, citations=(first, second, first))


def _citation(name: str) -> dict[str, Any]:
    url = {"url": f"https://example.com/simulated/{name}", "title": f"Simulated source {name}"}
    return {
        "type": "url_citation",
        "url_citation": {**url, "start_index": 0, "end_index": 0, "content": "Nothing was searched."},
    }


def long(_: Answer, tried: Tried) -> Answer:
    """Say ARG words, each in a chunk of its own."""
    return Answer(_WORD * int(number(tried.arg, 10_000)), chunk_tokens=1)
