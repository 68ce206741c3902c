"""Where settings are looked for, and by what names: code, environment, ``.env``, config file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config_file import Config
from .secrets import KEY_NAME, Variables
from .setting_kinds import TABLES

# Setting -> the names it is read from, first wins; the last ones are accepted because other tools use them.
NAMES: dict[str, tuple[str, ...]] = {
    "base_url": ("OPENROUTER_BASE_URL",),
    "model": ("OPENROUTER_DEFAULT_MODEL",),
    "app_url": ("OPENROUTER_APP_URL", "OPENROUTER_HTTP_REFERER", "OPENROUTER_SITE_URL"),
    "app_name": ("OPENROUTER_APP_NAME", "OPENROUTER_X_TITLE", "OPENROUTER_SITE_NAME"),
    "home": ("OR_MAGIC_HOME",),
    "fallback_models": ("OPENROUTER_FALLBACK_MODELS",),
    "session_budget": ("OPENROUTER_SESSION_BUDGET",),
    "daily_budget": ("OPENROUTER_DAILY_BUDGET",),
    "weekly_budget": ("OPENROUTER_WEEKLY_BUDGET",),
    "ledger": ("OR_MAGIC_LEDGER",),
}
# These have no variable: they are said in code or in the config file.
UNNAMED = ("total_budget", "fallback_sticky", "retries", "circuit_breaker", "context_policy", *TABLES)
# A .env that also holds the key belongs to an OpenRouter project, so these bare names mean ours.
_BARE = {
    "model": "DEFAULT_MODEL",
    "fallback_models": "FALLBACK_MODEL",
    "daily_budget": "DAILY_BUDGET",
    "weekly_budget": "WEEKLY_BUDGET",
}
BARE_ALIASES = {"fast": "FAST_MODEL", "reasoning": "REASONING_MODEL"}


@dataclass(frozen=True, slots=True)
class Places:
    """Where settings come from, but for the config file, which is only found with them."""

    given: Mapping[str, Any]
    giver: str
    environ: Variables
    path: Path | None
    dotenv: Variables

    def first(self, name: str, config: Config | None = None) -> tuple[Any, str]:
        """Return a setting's value and its source; None and nothing where it is nowhere."""
        if name in self.given:
            return self.given[name], self.giver
        for source, values in (("environment", self.environ), (str(self.path), self.dotenv)):
            for spelling in NAMES.get(name, ()):
                if values.get(spelling):
                    return values[spelling], source
        if bare := self.bare(_BARE.get(name)):
            return bare, str(self.path)
        if config is not None and name in config.settings:
            return config.settings[name], str(config.path)
        return None, ""

    def bare(self, name: str | None) -> str | None:
        """Return a value of ``.env`` under a bare name, if that file is an OpenRouter project's."""
        return self.dotenv.get(name) if name and KEY_NAME in self.dotenv else None
