"""Settings: what is given, else the environment, ``.env``, the config file, a default; and where each came from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .addresses import is_loopback, without_password
from .budget import Budgets
from .config_file import ALIASES, Config, read_config
from .dotenv_file import read_dotenv
from .errors import OptionError, SettingsError
from .paths import short_path
from .rules import Rule
from .secrets import WHERE_KEYS_GO, Key, Secret, Variables, find_key, stored_key
from .setting_kinds import BUDGETS, PLAIN, TABLES, TEXTS, LocalServer, Pace
from .setting_places import BARE_ALIASES, NAMES, UNNAMED, Places
from .values import Timeouts

OPENROUTER = "https://openrouter.ai/api/v1"
OFFLINE = "offline"
# An alias that OpenRouter keeps pointing at a current, small model: a default that cannot be retired.
DEFAULT_MODEL = "~openai/gpt-mini-latest"

_IN_CODE = ("given", "%config")


def _home() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("or_magic"))


class SettingsWarning(UserWarning):
    """A setting that is written down but means nothing, or a place where a key could not be looked for."""


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
    aliases: Mapping[str, str] = field(default_factory=dict)
    budgets: Budgets = field(default_factory=Budgets)
    fallback_models: tuple[str, ...] = ()
    fallback_sticky: bool = False
    retries: int = 3
    circuit_breaker: bool = True
    context_policy: str = "error"
    local: Mapping[str, LocalServer] = field(default_factory=dict)
    rate_limits: Mapping[str, Pace] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    choose: Mapping[str, Rule] = field(default_factory=dict)
    ledger: Secret | None = None  # an address may hold a password
    sources: Mapping[str, str] = field(default_factory=dict)
    dotenv: Path | None = None
    config: Path | None = None
    warnings: tuple[str, ...] = ()

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

    def resolve(self, name: str | None) -> str:
        """Return the model id that ``name`` means; the default model without a name."""
        name = name or self.model
        return self.aliases.get(name, name)

    @property
    def lacks_key(self) -> bool:
        """Whether nothing can be asked: no key, and no other gateway was named."""
        return self.key is None and self.base_url == OPENROUTER


def load_settings(
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    *,
    key: Key | None = None,
    keyless: bool = False,
    giver: str = "given",
) -> Settings:
    """Return the settings for this process.

    Args:
        given: what wins over everything else.
        environ: the environment.
        folder: where the search for a ``.env`` begins.
        key: a key that wins over all that can be found.
        keyless: no key will be needed, so that no keyring has to be opened.
        giver: what ``given`` is called in ``sources``.

    Raises:
        OptionError: ``given`` has a name that is no setting.
        SettingsError: a value cannot be used.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    _check_names(given)
    path, dotenv = read_dotenv(folder or _here())
    places = Places(given, giver, Variables(os.environ if environ is None else environ), path, dotenv)
    home, home_source = places.first("home")
    home = Path(home).expanduser() if home else _home()
    config = read_config(home)
    sources = {"home": home_source} if home_source else {}
    found: dict[str, Any] = {"home": home, "config": config.path, "dotenv": path}
    for name in [name for name in (*NAMES, *UNNAMED) if name != "home"]:
        value, source = places.first(name, config)
        if source:
            # The config file's are read as their kinds already: text and tables cannot be read twice.
            found[name] = value if source == str(config.path) else _meant(name, value, source)
            sources[name] = source
    if given.get("offline"):
        found["base_url"], sources["base_url"] = OFFLINE, giver
    found["base_url"] = str(found.get("base_url", OPENROUTER)).rstrip("/")
    found["timeouts"] = given.get("timeouts", Timeouts())
    found["aliases"] = _aliases(config, places, sources)
    found["budgets"] = _budgets(found)
    found["ledger"] = Secret(found["ledger"]) if found.get("ledger") else None
    brought = {str(path)} | ({str(config.path)} if home_source == str(path) else set())
    _check_brought(found.get("local", {}), sources.get("local"), brought)
    unused = _unused_presets(found, sources, brought)
    chosen = sources.get("base_url") not in brought
    keyless = keyless or _is_keyless(found["base_url"], chosen=chosen)
    foreign = not chosen and _is_foreign(found["base_url"])
    key, trouble = (
        (None, None) if found["base_url"] == OFFLINE else _key(key, places, stored=not keyless, foreign=foreign)
    )
    told = [trouble, unused, _about_ledger(found["ledger"], sources.get("ledger"), brought)]
    warnings = (*config.warnings, *[text for text in told if text])
    settings = Settings(**found, key=key, sources=sources, warnings=warnings)
    check_url(settings)
    return as_offline(settings, None) if settings.offline else settings


