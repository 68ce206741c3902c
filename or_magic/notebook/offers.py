"""What may be typed next on a line of the magic: options, values, commands, models, names. It asks nobody."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from ..gateway.catalog import Model
from ..options import arguments
from ..options.presets import SHIPPED
from ..rules import RULES, Rule

if TYPE_CHECKING:
    from .commands.command import Command

_MOST_FILES = 500
_LONGEST_ABOUT = 60
_ATTACHING = ("-a", "--attach", "--image")
_VARIABLE = re.compile(r"(?:^|[=\"'])(\$\w*)$")
_FILE = re.compile(r"(?:^|=)(@\S*)$")
_OPTION_OF_USAGE = re.compile(r"(--[\w-]+)(?: ([^\s\[\]|-][^\s\[\]]*))?")


class Offer(NamedTuple):
    """A text that fits, and what people are told about it."""

    text: str
    about: str = ""


class Offers(NamedTuple):
    """What fits instead of ``fragment``, the last letters before the cursor."""

    fragment: str = ""
    found: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What can be offered, as far as it is known without asking."""

    models: Iterable[Model] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    tags: Iterable[str] = ()
    providers: Iterable[str] = ()
    chats: Iterable[str] = ()
    presets: Iterable[str] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)


class _Option(NamedTuple):
    metavar: str = ""
    choices: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True, slots=True)
class _Grammar:
    """The words that a line takes: placeholders or literal words by position, and options by name."""

    positions: tuple[str, ...]
    options: Mapping[str, _Option]
    of_call: bool = False  # whether $name and @file are resolved


def of_cell(before: str, known: Known) -> Offers:
    """Return what fits after ``before``, the first line of a cell without the magic's name."""
    return _fitting(before, _cell_grammar(), known)


def of_command(before: str, commands: Mapping[str, Command], known: Known) -> Offers:
    """Return what fits after ``before``, a line without the magic's name."""
    name, space, rest = before.partition(" ")
    if not space:
        return _starting(name, (Offer(word, _brief(command.does, ";:(,")) for word, command in commands.items()))
    command = commands.get(name)
    return Offers() if command is None else _fitting(rest.lstrip(), _grammar(command), known)


def about_model(model: Model) -> str:
    """Return a model's prices per million tokens, context and abilities, as far as they are known."""
    usd = model.prices.usd
    if not model.prices.known():
        price = "price varies"
    elif not (usd["prompt"] or usd["completion"]):
        price = "$0"
    else:
        price = "/".join([_per_million(usd[name]) for name in ("prompt", "completion")])
    abilities = {
        "vision": "image" in model.input_modalities,
        "audio": "audio" in model.input_modalities,
        "tools": "tools" in model.supported,
        "reasoning": "reasoning" in model.supported,
        "pictures": "image" in model.output_modalities,
    }
    words = " ".join([name for name, can in abilities.items() if can])
    return " · ".join([text for text in (price, _short(model.context_tokens), words) if text])


def _fitting(before: str, grammar: _Grammar, known: Known) -> Offers:
    split = None if "TEXT" in grammar.positions else _split(before)
    if split is None:  # prose, or inside quotes
        return Offers()
    words, word = split
    found = _resolved(word, known) if grammar.of_call else None
    return found or _valued(words, word, grammar, known) or _named(words, word, grammar, known)


def _resolved(word: str, known: Known) -> Offers | None:
    """Return what ``$`` and ``@`` may become."""
    if found := _VARIABLE.search(word):
        return _starting(found[1], (Offer(f"${name}", type(v).__name__) for name, v in known.variables.items()))
    if found := _FILE.search(word):
        return _starting(found[1], _files(found[1][1:], "@"))
    return None


def _valued(words: list[str], word: str, grammar: _Grammar, known: Known) -> Offers | None:
    """Return what may be the value of an option, as ``--name value`` or ``--name=value``."""
    option = grammar.options.get(words[-1]) if words else None
    if option is not None and option.metavar:
        return _starting(word, _values(words[-1], option, known, word))
    name, equals, value = word.partition("=")
    option = grammar.options.get(name) if equals else None
    return None if option is None else _starting(value, _values(name, option, known, value))


