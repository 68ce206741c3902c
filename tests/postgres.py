"""A real PostgreSQL server for tests: started, stopped and killed at will, on loopback. Does I/O.

Its programs come with the wheel ``pgserver`` (or a system's own PostgreSQL). It refuses to run as root, so there it
runs as ``nobody``, from a folder that this user can enter.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from .guards import HANG_S

OWNER = "owner"
_UNPRIVILEGED = 65534
_SETTINGS = {
    "fsync": "off",  # no test pulls a plug; the benchmark sets it on
    "max_connections": "120",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
}


class Server:
    """One server with a superuser ``owner``; passwords are asked for (SCRAM), as on a real one."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="or_magic-postgres-"))
        self.folder.chmod(0o755)
        self._as = {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}
        self._bin = _programs(self.folder / "programs" if self._as else None)
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        self.password = secrets.token_hex(12)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        if self._as:
            os.chown(self._data, _UNPRIVILEGED, _UNPRIVILEGED)
        word = self.folder / "word"
        word.write_text(self.password)
        self._run(
            "initdb", "-D", str(self._data), "-U", OWNER, "--pwfile", str(word), "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in {**_SETTINGS, **settings}.items())
        self._databases = 0
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = f"-p {self.port}"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """End it: ``immediate`` is what a crash is, ``fast`` cuts every connection."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def close(self) -> None:
        """End it and remove everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres", user: str = OWNER, password: str = "", **more: Any) -> str:
        """Return the address of a database; ``more`` are parameters of libpq, or another port."""
        port = more.pop("port", self.port)
        host = more.pop("host", "127.0.0.1")
        rest = "&".join(f"{name}={value}" for name, value in more.items())
        return f"postgresql://{user}:{password or self.password}@{host}:{port}/{database}" + f"?{rest}" * bool(rest)

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        self._databases += 1
        name = f"team_{os.getpid()}_{self._databases}"
        self.run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def new_role(self, name: str) -> str:
        """Make a role that may log in and nothing else; return its password."""
        word = secrets.token_hex(12)
        self.run(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
        self.run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(word)))
        return word

    def run(self, statement: Any, values: Any = None, database: str = "postgres") -> list[Any]:
        """Run a statement as the superuser; return what it found."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement, values)
            return found.fetchall() if found.description else []

    def tool(self, program: str, *arguments: str, given: bytes = b"") -> bytes:
        """Run one of the programs that come with the server; return what it printed."""
        command = [str(self._bin / program), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True, timeout=HANG_S).stdout

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / "output").open("ab") as output:  # a pipe would be held open by the server
            done = subprocess.run(
                [str(self._bin / program), *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                cwd="/", env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, timeout=HANG_S, **self._as,
            )  # fmt: skip
        if done.returncode:
            log = self._data / "log"
            told = (self.folder / "output").read_text() + (log.read_text() if log.exists() else "")
            raise RuntimeError(f"{program} failed: {told[-2000:]}")


def _programs(copy_to: Path | None) -> Path:
    """Return the folder of PostgreSQL's programs, copied where their user could not reach them."""
    spec = importlib.util.find_spec("pgserver")  # imported, it would warn about folders of this machine
    if spec is None or not spec.submodule_search_locations:
        return _of_system()
    package = Path(spec.submodule_search_locations[0])
    if copy_to is None:
        return package / "pginstall" / "bin"
    for part in ("pgserver/pginstall/bin", "pgserver/pginstall/lib", "pgserver/pginstall/share", "pgserver.libs"):
        if (package.parent / part).exists():
            ignored = shutil.ignore_patterns("*.a", "include", "pkgconfig")
            shutil.copytree(package.parent / part, copy_to / part, symlinks=True, ignore=ignored)
    return copy_to / "pgserver" / "pginstall" / "bin"


def _of_system() -> Path:
    for program in (shutil.which("pg_ctl"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))[::-1]):
        if program:
            return Path(program).parent
    raise RuntimeError('There is no PostgreSQL here: pip install "or_magic[test]" brings one (pgserver).')


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests of this process; whoever stops it starts it again."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def _shared_database(postgres: Server) -> str:
    return postgres.new_database()


@pytest.fixture
def database(postgres: Server, _shared_database: str) -> str:
    """The name of a database without a ledger; making a new one for each test would take ten times as long."""
    postgres.run("DROP SCHEMA IF EXISTS or_magic CASCADE", database=_shared_database)
    return _shared_database
