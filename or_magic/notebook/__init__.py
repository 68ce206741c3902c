"""The face in notebooks and terminals: the only floor that knows IPython. Loading imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .face import Face

_faces: dict[int, Face] = {}


def load(shell: InteractiveShell) -> None:
    """Register the magics with ``shell``; loading again changes nothing."""
    if id(shell) not in _faces:
        from .face import Face

        _faces[id(shell)] = Face(shell)


def unload(shell: InteractiveShell) -> None:
    """Take back everything that ``load`` and the magics did."""
    face = _faces.pop(id(shell), None)
    if face is not None:
        face.close()
