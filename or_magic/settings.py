"""Settings: what is given, else the environment, else ``.env``, else a default; and where each came from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .addresses import is_loopback
from .errors import OptionError, SettingsError
from .secrets import KEY_NAME, Key, find_key
from .values import Timeouts

OPENROUTER = "https://openrouter.ai/api/v1"
OFFLINE = "offline"
# An alias that OpenRouter keeps pointing at a current, small model: a default that cannot be retired.
DEFAULT_MODEL = "~openai/gpt-mini-latest"

# Setting -> the names it is read from, first wins; the last ones are accepted because other tools use them.
NAMES: dict[str, tuple[str, ...]] = {
    "base_url": ("OPENROUTER_BASE_URL",),
    "model": ("OPENROUTER_DEFAULT_MODEL",),
    "app_url": ("OPENROUTER_APP_URL", "OPENROUTER_HTTP_REFERER", "OPENROUTER_SITE_URL"),
    "app_name": ("OPENROUTER_APP_NAME", "OPENROUTER_X_TITLE", "OPENROUTER_SITE_NAME"),
    "home": ("OR_MAGIC_HOME",),
}
# A .env that also holds the key belongs to an OpenRouter project, so these bare names mean ours.
_BARE = {"model": "DEFAULT_MODEL"}


def _home() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("or_magic"))


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach which gateway, and where the books are."""

    base_url: str = OPENROUTER
    model: str = DEFAULT_MODEL
    app_url: str | None = None
    app_name: str | None = None
    home: Path = field(default_factory=_home)
    key: Key | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def offline(self) -> bool:
        """Whether the embedded simulator was chosen."""
        return self.base_url == OFFLINE

    @property
    def gateway(self) -> str:
        """The name of the gateway in the ledger: openrouter, offline, or a host."""
        if self.offline:
            return OFFLINE
        address = urlsplit(self.base_url)
        if address.hostname == "openrouter.ai":
            return "openrouter"
        return f"{address.hostname}:{address.port}" if address.port else str(address.hostname)

    @property
    def lacks_key(self) -> bool:
        """Whether nothing can be asked: no key, and no other gateway was named."""
        return self.key is None and self.base_url == OPENROUTER


def load_settings(
    given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """Return the settings for this process; ``folder`` is where the search for a ``.env`` begins.

    Raises:
        OptionError: ``given`` has a name that is no setting.
        SettingsError: a value cannot be used.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    environ = os.environ if environ is None else environ
    path, dotenv = read_dotenv(folder or _here())
    _check_names(given)
    found, sources = {}, {}
    for name, spellings in NAMES.items():
        value, source = _first(name, spellings, given, environ, dotenv)
        if value is not None:
            found[name], sources[name] = value, source if source != ".env" else str(path)
    if given.get("offline"):
        found["base_url"], sources["base_url"] = OFFLINE, "given"
    if "home" in found:
        found["home"] = Path(found["home"]).expanduser()
    if "timeouts" in given:
        found["timeouts"] = given["timeouts"]
    found["base_url"] = str(found.get("base_url", OPENROUTER)).rstrip("/")
    key = None if found["base_url"] == OFFLINE else find_key(environ, dotenv)
    settings = Settings(**found, key=key, sources=sources)
    _check_url(settings)
    return settings


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder is gone
        return Path("/")


def read_dotenv(folder: Path) -> tuple[Path | None, Mapping[str, str]]:
    """Return the nearest ``.env``, from ``folder`` up to the folder that holds ``.git``, and what it sets."""
    for place in (folder, *folder.parents):
        path = place / ".env"
        if path.is_file():
            return path, _parse_dotenv(path)
        if (place / ".git").exists():
            break
    return None, {}


def _parse_dotenv(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}. Nothing was sent. Save it as UTF-8.") from None


def _first(
    name: str,
    spellings: tuple[str, ...],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
) -> tuple[Any, str]:
    if name in given:
        return given[name], "given"
    for source, values in (("environment", environ), (".env", dotenv)):
        for spelling in spellings:
            if values.get(spelling):
                return values[spelling], source
    bare = _BARE.get(name)
    if bare and KEY_NAME in dotenv and dotenv.get(bare):
        return dotenv[bare], ".env"
    return None, ""


def _check_names(given: Mapping[str, Any]) -> None:
    known = [*NAMES, "offline", "timeouts"]
    for name in given:
        if name in {"api_key", "key"}:
            raise OptionError(
                f"{name!r} is not an option: keys in code end up in notebooks. Set {KEY_NAME} in the environment or "
                "in a .env file, or pass a client of your own: connect(client=openai.OpenAI(...))."
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known are {', '.join(known)}."
            raise OptionError(f"{name!r} is not a setting.{hint}")


def _check_url(settings: Settings) -> None:
    if settings.offline:
        return
    try:
        address = urlsplit(settings.base_url)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if not usable or not address.hostname:
        raise SettingsError(
            f"The base URL {settings.base_url!r} is no http(s) address. Nothing was sent. "
            f"Use {OPENROUTER}, the address of another server, or the word offline."
        )
    if settings.key and address.scheme == "http" and not is_loopback(address.hostname):
        raise SettingsError(
            f"The key would travel unencrypted to {address.hostname}. Nothing was sent. Use https for this base URL."
        )
