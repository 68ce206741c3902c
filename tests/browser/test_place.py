"""When an answer ends, the line that somebody reads stays where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import or_magic

from .conftest import OpenNotebook
from .gateway import Gateway
from .notebook import Notebook
from .texts import SHAPES, answer, marks

READERS = (
    (1_000, "bottom"),
    (4_000, "top"),
    (4_000, "bottom"),
    (12_000, "bottom"),
    (40_000, "top"),
    (40_000, "bottom"),
)
STREAM_S = 0.8
NEAR_PX = 40
HOLD = (Path(or_magic.__file__).parent / "notebook" / "hold.js").read_text(encoding="utf-8")
# A cell as JupyterLab builds it, in a page of 300 px or in a box of its own.
SCROLLS = 'style="height: 300px; overflow-y: auto"'
CELLS = {
    "page": f"<div {SCROLLS}><div class=jp-Cell><div><div class=jp-Cell-outputArea></div></div></div></div>",
    "box": f'<div class="jp-Cell jp-mod-outputsScrolled"><div><div class=jp-Cell-outputArea {SCROLLS}></div></div></div>',
}
HELPERS = """<script>
  const area = document.querySelector('.jp-Cell-outputArea'), box = document.querySelector('[style]');
  const frames = async () => { for (let n = 0; n < 5; n++) await new Promise(requestAnimationFrame); };
  const table = (from, to) => {
    const rows = [...Array(to - from).keys()].map(n => `<tr><td>mark ${from + n}<td>${7 * (from + n)}`);
    return `<table><thead><tr><th>name of the row<th>number</thead><tbody>${rows.join('')}</tbody></table>`;
  };
  const show = (...outputs) => area.replaceChildren(...outputs.map(html => {
    const output = document.createElement('div');
    output.innerHTML = html;
    return output;
  }));
  const redraw = async (...outputs) => {
    area.replaceChildren();
    await frames();
    show(...outputs);
    await frames();
  };
  const places = () => [...area.querySelectorAll('tbody tr')].map(row => row.getBoundingClientRect().top);
  const place = () => places().at(-1);
</script>"""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reader_keeps_his_place_when_the_answer_ends(shape: str, notebook: OpenNotebook, gateway: Gateway) -> None:
    """At the top, where he began to read, and at the bottom, where the words were still coming: within 40 px."""
    opened = notebook(f"%%or\n{shape}", "# below")
    moved = {}
    for size, where in READERS:
        # On a busy machine a frame may come late; a jump that is real comes again.
        shifts = (_shift(opened, gateway, shape, size, where) for _ in range(2))
        if all(abs(shift) > NEAR_PX for shift in shifts):
            moved[size, where] = shape
    assert {} == moved


@pytest.fixture(params=CELLS)
def held(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page with a cell and nothing else."""
    page = browser.new_page()
    page.set_content(CELLS[request.param] + HELPERS)
    yield page
    page.close()


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 8, 12])
def test_a_table_that_is_cut_near_the_last_line(rows: int, held: Page) -> None:
    """Its head lines stand there once more while it grows, and go when it is drawn in one piece."""
    shift = held.evaluate(
        """async ([script, rows]) => {
             show(table(0, 100), '', table(100, 100 + rows) + '<p><em>… still streaming</em></p>');
             new Function('element', script)(area.children[1]);
             await frames();
             box.scrollTop = box.scrollHeight;
             await frames();
             const stood = place();
             await redraw(table(0, 100 + rows), '<p>✓ the status line</p>');
             return place() - stood; }""",
        [HOLD, rows],
    )
    assert abs(shift) <= 1


@pytest.mark.parametrize("scrolled", range(10, 50, 6))
def test_a_table_that_is_cut_near_the_middle(scrolled: int, held: Page) -> None:
    """The line before the cut or the one after it stays where it was: between them the head lines stood."""
    shifts = held.evaluate(
        """async ([script, scrolled]) => {
             show(table(0, 100), '', table(100, 200) + '<p><em>… still streaming</em></p>');
             new Function('element', script)(area.children[1]);
             await frames();
             box.scrollTop += area.children[2].getBoundingClientRect().top - box.clientHeight / 2 - 30 + scrolled;
             await frames();
             const stood = places();
             await redraw(table(0, 200), '<p>✓ the status line</p>');
             return places().map((top, row) => Math.abs(top - stood[row])); }""",
        [HOLD, scrolled],
    )
    assert min(shifts[99], shifts[100]) <= 1


@pytest.mark.parametrize("held", ["page"], indirect=True)
def test_the_room_of_an_earlier_answer_is_not_kept(held: Page) -> None:
    """JupyterLab keeps it for a moment, so that a page does not jump when a cell runs again."""
    heights = held.evaluate(
        """async script => {
             area.style.minHeight = '9000px';
             show(table(0, 30), '', table(30, 40));
             new Function('element', script)(area.children[1]);
             await frames();
             area.style.minHeight = '';
             await frames();
             show('');
             return [area.parentElement.offsetHeight, area.children[0].offsetHeight]; }""",
        HOLD,
    )
    assert 300 < heights[0] < 9000
    assert heights[1] == 0


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_a_reader_in_the_middle_keeps_his_place(shape: str, notebook: OpenNotebook, gateway: Gateway) -> None:
    """He has scrolled back while a long answer goes on."""
    opened = notebook(f"%%or\n{shape}", "# below")
    assert abs(_shift(opened, gateway, shape, 40_000, "middle", stream_s=5.0)) <= NEAR_PX


def _shift(
    opened: Notebook, gateway: Gateway, shape: str, size: int, where: str, *, stream_s: float = STREAM_S
) -> float:
    """Return by how many pixels the line moves that is read when the answer ends."""
    text = answer(shape, size)
    piece = max(4, round(size * 0.004 / stream_s))
    script = gateway.says(shape, text, piece=piece, pace_s=0.004, hold=len(text))
    words = marks(text)
    word, fraction = {"top": (words[0], 0), "middle": (words[len(words) // 2], 0.5), "bottom": (words[-1], 0.85)}[where]
    before = opened.prompt(0)
    opened.start(0)
    opened.wait_for(0, words[-1])
    opened.settle()
    # At the top nobody has scrolled: a notebook that fits into its window cannot stay scrolled when it gets shorter.
    scroll = "([word, fraction]) => fraction ? orMagicWatch.read(0, word, fraction) : orMagicWatch.place(0, word)"
    stood = opened.page.evaluate(scroll, [word, fraction])
    opened.settle()  # nobody scrolls and reads in one and the same frame
    script.released.set()
    opened.done(0, before)
    opened.settle()
    return float(opened.page.evaluate("word => orMagicWatch.place(0, word)", word) - stood)
