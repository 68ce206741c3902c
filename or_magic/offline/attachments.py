"""What a content part carries, told from its own bytes: real type, size, dimensions. Pure; nothing is fetched."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from or_magic.offline import tokens


@dataclass(frozen=True)
class Attachment:
    """One part that is not text; ``needs`` is the input modality it asks of a model."""

    needs: str
    says: str
    tokens: int
    broken: bool = False


_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"%PDF-", "PDF"), (b"ID3", "MP3"),
    (b"\xff\xfb", "MP3"), (b"\xff\xf3", "MP3"), (b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"\x1aE\xdf\xa3", "WebM"),
    (b"PK\x03\x04", "ZIP"), (b"<svg", "SVG"),
)  # fmt: skip


def sniff(data: bytes) -> str:
    """Return the real type of the bytes, with what their header tells."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return f"PNG {width} × {height}"
    if data[:4] == b"RIFF":
        kind = {b"WAVE": "WAV", b"WEBP": "WebP", b"AVI ": "AVI"}.get(data[8:12], "RIFF")
        return f"{kind} {_wav_seconds(data)}".strip()
    if data[4:8] == b"ftyp":
        return "MP4"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), "bytes of no known type")


def _wav_seconds(data: bytes) -> str:
    if data[8:16] != b"WAVEfmt " or len(data) < 44:
        return ""
    bytes_per_second = struct.unpack("<I", data[28:32])[0]
    return f"{(len(data) - 44) / bytes_per_second:.2f} s" if bytes_per_second else ""


def attachment(part: Mapping[str, Any]) -> Attachment:
    """Describe one content part of a known kind other than text."""
    kind = part["type"]
    if kind == "image_url":
        return _described("image", "picture", _url(part, "image_url"), tokens.PICTURE)
    if kind in ("video_url", "input_video"):
        return _described("video", "video", _url(part, kind), 4 * tokens.PICTURE)
    if kind == "file":
        return _file(part.get("file") or {})
    return _audio(part.get("input_audio") or {})


def _url(part: Mapping[str, Any], key: str) -> str:
    inner = part.get(key)
    return str(inner.get("url", "") if isinstance(inner, Mapping) else inner or "")


def _audio(inner: Mapping[str, Any]) -> Attachment:
    data = _unbase64(str(inner.get("data", "")))
    claimed = f"claimed {inner.get('format')}"
    if not data:
        return Attachment("audio", f"audio, {claimed}: its data is not base64", 0, broken=True)
    return Attachment("audio", f"audio: {sniff(data)}, {len(data):,} bytes, {claimed}", _by_size(data))


def _file(inner: Mapping[str, Any]) -> Attachment:
    name = str(inner.get("filename", "no name"))
    if "file_id" in inner:
        return Attachment("file", f"file {name}: stored as {inner['file_id']}", tokens.PICTURE)
    return _described("file", f"file {name}", str(inner.get("file_data", "")), tokens.PICTURE)


def _described(needs: str, noun: str, url: str, flat_tokens: int) -> Attachment:
    if not url.startswith("data:"):
        return Attachment(needs, f"{noun} at {url[:200]} (not fetched)", flat_tokens, broken=not url)
    head, _, payload = url[5:].partition(",")
    claimed = head.partition(";")[0] or "text/plain"
    data = _unbase64(payload) if head.endswith(";base64") else unquote_to_bytes(payload)
    if not data:
        return Attachment(needs, f"{noun}, claimed {claimed}: its data is not base64", 0, broken=True)
    size = flat_tokens if needs in ("image", "video") else _by_size(data)
    return Attachment(needs, f"{noun}: {sniff(data)}, {len(data):,} bytes, claimed {claimed}", size)


def _by_size(data: bytes) -> int:
    return 1 + len(data) // 320


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def read_out_of(messages: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return what OpenRouter would tell of the documents: an annotation for each that was not sent back."""
    known = {_hash_of(told) for told in _annotated(messages)}
    found: dict[str, Mapping[str, Any]] = {}
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            inner = part.get("file") if part.get("type") == "file" else None
            if isinstance(inner, Mapping) and str(inner.get("file_data", "")).startswith("data:"):
                digest = hashlib.sha256(inner["file_data"].encode()).hexdigest()
                found[digest] = _annotation(digest, str(inner.get("filename", "no name")))
    return tuple(told for digest, told in found.items() if digest not in known)


def _annotation(digest: str, name: str) -> Mapping[str, Any]:
    words = (f"<file name={json.dumps(name)}>", "Simulated: the offline simulator reads no documents.", "</file>")
    content = [{"type": "text", "text": text} for text in words]
    return {"type": "file", "file": {"hash": digest, "name": name, "content": content}}


def _hash_of(told: object) -> str:
    inner = told.get("file") if isinstance(told, Mapping) else None
    return str(inner.get("hash")) if isinstance(inner, Mapping) else ""


def sent_back(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many documents were sent back as they had been read before."""
    return len({_hash_of(told) for told in _annotated(messages)} - {""})


def _annotated(messages: Sequence[Mapping[str, Any]]) -> list[object]:
    lists = [message.get("annotations") for message in messages]
    return [told for found in lists if isinstance(found, list) for told in found]
