"""Keys: a sealed type that never shows what it holds, and the places where a key is looked for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, SupportsIndex, TypeVar

from .errors import SettingsError

_T = TypeVar("_T")
KEY_NAME = "OPENROUTER_API_KEY"
WHERE_KEYS_GO = (
    "%or key --set asks for it hidden, %or key --save also keeps it in this system's keyring; "
    f"the environment variable {KEY_NAME} and a .env file work everywhere."
)
_PREFIX = "sk-or-"
_PUBLIC = "sk-or-v1-"  # how every key begins
_PIECE = 8
_SERVICE = "or_magic"  # under this name, and that of the variable, the keyring has it
_LOOKED_UP_S = 10.0  # a desktop that waits for its password must not hold a cell for ever
_ASKED_FOR_S = 120.0  # somebody who asks for it is there to unlock it

# The one place that holds the texts, so that no instance has an attribute to print, copy or pickle.
_sealed: dict[int, str] = {}


class Secret:
    """A text that only ``reveal`` tells: not its repr, its attributes, its copies or its pickle."""

    __slots__ = ("__weakref__",)

    def __init__(self, text: str) -> None:
        _sealed[id(self)] = text

    def __del__(self) -> None:
        _sealed.pop(id(self), None)

    def reveal(self) -> str:
        """Return the text; call it only where it is sent."""
        return _sealed[id(self)]

    def redact(self, body: bytes) -> bytes:
        """Return ``body`` with every occurrence of the text replaced: a gateway may echo what it got."""
        text = self.reveal().encode("utf-8", "replace")
        return body.replace(text, b"[key]") if text else body

    def looks_odd(self) -> bool:
        """Whether it does not look like an OpenRouter key; that is no promise, so it is worth a warning only."""
        text = self.reveal()
        return not text.startswith(_PREFIX) or len(text.split()) != 1

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __repr__(self) -> str:
        return "Secret(set)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __dir__(self) -> list[str]:
        return []

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret cannot be copied or pickled")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the name of the place it came from."""

    secret: Secret
    source: str


class Variables(Mapping[str, str]):
    """The variables of an environment or a ``.env``; its repr tells none, so no traceback that prints locals does."""

    __slots__ = ("_told",)

    def __init__(self, told: Mapping[str, str]) -> None:
        self._told = told

    def __getitem__(self, name: str) -> str:
        return self._told[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)

    def __repr__(self) -> str:
        return f"Variables({len(self._told)})"


def redactor(secrets: Iterable[Secret]) -> Callable[[bytes], bytes]:
    """Return what replaces every occurrence of ``secrets``; the longest goes first, as one may begin with another."""
    texts = sorted([secret.reveal().encode("utf-8", "replace") for secret in secrets if secret], key=len, reverse=True)

    def redact(body: bytes) -> bytes:
        for text in texts:
            if text in body:
                body = body.replace(text, b"[key]")
        return body

    return redact


def looks_like_key(text: str) -> bool:
    """Whether a text that should be something else looks like an OpenRouter key."""
    return _PREFIX in text


def hide_pieces(text: str, secrets: Iterable[Secret]) -> str:
    """Return ``text`` without any run of eight letters of ``secrets``: tracebacks cut long values anywhere."""
    pieces: set[str] = set()
    for secret in secrets:
        whole = secret.reveal()
        pieces |= {whole[i : i + _PIECE] for i in range(len(whole) - _PIECE + 1)}
        text = text.replace(whole, "[key]") if 3 < len(whole) < _PIECE else text  # shorter ones are no secrets
    pieces -= {_PUBLIC[i : i + _PIECE] for i in range(len(_PUBLIC) - _PIECE + 1)}
    shown: list[str] = []
    end = 0  # of what was looked at and is shown, or hidden
    for i in range(len(text)):
        if text[i : i + _PIECE] in pieces:
            if i >= end:
                shown += [text[end:i], "[key]"]
            end = i + _PIECE
    return "".join([*shown, text[end:]])


