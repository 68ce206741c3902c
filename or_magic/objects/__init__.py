"""Python objects become content parts: what a model can use of a table, a function, an error, a figure.

No library is imported for that: what nobody has imported, nothing can be an instance of.
"""

from __future__ import annotations

from .convert import attachable, is_words, parts_of

__all__ = ["attachable", "is_words", "parts_of"]
