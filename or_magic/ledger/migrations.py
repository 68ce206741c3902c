"""The ledger's table, as an append-only tuple of steps; a shipped step is never edited.

SQLite's own ``user_version`` says how many steps a file has seen.
"""

from __future__ import annotations

import sqlite3

from ..errors import LedgerError

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE calls (
            id INTEGER PRIMARY KEY,
            row_id TEXT NOT NULL UNIQUE,
            started_at INTEGER NOT NULL,      -- microseconds since 1970, UTC
            session TEXT NOT NULL,
            user TEXT, notebook TEXT, cell_id TEXT,
            source TEXT NOT NULL, purpose TEXT NOT NULL, tag TEXT, chat TEXT,
            call_id TEXT NOT NULL, parent_call_id TEXT, attempt INTEGER NOT NULL,
            gateway TEXT NOT NULL, model_requested TEXT NOT NULL, model TEXT, provider TEXT,
            status TEXT NOT NULL, finish_reason TEXT, error TEXT,
            prompt_tokens INTEGER, completion_tokens INTEGER, reasoning_tokens INTEGER,
            cached_tokens INTEGER, cache_write_tokens INTEGER, total_tokens INTEGER,
            cost_text TEXT,                   -- the JSON text
            cost_pico INTEGER,                -- whole pico-dollars
            cost_source TEXT NOT NULL,
            upstream_pico INTEGER, saved_pico INTEGER,
            first_token_s REAL, latency_s REAL, generation_id TEXT,
            bound_pico INTEGER, host TEXT NOT NULL, pid INTEGER NOT NULL
        )
        """,
        "CREATE INDEX calls_session ON calls (session)",
        "CREATE INDEX calls_started_at ON calls (started_at)",
        "CREATE INDEX calls_pending ON calls (cost_source) WHERE cost_source IN ('unknown', 'estimated')",
    ),
)


def check_version(connection: sqlite3.Connection, path: str) -> int:
    """Return how many steps the file has seen.

    Raises:
        LedgerError: a newer or_magic wrote this file.
    """
    seen = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if seen > len(STEPS):
        raise LedgerError(
            f"{path} was written by a newer or_magic (step {seen}, this one knows {len(STEPS)}). "
            "Nothing was changed. Upgrade or_magic, or set OR_MAGIC_HOME to another folder."
        )
    return seen


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the table up to date; the caller holds the write lock (``BEGIN IMMEDIATE``).

    Raises:
        LedgerError: a newer or_magic wrote this file.
    """
    seen = check_version(connection, path)
    for step in STEPS[seen:]:
        for statement in step:
            connection.execute(statement)
    if seen < len(STEPS):
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
