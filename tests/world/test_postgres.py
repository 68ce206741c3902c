"""The team's ledger of a session: its address, its password, its tables, and which rows go there."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from or_magic.api import Session, connect
from or_magic.errors import LedgerError, OrMagicError, OverBudget, SettingsError
from or_magic.ledger import Ledger, LedgerWarning, postgres_schema
from or_magic.ledger.postgres import PostgresStore
from or_magic.ledger.record import COLUMNS
from or_magic.ledger.store import open_store
from or_magic.notebook.commands.doctor import _ledger
from or_magic.offline import serve

from ..canary import findings, found_in, make_canary
from ..guards import HANG_S
from ..postgres import Server
from .kit import LIMITS, ROOT, dead_port, row, until

# The text of every shipped step. A new step adds a line; a line never changes.
SHIPPED = ("cd70f454858e960e3892b48ab6d43a8b5b9af99f08957a96dfb76293ae5d8093",)


@pytest.fixture
def session(home: Path, postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session with a gateway over HTTP and the team's ledger."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", postgres.url(database))
    with serve() as server, connect(base_url=server.url, timeouts=LIMITS) as opened:
        yield opened


def test_a_call_is_booked_in_the_team_s_ledger(session: Session, postgres: Server, database: str, home: Path) -> None:
    """With all that a row has; and nothing is left in a file."""
    reply = session.ask("Hello", model="offline/plain", tag="one")
    (found,) = postgres.run(
        "SELECT status, tag, cost_text, generation_id, member FROM or_magic.calls", database=database
    )
    assert ("ok", "one", str(reply.cost_usd), reply.id, "owner") == found
    assert reply.cost_usd == session.tracker.total().billed_usd
    assert [] == list(home.glob("*ledger*")) + list(home.glob("team-*"))


def test_a_budget_in_the_team_s_ledger_stops_a_call(
    home: Path, postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a colleague has spent today counts."""
    colleague = PostgresStore(lambda: postgres.url(database), home)
    colleague.settle([row("hers", session="theirs", status="ok", cost_source="billed", cost_usd=Decimal("0.5"))])
    colleague.close()
    monkeypatch.setenv("OR_MAGIC_LEDGER", postgres.url(database))
    with serve() as server:
        with (
            connect(base_url=server.url, timeouts=LIMITS, daily_budget="0.50") as session,
            pytest.raises(OverBudget, match="Today's budget"),
        ):
            session.ask("Hello", model="openai/gpt-5-mini")
        with connect(base_url=server.url, timeouts=LIMITS, daily_budget="100") as session:
            assert "ok" == session.ask("Hello", model="openai/gpt-5-mini").status


def test_rows_of_the_simulator_never_go_there(
    home: Path, postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated money is not mixed with real money; the server is not even asked."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", postgres.url(database))
    with connect(offline=True, timeouts=LIMITS) as session:
        assert "ok" == session.ask("Hello", model="offline/plain").status
    assert [(False,)] == postgres.run(
        "SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'or_magic'", database=database
    )
    assert (home / "offline" / "ledger.sqlite").exists()


# --- the address


@pytest.mark.parametrize(
    "address",
    ["mysql://ada:{}@db/team", "ledger.sqlite", "https://{}@db.example", "postgresql:{}", "sqlite:///{}"],
)
def test_what_is_no_address_of_a_database_is_told(address: str, tmp_path: Path) -> None:
    """Before anything is sent, and without repeating it: it may hold a password."""
    word = make_canary(5)
    with pytest.raises(SettingsError, match=r"OR_MAGIC_LEDGER.*Nothing was sent.*postgresql://") as caught:
        open_store(tmp_path / "ledger.sqlite", lambda: address.format(word))
    assert word not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["postgresql://ada:p%zz{}@db/team", "postgresql://ada:{}/x@db/team", "postgresql://ada:p@{}@db/team",
     "postgresql://ada:{}#%@db/team", "postgresql://db/team?pasword={}", "postgresql://[{}/team",
     "postgresql://ada:x@y/{}@db/team"],
)  # fmt: skip
def test_an_address_that_cannot_be_understood_is_not_repeated(address: str, tmp_path: Path) -> None:
    """libpq's own message would hold all of it."""
    word = make_canary(6)
    try:
        store = open_store(tmp_path / "ledger.sqlite", lambda: address.format(word))
    except SettingsError as error:
        assert "percent" in str(error) or "%40" in str(error)
        assert [] == list(found_in(word, _everything(error).encode()))
    else:  # it is understood, as something that can be asked for
        assert word not in store.place


