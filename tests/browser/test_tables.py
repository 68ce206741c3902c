"""Typed answers are tables and lists that a person can read: drawn once, when they are whole, and inert."""

from __future__ import annotations

import json

from .conftest import OpenNotebook
from .gateway import Gateway

_ROWS = "document.querySelectorAll('.jp-Notebook .jp-Cell')[0].querySelectorAll('tr')"
_CELLS = f"Array.from({_ROWS}, row => Array.from(row.cells, cell => cell.innerText.trim()))"
_TREE = """Array.from(document.querySelectorAll('.jp-Notebook .jp-Cell')[0].querySelectorAll('.jp-OutputArea li'), item =>
  [item.querySelector('strong').innerText, Array.from(item.childNodes, node => /UL|STRONG/.test(node.nodeName) ? '' : node.textContent)
    .join('').trim()])"""
NASTY = "<img src=x onerror=alert(1)> | `tick` $x$ \\(y\\) \\$ **b**\n# no heading"


def test_a_list_of_objects_is_a_table_that_is_drawn_once(notebook: OpenNotebook, gateway: Gateway) -> None:
    """While JSON comes it is counted, not shown; the saved file has the table, and the words of a model stay words."""
    rivers = [{"name": "Thames", "length": 346}, {"name": NASTY, "length": 7}]
    script = gateway.says("rivers", json.dumps({"value": rivers}), hold=40, piece=8)
    opened = notebook("%%or --schema list[River]\nrivers", _DECLARED)
    opened.run(1)
    opened.start(0)
    opened.wait_for(0, "characters of JSON")
    assert '"name"' not in opened.text(0)
    assert 0 == opened.page.evaluate(f"{_ROWS}.length")
    script.released.set()
    opened.done(0)
    head, first, second = opened.page.evaluate(_CELLS)
    assert [["name", "length"], ["Thames", "346"]] == [head, first]
    assert ["".join(NASTY.split()), "7"] == ["".join(cell.split()) for cell in second]
    assert 0 == opened.cell(0).locator(".jp-OutputArea :is(img, h1, strong, mjx-container)").count()
    assert ["text/markdown", "text/html"] == opened.save()[0].kinds


def test_an_object_is_a_tree(notebook: OpenNotebook, gateway: Gateway) -> None:
    """What lies within it stands under its name."""
    gateway.says("river", json.dumps({"name": "Thames", "length": 346, "bridges": {"Tower": 1894, "London": None}}))
    opened = notebook(
        "%%or --schema River\nriver", _DECLARED.replace("length: int", "length: int; bridges: dict[str, int | None]")
    )
    opened.run(1)
    opened.run(0)
    assert [["name", ": Thames"], ["length", ": 346"], ["bridges", ""], ["Tower", ": 1894"], ["London", ": null"]] == (
        opened.page.evaluate(_TREE)
    )
    assert 1 == opened.cell(0).locator(".jp-OutputArea li > ul").count()


_DECLARED = "from dataclasses import dataclass\n@dataclass\nclass River:\n    name: str\n    length: int"
