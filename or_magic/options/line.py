"""The grammar of the magic's line: which options there are, and what their values may be. Pure."""

from __future__ import annotations

import argparse
import json
import keyword
import math
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from ..budget import parse_usd
from ..errors import OptionError
from ..rules import Choice
from ..template import Literal
from .meant import closest
from .plain import plain

# What one may be tempted to write; the answer is where the thing really goes.
_KEY_WORDS = ("--api-key", "--key", "--apikey", "--api_key")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
FORMATS = ("markdown", "text", "code", "json")
MOST_CELLS = 50  # of --context
SORTS = ("price", "throughput", "latency")
FETCHED = ("https://", "http://", "data:")  # a text that begins so is an address wherever it comes from

Resolve = Callable[[str], Any]


class Argument(NamedTuple):
    """One option as people meet it: in help, in completion, in the README."""

    names: tuple[str, ...]
    metavar: str
    help: str
    choices: tuple[str, ...]
    core: bool


def arguments() -> tuple[Argument, ...]:
    """Return the options in the order of the help: core ones first."""
    return tuple(new_parser(lambda word: word).listed)


def help_text() -> str:
    """Return the help of the options, core ones first."""
    return new_parser(lambda word: word).format_help()


class Parser(argparse.ArgumentParser):
    """argparse that raises our error, and remembers what it was taught."""

    def __init__(self, **settings: Any) -> None:
        self.names: list[str] = []
        self.listed: list[Argument] = []
        super().__init__(**settings)

    def say(self, group: Any, *names: str, choices: Sequence[str] = (), **settings: Any) -> None:
        """Add one option to a group of the help; ``choices`` are what completion offers, ``type`` is what checks."""
        options = tuple(name for name in names if name.startswith("-"))
        self.names += options
        described = settings["help"].replace("%%", "%")
        self.listed.append(
            Argument(options or names, settings.get("metavar") or "", described, tuple(choices), group.title == _CORE)
        )
        group.add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise instead of leaving the process."""
        raise OptionError(f"{message[:1].upper()}{message[1:]}. Nothing was sent. See %or help.")


_CORE = "core options"


class _Read:
    """What values may be; ``resolve`` turns words into what they stand for."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def _something(self, word: str) -> Any:
        found = self._resolve(word)
        if found is None:  # a function that gave nothing back; "None" would be sent as a word
            raise argparse.ArgumentTypeError(f"{word} is None")
        return found

    def text(self, word: str) -> str:
        found = self._something(word)
        # What a variable or a file holds may be words of others: only what is written here is a template.
        return str(found) if found is word else Literal(found)

    def texts(self, word: str) -> str | list[str]:
        found = self._something(word)
        several = isinstance(found, (list, tuple)) and found and all(isinstance(each, str) for each in found)
        return list(found) if several else str(found)

    def model(self, word: str) -> str | Choice:
        found = self._something(word)
        return found if isinstance(found, Choice) else str(found)

    def number(self, word: str) -> float:
        return _number(self._resolve(word), word)

    def integer(self, word: str) -> int:
        return _integer(self._resolve(word), word)

    def count(self, word: str) -> int:
        return _integer(self._resolve(word), word, 1, "a whole number above 0")

    def cells(self, word: str) -> int:
        found = _integer(self._resolve(word), word, 1, f"a number of cells from 1 to {MOST_CELLS}")
        if found > MOST_CELLS:
            raise argparse.ArgumentTypeError(f"{word!r} is not a number of cells from 1 to {MOST_CELLS}")
        return found

    def level(self, word: str) -> str | int:
        found = self._resolve(word)
        return (
            found if found in EFFORTS else _integer(found, word, 1, f"one of {', '.join(EFFORTS)}, or a number above 0")
        )

    def usd(self, word: str) -> Decimal:
        try:
            found = parse_usd(self._resolve(word))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if found is None:
            raise argparse.ArgumentTypeError(f"{word!r} is no amount of dollars")
        return found

    def pair(self, word: str) -> tuple[list[str], Any]:
        return _pair(word, self._resolve)

    def attachment(self, word: str) -> Any:
        return attachment(word, self._resolve)

    def name(self, word: str) -> str:
        found = str(self._something(word))
        if not is_name(found):
            raise argparse.ArgumentTypeError(f"{found!r} is not a name: it is one line of text")
        return found

    def schema(self, word: str) -> str:
        """Return it as it was written: a variable is looked up where the question is asked."""
        return word if word.startswith("$") else str(self._resolve(word))

    def one_of(self, words: Sequence[str]) -> Callable[[str], str]:
        return lambda word: _choice(self._resolve(word), words)


