"""Fixtures of every test: no network but loopback, no home but a temporary one, and no key but the canary."""

from __future__ import annotations

import functools
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from .canary import findings, make_canary
from .protocol.renderers import Marked, Render, markdown_it, mistune

IN_CI = os.environ.get("OR_MAGIC_CI") == "1"
ROOT = Path(__file__).resolve().parent.parent
SCREENS = ("tests/browser/", "tests/terminal/")

# Property tests: the same examples in every run, and no limit of time, which only a quiet machine would keep.
settings.register_profile(
    "same", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the proofs at their full N")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        chosen = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
        items[:] = chosen


@pytest.hookimpl(optionalhook=True)  # there are runs without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file to one worker, and all that look at a screen to the same: they would disturb each other's clocks.

    The marks of ``--dist=loadgroup`` do nothing with pytest 9.2 and xdist 3.8.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "screens" if nodeid.startswith(SCREENS) else nodeid.partition("::")[0]

        def _assign_work_unit(self, node: Any) -> None:
            # First, whatever their number: the worker that takes them has lowered its priority for nothing else yet.
            if "screens" in self.workqueue:
                self.workqueue.move_to_end("screens", last=False)
            super()._assign_work_unit(node)

    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give way to the worker that looks at screens: of all tests, only a picture may come too late for its watcher."""
    if not item.nodeid.startswith(SCREENS):
        _give_way()


@functools.cache  # once: each call would lower it further
def _give_way() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "nice"):  # not on Windows
        os.nice(10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """In CI a skip is a failure: it would hide that a part of the machine is missing."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


class _RawLog(logging.Handler):
    """Writes past Python's file buffers, whose locks a forked child would inherit held."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def emit(self, record: logging.LogRecord) -> None:
        os.write(self._file, self.format(record).encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        os.close(self._file)
        super().close()


@pytest.fixture(scope="session", autouse=True)
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The key of this run. Afterwards, nothing that any test wrote may hold it: R14 of the whole run.

    Scanned are all temporary folders (ledgers with their WAL, spools, catalogues, notebooks, IPython's history and
    profiles) and a log of everything that any library logged at DEBUG.
    """
    base = tmp_path_factory.getbasetemp()
    key = make_canary(os.getpid())
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ |= {
        "OPENROUTER_API_KEY": key,
        "OR_MAGIC_HOME": str(base / "or_magic home"),
        "IPYTHONDIR": str(base / "ipython"),
        "JUPYTER_CONFIG_DIR": str(base / "jupyter config"),
        "JUPYTER_DATA_DIR": str(base / "jupyter data"),
        "JUPYTER_RUNTIME_DIR": str(base / "jupyter runtime"),
        "MPLBACKEND": "agg",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",  # this machine's own is no part of a test
    }
    log = _RawLog(base / "debug.log")
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.DEBUG)
    yield key
    logging.getLogger().removeHandler(log)
    log.close()
    found = findings(key, base)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    assert found == [], f"the key was found: {found}"


_ENVIRONMENT = (
    "OPENROUTER_API_KEY", "OR_MAGIC_HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR", "MPLBACKEND", "PYTHON_KEYRING_BACKEND",
)  # fmt: skip


@pytest.fixture(scope="module")
def marked() -> Iterator[Marked]:
    """The renderer of JupyterLab and Notebook 7, in node."""
    folder = os.environ.get("OR_MAGIC_MARKED")
    if not folder:
        pytest.skip("OR_MAGIC_MARKED does not name the folder of the npm package marked")
    renderer = Marked(Path(folder))
    yield renderer
    renderer.close()


@pytest.fixture(params=["markdown-it", "mistune", "marked"])
def render(request: pytest.FixtureRequest) -> Render:
    """Each of the renderers in turn."""
    if request.param == "marked":
        found: Render = request.getfixturevalue("marked")
        return found
    return {"markdown-it": markdown_it, "mistune": mistune}[request.param]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The team's papers and recordings, which are not part of this project."""
    found = ROOT.parent / "shared"
    if not found.is_dir():
        pytest.skip("../shared is not on this machine")
    return found


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket to anywhere but this machine fails the test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if self.family != socket.AF_UNIX and not (str(host).startswith("127.") or host in ("::1", "localhost")):
            raise AssertionError(f"a test tried to reach {address!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
