"""The fixtures of these tests."""

from ..world.fixtures import (
    home,
    never_hang,
    no_proxy_of_this_machine,
    offline,
    open_session,
    paced,
    raw_server,
    simulator,
)

__all__ = [
    "home",
    "never_hang",
    "no_proxy_of_this_machine",
    "offline",
    "open_session",
    "paced",
    "raw_server",
    "simulator",
]
