"""The magic's line ⇄ Options; ``parse(format_line(options)) == options``. Pure but for ``resolve``, an argument."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, Literal, TypedDict

from ..budget import parse_usd
from ..errors import OptionError
from ..rules import Choice
from .line import (
    EFFORTS,
    SORTS,
    Argument,
    Resolve,
    about_stray,
    arguments,
    attachment,
    help_text,
    is_name,
    new_parser,
    put,
    split_line,
)
from .meant import closest
from .merge import FIELDS, merged, says, without
from .plain import plain

__all__ = [
    "Argument",
    "AskOptions",
    "Options",
    "Resolve",
    "arguments",
    "attachment",
    "closest",
    "format_line",
    "from_keywords",
    "help_text",
    "is_name",
    "parse_line",
]


class AskOptions(TypedDict, total=False):
    """The keywords of ``ask``, ``stream`` and ``aask``: the long options, with ``_`` for ``-``."""

    model: str | Choice
    system: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: Sequence[str]
    params: Mapping[str, Any]
    reasoning: str | int
    attach: Any
    chat: str
    new: bool
    schema: Any
    preset: str
    tag: str
    no_stream: bool
    provider: Sequence[str]
    sort: Literal["price", "throughput", "latency"]
    zdr: bool
    fallback: Sequence[str]
    budget: Decimal | float | str
    yes: bool
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What can be said about one call; None, empty and False are not said."""

    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str | int | None = None
    attach: tuple[Any, ...] = ()  # a str is a path or a URL that the user wrote there
    chat: str | None = None
    new: bool = False
    preset: str | None = None
    schema: Any = None  # of a line: the text as it was written
    tag: str | None = None
    no_stream: bool = False
    provider: tuple[str, ...] = ()
    sort: str | None = None
    zdr: bool = False
    fallback: tuple[str, ...] = ()
    budget: Decimal | None = None
    yes: bool = False
    # These are a cell's: Python has the Reply instead.
    context: int | None = None
    out: str | None = None
    format: str | None = None
    quiet: bool = False
    hide_reasoning: bool = False
    verbatim: bool = False
    dry_run: bool = False

    def __or__(self, later: Options) -> Options:
        """Return these with what ``later`` says; its params join ours, and win over an option for the same field."""
        told = {f.name: value for f in fields(later) if _is_said(value := getattr(later, f.name))}
        mine: Mapping[str, Any] = self.params
        unsaid: dict[str, Any] = {}
        for name, paths in FIELDS.items():
            if any(says(later.params, path) for path in paths):
                unsaid[name] = () if name in _LISTS else False if name == "zdr" else None
            for path in paths if name in told else ():
                mine = without(mine, path)
        return replace(self, **(unsaid | told | {"params": merged(mine, later.params)}))


def parse_line(line: str, resolve: Resolve = lambda word: word) -> Options:
    """Return the options of a magic's line; ``resolve`` turns ``$name`` and ``@file`` into what they stand for.

    Raises:
        OptionError: an option is unknown, a value is wrong, a word is stray; the closest option is named.
    """
    parser = new_parser(resolve)
    known, stray = parser.parse_known_args(split_line(line))
    if stray:
        raise OptionError(about_stray(stray[0], parser.names))
    told: dict[str, Any] = {name: _dashes_kept(value) for name, value in vars(known).items()}
    model = _one_model([told.pop("MODEL"), *map(_dashes_kept, told.pop("model_option") or ())])
    params: dict[str, Any] = {}
    for names, value in told.pop("param") or ():
        put(params, names, value)
    lists: dict[str, Any] = {name: tuple(_each(told.pop(name) or (), name)) for name in _LISTS}
    said = {**told, **lists, "model": model}
    return replace(Options(params=params), **(said | _chosen(said)))


def _one_model(named: Sequence[str | Choice | None]) -> str | Choice | None:
    """Return the model that is named.

    Raises:
        OptionError: there are several: one of them would be passed over without a word.
    """
    models = [model for model in named if model]
    if len(models) > 1:
        first, second = (model.id if isinstance(model, Choice) else model for model in models[:2])
        raise OptionError(
            f"Two models are named, {first} and {second}. Nothing was sent. A cell asks one; %or again -m ID asks the "
            "other."
        )
    return models[0] if models else None