def attachment(word: str, resolve: Resolve) -> Any:
    """Return the path or URL as it was written, or what a variable holds; a text in a variable names no file.

    Raises:
        argparse.ArgumentTypeError: the variable holds such a text, or nothing.
    """
    if not word.startswith("$"):
        return word
    found = resolve(word)
    if found is None or (isinstance(found, (list, tuple)) and not found):
        raise argparse.ArgumentTypeError(f"{word} is {found!r}: there is nothing to attach")
    if isinstance(found, str) and found is not word and not found.startswith(FETCHED):
        raise argparse.ArgumentTypeError(
            f"{word} holds text, and a text never names a file: write the path on the line, or put a Path into "
            "the variable; what a text says goes into the prompt"
        )
    return found


def new_parser(resolve: Resolve) -> Parser:
    """Return the parser of the line; ``resolve`` turns words into what they stand for."""
    parser = Parser(
        prog="%%openrouter",
        allow_abbrev=False,
        add_help=False,
        usage="%%%%openrouter [MODEL] [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26, width=100),
    )
    read = _Read(resolve)
    _add_core(parser.say, parser.add_argument_group(_CORE), read)
    _add_more(parser.say, parser.add_argument_group("more options"), read)
    return parser


def _add_core(say: Callable[..., None], group: Any, read: _Read) -> None:
    say(group, "MODEL", nargs="?", type=read.model,
        help="vendor/name[:variant] or an alias; the default is in the settings")  # fmt: skip
    say(group, "-m", "--model", dest="model_option", metavar="ID", action="append", type=read.model,
        help="the same as MODEL")  # fmt: skip
    say(group, "-s", "--system", metavar="TEXT", type=read.text, help="system prompt")
    say(group, "-t", "--temperature", metavar="X", type=read.number, help="0 is steady, 1 is lively")
    say(group, "-r", "--reasoning", metavar="LEVEL", type=read.level, choices=EFFORTS,
        help="how much to think first: none minimal low medium high xhigh max, or a number of tokens")  # fmt: skip
    say(group, "-a", "--attach", "--image", metavar="FILE", action="append", type=read.attachment,
        help="send a file, URL or $variable along: picture, PDF, sound, video, text, CSV; may be repeated")  # fmt: skip
    say(group, "-c", "--chat", metavar="NAME", type=read.name, help="take part in the conversation NAME")
    say(group, "--schema", metavar="WHAT", type=read.schema,
        help="a typed answer: a variable (model, dataclass, JSON Schema), json, or 'name, age int'")  # fmt: skip
    say(group, "-o", "--out", metavar="NAME", type=_identifier, help="bind the Reply to NAME")
    say(group, "-f", "--format", metavar="HOW", type=read.one_of(FORMATS), choices=FORMATS,
        help="how it is shown: markdown, text, json, or code (the first block goes into a new cell below)")  # fmt: skip
    say(group, "--budget", metavar="USD", type=read.usd,
        help="stop before sending what may cost more, all attempts together")  # fmt: skip
    say(group, "--dry-run", action="store_true", help="show what would be sent and what it may cost; send nothing")


def _add_more(say: Callable[..., None], group: Any, read: _Read) -> None:
    _add_of_question(say, group, read)
    _add_of_route(say, group, read)
    say(group, "--preset", metavar="NAME", type=read.text,
        help="a saved bundle of these options; what is said here wins")  # fmt: skip
    say(group, "--tag", metavar="LABEL", type=read.text, help="a label in the ledger")
    say(group, "-y", "--yes", action="store_true", help="send it this once although a budget does not cover it")
    say(group, "--no-stream", action="store_true", help="ask for the answer in one piece")
    say(group, "-q", "--quiet", action="store_true", help="hide the answer, keep the status line")
    say(group, "--verbatim", action="store_true", help="send {{ }} as it stands")


