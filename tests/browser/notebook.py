"""A notebook in a real front end, used as a person uses it: look, click, type. Does I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page

from ..guards import HANG_S
from .server import Server

CELL = ".jp-Notebook .jp-Cell"
_IDLE = '.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status="idle"]'
# The indicator says idle before there is a kernel; a cell that is run then is lost.
_CONNECTED = """name => {
  const context = window.jupyterapp?.shell?.currentWidget?.context;
  const kernel = context?.sessionContext?.session?.kernel;
  return context?.path === name && kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }"""
_REPLACE = """cells => {
  const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
  model.transact(() => {
    model.deleteCellRange(0, model.cells.length);
    model.insertCells(0, cells.map(source => ({cell_type: 'code', source, metadata: {}, outputs: []})));
  }); }"""
_PAGE_JS = (Path(__file__).parent / "watch.js").read_text(encoding="utf-8")


def write(path: Path, cells: list[str]) -> None:
    """Write a notebook of code cells."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    nbformat.write(notebook, path)


@dataclass(frozen=True)
class Saved:
    """What a cell has in the file."""

    outputs: list[dict[str, Any]]

    @property
    def kinds(self) -> list[str]:
        """What each output is: its richest MIME type, the name of a stream, or ``error``."""
        return [_kind(output) for output in self.outputs]


def _kind(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return str(output["name"])
    if output["output_type"] == "error":
        return "error"
    return str(max(output["data"], key=lambda kind: (kind != "text/plain", kind), default="empty"))


class Notebook:
    """An open notebook."""

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.server, self.name = page, server, name

    def open(self) -> None:
        """Show the notebook and wait for its kernel."""
        if self.server.kind == "lab" and self.page.url.startswith(self.server.url):
            self.page.evaluate("name => window.jupyterapp.commands.execute('docmanager:open', {path: name})", self.name)
        else:
            place = "doc/tree" if self.server.kind == "lab" else "notebooks"
            self.page.goto(f"{self.server.url}{place}/{self.name}" + "?reset" * (self.server.kind == "lab"))
        self.page.wait_for_selector(f".jp-NotebookPanel:not(.lm-mod-hidden) {CELL}")
        self.page.wait_for_function(_CONNECTED, arg=self.name)
        self.page.wait_for_selector(_IDLE)
        self.page.evaluate(_PAGE_JS)

    @property
    def idle(self) -> bool:
        """Whether the notebook is still shown and no cell of it runs."""
        return bool(self.page.evaluate(_CONNECTED, self.name))

    def replace(self, cells: Sequence[str]) -> None:
        """Put these cells in the place of all others; the kernel goes on."""
        self.page.evaluate(_REPLACE, list(cells))
        self.page.wait_for_function(
            "([selector, count]) => document.querySelectorAll(selector).length === count", arg=[CELL, len(cells)]
        )
        self.settle()

    def close(self) -> None:
        """Close the tab, without asking what is to become of the changes, and end the kernel."""
        if self.server.kind == "lab":
            self.page.evaluate(
                """() => { const shell = window.jupyterapp.shell;
                           for (const widget of [...shell.widgets('main')]) widget.dispose(); }"""
            )
        self.server.end_kernels()

    def cell(self, number: int) -> Locator:
        """Return the cell, counted from 0."""
        return self.page.locator(CELL).nth(number)

    def prompt(self, number: int) -> str:
        """Return what stands left of the cell, as ``[3]:``."""
        return self.cell(number).locator(".jp-InputPrompt").inner_text()

    def start(self, number: int) -> None:
        """Run a cell and do not wait."""
        self.cell(number).locator(".jp-InputArea-editor .cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, number: int, limit_s: float = HANG_S) -> None:
        """Run a cell to its end."""
        before = self.prompt(number)
        self.start(number)
        self.done(number, before, limit_s)

    def done(self, number: int, before: str = "[ ]:", limit_s: float = HANG_S) -> None:
        """Wait until the cell shows another number than ``before``, and all that it displayed is drawn."""
        self.page.wait_for_function(
            """([selector, number, before]) => {
                 const cell = document.querySelectorAll(selector)[number];
                 const prompt = cell?.querySelector('.jp-InputPrompt')?.innerText ?? '';
                 return /\\[\\d+\\]/.test(prompt) && prompt !== before; }""",
            arg=[CELL, number, before],
            timeout=limit_s * 1000,
        )
        self.page.wait_for_selector(_IDLE)
        self.settle()

    def queued(self, number: int) -> None:
        """Wait until the cell has been sent to the kernel, which may be busy with others."""
        self.page.wait_for_function(
            """([selector, number]) => {
                 const cell = document.querySelectorAll(selector)[number];
                 return cell?.querySelector('.jp-InputPrompt')?.innerText === '[*]:'; }""",
            arg=[CELL, number],
        )

    def settle(self) -> None:
        """Wait until two frames in a row look the same: rendering is asynchronous, and has no event of its end."""
        self.page.evaluate("() => orMagicWatch.settled()")

    def outputs(self, number: int) -> Locator:
        """Return the outputs that a person sees below the cell; blanked ones are none."""
        return self.cell(number).locator(".jp-OutputArea-output:visible")

    def text(self, number: int) -> str:
        """Return what the outputs say."""
        return "\n".join(self.outputs(number).all_inner_texts())

    def wait_for(self, number: int, text: str, limit_s: float = HANG_S) -> None:
        """Wait until the outputs of the cell say ``text``."""
        self.page.wait_for_function(
            """([selector, number, text]) => {
                 const outputs = document.querySelectorAll(selector)[number]?.querySelector('.jp-OutputArea');
                 return outputs && orMagicWatch.find(outputs, text) !== null; }""",
            arg=[CELL, number, text],
            timeout=limit_s * 1000,
        )

    def interrupt(self) -> None:
        """Click the ■ of the toolbar."""
        button = '[data-jp-item-name="interrupt"] :is(jp-button, button)'
        self.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) {button}").first.click()

    def run_all(self) -> None:
        """Choose Run ▸ Run All Cells from the menu."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
        self.page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()

    def save(self) -> list[Saved]:
        """Press Ctrl+S and return the cells of the file."""
        path = self.server.root / self.name
        before = path.stat().st_mtime_ns
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("Control+s")
        end = time.monotonic() + HANG_S
        while path.stat().st_mtime_ns == before:
            assert time.monotonic() < end, "the notebook was not written"
            self.page.wait_for_timeout(50)
        return saved(path)


def saved(path: Path) -> list[Saved]:
    """Return the cells of a notebook's file."""
    end = time.monotonic() + HANG_S
    while time.monotonic() < end:  # it may be half written
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            time.sleep(0.05)
        else:
            return [Saved(cell.get("outputs", [])) for cell in told["cells"]]
    raise AssertionError(f"{path.name} does not become JSON")
