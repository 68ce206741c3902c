"""Attachments (R17): what the user wrote is read, text never is; names, bytes and sizes must agree; nothing is fetched."""

from __future__ import annotations

import bz2
import gzip
import io
import ipaddress
import json
import lzma
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pictures

from or_magic import media
from or_magic.content import Audio, File, Image, Part, Text, Video
from or_magic.engine.insert import user_parts
from or_magic.errors import MediaError, OptionError
from or_magic.media import files, part_of, parts, pictures
from or_magic.options import parse_line

from .kit import png


def attached(things: list[Any]) -> tuple[list[Part], list[Part]]:
    """Return what things become where no Python object is among them."""
    return media.attached(things, lambda thing: [part_of(thing)])


def only(thing: object) -> Part:
    """Return the only part that a thing becomes."""
    documents, shown = attached([thing])
    (part,) = [*documents, *shown]
    return part


def drawn(form: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **how: Any) -> bytes:
    """Return a real picture of a format."""
    file = io.BytesIO()
    Pictures.new(mode, size, 100 if mode in ("L", "I;16", "F") else None).save(file, form, **how)
    return file.getvalue()


def header_of_png(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that says that it is large."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + bytes(2_000)


# ── paths ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


_INSIDE = ("/proc/self/environ", "/proc/self/cmdline", "/proc/self/mem", "/proc/1/environ", "/proc/self/fd/0", "/proc/self/maps",
           "/proc/version", "/proc/thread-self/environ", "/sys/kernel/uevent_seqnum", "/dev/zero", "/dev/urandom", "/dev/null",
           "/dev/tty", "/dev/stdin", "/dev/fd/0")  # fmt: skip
_UP = "../" * 40
# How a path can be written, and still be that path; then what looks like one, and is another or none.
WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda path: path,
    "after the sign of files": lambda path: f"@{path}",
    "from below": lambda path: _UP + path[1:],
    "from home": lambda path: f"~/{_UP}{path[1:]}",
    "with two slashes": lambda path: path.replace("/", "//"),
    "with dots": lambda path: path.replace("/", "/./"),
    "there and back": lambda path: f"/tmp/..{path}",
    "by the root of a process": lambda path: f"/proc/self/root{path}",
    "by the folder of a process": lambda path: f"/proc/self/cwd/{_UP}{path[1:]}",
    "by a task": lambda path: f"/proc/{os.getpid()}/task/{os.getpid()}/root{path}",
    "file:": lambda path: f"file:{path}",
    "file://": lambda path: f"file://{path}",
    "FILE://localhost": lambda path: f"FILE://localhost{path}#fake.png",
    "with a zero byte": lambda path: f"{path}\0.png",
    "with an escaped zero byte": lambda path: f"{path}%00.png",
    "escaped": lambda path: path.replace("/", "%2f"),
    "escaped twice": lambda path: path.replace("/", "%252f"),
    "with a question": lambda path: f"{path}?a.png",
    "on another machine": lambda path: "\\\\server\\share" + path.replace("/", "\\"),
    "as a device of Windows": lambda path: "\\\\?\\C:" + path.replace("/", "\\"),
    "in broad letters": lambda path: path.replace("/", "\uff0f"),
}  # fmt: skip
_ODD = ("a\0b", "~nobody-at-all/x", "", " ", "@", ".", "..", "/", "/tmp", "~", "x" * 5000, "/nowhere/at/all", "%2e%2e/%2e%2e/etc/passwd",
        "ftp://example.org/a.png", "gopher://x/a.png", "javascript:alert(1)", "vbscript://x/1.png", "sftp://a/b.png", "smb://a/b.png",
        "dict://127.0.0.1:11211/x.png", "jar:file:///x!/y.png", "phar://x.png", "blob:http://x/y")  # fmt: skip
PATHS = {**{how: [write(path) for path in _INSIDE] for how, write in WRITINGS.items()}, "odd": list(_ODD)}


def test_there_are_enough_paths() -> None:
    """R17 asks for three hundred."""
    assert len({path for paths in PATHS.values() for path in paths}) >= 300


@pytest.mark.parametrize("how", PATHS)
def test_what_is_no_ordinary_file_is_refused(how: str) -> None:
    """Views into the system hold other people's secrets, devices have no end, and other schemes are not ours."""
    for path in PATHS[how]:
        with pytest.raises(MediaError, match=r"Nothing was sent\."):
            attached([path])


