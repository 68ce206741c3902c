"""The magic's line ⇄ Options; ``parse(format_line(options)) == options``. Pure but for ``resolve``, an argument."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn, TypedDict

from .errors import OptionError

# What one may be tempted to write; the answer is where the thing really goes.
_KEY_WORDS = ("--api-key", "--key", "--apikey", "--api_key")

Resolve = Callable[[str], Any]


class AskOptions(TypedDict, total=False):
    """The keywords of ``ask``, ``stream`` and ``aask``: the long options, with ``_`` for ``-``."""

    model: str
    system: str
    temperature: float
    max_tokens: int
    params: Mapping[str, Any]
    tag: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What can be said about one call; None is not said. ``out`` is for a cell only."""

    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    out: str | None = None
    tag: str | None = None


def parse_line(line: str, resolve: Resolve = lambda word: word) -> Options:
    """Return the options of a magic's line; ``resolve`` turns ``$name`` and ``@file`` into what they stand for.

    Raises:
        OptionError: an option is unknown, a value is wrong, a word is stray; the closest option is named.
    """
    parser = _parser(resolve)
    known, stray = parser.parse_known_args(_split(line))
    if stray:
        raise OptionError(_about_stray(stray[0], parser.names))
    # argparse of Python 3.11 turns a value of "--" into an empty list.
    told: dict[str, Any] = {name: "--" if value == [] else value for name, value in vars(known).items()}
    model = told.pop("model_option") or told.pop("MODEL")
    told.pop("MODEL", None)
    params: dict[str, Any] = {}
    for names, value in told.pop("param") or ():
        _put(params, names, value)
    return Options(model=model, params=params, **told)


def format_line(options: Options) -> str:
    """Return the line that parses to ``options``."""
    words: list[str] = []
    for name in ("model", "system", "temperature", "max_tokens", "out", "tag"):
        value = getattr(options, name)
        if value is not None:
            words.append(f"--{name.replace('_', '-')}={_literal(value)}")
    words += [f"--param={name}={json.dumps(value)}" for name, value in options.params.items()]
    return shlex.join(words)


def from_keywords(keywords: Mapping[str, Any]) -> Options:
    """Return the options of a Python call.

    Raises:
        OptionError: a keyword is unknown or its value has a wrong type.
    """
    known = [f.name for f in fields(Options) if f.name != "out"]
    for name in keywords:
        if name not in known:
            raise OptionError(f"{name!r} is not a keyword.{_closest(name, known)} Nothing was sent.")
    told = {name: value for name, value in keywords.items() if value is not None}
    for name, kind in (("model", str), ("system", str), ("tag", str), ("params", Mapping)):
        if name in told and not isinstance(told[name], kind):
            raise OptionError(f"{name}={told[name]!r} is not a {kind.__name__.lower()}. Nothing was sent.")
    for name, number in (("temperature", (int, float)), ("max_tokens", int)):
        if name in told and (not isinstance(told[name], number) or isinstance(told[name], bool)):
            raise OptionError(f"{name}={told[name]!r} is not a number. Nothing was sent.")
    return replace(Options(), **told)


def help_text() -> str:
    """Return the help of the options, core ones first."""
    return _parser(lambda word: word).format_help()


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        self.names: list[str] = []
        super().__init__(**settings)

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        self.names += [name for name in names if name.startswith("-")]
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message[:1].upper()}{message[1:]}. Nothing was sent. See %or help.")


def _parser(resolve: Resolve) -> _Parser:
    def text(word: str) -> str:
        return str(resolve(word))

    def number(word: str) -> float:
        return _number(resolve(word), word)

    def count(word: str) -> int:
        value = _number(resolve(word), word)
        if not value.is_integer() or value < 1:
            raise argparse.ArgumentTypeError(f"{word!r} is not a whole number above 0")
        return int(value)

    parser = _Parser(prog="%%openrouter", allow_abbrev=False, add_help=False, usage="%%%%openrouter [MODEL] [options]")
    parser.add_argument("MODEL", nargs="?", type=text, help="vendor/name[:variant]; the default is in the settings")
    parser.add_argument("-m", "--model", dest="model_option", metavar="ID", type=text, help="the same as MODEL")
    parser.add_argument("-s", "--system", metavar="TEXT", type=text, help="system prompt")
    parser.add_argument("-t", "--temperature", metavar="X", type=number, help="0 is steady, 1 is lively")
    parser.add_argument("--max-tokens", metavar="N", type=count, help="the longest answer, in tokens")
    parser.add_argument(
        "-p", "--param", metavar="K=V", action="append", type=lambda word: _pair(word, resolve),
        help="any other request field; V is JSON if it parses; dotted keys nest",
    )  # fmt: skip
    parser.add_argument("-o", "--out", metavar="NAME", type=_identifier, help="bind the Reply to NAME")
    parser.add_argument("--tag", metavar="LABEL", type=text, help="a label in the ledger")
    return parser


def _split(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:
        raise OptionError(
            f"A quote in {line!r} has no partner. Nothing was sent. Put the value in double quotes."
        ) from None
    if any(word.partition("=")[0] in _KEY_WORDS for word in words):
        raise OptionError(
            "A key is never an option: notebooks and the history would keep it. Set OPENROUTER_API_KEY in the "
            "environment or in a .env file."
        )
    return words


def _about_stray(word: str, known: list[str]) -> str:
    if word.startswith("-"):
        return f"{word} is not an option.{_closest(word.partition('=')[0], known)} Nothing was sent. See %or help."
    return f"{word!r} is one word too many. Nothing was sent. The prompt goes below the first line; quote long values."


def _closest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {near[0]}?" if near else f" Known are {', '.join(known)}."


def _number(value: Any, word: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number") from None


def _identifier(word: str) -> str:
    if not word.isidentifier():
        raise argparse.ArgumentTypeError(f"{word!r} is not a name for a variable")
    return word


def _pair(word: str, resolve: Resolve) -> tuple[list[str], Any]:
    names, equals, value = word.partition("=")
    if not equals or not all(names.split(".")):
        raise argparse.ArgumentTypeError(f"{word!r} is not K=V")
    resolved = resolve(value)
    if resolved is value:
        try:
            resolved = json.loads(value)
        except ValueError:
            resolved = value
    return names.split("."), resolved


def _put(params: dict[str, Any], names: list[str], value: Any) -> None:
    *path, last = names
    for name in path:
        inner = params.setdefault(name, {})
        if not isinstance(inner, dict):
            raise OptionError(f"-p {'.'.join(names)}: {name} has a value already. Nothing was sent.")
        params = inner
    params[last] = value


def _literal(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
