"""The Continuation of a typed answer: it asks for JSON, judges what comes, and asks again with what is wrong.

Where the catalogue says that a model supports structured outputs, and where nothing is known of it, the gateway is
given the schema and enforces it. Elsewhere the schema stands in the system prompt. A forced tool call would be another
way for models that know only tools, but it is no more binding than words: they have to be judged and asked again all
the same, and the answer would arrive as arguments that nobody can watch or stop at a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from .. import neutral
from ..content import Text
from ..errors import OptionError, SchemaMismatchError
from ..events import Notice
from ..gateway.catalog import Model
from ..schema import UNNAMED, Mismatch, Schema, read, wire
from ..tables import Typed
from ..values import Message, Reply, Request
from .rounds import Another

REASKS = 2
_LEAST_TOKENS = 1024
_FIELD = "response_format"


class TypedAnswer:
    """One call's. ``model`` is what the catalogue knows of the model that is asked; None: nothing."""

    def __init__(self, schema: Schema, model: Model | None) -> None:
        self._schema = schema
        self._wire = wire(schema)
        self._model = model
        self._asked_again = 0
        self._found: tuple[Any, Any] | None = None

    def asked(self, request: Request) -> Request:
        """Return the request with what it takes to get such an answer.

        Raises:
            OptionError: the format of the answer was given as a parameter, too.
        """
        if _FIELD in request.params:
            raise OptionError(f"The schema and {_FIELD!r} are two answers to one question. Nothing was sent. Drop one.")
        known = self._model if self._model and self._model.supported and not self._model.is_router else None
        supported = set(known.supported) if known else {"structured_outputs", _FIELD}
        if "structured_outputs" in supported and not self._schema.any_object:
            return replace(request, params={**request.params, _FIELD: self._wire.response_format})
        if _FIELD in supported:
            request = replace(request, params={**request.params, _FIELD: {"type": "json_object"}})
        return replace(request, messages=_instructed(request.messages, self._instruction()))

    def __call__(self, request: Request, reply: Reply) -> Another | SchemaMismatchError | None:
        """Return None where the answer fits, another round where it may be mended, else the error."""
        if reply.tool_calls and not reply.text:
            return None
        if error := self._hopeless(request, reply):
            return error
        try:
            self._found = read(reply.text, self._schema, wrapped=self._wire.wrapped)
        except Mismatch as mismatch:
            return self._again(request, reply, mismatch.errors)
        return None

    def completed(self, reply: Reply) -> Reply:
        """Return the reply with its data, if it is whole."""
        if self._found is None or reply.status != "ok":
            return reply
        value, data = self._found
        return replace(reply, data=data, typed=Typed(value, self._schema.body))

    def _again(self, request: Request, reply: Reply, errors: tuple[str, ...]) -> Another | SchemaMismatchError:
        failed = partial(self._mismatch, reply.text, errors)
        if self._asked_again >= REASKS:
            return failed(f"it was asked {REASKS + 1} times")
        self._asked_again += 1
        told = "\n".join(["That answer does not fit what was asked for:", *[f"- {error}" for error in errors]])
        answer = reply.parts or (Text("(nothing)"),)
        messages = (
            *request.messages,
            Message("assistant", answer),
            Message("user", (Text(f"{told}\nAnswer again: the whole, corrected JSON and nothing else."),)),
        )
        which = f"attempt {self._asked_again + 1} of {REASKS + 1}"
        kind = _noun(self._schema) if self._schema.name == UNNAMED else self._schema.name
        notice = Notice("reask", f"Not {kind}: {neutral.line(errors[0])[:120]}; asked again ({which}).")
        return Another(replace(request, messages=messages), "reask", notice, failed)

    def _mismatch(self, text: str, errors: Iterable[str], why: str) -> SchemaMismatchError:
        told = tuple(errors)
        error = SchemaMismatchError(
            f"The answer is not {_noun(self._schema)}: {'; '.join(told[:3])}. No further attempt: {why.rstrip('.')}.",
            "error.text holds the answer, error.errors all that is wrong with it. Another model may do better, or "
            "a schema that is simpler.",
        )
        error.text, error.errors = text, told
        return error

    def _hopeless(self, request: Request, reply: Reply) -> SchemaMismatchError | None:
        """Return the error of an answer that another round would not mend."""
        if reply.finish_reason == "length":
            return self._cut(request, reply)
        refusal = "".join([part.text for part in reply.parts if isinstance(part, Text) and part.refusal])
        if reply.finish_reason == "content_filter":
            happened = "A content filter ended the answer before it was whole."
        elif refusal:
            happened = f"The model refused: {refusal[:200]}"
        else:
            return None
        error = SchemaMismatchError(happened, "Word the question in another way, or ask another model.")
        error.text, error.errors = reply.text, (happened,)
        return error

    def _cut(self, request: Request, reply: Reply) -> SchemaMismatchError:
        took = (reply.usage.completion_tokens if reply.usage else None) or 0
        limit = max([n for name in ("max_tokens", "max_completion_tokens")
                     if isinstance(n := request.params.get(name), int)], default=0)  # fmt: skip
        wanted = max(_LEAST_TOKENS, 2 * max(took, limit))
        most = self._model.max_completion_tokens if self._model else None
        advice = f"Ask with --max-tokens {wanted} (max_tokens={wanted})."
        if most is not None and wanted > most:
            wanted = most
            advice = f"Ask with --max-tokens {most}, the most that this model gives (max_tokens={most})."
            if took >= most:
                advice = "That is the most that this model gives: ask for less, or another model."
        tokens = f" after {took:,} tokens" if took else ""
        error = SchemaMismatchError(f"The answer was cut off{tokens}, at its limit, so it is not whole.", advice)
        error.text, error.errors, error.max_tokens = reply.text, ("cut off at its token limit",), wanted
        return error

    def _instruction(self) -> str:
        if self._schema.any_object:
            return "Answer with one JSON object and nothing else."
        told = json.dumps(self._wire.body, ensure_ascii=False)
        return f"Answer with JSON and nothing else. It has to fit this JSON Schema:\n{told}"


def _noun(schema: Schema) -> str:
    if schema.any_object:
        return "a JSON object"
    return f"what the schema{'' if schema.name == UNNAMED else f' {schema.name}'} asks for"


def _instructed(messages: tuple[Message, ...], told: str) -> tuple[Message, ...]:
    """Return the messages with an instruction in the system prompt."""
    if messages and messages[0].role == "system":
        first, *others = messages
        before, last = first.parts[:-1], first.parts[-1] if first.parts else Text("")
        joined = (*before, Text(f"{last.text}\n\n{told}")) if isinstance(last, Text) else (*first.parts, Text(told))
        return (replace(first, parts=joined), *others)
    return (Message("system", (Text(told),)), *messages)