def _meant(name: str, value: Any, source: str) -> Any:
    """Return a setting as its kind; texts are taken as they are.

    Raises:
        SettingsError: it cannot be one; the message names the place, and no value that may be secret.
    """
    if name in TEXTS:
        return value
    try:
        return {**PLAIN, **TABLES}[name](value)
    except ValueError as error:
        place = "" if source == "given" else f" (from {source})"
        raise SettingsError(f"{name}{place} cannot be used: {error}. Nothing was sent.") from None


def _budgets(found: dict[str, Any]) -> Budgets:
    """Take the budgets out of ``found``."""
    usd = {scope: found.pop(name, None) for name, scope in BUDGETS.items()}
    tags = {tag: amount for tag, amount in found.pop("tag_budgets", {}).items() if amount is not None}
    return Budgets(**usd, tags=tags)


def as_offline(settings: Settings, reason: str | None) -> Settings:
    """Return the settings for the simulator; budgets that nobody set in code are meant for real money."""
    sources = {**settings.sources} | ({"base_url": reason} if reason else {})
    kept = {scope: getattr(settings.budgets, scope) for name, scope in BUDGETS.items() if sources.get(name) in _IN_CODE}
    tags = settings.budgets.tags if sources.get("tag_budgets") in _IN_CODE else {}
    return replace(settings, base_url=OFFLINE, sources=sources, budgets=Budgets(**kept, tags=tags))


def with_budgets(settings: Settings, budgets: Mapping[str, Any]) -> Settings:
    """Return the settings with these budgets, by the names of their settings; the others stay.

    Raises:
        OptionError, SettingsError: a name is none of a budget, or a value cannot be used.
    """
    _check_names(budgets)
    found = {name: getattr(settings.budgets, scope) for name, scope in BUDGETS.items()}
    found["tag_budgets"] = settings.budgets.tags
    found |= {name: _meant(name, value, "given") for name, value in budgets.items()}
    return replace(
        settings, budgets=_budgets(found), sources={**settings.sources, **dict.fromkeys(budgets, _IN_CODE[0])}
    )


def _aliases(config: Config, places: Places, sources: dict[str, str]) -> Mapping[str, str]:
    aliases = dict(config.aliases)
    sources |= {f"{ALIASES}.{name}": str(config.path) for name in aliases}
    for name, variable in BARE_ALIASES.items():
        if model := places.bare(variable):
            aliases[name], sources[f"{ALIASES}.{name}"] = model, str(places.path)
    return aliases


def _key(key: Key | None, places: Places, *, stored: bool, foreign: bool) -> tuple[Key | None, str | None]:
    """Return the key, and what went wrong where it was looked for.

    Raises:
        SettingsError: a file that may have come with somebody's folder sends the key of the environment elsewhere.
    """
    key = (
        key or (find_key(Variables({}), places.dotenv) if foreign else None) or find_key(places.environ, places.dotenv)
    )
    if foreign and key is not None and key.source == "environment":
        raise SettingsError(
            f"{short_path(places.path or '')} leads to an address that is not OpenRouter's, and the key is from the "
            "environment: it does not go there. Nothing was sent. Set OPENROUTER_BASE_URL in the environment, too, or "
            "put that address's own key into the same file."
        )
    return stored_key() if key is None and stored else (key, None)


def _is_foreign(base_url: str) -> bool:
    """Whether it is another's address; where it came with a folder, whoever cloned that has not chosen it."""
    try:
        host = urlsplit(base_url).hostname
    except ValueError:  # it is refused in a moment
        return True
    return host is not None and host != "openrouter.ai" and not is_loopback(host)


