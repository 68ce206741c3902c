"""``%or key``: where the key comes from and what is left on it; asked hidden, swapped in place, never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...errors import CallError, KeyRefusedError, OptionError, SettingsError
from ...secrets import KEY_NAME, WHERE_KEYS_GO, Key, Secret, forget_key, looks_like_key, need_keyring, save_key, seal
from ...settings import OPENROUTER, Settings
from ...values import Timeouts, dollars
from .command import Command, say

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

# Somebody waits for this, and only to be told.
ASKING = Timeouts(connect_s=5.0, first_token_s=5.0, idle_s=5.0, total_s=8.0)
_TYPED = "prompt"
_NO_INPUT = (
    f"This front end cannot ask hidden. Nothing was changed. Set {KEY_NAME} in the environment or in a .env file."
)
ODD = "It does not look like an OpenRouter key, which begins with sk-or-; it is used as it is."


def key(face: Face, rest: str) -> None:
    """Say where the key comes from and what is left on it; or ask for another."""
    way = _WAYS.get(rest)
    if way is None:
        seen = "What was typed is in IPython's history now: make a new key, and delete this one. "
        raise OptionError(
            f"key takes --set, --save or --forget, and never the key itself. {seen if looks_like_key(rest) else ''}"
            f"{WHERE_KEYS_GO}"
        )
    way(face)


def source_of(settings: Settings) -> str:
    """Return in words where the key comes from."""
    source = settings.key.source if settings.key else ""
    told = {
        "environment": f"from the environment ({KEY_NAME})",
        ".env": f"from {settings.dotenv}",
        "keyring": "from this system's keyring",
        _TYPED: "typed in this kernel, and gone with it",
    }
    return told.get(source, f"from {source}")


def balance(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the gateway's words on a key (WIRE.md §9) mean; its label is not among them: it repeats the key."""
    limit, left = _amount(data, "limit"), _amount(data, "limit_remaining")
    if limit is not None:
        reset = data.get("limit_reset")
        renewed = f", renewed {reset}" if reset in ("daily", "weekly", "monthly") else ""
        yield f"{_usd(left)} left of its limit of {_usd(limit)}{renewed}."
    elif "limit" in data:
        yield "It has no limit of its own; the account's credit is its limit."
    used = {"in all": "usage", "today": "usage_daily", "this week": "usage_weekly", "this month": "usage_monthly"}
    told = [f"{_usd(amount)} {when}" for when, name in used.items() if (amount := _amount(data, name)) is not None]
    if told:
        yield f"Used: {', '.join(told)}."
    if byok := _amount(data, "byok_usage"):
        yield f"Used through provider keys of your own: {_usd(byok)}."
    if data.get("is_free_tier") is True:
        yield "Free tier: models that end in :free, at most 20 requests a minute and 50 a day."
    if data.get("is_management_key") is True:
        yield "It is a management key: such a key administers an account, and models refuse it."
    if ends := _date(data.get("expires_at")):
        yield f"It {'expires' if ends > datetime.now(UTC) else 'expired'} on {ends.date().isoformat()}."


def _tell(face: Face) -> None:
    session = face.session()
    engine = session.engine
    settings = engine.settings
    if engine.simulated:
        why = "There is no key, so the offline simulator answers" if session.automatic else "The simulator was chosen"
        say(f"{why}; it needs none. {WHERE_KEYS_GO}")
    elif settings.key is None:
        say(f"{engine.gateway.name} is asked without a key. {WHERE_KEYS_GO}")
    else:
        odd = f" {ODD}" if settings.key.secret.looks_odd() else ""
        say(f"The key comes {source_of(settings)}.{odd}")
        _say_balance(engine)


def _set(face: Face) -> None:
    _use(face, _asked())


def _save(face: Face) -> None:
    need_keyring("Nothing was changed.")
    typed = _asked()
    save_key(typed)
    if os.environ.get(KEY_NAME, "").strip():
        say(f"{KEY_NAME} is in the environment too; in a new kernel it wins over the keyring.")
    _use(face, Key(typed.secret, "keyring"))


def _forget(_: Face) -> None:
    from ... import api

    if not forget_key():
        say("This system's keyring holds no key of or_magic.")
        return
    say("The key is removed from this system's keyring.")
    session = api.existing()
    held = session.engine.settings.key if session else None
    if held is not None and held.source == "keyring":
        say("This kernel goes on with it until it ends or %or key --set.")


def _use(face: Face, key: Key) -> None:
    from ... import api

    begun = api.use_key(key)
    kept = "kept in this system's keyring and " if key.source == "keyring" else ""
    say(f"The key is {kept}set for this kernel." + (f" {ODD}" if key.secret.looks_odd() else ""))
    engine = face.session().engine
    if engine.simulated:
        say("The offline simulator was chosen and still answers. To leave it:")
        say(f'%config OpenRouterMagics.base_url = "{OPENROUTER}"')
        return
    if begun:
        say(f"Answers now come from {'OpenRouter' if engine.gateway.name == 'openrouter' else engine.gateway.name}.")
    try:
        _say_balance(engine)
    except KeyRefusedError as error:
        say(f"! It is not accepted: {error.happened} %or key --set asks for another.")
    except CallError as error:
        say(f"! It could not be tried: {error.happened}")


def _say_balance(engine: Engine) -> None:
    told = list(balance(engine.balance(ASKING)))
    say("\n".join(told or [f"{engine.gateway.name} tells nothing about it."]))


def _asked() -> Key:
    """Return a key typed hidden.

    Raises:
        SettingsError: it cannot be asked for hidden, or what was typed is no key.
    """
    import getpass
    import warnings

    from IPython.core.error import StdinNotImplementedError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown while it is typed
            # Never a local name: verbose tracebacks print those.
            secret: Secret = seal(getpass.getpass("OpenRouter key (hidden): "), "the prompt")
    except (StdinNotImplementedError, EOFError, OSError, getpass.GetPassWarning):
        raise SettingsError(_NO_INPUT) from None
    except KeyboardInterrupt:
        raise SettingsError("Interrupted. The key was not changed.") from None
    if not secret:
        raise SettingsError("Nothing was typed. The key was not changed.")
    return Key(secret, _TYPED)


def _amount(data: Mapping[str, Any], name: str) -> Decimal | None:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    return amount if (amount := Decimal(value)).is_finite() else None


def _usd(amount: Decimal | None) -> str:
    return "An unknown amount" if amount is None else dollars(amount, 2)


def _date(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_WAYS: Mapping[str, Callable[[Face], None]] = {"": _tell, "--set": _set, "--save": _save, "--forget": _forget}

COMMANDS = {
    "key": Command(
        key,
        "key [--set|--save|--forget]",
        "where it comes from, what is left; --set asks hidden, --save keeps it in the keyring",
        ("--set", "--save", "--forget"),
    ),
}
