"""JupyterLab or Notebook 7 on a free loopback port, with folders of its own. Does I/O."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..guards import HANG_S

Kind = Literal["lab", "notebook"]

_MODULES: Mapping[Kind, str] = {"lab": "jupyterlab", "notebook": "notebook"}
_APPS: Mapping[Kind, str] = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}
# Nothing may cover a button or write the file behind a test's back; all else is as a person finds it.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
}


@dataclass(frozen=True)
class Server:
    """A running front end; ``root`` is the folder that it shows."""

    kind: Kind
    url: str
    root: Path

    def kernels(self) -> list[dict[str, Any]]:
        """Return the kernels that run."""
        found: list[dict[str, Any]] = self.api("kernels")
        return found

    def end_kernels(self) -> None:
        """End every kernel: they are no children of the server's process group."""
        for kernel in self.kernels():
            self.api(f"kernels/{kernel['id']}", "DELETE")

    def api(self, path: str, method: str = "GET") -> Any:
        """Return what the server's REST interface says."""
        request = urllib.request.Request(f"{self.url}api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None


@contextlib.contextmanager
def serve(kind: Kind, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Start a front end that keeps everything below ``folder``; its kernels have the extension loaded."""
    root = folder / "notebooks"
    root.mkdir(parents=True)
    _prepare(folder)
    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(kind, port, root), env=_environment(folder, environment), stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True, cwd=root,
        )  # fmt: skip
    server = Server(kind, f"http://127.0.0.1:{port}/", root)
    try:
        _wait_until_up(server, process, log)
        yield server
    finally:
        with contextlib.suppress(OSError):  # a server that is gone has taken its kernels along
            server.end_kernels()
        _end(process)


def _prepare(folder: Path) -> None:
    for name, values in _SETTINGS.items():
        extension, plugin = name.split("/")
        path = folder / "settings" / "@jupyterlab" / extension / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    # An attempt that fails is shown at once: what is looked at here is how, not how often it is tried again.
    (folder / "home").mkdir(mode=0o700)
    (folder / "home" / "config.toml").write_text("retries = 0\ncircuit_breaker = false\n", encoding="utf-8")
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text('get_config().InteractiveShellApp.extensions = ["or_magic"]\n')


def _command(kind: Kind, port: int, root: Path) -> list[str]:
    return [
        sys.executable, "-m", _MODULES[kind], "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={root}",
        f"--{_APPS[kind]}.expose_app_in_browser=True",
    ]  # fmt: skip


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    # The kernel chooses its own way to draw, as it does for a person.
    kept = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    own = {
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "OR_MAGIC_HOME": "home",
    }  # fmt: skip
    return kept | {name: str(folder / value) for name, value in own.items()} | dict(more)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + HANG_S
    while True:
        try:
            server.api("status")
        except (OSError, urllib.error.HTTPError):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the front end did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.1)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
