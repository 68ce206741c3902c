"""The offline simulator: OpenRouter's wire protocol on loopback, with no model behind it and its own exact books.

It imports the standard library and the dated catalogue file only, so that it cannot share a mistake with the client.
"""

from __future__ import annotations

from or_magic.offline.ledger import Billed
from or_magic.offline.server import Server, serve

__all__ = ["Billed", "Server", "serve"]
