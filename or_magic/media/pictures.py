"""Pictures as models take them: the usual kinds as they are, others converted, huge ones scaled down. No I/O."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from ..content import Image
from ..errors import MediaError
from ..estimate.media import picture_size
from .kinds import AS_THEY_ARE

if TYPE_CHECKING:
    from PIL import Image as Pictures

# No vendor looks at more; larger ones are scaled down there, after the bytes have travelled.
MAX_SIDE_PX = 4_096
MAX_PICTURE_BYTES = 20 * 2**20
# A picture of a few kilobytes can say that it has billions of pixels; this is what Pillow warns of.
MAX_PIXELS = 89_478_485
_JPEG_QUALITY = 85
_PNG_BYTES = 5 * 2**20  # a larger one is a photograph: as JPEG it takes a tenth
# Not those that start other programs (EPS), nor those that have no mark of their own (TGA).
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "ICO", "ICNS", "PSD", "JPEG2000", "DDS", "AVIF")


def picture(data: bytes, media_type: str, name: str | None) -> Image:
    """Return the picture; its note says what was changed.

    Raises:
        MediaError: it has too many pixels, or cannot be decoded where it has to be.
    """
    told = name or "the picture"
    size = picture_size(data)
    if size is not None:
        _check_pixels(size, told)
    fits = size is None or max(size) <= MAX_SIDE_PX
    if media_type in AS_THEY_ARE and fits and len(data) <= MAX_PICTURE_BYTES:
        return Image(data=data, media_type=media_type)
    return _redrawn(data, media_type, told)


def picture_of(opened: Pictures.Image, told: str = "the picture") -> Image:
    """Return a picture that is in memory; that one stays as it is.

    Raises:
        MediaError: it has too many pixels, or cannot be read from its file.
    """
    _check_pixels(opened.size, told)
    try:
        drawn = _small(opened)
        written, form = _written(drawn, jpeg=opened.format == "JPEG")
    except Exception as error:  # noqa: BLE001 - its file may be gone or broken
        raise MediaError(f"{told} cannot be read: {str(error)[:200]}. Nothing was sent.") from None
    return Image(data=written, media_type=form, note="; ".join(_scaling(opened.size, drawn.size, told)))


def _scaling(before: tuple[int, int], after: tuple[int, int], told: str) -> list[str]:
    if after == before:
        return []
    return [f"{told}: scaled down from {before[0]:,} × {before[1]:,} to {after[0]:,} × {after[1]:,} pixels"]


def _check_pixels(size: tuple[int, int], told: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise MediaError(
            f"{told} says that it has {size[0]:,} × {size[1]:,} pixels, more than {MAX_PIXELS:,}. Nothing was sent. "
            "Scale it down first."
        )


def _redrawn(data: bytes, media_type: str, told: str) -> Image:
    from PIL import Image as Pictures

    try:
        with Pictures.open(io.BytesIO(data), formats=_readable()) as opened:
            _check_pixels(opened.size, told)
            before, frames = opened.size, getattr(opened, "n_frames", 1)
            drawn = _scaled(opened)
            written, form = _written(drawn, jpeg=media_type == "image/jpeg")
    except MediaError:
        raise
    except (Pictures.DecompressionBombError, Pictures.DecompressionBombWarning):
        raise MediaError(
            f"{told} has more than {MAX_PIXELS:,} pixels. Nothing was sent. Scale it down first."
        ) from None
    except Exception as error:  # noqa: BLE001 - decoders raise whatever broken bytes make them stumble over
        raise MediaError(f"{told} cannot be read as a picture ({media_type}): {_why(media_type, error)}.") from None
    changes = [f"converted from {media_type.removeprefix('image/')}"] * (form != media_type)
    if drawn.size != before:
        changes.append(
            f"scaled down from {before[0]:,} × {before[1]:,} to {drawn.size[0]:,} × {drawn.size[1]:,} pixels"
        )
    changes += [f"the first of {frames:,} pictures in it"] * (frames > 1)
    changes = changes or [f"written anew with {len(written) / 2**20:.1f} MiB instead of {len(data) / 2**20:.1f}"]
    return Image(data=written, media_type=form, note=f"{told}: {', '.join(changes)}")


def _why(media_type: str, error: Exception) -> str:
    if media_type in ("image/heic", "image/avif"):
        return "Pillow does not decode it here. Nothing was sent. Save it as PNG or JPEG"
    return f"{str(error)[:200] or type(error).__name__}. Nothing was sent. Save it as PNG or JPEG"


def _readable() -> list[str]:
    from PIL import Image as Pictures

    Pictures.init()
    return [form for form in _FORMATS if form in Pictures.OPEN]


def _scaled(opened: Pictures.Image) -> Pictures.Image:
    """Return the first picture upright, with eight bits a channel, and small enough."""
    opened.draft("RGB", (MAX_SIDE_PX, MAX_SIDE_PX))  # a JPEG is then not even decoded in full
    return _small(opened)


def _small(opened: Pictures.Image) -> Pictures.Image:
    """Return a copy: upright, with eight bits a channel, and small enough."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(opened)
    plain = _eight_bits(upright)
    plain.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    return plain


def _eight_bits(opened: Pictures.Image) -> Pictures.Image:
    if opened.mode in (
        "I",
        "F",
        "I;16",
        "I;16L",
        "I;16B",
    ):  # measurements: as dark as their least, as light as their most
        values = opened.convert("F")
        low, high = cast("tuple[float, float]", values.getextrema())
        scale = 255 / (high - low) if high > low else 0.0
        return values.point(lambda value: value * scale - low * scale).convert("L")
    clear = "A" in opened.getbands() or "transparency" in opened.info
    return opened.convert("RGBA" if clear else "L" if opened.mode in ("1", "L") else "RGB")


def _written(drawn: Pictures.Image, *, jpeg: bool) -> tuple[bytes, str]:
    """Return the bytes and their media type."""
    if not jpeg:
        file = io.BytesIO()
        drawn.save(file, "PNG")
        if file.tell() <= _PNG_BYTES:
            return file.getvalue(), "image/png"
    file = io.BytesIO()
    _on_white(drawn).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue(), "image/jpeg"


def _on_white(drawn: Pictures.Image) -> Pictures.Image:
    if drawn.mode != "RGBA":
        return drawn
    from PIL import Image as Pictures

    ground = Pictures.new("RGB", drawn.size, "white")
    ground.paste(drawn, mask=drawn.getchannel("A"))
    return ground
