"""Sound of an answer: bytes that know their format, and how they are played. Pure.

Bare samples become a WAV file, which is 44 bytes of head before them.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

from .content import Audio

USUAL_RATE_HZ = 24_000  # bare samples tell no rate; this is that of every model that is known to send them
_WIDTHS = {"pcm": 2, "pcm16": 2, "pcm24": 3}
_MEDIA_TYPES = {
    "wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg", "opus": "audio/ogg",
    "m4a": "audio/mp4", "aac": "audio/aac",
}  # fmt: skip
_MAGIC: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WAVE", "wav"),
    (lambda data: data[:3] == b"ID3", "mp3"),
    (lambda data: data[:4] == b"fLaC", "flac"),
    (lambda data: data[:4] == b"OggS", "ogg"),
    (lambda data: data[4:8] == b"ftyp", "m4a"),
)

_MP3 = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")  # two bytes that samples can begin with, too


class Sound(bytes):
    """The bytes as they came.

    Attributes:
        format: wav, mp3, flac, …; ``pcm``, ``pcm16`` and ``pcm24`` are bare little-endian samples of one channel.
        rate_hz: of bare samples, how many there are in a second.
        transcript: what is said, where the model told it.
    """

    format: str
    rate_hz: int
    transcript: str

    @classmethod
    def of(cls, part: Audio) -> Sound:
        """Return the sound of a content part."""
        data = part.data
        sound = cls(data)
        sound.format = _known(data) or part.format or ("mp3" if data[:2] in _MP3 else "pcm16")
        sound.rate_hz = part.rate_hz or USUAL_RATE_HZ
        sound.transcript = part.transcript
        return sound

    @property
    def playable(self) -> bytes:
        """The bytes as a file that players take: bare samples with the head of a WAV file."""
        width = _WIDTHS.get(self.format)
        return bytes(self) if width is None else wav(self, self.rate_hz, width)

    @property
    def media_type(self) -> str | None:
        """The MIME type of ``playable``; None for a format that no browser plays."""
        return "audio/wav" if self.format in _WIDTHS else _MEDIA_TYPES.get(self.format)

    @property
    def seconds(self) -> float | None:
        """How long it lasts, where its head tells that."""
        data = self.playable
        if data[:4] != b"RIFF" or len(data) < 44:
            return None
        at = data.find(b"data", 12, 4096)
        per_second = struct.unpack("<I", data[28:32])[0]
        return (len(data) - at - 8) / per_second if at > 0 and per_second else None

    def __repr__(self) -> str:
        seconds = self.seconds
        return f"<{self.format} sound, {'' if seconds is None else f'{seconds:.1f} s, '}{len(self):,} bytes>"

    def _repr_html_(self) -> str | None:
        return player(self)


def _known(data: bytes) -> str | None:
    return next((name for fits, name in _MAGIC if fits(data)), None)


def player(sound: Sound) -> str | None:
    """Return the player of a sound, which is in it whole; None where no browser plays it."""
    if sound.media_type is None or not sound:
        return None
    data = base64.b64encode(sound.playable).decode("ascii")
    return f'<audio controls preload="metadata" src="data:{sound.media_type};base64,{data}"></audio>'


def wav(samples: bytes, rate_hz: int, width: int) -> bytes:
    """Return a WAV file of bare samples of one channel, ``width`` bytes each; half a sample at the end is left out."""
    samples = bytes(samples[: len(samples) // width * width])
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * width, width, 8 * width)
    # A chunk of odd length is padded, and does not count it.
    rest = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples))
    padding = b"\0" * (len(samples) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(rest) + len(samples) + len(padding)) + b"WAVE" + rest + samples + padding
