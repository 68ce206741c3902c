"""The fixtures of these tests."""

from ..postgres import _shared_database, database, postgres
from .fixtures import (
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
    "_shared_database",
    "database",
    "home",
    "never_hang",
    "no_proxy_of_this_machine",
    "offline",
    "open_session",
    "paced",
    "postgres",
    "raw_server",
    "simulator",
]
