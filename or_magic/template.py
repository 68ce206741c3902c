r"""Templates: ``{{ expression }}`` in a prompt becomes the value of a Python expression. Evaluates, does no I/O itself.

Nothing else is syntax: single braces, ``$``, ``{%``, JSON, LaTeX and code are literal, and so is a ``{{`` that no
``}}`` follows; ``\{{`` is a literal ``{{``. What is inserted is never expanded again.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from .errors import TemplateError

# Text that only looks like a template must not cost more the longer it is.
_LONGEST_EXPRESSION = 4096
_LONGEST_FORMAT = 40
_NAMED = 120


class Literal(str):
    """A text that is no template, whatever it holds: a variable's or a file's, which may be words of others."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """One ``{{ expression:format }}``, compiled."""

    text: str
    code: CodeType
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """What an expression gave. ``tokens`` is its format where that is a number and the value has no formats."""

    text: str
    value: Any
    tokens: int | None = None

    @property
    def name(self) -> str:
        """The expression, as one line for people."""
        inner = " ".join(self.text.split())
        return f"{{{{ {inner if len(inner) <= _NAMED else inner[: _NAMED - 1] + '…'} }}}}"


def parse_template(text: str) -> tuple[str | Hole, ...]:
    """Return literal text and holes in order.

    Raises:
        TemplateError: an expression does not parse.
    """
    return tuple(_parts(text))


def expand(text: str, namespace: Mapping[str, Any]) -> tuple[str | Filled, ...]:
    """Return literal text and what the expressions give, in order; what has a format is text.

    Raises:
        TemplateError: an expression does not parse, names something undefined, or fails.
    """
    if isinstance(text, Literal):
        return (str(text),)
    return tuple(part if isinstance(part, str) else _filled(part, namespace) for part in parse_template(text))


def unfinished(text: str) -> str | None:
    """Return the beginning of the expression that ``text`` breaks off in; None where it breaks off in prose."""
    opened, place = None, 0
    while (start := text.find("{{", place)) >= 0:
        place = start + 2
        if text[start - 1 : start] == "\\":
            continue
        end = text.find("}}", place)
        if end < 0:
            opened = place
            continue
        try:
            opened, place = None, _hole(text, start)[1]
        except TemplateError:  # broken; or it is the expression's own braces that end there
            inner = text[start + 2 : end]
            opened, place = start + 2 if inner.count("{") > inner.count("}") else None, end + 2
    rest = None if opened is None else text[opened:]
    # An expression that nobody closed paragraphs ago was none.
    return None if rest is None or "\n\n" in rest or len(rest) > _LONGEST_EXPRESSION else rest


def _parts(text: str) -> Iterator[str | Hole]:
    literal: list[str] = []
    place = 0
    while (start := text.find("{{", place)) >= 0:
        escaped = text[start - 1 : start] == "\\"  # a slice would copy all the text before
        literal.append(text[place : start - escaped])
        if escaped or text.find("}}", start + 2) < 0:
            literal.append("{{")
            place = start + 2
            continue
        yield "".join(literal)
        literal.clear()
        hole, place = _hole(text, start)
        yield hole
    literal.append(text[place:])
    yield "".join(literal)


def _hole(text: str, start: int) -> tuple[Hole, int]:
    """Return the hole that begins at ``start`` and where it ends: the shortest end that parses."""
    end = text.find("}}", start + 2)
    first_end = end
    while 0 <= end <= start + _LONGEST_EXPRESSION:
        inner = text[start + 2 : end]
        for expression, spec in _readings(inner):
            code = _compiled(expression)
            if code is not None:
                return Hole(inner.strip(), code, spec), end + 2
        end = text.find("}}", end + 1)
    inner = " ".join(text[start + 2 : first_end].split())[:120]
    raise TemplateError(
        f"{{{{ {inner} }}}} is not a Python expression. Nothing was sent. "
        "Correct it, or write \\{{ for a literal {{."
    )


def _readings(inner: str) -> Iterator[tuple[str, str | None]]:
    yield inner.strip(), None
    colon = inner.find(":", max(0, len(inner.rstrip()) - _LONGEST_FORMAT))
    while colon >= 0:
        yield inner[:colon].strip(), inner[colon + 1 :].rstrip()
        colon = inner.find(":", colon + 1)


def _compiled(expression: str) -> CodeType | None:
    try:
        tree = ast.parse(expression, "<template>", "eval")
        return compile(tree, "<template>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _filled(hole: Hole, namespace: Mapping[str, Any]) -> Filled:
    try:
        # The text is the user's own cell, run in his own namespace, as the cell itself would be.
        value = eval(hole.code, dict(namespace))  # noqa: S307
        return Filled(hole.text, value) if hole.format is None else _formatted(hole.text, value, hole.format)
    except NameError as error:
        near = difflib.get_close_matches(str(error.name), [name for name in namespace if not name.startswith("_")], 3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Braces that are no template are written \\{{."
        raise TemplateError(f"{{{{ {hole.text} }}}}: {error.name!r} is not defined. Nothing was sent. {hint}") from None
    except Exception as error:  # whatever the user's expression raises is his to see, by name
        raise TemplateError(
            f"{{{{ {hole.text} }}}} failed: {type(error).__name__}: {error}. Nothing was sent.{_near(error)}"
        ) from error


def _near(error: Exception) -> str:
    """Return a hint at the attribute that was meant."""
    if not isinstance(error, AttributeError) or not error.name or error.obj is None:
        return ""
    near = difflib.get_close_matches(error.name, [name for name in dir(error.obj) if not name.startswith("_")], 3)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _formatted(text: str, value: Any, spec: str) -> Filled:
    """Return the value in Python's format, or, of an object that has none, with the number of tokens it may take."""
    try:
        return Filled(text, format(value, spec))
    except TypeError as error:
        number = spec.strip().replace("_", "").replace(",", "")
        if number.isdecimal() and int(number) > 0:
            return Filled(text, value, int(number))
        raise TypeError(
            f"a {type(value).__name__} has no format {spec.strip()!r}; a whole number says how many tokens it may take"
        ) from error
