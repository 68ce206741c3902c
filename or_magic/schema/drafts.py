"""Which draft of JSON Schema a schema is written in, what judges by it, and whether it can be judged by. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..tables import pointed

_DRAFT = re.compile(r"https?://json-schema\.org/(?:draft-0([467])/|draft/(2019-09|2020-12)/)?schema#?")
_LATEST = "2020-12"  # what an address without a draft means, too
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Unusable(ValueError):  # noqa: N818 - it never leaves the room: people meet OptionError
    """No answer can be judged by this schema; the text says why."""


def judge_of(body: Mapping[str, Any]) -> Any:
    """Return the validator class of the draft that a schema names; the latest where it names none.

    Raises:
        Unusable: it names one whose rules are not known here.
    """
    import jsonschema

    told = body.get("$schema", "https://json-schema.org/schema")
    found = _DRAFT.fullmatch(told) if isinstance(told, str) else None
    if found is None:
        raise Unusable(f"$schema {str(told)[:80]!r} is not known here. Known are drafts 4, 6, 7, 2019-09 and 2020-12")
    return getattr(jsonschema, f"Draft{(found[1] or found[2] or _LATEST).replace('-', '')}Validator")


def check(body: Mapping[str, Any], *, judges: bool = True) -> None:
    """Refuse a schema that no answer can be judged by; one that ``judges`` none may have patterns and rules of others.

    Raises:
        Unusable: it is no schema, or refers to what is elsewhere, or to itself without end.
    """
    try:
        judge = judge_of(body)
    except Unusable:
        if judges:
            raise
        judge = judge_of({})
    formats = judge.FORMAT_CHECKER if judges else None
    inside: dict[int, list[int]] = {}
    try:
        for part, resolver in _walked(judge, body, formats):
            if judges:
                _check_patterns(part)
            for name in _REFERENCES:
                _check_reference(body, name, part.get(name), resolver)
            inside[id(part)] = [id(each) for each in _of_the_same_value(part, resolver)]
        if judges:
            TopologicalSorter(inside).prepare()
    except CycleError:
        raise Unusable(
            "it refers to itself without end: it may come again inside its members and items, not in its own place"
        ) from None
    except RecursionError:
        raise Unusable("it is nested too deeply") from None


def _check_form(judge: Any, part: Any, formats: Any) -> None:
    from jsonschema.exceptions import SchemaError

    try:
        judge.check_schema(part, format_checker=formats)
    except SchemaError as error:
        raise Unusable(f"{error.json_path}: {error.message[:200]}") from None


def _walked(judge: Any, body: Mapping[str, Any], formats: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each schema in a schema that is no mere true or false, with what follows its references: only inside.

    One that only a reference leads to counts, too: draft 7 knows no ``$defs``, and nobody a word of one's own.
    """
    from referencing import Registry
    from referencing.jsonschema import specification_with

    specification = specification_with(judge.ID_OF(judge.META_SCHEMA))
    _check_form(judge, body, formats)
    root = specification.create_resource(body)
    waiting = deque([(root, Registry().resolver_with_root(root), True)])
    seen: set[int] = set()
    while waiting:
        resource, resolver, is_checked = waiting.pop()
        part = resource.contents
        if id(part) in seen:
            continue
        seen.add(id(part))
        if not is_checked:
            _check_form(judge, part, formats)
        if isinstance(part, Mapping):
            yield part, resolver
            if isinstance(part.get("$ref"), str):  # it was followed by whom it was given to; the others' turn is last
                waiting.appendleft((specification.create_resource(pointed(body, part["$ref"])), resolver, False))
        waiting += [(inner, resolver.in_subresource(inner), True) for inner in resource.subresources()]


def _of_the_same_value(part: Mapping[str, Any], resolver: Any) -> Iterator[Any]:
    """Yield the schemas that judge the very value that this one judges, not one inside of it."""
    yield from [part[name] for name in ("not", "if", "then", "else") if name in part]
    yield from [each for name in ("allOf", "anyOf", "oneOf") for each in part.get(name, ())]
    for name in ("dependentSchemas", "dependencies"):  # another draft may mean anything by these words
        yield from part[name].values() if isinstance(part.get(name), Mapping) else ()
    yield from [resolver.lookup(part[name]).contents for name in _REFERENCES if isinstance(part.get(name), str)]


def _check_patterns(part: Mapping[str, Any]) -> None:
    try:
        for pattern in (part.get("pattern", ""), *part.get("patternProperties", ())):
            re.compile(pattern)
    except re.error as error:  # draft 4 lets them pass
        raise Unusable(f"{pattern!r} is no regular expression of Python: {error}") from None


def _check_reference(body: Mapping[str, Any], name: str, pointer: Any, resolver: Any) -> None:
    from referencing.exceptions import Unresolvable

    if not isinstance(pointer, str):
        return
    try:
        found = resolver.lookup(pointer).contents
        # Other references, and those under an $id of their own, lead elsewhere than where `pointed` looks.
        fits = name != "$ref" or ((pointer == "#" or pointer.startswith("#/")) and found is pointed(body, pointer))
    except (Unresolvable, LookupError, ValueError, TypeError):
        fits = False
    if not fits:
        raise Unusable(f"{name} {pointer!r} leads nowhere inside it")
