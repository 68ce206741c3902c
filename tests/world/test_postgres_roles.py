"""What docs/team-ledger.md grants is what each role can do, and no more: its SQL is what these tests run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from or_magic.budget import Limit, Terms
from or_magic.errors import LedgerError
from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger, LedgerWarning
from or_magic.ledger.postgres import PostgresStore

from ..postgres import Server
from .kit import ROOT, row

LIMITS = (Limit("total", Decimal(100)), Limit("session", Decimal(100), "test"))
ROLES = ("ada", "grace", "controller", "or_magic_member", "or_magic_reader", "or_magic_owner")
TEAM = "team"


def statements(number: int) -> list[str]:
    """The statements of a block of SQL of the page, in order."""
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "team-ledger.md").read_text(encoding="utf-8"), re.DOTALL)
    assert 4 == len(blocks)
    return [each.strip() for each in blocks[number].split(";\n") if each.strip()]


class Team:
    """A database that was set up by the page, and its people."""

    words: ClassVar = {"or_magic_owner": "choose one", "ada": "another one", "grace": "hers", "controller": "a third"}

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def url(self, who: str) -> str:
        return self.server.url(TEAM, who, self.words[who].replace(" ", "%20"))

    def store(self, who: str) -> PostgresStore:
        return PostgresStore(lambda: self.url(who), self.folder)

    def run(self, who: str, statement: str) -> list[Any]:
        """Run SQL as somebody, past or_magic."""
        with psycopg.connect(self.url(who), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []


@pytest.fixture(scope="module")
def team(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    found = Team(postgres, tmp_path_factory.mktemp("team"))
    for statement in statements(0):
        postgres.run(statement)
    owner = found.store("or_magic_owner")
    owner.version()
    owner.close()
    for statement in statements(1):
        found.run("or_magic_owner", statement)
    for statement in [*statements(2), "CREATE ROLE grace LOGIN PASSWORD 'hers' IN ROLE or_magic_member"]:
        postgres.run(statement)
    yield found
    postgres.run(f"DROP DATABASE {TEAM} WITH (FORCE)")
    for role in ROLES:
        postgres.run(f"DROP ROLE {role}")


@pytest.fixture
def books(team: Team) -> Iterator[PostgresStore]:
    """Ada's ledger."""
    store = team.store("ada")
    yield store
    store.close()


def sent(name: str, **facts: Any) -> Any:
    return row(name, **{"status": "ok", "cost_source": "billed", "cost_usd": Decimal("0.25")} | facts)


def live(books: PostgresStore, name: str) -> None:
    """Write and read all that a session does, and check what it did."""
    assert books.obstacle() is None
    opened = books.insert(row(name), Terms(LIMITS, lambda _: Decimal("0.5")))
    books.note_generation(name, "gen-1")
    before = books.standings(LIMITS)
    books.settle([replace(opened, status="unknown", generation_id="gen-1")])
    books.settle([replace(opened, status="ok", cost_source="reconciled", cost_usd=Decimal("0.25"))], LIMITS)
    books.insert(row("never left"))
    books.discard("never left")
    assert [name] == [found.row_id for found in books.rows("tag IN (?, 'never left')", (name,))]
    after = books.standings(LIMITS)
    assert Decimal("0.25") == after[0].spent_usd - before[0].spent_usd
    assert Decimal("0.5") == before[0].held_usd - after[0].held_usd
    assert name in set(Tracker(Ledger(books), "test").frame()["tag"])


def test_a_member_can_do_all_that_a_call_needs(books: PostgresStore) -> None:
    """Opened under limits, noted, settled, reconciled, discarded, read."""
    live(books, "life")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM or_magic.calls WHERE row_id = 'spent'",
        "UPDATE or_magic.calls SET cost_pico = 0 WHERE row_id = 'spent'",
        "UPDATE or_magic.calls SET status = 'open', cost_source = 'unknown' WHERE row_id = 'spent'",
        "UPDATE or_magic.calls SET status = 'open' WHERE row_id = 'asked'",
        "DELETE FROM or_magic.calls WHERE row_id = 'asked'",
        "UPDATE or_magic.calls SET tag = 'theirs' WHERE row_id = 'asked'",
        "UPDATE or_magic.calls SET member = 'grace' WHERE row_id = 'asked'",
        "INSERT INTO or_magic.calls (row_id, member) VALUES ('forged', 'grace')",
        "TRUNCATE or_magic.calls",
        "UPDATE or_magic.sums SET spent_pico = 0",
        "INSERT INTO or_magic.sums VALUES ('total', '', 0, -1000000000000, 0, 0)",
        "DELETE FROM or_magic.sums",
        "ALTER TABLE or_magic.calls DISABLE TRIGGER ALL",
        "DROP TABLE or_magic.calls",
        "CREATE TABLE or_magic.mine (x int)",
        "DELETE FROM or_magic.steps",
        "CREATE OR REPLACE FUNCTION or_magic.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    ],
)
def test_a_member_cannot_change_what_is_in_the_books(team: Team, books: PostgresStore, statement: str) -> None:
    """Not with any other program either: the database itself refuses."""
    books.settle([sent("spent"), row("asked", status="interrupted", cost_source="unknown")])
    before = books.standings(LIMITS), [found for found in books.rows("1 = 1") if found.row_id in ("spent", "asked")]
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)):
        team.run("ada", statement)
    assert before == (
        books.standings(LIMITS), [found for found in books.rows("1 = 1") if found.row_id in ("spent", "asked")],
    )  # fmt: skip


