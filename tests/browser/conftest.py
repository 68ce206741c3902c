"""One front end of each kind and one browser for all tests of this folder; one notebook with its kernel for each test."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .gateway import Gateway
from .notebook import Notebook, write
from .server import Kind, Server, serve

CHROMIUM = os.environ.get("OR_MAGIC_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
_NAMES = itertools.count(1)

OpenNotebook = Callable[..., Notebook]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all of these tests to one worker: two browsers at a time would disturb each other's clocks."""
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.xdist_group("screens"))


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
    """What stands where OpenRouter would."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture(scope="package", params=["lab", "notebook"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gateway: Gateway) -> Iterator[Server]:
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
    page.set_default_timeout(20_000)
    yield page
    context.close()


@pytest.fixture
def notebook(page: Page, server: Server) -> Iterator[OpenNotebook]:
    """A way to open a new notebook of these cells."""
    opened: list[Notebook] = []

    def open_(*cells: str) -> Notebook:
        name = f"n{next(_NAMES)}.ipynb"
        write(server.root / name, list(cells))
        opened.append(Notebook(page, server, name))
        opened[-1].open()
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
