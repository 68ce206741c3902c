"""Keys: a sealed type that never shows what it holds, and the places where a key is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, SupportsIndex

from .errors import SettingsError

KEY_NAME = "OPENROUTER_API_KEY"
_PREFIX = "sk-or-"

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
        return not self.reveal().startswith(_PREFIX)

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


def find_key(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Key | None:
    """Return the key of the environment, else of ``.env``; None without one.

    Raises:
        SettingsError: the text found cannot be sent as a header.
    """
    for source, text in (("environment", environ.get(KEY_NAME)), (".env", dotenv.get(KEY_NAME))):
        if text and text.strip():
            return Key(seal(text, source), source)
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
