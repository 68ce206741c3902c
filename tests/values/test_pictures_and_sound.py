"""What an answer shows and plays: PIL images that are decoded late, and bytes that know their format."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

import pytest
from PIL import Image as PILImage

from or_magic.content import Audio, Image
from or_magic.errors import MediaError
from or_magic.pictures import MOST_PIXELS, media_type_of
from or_magic.sound import player
from or_magic.values import Reply

SAMPLES = struct.pack("<6h", 0, 100, -100, 3000, -3000, 7)


def png(width: int = 3, height: int = 2) -> bytes:
    written = io.BytesIO()
    PILImage.new("RGB", (width, height), "red").save(written, "PNG")
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def sound(data: bytes, form: str | None, **more: object) -> Reply:
    return Reply(parts=(Audio(base64.b64encode(data).decode(), form, **more),))  # type: ignore[arg-type]


def test_a_picture_is_a_pil_image_that_is_not_decoded_yet() -> None:
    """A picture that nobody looks at costs nothing."""
    reply = Reply(parts=(Image(data=png()), Image(url="https://a.example/b.png")))
    first = reply.images[0]
    assert (3, 2) == first.size
    assert [] == [tile for tile in [getattr(first, "_im", None)] if tile is not None]
    assert (255, 0, 0) == first.getpixel((0, 0))
    assert 2 == len(reply.images)
    assert png() == reply.images.parts[0].data
    assert reply.images[1:].parts == reply.images.parts[1:]


def test_a_picture_by_address_is_not_fetched() -> None:
    """The error says where it is."""
    with pytest.raises(MediaError, match=r"https://a\.example/b\.png"):
        Reply(parts=(Image(url="https://a.example/b.png"),)).images[0]


@pytest.mark.parametrize("size", [(30_000, 30_000), (9_000, 9_000), (100_000, 1_000)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    """A few hundred bytes must not take gigabytes."""
    assert size[0] * size[1] > MOST_PIXELS
    with pytest.raises(MediaError, match="too much memory"):
        Reply(parts=(Image(data=bomb(*size)),)).images[0]


@pytest.mark.parametrize("data", [b"%!PS-Adobe-3.0 EPSF", b"<svg onload='pwned()'/>", b"\x89PNG\r\n\x1a\nbroken", b""])
def test_what_is_no_picture_is_an_error_of_ours(data: bytes) -> None:
    """PIL would start other programs for some formats."""
    with pytest.raises(MediaError, match=r"parts\[…\]\.data"):
        Reply(parts=(Image(data=data),)).images[0]


def test_what_a_picture_is_its_bytes_say() -> None:
    """A gateway that calls HTML a picture, or a picture HTML, is not believed."""
    assert "image/png" == media_type_of(png())
    assert media_type_of(b"<script>pwned()</script>") is None


@pytest.mark.parametrize(("form", "width"), [("pcm16", 2), ("pcm", 2), ("pcm24", 3)])
def test_bare_samples_are_played_as_a_wav_file(form: str, width: int) -> None:
    """Read by another reader; half a sample at the end is left out."""
    heard = sound(SAMPLES + b"\x01", form, rate_hz=16_000).audio
    assert heard is not None
    assert (SAMPLES + b"\x01", form) == (heard, heard.format)
    with wave.open(io.BytesIO(heard.playable)) as file:
        assert (1, width, 16_000) == (file.getnchannels(), file.getsampwidth(), file.getframerate())
        assert SAMPLES == file.readframes(100)
    assert len(SAMPLES) / width / 16_000 == pytest.approx(heard.seconds)


def test_a_sound_says_what_it_is_and_plays_itself() -> None:
    """Its repr is no page of bytes; what is said in it is no part of the player."""
    heard = sound(SAMPLES, "pcm16", transcript="<img src=x onerror=pwned()>").audio
    assert heard is not None
    assert "<pcm16 sound, 0.0 s, 12 bytes>" == repr(heard)
    html = str(heard._repr_html_())
    assert html.startswith('<audio controls preload="metadata" src="data:audio/wav;base64,')
    assert "onerror" not in html
    assert "<img src=x onerror=pwned()>" == heard.transcript


@pytest.mark.parametrize(
    ("data", "told", "form"),
    [(b"ID3\x04x", None, "mp3"), (b"\xff\xfb\x90x", "mp3", "mp3"), (b"\xff\xfb\x90x", "pcm16", "pcm16"),
     (b"fLaCx", "pcm16", "flac"), (b"OggSx", None, "ogg"), (b"xx", None, "pcm16"), (b"xx", "aac", "aac")],
)  # fmt: skip
def test_the_format_is_that_of_the_bytes_or_as_it_was_asked_for(data: bytes, told: str | None, form: str) -> None:
    """An answer does not say it."""
    heard = sound(data, told).audio
    assert heard is not None
    assert form == heard.format


def test_a_format_that_no_browser_plays_has_no_player() -> None:
    """Nor has silence of no bytes."""
    strange, nothing = sound(b"xx", '"><script>').audio, sound(b"", "wav").audio
    assert strange is not None
    assert nothing is not None
    assert player(strange) is None
    assert player(nothing) is None


def test_an_answer_without_them_has_none() -> None:
    """And not something empty that looks like a sound."""
    assert Reply().audio is None
    assert not Reply().images