def _add_of_question(say: Callable[..., None], group: Any, read: _Read) -> None:
    say(group, "--top-p", metavar="X", type=read.number, help="sample from the likeliest words that make up this share")
    say(group, "--max-tokens", metavar="N", type=read.count, help="the longest answer, in tokens")
    say(group, "--seed", metavar="N", type=read.integer, help="the same answer again, where the model supports it")
    say(group, "--stop", metavar="TEXT", action="append", type=read.texts,
        help="end the answer before TEXT; may be repeated")  # fmt: skip
    say(group, "-p", "--param", metavar="K=V", action="append", type=read.pair,
        help="any other request field; V is JSON if it parses; dotted keys nest")  # fmt: skip
    say(group, "--hide-reasoning", action="store_true", help="do not show the thinking; it is in reply.reasoning")
    say(group, "--new", action="store_true", help="begin the conversation anew: what was before is set aside")
    say(group, "--context", metavar="N", type=read.cells,
        help=f"send the N code cells that ran before along, with short results; at most {MOST_CELLS}")  # fmt: skip


def _add_of_route(say: Callable[..., None], group: Any, read: _Read) -> None:
    say(group, "--fallback", metavar="ID", action="append", type=read.texts,
        help="the model to ask where the one before fails, local:NAME where nobody is reached, or none")  # fmt: skip
    say(group, "--provider", metavar="NAME", action="append", type=read.texts,
        help="only this provider; may be repeated")  # fmt: skip
    say(group, "--sort", metavar="BY", type=read.one_of(SORTS), choices=SORTS,
        help="prefer providers by price, throughput or latency")  # fmt: skip
    say(group, "--zdr", action="store_true", help="only providers that keep no data (zero data retention)")


def split_line(line: str) -> list[str]:
    """Return the words of the line.

    Raises:
        OptionError: a quote is open, or a word is a key's option.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise OptionError(
            f"A quote in {line!r} has no partner. Nothing was sent. Put the value in double quotes."
        ) from None
    if any(word.partition("=")[0] in _KEY_WORDS for word in words):
        raise OptionError(
            "A key is never an option: notebooks and the history would keep it. Say %or key --set, or set "
            "OPENROUTER_API_KEY in the environment or in a .env file."
        )
    return words


def about_stray(word: str, known: list[str]) -> str:
    """Return the sentence about a word that has no place."""
    if word.startswith("-"):
        return f"{word} is not an option.{closest(word.partition('=')[0], known)} Nothing was sent. See %or help."
    return f"{word!r} is one word too many. Nothing was sent. The prompt goes below the first line; quote long values."


def is_name(word: object) -> bool:
    """Whether it can name a conversation: one line that can be seen."""
    return isinstance(word, str) and word.isprintable() and bool(word.strip())


def _number(value: Any, word: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{word!r} is not a number")
    return found


def _integer(value: Any, word: str, least: float = float("-inf"), noun: str = "a whole number") -> int:
    value = plain(value)
    exact = isinstance(value, int) or (isinstance(value, str) and value.strip("+-").isdecimal())
    try:
        # Through a float for 1e3, but not where that would cost digits.
        found = int(value) if exact else int(float(value))
        if (not exact and found != float(value)) or found < least:
            raise ValueError(word)
    except (TypeError, ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{word!r} is not {noun}") from None
    return found


def _choice(value: Any, words: Sequence[str]) -> str:
    if value not in words:
        raise argparse.ArgumentTypeError(f"{value!r} is not one of {', '.join(words)}")
    return str(value)


def _identifier(word: str) -> str:
    if not word.isidentifier() or keyword.iskeyword(word):
        raise argparse.ArgumentTypeError(f"{word!r} is not a name for a variable")
    return word


def _pair(word: str, resolve: Resolve) -> tuple[list[str], Any]:
    names, equals, value = word.partition("=")
    if not equals or not all(names.split(".")):
        raise argparse.ArgumentTypeError(f"{word!r} is not K=V")
    resolved = plain(resolve(value))
    if resolved is value:
        try:
            resolved = json.loads(value)
        except ValueError:
            resolved = value
    return names.split("."), resolved


def put(params: dict[str, Any], names: list[str], value: Any) -> None:
    """Put ``value`` into nested params.

    Raises:
        OptionError: something else is there already.
    """
    *path, last = names
    for name in path:
        inner = params.setdefault(name, {})
        if not isinstance(inner, dict):
            raise OptionError(f"-p {'.'.join(names)}: {name} has a value already. Nothing was sent.")
        params = inner
    params[last] = value
