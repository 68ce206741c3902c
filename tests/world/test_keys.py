"""Keys: the keyring, Colab, a key swapped under a running session; and that nothing on the way shows one."""

from __future__ import annotations

import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from or_magic import api
from or_magic.errors import CallError, KeyRefusedError, NoKeyError, SettingsError
from or_magic.secrets import (
    KEY_NAME,
    Key,
    Secret,
    Variables,
    forget_key,
    redactor,
    save_key,
    seal,
    stored_key,
)
from or_magic.settings import OPENROUTER, load_settings

from ..guards import AGES_S, HANG_S
from .fixtures import Connect
from .kit import Asked, RawServer, hard_deadline, play_answer, response, rows

# Put together at run time, so that no scanner finds a key in this file.
OLD, NEW = ("-".join(["sk", "or", "v1", letters * 16]) for letters in ("abcd", "wxyz"))


class Memory(KeyringBackend):
    """A keyring that forgets at the end of the test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.held:
            raise PasswordDeleteError("not there")
        del self.held[service, username]


class Broken(Memory):
    """A keyring whose every answer is an error that repeats what it holds."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError(f"locked: {NEW}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"locked: {password}")


class Hanging(Memory):
    """A keyring that waits for a password that nobody types."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.released.wait(AGES_S)
        return None


@pytest.fixture
def ring() -> Iterator[Callable[[KeyringBackend], Any]]:
    """Sets the keyring of a test."""
    before = keyring.get_keyring()

    def chosen(backend: KeyringBackend) -> KeyringBackend:
        keyring.set_keyring(backend)
        return backend

    yield chosen
    keyring.set_keyring(before)


def shows(error: BaseException, key: str = NEW) -> bool:
    """Whether the longest traceback below the test's own frame shows the key."""
    told = traceback.TracebackException(type(error), error, error.__traceback__.tb_next, capture_locals=True)
    return key[9:21] in "".join(told.format())


def test_a_saved_key_is_found_and_a_forgotten_one_is_not(ring: Any) -> None:
    """Under a name that other programs do not use."""
    memory = ring(Memory())
    assert (None, None) == stored_key()
    save_key(Key(Secret(NEW), "prompt"))
    assert {("or_magic", "OPENROUTER_API_KEY"): NEW} == memory.held
    key, trouble = stored_key()
    assert (NEW, "keyring", None) == (key.secret.reveal(), key.source, trouble)
    assert [True, False] == [forget_key(), forget_key()]
    assert (None, None) == stored_key()


def test_a_keyring_that_fails_breaks_nothing_and_is_named(ring: Any) -> None:
    """By the kind of its error alone: its words may repeat what it holds."""
    ring(Broken())
    key, trouble = stored_key()
    assert (None, "The system's keyring failed (RuntimeError).") == (key, trouble)
    with pytest.raises(SettingsError, match="The key was not saved") as caught:
        save_key(Key(Secret(NEW), "prompt"))
    assert not shows(caught.value)


def test_a_machine_without_a_keyring_has_no_trouble(ring: Any) -> None:
    """The package often comes with another one; but who asks to save must be told."""
    ring(keyring.backends.fail.Keyring())
    assert (None, None) == stored_key()
    with pytest.raises(SettingsError, match=r"NoKeyringError\). The key was not saved"):
        save_key(Key(Secret(NEW), "prompt"))


def test_a_keyring_that_hangs_holds_nobody_for_ever(ring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A desktop that is locked waits for its owner; a cell does not."""
    hanging = ring(Hanging())
    monkeypatch.setattr("or_magic.secrets._LOOKED_UP_S", 0.05)
    with hard_deadline():
        key, trouble = stored_key()
    assert (None, "The system's keyring did not answer within 0 s.") == (key, trouble)
    hanging.released.set()
    for thread in threading.enumerate():
        if thread.name == "or_magic keyring":
            thread.join(HANG_S)


def test_a_key_in_the_keyring_that_is_none_is_refused_without_showing_it(ring: Any) -> None:
    """As everywhere."""
    ring(Memory()).held["or_magic", KEY_NAME] = NEW + "\u200b"
    key, trouble = stored_key()
    assert key is None
    assert "characters that no key has" in str(trouble)
    assert NEW[9:21] not in str(trouble)


def test_without_the_package_saving_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setattr("or_magic.secrets.importlib.util.find_spec", lambda name: None)
    assert (None, None) == stored_key()
    for verb in (lambda: save_key(Key(Secret(NEW), "prompt")), forget_key):
        with pytest.raises(SettingsError, match=r"or_magic\[keyring\]"):
            verb()


class SecretNotFoundError(Exception):
    """Colab's own."""


class NotebookAccessError(Exception):
    """Colab's own."""


class TimeoutException(Exception):
    """Colab's own."""


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A stand-in for Colab's package, as its kernels have loaded it: the real one answers only there."""
    keyring.set_keyring(keyring.backends.fail.Keyring())
    google, package, userdata = (types.ModuleType(f"google{rest}") for rest in ("", ".colab", ".colab.userdata"))
    userdata.get = lambda name: {KEY_NAME: NEW}[name]
    for module in (google, package, userdata):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield userdata
    keyring.set_keyring(keyring.backends.fail.Keyring())


def test_colabs_secret_is_found(colab: types.ModuleType) -> None:
    """Where people keep it there."""
    key, trouble = stored_key()
    assert (NEW, "Colab secrets", None) == (key.secret.reveal(), key.source, trouble)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SecretNotFoundError, None),
        (NotebookAccessError, "not for this notebook. Switch it on"),
        (TimeoutException, "Colab's secrets failed (TimeoutException)."),
    ],
)
def test_colabs_exceptions_break_nothing(colab: types.ModuleType, error: type[Exception], words: str | None) -> None:
    """Most notebooks there have no such secret; one that may not read it is told how."""

    def fails(name: str) -> str:
        raise error(f"{name} {NEW}")

    colab.get = fails
    key, trouble = stored_key()
    assert key is None
    assert (words or "None") in str(trouble)
    assert NEW[9:21] not in str(trouble)


def test_colab_is_asked_only_from_the_main_thread(colab: types.ModuleType) -> None:
    """Its question goes over the kernel's own channel, which another thread would break."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(stored_key()))
    thread.start()
    thread.join()
    assert [(None, None)] == found


def test_the_sources_have_one_order(ring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed, environment, .env, keyring; the keyring is opened only where nothing else is."""
    opened: list[int] = []

    class Counting(Memory):
        def get_password(self, service: str, username: str) -> str | None:
            opened.append(1)
            return super().get_password(service, username)

    ring(Counting()).held["or_magic", KEY_NAME] = NEW
    (tmp_path / ".git").mkdir()
    environ = {"OR_MAGIC_HOME": str(tmp_path)}
    (tmp_path / ".env").write_text(f"{KEY_NAME}=from-file\n")
    told = [
        load_settings({}, environ | {KEY_NAME: "e"}, tmp_path, key=Key(Secret("t"), "prompt")).key.source,
        load_settings({}, environ | {KEY_NAME: "e"}, tmp_path).key.source,
        load_settings({}, environ, tmp_path).key.source,
    ]
    assert (["prompt", "environment", ".env"], []) == (told, opened)
    (tmp_path / ".env").unlink()
    assert "keyring" == load_settings({}, environ, tmp_path).key.source
    assert None is load_settings({"offline": True}, environ, tmp_path).key
    assert None is load_settings({}, environ, tmp_path, keyless=True).key  # a client was brought along
    assert [1] == opened


@pytest.mark.parametrize(
    ("url", "from_dotenv", "source"),
    [
        (OPENROUTER, False, "keyring"),
        ("https://mirror.example/v1", False, "keyring"),
        ("https://evil.example/v1", True, None),
        ("http://10.0.0.1/v1", False, None),
        ("http://localhost:11434/v1", False, None),
    ],
)
def test_the_keyrings_key_goes_only_where_somebody_sent_it(
    ring: Any, tmp_path: Path, url: str, from_dotenv: bool, source: str | None
) -> None:
    """Not to whatever address the .env of a downloaded folder names, and never unencrypted."""
    ring(Memory()).held["or_magic", KEY_NAME] = NEW
    environ = {"OR_MAGIC_HOME": str(tmp_path)}
    if from_dotenv:
        (tmp_path / ".env").write_text(f"OPENROUTER_BASE_URL={url}\n")
    settings = load_settings({}, environ if from_dotenv else environ | {"OPENROUTER_BASE_URL": url}, tmp_path)
    assert (url, source) == (settings.base_url, settings.key.source if settings.key else None)


def test_a_keyring_in_trouble_is_named_where_there_is_no_key(
    ring: Any, open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else somebody who saved one would not know why there is none."""
    ring(Broken())
    monkeypatch.delenv(KEY_NAME)
    session = open_session()
    with pytest.raises(NoKeyError, match=r"keyring failed \(RuntimeError\)\..*%or key --set"):
        session.ask("hi")


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_key_that_is_none_is_in_no_frame_of_its_error(tmp_path: Path, place: str) -> None:
    """Verbose tracebacks print locals: the environment and the file are among ours."""
    bad = NEW + "é"
    if place == ".env":
        (tmp_path / ".env").write_text(f"{KEY_NAME}={bad}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="characters that no key has") as caught:
        load_settings({}, {KEY_NAME: bad} if place == "environment" else {"OR_MAGIC_HOME": str(tmp_path)}, tmp_path)
    told = traceback.TracebackException(
        type(caught.value), caught.value, caught.value.__traceback__.tb_next.tb_next, capture_locals=True
    )
    assert "Variables(" in "".join(told.format())
    assert NEW[9:21] not in "".join(told.format())


def test_variables_are_a_mapping_that_shows_nothing() -> None:
    """Its values are told one at a time."""
    variables = Variables({"A": NEW, "B": ""})
    assert ("Variables(2)", NEW, ["A", "B"], None) == (
        repr(variables), variables["A"], list(variables), variables.get("C"),
    )  # fmt: skip
    assert "A" in variables


def test_every_key_that_was_used_is_redacted() -> None:
    """The longest first: a key may begin with another one."""
    redact = redactor([Secret("abc"), Secret("abcdef"), Secret("")])
    assert b"[key] [key] xyz" == redact(b"abcdef abc xyz")
    assert b"abcdef" == redactor([])(b"abcdef")


def play_keys(sock: socket.socket, asked: Asked) -> None:
    """Answer chat; refuse as a gateway that repeats every key it was ever sent, in body and header."""
    if "/key" in asked.line:
        sock.sendall(response(b'{"data": {"label": "sk-or-v1-wxy...xyz", "limit": 10, "limit_remaining": 7.25}}'))
    elif b"refuse" in asked.body:
        told = f'{{"error": {{"code": 401, "message": "not {OLD} nor {NEW}"}}}}'.encode()
        sock.sendall(response(told, "401 Unauthorized", f"X-Seen: {OLD} {NEW}"))
    else:
        play_answer(sock, asked)


def test_a_key_is_swapped_under_a_running_session(open_session: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id, its ledger and its connection stay; the next request has the new key; both are redacted."""
    monkeypatch.setenv(KEY_NAME, OLD)
    with RawServer(play_keys) as server:
        session = open_session(base_url=server.url)
        engine = session.engine
        session.ask("one", model="m")
        before = (engine.session, engine.ledger.path, server.accepted)
        engine.use_key(Key(seal(f"  {NEW}\n", "the prompt"), "prompt"))
        session.ask("two", model="m")
        assert before == (engine.session, engine.ledger.path, server.accepted)
        assert [[f"Bearer {OLD}"], [f"Bearer {NEW}"]] == [asked.all("authorization") for asked in server.asked]
        assert ["ok", "ok"] == [row["status"] for row in rows(session)]
        assert "prompt" == engine.settings.key.source
        with pytest.raises(KeyRefusedError) as caught:
            session.ask("refuse", model="m")
        assert "not [key] nor [key]" in str(caught.value)
        assert {"label": "sk-or-v1-wxy...xyz"}.items() <= engine.balance(engine.settings.timeouts).items()


def test_a_key_that_may_not_travel_leaves_the_one_before(
    open_session: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may type the key of one gateway while another one is asked."""
    monkeypatch.delenv(KEY_NAME)
    engine = open_session(base_url="http://10.255.255.1/v1").engine
    with pytest.raises(SettingsError, match="unencrypted"):
        engine.use_key(Key(Secret(NEW), "prompt"))
    assert engine.settings.key is None


@pytest.fixture
def no_key(home: Path, ring: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process without a key, whose OpenRouter is on this machine."""
    ring(Memory())
    monkeypatch.delenv(KEY_NAME)
    api.use(None)
    yield
    api.use(None)
    api.use_key(None)
    api.forget_choices()


@pytest.mark.usefixtures("no_key")
def test_a_key_ends_the_simulator_that_nobody_chose(raw_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And only that one."""
    monkeypatch.setattr("or_magic.settings.OPENROUTER", raw_server.url)
    simulator = api.simulate(pace_s=0.0)
    assert api.current() is simulator
    assert api.use_key(Key(Secret(NEW), "prompt"))
    assert "Hello" == api.ask("hi", model="m").text
    assert [f"Bearer {NEW}"] == raw_server.asked[-1].all("authorization")
    assert not api.use_key(Key(Secret(OLD), "prompt"))
    api.ask("hi", model="m")
    assert [f"Bearer {OLD}"] == raw_server.asked[-1].all("authorization")
    api.set_settings(base_url="offline")
    chosen = api.current()
    assert not api.use_key(Key(Secret(NEW), "prompt"))
    assert api.current() is chosen
    assert api.ask("hi", model="offline/plain").simulated
    api.set_settings(base_url=raw_server.url)
    api.ask("hi", model="m")
    assert [f"Bearer {NEW}"] == raw_server.asked[-1].all("authorization")


@pytest.mark.usefixtures("no_key")
def test_a_typed_key_serves_sessions_of_ones_own_and_children(raw_server: RawServer, open_session: Connect) -> None:
    """It was set for this kernel, not for one object."""
    api.use_key(Key(Secret(NEW), "prompt"))
    open_session(base_url=raw_server.url).ask("hi", model="m")
    assert [f"Bearer {NEW}"] == raw_server.asked[-1].all("authorization")
    api._process.begin()  # what a fork does in the child
    api.set_settings(base_url=raw_server.url)
    api.ask("hi", model="m")
    assert [f"Bearer {NEW}"] == raw_server.asked[-1].all("authorization")


@pytest.mark.parametrize("body", [b"[]", b'{"data": 3}', b"{}", b"null"])
def test_a_balance_of_another_shape_tells_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, open_session: Connect, body: bytes
) -> None:
    """Other gateways have no /key, or one of their own."""
    with RawServer(lambda sock, _: sock.sendall(response(body))) as server:
        engine = open_session(base_url=server.url).engine
        assert {} == engine.balance(engine.settings.timeouts)
    with RawServer(lambda sock, _: sock.sendall(response(b"<html>", "404 Not Found"))) as server:
        engine = open_session(base_url=server.url).engine
        with pytest.raises(CallError):
            engine.balance(engine.settings.timeouts)


@pytest.mark.parametrize(
    ("dotenv", "told"),
    [
        ("OPENROUTER_BASE_URL=https://example.org/v1\n", None),
        ("OPENROUTER_BASE_URL=https://example.org/v1\nOPENROUTER_API_KEY=of-the-file\n", ".env"),
        ("OPENROUTER_BASE_URL=https://openrouter.ai/api/v1\n", "environment"),
        ("OPENROUTER_BASE_URL=http://127.0.0.1:9/v1\n", "environment"),
    ],
)
def test_a_cloned_folder_does_not_lead_the_key_of_the_environment_away(
    tmp_path: Path, dotenv: str, told: str | None
) -> None:
    """Its .env may name any address; the key of the environment was not meant for it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
    environ = {"OPENROUTER_API_KEY": "sk-or-of-the-environment", "OR_MAGIC_HOME": str(tmp_path / "home")}
    if told is None:
        with pytest.raises(SettingsError, match=r"does not go there\. Nothing was sent"):
            load_settings(environ=environ, folder=tmp_path)
        return
    key = load_settings(environ=environ, folder=tmp_path).key
    assert key is not None
    assert told == key.source
