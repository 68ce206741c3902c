"""What a model writes does nothing in a front end: no script, no request, no command, however it is dressed (R15, R16)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request

from ..protocol.payloads import payloads, random_texts
from .conftest import OpenNotebook
from .gateway import Gateway
from .notebook import Notebook
from .server import Server

TEXTS = [payload.text for payload in payloads()]
BATCH = 100
CELL = 24  # a cell shows fifty outputs, and an answer takes two
EVERYDAY = {"lab": 2_000, "notebook": 400}
_INERT_JS = (Path(__file__).parent / "inert.js").read_text(encoding="utf-8")
# The front end's own parts come from its own server, some of them when they are first needed.
_OWN = re.compile(r"(static|lab|api|notebooks|doc|nbextensions|kernelspecs|terminals|lsp|custom|files/static|theme)\b")
ONE_BY_ONE = "for number in range({}, {}): get_ipython().run_cell_magic('or', '', f'one {{number}}')"


# They come with ids and names that are no better.
NAMES = [*TEXTS[::100], "data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+", "javascript:pwned()"]
_ASK_ALL = """
shell = get_ipython()
for number in range({}, {}):
    for kind in ('named', 'refused', 'broken'):
        try:
            shell.run_cell_magic('or', '--tag ' + repr(f'<img src=x onerror=pwned()> {{number}}'), f'{{kind}} {{number}}')
        except Exception:
            shell.showtraceback()
"""
_TOLD = (
    "%or models nasty", "import or_magic as orm\norm.models('nasty')", "orm.tracker.frame()", "orm.tracker.summary()",
    "%or spend --by provider", "%or spend --by tag", "%or plot --by model", "%or log", "_or", "%or help", "%or config",
    "%or use nasty/<img/src=https://sink.invalid/x>", "%or use test/writer", "%or <img/src=https://sink.invalid/x>",
    "%%or --<img/src=https://sink.invalid/x>\nhi", "%%or\n{{ nothing_<b> }}", "%%or -m $missing\nhi", "%%or --dry-run\n" + TEXTS[0],
    "%%or nasty/<img/src=https://sink.invalid/x>\nno such script",
)  # fmt: skip


class Guard:
    """Looks at what the open notebook shows, and keeps what the browser asked for."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.asked: list[str] = []
        self.found: list[str] = []
        notebook.page.evaluate(_INERT_JS)
        notebook.page.on("request", self._ask)
        notebook.page.context.on("page", self._opened)

    def look(self) -> None:
        """Look at every element, touch it and click on it."""
        self.found += self.notebook.page.evaluate("orMagicInert.look()")

    def verdict(self) -> list[str]:
        """Return all that was alive."""
        self.notebook.page.wait_for_load_state("networkidle")
        fired = self.notebook.page.evaluate("orMagicInert.fired()")
        self.notebook.page.remove_listener("request", self._ask)
        self.notebook.page.context.remove_listener("page", self._opened)
        self._close_others()
        return [str(what)[:300] for what in (*self.found, *fired, *self.asked)]

    def _ask(self, request: Request) -> None:
        url = request.url
        own = url.startswith(self.notebook.server.url) and _OWN.match(url.removeprefix(self.notebook.server.url))
        wanted = "/favicons/" in url or request.resource_type in (
            "fetch",
            "xhr",
            "script",
            "stylesheet",
            "font",
            "websocket",
            "eventsource",
        )
        if not url.startswith(("data:", "blob:")) and not (own and wanted):
            self.asked.append(f"{request.resource_type} {url}")

    def _close_others(self) -> None:
        """Close what was opened: behind another page, Chromium draws this one once a second, for all tests to come."""
        mine = self.notebook.page
        for page in [page for page in mine.context.pages if page is not mine]:
            page.close()
        mine.bring_to_front()

    def _opened(self, page: Page) -> None:
        self.asked.append(f"a page of its own: {page.url}")


