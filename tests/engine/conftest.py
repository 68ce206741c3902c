"""The fixtures of these tests."""

from ..world.fixtures import home, never_hang, offline, open_session, simulator

__all__ = ["home", "never_hang", "offline", "open_session", "simulator"]
