"""Pictures are drawn and sound can be played, in the cell and in the file that was saved; nothing comes from elsewhere."""

from __future__ import annotations

import base64

from playwright.sync_api import Browser, Page

from or_magic.content.data_url import data_url
from or_magic.offline.media import png, tone

from .conftest import OpenNotebook
from .gateway import Gateway
from .notebook import Notebook
from .server import Server

_SAW = """async selector => {
  const cell = document.querySelectorAll(selector)[0];
  const [picture, sound] = [cell.querySelector('img'), cell.querySelector('audio')];
  for (let tries = 0; tries < 100 && !(sound?.readyState >= 1 && picture?.complete); tries++)
    await new Promise(later => setTimeout(later, 50));
  return [picture?.naturalWidth, picture?.naturalHeight, sound?.readyState >= 1, sound?.duration,
          sound?.getBoundingClientRect().height > 0, cell.querySelectorAll('img, audio').length]; }"""
_CELL = ".jp-Notebook .jp-Cell"


def test_a_picture_is_drawn_and_a_sound_can_be_played(
    server: Server, notebook: OpenNotebook, gateway: Gateway, browser: Browser
) -> None:
    """Words, picture, words, sound; a picture by address is a link. All of it again in a new tab, without a kernel."""
    gateway.says(
        "media",
        "Before. ",
        later=(
            {"images": [{"image_url": {"url": data_url("image/png", png(3, (300, 200)))}}]},
            {"content": "After."},
            {"images": [{"image_url": {"url": "https://pictures.invalid/seen.png"}}]},
            {"audio": {"data": base64.b64encode(tone(0.5)).decode(), "transcript": "A tone."}},
        ),
    )
    opened = notebook("%%or -p audio.format=pcm16\nmedia", fresh=True)
    asked = _watch(opened.page)
    opened.run(0)
    assert [300, 200, True, 0.5, True, 2] == opened.page.evaluate(_SAW, _CELL)
    text = opened.text(0)
    assert text.index("Before.") < text.index("After.") < text.index("pictures.invalid") < text.index("A tone.")
    (cell,) = opened.save()
    assert [
        "text/markdown",
        "image/png",
        "text/markdown",
        "text/markdown",
        "text/html",
        "text/markdown",
        "text/html",
    ] == (cell.kinds)
    server.end_kernels()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    later = _watch(page)
    second = Notebook(page, server, opened.name)
    second.open()
    assert [300, 200, True, 0.5, True, 2] == page.evaluate(_SAW, _CELL)
    context.close()
    assert [] == [url for url in asked + later if "invalid" in url]


def _watch(page: Page) -> list[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked
