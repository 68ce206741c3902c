"""``%or preset``: options kept under a name, in the config file where a person can read and change them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ... import neutral
from ...config_file import FILE_NAME, PRESETS, read_config, write_preset
from ...errors import OptionError
from ...options import closest, format_line, parse_line
from ...options.presets import SHIPPED, Table, check_name, find, format_preset, parse_preset
from ...secrets import WHERE_KEYS_GO, looks_like_key
from ...template import Literal
from ..cell import resolve
from .command import Command, say

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

_VERBS = ("list", "show", "save", "delete")
_EXAMPLE = "For example: %or preset save reviewer -t 0.2 -s @review.md"
_SHORT = 100


def preset(face: Face, rest: str) -> None:
    """List, show, save or delete presets.

    Raises:
        OptionError: the line cannot be read, or there is no such preset; nothing was changed.
    """
    if looks_like_key(rest):  # said before anything repeats the line
        raise OptionError(f"That looks like a key, and is in IPython's history now: replace it. {WHERE_KEYS_GO}")
    found = re.match(r"(\S*)\s*(\S*)\s*(.*)", rest, re.DOTALL)
    verb, name, line = found.groups() if found else ("", "", "")
    if verb not in ("", *_VERBS):
        raise OptionError(f"{verb!r} is nothing that preset does.{closest(verb, list(_VERBS))} {_EXAMPLE}")
    if bool(name) == (verb in ("", "list")) or (line and verb != "save"):
        raise OptionError(f"preset takes list, show NAME, save NAME options, or delete NAME. {_EXAMPLE}")
    engine = face.session().engine
    if verb == "show":
        _show(engine, name)
    elif verb == "save":
        check_name(name)
        options = parse_line(line, lambda word: resolve(word, face.shell.user_ns))
        if isinstance(options.system, Literal) and "{{" in options.system:
            raise OptionError(
                "The system prompt comes from a variable or a file and holds {{, which a preset would evaluate "
                "wherever it is used. Nothing was changed. Write it on the line, or take the braces out."
            )
        _save(engine, name, format_preset(options))
    elif verb == "delete":
        _delete(engine, name)
    else:
        _list(engine)


def _list(engine: Engine) -> None:
    saved = engine.settings.presets
    told = [(name, "shipped") for name in SHIPPED if name not in saved] + [(name, "yours") for name in saved]
    width = max([len(name) for name, _ in told])
    lines = [f"{neutral.line(name):<{width}}  {whose:<7}  {_brief(find(name, saved))}" for name, whose in sorted(told)]
    say("\n".join([*lines, f"\nUse one with --preset NAME. {_EXAMPLE}"]))


def _brief(table: Table) -> str:
    line = " ".join([f"{name}={value}" for name, value in table.items()])
    line = neutral.line(" ".join(line.split()))
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


def _show(engine: Engine, name: str) -> None:
    """Print what a preset says, a long text as it is, and the line that says the same."""
    table = find(name, engine.settings.presets)
    whose = f"in {engine.settings.config}" if name in engine.settings.presets else "shipped with or_magic"
    lines = [
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in table.items()
    ]
    say(neutral.plain("\n".join([f"{name}, {whose}", *lines, "", f"%%or {format_line(parse_preset(name, table))}"])))


def _save(engine: Engine, name: str, table: Table) -> None:
    from ... import api

    if not table:
        raise OptionError(f"There is nothing to save: name some options. Nothing was changed. {_EXAMPLE}")
    home = engine.settings.home
    before = read_config(home).settings.get(PRESETS, {})
    changed = write_preset(home, name, table)
    api.reread()
    if not changed:
        say(f"The preset {name} says that already; nothing was changed.")
    else:
        # Without the folder, which %or config tells: a saved notebook names no place of the machine it ran on.
        say(f"The preset {name} is {'changed' if name in before else 'saved'} in {FILE_NAME}: --preset {name}")
    if name not in engine.settings.presets:
        say("But it is not used here: " + " ".join(engine.settings.warnings))


def _delete(engine: Engine, name: str) -> None:
    from ... import api

    home = engine.settings.home
    saved = read_config(home).settings.get(PRESETS, {})
    if name not in saved:
        told = closest(name, sorted(saved)) if saved else " None is saved."
        shipped = " It is shipped with or_magic, and stays." if name in SHIPPED else told
        raise OptionError(f"There is no saved preset {name!r}.{shipped} Nothing was changed.")
    write_preset(home, name, None)
    api.reread()
    left = f" {name} is the shipped one again." if name in SHIPPED else ""
    say(f"The preset {name} is deleted.{left}")


COMMANDS = {
    "preset": Command(
        preset, "preset [list|show|save|delete] [NAME] [options]", "options under a name, kept in the config file"
    ),
}
