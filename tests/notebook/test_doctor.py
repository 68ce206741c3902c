"""``%or doctor``: each of its findings brought about, no secret in any, and no way to make it fail."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.errors import SettingsError
from or_magic.notebook.commands.doctor import doctor, examine
from or_magic.values import Timeouts

from ..world.kit import Asked, RawServer, dead_port, response, row
from .kernel import Kernel

WORD = "pa55word"


class Shell:
    """As much of a shell as the doctor looks at: where its history lies."""

    def __init__(self, hist_file: str) -> None:
        self.history_manager = SimpleNamespace(hist_file=hist_file)


class Face:
    """A face with a session of the test's."""

    def __init__(self, session: Session | Exception, hist_file: str = ":memory:") -> None:
        self._session = session
        self.shell = Shell(hist_file)

    def session(self) -> Session:
        if isinstance(self._session, Exception):
            raise self._session
        return self._session


def play(sock: socket.socket, asked: Asked) -> None:
    bearer = " ".join(asked.all("authorization"))
    if "bad" in bearer:
        sock.sendall(response(f'{{"error": {{"code": 401, "message": "no {bearer}"}}}}'.encode(), "401 Unauthorized"))
    elif "lost" in bearer:
        sock.sendall(response(b"<html>", "503 Unavailable", kind="text/html"))
    else:
        sock.sendall(response(b'{"data": {"label": "x"}}'))


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(play) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a folder without ``.env``, and none of this machine's own settings."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("OR_MAGIC_HOME", str(tmp_path / "home"))
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def found(session: Session | Exception, what: str, hist_file: str = ":memory:") -> list[str]:
    """Return the findings about ``what``, mark first."""
    findings = list(examine(Face(session, hist_file)))  # type: ignore[arg-type]
    return [f"{finding.mark} {finding.told}" for finding in findings if finding.what == what]