def test_even_the_owner_does_not_change_a_bill_by_mistake(team: Team, books: PostgresStore) -> None:
    """Who really wants to has to take the trigger away first."""
    books.settle([sent("spent")])
    for statement in (
        "DELETE FROM or_magic.calls",
        "UPDATE or_magic.calls SET cost_pico = 0",
        "TRUNCATE or_magic.calls",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="or_magic"):
            team.run("or_magic_owner", statement)


def test_who_wrote_a_row_is_told_by_the_server(team: Team, books: PostgresStore) -> None:
    """The name in ``user`` is only what the machine calls him."""
    books.insert(row("hers", user="grace"))
    found = team.run("controller", "SELECT \"user\", member FROM or_magic.calls WHERE row_id = 'hers'")
    assert [("grace", "ada")] == found


def test_a_reader_reads_and_no_more(team: Team, books: PostgresStore, tmp_path: Path) -> None:
    """The frame of all; a call of his is answered, and its row waits at his place."""
    books.settle([sent("spent")])
    store = team.store("controller")
    assert "cannot be written" in str(store.obstacle())
    told: list[str] = []
    ledger = Ledger(store, warn=told.append)
    assert "spent" in set(Tracker(ledger, "none").frame(all=True)["tag"])
    ledger.open(row("his"))
    ledger.close()
    assert ["permission denied" in text for text in told] == [True]
    assert [] == team.run("controller", "SELECT 1 FROM or_magic.calls WHERE row_id = 'his'")
    store.path.with_suffix(".spool.jsonl").unlink()


def test_without_tables_a_member_is_told_what_the_owner_has_to_do(postgres: Server, team: Team, tmp_path: Path) -> None:
    """And the answer is shown all the same."""
    empty = postgres.new_database()
    store = PostgresStore(lambda: postgres.url(empty, "ada", "another%20one"), tmp_path)
    with pytest.warns(LedgerWarning, match="your role may not make them.*doctor makes them"):
        Ledger(store).open(row("waits"))
    store.close()
    postgres.run(f"DROP DATABASE {empty} WITH (FORCE)")


def test_with_row_level_security_everybody_sees_his_own(team: Team, books: PostgresStore) -> None:
    """And can work as before, also with an id that a colleague has already used."""
    grace = team.store("grace")
    unknown = sent("of grace", cost_usd=None, cost_source="unknown")
    grace.settle([unknown])
    for statement in statements(3):
        team.run("or_magic_owner", statement)
    try:
        live(books, "among others")
        assert [] == books.rows("row_id = ?", ("of grace",))
        assert ["of grace"] == [found.row_id for found in grace.rows("row_id = ?", ("of grace",))]
        books.discard("of grace")
        books.note_generation("of grace", "gen-forged")
        with pytest.raises(LedgerError, match="row-level security"):
            books.settle([sent("of grace", cost_usd=Decimal(0))])
        assert [unknown] == grace.rows("row_id = ?", ("of grace",))
        assert {"ada", "grace"} <= {who for (who,) in team.run("controller", "SELECT member FROM or_magic.calls")}
        assert books.standings(LIMITS) == grace.standings(LIMITS)
    finally:
        team.run("or_magic_owner", "ALTER TABLE or_magic.calls DISABLE ROW LEVEL SECURITY")
        grace.close()


def test_a_dump_is_the_whole_ledger(team: Team, books: PostgresStore, tmp_path: Path) -> None:
    """Restored into an empty database it has the same rows and sums, and goes on."""
    books.settle([sent("in the dump")])
    postgres, restored = team.server, team.server.new_database()
    dump = postgres.tool("pg_dump", "--schema", "or_magic", postgres.url(TEAM))
    postgres.tool("psql", "-q", "-v", "ON_ERROR_STOP=1", postgres.url(restored), given=dump)
    again = PostgresStore(lambda: postgres.url(restored), tmp_path)
    try:
        assert books.rows("1 = 1") == again.rows("1 = 1")
        assert books.standings(LIMITS) == again.standings(LIMITS)
        again.insert(row("afterwards"))
    finally:
        again.close()
        postgres.run(f"DROP DATABASE {restored} WITH (FORCE)")
