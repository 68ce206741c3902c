"""What is attached becomes content parts; what a thing is, its first bytes say. Reads files, fetches nothing.

A path is read where the user passed a ``Path`` or wrote it as an attachment; a text never names a file.
"""

from __future__ import annotations

from .attach import attached
from .parts import part_of

__all__ = ["attached", "part_of"]
