"""Presets: options under a name, as tables that a person can write; the line's own parser reads them. Pure.

A preset holds texts. ``@file`` and ``$name`` are read when it is saved, by whoever wrote them on a line; in a table
they are refused, so that a file of settings never makes anybody read another file.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from ..errors import OptionError
from . import Options, closest, parse_line

Table = Mapping[str, Any]

# What belongs to one call, not to a way of asking.
NOT_KEPT = ("out", "dry_run", "yes", "preset")
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)
_UNSENT = " Nothing was sent."

# Usable by name without saving; a saved one of the same name wins.
SHIPPED: Mapping[str, Table] = {
    "coding": {
        "temperature": 0.1,
        "system": "You are a careful programmer. Write complete, working code in the language and style of what you "
        "are given, with the imports it needs. Put code into fenced blocks that name the language. Say in one or two "
        "sentences what you assumed; explain only what is not obvious from the code.",
    },
    "analytical": {
        "temperature": 0.2,
        "system": "You are an analyst. Begin with the answer, then give the reasons in the order of their weight. Keep "
        "apart what the data show, what you infer from them and what is not known. Give numbers with their units and "
        "show how you came to them. Where the question cannot be answered from what you have, say what is missing.",
    },
    "creative": {
        "temperature": 0.7,
        "system": "You are a writer with a voice of your own. Prefer the particular to the general, the concrete to "
        "the abstract, and the unexpected word to the worn one. Keep to the form and the length that were asked for, "
        "and give the piece itself, without a preface.",
    },
    "reviewer": {
        "temperature": 0.2,
        "system": "You review code and texts before they are published. Name the faults that matter, the worst first: "
        "what is wrong, where, what happens because of it, and the smallest change that mends it. Report only what "
        "you can show in what you were given, and mark what you merely suspect. Leave matters of taste aside. If you "
        "find nothing, say so in one sentence.",
    },
}


def with_preset(options: Options, saved: Mapping[str, Table]) -> Options:
    """Return the options with those of the preset that they name below them; what they say themselves wins.

    Raises:
        OptionError: there is no such preset, or it cannot be used.
    """
    if options.preset is None:
        return options
    return parse_preset(options.preset, find(options.preset, saved)) | options


def find(name: str, saved: Mapping[str, Table]) -> Table:
    """Return a preset's table: a saved one, else one that is shipped.

    Raises:
        OptionError: there is none; the closest is named.
    """
    known = {**SHIPPED, **saved}
    if name not in known:
        slug = f" OpenRouter's own presets are models: -m {name}." if name.startswith("@preset/") else ""
        raise OptionError(f"There is no preset {name!r}.{slug or closest(name, sorted(known))}{_UNSENT}")
    return known[name]


def parse_preset(name: str, table: Table) -> Options:
    """Return what a preset says.

    Raises:
        OptionError: an option in it is unknown, wrong, or belongs to one call.
    """
    try:
        told = parse_line(shlex.join(_words(table)))
    except OptionError as error:
        raise OptionError(f"The preset {name} cannot be used: {error}") from None
    _check(told, f"The preset {name} cannot be used:")
    return told


def format_preset(options: Options) -> dict[str, Any]:
    """Return the table that parses to ``options``: names as in Python, other fields under ``param`` as on the line.

    Raises:
        OptionError: an option belongs to one call, or its value is no text, number or flag.
    """
    _check(options, "A preset cannot be saved like this:")
    table: dict[str, Any] = {}
    for name in [f.name for f in fields(options) if f.name != "params"]:
        value = getattr(options, name)
        if value is not None and value is not False and value != ():
            table[name] = list(value) if isinstance(value, tuple) else value
    if options.params:
        table["param"] = [f"{name}={json.dumps(value)}" for name, value in options.params.items()]
    return table


def check_name(name: str) -> None:
    """Raise OptionError unless a preset may have this name."""
    if not _NAME.fullmatch(name):
        raise OptionError(f"{name!r} cannot be the name of a preset: it is a word of letters, digits, . - and _.")


def broken(saved: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    """Yield the name of every preset that cannot be used, and why."""
    for name, table in saved.items():
        try:
            check_name(name)
            parse_preset(name, table)
        except OptionError as error:
            yield name, str(error).partition(_UNSENT)[0]


def _words(table: Table) -> Iterator[str]:
    for name, value in table.items():
        option = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                yield option
            elif one is not False:
                yield f"{option}={one!r}" if isinstance(one, float) else f"{option}={one}"


def _check(options: Options, beginning: str) -> None:
    """Raise OptionError unless a preset can hold these options."""
    for name in [f.name for f in fields(options) if f.name != "params"]:
        value, option = getattr(options, name), f"--{name.replace('_', '-')}"
        if name in NOT_KEPT and value:
            raise OptionError(f"{beginning} {option} belongs to one call.{_UNSENT}")
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None and not isinstance(one, (str, bool, int, float, Decimal)):
                raise OptionError(f"{beginning} {option} is a {type(one).__name__}, not text or a number.{_UNSENT}")
            if isinstance(one, str) and is_reference(one):
                raise OptionError(
                    f"{beginning} {option} begins with {one[:1]}, which stands for a file or a variable, and a preset "
                    "holds the text itself. %or preset save NAME with this option on its line puts it there."
                    f"{_UNSENT}"
                )
    try:
        json.dumps(options.params)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{beginning} --param is no JSON ({error}).{_UNSENT}") from None


def is_reference(text: str) -> bool:
    """Whether a line of the magic would take the text for a variable or a file."""
    if text.startswith("$"):
        return text[1:].isidentifier()
    return len(text) > 1 and text.startswith("@") and not text.startswith("@preset/")
