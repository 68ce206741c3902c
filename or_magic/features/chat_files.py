"""Files of conversations: read from an ordinary one of bounded size, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from pathlib import Path

from .. import neutral
from ..conversation import Conversation
from ..errors import ChatError
from ..paths import short_path

_MOST_BYTES = 256 * 2**20  # as much as an answer of a gateway may have
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"))
_EXPORTS = {".md": "an export to read", ".ipynb": "a notebook, which is run"}


def path_of(path: object) -> Path:
    """Return the path that is meant.

    Raises:
        ChatError: it is none.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise ChatError(f"path={path!r:.60} is not a path such as 'talk.json'. Nothing was read or written.")
    try:
        return Path(os.fsdecode(path)).expanduser()
    except RuntimeError:  # ~nobody
        raise ChatError(
            f"{neutral.line(str(path))} names a home that is not known. Nothing was read or written."
        ) from None


def read(path: str | os.PathLike[str]) -> tuple[str, Conversation]:
    """Return the name and the conversation of a file that ``save`` wrote.

    Raises:
        ChatError: it is no such file.
    """
    from ..conversation import stored

    source = path_of(path)
    try:
        if export := _EXPORTS.get(source.suffix.lower()):
            raise ValueError(f"it is {export}. What is loaded is the .json that %or chat save (chat.save) wrote")
        return stored.from_json(_text(source))
    except OSError as error:
        why = error.strerror or "it cannot be opened"
    except ValueError as error:
        why = str(error)
    raise ChatError(neutral.line(f"{short_path(source)} cannot be loaded: {why}. Nothing was changed."))


def _text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        OSError, ValueError: it cannot be read, is no ordinary file, is too large, or no text.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a device or a pipe can do something already
        raise ValueError("it is no ordinary file")
    with open(os.open(path, _FLAGS), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no ordinary file")
        if found.st_size > _MOST_BYTES:
            raise ValueError(f"it has {found.st_size / 2**20:,.0f} MiB, and at most {_MOST_BYTES // 2**20} are read")
        data = file.read(found.st_size)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None


def write(path: Path, text: str, *, overwrite: bool) -> Path:
    """Write a file whole or not at all; who may read it is what the umask says.

    Raises:
        ChatError: it cannot be written, could not be loaded again, or is there already and ``overwrite`` was not said.
    """
    told = neutral.line(short_path(path))
    if os.path.lexists(path) and not overwrite:
        raise ChatError(
            f"{told} is there already. Nothing was written. Choose another name, or say that it may go: --overwrite "
            "(overwrite=True)."
        )
    if path.suffix.lower() == ".json" and (size := len(text.encode())) > _MOST_BYTES:
        raise ChatError(
            f"{told} would have {size / 2**20:,.0f} MiB, and at most {_MOST_BYTES // 2**20} are loaded again. Nothing "
            "was written. Export it to read, as .md."
        )
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o666), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no name of a file"
        raise ChatError(f"{told} cannot be written: {why}. Name a file in a folder that can be.") from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()
    return path
