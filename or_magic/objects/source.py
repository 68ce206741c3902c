"""Functions, classes and modules as the code they are; where there is none, signature and docstring. Reads sources."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .bound import cut, tokens_of

_DOC = 600  # characters of a module's docstring


def is_code(thing: object) -> bool:
    """Whether it is a function, a method or a class."""
    return inspect.isroutine(thing) or isinstance(thing, (type, property)) or _wraps(thing)


def code_text(thing: Any, tokens: int) -> str:
    """Return the source, or what can be said without it."""
    if isinstance(thing, property):
        thing = thing.fget or thing
    try:
        found = inspect.getsource(thing)
    except (OSError, TypeError):
        found = _class_source(thing) if isinstance(thing, type) else ""
    text = textwrap.dedent(found).rstrip("\n") if found else "\n".join(_told(thing))
    return cut(text, tokens)


def module_text(module: ModuleType, tokens: int) -> str:
    """Return a module's name, what it says of itself, and its public names."""
    doc = (inspect.getdoc(module) or "").split("\n\n\n")[0]
    lines = [f"Module {module.__name__}"]
    most = min(_DOC, 2 * tokens)
    lines += [doc if len(doc) <= most else f"{doc[:most].rsplit(None, 1)[0]} …"] if doc else []
    lines.append("")
    left = tokens - tokens_of("\n".join(lines)) - 20
    found = list(_public(module))
    for place, name in enumerate(found):
        line = _one_line(name, vars(module).get(name, module))
        left -= tokens_of(line) + 1
        if left < 0:
            lines.append(f"[… {len(found) - place:,} of {len(found):,} public names left out]")
            break
        lines.append(line)
    return "\n".join(lines).rstrip()


def _wraps(thing: object) -> bool:
    return callable(thing) and inspect.isfunction(getattr(thing, "__wrapped__", None))  # as functools.cache does


def _class_source(kind: type) -> str:
    """Return the source of a class of a notebook cell: ``inspect`` looks for its file, and there is none."""
    for filename in _cells(kind):
        lines = linecache.getlines(filename)
        try:
            tree = ast.parse("".join(lines))
        except (SyntaxError, ValueError):
            continue
        for node in reversed(list(ast.walk(tree))):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                first = min([node.lineno, *[decorator.lineno for decorator in node.decorator_list]])
                return "".join(lines[first - 1 : node.end_lineno])
    return ""


def _cells(kind: type) -> Iterator[str]:
    """Yield where the class may stand: where its methods do, then the cells, the latest first."""
    methods = [inspect.unwrap(value) for value in vars(kind).values() if inspect.isfunction(value)]
    own = [found.__code__.co_filename for found in methods if found.__qualname__.startswith(kind.__qualname__)]
    yield from dict.fromkeys(own)
    if kind.__module__ == "__main__":
        # Lines that no file is behind have no time at which it was changed.
        yield from [name for name, entry in reversed(linecache.cache.items()) if len(entry) > 1 and entry[1] is None]


def _told(thing: Any) -> Iterator[str]:
    """Yield signature and docstring."""
    name = getattr(thing, "__qualname__", None) or repr(thing)
    module = getattr(thing, "__module__", None) or getattr(getattr(thing, "__self__", None), "__name__", None)
    yield f"{'class' if isinstance(thing, type) else 'def'} {name}{_signature(thing)}"
    if isinstance(module, str):
        yield f"(from {module}; its source is not there)"
    if doc := inspect.getdoc(thing):
        yield textwrap.indent(doc, "    ")
    if isinstance(thing, type):
        public = [each for each in vars(thing) if not each.startswith("_")]
        yield from (f"    {_one_line(each, vars(thing)[each])}" for each in public)


def _public(module: ModuleType) -> list[str]:
    names = vars(module).get("__all__")
    if isinstance(names, (list, tuple)):
        return [name for name in names if isinstance(name, str)]
    own = [name for name, value in list(vars(module).items()) if not name.startswith("_") and _is_own(module, value)]
    return own or [name for name in vars(module) if not name.startswith("_")]


def _is_own(module: ModuleType, value: object) -> bool:
    if isinstance(value, ModuleType):
        return False
    home = getattr(value, "__module__", None) if callable(value) else None
    return not isinstance(home, str) or home.partition(".")[0] == module.__name__.partition(".")[0]


def _one_line(name: str, value: object) -> str:
    """Return a public name with its signature and the first line of its docstring."""
    if isinstance(value, ModuleType) or not callable(value):
        return name if isinstance(value, ModuleType) else f"{name}: {type(value).__name__}"
    doc = (inspect.getdoc(value) or "").partition("\n")[0]
    told = f"{'class ' if isinstance(value, type) else ''}{name}{_signature(value)}"
    return f"{told}  # {doc[:120]}" if doc else told


def _signature(thing: Any) -> str:
    try:
        text = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return "(…)" if callable(thing) else ""
    return text if len(text) <= 200 else f"{text[:199]}…"
