"""What an address says about where it leads, and what of it may be shown. Pure."""

from __future__ import annotations

import ipaddress
import re

_USER = re.compile(r"//[^/\s]*@")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_password(text: str) -> str:
    """Return a text with every address in it as it may be shown: without user and password."""
    return _USER.sub("//", text)