def _each(values: Iterable[Any], name: str) -> Iterator[Any]:
    """Yield the values of a repeatable option; a variable may hold several texts, of attachments each is one itself."""
    for value in map(_dashes_kept, values):
        yield from value if isinstance(value, list) and name != "attach" else (value,)


def _dashes_kept(value: Any) -> Any:
    # argparse of Python 3.11 turns a value of "--" into an empty list. Not by ==, which an array answers one by one.
    return "--" if isinstance(value, list) and not value else value


def format_line(options: Options) -> str:
    """Return the line that parses to ``options``."""
    words: list[str] = []
    for name in [f.name for f in fields(options) if f.name != "params"]:
        option, value = f"--{name.replace('_', '-')}", getattr(options, name)
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            told = value if isinstance(value, tuple) else (value,)
            words += [f"{option}={_written(item)}" for item in told]
    words += [f"--param={name}={json.dumps(value)}" for name, value in options.params.items()]
    return shlex.join(words)


def from_keywords(keywords: Mapping[str, Any]) -> Options:
    """Return the options of a Python call.

    Raises:
        OptionError: a keyword is unknown or its value is of a wrong kind.
    """
    said = {name: value for name, value in keywords.items() if value is not None}
    told = said | {name: plain(value) for name, value in said.items() if name in _NUMBERS}
    for name, value in keywords.items():
        if name not in _KEYWORDS:
            raise OptionError(f"{name!r} is not a keyword.{closest(name, list(_KEYWORDS))} Nothing was sent.")
        noun, fits = _KEYWORDS[name]
        if value is not None and not fits(told[name]):
            raise OptionError(f"{name}={value!r} is not {noun}. Nothing was sent.")
    told |= _chosen(told)
    for name in _LISTS:
        if name in told:
            told[name] = tuple(told[name]) if isinstance(told[name], (list, tuple)) else (told[name],)
    if "budget" in told:
        told["budget"] = parse_usd(told["budget"])
    return replace(Options(), **told)


def _chosen(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Choice in the place of a model says, fallbacks included unless others are named."""
    model = told.get("model")
    if not isinstance(model, Choice):
        return {}
    return {"model": model.id, "fallback": told.get("fallback") or model.fallbacks}


def _written(item: Any) -> str:
    if isinstance(item, float):
        return repr(item)
    # What a variable held is not written out: it may be megabytes.
    told = isinstance(item, (str, int, Decimal)) or hasattr(item, "__fspath__")
    return str(item) if told else f"<{type(item).__name__}>"


def _is_said(value: Any) -> bool:
    # Not by ==, to which 0 is False: a temperature or a budget of 0 is said.
    return value is not None and value is not False and value != ()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -math.inf < value < math.inf


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value))


def _is_usd(value: Any) -> bool:
    try:
        return parse_usd(value) is not None
    except ValueError:
        return False


_LISTS = ("stop", "attach", "provider", "fallback")
_NUMBERS = ("temperature", "top_p", "max_tokens", "seed", "reasoning", "budget", "params")
_Check = tuple[str, Callable[[Any], bool]]
_TEXT: _Check = ("a str", lambda value: isinstance(value, str))
_NUMBER: _Check = ("a number", _is_number)
_WORDS: _Check = ("a list of texts", _is_words)
_FLAG: _Check = ("True or False", lambda value: isinstance(value, bool))

_KEYWORDS: Mapping[str, _Check] = {
    "model": ("a str or a Choice", lambda value: isinstance(value, (str, Choice))),
    "system": _TEXT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "max_tokens": ("a number: it must be whole, above 0", lambda value: _is_integer(value) and value > 0),
    "seed": ("a whole number", _is_integer),
    "stop": _WORDS,
    "params": ("a mapping", lambda value: isinstance(value, Mapping)),
    "reasoning": (f"one of {', '.join(EFFORTS)}, or a number of tokens",
                  lambda value: value in EFFORTS if isinstance(value, str) else _is_integer(value) and value > 0),
    "attach": ("something to attach", lambda _: True),
    "chat": ("the name of a conversation: one line of text", is_name),
    "new": _FLAG,
    "schema": ("a schema", lambda _: True),
    "preset": _TEXT,
    "tag": _TEXT,
    "no_stream": _FLAG,
    "provider": _WORDS,
    "sort": (f"one of {', '.join(SORTS)}", lambda value: value in SORTS),
    "zdr": _FLAG,
    "fallback": _WORDS,
    "budget": ("an amount of dollars", _is_usd),
    "yes": _FLAG,
}  # fmt: skip
