"""The canary: a key that is used in every test run and must be found nowhere afterwards.

Its letters are no hexadecimal digits, so that chance does not spell a piece of it.
"""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

_LETTERS = "ghjkmnpqrstuvwxyz"
_PIECE = 6  # every run of 12 characters holds one of the pieces that begin at a multiple of 6
WINDOW = 12


def make_canary(seed: int) -> str:
    """Return a key that looks like a real one and opens nothing."""
    chance = random.Random(seed)
    return "sk-or-v1-" + "".join([chance.choice(_LETTERS) for _ in range(63)])


def findings(canary: str, folder: Path) -> list[str]:
    """Return every file below ``folder`` that holds the canary or 12 characters of it, in any encoding."""
    return [
        f"{path}: {how}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != ".env"
        for how in found_in(canary, path.read_bytes())
    ]


def found_in(canary: str, data: bytes) -> Iterator[str]:
    """Yield the encodings in which ``data`` holds the canary or 12 characters of it."""
    secret = canary.removeprefix("sk-or-v1-")
    for how, encode in ENCODINGS.items():
        if _holds(data, secret, encode):
            yield how
    if data[:2] == b"\x1f\x8b":
        try:
            yield from (f"gzip of {how}" for how in found_in(canary, gzip.decompress(data)))
        except (OSError, EOFError, zlib.error):
            return


def _holds(data: bytes, secret: str, encode: object) -> bool:
    pieces = [secret[i : i + _PIECE] for i in range(0, len(secret) - _PIECE + 1, _PIECE)]
    if not any(form in data for piece in pieces for form in encode(piece)):
        return False
    windows = [secret[i : i + WINDOW] for i in range(len(secret) - WINDOW + 1)]
    return any(form in data for window in windows for form in encode(window))


def _base64(text: str) -> list[bytes]:
    # A piece of base64 depends on where in a group of three the text begins: take what all its neighbours share.
    forms = []
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + text.encode())
        forms.append(whole[(shift * 8 + 5) // 6 : len(whole) // 4 * 4 - 4])
    return forms


ENCODINGS = {
    "plain": lambda text: [text.encode()],
    "reversed": lambda text: [text[::-1].encode()],
    "base64": _base64,
    "UTF-16": lambda text: [text.encode("utf-16-le"), text.encode("utf-16-be")],
    "hexadecimal": lambda text: [text.encode().hex().encode()],
    "percent": lambda text: ["".join([f"%{ord(c):02x}" for c in text]).encode()],
}
