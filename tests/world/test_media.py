"""Attachments: what a thing is, its own bytes say; what no model takes is refused before anything is sent."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session
from or_magic.content import Audio, File, Image, Text, Video
from or_magic.errors import MediaError, OptionError
from or_magic.media import files, part_of

from .kit import books, png

KINDS: dict[str, tuple[bytes, type, str | None]] = {
    "png": (png(), Image, "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"x" * 20, Image, "image/jpeg"),
    "gif": (b"GIF89a\x10\0\x10\0" + b"x" * 20, Image, "image/gif"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8X\n\0\0\0" + bytes(20), Image, "image/webp"),
    "pdf": (b"%PDF-1.7\n" + b"x" * 20, File, None),
    "wav": (b"RIFF\x10\0\0\0WAVEfmt " + b"x" * 20, Audio, "wav"),
    "mp3 with a tag": (b"ID3\x04\0\0" + b"x" * 20, Audio, "mp3"),
    "mp3": (b"\xff\xfb\x90\x64" + b"x" * 20, Audio, "mp3"),
    "flac": (b"fLaC\0" + b"x" * 20, Audio, "flac"),
    "ogg": (b"OggS\0" + b"x" * 20, Audio, "ogg"),
    "m4a": (b"\0\0\0\x20ftypM4A " + b"x" * 20, Audio, "m4a"),
    "aiff": (b"FORM\0\0\0\x10AIFF" + b"x" * 20, Audio, "aiff"),
    "mp4": (b"\0\0\0\x20ftypisom" + b"x" * 20, Video, "video/mp4"),
    "mov": (b"\0\0\0\x20ftypqt  " + b"x" * 20, Video, "video/quicktime"),
    "webm": (b"\x1a\x45\xdf\xa3" + b"x" * 20, Video, "video/webm"),
    "mpeg": (b"\0\0\1\xba" + b"x" * 20, Video, "video/mpeg"),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("as_path", [True, False])
def test_bytes_tell_what_they_are(tmp_path: Path, name: str, *, as_path: bool) -> None:
    """A name may lie: everything here is called .txt."""
    data, kind, form = KINDS[name]
    path = tmp_path / "misleading.txt"
    path.write_bytes(data)
    part = part_of(path if as_path else data)
    assert kind is type(part)
    assert form in (None, getattr(part, "media_type", None), getattr(part, "format", None))
    assert data == (base64.b64decode(part.base64) if isinstance(part, Audio) else part.data)


@pytest.mark.parametrize(
    "text",
    ["plain", "ID3 builds decision trees from tables", "GIFT of the magi", "%PDF is a format", "RIFF raff", "FORM letter", "",
     "OggSomething", "zürich ☕", "\ufeffwith a mark", "<svg xmlns='x'/>"],
)  # fmt: skip
def test_text_is_text(tmp_path: Path, text: str) -> None:
    """Also when its first letters are those of something else."""
    path = tmp_path / "notes.txt"
    path.write_text(text, encoding="utf-8")
    expected = text.removeprefix("\ufeff")
    assert Text(expected) == part_of(text.encode())
    assert Text(f"notes.txt:\n\n{expected}") == part_of(path)


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\x18ftypheic" + b"\0" * 20, b"\0\0\0\x18ftypmif1" + b"\0" * 20, b"\0\0\0\x18ftypavif" + b"\0" * 20, b"PK\3\4\x14\0\6\0",
     b"\x7fELF\2\1\1\0", b"\xff\xfeu\0t\0f\0", "latin-1: é".encode("latin-1"), b"a\0b"],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_what_no_model_takes_is_refused(data: bytes) -> None:
    """A phone's photo is no video, and a spreadsheet is no text."""
    with pytest.raises(MediaError, match=r"Nothing was sent\."):
        part_of(data)


@pytest.mark.parametrize("thing", [None, 5, 1.5, object(), {"a": 1}, ["nested"], ("a",)])
def test_an_object_of_another_kind_is_named(thing: Any) -> None:
    """With what can be given instead."""
    with pytest.raises(MediaError, match=type(thing).__name__):
        part_of(thing)


def test_parts_and_views_are_taken_as_they_are() -> None:
    """bytearray and memoryview are bytes."""
    image = Image(url="https://x.example/a.png")
    assert image is part_of(image)
    assert part_of(png()) == part_of(bytearray(png())) == part_of(memoryview(png()))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, a broken link."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "missing.png", tmp_path, tmp_path / "link"):
        with pytest.raises(MediaError, match=r"(cannot be read|is not a file).*Nothing was sent\.") as caught:
            part_of(path)
        assert str(path) in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Reading it would block for ever; its size says nothing."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediaError, match="pipe"):
        part_of(tmp_path / "pipe")


def test_a_device_is_not_read() -> None:
    """It has size 0 and may have no end; this one is the harmless kind."""
    with pytest.raises(MediaError, match="null"):
        part_of(Path("/dev/null"))


def test_size_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the file is read, and for bytes too."""
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    (tmp_path / "large").write_bytes(b"x" * 101)
    for thing in (tmp_path / "large", b"x" * 101):
        with pytest.raises(MediaError, match="larger"):
            part_of(thing)
    assert Text("x" * 100) == part_of(b"x" * 100)


def test_a_text_never_names_a_file(offline: Session, tmp_path: Path) -> None:
    """Only a Path is read: text may come from a web page (R17)."""
    secret = tmp_path / "secret.txt"
    secret.write_text("private words")
    assert str(secret) == offline.ask(str(secret), model="offline/echo").text
    assert str(secret) == offline.ask([str(secret)], model="offline/echo").text


def test_what_cannot_be_attached_leaves_no_row(offline: Session, tmp_path: Path) -> None:
    """Nothing was sent, so nothing is booked."""
    for prompt in ([tmp_path / "missing"], [None], [b"PK\3\4\x14\0"]):
        with pytest.raises(MediaError):
            offline.ask(prompt, model="offline/plain")
    for prompt in ("", " \n", [], [""], b"bytes", tmp_path, ("a",), 5):
        with pytest.raises(OptionError):
            offline.ask(prompt, model="offline/plain")
    assert 0 == offline.engine.gateways.server.received()
    offline.close()
    assert not offline.engine.ledger.path.exists() or [] == books(offline.engine.ledger.path)