def test_without_its_driver_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "or_magic.ledger.postgres", None)
    with pytest.raises(SettingsError, match=re.escape('pip install "or_magic[postgres]"')):
        open_store(tmp_path / "ledger.sqlite", lambda: "postgresql://db/team")


def test_the_driver_is_loaded_only_where_it_is_needed() -> None:
    """A ledger in a file needs none."""
    code = (
        "import sys, or_magic as orm\n"
        "with orm.connect(offline=True) as session: session.ask('Hello', model='offline/plain')\n"
        "print('psycopg' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=HANG_S
    )
    assert "False" == done.stdout.strip()


def test_the_driver_s_own_words_are_no_output_of_a_cell() -> None:
    """Of a connection that broke it warns by its logger, and where nobody listens Python prints that."""
    code = "import logging, or_magic.ledger.connections; logging.getLogger('psycopg').warning('lost')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    assert "" == done.stderr


# --- the password


def _everything(error: BaseException) -> str:
    """What anybody can learn of an error: its texts, and the locals of every frame it has passed."""
    told: list[str] = []
    found: BaseException | None = error
    while found is not None:
        told += [repr(found), str(found), *map(str, getattr(found, "__notes__", ()))]
        told += [repr(frame.f_locals) for frame, _ in traceback.walk_tb(found.__traceback__) if _is_ours(frame)]
        found = found.__cause__ or found.__context__
    return "\n".join(told)


def _is_ours(frame: Any) -> bool:
    return "tests" not in Path(frame.f_code.co_filename).parts