def find_key(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Key | None:
    """Return the key of the environment, else of ``.env``; None without one.

    Raises:
        SettingsError: the text found cannot be sent as a header.
    """
    for source, variables in (("environment", environ), (".env", dotenv)):
        if variables.get(KEY_NAME, "").strip():
            return Key(seal(variables[KEY_NAME], source), source)
    return None


def seal(text: str, source: str) -> Secret:
    """Return a key's text as a Secret.

    Raises:
        SettingsError: the text cannot be sent as a header.
    """
    text = text.strip()
    if not (text.isascii() and text.isprintable()):
        del text  # verbose tracebacks print the locals of this frame
        raise SettingsError(
            f"The key from {source} has characters that no key has (accents, line breaks). Nothing was sent. "
            "Copy it again."
        )
    return Secret(text)


def stored_key() -> tuple[Key | None, str | None]:
    """Return the key of the system's keyring, else of Colab's secrets; and what went wrong on the way, in words."""
    troubles = []
    for look in (_in_keyring, _in_colab):
        try:
            key = look()
        except SettingsError as error:
            troubles.append(str(error))
            continue
        if key is not None:
            return key, None
    return None, " ".join(troubles) or None


def save_key(key: Key) -> None:
    """Keep the key in the system's keyring.

    Raises:
        SettingsError: there is no keyring, or it failed; the key was not saved.
    """
    need_keyring("The key was not saved.")
    _ask_keyring(
        lambda ring: ring.set_password(_SERVICE, KEY_NAME, key.secret.reveal()), _ASKED_FOR_S, "The key was not saved."
    )


def forget_key() -> bool:
    """Remove the key from the system's keyring; return whether there was one.

    Raises:
        SettingsError: there is no keyring, or it failed.
    """
    need_keyring("Nothing was removed.")

    def remove(ring: Any) -> bool:
        held = bool(ring.get_password(_SERVICE, KEY_NAME))
        if held:
            ring.delete_password(_SERVICE, KEY_NAME)
        return held

    return _ask_keyring(remove, _ASKED_FOR_S, "Nothing was removed.")


def is_front_end_asked() -> bool:
    """Whether looking for a key may ask the front end, which only the main thread can do: Colab's secrets."""
    return "google.colab" in sys.modules


def need_keyring(otherwise: str) -> None:
    """Raise SettingsError unless there is a keyring; ``otherwise`` says what was not done."""
    if importlib.util.find_spec("keyring") is None:
        raise SettingsError(f"The package keyring is not installed. {otherwise} %pip install 'or_magic[keyring]'")


def _in_keyring() -> Key | None:
    if importlib.util.find_spec("keyring") is None:
        return None

    def read(ring: Any) -> Key | None:
        if type(ring.get_keyring()).__module__ in ("keyring.backends.fail", "keyring.backends.null"):
            return None  # this machine has none: nothing is wrong
        held = Variables({KEY_NAME: ring.get_password(_SERVICE, KEY_NAME) or ""})
        found = find_key(held, {})
        return found and Key(found.secret, "keyring")

    return _ask_keyring(read, _LOOKED_UP_S)


def _ask_keyring(action: Callable[[Any], _T], limit_s: float, otherwise: str = "") -> _T:
    """Return what ``action`` does with the keyring library; a backend that hangs is left behind in its thread."""
    done: list[_T] = []
    failed: list[str] = []

    def work() -> None:
        try:
            done.append(action(importlib.import_module("keyring")))
        except SettingsError as error:
            failed.append(str(error))
        except Exception as error:  # noqa: BLE001 - a backend raises what its system does; its words may hold the key
            failed.append(f"The system's keyring failed ({type(error).__name__}).")

    thread = threading.Thread(target=work, name="or_magic keyring", daemon=True)
    thread.start()
    thread.join(limit_s)
    if done:
        return done[0]
    trouble = failed[0] if failed else f"The system's keyring did not answer within {limit_s:.0f} s."
    raise SettingsError(f"{trouble} {otherwise}".rstrip())


def _in_colab() -> Key | None:
    if not is_front_end_asked() or threading.current_thread() is not threading.main_thread():
        return None
    try:
        held = importlib.import_module("google.colab.userdata")
        return Key(seal(held.get(KEY_NAME), "Colab"), "Colab secrets")
    except SettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - its exceptions are Colab's own; they are told by name
        kind = type(error).__name__
    if kind == "SecretNotFoundError":
        return None
    if kind == "NotebookAccessError":
        raise SettingsError(
            f"Colab keeps a secret {KEY_NAME}, but not for this notebook. Switch it on under the key symbol."
        )
    raise SettingsError(f"Colab's secrets failed ({kind}).")
