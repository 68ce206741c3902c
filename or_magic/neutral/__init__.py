"""What a model wrote, made inert: nothing in it runs, loads or hides where it is shown. Pure."""

from .lines import fold, markdown, quote
from .words import cite, line, link, plain

__all__ = ["cite", "fold", "line", "link", "markdown", "plain", "quote"]
