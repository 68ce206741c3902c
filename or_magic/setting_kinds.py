"""What each setting is, wherever it is written: its kind, and how text or TOML becomes its value. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from .budget import parse_usd
from .context import POLICIES
from .conversation import Policy
from .options.plain import plain
from .rules import Rule, parse_rules
from .values import Timeouts

BUDGETS = {
    "session_budget": "session",
    "daily_budget": "day",
    "weekly_budget": "week",
    "total_budget": "total",
}
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)
_MOST_RETRIES = 10
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class ConnectOptions(TypedDict, total=False):
    """The settings of ``connect``; what is not given comes from the environment, ``.env`` or a default."""

    base_url: str
    model: str
    app_url: str
    app_name: str
    home: str | Path
    offline: bool
    timeouts: Timeouts
    session_budget: Decimal | float | str
    daily_budget: Decimal | float | str
    weekly_budget: Decimal | float | str
    total_budget: Decimal | float | str
    tag_budgets: Mapping[str, Decimal | float | str]
    fallback_models: Sequence[str]
    fallback_sticky: bool
    retries: int
    circuit_breaker: bool
    context_policy: Policy
    local: Mapping[str, Any]
    rate_limits: Mapping[str, Mapping[str, int]]
    presets: Mapping[str, Mapping[str, Any]]
    choose: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server of one's own that speaks the OpenAI protocol: Ollama, LM Studio, llama.cpp, vLLM. It bills nothing."""

    base_url: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How much may be asked in a minute; None is as much as one likes."""

    requests: int | None = None
    tokens: int | None = None


def parse_text(value: object) -> str:
    """Return a text.

    Raises:
        ValueError: it is none, or has characters that cannot be seen.
    """
    if not isinstance(value, str):
        raise ValueError('it is no text: write it in quotes, "…"')
    if not value.isprintable():
        raise ValueError("it has characters that cannot be seen")
    return value.strip()


def parse_model(value: object) -> str:
    """Return a model id.

    Raises:
        ValueError: it is not one word.
    """
    model = parse_text(value)
    if len(model.split()) > 1 or model.startswith("-"):
        raise ValueError("it is one model id, as vendor/name")
    return model


def parse_models(value: object) -> tuple[str, ...]:
    """Return model ids, from a list or from words between commas.

    Raises:
        ValueError: one is not one word.
    """
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, Sequence):
        raise ValueError('it is a list of model ids: "a/b, c/d"')
    return tuple(model for word in found if (model := parse_model(word)))


def parse_flag(value: object) -> bool:
    """Return a yes or no.

    Raises:
        ValueError: it is neither.
    """
    word = str(value).strip().lower()
    if word not in _YES + _NO:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in _YES


def parse_retries(value: object) -> int:
    """Return how often a call that failed before its answer began is tried again.

    Raises:
        ValueError: it is no whole number from 0 to 10.
    """
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal() or int(text) > _MOST_RETRIES:
        raise ValueError(f"{value!r} is no whole number from 0 to {_MOST_RETRIES}")
    return int(text)


def parse_tags(value: object) -> dict[str, Any]:
    """Return a budget for each tag, in dollars; None where it is off.

    Raises:
        ValueError: it is no table of amounts.
    """
    told = _table(value, "tag = 2.50")
    if "" in told:
        raise ValueError("a tag without a name is no tag")
    return {name: parse_usd(usd) for name, usd in told.items()}


def parse_locals(value: object) -> dict[str, LocalServer]:
    """Return local servers by name: each an address, or a table of ``base_url`` and ``model``.

    Raises:
        ValueError: a name or an address cannot be one.
    """
    return {name: _local(name, told) for name, told in _table(value, 'ollama = "http://127.0.0.1:11434/v1"').items()}


def parse_paces(value: object) -> dict[str, Pace]:
    """Return limits a minute by model, or for ``*``.

    Raises:
        ValueError: a limit is no whole number above 0, or limits something else than requests and tokens.
    """
    example = '"*" = {requests = 60, tokens = 100000}'
    return {name: _pace(name, _table(told, example)) for name, told in _table(plain(value), example).items()}


def parse_choose(value: object) -> dict[str, Rule]:
    """Return the rules by task.

    Raises:
        ValueError: a field is unknown or of another kind.
    """
    return parse_rules(plain(value))


def parse_presets(value: object) -> dict[str, dict[str, Any]]:
    """Return options by the name of their preset; what they mean is read when one is used.

    Raises:
        ValueError: it is no table of tables.
    """
    example = "reviewer = {temperature = 0.2}"
    return {name: dict(_table(told, "temperature = 0.2")) for name, told in _table(value, example).items()}


def _local(name: str, told: object) -> LocalServer:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a server: it is a word of letters, digits, . - and _")
    told = {"base_url": told} if isinstance(told, str) else _table(told, 'base_url = "…", model = "…"')
    if unknown := [key for key in told if key not in ("base_url", "model")]:
        raise ValueError(f"{name} has {unknown[0]!r}, which is neither base_url nor model")
    base_url = parse_text(told.get("base_url", "")).rstrip("/")
    try:
        address = urlsplit(base_url)
        usable = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in base_url:
        raise ValueError(f"the address of {name} is no http(s) address, or holds a password")
    return LocalServer(base_url, parse_model(told["model"]) if told.get("model") else None)


def _pace(name: str, told: Mapping[str, Any]) -> Pace:
    for key, value in told.items():
        if key not in ("requests", "tokens"):
            raise ValueError(f"{name} has {key!r}, which is neither requests nor tokens")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{key} of {name} is no whole number above 0")
    return Pace(told.get("requests"), told.get("tokens"))


def _table(value: object, example: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.isprintable() for name in value):
        raise ValueError(f"it is a table, such as: {example}")
    return value


def parse_policy(value: object) -> str:
    """Return what happens to a conversation that is longer than the model reads.

    Raises:
        ValueError: it is no such policy.
    """
    if value not in POLICIES:
        raise ValueError(f"{value!r} is not one of {', '.join(POLICIES)}")
    return str(value)


Parse = Callable[[object], Any]

TEXTS = ("model", "base_url", "app_url", "app_name", "ledger")
PLAIN: Mapping[str, Parse] = {
    **dict.fromkeys(TEXTS, parse_text),
    "model": parse_model,
    **dict.fromkeys(BUDGETS, parse_usd),
    "fallback_models": parse_models,
    "fallback_sticky": parse_flag,
    "retries": parse_retries,
    "circuit_breaker": parse_flag,
    "context_policy": parse_policy,
}
TABLES: Mapping[str, Parse] = {
    "tag_budgets": parse_tags,
    "local": parse_locals,
    "rate_limits": parse_paces,
    "presets": parse_presets,
    "choose": parse_choose,
}
