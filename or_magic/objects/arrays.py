"""A numpy array as text: shape, type, figures, and its values or the edges of them. Pure."""

from __future__ import annotations

import sys
from typing import Any

from .bound import cut, tokens_of
from .columns import number

_WHOLE = 200  # values; more are shown by their edges
_MOST = 10_000_000  # values of which figures are taken; of more, every so-manieth


def is_array(thing: object) -> bool:
    """Whether it is an array of numpy."""
    numpy: Any = sys.modules.get("numpy")
    kind = getattr(numpy, "ndarray", None)
    return kind is not None and isinstance(thing, kind)


def array_text(array: Any, tokens: int) -> str:
    """Return what fits into about so many tokens."""
    import numpy as np

    shape = " × ".join(map(str, array.shape)) or "a single value"
    lines = [f"{type(array).__name__}: {shape}, {array.dtype}"]
    if array.dtype.kind in "iuf" and array.size > 1:
        lines.append(_figures(np, array))
    for edge in (3, 1):
        with np.printoptions(threshold=_WHOLE, edgeitems=edge, precision=6, linewidth=120):
            shown = str(array)  # masked arrays write themselves, and only so without a warning
        text = "\n".join([*lines, shown])
        if tokens_of(text) <= tokens:
            break
    return cut(text, tokens)


def _figures(numpy: Any, array: Any) -> str:
    step = -(-array.size // _MOST)
    values = array if step == 1 else array.reshape(-1)[::step] if array.flags.c_contiguous else array[::step]
    told = []
    if isinstance(values, numpy.ma.MaskedArray):
        hidden = int(numpy.ma.count_masked(values))
        told, values = [f"{hidden:,} masked"] if hidden else [], values.compressed()
    finite = values
    if array.dtype.kind == "f":
        good = numpy.isfinite(values)
        bad = int(values.size - good.sum())
        if bad:
            told, finite = [*told, f"{bad:,} NaN or infinite"], values[good]
    if finite.size:
        mean = finite.mean(dtype=numpy.float64)
        told = [f"min {number(finite.min())}", f"max {number(finite.max())}", f"mean {number(mean)}", *told]
    return ", ".join(told) + (f" (of every {step:,}th value)" if step > 1 else "")
