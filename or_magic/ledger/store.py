"""What the books need of a place to keep rows in, and which place an address names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..budget import Limit, Standing, Terms
from ..errors import SettingsError
from ..values import Row
from .record import Column
from .sqlite import SqliteStore


class Store(Protocol):
    """Rows and their sums. Every method may be called from any thread, and raises LedgerError where the store fails.

    Conditions and expressions are ours, never people's: SQL that SQLite and PostgreSQL understand alike, with ``?``
    where a value belongs.
    """

    @property
    def path(self) -> Path:
        """The file; for a server the name beside which entries wait while it cannot be written."""

    @property
    def place(self) -> str:
        """What a person calls it; it holds no password."""

    def insert(self, row: Row, terms: Terms | None = None) -> Row:
        """Add an open row and return it with what it reserves; it is safe when this returns.

        Raises:
            OverBudget: the terms do not allow it; nothing was written.
        """

    def settle(self, rows: Sequence[Row], limits: Sequence[Limit] = ()) -> list[Standing]:
        """Write rows whose outcome is known now, safely; return how ``limits`` stand then. What is settled stays."""

    def standings(self, limits: Sequence[Limit]) -> list[Standing]:
        """Return how ``limits`` stand."""

    def note_generation(self, row_id: str, generation_id: str) -> None:
        """Keep the id by which the gateway can be asked."""

    def discard(self, row_id: str) -> None:
        """Remove an open row whose request never left."""

    def rows(self, where: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return rows that match a condition, oldest first."""

    def batches(self, columns: Sequence[Column], where: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield batches of records with these columns, oldest first."""

    def figures(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return sums and counts over the rows that match a condition."""

    def version(self) -> tuple[int, ...]:
        """Return what differs as soon as anybody has written."""

    def obstacle(self) -> str | None:
        """Return why rows cannot be added, and what to do; None where they can."""

    def close(self) -> None:
        """Let go of files and connections."""


def open_store(file: Path, address: Callable[[], str] | None = None) -> Store:
    """Return the team's store at ``address``, a function because it may hold a password; the file without one.

    Raises:
        SettingsError: the address is no PostgreSQL URL, or what is needed for it is not installed.
    """
    if address is None:
        return SqliteStore(file)
    if not address().startswith(("postgresql://", "postgres://")):
        raise SettingsError(
            "OR_MAGIC_LEDGER is no address of a PostgreSQL database. Nothing was sent. "
            "Write it as postgresql://user@host/database, or leave it out to keep the ledger in a file."
        )
    try:
        from .postgres import PostgresStore
    except ImportError as error:
        raise SettingsError(
            f"OR_MAGIC_LEDGER names a PostgreSQL database, and its driver cannot be used ({error}). Nothing was sent. "
            'Install it: pip install "or_magic[postgres]"'
        ) from error
    return PostgresStore(address, file.parent)
