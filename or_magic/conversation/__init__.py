"""A conversation: its turns in order, and what running, running again and cutting make of them. Pure."""

from .rules import Conversation, Draft, begin, cut, pin, record
from .turn import Key, Turn

__all__ = ["Conversation", "Draft", "Key", "Turn", "begin", "cut", "pin", "record"]
