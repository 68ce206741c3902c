"""The ledger's table, as an append-only tuple of steps; a shipped step is never edited.

SQLite's own ``user_version`` says how many steps a file has seen.
"""

from __future__ import annotations

import sqlite3

from ..errors import LedgerError
from ..paths import short_path

# What a row adds to the sums: what it cost, or what it holds until that is known.
_SPENT = "coalesce({0}.cost_pico, 0)"
_HELD = "CASE WHEN {0}.cost_pico IS NULL THEN coalesce({0}.held_pico, {0}.bound_pico, 0) ELSE 0 END"
_KEYS = """
    SELECT 'total' AS scope, '' AS key UNION ALL SELECT 'session', {0}.session
    UNION ALL SELECT 'quarter', printf('%012d', {0}.started_at / 900000000)
    UNION ALL SELECT 'tag', {0}.tag WHERE {0}.tag IS NOT NULL
"""


def _backfill(scope: str, key: str) -> str:
    return (
        f"INSERT INTO sums (scope, key, spent_pico, held_pico) "
        f"SELECT {scope}, {key}, sum({_SPENT.format('calls')}), sum({_HELD.format('calls')}) FROM calls GROUP BY {key}"
    )


def _summing(event: str, row: str, spent: str, held: str) -> str:
    return f"""
        CREATE TRIGGER calls_{event.split(maxsplit=1)[0].lower()} AFTER {event} ON calls BEGIN
            INSERT INTO sums (scope, key, spent_pico, held_pico)
            SELECT scope, key, {spent}, {held} FROM ({_KEYS.format(row)}) WHERE 1
            ON CONFLICT (scope, key) DO UPDATE SET
                spent_pico = spent_pico + excluded.spent_pico, held_pico = held_pico + excluded.held_pico;
        END
    """


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
    (
        "ALTER TABLE calls ADD COLUMN held_pico INTEGER",
        "ALTER TABLE calls ADD COLUMN waived TEXT",
        "ALTER TABLE calls ADD COLUMN prompt_estimate INTEGER",
        "CREATE INDEX calls_call_id ON calls (call_id)",
        # Kept by the database itself, so that a budget is looked up and never added up, however long the history.
        """
        CREATE TABLE sums (
            scope TEXT NOT NULL, key TEXT NOT NULL, spent_pico INTEGER NOT NULL, held_pico INTEGER NOT NULL,
            PRIMARY KEY (scope, key)
        ) WITHOUT ROWID
        """,
        _backfill("'total'", "''"),
        _backfill("'session'", "session"),
        _backfill("'quarter'", "printf('%012d', started_at / 900000000)"),
        _backfill("'tag'", "tag") + " HAVING tag IS NOT NULL",
        _summing("INSERT", "NEW", _SPENT.format("NEW"), _HELD.format("NEW")),
        _summing("DELETE", "OLD", f"-{_SPENT.format('OLD')}", f"-({_HELD.format('OLD')})"),
        _summing(
            "UPDATE OF cost_pico, held_pico, bound_pico",  # a generation id, noted before the first word, changes none
            "NEW",
            f"{_SPENT.format('NEW')} - {_SPENT.format('OLD')}",
            f"({_HELD.format('NEW')}) - ({_HELD.format('OLD')})",
        ),
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
            f"{short_path(path)} was written by a newer or_magic (step {seen}, this one knows {len(STEPS)}). "
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
