"""``data:`` URLs, in both directions. Pure."""

from __future__ import annotations

import base64
import binascii


def data_url(media_type: str, data: bytes) -> str:
    """Return ``data`` as a base64 ``data:`` URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def split_data_url(url: str) -> tuple[str, bytes] | None:
    """Return (media type, bytes) of a base64 ``data:`` URL, or None where it is not one or is broken."""
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    try:
        return head[5:-7] or "application/octet-stream", base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
