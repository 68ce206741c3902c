"""URLs as attachments: passed to the provider, never fetched here; what is there, the address says. Pure."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import SplitResult, unquote, urlsplit

from ..content import File, Image, Video
from ..errors import MediaError
from .kinds import suffix_of

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter is a drive
_PICTURES = ("png", "jpg", "jpeg", "webp", "gif")
_VIDEOS = ("mp4", "mpeg", "mpg", "mov", "webm", "m4v")
_VIDEO_HOSTS = ("youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be")
_SOUNDS = ("wav", "mp3", "flac", "m4a", "ogg", "aiff", "aac", "opus")
_PAGES = ("", "html", "htm", "php", "asp", "aspx", "jsp")

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def has_scheme(word: str) -> bool:
    """Whether a word is an address rather than a path."""
    return bool(_SCHEME.match(word)) and (":/" in word or word.lower().startswith(("data:", "file:", "javascript:")))


def part_of_url(url: str) -> Image | File | Video:
    """Return the part that hands an address to the provider.

    Raises:
        MediaError: providers do not fetch such an address, or nothing of that kind.
    """
    place = _place(url)
    name = unquote(place.path).rpartition("/")[2]
    suffix, note = suffix_of(name), _note(place)
    if suffix in _VIDEOS or place.hostname in _VIDEO_HOSTS:
        return Video(url=url, note=note)
    if suffix == "pdf":
        return File(filename=name, url=url, note=note)
    if suffix in _PICTURES:
        return Image(url=url, note=note)
    if suffix in _SOUNDS:
        raise MediaError(
            f"{_short(url)}: sound cannot be sent by URL. Nothing was sent. Download it and attach the file."
        )
    if suffix in _PAGES and suffix:
        raise MediaError(
            f"{_short(url)} is a web page, which no provider fetches as an attachment. Nothing was sent. "
            'Save it, or let the model search: -p plugins=\'[{"id": "web"}]\'.'
        )
    if suffix and len(suffix) <= 5 and suffix.isalnum():
        raise MediaError(
            f"{_short(url)}: a .{suffix} file cannot be sent by URL. Nothing was sent. Download it and attach the "
            "file; by URL go pictures (png jpeg webp gif), PDF and video."
        )
    taken = f"{_short(url)} is sent as a picture: its address does not say what is there"
    return Image(url=url, note="; ".join([taken, *([note] if note else [])]))


def _place(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        host = place.hostname
        _ = place.port
    except ValueError:
        raise MediaError(f"{_short(url)} is no address. Nothing was sent.") from None
    if place.scheme.lower() not in ("http", "https"):
        advice = " Write the path itself." if place.scheme.lower() == "file" else ""
        raise MediaError(f"{_short(url)}: providers fetch http and https only. Nothing was sent.{advice}")
    if not host or re.search(r"[\s\x00-\x1f\\]", url):
        raise MediaError(f"{_short(url)} is no address. Nothing was sent.")
    if place.username or place.password:
        raise MediaError("The address holds a name or a password, which the provider would get. Nothing was sent.")
    return place


def _note(place: SplitResult) -> str:
    # As browsers read it: broad digits and dots are digits and dots.
    host = unicodedata.normalize("NFKC", str(place.hostname)).replace("\u3002", ".").rstrip(".")
    if _is_here(host):
        return f"{host[:80]} is an address of this machine or network: the provider fetches it, and hardly reaches it"
    return ""


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa")):
        return True
    found = _address(host)
    if isinstance(found, ipaddress.IPv6Address):
        found = _inside(found) or found
    return found is not None and (found.is_multicast or not found.is_global)


def _inside(found: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the address of the old kind that one of the new kind leads to: mapped, 6to4, NAT64 or compatible."""
    last = int(found) & 0xFFFFFFFF
    if found in _NAT64 or (found in _COMPATIBLE and last > 1):  # :: and ::1 are its own
        return ipaddress.IPv4Address(last)
    return found.ipv4_mapped or found.sixtofour


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the number that a host is, in any of the ways in which browsers read numbers."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        numbers = [int(part, 16 if part[:2].lower() == "0x" else 8 if part[:1] == "0" and part != "0" else 10)
                   for part in host.split(".")]  # fmt: skip
    except ValueError:
        return None
    if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    return ipaddress.IPv4Address(sum(number << (24 - 8 * i) for i, number in enumerate(numbers[:-1])) + numbers[-1])


def _short(url: str) -> str:
    return url if len(url) <= 120 else f"{url[:117]}…"