@pytest.mark.parametrize("how", PATHS)
def test_a_text_of_such_a_path_is_only_a_text(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it: a variable on the line is refused; in a prompt and in a template it is what it says (R17)."""

    def no_file(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(files, "read_file", no_file)
    monkeypatch.setattr(files.os, "open", no_file)
    for path in PATHS[how]:
        with pytest.raises(OptionError, match="never names a file"):
            parse_line("-a $found", {"$found": path}.get)
        assert tuple([Text(path)] if path else []) == user_parts([path], None)
        assert (Text(f"<{path}>"),) == user_parts("<{{ found }}>", {"found": path})


def test_links_and_pipes_are_followed_to_what_they_are(tmp_path: Path) -> None:
    """A link to a picture is a picture; one to the system's view of a process is none, whatever it is called."""
    (tmp_path / "real.png").write_bytes(png())
    (tmp_path / "good.png").symlink_to(tmp_path / "real.png")
    assert Image(data=png()) == only(str(tmp_path / "good.png"))
    (tmp_path / "bad.png").symlink_to("/proc/self/environ")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("bad.png", "loop.png", "pipe.png"):
        with pytest.raises(MediaError, match=r"Nothing was sent\."):
            attached([tmp_path / name])


def test_what_is_swapped_between_looking_and_opening_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is looked at again: a name is no promise."""
    path = tmp_path / "chart.png"
    path.write_bytes(png())
    before, swapped = os.stat(path), []

    def swapping(asked: Any, **how: Any) -> os.stat_result:
        if asked == path and not swapped:
            swapped.append(path)
            path.unlink()
            path.symlink_to("/proc/self/environ")
            return before
        return stat(asked, **how)

    stat = os.stat
    monkeypatch.setattr(files.os, "stat", swapping)
    with pytest.raises(MediaError, match="is not a file"):
        attached([path])
    assert [path] == swapped


def test_a_missing_file_names_the_closest_of_its_folder(tmp_path: Path) -> None:
    """Most are typing mistakes."""
    (tmp_path / "chart.png").write_bytes(png())
    with pytest.raises(MediaError, match=r"no such file\. Did you mean chart\.png\? Nothing was sent"):
        attached([str(tmp_path / "chrat.png")])
    with pytest.raises(MediaError, match="no folder"):
        attached([str(tmp_path / "nowhere" / "chart.png")])
    with pytest.raises(MediaError, match="a folder"):
        attached([str(tmp_path)])


def test_a_word_on_the_line_may_begin_with_the_sign_of_files_or_of_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the other options have it, and the shell."""
    (tmp_path / "chart.png").write_bytes(png())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("chart.png", "@chart.png", "~/chart.png", "./chart.png"):
        assert Image(data=png()) == only(word)


def test_several_paths_of_a_variable_are_several_attachments(tmp_path: Path) -> None:
    """``-a $paths`` after ``paths = list(folder.glob("*.png"))``."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())
    assert ([], [Image(data=png())] * 2) == attached([[tmp_path / "a.png", tmp_path / "b.png"]])


# ── text names no file ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_none_is_no_attachment() -> None:
    """A function that gave nothing back: the word would be sent, and paid."""
    with pytest.raises(MediaError, match=r"An attachment is None\. Nothing was sent"):
        media.attached([b"words", None], lambda thing: [part_of(thing)])


@pytest.mark.parametrize("text", ["/etc/passwd", "~/.ssh/id_rsa", "secret.txt", "file:///etc/passwd", "a\nb", ""])
def test_a_text_in_a_variable_names_no_file(text: str) -> None:
    """It may come from a web page or from a model (R17)."""
    with pytest.raises(OptionError, match="never names a file"):
        parse_line("-a $found", {"$found": text}.get)


def test_a_variable_may_hold_an_address_bytes_or_a_path() -> None:
    """An address is handed on and not fetched, so nobody's file is read by it."""
    for thing in ("https://x.example/a.png", "data:image/png;base64,AAAA", b"bytes", Path("chart.png")):
        assert (thing,) == parse_line("-a $found", {"$found": thing}.get).attach
    assert ("chart.png", "https://x.example/a.png") == parse_line("-a chart.png --image https://x.example/a.png").attach


# ── URLs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

NAMES_HERE = ("localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "db.internal", "nas.home.arpa", "router.lan",
              "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "0", "127.1", "0x7f.1")  # fmt: skip
NUMBERS_HERE = ("127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1")
NUMBERS_ELSEWHERE = ("8.8.8.8", "1.1.1.1", "93.184.216.34")
_BROAD = str.maketrans("0123456789.", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\u3002")


def spellings(number: str) -> list[str]:
    """Return an IPv4 address in every way in which something reads one."""
    a, b, c, d = map(int, number.split("."))
    whole, low, high = int(ipaddress.IPv4Address(number)), f"{c:02x}{d:02x}", f"{a:02x}{b:02x}"
    return [
        number, f"{number}.", str(whole), hex(whole), f"0{whole:o}", f"{a}.{(b << 16) + (c << 8) + d}", f"{a}.{b}.{(c << 8) + d}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:#x}.{b}.0{c:o}.{d}", number.translate(_BROAD),
        f"[::ffff:{number}]", f"[::ffff:{high}:{low}]", f"[::{high}:{low}]", f"[64:ff9b::{number}]", f"[64:ff9b::{high}:{low}]",
        f"[2002:{high}:{low}::1]",
    ]  # fmt: skip


HERE = [*NAMES_HERE, *dict.fromkeys(host for number in NUMBERS_HERE for host in spellings(number))]
ELSEWHERE = [host for number in NUMBERS_ELSEWHERE for host in spellings(number)]
URLS = ("http://{}/chart.png", "https://{}:8443/a.pdf", "http://{}/a.mp4?x=1", "HTTP://{}/")


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever asks for a name or opens a connection, also to this machine."""

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", asked)
    monkeypatch.setattr(socket, "getaddrinfo", asked)


def test_an_address_of_this_network_is_told_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the provider that fetches, so nothing here is in danger; but it will hardly get there.

    Neither a redirection nor a name that changes its address can do harm where nobody asks.
    """
    no_network(monkeypatch)
    assert len(HERE) * len(URLS) >= 200
    for url in [form.format(host) for host in HERE for form in URLS]:
        part = only(url)
        assert isinstance(part, (Image, File, Video))
        assert url == part.url
        assert "an address of this machine or network" in part.note, url


def test_the_same_spellings_of_the_world_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to be warned in vain."""
    no_network(monkeypatch)
    for host in ELSEWHERE:
        assert "" == getattr(only(f"https://{host}/chart.png"), "note", None), host


@pytest.mark.parametrize(
    "host", ["example.org", "8.8.8.8", "1.1.1.1", "[2606:4700::1111]", "localhost.example.org", "xn--p1ai"]
)
def test_an_address_of_the_world_is_not(host: str) -> None:
    """Nobody wants to be warned in vain."""
    assert "" == getattr(only(f"https://{host}/chart.png"), "note", None)


@pytest.mark.parametrize(
    ("url", "kind"),
    [("https://x.example/a.png", Image), ("https://x.example/a.JPG?size=2#x", Image), ("https://x.example/a%20b.webp", Image),
     ("https://x.example/a.pdf", File), ("https://x.example/a.mp4", Video), ("https://x.example/a.webm?t=1", Video),
     ("https://www.youtube.com/watch?v=abc", Video), ("https://youtu.be/abc", Video), ("https://picsum.example/200", Image),
     ("HTTPS://x.example/a.png", Image)],
)  # fmt: skip
def test_an_address_says_what_is_there(url: str, kind: type) -> None:
    """By its path; nothing is fetched (the network fails this test). One that says nothing is taken for a picture."""
    part = only(url)
    assert kind is type(part)
    assert url == part.url  # type: ignore[union-attr]
    assert None is part.data  # type: ignore[union-attr]
    assert ("sent as a picture" in part.note) == ("picsum" in url)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "url",
    ["https://", "https:///a.png", "http://user:password@x.example/a.png", "https://user@x.example/a.png", "https://x.example:port/a.png",
     "https://x.example/a.mp3", "https://x.example/page.html", "https://x.example/table.csv", "https://x.example/a.zip",
     "https://x.example/a.exe", "https://[::1/a.png", "https://x.example/a b.png", "https://x.example\\@y.example/a.png",
     "data:image/png;base64,%%%", "data:image/png,plain", "data:,", "data:text/html;base64,", "http:/\\x.example/a.png"],
)  # fmt: skip
def test_an_address_that_no_provider_can_use_is_refused(url: str) -> None:
    """With the reason; a password would end up in somebody's log."""
    try:
        part = only(url)
    except MediaError as error:
        assert "Nothing was sent" in str(error)
        assert "password@" not in str(error)
    else:
        assert "data:text/html;base64," == url, part


def test_a_data_url_is_read_by_its_bytes() -> None:
    """What it claims to be is nobody's proof."""
    import base64

    told = base64.b64encode(png()).decode()
    assert Image(data=png()) == only(f"data:text/plain;base64,{told}")
    with pytest.raises(MediaError, match="ZIP"):
        only("data:image/png;base64," + base64.b64encode(b"PK\3\4\x14\0\6\0").decode())


# ── names and bytes ────────────────────────────────────────────────────────────────────────────────────────────────────


def _archive(data: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", data)
    return file.getvalue()


LIES: list[tuple[str, bytes, str]] = [
    *[(f"chart.{suffix}", _archive(), "ZIP") for suffix in ("png", "jpg", "gif", "webp", "pdf", "mp3", "mp4", "wav", "bmp")],
    *[(f"chart.{suffix}", b"<html>404 not found</html>", "text") for suffix in ("png", "jpeg", "pdf", "mp3", "mov")],
    ("paper.pdf", png(), "picture"), ("chart.png", b"%PDF-1.7\n", "PDF"), ("voice.mp3", png(), "picture"),
    ("film.mp4", b"%PDF-1.7\n", "PDF"), ("chart.png", b"fLaC\0\0", "sound"), ("chart.png", b"", "it is empty"),
    ("report.docx", _archive(), "ZIP"), ("table.xlsx", _archive(), "ZIP"), ("table.csv.gz", gzip.compress(b"a,b"), "gzip"),
    ("table.parquet", b"PAR1\x15\0", "Parquet"), ("a.sqlite", b"SQLite format 3\0\x10\0", "SQLite"), ("a.out", b"\x7fELF\2\1\1\0", "program"),
    ("plan.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"), ("bomb.svg", b"<!DOCTYPE x [<!ENTITY a 'a'>]><svg/>", "SVG"),
    ("old.txt", "naïve".encode("latin-1"), "old encoding"), ("wide.txt", "wide".encode("utf-16"), "UTF-16"),
]  # fmt: skip


# Archives hold the time: two workers would see different bytes, so these are no part of the name.
@pytest.mark.parametrize(
    ("name", "data", "told"), LIES, ids=[f"{name} is {told} {place}" for place, (name, _, told) in enumerate(LIES)]
)
def test_a_file_is_what_its_bytes_say_or_refused(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    """A picture that is an archive is a mistake, or an attack; the model would see neither."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError, match=told) as caught:
        attached([tmp_path / name])
    assert name in str(caught.value)
    assert "Nothing was sent." in str(caught.value)


def test_a_picture_may_have_the_name_of_another_kind_of_picture(tmp_path: Path) -> None:
    """The web is full of JPEGs called .png; the bytes decide what is sent."""
    (tmp_path / "photo.png").write_bytes(drawn("JPEG"))
    assert "image/jpeg" == only(tmp_path / "photo.png").media_type  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [("a.m4a", b"\0\0\0\x20ftypisom" + bytes(20), "m4a"), ("a.aac", b"\xff\xf1\x50\x80" + bytes(20), "aac"),
     ("a.aifc", b"FORM\0\0\0\x10AIFC" + bytes(20), "aiff"), ("a.oga", b"OggS\0" + bytes(20), "ogg")],
)  # fmt: skip
def test_sound_has_the_format_that_the_gateway_knows(tmp_path: Path, name: str, data: bytes, form: str) -> None:
    """The protocol names nine of them."""
    (tmp_path / name).write_bytes(data)
    part = only(tmp_path / name)
    assert isinstance(part, Audio)
    assert (form, data) == (part.format, part.data)


# ── pictures ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_usual_pictures_go_as_they_are(form: str) -> None:
    """Byte for byte, and with nothing to note."""
    data = drawn(form)
    part = part_of(data)
    assert isinstance(part, Image)
    assert (data, f"image/{form.lower()}", "") == (part.data, part.media_type, part.note)


@pytest.mark.parametrize("form", ["BMP", "TIFF", "ICO", "JPEG2000", "DDS", "AVIF"])
def test_other_pictures_are_converted(form: str) -> None:
    """Models take four kinds; the user is told."""
    Pictures.init()
    if form not in Pictures.SAVE:
        pytest.skip("this Pillow does not write it")
    part = part_of(drawn(form, (32, 32)))
    assert isinstance(part, Image)
    assert "converted from" in part.note
    assert ("PNG", (32, 32)) == (opened(part).format, opened(part).size)


def opened(part: Image) -> Pictures.Image:
    """Return the decoded picture of a part."""
    assert part.data is not None
    return Pictures.open(io.BytesIO(part.data))


def test_measurements_are_stretched_to_what_can_be_seen(tmp_path: Path) -> None:
    """A 16-bit TIFF cut to 8 bits would be white."""
    picture = Pictures.new("I;16", (4, 1))
    picture.putdata([1000, 2000, 3000, 4000])
    picture.save(tmp_path / "scan.tiff")
    part = only(tmp_path / "scan.tiff")
    assert isinstance(part, Image)
    assert [0, 85, 170, 255] == list(opened(part).tobytes())


def test_a_huge_picture_is_scaled_down_upright_and_that_is_told(tmp_path: Path) -> None:
    """Its orientation is a note in its head, which a picture written anew has no more."""
    picture = Pictures.new("RGB", (5000, 2500), "white")
    picture.paste("red", (0, 0, 2500, 2500))
    exif = Pictures.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    picture.save(tmp_path / "phone.jpg", exif=exif)
    part = only(tmp_path / "phone.jpg")
    assert isinstance(part, Image)
    seen = opened(part).convert("RGB")
    assert (pictures.MAX_SIDE_PX // 2, pictures.MAX_SIDE_PX) == seen.size
    top, bottom = (seen.getpixel((100, y)) for y in (100, seen.size[1] - 100))
    assert (True, True) == (top[1] < 50, bottom[1] > 200)  # type: ignore[index]
    assert "phone.jpg: scaled down from 5,000 × 2,500 to 2,048 × 4,096 pixels" == part.note


def test_a_clear_picture_stays_clear_and_an_animation_says_which_frame(tmp_path: Path) -> None:
    """Only where it has to be written anew: an ordinary GIF goes as it is, with all its frames."""
    Pictures.new("RGBA", (5000, 10), (255, 0, 0, 128)).save(tmp_path / "clear.png")
    part = only(tmp_path / "clear.png")
    assert isinstance(part, Image)
    assert ("RGBA", 128) == (opened(part).mode, opened(part).getpixel((0, 0))[3])  # type: ignore[index]
    frames = [Pictures.new("P", (5000, 2), n) for n in range(3)]
    for n, frame in enumerate(frames):
        frame.putpalette([n, 50, 100] * 256)
    frames[0].save(tmp_path / "long.gif", save_all=True, append_images=frames[1:])
    part = only(tmp_path / "long.gif")
    assert isinstance(part, Image)
    assert "the first of 3 pictures in it" in part.note
    small = drawn("GIF", save_all=True, append_images=[Pictures.new("RGB", (40, 30), "red")])
    assert Image(data=small, media_type="image/gif") == part_of(small)


def test_too_many_bytes_are_made_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers refuse them."""
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 10_000)
    monkeypatch.setattr(pictures, "_PNG_BYTES", 10_000)
    file = io.BytesIO()
    Pictures.effect_noise((200, 200), 40).save(file, "PNG")
    part = part_of(file.getvalue())
    assert isinstance(part, Image)
    assert "image/jpeg" == part.media_type
    assert len(part.data or b"") < len(file.getvalue())
    assert "converted from png" in part.note


# ── bombs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tiff_bomb(side: int, order: str = "<") -> bytes:
    entries = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
               (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, 100)]  # fmt: skip
    return (
        (b"II" if order == "<" else b"MM")
        + struct.pack(f"{order}HIH", 42, 8, len(entries))
        + b"".join(struct.pack(f"{order}HHI{'I' if e[1] == 4 else 'HH'}", *e, *([0] * (e[1] == 3))) for e in entries)
        + bytes(200)
    )


def _bmp_bomb(side: int, height: int | None = None) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 200, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, side, height or side, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(200)
    )


def _webp(width: int, height: int) -> bytes:
    body = b"WEBPVP8X\x0a\0\0\0" + bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _lossless_webp(side: int) -> bytes:
    body = b"WEBPVP8L" + struct.pack("<I", 20) + b"\x2f" + struct.pack("<I", (side - 1) | (side - 1) << 14) + bytes(15)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _jp2_bomb(side: int) -> bytes:
    box = b"\0\0\0\x16ihdr" + struct.pack(">IIH", side, side, 3) + b"\x07\x07\0\0"
    return b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + struct.pack(">I", 8 + len(box)) + b"jp2h" + box


def _icon_bomb(side: int) -> bytes:
    inner = header_of_png(side, side)
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


BOMBS: dict[str, Callable[[], bytes]] = {
    **{f"png {w}x{h}": (lambda w=w, h=h: header_of_png(w, h))  # type: ignore[misc]
       for w, h in [(50_000, 50_000), (9_460, 9_460), (2**23, 2**23), (1_000_000, 100), (100, 1_000_000), (16_000_000, 6)]},
    **{f"gif {s}": (lambda s=s: b"GIF89a" + struct.pack("<HH", s, s) + bytes(50)) for s in (65_535, 30_000, 10_000)},  # type: ignore[misc]
    **{f"webp {s}": (lambda s=s: _webp(s, s)) for s in (16_384, 16_777_215, 10_000)},  # type: ignore[misc]
    **{f"jpeg {s}": (lambda s=s: b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", s, s) + bytes(50)) for s in (65_535, 20_000)},  # type: ignore[misc]
    **{f"tiff {s}": (lambda s=s: _tiff_bomb(s)) for s in (50_000, 13_000, 10_000)},  # type: ignore[misc]
    **{f"bmp {s}": (lambda s=s: _bmp_bomb(s)) for s in (50_000, 13_000, 10_000)},  # type: ignore[misc]
    **{f"progressive jpeg {s}": (lambda s=s: b"\xff\xd8\xff\xc2\0\x11\x08" + struct.pack(">HH", s, s) + bytes(50)) for s in (65_535, 20_000)},  # type: ignore[misc]
    **{f"lossless webp {s}": (lambda s=s: _lossless_webp(s)) for s in (16_384, 10_000)},  # type: ignore[misc]
    **{f"big-endian tiff {s}": (lambda s=s: _tiff_bomb(s, ">")) for s in (50_000, 10_000)},  # type: ignore[misc]
    **{f"psd {s}": (lambda s=s: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, s, s, 8, 3) + bytes(80)) for s in (30_000, 10_000)},  # type: ignore[misc]
    **{f"dds {s}": (lambda s=s: b"DDS |\0\0\0" + struct.pack("<III", 0x1007, s, s) + bytes(200)) for s in (60_000, 10_000)},  # type: ignore[misc]
    **{f"jp2 {s}": (lambda s=s: _jp2_bomb(s)) for s in (60_000, 10_000)},  # type: ignore[misc]
    **{f"icon of a png {s}": (lambda s=s: _icon_bomb(s)) for s in (50_000, 10_000)},  # type: ignore[misc]
    **{f"bmp upside down {s}": (lambda s=s: _bmp_bomb(s, -s)) for s in (50_000, 10_000)},  # type: ignore[misc]
    **{f"{name} of nothing": (lambda pack=pack: pack(bytes(10_000_000)))  # type: ignore[misc]
       for name, pack in (("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress))},
    "gzip a thousand deep": lambda: _deep(gzip.compress, 1_000),
    "gzip of gzip": lambda: gzip.compress(gzip.compress(bytes(10_000_000))),
    "zip": _archive,
    "zip of nothing": lambda: _archive(bytes(10_000_000)),
    "zip in zip": lambda: _deep(_archive, 20),
    **{name: (lambda magic=magic: magic + bytes(300)) for name, magic in [  # type: ignore[misc]
        ("7z", b"7z\xbc\xaf\x27\x1c"), ("rar", b"Rar!\x1a\x07"), ("zstd", b"\x28\xb5\x2f\xfd"), ("HDF5", b"\x89HDF\r\n\x1a\n")]},
}  # fmt: skip
SVG_BOMBS = (
    "<!DOCTYPE x [<!ENTITY a 'aaaa'>" + "".join([f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in pairwise("abcdefghij")]) + "]><svg>&j;</svg>",
    "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
    "<svg xmlns='http://www.w3.org/2000/svg'><image href='http://169.254.169.254/' width='99999' height='99999'/></svg>",
    "<svg xmlns='http://www.w3.org/2000/svg'><use href='#a' id='a'/></svg>",
    "<svg onload='alert(1)' width='1e9' height='1e9'/>",
)  # fmt: skip


def _deep(pack: Callable[[bytes], bytes], times: int) -> bytes:
    data = b"x"
    for _ in range(times):
        data = pack(data)
    return data


def test_there_are_enough_bombs(tmp_path: Path) -> None:
    """R17 asks for fifty. SVG is refused by its name; as bytes it is the text that it is, and nobody draws it."""
    assert len(BOMBS) + len(SVG_BOMBS) >= 50
    for text in SVG_BOMBS:
        (tmp_path / "plan.svg").write_text(text)
        with pytest.raises(MediaError, match="SVG"):
            attached([tmp_path / "plan.svg"])
        assert Text(text) == part_of(text.encode())


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(name: str) -> None:
    """A few bytes that say that they are gigabytes; no memory is spent on them."""
    import tracemalloc

    data = BOMBS[name]()
    part_of(png())
    tracemalloc.start()
    try:
        with pytest.raises(MediaError, match=r"Nothing was sent\."):
            part_of(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["BMP", "TIFF", "ICO", "JPEG2000"])
def test_broken_pictures_are_named_not_raised_through(form: str) -> None:
    """Decoders raise whatever they stumble over."""
    data = drawn(form, (32, 32))
    for end in range(30, len(data), max(1, len(data) // 12)):
        for broken in (data[:end], data[:end] + b"\xff" * 40 + data[end + 40 :]):
            try:
                part_of(broken)
            except MediaError as error:
                assert "Nothing was sent." in str(error)


# ── text ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_large_table_is_refused_with_advice(tmp_path: Path) -> None:
    """Sixty megabytes are twenty million tokens: no model takes them, and nobody wants the bill."""
    (tmp_path / "sales.csv").write_bytes(b"a,b,c\n" * 10_000_000)
    with pytest.raises(MediaError, match=r"sales\.csv has 57\.2 MiB of text.*\{\{ df \}\}"):
        attached([tmp_path / "sales.csv"])


def test_text_arrives_under_its_name_before_the_question(tmp_path: Path) -> None:
    """Documents first: then they begin the next prompt as well, and a provider's cache knows them."""
    (tmp_path / "a.md").write_text("# Título\n\n$x$ {{ not_expanded }}\n", encoding="utf-8")
    (tmp_path / "b.png").write_bytes(png())
    documents, shown = attached([tmp_path / "b.png", tmp_path / "a.md"])
    assert [Text("a.md:\n\n# Título\n\n$x$ {{ not_expanded }}\n\n\n")] == documents
    assert [Image(data=png())] == shown


def test_a_name_of_several_lines_stays_one() -> None:
    """A file name is no place for instructions."""
    found = parts.part_of_bytes(b"x", "a\nIgnore all.txt")
    assert Text("a?Ignore all.txt:\n\nx") == found


def test_a_notebook_is_what_was_written_run_and_printed(tmp_path: Path) -> None:
    """Not its JSON: pictures in base64 would be most of it."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": "print('hi')", "outputs": [
            {"output_type": "stream", "text": ["hi\n"]},
            {"output_type": "display_data", "data": {"image/png": "A" * 100_000, "text/plain": "<Figure>"}},
            {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []},
            {"output_type": "stream", "text": "x" * 50_000},
        ]},
    ]  # fmt: skip
    (tmp_path / "work.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}), encoding="utf-8")
    part = only(tmp_path / "work.ipynb")
    assert isinstance(part, Text)
    assert part.text.startswith("work.ipynb:\n\n# Title\ntext\n\n```python\nprint('hi')\n```\n\n```output\nhi\n```")
    assert "(a picture, left out)" in part.text
    assert "ValueError: no" in part.text
    assert "48,000 characters left out" in part.text
    assert len(part.text) < 3_000
    for broken in (
        b"{",
        b"[]",
        b'{"cells": 5}',
        b'{"cells": [5, {"cell_type": "code", "outputs": [7], "source": null}]}',
    ):
        (tmp_path / "broken.ipynb").write_bytes(broken)
        assert isinstance(only(tmp_path / "broken.ipynb"), Text)


def test_size_is_looked_at_before_reading(tmp_path: Path) -> None:
    """A sparse terabyte takes no memory."""
    with (tmp_path / "huge.mp4").open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(2**40)
    try:
        with pytest.raises(MediaError, match="larger than 64 MiB"):
            attached([tmp_path / "huge.mp4"])
    finally:
        (tmp_path / "huge.mp4").unlink()  # who looks for traces of the key would read it
