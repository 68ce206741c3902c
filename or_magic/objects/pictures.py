"""Pictures, figures and what draws itself as one become image parts; the user's own objects stay as they are."""

from __future__ import annotations

import base64
import binascii
import io
import sys
from typing import Any

from ..content import Image, Part
from ..media.parts import part_of_bytes
from ..media.pictures import picture_of

_SIDE_PX = 1_568  # no vendor looks closer at a picture of usual shape
_DPI = (50, 150)
_SMALLEST_PX = 32  # no side of a picture is shorter; of a table of numbers it often is


def picture_parts(thing: Any) -> list[Part] | None:
    """Return the picture that a thing is or draws, or None where it is none."""
    if _is(thing, "PIL.Image", "Image"):
        return [picture_of(thing)]
    if (figure := figure_parts(thing)) is not None:
        return figure
    if type(thing).__module__.partition(".")[0] == "IPython" and (found := _of_ipython(thing)) is not None:
        return [found]
    return _own(thing)


def figure_parts(thing: Any) -> list[Part] | None:
    """Return a figure, axes or a grid of them, drawn; None where it is none of these."""
    figure = _figure(thing)
    return None if figure is None else [_drawn(figure, thing)]


def picture_of_array(array: Any) -> Image:
    """Return an array that can be a picture as one.

    Raises:
        MediaError: it has too many pixels.
    """
    from PIL import Image as Pictures

    if array.dtype.kind == "f":
        array = (array * 255).round().astype("uint8")
    return picture_of(Pictures.fromarray(array))


def can_be_picture(array: Any) -> bool:
    """Whether an array is rows × columns, in grey or × 3 or 4 colours; floats only in colours, from 0 to 1."""
    if array.size == 0:
        return False
    coloured = array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype.kind == "f":
        return bool(coloured and array.min() >= 0 and array.max() <= 1)
    return bool(array.dtype == "uint8" and (coloured or array.ndim == 2))


def is_picture_array(array: Any) -> bool:
    """Whether an array can hardly be anything but a picture: bytes, rows × columns × 3 or 4, no side very short."""
    return can_be_picture(array) and array.dtype == "uint8" and array.ndim == 3 and min(array.shape[:2]) >= _SMALLEST_PX


def _is(thing: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(thing, kind)


def _figure(thing: Any) -> Any:
    """Return the matplotlib figure that a thing is or stands in."""
    if _is(thing, "matplotlib.figure", "Figure"):
        return thing
    whole = _is(thing, "matplotlib.axes", "Axes") or type(thing).__module__.partition(".")[0] == "seaborn"
    found = getattr(thing, "figure", None) if whole else None
    while found is not None and _is(found, "matplotlib.figure", "SubFigure"):
        found = found.figure
    return found if _is(found, "matplotlib.figure", "Figure") else None


def _drawn(figure: Any, thing: Any) -> Part:
    """Return the figure, or of axes that share it only their own part."""
    width, height = figure.get_size_inches()
    dpi = min(_DPI[1], max(_DPI[0], _SIDE_PX / max(width, height)))
    box: Any = "tight"
    if _is(thing, "matplotlib.axes", "Axes") and len(figure.axes) > 1:
        figure.canvas.draw()
        box = thing.get_tightbbox().transformed(figure.dpi_scale_trans.inverted()).padded(0.1)
    stale, file = figure.stale, io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, bbox_inches=box)
    figure.stale = stale
    return part_of_bytes(file.getvalue(), None)


def _of_ipython(thing: Any) -> Part | None:
    """Return what IPython's ``Image`` and ``Audio`` carry; an address goes to the provider."""
    data, url = getattr(thing, "data", None), getattr(thing, "url", None)
    if isinstance(data, bytes):
        return part_of_bytes(data, None)
    return Image(url=url) if isinstance(url, str) and type(thing).__name__ == "Image" else None


def _own(thing: Any) -> list[Part] | None:
    """Return what an object's own picture representation gives, as IPython reads it."""
    for name in ("_repr_png_", "_repr_jpeg_"):
        method = getattr(type(thing), name, None)
        found = method(thing) if callable(method) else None
        if isinstance(found, tuple):  # with metadata
            found = found[0]
        if isinstance(found, str):
            try:
                found = base64.b64decode(found, validate=False)
            except (binascii.Error, ValueError):
                continue
        if isinstance(found, bytes) and found:
            return [part_of_bytes(found, None)]
    return None
