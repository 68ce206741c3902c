"""The config file: settings and aliases in TOML, read at connecting and written without losing a comment."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OptionError, SettingsError
from .options import presets
from .paths import short_path
from .private_folder import make_private_folder
from .secrets import WHERE_KEYS_GO, looks_like_key
from .setting_kinds import PLAIN, TABLES

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

try:
    import fcntl
except ImportError:  # Windows: two kernels that write in the same millisecond may lose one of two changes there
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "config.toml"
NAMES = tuple(PLAIN)
ALIASES, PRESETS = "aliases", "presets"
_KEY_NAMES = frozenset({"key", "api_key", "apikey", "token", "secret", "openrouter_api_key", "openrouter_key"})
_ESCAPED = re.compile(r'[\x00-\x08\x0b-\x1f\x7f\\]|""|"\Z')  # a text that TOML cannot hold as it is
_ALIAS = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says, each setting as its kind; ``warnings`` name what it says in vain."""

    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_config(home: Path) -> Config:
    """Return what the config file in ``home`` says; a missing file says nothing.

    Raises:
        SettingsError: it cannot be read or used, or holds a key; the message names file and line, never the value.
    """
    path = home / FILE_NAME
    text, trouble = _text(path)
    found = None if trouble else _parsed(text)
    if isinstance(found, str):
        trouble = found
    elif found is not None:
        config, trouble = _config(path, found, text)
    if trouble:
        del text, found  # verbose tracebacks print the locals of this frame, and the file may hold a key
        raise SettingsError(f"{short_path(path)}: {trouble} Nothing was sent.")
    return config


def write_setting(home: Path, name: str, value: str | None) -> bool:
    """Set ``name`` in the file, or remove it for None; return whether that changed anything.

    Raises:
        OptionError: there is no such setting, or the value is none for it.
        SettingsError: the file cannot be read or written; it was not changed.
    """
    check_setting(name, value)
    return _write(home, lambda document: _put(document, name, value))


def write_alias(home: Path, name: str, model: str | None) -> bool:
    """Let ``name`` mean ``model`` in the file, or nothing for None; return whether that changed anything.

    Raises:
        OptionError: the name or the model cannot be one.
        SettingsError: the file cannot be read or written; it was not changed.
    """
    if trouble := _about_alias(name, model if model is not None else "a/b"):
        raise OptionError(f"{trouble} Nothing was changed.")
    return _write(home, lambda document: _put_entry(document, ALIASES, name, model))


def write_entry(home: Path, table: str, name: str, value: str | None) -> bool:
    """Set ``name`` in one of ``TABLES``, or remove it for None; return whether that changed anything.

    Raises:
        OptionError: the value is none for it.
        SettingsError: the file cannot be read or written; it was not changed.
    """
    if value is not None and (trouble := _about_value(table, {name: value})):
        raise OptionError(f"{trouble} Nothing was changed.")
    return _write(home, lambda document: _put_entry(document, table, name, value))


def write_preset(home: Path, name: str, table: Mapping[str, Any] | None) -> bool:
    """Keep a preset in the file, or remove it for None; return whether that changed anything.

    Raises:
        OptionError: the name or an option cannot be kept.
        SettingsError: the file cannot be read or written; it was not changed.
    """
    presets.check_name(name)
    trouble = _about_value(PRESETS, {name: table or {}})
    if trouble or _is_key_name(name):
        raise OptionError(f"{trouble or 'That is the name of a key.'} Nothing was changed.")
    return _write(home, lambda document: _put_table(document, PRESETS, name, table))


def check_setting(name: str, value: str | None) -> None:
    """Raise OptionError unless the file may hold ``name`` with this value."""
    if _is_key_name(name):
        raise OptionError(f"A key does not go into the config file. Nothing was changed. {WHERE_KEYS_GO}")
    if name in TABLES:
        raise OptionError(f"{name} is a table: write it into {FILE_NAME} itself, below [{name}]. Nothing was changed.")
    if name not in NAMES:
        raise OptionError(f"{name!r} is not a setting of the config file.{_hint(name)} Nothing was changed.")
    if value is not None and (trouble := _about_value(name, value)):
        raise OptionError(f"{trouble} Nothing was changed.")


def _text(path: Path) -> tuple[str, str | None]:
    try:
        return path.read_bytes().decode("utf-8-sig"), None
    except (FileNotFoundError, NotADirectoryError):
        return "", None
    except UnicodeDecodeError as error:
        return "", f"byte {error.start} is not UTF-8. Save it as UTF-8."
    except OSError as error:
        return "", f"it cannot be read ({error.strerror})."


def _parsed(text: str) -> dict[str, Any] | str:
    try:
        return tomllib.loads(text, parse_float=Decimal)  # money is no float
    except tomllib.TOMLDecodeError as error:
        told = "it is not TOML" if looks_like_key(str(error)) else str(error)
        return f"{told}. Mend or remove it."
    except RecursionError:
        return "it is nested too deeply. Mend or remove it."


