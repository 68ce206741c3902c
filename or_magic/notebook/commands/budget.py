"""``%or budget``: what may be spent, and what of it is; sets and takes off budgets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ... import neutral
from ...budget import Standing, amount, parse_usd
from ...config_file import FILE_NAME, write_entry, write_setting
from ...errors import LedgerError, OptionError
from ...setting_kinds import BUDGETS
from .command import Command, Parser, say

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

_SCOPES = {scope: name for name, scope in BUDGETS.items()}
_EXAMPLE = "For example: %or budget --day 5, or %or budget --tag thesis=20"


def budget(face: Face, rest: str) -> None:
    """Say how every budget stands; or set some, for this kernel or, with ``--save``, for every one."""
    said = _read(rest)
    engine = face.session().engine
    changes, tags = _changes(said, engine)
    if changes or tags:
        if said.save:  # first: what cannot be saved changes nothing
            _save(engine, changes, tags)
        _set(face, engine, changes, tags)
    try:
        lines = list(_lines(face.session().engine))
    except LedgerError as error:
        if not (changes or tags):
            raise
        lines = [f"That is set; how much of it is spent cannot be looked up now. {error}"]
    say("\n".join(lines) or f"No budget holds. {_EXAMPLE}")


def _read(rest: str) -> argparse.Namespace:
    parser = Parser()
    for scope in _SCOPES:
        parser.add_argument(f"--{scope}", metavar="USD")
    parser.add_argument("--tag", metavar="NAME=USD", action="append", default=[])
    parser.add_argument("--save", action="store_true")
    said = parser.read("" if rest.strip() == "off" else rest)
    said.off = rest.strip() == "off"
    return said


def _changes(said: argparse.Namespace, engine: Engine) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings and the tags that change, as text; ``off`` is one."""
    changes = {name: value for scope, name in _SCOPES.items() if (value := getattr(said, scope)) is not None}
    tags = {}
    for pair in said.tag:
        name, equals, value = pair.rpartition("=")
        if not equals or not name:
            raise OptionError(f"{pair!r} is not NAME=USD. Nothing was changed. {_EXAMPLE}")
        tags[name] = value
    if said.off:
        return dict.fromkeys(BUDGETS, "off"), dict.fromkeys(engine.settings.budgets.tags, "off")
    for value in (*changes.values(), *tags.values()):
        try:
            parse_usd(value)
        except ValueError as error:
            raise OptionError(f"{error}. Nothing was changed.") from None
    if said.save and not (changes or tags):
        raise OptionError(f"--save keeps what is set with it. Nothing was changed. {_EXAMPLE}")
    return changes, tags


def _set(face: Face, engine: Engine, changes: Mapping[str, str], tags: Mapping[str, str]) -> None:
    chosen: dict[str, object] = dict(changes)
    if tags:
        chosen["tag_budgets"] = {**engine.settings.budgets.tags, **tags}
    face.set_quietly(chosen)


def _save(engine: Engine, changes: Mapping[str, str], tags: Mapping[str, str]) -> None:
    home = engine.settings.home
    for name, value in changes.items():
        write_setting(home, name, None if parse_usd(value) is None else value)
    for tag, value in tags.items():
        write_entry(home, "tag_budgets", tag, None if parse_usd(value) is None else value)
    say(f"Saved in {home / FILE_NAME}.")


def _lines(engine: Engine) -> Iterator[str]:
    standings = engine.standings()
    width = max([len(_name(standing)) for standing in standings], default=0)
    for standing in standings:
        held = f" · {amount(standing.held_usd)} held" if standing.held_usd else ""
        simulated = " simulated" if engine.simulated else ""
        left = f"{amount(standing.left_usd)} left" if standing.left_usd > 0 else "nothing left"
        yield (
            f"{_name(standing):<{width}}  {amount(standing.spent_usd)} of {amount(standing.limit.usd)}{simulated} spent"
            f"{held} · {left}"
        )


def _name(standing: Standing) -> str:
    limit = standing.limit
    return f"tag {neutral.line(limit.key)}" if limit.scope == "tag" else limit.scope


COMMANDS = {
    "budget": Command(
        budget,
        "budget [off] [--session USD] [--day USD] [--week USD] [--total USD] [--tag NAME=USD] [--save]",
        "how much may be spent, and how much of it is",
        ("--session", "--day", "--week", "--total", "--tag", "--save"),
    ),
}