def _named(words: list[str], word: str, grammar: _Grammar, known: Known) -> Offers:
    """Return the options, and what may stand at this position."""
    if word.startswith("-"):
        return _starting(word, _names(grammar, short=word == "-"))
    taken = _taken(words, grammar)
    place = grammar.positions[taken] if taken < len(grammar.positions) else ""
    names = [] if word else _names(grammar, short=False)
    return _starting(word, [*_placed(place, known), *names])


def _taken(words: list[str], grammar: _Grammar) -> int:
    """Return how many positions are filled; ``-m`` fills that of the model."""
    count, value_next = 0, False
    for word in words:
        if value_next:
            value_next = False
            continue
        name, equals, _ = word.partition("=")
        option = grammar.options.get(name)
        value_next = option is not None and bool(option.metavar) and not equals
        count += not word.startswith("-") or name in ("-m", "--model")
    return count


def _split(before: str) -> tuple[list[str], str] | None:
    """Return the finished words and the one that is being typed; None inside quotes."""
    word = re.search(r"\S*$", before)
    typed = word[0] if word else ""
    try:
        return shlex.split(before[: len(before) - len(typed)]), typed
    except ValueError:
        return None


def _starting(fragment: str, offers: Iterable[Offer]) -> Offers:
    """Return the offers that begin with ``fragment``; where none does, those that have it within."""
    sought, every = fragment.lower(), list(offers)
    begun = [offer for offer in every if offer.text.lower().startswith(sought)]
    within = [] if begun or len(sought) < 2 or sought[0] in "-$@" else every
    return Offers(fragment, tuple(begun or [offer for offer in within if sought in offer.text.lower()]))


def _names(grammar: _Grammar, *, short: bool) -> Iterator[Offer]:
    for name, option in grammar.options.items():
        if short or name.startswith("--"):
            yield Offer(name, option.about)


def _values(name: str, option: _Option, known: Known, typed: str) -> Iterable[Offer]:
    if name in _ATTACHING:
        return _files(typed)
    if option.choices:
        return [Offer(choice, option.about) for choice in option.choices]
    if source := _SOURCES_OF_OPTIONS.get(name):
        return source(known)
    return _placed(option.metavar, known)


def _placed(place: str, known: Known) -> Iterable[Offer]:
    """Return what a placeholder of the usage stands for; words in small letters stand for themselves."""
    if sources := [_SOURCES[word](known) for word in place.split("|") if word in _SOURCES]:
        literal = [Offer(word, "as it is") for word in place.split("|") if word.islower()]
        return [*literal, *(offer for source in sources for offer in source)]
    return [Offer(word, "as it is") for word in place.split("|") if word.islower() and word.isalpha()]


def _models(known: Known) -> Iterable[Offer]:
    local = [Offer(f"local:{name}", f"$0 · {address}") for name, address in known.local.items()]
    auto = [Offer(f"auto:{task}", f"chosen for {rule.about}") for task, rule in {**RULES, **known.rules}.items()]
    return [*_aliases(known), *auto, *local, *(Offer(model.id, about_model(model)) for model in known.models)]


def _aliases(known: Known) -> Iterable[Offer]:
    return [Offer(name, f"alias of {model}") for name, model in known.aliases.items()]


def _settings(_known: Known) -> Iterable[Offer]:
    from ..config_file import NAMES

    return [Offer(name, "setting") for name in NAMES]


def _providers(known: Known) -> Iterable[Offer]:
    return [Offer(shlex.quote(provider), "provider") for provider in known.providers]


def _presets(known: Known) -> Iterable[Offer]:
    yours = dict.fromkeys(known.presets, "preset of yours")
    return [Offer(name, about) for name, about in sorted({**dict.fromkeys(SHIPPED, "shipped preset"), **yours}.items())]


def _tags(known: Known) -> Iterable[Offer]:
    return [Offer(shlex.quote(tag), "tag of this session") for tag in known.tags]


def _chats(known: Known) -> Iterable[Offer]:
    return [Offer(shlex.quote(name), "conversation") for name in known.chats]


def _schemas(known: Known) -> Iterable[Offer]:
    from ..schema import kind_of

    kinds = {name: kind for name, value in known.variables.items() if (kind := kind_of(value))}
    classes = [name for name, kind in kinds.items() if kind not in ("list", "JSON Schema")]
    lists = [Offer(f"list[{name}]", f"several {name}") for name in classes]
    return [Offer("json", "any JSON object"), *(Offer(*told) for told in kinds.items()), *lists]


def _columns(_known: Known) -> Iterable[Offer]:
    from ..features.frame import COLUMNS
    from ..features.groups import DERIVED

    return [Offer(name, f"by {name}") for name in DERIVED] + [Offer(name, "column of the ledger") for name in COLUMNS]


def _pictures(known: Known) -> Iterable[Offer]:
    return [Offer("latency", "how long answers took"), Offer("speed", "tokens per second"), *_columns(known)]


_SOURCES: Mapping[str, Callable[[Known], Iterable[Offer]]] = {
    "MODEL": _models,
    "ID": _models,
    "QUERY": _models,
    "LABEL": _tags,
    "COLUMN": _columns,
    "PICTURE": _pictures,
    "chat NAME": _chats,
    "alias NAME": _aliases,  # any other NAME is free
    "preset NAME": _presets,
    "config NAME": _settings,
}
_SOURCES_OF_OPTIONS = {
    "-c": _chats,
    "--chat": _chats,
    "--schema": _schemas,
    "--provider": _providers,
    "--preset": _presets,
}


@functools.cache
def _cell_grammar() -> _Grammar:
    options: dict[str, _Option] = {}
    for argument in arguments():
        about = _brief(argument.help, ";:(")
        for name in argument.names:
            if name.startswith("-"):
                options[name] = _Option(argument.metavar, argument.choices, about)
    return _Grammar(("MODEL",), options, of_call=True)


def _grammar(command: Command) -> _Grammar:
    """Return what a command's usage says: its placeholders in order, and the options with their values."""
    name, _, usage = command.usage.partition(" ")
    # A front end calls an option of which nothing is told "unknown".
    options = {option: _Option(about="option") for option in command.options}
    options |= {
        option: _Option(metavar, about=metavar or "option") for option, metavar in _OPTION_OF_USAGE.findall(usage)
    }
    words = _OPTION_OF_USAGE.sub(" ", usage).replace("[", " ").replace("]", " ").split()
    positions = tuple(f"{name} NAME" if word == "NAME" else word for word in words)
    if "options" not in positions:
        return _Grammar(positions, options)
    cell = _cell_grammar()
    others = tuple(word for word in positions if word != "options")
    return _Grammar((*others, *cell.positions), {**options, **cell.options}, of_call=True)


def _brief(text: str, ends: str) -> str:
    """Return the first phrase: a popup has room for a few words."""
    return re.split(f"[{re.escape(ends)}]", text)[0].strip()[:_LONGEST_ABOUT]


def _files(typed: str, mark: str = "") -> Iterator[Offer]:
    """Return the files of one folder; names with spaces or quotes would need quoting, and are left out."""
    folder, _, begun = typed.rpartition("/")
    at = f"{folder}/" if "/" in typed else ""
    for name, is_folder in _entries(os.path.expanduser(at) or "."):
        plain = name.isprintable() and not set(name) & set(" \"'\\")
        if plain and (begun.startswith(".") or not name.startswith(".")):
            yield Offer(f"{mark}{at}{name}{'/' * is_folder}", "folder" if is_folder else "file")


def _entries(folder: str) -> list[tuple[str, bool]]:
    """Return the first names in a folder, and whether each is one itself; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.is_dir()) for entry, _ in zip(entries, range(_MOST_FILES), strict=False)]
    except OSError:
        return []


def _per_million(usd: Decimal) -> str:
    amount = usd.scaleb(6)
    return f"${amount.quantize(Decimal('0.0001')).normalize():f}" if amount else "$0"


def _short(tokens: int | None) -> str:
    if tokens is None:
        return ""
    return f"{tokens / 1e6:.3g}M" if tokens >= 1e6 else f"{tokens / 1000:.0f}k"
