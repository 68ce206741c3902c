"""The pictures of an answer as PIL images, each opened when somebody asks for it. Reads memory only.

What is a picture is decided by its first bytes, never by what a gateway calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, overload

from .content import Image
from .errors import MediaError

if TYPE_CHECKING:
    from PIL import Image as Picture

MOST_PIXELS = 64_000_000  # an 8K picture has 33 million; this many take 256 MB once they are decoded
_KINDS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


class Pictures(Sequence["Picture.Image"]):
    """``[0]`` is a PIL image, made anew each time and decoded at its first use; ``parts`` have the bytes as they came.

    Raises:
        MediaError: by ``[0]``, for a picture that is not here, that cannot be read, or that would fill the memory.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Image, ...] = ()) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, place: int) -> Picture.Image: ...

    @overload
    def __getitem__(self, place: slice) -> Pictures: ...

    def __getitem__(self, place: int | slice) -> Picture.Image | Pictures:
        if isinstance(place, slice):
            return Pictures(self.parts[place])
        return opened(self.parts[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pictures) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __repr__(self) -> str:
        return f"<{len(self.parts)} picture{'s' * (len(self.parts) != 1)}>"


def kind_of(data: bytes | None) -> str | None:
    """Return PNG, JPEG, GIF or WEBP; None for anything else."""
    if data is None:
        return None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _KINDS if data.startswith(magic)), None)


def media_type_of(data: bytes | None) -> str | None:
    """Return the MIME type under which front ends draw these bytes; None where they must not."""
    return _MEDIA_TYPES.get(kind_of(data) or "")


def opened(part: Image) -> Picture.Image:
    """Return a picture as PIL image, its dots undecoded.

    Raises:
        MediaError: it is not here, cannot be read, or would fill the memory.
    """
    from PIL import Image as Picture

    if part.data is None:
        raise MediaError(
            f"The picture is at {part.url}; nothing fetches it by itself. Its address is in .parts[…].url."
        )
    kind = kind_of(part.data)
    if kind is None:
        raise MediaError("The picture is no PNG, JPEG, GIF or WebP. Its bytes are in .parts[…].data.")
    try:
        picture = Picture.open(BytesIO(part.data), formats=(kind,))
    except (OSError, ValueError, SyntaxError) as error:
        raise MediaError(f"The picture cannot be read: {error}. Its bytes are in .parts[…].data.") from None
    except (Picture.DecompressionBombError, Picture.DecompressionBombWarning) as error:
        raise _bomb(str(error)) from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise _bomb(f"it has {width:,} × {height:,} dots")
    return picture


def _bomb(told: str) -> MediaError:
    return MediaError(
        f"The picture would take too much memory ({told}; at most {MOST_PIXELS:,} are opened). "
        "Its bytes are in .parts[…].data."
    )