def _one_by_one(opened: Notebook, gateway: Gateway, guard: Guard, texts: list[str]) -> None:
    """Let every text be an answer of its own, streamed in two pieces."""
    for number, text in enumerate(texts):
        gateway.says(f"one {number}", text, piece=max(1, len(text) // 2 + 1))
    for start in range(0, len(texts), CELL):
        stop = min(start + CELL, len(texts))
        opened.replace([ONE_BY_ONE.format(start, stop)])
        opened.run(0)
        guard.look()


def _batches(texts: list[str]) -> Iterator[tuple[str, ...]]:
    every = iter(texts)
    return iter(lambda: tuple(itertools.islice(every, BATCH)), ())


def test_two_thousand_answers_do_nothing(server: Server, notebook: OpenNotebook, gateway: Gateway) -> None:
    """Each text is a whole answer, as a model that was told to attack would give it."""
    texts = TEXTS[:: max(1, len(TEXTS) // EVERYDAY[server.kind])]
    opened = notebook("1")
    guard = Guard(opened)
    _one_by_one(opened, gateway, guard, texts)
    assert len(texts) >= EVERYDAY[server.kind]
    assert [] == guard.verdict()


def test_streamed_answers_of_a_hundred_texts_do_nothing(
    server: Server, notebook: OpenNotebook, gateway: Gateway
) -> None:
    """Cut into pages while they stream, and drawn as one at the end; what one leaves open meets the next."""
    opened = notebook("1")
    guard = Guard(opened)
    batches = list(_batches(TEXTS))[:: 3 if server.kind == "lab" else 12]
    for number, texts in enumerate(batches):
        gateway.says(f"batch {number}", "\n\n".join(texts), piece=40, pace_s=0.002, reasoning=texts[0])
        opened.replace([f"%%or\nbatch {number}"])
        opened.start(0)
        for _ in range(3):
            opened.page.wait_for_timeout(100)
            guard.look()
        opened.done(0)
        guard.look()
    assert [] == guard.verdict()


def test_names_and_errors_do_nothing(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Not only the answer comes from outside: so do models, providers, titles, reasons, and the words of an error."""
    for number, text in enumerate(NAMES):
        said = {"code": 402, "message": text, "metadata": {"provider_name": text, "raw": text, "error_type": text}}
        told = {"url": f"https://sink.invalid/{text}", "title": text}
        names = {"model": text, "provider": text, "id": text}
        gateway.says(f"named {number}", "ok", reasoning=text, citations=(told,), finish_reason="length", extra=names)
        gateway.says(f"refused {number}", refusal=(said["code"], {"error": said}))
        gateway.says(f"broken {number}", "half of it", finish_reason=text, extra={"error": said} | names)
    opened = notebook("1", fresh=True)
    guard = Guard(opened)
    cells = [_ASK_ALL.format(start, start + 6) for start in range(0, len(NAMES) - 6, 6)]
    for cell in (*cells, *_TOLD):
        opened.replace([cell])
        opened.run(0)
        guard.look()
    assert [] == guard.verdict()


@pytest.mark.long
def test_every_text_and_ten_thousand_random_ones_do_nothing(notebook: OpenNotebook, gateway: Gateway) -> None:
    """What nobody has thought of."""
    opened = notebook("1")
    guard = Guard(opened)
    _one_by_one(opened, gateway, guard, TEXTS + list(itertools.islice(random_texts(16), 10_000)))
    assert [] == guard.verdict()


def test_the_guard_sees_what_is_alive(server: Server, notebook: OpenNotebook) -> None:
    """A check that cannot fail shows nothing: the same texts, not made inert, are seen in each way."""
    alive = (
        "<b onclick=pwned()>x</b><img src=http://127.0.0.1:9/sink.png><a href='javascript:pwned()'>y</a>"
        '<button data-commandlinker-command="apputils:reset-layout">z</button>'
    )
    opened = notebook(f"from IPython.display import HTML\nHTML({alive!r})")
    guard = Guard(opened)
    opened.run(0)
    guard.look()
    verdict = str(guard.verdict())
    for trace in (
        "onclick",
        "sink.png",
        "['pwned']",
        "javascript:",
        "data-commandlinker-command",
        "<img>",
        "apputils:reset-layout",
    ):
        assert trace in verdict
