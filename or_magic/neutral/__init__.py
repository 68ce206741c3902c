"""What a model wrote, made inert: nothing in it runs, loads or hides where it is shown. Pure."""

from .lines import fold, markdown, quote
from .tables import cell, table
from .words import cite, line, link, literal, plain

__all__ = ["cell", "cite", "fold", "line", "link", "literal", "markdown", "plain", "quote", "table"]
