"""The team ledger's tables in PostgreSQL, as an append-only tuple of steps; a shipped step is never edited.

The database itself keeps the rules of the books: it adds up what budgets ask for, it keeps what is settled, and it
lets go of open rows only. So a member needs no right but to add, settle and discard, whatever program it is done with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import LedgerError

if TYPE_CHECKING:
    import psycopg

SCHEMA = "or_magic"
# The first number of all our advisory locks, so that they meet nobody else's; the second names what is locked.
LOCKS = 0x6F725F6D
_MIGRATING = 0

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE or_magic.calls (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        row_id text NOT NULL UNIQUE,
        started_at bigint NOT NULL,      -- microseconds since 1970, UTC
        session text NOT NULL,
        "user" text, notebook text, cell_id text,
        source text NOT NULL, purpose text NOT NULL, tag text, chat text,
        call_id text NOT NULL, parent_call_id text, attempt bigint NOT NULL,
        gateway text NOT NULL, model_requested text NOT NULL, model text, provider text,
        status text NOT NULL, finish_reason text, error text,
        prompt_tokens bigint, completion_tokens bigint, reasoning_tokens bigint,
        cached_tokens bigint, cache_write_tokens bigint, total_tokens bigint,
        cost_text text,                  -- the JSON text
        cost_pico bigint,                -- whole pico-dollars
        cost_source text NOT NULL,
        upstream_pico bigint, saved_pico bigint,
        first_token_s double precision, latency_s double precision, generation_id text,
        bound_pico bigint, host text NOT NULL, pid bigint NOT NULL,
        held_pico bigint, waived text, prompt_estimate bigint,
        member text NOT NULL DEFAULT session_user  -- who really wrote it; nobody may say so himself
    );
    CREATE INDEX calls_session ON or_magic.calls (session);
    CREATE INDEX calls_started_at ON or_magic.calls (started_at);
    CREATE INDEX calls_call_id ON or_magic.calls (call_id);
    CREATE INDEX calls_pending ON or_magic.calls (cost_source) WHERE cost_source IN ('unknown', 'estimated');

    -- A sum lies in several slots, one per connection in turn: writers beside each other do not wait for one another.
    CREATE TABLE or_magic.sums (
        scope text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, slot smallint NOT NULL,
        spent_pico bigint NOT NULL, held_pico bigint NOT NULL, writes bigint NOT NULL,
        PRIMARY KEY (scope, key, slot)
    ) WITH (fillfactor = 50);

    -- Of whoever owns the tables, so that a member needs no right to write sums. The slot's total comes first:
    -- who holds it meets nobody at the others, which is why this cannot end in a deadlock.
    CREATE FUNCTION or_magic.add_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, or_magic, pg_temp AS $$
    DECLARE
        this or_magic.calls := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
        mine smallint := pg_backend_pid() % 8;
        spent bigint := 0;
        held bigint := 0;
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            spent := coalesce(NEW.cost_pico, 0);
            held := CASE WHEN NEW.cost_pico IS NULL THEN coalesce(NEW.held_pico, NEW.bound_pico, 0) ELSE 0 END;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            spent := spent - coalesce(OLD.cost_pico, 0);
            held := held
                - CASE WHEN OLD.cost_pico IS NULL THEN coalesce(OLD.held_pico, OLD.bound_pico, 0) ELSE 0 END;
        END IF;
        INSERT INTO or_magic.sums AS s VALUES ('total', '', mine, spent, held, 1)
        ON CONFLICT (scope, key, slot) DO UPDATE SET spent_pico = s.spent_pico + excluded.spent_pico,
            held_pico = s.held_pico + excluded.held_pico, writes = s.writes + 1;
        IF spent <> 0 OR held <> 0 THEN
            INSERT INTO or_magic.sums AS s
            SELECT scope, key, mine, spent, held, 1 FROM (VALUES
                ('session', this.session), ('quarter', lpad((this.started_at / 900000000)::text, 12, '0')),
                ('tag', this.tag)
            ) AS keys (scope, key) WHERE key IS NOT NULL
            ON CONFLICT (scope, key, slot) DO UPDATE SET spent_pico = s.spent_pico + excluded.spent_pico,
                held_pico = s.held_pico + excluded.held_pico, writes = s.writes + 1;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER calls_add_up AFTER INSERT OR UPDATE OR DELETE ON or_magic.calls
        FOR EACH ROW EXECUTE FUNCTION or_magic.add_up();

    CREATE FUNCTION or_magic.keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.status <> 'open' THEN
                RAISE EXCEPTION 'or_magic: a call that was sent stays in the books';
            END IF;
            RETURN OLD;
        END IF;
        IF OLD.cost_source NOT IN ('unknown', 'estimated') THEN
            RAISE EXCEPTION 'or_magic: what is settled stays in the books as it is';
        END IF;
        IF OLD.status <> 'open' AND NEW.status = 'open' THEN
            RAISE EXCEPTION 'or_magic: a call that has ended is not opened again';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER calls_keep BEFORE UPDATE OR DELETE ON or_magic.calls
        FOR EACH ROW EXECUTE FUNCTION or_magic.keep();
    CREATE FUNCTION or_magic.keep_all() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'or_magic: the books are not emptied';
    END $$;
    CREATE TRIGGER calls_keep_all BEFORE TRUNCATE ON or_magic.calls
        FOR EACH STATEMENT EXECUTE FUNCTION or_magic.keep_all();
    """,
)


def migrate(connection: psycopg.Connection[Any], place: str) -> None:
    """Bring the tables up to date, one program at a time; where they are, no right to change them is needed.

    Raises:
        LedgerError: a newer or_magic made these tables, or this role may not make or change them.
    """
    if _seen(connection, place) == len(STEPS):
        return
    import psycopg

    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, _MIGRATING))
            seen = _seen(connection, place)
            if seen == 0:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                connection.execute(f"CREATE TABLE {SCHEMA}.steps (step integer PRIMARY KEY)")
            for number, step in enumerate(STEPS[seen:], seen + 1):
                connection.execute(step.encode())
                connection.execute(f"INSERT INTO {SCHEMA}.steps VALUES (%s)", (number,))
    except psycopg.errors.InsufficientPrivilege:
        raise LedgerError(
            f"{place} has no tables of this or_magic yet, and your role may not make them. "
            "Let the owner of the database use it once with this version: %or doctor makes them."
        ) from None


def _seen(connection: psycopg.Connection[Any], place: str) -> int:
    """Return how many steps the database has seen."""
    # Not to_regclass: within a transaction it remembers what was not there before the lock was had.
    there = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'steps'"
    if connection.execute(there, (SCHEMA,)).fetchone() is None:
        return 0
    found = connection.execute(f"SELECT coalesce(max(step), 0) FROM {SCHEMA}.steps").fetchone()
    seen = int(found[0]) if found else 0
    if seen > len(STEPS):
        raise LedgerError(
            f"{place} was made by a newer or_magic (step {seen}, this one knows {len(STEPS)}). "
            "Nothing was changed. Upgrade or_magic."
        )
    return seen
