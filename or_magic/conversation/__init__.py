"""A conversation: its turns in order, and what running, running again and cutting make of them. Pure."""

from .rules import Conversation, Draft, Policy, begin, cut, pin, record
from .turn import Key, Turn

__all__ = ["Conversation", "Draft", "Key", "Policy", "Turn", "begin", "cut", "pin", "record"]
