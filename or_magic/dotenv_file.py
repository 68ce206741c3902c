"""The ``.env`` of a project: the nearest one, from a folder up to the one that holds ``.git``. Read, never written."""

from __future__ import annotations

from pathlib import Path

from .errors import SettingsError
from .paths import short_path
from .secrets import Variables


def read_dotenv(folder: Path) -> tuple[Path | None, Variables]:
    """Return the nearest ``.env``, from ``folder`` up to the folder that holds ``.git``, and what it sets."""
    for place in (folder, *folder.parents):
        path = place / ".env"
        if path.is_file():
            return path, _parse_dotenv(path)
        if (place / ".git").exists():
            break
    return None, Variables({})


def _parse_dotenv(path: Path) -> Variables:
    from dotenv import dotenv_values

    try:
        return Variables({name: value for name, value in dotenv_values(path).items() if value})
    except UnicodeDecodeError as error:
        trouble = f"byte {error.start} is not UTF-8"
    except OSError as error:
        trouble = str(error.strerror)
    raise SettingsError(f"{short_path(path)} cannot be read: {trouble}. Nothing was sent. Save it as UTF-8.")
