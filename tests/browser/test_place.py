"""When an answer ends, the line that somebody reads stays where it is."""

from __future__ import annotations

import pytest

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
