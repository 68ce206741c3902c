"""Refuse every connection and name look-up that is not loopback: measured processes start with this on their path.

An audit hook would see more, but it is called at every import and would be in what is measured.
"""

from __future__ import annotations

import socket
from typing import Any

_connect, _connect_ex, _look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")  # connecting to the last one reaches this machine only


def _check(host: Any) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name and not str(name).startswith(_LOOPBACK):
        raise OSError(f"a benchmark may reach loopback only, not {name!r}")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if self.family != getattr(socket, "AF_UNIX", None):
        _check(address[0])
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    if self.family != getattr(socket, "AF_UNIX", None):
        _check(address[0])
    return _connect_ex(self, address)


def _guarded_look_up(host: Any, *rest: Any, **options: Any) -> Any:
    _check(host)
    return _look_up(host, *rest, **options)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign, assignment]  # the point of this file
socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign, assignment]  # the point of this file
socket.getaddrinfo = _guarded_look_up  # the point of this file
