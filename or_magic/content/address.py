"""Addresses of pictures, videos and documents: which ones may be handed to a provider. Pure."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"data:|https?://[^/?#\\]", re.IGNORECASE)


def is_address(url: str) -> bool:
    """Whether a provider may be given it: nothing on a disk, which a server that runs here could read for it."""
    return bool(_ADDRESS.match(url)) and url.isprintable()
