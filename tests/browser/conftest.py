"""One front end of each kind and one browser for all tests of this folder; one notebook with its kernel for each test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ..guards import HANG_S
from ..protocol.payloads import payloads
from .gateway import Gateway, listed
from .notebook import Notebook, write
from .server import Kind, Server, serve

CHROMIUM = os.environ.get("OR_MAGIC_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
_NAMES = itertools.count(1)

OpenNotebook = Callable[..., Notebook]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def gateway() -> Iterator[Gateway]:
    """What stands where OpenRouter would; many of the models that it lists have names that attack."""
    with Gateway() as gateway:
        gateway.models += [listed("vendor/alpha"), listed("vendor/beta", pricing={"prompt": "0", "completion": "0"})]
        gateway.models += [
            listed(f"nasty/{payload.text}", name=payload.text, architecture={"input_modalities": [payload.text]})
            for payload in payloads()[::60]
        ]
        yield gateway


@pytest.fixture(scope="package", params=["lab", "notebook"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gateway: Gateway
) -> Iterator[Server]:
    """JupyterLab, then Notebook 7."""
    kind: Kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    settings = {"OPENROUTER_BASE_URL": gateway.url, "OPENROUTER_DEFAULT_MODEL": "test/writer"}
    with serve(kind, folder, settings) as server:
        yield server


@pytest.fixture(scope="package")
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """One tab of the browser for each front end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(HANG_S * 1000)
    yield page
    context.close()


@pytest.fixture(scope="package")
def desk(page: Page, server: Server) -> Iterator[list[Notebook]]:
    """The notebook that lies open: its kernel serves many tests, as it serves many cells of a person."""
    open_now: list[Notebook] = []
    yield open_now
    for each in open_now:
        each.close()


@pytest.fixture
def notebook(page: Page, server: Server, desk: list[Notebook]) -> Iterator[OpenNotebook]:
    """A way to get a notebook of these cells, none of which has been run; ``fresh``: with a kernel of its own."""

    spent: list[Notebook] = []

    def open_(*cells: str, fresh: bool = False) -> Notebook:
        if desk and not fresh and desk[0].idle:
            desk[0].replace(cells)
            return desk[0]
        while desk:
            desk.pop().close()
        name = f"n{next(_NAMES)}.ipynb"
        write(server.root / name, list(cells))
        opened = Notebook(page, server, name)
        (spent if fresh else desk).append(opened)
        opened.open()
        return opened

    yield open_
    if desk and not desk[0].idle:
        spent.append(desk.pop())
    for each in spent:
        each.close()