def _config(path: Path, told: Mapping[str, Any], text: str) -> tuple[Config, str | None]:
    """Return what is told, and what is wrong with it."""
    if secret := next((name for name in _names(told) if _is_key_name(name)), None):
        return Config(path), f"{_line(text, secret)}a key does not go into this file. {WHERE_KEYS_GO}"
    settings: dict[str, Any] = {}
    for name in [name for name in told if name in (*NAMES, *TABLES)]:
        if trouble := _about_value(name, told[name]):
            return Config(path), f"{_line(text, name)}{trouble}"
        value = {**PLAIN, **TABLES}[name](told[name])
        if value not in ("", ()):
            settings[name] = value
    aliases = told.get(ALIASES, {})
    if not isinstance(aliases, Mapping):
        return Config(path), f'{_line(text, ALIASES)}aliases are a table: [aliases], below it fast = "vendor/model".'
    for name, model in aliases.items():
        if trouble := _about_alias(name, model):
            return Config(path), f"{_line(text, name)}{trouble}"
    unknown = [name for name in told if name not in (*NAMES, *TABLES, ALIASES)]
    warnings = [f"{short_path(path)}: {_line(text, name)}{name!r} is not a setting.{_hint(name)}" for name in unknown]
    warnings += [
        f"{short_path(path)}: {_line(text, name)}{trouble}"
        for name, trouble in presets.broken(settings.get(PRESETS, {}))
    ]
    return Config(path, settings, dict(aliases), tuple(warnings)), None


def _names(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield every name of the file that means a setting; an alias may be called as it likes."""
    for name, value in told.items():
        yield name
        if isinstance(value, Mapping) and name != ALIASES:
            yield from _names(value)


def _is_key_name(name: str) -> bool:
    return name.lower().replace("-", "_") in _KEY_NAMES or looks_like_key(name)


def _about_value(name: str, value: Any) -> str | None:
    if any(looks_like_key(text) for text in _texts(value)):
        return f"The value of {name} looks like a key. {WHERE_KEYS_GO}"
    try:
        {**PLAIN, **TABLES}[name](value)
    except ValueError as error:
        return f"{name}: {error}."
    if name in ("base_url", "ledger") and "@" in str(value).partition("://")[2].partition("/")[0]:
        return "An address with a user and a password does not go into a plain file."
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


def _about_alias(name: str, model: Any) -> str | None:
    if looks_like_key(name) or (isinstance(model, str) and looks_like_key(model)):
        return f"An alias looks like a key. {WHERE_KEYS_GO}"
    if not _ALIAS.fullmatch(name) or name == "offline":
        return f"{name!r} cannot be an alias: it is a word of letters, digits, . - and _, and not the word offline."
    if not isinstance(model, str) or len(model.split()) != 1 or not model.isprintable() or model.startswith("-"):
        return f"The alias {name} is not one model id, as vendor/name."
    return None


def _hint(name: str) -> str:
    if name == "home":
        return " The file lies in the home folder, so OR_MAGIC_HOME says where that is."
    if name.lower() == "alias":
        return f" Did you mean [{ALIASES}]?"
    near = difflib.get_close_matches(name.lower().replace("-", "_"), [*NAMES, *TABLES, ALIASES], 1)
    tables = ", ".join([f"[{name}]" for name in (ALIASES, *TABLES)])
    return f" Did you mean {near[0]!r}?" if near else f" Known are {', '.join(NAMES)} and the tables {tables}."


def _line(text: str, name: str) -> str:
    """Return where a name stands, as the beginning of a sentence; nothing if it is written in an unusual way."""
    own = re.compile(rf"""\s*\[*\s*(?:[\w-]+\s*\.\s*)*["']?{re.escape(name)}["']?\s*[\].=]""")
    found = next((number for number, line in enumerate(text.splitlines(), 1) if own.match(line)), None)
    return f"line {found}: " if found else ""


def _write(home: Path, change: Callable[[TOMLDocument], None]) -> bool:
    """Apply ``change`` to the file, whole or not at all, one process after the other."""
    import tomlkit

    path = home / FILE_NAME
    try:
        make_private_folder(home)
        path = path.resolve()  # a link into somebody's collection of settings stays a link
        with _alone(home):
            read_config(home)  # what is broken is mended by a person, not written over
            before = _text(path)[0]
            document = tomlkit.parse(before)
            change(document)
            after = document.as_string()
            if after == before:
                return False
            _replace(path, after)
    except OSError as error:
        raise SettingsError(f"{short_path(path)} cannot be written ({error.strerror}). It was not changed.") from None
    return True


def _put(document: TOMLDocument, name: str, value: str | None) -> None:
    if value is None:
        document.pop(name, None)
    elif document.get(name) != value:
        document[name] = value


def _put_entry(document: TOMLDocument, table: str, name: str, value: str | None) -> None:
    import tomlkit

    if value is None:
        if table in document:
            document[table].pop(name, None)
        return
    if table not in document:
        document[table] = tomlkit.table()
    if document[table].get(name) != value:
        document[table][name] = value


def _put_table(document: TOMLDocument, table: str, name: str, told: Mapping[str, Any] | None) -> None:
    import tomlkit

    if told is None:
        if table in document:
            document[table].pop(name, None)
        return
    if table not in document:
        document[table] = tomlkit.table(is_super_table=True)
    inline, is_new = isinstance(document[table], tomlkit.items.InlineTable), name not in document[table]
    if is_new:
        document[table][name] = tomlkit.inline_table() if inline else tomlkit.table()
    mine = document[table][name]
    for key in [key for key in mine if key not in told]:
        mine.pop(key)
    for key, value in told.items():
        if mine.get(key) != value:
            mine[key] = _item(value)
    if is_new and not inline:
        mine.add(tomlkit.nl())  # whatever comes next begins after an empty line


def _item(value: Any) -> Any:
    """Return a value as a person would write it: a long text over several lines, money without an exponent."""
    import tomlkit

    if isinstance(value, Decimal):
        return tomlkit.value(f"{value:f}")
    if isinstance(value, str) and "\n" in value and not _ESCAPED.search(value):
        return tomlkit.value(f'"""\n{value}"""')
    return value


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE_NAME}-")  # 0600, whatever the umask
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network disks lock no folder; the replacing is atomic all the same
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
