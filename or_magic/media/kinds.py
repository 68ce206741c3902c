"""What bytes are, told by their own first bytes, and what a file's name promises. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import MediaError


class Kind(NamedTuple):
    """``family`` is picture, PDF, sound, video, text or foreign; ``form`` the media type, format or name of it."""

    family: str
    form: str


AS_THEY_ARE = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXT = Kind("text", "text")
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"), (b"MM\0*", "image/tiff"), (b"\0\0\1\0", "image/x-icon"), (b"8BPS\0\1", "image/x-psd"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"), (b"DDS \x7c\0\0\0", "image/x-dds"), (b"icns\0", "image/x-icns"),
)  # fmt: skip
_SOUNDS = (
    (b"ID3\x02", "mp3"), (b"ID3\x03", "mp3"), (b"ID3\x04", "mp3"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"),
    (b"\xff\xfa", "mp3"), (b"\xff\xf2", "mp3"), (b"fLaC", "flac"), (b"OggS\0", "ogg"), (b"\xff\xf1", "aac"),
    (b"\xff\xf9", "aac"),
)  # fmt: skip
_FOREIGN = (
    (b"PK\3\4", "a ZIP archive (so are Word, Excel and PowerPoint files)"), (b"PK\5\6", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ\0", "an xz archive"), (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"PAR1", "a Parquet file"), (b"\x89HDF\r\n\x1a\n", "an HDF5 file"), (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"\xd0\xcf\x11\xe0", "an old Office file"),
)  # fmt: skip
_STILL = {b"heic": "image/heic", b"heix": "image/heic", b"hevc": "image/heic", b"mif1": "image/heic",
          b"msf1": "image/heic", b"avif": "image/avif", b"avis": "image/avif"}  # fmt: skip
_FAMILIES = {
    "picture": "png jpg jpeg jpe jfif gif webp bmp dib tif tiff ico icns psd jp2 j2k dds avif heic heif",
    "PDF": "pdf",
    "sound": "wav wave mp3 flac ogg oga opus aif aiff aifc aac m4a m4b",
    "video": "mp4 m4v mpg mpeg mov webm",
}
_PROMISED = {suffix: family for family, suffixes in _FAMILIES.items() for suffix in suffixes.split()}
_ALIKE = ({"sound", "video"},)  # their containers are the same


def kind_of(data: bytes, name: str | None) -> Kind:
    """Return what the bytes are.

    Raises:
        MediaError: the name promises something else, or it is nothing that a model takes.
    """
    found = _sniffed(data)
    suffix = suffix_of(name)
    if suffix == "svg":
        raise MediaError(
            f"{name}: no model takes SVG pictures. Nothing was sent. Save it as PNG, or send its source as text: "
            "{{ Path('…').read_text() }}."
        )
    if found == Kind("video", "video/mp4") and suffix in ("m4a", "m4b"):
        return Kind("sound", "m4a")
    promised = _PROMISED.get(suffix)
    if promised and promised != found.family and {promised, found.family} not in _ALIKE:
        told = f"its bytes are {_told(found)}" if data else "it is empty"
        raise MediaError(
            f"{name} is {_an(promised)} by its name, but {told}. Nothing was sent. "
            "Look at the file, or give it the right name."
        )
    if found.family == "foreign":
        told = name or f"bytes that begin with {data[:8]!r}"
        raise MediaError(
            f"{told} is no picture, PDF, sound, video or UTF-8 text: it is {found.form}. Nothing was sent. "
            "Convert it to one of these; of a table send a DataFrame."
        )
    return found


def suffix_of(name: str | None) -> str:
    """Return the end of a file's name, without the dot and in small letters."""
    return name.rpartition(".")[2].lower() if name and "." in name else ""


def _an(family: str) -> str:
    return family if family in ("sound", "text") else f"a {family}"


def _told(found: Kind) -> str:
    return found.form if found.family == "foreign" else _an(found.family)


def _sniffed(data: bytes) -> Kind:
    if data.startswith(b"%PDF-"):
        return Kind("PDF", "application/pdf")
    for family, form in (("picture", _picture(data)), ("sound", _sound(data)), ("video", _video(data))):
        if form is not None:
            return Kind(family, form)
    return _other(data)


def _picture(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0" and len(data) > 26:
        return "image/bmp"
    if data[4:8] == b"ftyp" and data[8:12] in _STILL:
        return _STILL[data[8:12]]
    return next((media_type for magic, media_type in _PICTURES if data.startswith(magic)), None)


def _sound(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[4:11] in (b"ftypM4A", b"ftypM4B"):
        return "m4a"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return next((kind for magic, kind in _SOUNDS if data.startswith(magic)), None)


def _video(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return "video/quicktime" if data[8:10] == b"qt" else "video/mp4"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    return "video/mpeg" if data[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3") else None


def _other(data: bytes) -> Kind:
    foreign = next((noun for magic, noun in _FOREIGN if data.startswith(magic)), None)
    if b"\0" not in data and _is_utf8(data) and (foreign is None or re.fullmatch(rb"[\x20-\x7e]+", data[:6])):
        return TEXT  # also where words begin like the mark of something else
    if foreign is None and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        foreign = "text in UTF-16: save it as UTF-8"
    return Kind("foreign", foreign or "of no known kind, or text in an old encoding")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
