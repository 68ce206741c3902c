"""An answer's text becomes the value that its schema describes, or a list of what is wrong with it. Pure; no eval.

Read strictly: no comments, no NaN, no second value for a key, nothing after the end. Of what models like to put around
JSON only one thing is taken off: a single fenced block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..strict_json import load
from .drafts import judge_of
from .formats import formats
from .source import Schema
from .strict import restored

_FENCE = re.compile(r"^[ \t]*```[ \t]*[\w+-]*[ \t]*$", re.MULTILINE)
_MOST_ERRORS = 8
_LONGEST_ERROR = 240


class Mismatch(Exception):  # noqa: N818 - it never leaves the engine: people meet SchemaMismatchError
    """The answer is not what the schema describes; ``errors`` say why, each with its place."""

    def __init__(self, errors: Iterable[str]) -> None:
        told = [f"{error[:_LONGEST_ERROR]}…" if len(error) > _LONGEST_ERROR else error for error in errors]
        left = len(told) - _MOST_ERRORS
        self.errors = (*told[:_MOST_ERRORS], *([f"and {left} more"] if left > 0 else []))
        super().__init__("; ".join(self.errors))


def read(text: str, schema: Schema, *, wrapped: bool) -> tuple[Any, Any]:
    """Return the plain JSON value of an answer, and what it is in Python: an instance of the type, if there is one.

    Raises:
        Mismatch: the text is no JSON, or its value does not fit.
    """
    value = restored(parsed(text), schema, wrapped=wrapped)
    if schema.type is not None:
        return value, _of_type(value, schema.type)
    if errors := list(_errors(value, schema)):
        raise Mismatch(errors)
    return value, value


def parsed(text: str) -> Any:
    """Return the value of a JSON text, or of the only fenced block in it.

    Raises:
        Mismatch: it is no JSON.
    """
    try:
        return _loaded(text.strip())
    except Mismatch as error:
        fences = list(_FENCE.finditer(text))
        if len(fences) != 2:
            raise
        try:
            return _loaded(text[fences[0].end() : fences[1].start()].strip())
        except Mismatch:
            raise error from None


def _loaded(text: str) -> Any:
    if not text:
        raise Mismatch(["the answer is empty"])
    try:
        return load(text)
    except RecursionError:
        raise Mismatch(["it is nested too deeply"]) from None
    except ValueError as error:
        raise Mismatch([str(error)]) from None


def _of_type(value: Any, adapter: Any) -> Any:
    from pydantic import ValidationError

    try:
        # As JSON, so that dates, sets and enums are read; strictly, so that a text is never taken for a number.
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=True)
        raise Mismatch([_told(each) for each in told]) from None


def _told(error: Any) -> str:
    given = json.dumps(error.get("input"), ensure_ascii=False, default=str)
    return f"{_place(error['loc'])}: {error['msg']} (got {given[:80]})"


def _errors(value: Any, schema: Schema) -> Iterator[str]:
    from referencing import Registry

    # A registry of its own: nothing is fetched, whatever a reference says.
    judge = judge_of(schema.body)(schema.body, registry=Registry(), format_checker=formats())
    try:
        for error in sorted(judge.iter_errors(value), key=lambda each: list(map(str, each.absolute_path))):
            yield f"{_place(error.absolute_path)}: {error.message}"
    except RecursionError:
        yield "it is nested too deeply"


def _place(steps: Iterable[Any]) -> str:
    return "$" + "".join([f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps])
