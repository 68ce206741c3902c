"""Tab on the first line of a cell: options, commands and models with their prices, in the front end's own popup."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import OpenNotebook
from .notebook import Notebook
from .test_inert import Guard


def offered(opened: Notebook, text: str) -> list[str]:
    """Type into the first cell, press Tab, and return what the popup says, a line for each item."""
    opened.cell(0).locator(".cm-content").click()
    opened.page.keyboard.press("Control+a")
    opened.page.keyboard.type(text)
    opened.page.keyboard.press("Tab")
    items = opened.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-item")
    expect(items.first).to_be_visible()
    return [" ".join(item.split()) for item in items.all_inner_texts()]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("%%or --temp", "%%or --temperature"),
        ("%%openrouter test/wri", "%%openrouter test/writer"),
        ("%or recon", "%or reconcile"),
        ("%%or -s $known_var", "%%or -s $known_variable"),
    ],
)
def test_what_fits_is_offered_and_put_in(before: str, after: str, notebook: OpenNotebook) -> None:
    """Options, models, commands, variables: Tab and Enter, as everywhere in this front end."""
    opened = notebook("1", "known_variable = 'You are kind.'\nget_ipython().run_line_magic('or', 'models writer')")
    opened.run(1)  # models are offered once the catalogue is known
    assert 1 == len(offered(opened, before))
    opened.page.keyboard.press("Enter")
    expect(opened.cell(0).locator(".cm-content")).to_have_text(after)


def test_models_are_offered_with_their_prices(notebook: OpenNotebook) -> None:
    """Who chooses a model looks at the price."""
    opened = notebook("1", "%or models vendor")
    opened.run(1)
    assert ["$ vendor/alpha $1/$2 · 131k", "$ vendor/beta $0 · 131k"] == offered(opened, "%%or vendor/")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    expect(opened.cell(0).locator(".cm-content")).to_have_text("%%or vendor/beta")


def test_names_of_models_do_nothing_in_the_popup(notebook: OpenNotebook) -> None:
    """They come from the gateway, and the popup is drawn by the front end."""
    opened = notebook("1", "%or models nasty")
    guard = Guard(opened)
    opened.run(1)
    assert len(offered(opened, "%%or nasty/")) >= 10
    alive = opened.page.evaluate(
        """() => [...document.querySelectorAll('.jp-Completer *')]
             .filter(e => /^(script|img|iframe|object|embed|a|style|link|video|audio|form|input)$/.test(e.localName)
                          || [...e.attributes].some(a => /^on|commandlinker|^src/.test(a.name)))
             .map(e => e.outerHTML.slice(0, 200))"""
    )
    opened.page.keyboard.press("Escape")
    assert [] == alive + guard.verdict()


def test_prose_is_not_completed_by_python(notebook: OpenNotebook) -> None:
    """Below the first line stands text for a model; only the front end's own list of the cell's words may show."""
    assert ["or"] == offered(notebook("1"), "%%or\nimport o")
