"""Keys in a real kernel: typed hidden over the front end's own channel, swapped in place, and found nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from ..canary import make_canary
from ..guards import HANG_S
from ..world.kit import Asked, RawServer, play_answer, response
from .kernel import Kernel, Run

OTHER = make_canary(11)
LABEL = "sk-or-v1-ghj...xyz"
BALANCE = {
    "label": LABEL, "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly", "usage": 25.5, "usage_daily": 0.41,
    "usage_weekly": 3, "usage_monthly": 25.5, "byok_usage": 0, "is_free_tier": True, "expires_at": "2999-12-31T23:59:59Z",
}  # fmt: skip
# What a keyring of a desktop does, without a desktop.
RING = """
import keyring, keyring.backend
class Memory(keyring.backend.KeyringBackend):
    priority = 1
    held = {}
    def get_password(self, service, username): return self.held.get((service, username))
    def set_password(self, service, username, password): self.held[service, username] = password
    def delete_password(self, service, username): del self.held[service, username]
keyring.set_keyring(Memory())
"""


def play(sock: socket.socket, asked: Asked) -> None:
    """Answer as OpenRouter does: the balance to a good key, 401 to a bad one, and echoes of every key to who asks."""
    bearer = " ".join(asked.all("authorization"))
    if "bad" in bearer:
        sock.sendall(response(b'{"error": {"code": 401, "message": "No auth"}}', "401 Unauthorized"))
    elif "/key" in asked.line:
        sock.sendall(response(json.dumps({"data": BALANCE}).encode()))
    elif b"echo" in asked.body:
        told = json.dumps({"error": {"code": 401, "message": f"{OTHER} and {bearer}"}}).encode()
        sock.sendall(response(told, "401 Unauthorized"))
    else:
        play_answer(sock, asked)


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A gateway that keeps what it was sent."""
    with RawServer(play) as running:
        yield running


@pytest.fixture
def kernel(tmp_path: Path, server: RawServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel without a key, whose OpenRouter is on this machine."""
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("OR_MAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.chdir(tmp_path)
    kernel = Kernel()
    try:
        kernel.run(f"import or_magic.settings as s; s.OPENROUTER = {server.url!r}\n%load_ext or_magic")
        yield kernel
    finally:
        kernel.close()


@contextlib.contextmanager
def typing(kernel: Kernel, text: str | None) -> Iterator[list[dict[str, Any]]]:
    """Answer the kernel's next question as a front end does, or press its stop button; what it asked is in the list."""
    questions: list[dict[str, Any]] = []
    process = int(kernel.value("__import__('os').getpid()"))

    def answer() -> None:
        # Not by the client's own methods: they leave an event loop behind in every thread.
        channel = zmq.Socket.shadow(kernel.client.stdin_channel.socket.underlying)
        if channel.poll(1000 * HANG_S):
            _, message = kernel.client.session.recv(channel)
            questions.append(message["content"])
            if text is None:
                os.kill(process, signal.SIGINT)
            else:
                kernel.client.input(text)

    thread = threading.Thread(target=answer)
    thread.start()
    yield questions
    thread.join(HANG_S)


def typed(kernel: Kernel, command: str, text: str | None) -> Run:
    with typing(kernel, text) as questions:
        done = kernel.run(command)
    assert [True] == [question["password"] for question in questions]
    return done


def bearer(server: RawServer) -> str:
    return server.asked[-1].all("authorization")[0].removeprefix("Bearer ")


def test_a_typed_key_ends_the_simulator_and_is_used(kernel: Kernel, server: RawServer, canary: str) -> None:
    """The whole way of somebody who has just made an account."""
    first = kernel.run("%%or\nhello")
    assert "No key: answers come from the offline simulator; %or key --set to use OpenRouter" in first.text
    told = kernel.run("%or key")
    assert "no key, so the offline simulator answers" in told.text
    done = typed(kernel, "%or key --set", f"  {canary} \n")
    assert "ok" == done.status, done.error
    assert done.text.startswith("The key is set for this kernel.\nAnswers now come from 127.0.0.1")
    assert "$74.50 left of its limit of $100.00, renewed monthly." in done.text
    assert canary == bearer(server)
    cell = kernel.run("%%or -m a/b\nhello")
    assert "Hello" == cell.displays[0]["data"]["text/markdown"]
    assert "simulated" not in cell.displays[1]["data"]["text/plain"]
    assert "'Hello'" == kernel.value("__import__('or_magic').ask('hi', model='a/b').text")
    assert canary == bearer(server)


def test_a_key_is_swapped_under_the_running_session(
    kernel: Kernel, server: RawServer, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id, books and connection stay; the balance is told, the label never; both keys are redacted."""
    typed(kernel, "%or key --set", OTHER)
    kernel.run("%%or -m a/b\nhello")
    assert OTHER == bearer(server)
    session = "(orm.api.current().engine.session, str(orm.api.current().engine.ledger.path), len(orm.tracker.frame()))"
    kernel.run("import or_magic as orm")
    before, accepted = kernel.value(session), server.accepted
    done = typed(kernel, "%or key --set", canary)
    assert "Answers now come" not in done.text
    kernel.run("%%or -m a/b\nhello")
    assert (canary, accepted) == (bearer(server), server.accepted)
    assert before.replace(", 1)", ", 2)") == kernel.value(session)
    told = kernel.run("%or key").text
    for words in ("typed in this kernel", "Used: $25.50 in all, $0.41 today", "Free tier", "expires on 2999-12-31"):
        assert words in told
    assert LABEL not in told + done.text
    assert "ghj" not in told + done.text
    echo = kernel.run("%%or -m a/b\necho")
    assert "[key] and Bearer [key]" in " ".join(echo.error)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("strange-key", "ok", "It does not look like an OpenRouter key"),
        ("sk-or-v1-bad", "ok", "! It is not accepted"),
        ("", "error", "Nothing was typed. The key was not changed."),
        ("sk-or-v1-schlüssel", "error", "characters that no key has"),
    ],
)
def test_odd_keys(kernel: Kernel, text: str, status: str, words: str) -> None:
    """A strange prefix warns; what cannot be a key changes nothing."""
    done = typed(kernel, "%or key --set", text)
    assert status == done.status
    assert words in done.text + " ".join(done.error)
    assert len(done.error) <= 2
    assert text == "" or text not in json.dumps(done.messages, default=str)
    simulated = kernel.value("__import__('or_magic.api').api.current().engine.lacks_key")
    assert str(status == "error") == simulated


def test_an_interrupt_while_it_is_asked_for_changes_nothing(kernel: Kernel) -> None:
    """Somebody looks for the key first."""
    done = typed(kernel, "%or key --set", None)
    assert ["SettingsError: Interrupted. The key was not changed."] == done.error
    assert "simulated" in kernel.run("%%or\nhello").displays[1]["data"]["text/plain"]


def test_where_nobody_can_type_the_error_is_clear(kernel: Kernel) -> None:
    """nbclient and papermill have no keyboard."""
    done = kernel.run("%or key --set", watched=False)
    assert ("error", "SettingsError") == (done.status, done.reply["content"]["ename"])
    assert "cannot ask hidden. Nothing was changed." in " ".join(done.error)
    saved = kernel.run("%or key --save", watched=False)
    assert "error" == saved.status


def test_a_key_on_the_line_is_refused_and_not_repeated(kernel: Kernel) -> None:
    """IPython has it in its history by then: the only help is another key."""
    key = "sk-or-v1-" + "b" * 64
    for line in (f"%or key {key}", f"%or config model {key}", f"%or alias x {key}", f"%or config api_key {key}"):
        done = kernel.run(line)
        assert "OptionError" == done.reply["content"]["ename"]
        assert "history" in " ".join(done.error)
        assert "bbbbbb" not in " ".join([*done.error, done.text])
    unknown = kernel.run("%or key --show")
    assert "--set, --save or --forget" in " ".join(unknown.error)


def test_the_keyring_keeps_a_key_for_the_next_kernel(kernel: Kernel, server: RawServer, canary: str) -> None:
    """Saved, found, told by its source, forgotten; where there is none, saving says so."""
    failed = typed(kernel, "%or key --save", canary)
    assert "The key was not saved." in " ".join(failed.error)
    assert kernel.run(RING).status == "ok"
    done = typed(kernel, "%or key --save", canary)
    assert "kept in this system's keyring and set for this kernel" in done.text
    kernel.run("import or_magic as orm\norm.api.use_key(None); orm.api.use(None)")  # as a new kernel begins
    kernel.run("%%or -m a/b\nhello")
    assert canary == bearer(server)
    assert "The key comes from this system's keyring." in kernel.run("%or key").text
    assert "goes on with it" in kernel.run("%or key --forget").text
    assert "holds no key" in kernel.run("%or key --forget").text
    assert "{}" == kernel.value("Memory.held")


def test_a_keyring_that_fails_breaks_no_cell_and_is_named(kernel: Kernel) -> None:
    """The simulator answers, and the reason why is said once."""
    kernel.run(RING.replace("return self.held.get((service, username))", "raise OSError('locked')"))
    done = kernel.run("%%or\nhello")
    assert "ok" == done.status
    assert "The system's keyring failed (OSError)." in done.text
    assert "No key:" in done.text
    assert "keyring" not in kernel.run("%%or\nhello").text
    assert "keyring failed (OSError)" in kernel.run("%or doctor").text


def test_offline_needs_no_key_and_says_how_to_leave(kernel: Kernel, server: RawServer, canary: str) -> None:
    """What was chosen stays chosen; the sentence that leaves it works."""
    kernel.run("%or use offline")
    assert "The simulator was chosen; it needs none." in kernel.run("%or key").text
    done = typed(kernel, "%or key --set", canary)
    assert "still answers" in done.text
    assert [] == server.asked
    left = kernel.run(f'%config OpenRouterMagics.base_url = "{server.url}"')
    assert "Another gateway answers from now on" in left.text
    kernel.run("%%or -m a/b\nhello")
    assert canary == bearer(server)


def test_a_typed_key_is_in_no_channel(kernel: Kernel, server: RawServer, canary: str, tmp_path: Path) -> None:
    """R14: outputs, errors at their longest, history, variables, settings; the run's scan reads every file after it."""
    kernel.run("%xmode Verbose\n%load_ext or_magic\n" + RING)
    runs = [
        typed(kernel, "%or key --set", canary),
        typed(kernel, "%or key --save", canary),
        *map(
            kernel.run,
            [
                "%or key", "%or config", "%or config model a/b", "%or config", "%or alias fast a/b", "%or alias", "%or doctor",
                "%config OpenRouterMagics", "%config", "%%or -m a/b\nhello", "%%or -m a/b\necho", "%tb", "%or traceback",
                "%or log", "%or use c/d", "%%or fast\nhello",
                "import or_magic as orm; e = orm.api.current().engine",
                "vars(e), vars(e.gateway), e.settings, vars(orm.api._process), e.settings.key, vars(e.gateway._client())",
                "import gc; [repr(o) for o in gc.get_referents(e.gateway, e.gateway.__dict__, e.settings)]",
                "get_ipython().configurables, [vars(c) for c in get_ipython().configurables], get_ipython().config",
                "%whos", "%who", "%history", "%history -o", "In, Out", "import os; dict(os.environ)", "%store e",
                "import pickle; pickle.dumps(e.settings)", "import copy; copy.deepcopy(e.settings)",
                "%or key --forget", "%reload_ext or_magic\n%%or -m a/b\nhi",
            ],
        ),
    ]  # fmt: skip
    assert canary == bearer(server)
    told = json.dumps([run.messages for run in runs], default=str)
    assert not [start for start in range(9, 60) if canary[start : start + 12] in told]
    assert "[key]" in told
    assert f"model = {json.dumps('a/b')}" in (tmp_path / "home" / "config.toml").read_text()