def test_the_password_is_told_to_nobody(
    home: Path,
    postgres: Server,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not by an error, a warning, a repr, a traceback's locals, the doctor, the log, a file's name or a spool."""
    word = make_canary(99).removeprefix("sk-or-v1-")
    postgres.run("DROP ROLE IF EXISTS sealed")
    postgres.run(f"CREATE ROLE sealed LOGIN SUPERUSER PASSWORD '{word}'")
    right = postgres.url(database, "sealed", word)
    told: list[str] = []
    with serve() as server:
        for url in (
            right,
            postgres.url(database, "nobody_of_that_name", word),
            postgres.url("no_such_database", "sealed", word),
            postgres.url(database, "sealed", word, port=dead_port()),
            postgres.url(database, "sealed", word, connect_timeout="soon"),
            postgres.url(database, "sealed", word, sslmode="require"),
            postgres.url(database, "sealed", "wrong") + f"?password={word[::-1]}",
        ):
            monkeypatch.setenv("OR_MAGIC_LEDGER", url)
            with connect(base_url=server.url, timeouts=LIMITS) as session:
                engine = session.engine
                with contextlib.nullcontext() if url == right else pytest.warns(LedgerWarning) as warned:
                    session.ask("Hello", model="offline/plain")
                told += [str(each.message) for each in warned or ()]
                told += [str(finding) for finding in _ledger(engine)]
                told += [repr(vars(each)) for each in (engine, engine.ledger, engine.ledger._store)]
                told += [repr(engine.settings)]
                try:
                    engine.ledger.version()
                except LedgerError as error:
                    told.append(_everything(error))
                told += [engine.ledger.place, str(engine.ledger.path)]
    told += capfd.readouterr()
    text = "\n".join(told)
    assert "nobody_of_that_name" in text
    assert "no_such_database" in text
    for each in (word, word[::-1]):
        assert [] == list(found_in(each, text.encode()))
        assert [] == findings(each, tmp_path.parent)


# --- the tables


def test_a_shipped_step_is_never_edited() -> None:
    """Databases out there have run it as it is."""
    assert SHIPPED == tuple(hashlib.sha256(step.encode()).hexdigest() for step in postgres_schema.STEPS)


def test_every_column_of_a_row_is_a_column_of_the_table(postgres: Server, database: str, tmp_path: Path) -> None:
    """A new field of ``Row`` needs a step here, too."""
    store = PostgresStore(lambda: postgres.url(database), tmp_path)
    store.version()
    store.close()
    found = postgres.run(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'or_magic' AND table_name = 'calls'",
        database=database,
    )
    assert {*COLUMNS, "id", "member"} == {name for (name,) in found}


def test_a_database_of_a_newer_or_magic_is_left_alone(postgres: Server, database: str, tmp_path: Path) -> None:
    """Nothing is written into tables that are not understood; the entries wait."""
    first = PostgresStore(lambda: postgres.url(database), tmp_path)
    first.version()
    first.close()
    postgres.run("INSERT INTO or_magic.steps VALUES (99)", database=database)
    store = PostgresStore(lambda: postgres.url(database), tmp_path)
    with pytest.raises(LedgerError, match=r"newer or_magic.*step 99.*Upgrade"):
        store.version()
    with pytest.warns(LedgerWarning, match="newer or_magic"):
        Ledger(store).open(row("waits"))
    store.close()
    assert [(0,)] == postgres.run("SELECT count(*) FROM or_magic.calls", database=database)


def test_a_setting_of_the_database_does_not_change_the_books(postgres: Server, database: str, tmp_path: Path) -> None:
    """Another isolation, another search path, another style of dates: it is somebody's default for other programs."""
    for setting in ("default_transaction_isolation = 'serializable'", "search_path = 'public'", "datestyle = 'german'",
                    "statement_timeout = 1"):  # fmt: skip
        postgres.run(f"ALTER DATABASE {database} SET {setting}")
    store = PostgresStore(lambda: postgres.url(database), tmp_path)
    try:
        store.insert(row("one"))
        assert ["one"] == [found.row_id for found in store.rows("1 = 1")]
    finally:
        store.close()
        postgres.run(f"ALTER DATABASE {database} RESET ALL")


# --- encryption


class Encrypting:
    """Speaks TLS for a server that does not: what stands in front of many databases."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate / "own.pem", certificate / "own.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.encrypted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        try:
            if raw.recv(8)[4:] != bytes.fromhex("04d2162f"):  # the request for TLS
                raw.close()
                return
            raw.sendall(b"S")
            with self._context.wrap_socket(raw, server_side=True) as outside:
                self.encrypted += 1
                with socket.create_connection(("127.0.0.1", self._port)) as inside:
                    back = threading.Thread(target=_pour, args=(inside, outside), daemon=True)
                    back.start()
                    _pour(outside, inside)
        except OSError:
            raw.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else the thread that accepts stays for ever
        self._listener.close()


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "own.key", "-out", "own.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_a_certificate_is_checked(postgres: Server, database: str, certificate: Path, tmp_path: Path) -> None:
    """``verify-full``: by the authority that was named, for the host that was named; else not a byte of the password."""
    front = Encrypting(postgres.port, certificate)
    checked = {"sslmode": "verify-full", "sslrootcert": str(certificate / "own.pem"), "port": front.port}

    def tried(**how: Any) -> str:
        store = PostgresStore(lambda: postgres.url(database, **checked | how), tmp_path)
        try:
            store.version()
        except LedgerError as error:
            return str(error)
        finally:
            store.close()
        return "accepted"

    try:
        assert "accepted" == tried(host="localhost")
        assert 1 == front.encrypted
        assert "certificate" in tried(host="127.0.0.1")
        other = tmp_path / "other"
        other.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "own.key", "-out", "own.pem"],
            cwd=other, check=True, capture_output=True,
        )  # fmt: skip
        assert "certificate verify failed" in tried(host="localhost", sslrootcert=str(other / "own.pem"))
        assert "accepted" != tried(port=postgres.port, host="localhost")
    finally:
        front.close()


def test_the_doctor_names_the_ledger(session: Session, postgres: Server, database: str) -> None:
    """Where it is, and whether it can be written."""
    told = [finding.told for finding in _ledger(session.engine)]
    assert [f"postgresql://owner@127.0.0.1:{postgres.port}/{database} can be written"] == told


def test_a_session_with_a_broken_address_does_not_begin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows would go where nobody looks for them."""
    monkeypatch.setenv("OR_MAGIC_LEDGER", "postgres:/db/team")
    with pytest.raises(OrMagicError, match="OR_MAGIC_LEDGER"):
        connect(base_url="http://127.0.0.1:9/v1", timeouts=LIMITS)


def test_idle_connections_are_closed_and_closing_closes_all(postgres: Server, database: str, tmp_path: Path) -> None:
    """A kernel that is only open keeps no more than it needs; a closed one keeps none."""
    now = [0.0]
    store = PostgresStore(lambda: postgres.url(database), tmp_path, clock=lambda: now[0])
    store.insert(row("first"))
    before = threading.active_count()
    together = threading.Barrier(4)

    def read() -> None:
        for _ in store.batches(["row_id"], "1 = 1", ()):
            together.wait(HANG_S)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def there() -> int:
        with psycopg.connect(postgres.url(database)) as connection:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'or_magic'"
            found = connection.execute(asked, (database,)).fetchone()
        return int(found[0]) if found else 0

    assert 4 == there()
    now[0] += 61
    store.version()
    assert until(lambda: there() == 1)
    store.close()
    assert until(lambda: there() == 0)
    assert before == threading.active_count()
