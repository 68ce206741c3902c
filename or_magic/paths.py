"""Paths as a notebook may show them: a saved one is read by others, and a home says who its owner is."""

from __future__ import annotations

import os
import re
from pathlib import Path


def short_path(path: str | os.PathLike[str]) -> str:
    """Return a path with ``~`` for the user's home; any other as it is."""
    told, home = os.fspath(path), _home()
    return f"~{told[len(home) :]}" if home and told.startswith(home + os.sep) else told


def whole_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with the user's home for ``~``, as a shell gives it; that of nobody stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def without_home(text: str) -> str:
    """Return a text in which each path in the user's home begins with ``~``."""
    home = _home()
    return re.sub(rf"(?<![\w/.~-]){re.escape(home)}(?=[/\\])", "~", text) if home and home in text else text


def _home() -> str:
    try:
        home = Path.home()
    except RuntimeError:  # a user without one
        return ""
    return "" if home == Path(home.anchor) else str(home)
