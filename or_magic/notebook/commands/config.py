"""``%or config`` and ``%or alias``: what is set and where it comes from; what the config file says is changed here."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ... import neutral
from ...addresses import without_password
from ...budget import amount
from ...config_file import ALIASES, FILE_NAME, check_setting, read_config, write_alias, write_setting
from ...engine.choosing import is_auto
from ...errors import OptionError
from ...secrets import WHERE_KEYS_GO, looks_like_key
from ...setting_kinds import BUDGETS, PLAIN, Pace
from ...settings import Settings, check_url
from .command import Command, Parser, say

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

_OF_A_SESSION = {"base_url": "gateway", "ledger": "ledger"}
_SHOWN = ("model", "base_url", "app_url", "app_name", "home")


def config(face: Face, rest: str) -> None:
    """Show every setting and its source; or write one to the config file."""
    told = _read(rest, "NAME", "VALUE", "--unset")
    engine = face.session().engine
    if told.NAME is None:
        say(_table(_rows(engine.settings)))
        say(_about_file(engine.settings))
        return
    if told.unset == bool(told.VALUE):
        raise OptionError(f"config takes a name and a value, or a name and --unset. Nothing was changed. {_EXAMPLE}")
    _write(engine, told.NAME, None if told.unset else " ".join(told.VALUE))


def alias(face: Face, rest: str) -> None:
    """List the aliases; or save or delete one."""
    told = _read(rest, "NAME", "ID", "--delete")
    engine = face.session().engine
    if told.NAME is None:
        say(_table(_alias_rows(engine.settings)) or f"There are no aliases. {_ALIAS_EXAMPLE}")
        return
    if told.delete == bool(told.ID) or len(told.ID) > 1:
        raise OptionError(f"alias takes a name and a model id, or a name and --delete. {_ALIAS_EXAMPLE}")
    if told.delete:
        _delete_alias(engine, told.NAME)
    else:
        _save_alias(engine, told.NAME, told.ID[0])


_EXAMPLE = "For example: %or config model anthropic/claude-sonnet-4.6"
_ALIAS_EXAMPLE = "For example: %or alias fast openai/gpt-5-mini"


def _read(rest: str, name: str, value: str, flag: str) -> argparse.Namespace:
    if looks_like_key(rest):  # said before anything repeats the line
        raise OptionError(f"That looks like a key, and is in IPython's history now: replace it. {WHERE_KEYS_GO}")
    parser = Parser()
    parser.add_argument(name, nargs="?")
    parser.add_argument(value, nargs="*")
    parser.add_argument(flag, action="store_true")
    return parser.read(rest)


def _write(engine: Engine, name: str, value: str | None) -> None:
    from ... import api

    settings = engine.settings
    check_setting(name, value)
    if name == "base_url" and value is not None:
        check_url(replace(settings, base_url=value.rstrip("/"), sources={}))
    changed = write_setting(settings.home, name, value)
    path = settings.home / FILE_NAME
    if value is None:
        say(f"{name} is removed from {path}." if changed else f"{name} is not in {path}; nothing was changed.")
    else:
        say(f"{name} is saved in {path}." + _unknown(engine, name, value))
    api.reread()
    _say_what_holds(engine.settings, name, value)


def _say_what_holds(settings: Settings, name: str, value: str | None) -> None:
    """Say what is in force, if it is not what was just saved."""
    source = settings.sources.get(name)
    if value is None or _in_force(settings, name) == PLAIN[name](value.rstrip("/" if name == "base_url" else None)):
        return
    if name in _OF_A_SESSION:
        say(f"This session keeps its {_OF_A_SESSION[name]}; a new kernel begins with the saved one.")
    if source not in (None, "no key", str(settings.config)):
        told = "another" if name == "ledger" else without_password(_words(_in_force(settings, name)))
        say(f"But {name} is {told} here: {source} wins over the file.")


def _in_force(settings: Settings, name: str) -> object:
    if name in BUDGETS:
        return getattr(settings.budgets, BUDGETS[name])
    return None if name == "ledger" else getattr(settings, name)


def _words(value: object) -> str:
    if isinstance(value, Decimal):
        return amount(value)
    return ", ".join(value) if isinstance(value, tuple) else "not set" if value is None else str(value)


def _unknown(engine: Engine, name: str, value: str) -> str:
    if (
        name != "model"
        or is_auto(engine.settings.resolve(value))
        or engine.catalog.models().find(engine.settings.resolve(value)) is not None
    ):
        return ""
    return " The catalogue does not know this model (it may lag behind)."


def _save_alias(engine: Engine, name: str, model: str) -> None:
    from ... import api

    meant = engine.settings.aliases.get(model)
    if meant is not None:
        raise OptionError(f"{model} is an alias itself. Nothing was changed. Did you mean: %or alias {name} {meant}")
    write_alias(engine.settings.home, name, model)
    api.reread()
    say(f"{name} now stands for {model}, here and in new kernels.{_unknown(engine, 'model', model)}")
    if engine.settings.aliases.get(name) != model:
        source = engine.settings.sources.get(f"{ALIASES}.{name}")
        say(f"But here {name} is {engine.settings.aliases.get(name)}: {source} wins over the file.")


def _delete_alias(engine: Engine, name: str) -> None:
    from ... import api

    settings = engine.settings
    saved = read_config(settings.home).aliases
    if name not in saved:
        if name in settings.aliases:
            raise OptionError(
                f"The alias {name} comes from {settings.sources.get(f'{ALIASES}.{name}')}: change it there."
            )
        near = difflib.get_close_matches(name, saved, 1)
        known = f" Known are {', '.join(saved)}." if saved else " There are none."
        raise OptionError(f"There is no alias {name!r}.{f' Did you mean {near[0]!r}?' if near else known}")
    write_alias(settings.home, name, None)
    api.reread()
    say(f"The alias {name} is deleted; it stood for {saved[name]}.")


def _rows(settings: Settings) -> list[tuple[str, str, str]]:
    rows = [(name, _shown(settings, name), settings.sources.get(name, "default")) for name in _SHOWN]
    rows += _more_rows(settings)
    key = ("key", "set", settings.key.source) if settings.key else ("key", "not set", "")
    return [*rows, key, *[(f"alias {name}", model, source) for name, model, source in _alias_rows(settings)]]


def _more_rows(settings: Settings) -> list[tuple[str, str, str]]:
    """Return what has no value until somebody gives it one."""
    usd = {name: getattr(settings.budgets, scope) for name, scope in BUDGETS.items()}
    told = {name: amount(value) for name, value in usd.items() if value is not None}
    told |= {"fallback_models": ", ".join(settings.fallback_models)} if settings.fallback_models else {}
    told |= {
        name: str(getattr(settings, name)).lower()
        for name in ("fallback_sticky", "retries", "circuit_breaker", "context_policy")
        if name in settings.sources
    }
    told |= {"ledger": "a database"} if settings.ledger is not None else {}  # its address may hold a password
    rows = [(name, neutral.line(value), settings.sources.get(name, "default")) for name, value in told.items()]
    tables = {
        "tag_budgets": [(f"budget of tag {tag}", amount(value)) for tag, value in settings.budgets.tags.items()],
        "local": [(f"local:{name}", server.base_url) for name, server in settings.local.items()],
        "rate_limits": [(f"rate limit of {model}", _pace(pace)) for model, pace in settings.rate_limits.items()],
    }
    for table, entries in tables.items():
        rows += [(neutral.line(name), neutral.line(value), settings.sources.get(table, "")) for name, value in entries]
    return rows


def _pace(pace: Pace) -> str:
    told = [f"{count:,} {what}" for count, what in ((pace.requests, "requests"), (pace.tokens, "tokens")) if count]
    return f"{' and '.join(told) or 'nothing limited'} a minute"


def _shown(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "model" and value in settings.aliases:
        return f"{value} = {settings.aliases[value]}"
    return "not set" if value is None else without_password(str(value))


def _alias_rows(settings: Settings) -> list[tuple[str, str, str]]:
    sources: Mapping[str, str] = settings.sources
    return [(name, model, sources.get(f"{ALIASES}.{name}", "")) for name, model in sorted(settings.aliases.items())]


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    rows = list(rows)
    first, second = (max([len(row[n]) for row in rows], default=0) + 2 for n in (0, 1))
    return "\n".join([f"{name:<{first}}{value:<{second}}{source}".rstrip() for name, value, source in rows])


def _about_file(settings: Settings) -> str:
    path = settings.home / FILE_NAME
    there = "" if path.exists() else " (not there yet: %or config NAME VALUE makes it)"
    return "\n".join([f"\nThe config file is {path}{there}.", *settings.warnings])


COMMANDS = {
    "config": Command(
        config, "config [NAME VALUE|NAME --unset]", "every setting and its source; saves one in the file", ("--unset",)
    ),
    "alias": Command(alias, "alias [NAME ID|NAME --delete]", "short names for models", ("--delete",)),
}