def test_all_is_well(home: Path, server: RawServer, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, in columns; one free question to the gateway and nothing else."""
    with connect(base_url=server.url) as session:
        doctor(Face(session), "")  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert {"✓", "!"} == {line[0] for line in lines}  # another gateway than OpenRouter is worth a look
    told = "\n".join(lines)
    for words in ("✓ key          from the environment (OPENROUTER_API_KEY); it is accepted", "answered in ",
                  "✓ catalogue    56 models of 2026-05-01", "✓ ledger", "✓ .env         none", "✓ config file  none; it would be",
                  "✓ proxy", "✓ versions     jupyterlab", "✓ certificates the usual ones",
                  "! gateway      the key goes to 127.0.0.1"):  # fmt: skip
        assert words in told, told
    assert ["GET /api/v1/key HTTP/1.1"] == [asked.line for asked in server.asked]


@pytest.mark.parametrize(
    ("key", "about_key", "about_gateway"),
    [
        ("sk-or-v1-bad", "✗ from the environment (OPENROUTER_API_KEY); it is not accepted. %or key --set", "✓ 127"),
        ("sk-or-v1-lost", "! from the environment (OPENROUTER_API_KEY); whether it is accepted is not known", "✗ 127"),
        ("strange", "! from the environment (OPENROUTER_API_KEY); it is accepted. It does not look like", "✓ 127"),
    ],
)
def test_a_key_is_tried(
    home: Path, server: RawServer, monkeypatch: pytest.MonkeyPatch, key: str, about_key: str, about_gateway: str
) -> None:
    """A refusal shows that the gateway can be reached."""
    monkeypatch.setenv("OPENROUTER_API_KEY", key)
    with connect(base_url=server.url) as session:
        assert found(session, "key")[0].startswith(about_key)
        assert found(session, "gateway")[0].startswith(about_gateway)
        assert key == "strange" or key not in " ".join(found(session, "key") + found(session, "gateway"))


def test_a_gateway_that_is_not_there_is_named(home: Path) -> None:
    """With what is wrong, and without a password that stands in its address."""
    with connect(base_url=f"http://me:{WORD}@127.0.0.1:{dead_port()}/v1") as session:
        told = found(session, "gateway")
    assert told[0].startswith("✗ 127.0.0.1")
    assert WORD not in " ".join(told)


def test_offline_is_well_and_costs_no_question(home: Path) -> None:
    """The simulator needs no key, no network and no proxy."""
    with connect(offline=True) as session:
        assert ["✓ none, and the simulator needs none"] == found(session, "key")
        assert ["✓ the offline simulator answers"] == found(session, "gateway")
        assert ["✓ none is used for this machine itself"] == found(session, "proxy")


def catalogue_of(session: Session, days: int, expires: str | None = None) -> None:
    """Let the catalogue be ``days`` old and hold one model."""
    date = datetime.now(UTC) - timedelta(days=days)
    item = {"id": "a/model", "canonical_slug": "a/model", "expiration_date": expires, "pricing": {"prompt": "0"}}
    session.engine.catalog._path.parent.mkdir(parents=True, exist_ok=True)
    session.engine.catalog._path.write_text(json.dumps({"date": date.isoformat(), "body": {"data": [item]}}))


@pytest.mark.parametrize(
    ("model", "expires", "told"),
    [
        ("a/model", None, "✓ a/model is in the catalogue"),
        ("a/modle", None, "! a/modle is not in the catalogue (it may lag behind). Did you mean a/model?"),
        ("a/model", "2020-01-01", "✗ a/model ended on 2020-01-01"),
        ("a/model", "soon", "✓ a/model is in the catalogue"),
        ("a/model", "2999-12-31T00:00:00Z", "✓ a/model ends on 2999-12-31"),
        ("a/model", (datetime.now(UTC) + timedelta(days=9)).date().isoformat(), "! a/model ends on"),
        ("good", None, "✓ a/model (alias good) is in the catalogue"),
    ],
)
def test_the_chosen_model_is_looked_up(home: Path, model: str, expires: str | None, told: str) -> None:
    """Before a cell fails, and before a model is gone."""
    home.mkdir()
    (home / "config.toml").write_text('[aliases]\ngood = "a/model"\n')
    with connect(offline=True, model=model) as session:
        catalogue_of(session, 1, expires)
        assert found(session, "model")[0].startswith(told)


def test_a_server_of_ones_own_has_models_of_its_own(home: Path, server: RawServer) -> None:
    """The bundled catalogue is OpenRouter's and says nothing about it."""
    with connect(base_url=server.url, model="llama3") as session:
        assert found(session, "model")[0].startswith("! llama3: which models 127.0.0.1")


def test_an_old_catalogue_of_openrouter_is_worth_a_look(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its prices are the bounds of budgets."""
    with connect(base_url="https://openrouter.ai/api/v1") as session:
        monkeypatch.setattr(session.engine, "balance", lambda timeouts: {})  # the network of a test ends here
        catalogue_of(session, 3)
        assert found(session, "catalogue")[0].startswith("✓ 1 models of")
    with connect(base_url="https://openrouter.ai/api/v1") as session:
        monkeypatch.setattr(session.engine, "balance", lambda timeouts: {})
        catalogue_of(session, 8)
        assert found(session, "catalogue")[0].startswith("! 1 models of")
        assert "%or models asks for a newer one" in found(session, "catalogue")[0]
        assert ["✓ none is set"] == found(session, "proxy")


def test_the_ledger_is_tried(home: Path) -> None:
    """Open calls, unknown costs, entries that wait, and a file that is none."""
    with connect(offline=True) as session:
        ledger = session.engine.ledger
        ledger.open(row("running"))
        unknown = row("unknown")
        ledger.open(unknown)
        ledger.note_generation(unknown, "gen-1")
        with sqlite3.connect(ledger.path) as connection:
            connection.execute("UPDATE calls SET status = 'unknown' WHERE row_id = 'unknown'")
        connection.close()
        told = found(session, "ledger")
        assert [f"✓ {ledger.path} can be written",
                "! open now, running or left by a crash: 1 call",
                "! what 1 call cost is not known; %or reconcile asks"] == told  # fmt: skip


def test_entries_that_wait_are_counted(home: Path) -> None:
    """A ledger that cannot be opened keeps them beside it."""
    folder = home / "offline"
    folder.mkdir(parents=True)
    (folder / "ledger.sqlite").write_bytes(b"this is no database, and never was one" * 100)
    with connect(offline=True) as session:
        with pytest.warns(UserWarning, match="cannot be used"):
            session.ask("hi", model="offline/plain")
        told = found(session, "ledger")
    assert told[0].startswith(f"✗ The ledger {folder / 'ledger.sqlite'} cannot be used")
    assert any(line.endswith("entries wait beside it until it can be written") for line in told[1:])


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "https_proxy",
            f"http://me:{WORD}@proxy.example:3128",
            "✓ openrouter.ai is reached through proxy.example:3128",
        ),
        ("HTTPS_PROXY", f"me:{WORD}@proxy.example", "✓ openrouter.ai is reached through proxy.example"),
        ("ALL_PROXY", f"http://me:{WORD}@10.0.0.1:1", "✓ openrouter.ai is reached through 10.0.0.1:1"),
    ],
)
def test_a_proxy_is_named_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    """It is why a gateway cannot be reached; its password is nobody's business."""
    monkeypatch.setenv(variable, value)
    with connect(base_url="https://openrouter.ai/api/v1") as session:
        monkeypatch.setattr(session.engine, "balance", lambda timeouts: {})
        assert [told] == found(session, "proxy")
        monkeypatch.setenv("no_proxy", "openrouter.ai")
        assert ["✓ none for openrouter.ai, by no_proxy"] == found(session, "proxy")


def test_certificates_that_point_nowhere_are_found(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A company's setting that outlived its file."""
    there = tmp_path / "ca.pem"
    there.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone too.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(there))
    others = "(other libraries read it, or_magic does not)"
    expected = [
        f"✗ SSL_CERT_FILE is {tmp_path / 'gone.pem'}, which is not there",
        f"! REQUESTS_CA_BUNDLE is {tmp_path / 'gone too.pem'}, which is not there {others}",
        f"✓ CURL_CA_BUNDLE is {there} {others}",
    ]
    assert expected == found(SettingsError("x"), "certificates")


@pytest.mark.parametrize(
    ("version", "mark"),
    [
        ("4.5.6", "!"),
        ("4.5.7", "✓"),
        ("4.10.0", "✓"),
        ("5.0.0a1", "✓"),
        ("3.9", "!"),
        ("4.5.7.dev0", "✓"),
        ("odd", "!"),
    ],
)
def test_unsafe_versions_are_found(home: Path, monkeypatch: pytest.MonkeyPatch, version: str, mark: str) -> None:
    """Numbers, not letters; a version that says nothing is worth a look."""
    monkeypatch.setattr(metadata, "version", lambda name: version)
    told = found(SettingsError("x"), "versions")
    assert told[0].startswith(f"{mark} jupyterlab {version}")
    assert ("CVE-2026-42557" in told[0]) == (mark == "!")


def test_a_package_that_is_not_here_is_not_spoken_of(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most kernels run without JupyterLab beside them."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert [] == found(SettingsError("x"), "versions")


def test_files_that_are_read_are_named(home: Path, tmp_path: Path) -> None:
    """With what they say in vain."""
    home.mkdir()
    (home / "config.toml").write_text('modle = "a/b"\n')
    (tmp_path / ".env").write_text("OPENROUTER_APP_NAME=x\n")
    with connect(offline=True) as session:
        assert [f"✓ {tmp_path / '.env'} is read"] == found(session, ".env")
        assert [f"✓ {home / 'config.toml'} is read"] == found(session, "config file")
        assert "'modle' is not a setting" in found(session, "settings")[0]


@pytest.mark.skipif(os.name != "posix", reason="modes of Unix")
def test_a_history_that_others_can_read_is_found() -> None:
    """IPython makes it so; every prompt is in it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        history = folder / "history.sqlite"
        history.touch(mode=0o644)
        folder.chmod(0o755)
        told = found(SettingsError("x"), "history", str(history))
        assert [f"! IPython keeps every cell in {history}, which others can read: chmod 600 {history}"] == told
        folder.chmod(0o700)
        assert [f"✓ only you can read {history}"] == found(SettingsError("x"), "history", str(history))
        folder.chmod(0o755)
        history.chmod(0o600)
        assert [f"✓ only you can read {history}"] == found(SettingsError("x"), "history", str(history))
        assert [] == found(SettingsError("x"), "history", str(folder / "none"))
    finally:
        shutil.rmtree(folder)


def test_nothing_makes_it_fail(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that cannot be used, and checks that break in a way nobody thought of."""
    assert ["✗ nothing to see"] == found(SettingsError("nothing to see"), "settings")

    def breaks(*_: Any) -> Any:
        raise RecursionError(WORD)

    with connect(offline=True) as session:
        monkeypatch.setattr(type(session.engine.catalog), "models", breaks)
        monkeypatch.setattr(metadata, "version", breaks)
        assert ["✗ could not be looked at (RecursionError)"] == found(session, "model") == found(session, "catalogue")
        assert ["✗ could not be looked at (RecursionError)"] == found(session, "versions")
        assert ["✓ the offline simulator answers"] == found(session, "gateway")


def test_a_gateway_that_never_answers_is_not_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who calls the doctor is in a hurry."""
    monkeypatch.setattr("or_magic.notebook.commands.doctor.ASKING", Timeouts(0.2, 0.2, 0.2, 0.2))
    with RawServer(lambda sock, _: None) as silent, connect(base_url=silent.url) as session:
        assert found(session, "gateway")[0].startswith("✗ 127.0.0.1")
        assert "whether it is accepted is not known" in found(session, "key")[0]


def test_it_answers_in_a_kernel(kernel: Kernel, canary: str) -> None:
    """As people call it, with IPython's own history in its place."""
    done = kernel.run("%or doctor")
    assert "ok" == done.status
    assert "✓ gateway      the offline simulator answers" in done.text
    assert "history" in done.text
    assert canary[9:21] not in json.dumps(done.messages, default=str)