def _is_keyless(base_url: str, *, chosen: bool) -> bool:
    """Whether no stored key goes to this address: such a key was meant for OpenRouter, or for what its owner named."""
    named = base_url.startswith("https://") and chosen
    return not named and base_url != OPENROUTER


def _check_brought(local: Mapping[str, LocalServer], source: str | None, brought: set[str]) -> None:
    """Refuse a server on another machine that nobody chose here: the config file lies where a ``.env`` says.

    Raises:
        SettingsError: prompts would go there.
    """
    for name, server in local.items() if source in brought else ():
        if not is_loopback(urlsplit(server.base_url).hostname or ""):
            raise SettingsError(
                f"{source} names {name}, a server on another machine, and a .env file says that this is the config "
                "file: no prompt goes there. Nothing was sent. Set OR_MAGIC_HOME in the environment instead."
            )


def _unused_presets(found: dict[str, Any], sources: dict[str, str], brought: set[str]) -> str | None:
    """Take out presets that came with a folder, and return what to know of that.

    A preset may name files to send and expressions to evaluate: whoever cloned that folder has not written them.
    """
    if not found.get("presets") or sources.get("presets") not in brought:
        return None
    names, source = ", ".join(found.pop("presets")), sources.pop("presets")
    return (
        f"The presets of {source} ({names}) are not used: a .env file says that this is the config file. If they are "
        "yours, set OR_MAGIC_HOME in the environment instead."
    )


def _about_ledger(ledger: Secret | None, source: str | None, brought: set[str]) -> str | None:
    """Return what to know of a team's ledger that came with a folder: whoever cloned that may not have chosen it."""
    try:
        host = urlsplit(ledger.reveal()).hostname if ledger is not None and source in brought else None
    except ValueError:  # no address: the ledger says so when it is opened
        host = None
    if host is None or is_loopback(host):
        return None
    return (
        f"{source} names a ledger on {host}: which models are asked, by whom, and the cost are written there. If you "
        "did not mean that, remove it; if you did, set OR_MAGIC_LEDGER in the environment and this is not said again."
    )


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # the folder is gone
        return Path("/")


def _check_names(given: Mapping[str, Any]) -> None:
    known = [*NAMES, *UNNAMED, "offline", "timeouts"]
    for name in given:
        if name in {"api_key", "key"}:
            raise OptionError(
                f"{name!r} is not an option: keys in code end up in notebooks. {WHERE_KEYS_GO} "
                "Or pass a client of your own: connect(client=openai.OpenAI(...))."
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known are {', '.join(known)}."
            raise OptionError(f"{name!r} is not a setting.{hint}")
    for name, (kind, noun) in _KINDS.items():
        if not isinstance(given.get(name), kind | None):
            raise OptionError(f"{name}={given[name]!r:.60} is not {noun}. Nothing was sent.")


_KINDS: Mapping[str, tuple[Any, str]] = {
    **dict.fromkeys(TEXTS, (str, "a text")),
    "home": (str | os.PathLike, "the path of a folder"),
    "offline": (bool, "True or False"),
    "timeouts": (Timeouts, "or_magic.values.Timeouts"),
}


def check_url(settings: Settings) -> None:
    """Raise SettingsError unless the base URL can be asked, and its key may travel to it."""
    if settings.offline:
        return
    try:
        address = urlsplit(settings.base_url)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if not usable or not address.hostname:
        raise SettingsError(
            f"The base URL {without_password(settings.base_url)!r}{_of(settings)} is no http(s) address. "
            f"Nothing was sent. Use {OPENROUTER}, the address of another server, or the word offline."
        )
    if settings.key and address.scheme == "http" and not is_loopback(address.hostname):
        raise SettingsError(
            f"The key would travel unencrypted to {address.hostname}{_of(settings)}. Nothing was sent. "
            "Use https for this base URL."
        )


def _of(settings: Settings) -> str:
    source = settings.sources.get("base_url", "given")
    return "" if source == "given" else f" (from {source})"
