"""An answer in a real front end: seen growing, steady, and at last one rendered answer with its status below."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from .conftest import OpenNotebook
from .gateway import Gateway
from .texts import SHAPES, answer, marks

TWO_LINES_PX = 50
WRITTEN_IN_S = 2.0
ANSWER = """# Rivers

The **Thames** flows through $\\pi r^2$ and `code`.

| river | km |
| --- | ---: |
| Thames | 346 |

```python
length_km = 346
```

1. one
2. two
"""


def test_a_finished_answer_is_one_rendered_output_with_its_status_below(
    notebook: OpenNotebook, gateway: Gateway
) -> None:
    """Headings, tables, code and formulas are drawn; nothing of the streaming is left."""
    gateway.says("rivers", ANSWER, pace_s=0.003)
    opened = notebook("%%or\nrivers")
    opened.run(0)
    drawn, status = opened.outputs(0).all()
    for element in ("h1", "strong", "table", "pre code", "ol > li", "mjx-container"):
        assert drawn.locator(element).count(), element
    assert status.inner_text().startswith("✓ test/writer · ")
    assert "10 → 20 tokens · $0.000050 · session $" in status.inner_text()
    assert 0 == status.locator("mjx-container").count()
    assert status.bounding_box()["height"] < 40


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_is_seen_growing_and_never_shrinks(shape: str, notebook: OpenNotebook, gateway: Gateway) -> None:
    """It is seen growing for more than half of the time that it is written, and never jumps back to an empty cell."""
    text = answer(shape, 4_000)  # Notebook 7 gives a longer one a box of its own
    gateway.says(shape, text, piece=10, pace_s=10 * WRITTEN_IN_S / len(text))
    opened = notebook(f"%%or\n{shape}")
    opened.page.evaluate("orMagicWatch.watch(0, null, true)")
    opened.run(0)
    seen = opened.page.evaluate("orMagicWatch.stop()")
    words = marks(text)[1:]
    states = [sum(word in frame["text"] for word in words) for frame in seen]
    partial = [frame["t"] for frame, state in zip(seen, states, strict=True) if 0 < state < len(words)]
    # On a busy machine few frames are drawn; benchmarks/bench_display.py counts them.
    assert len({state for state in states if 0 < state < len(words)}) >= 3
    assert partial[-1] - partial[0] > 1000 * 0.5 * WRITTEN_IN_S
    assert len(words) == states[-1]
    assert not doubled(seen[-1]["text"], words)
    assert [] == shrunk([frame for frame in seen if not doubled(frame["text"], words)])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_answer_goes_into_its_box_once(shape: str, notebook: OpenNotebook, gateway: Gateway) -> None:
    """Notebook 7 puts what is higher than 1,820 px into a box that scrolls; in and out again would shake the page."""
    text = answer(shape, 9_000 if shape != "paragraph" else 14_000)
    gateway.says(shape, text, piece=20, pace_s=0.005)
    opened = notebook(f"%%or\n{shape}")
    opened.page.evaluate("orMagicWatch.watch(0, null, false)")
    opened.run(0)
    boxed = [frame["boxed"] for frame in opened.page.evaluate("orMagicWatch.stop()")]
    changes = [now for before, now in itertools.pairwise(boxed) if before != now]
    assert ([True] if opened.server.kind == "notebook" else []) == changes


def doubled(text: str, words: list[str]) -> bool:
    """Whether words are moving from one output to the next: for a moment they stand in both."""
    return any(text.count(word) > 1 for word in words)


def shrunk(seen: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Return heights before and after, wherever the outputs became lower by more than two lines.

    A height counts that lasts three frames: where two outputs change places, one frame may show words of both.
    """
    heights = [frame["height"] for frame in seen]
    lasting = [min(three) for three in zip(heights, heights[1:], heights[2:], strict=False)]
    highest = itertools.accumulate(lasting, max)
    return [(before, after) for before, after in zip(highest, heights, strict=False) if after < before - TWO_LINES_PX]


def test_the_first_words_are_there_before_anything_else_comes(notebook: OpenNotebook, gateway: Gateway) -> None:
    """A stream that pauses after its first words must not keep them to itself."""
    script = gateway.says("pause", "First words. And the rest.", hold=12)
    opened = notebook("%%or\npause")
    opened.start(0)
    opened.wait_for(0, "First words.")
    assert "rest" not in opened.text(0)
    script.released.set()
    opened.done(0)


def test_an_answer_in_the_making_says_so(notebook: OpenNotebook, gateway: Gateway) -> None:
    """After a reload in the middle, or in a file saved then, half an answer must not look like a whole one."""
    script = gateway.says("half", "The first half. The second half.", hold=15)
    opened = notebook("%%or\nhalf")
    opened.start(0)
    opened.wait_for(0, "The first half.")
    opened.wait_for(0, "still streaming")
    script.released.set()
    opened.done(0)
    assert "still streaming" not in opened.text(0)


def test_reasoning_is_seen_and_folded_when_done(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Thinking may take a minute; afterwards the answer is what counts."""
    thought = "First I consider the rivers. Then the bridges."
    script = gateway.says("think", "The answer.", reasoning=thought, hold=0)
    opened = notebook("%%or\nthink")
    opened.start(0)
    opened.wait_for(0, "rivers")
    script.released.set()
    opened.done(0)
    assert "The answer." in opened.text(0)
    assert "bridges" not in opened.text(0)


def test_a_plot_of_the_spend_appears(notebook: OpenNotebook, gateway: Gateway) -> None:
    """The figure is drawn in the cell, once."""
    gateway.says("hello", "Hello.")
    opened = notebook("%%or\nhello", "%or plot")
    opened.run(0)
    opened.run(1)
    pictures = opened.cell(1).locator(".jp-RenderedImage img")
    assert 1 == pictures.count()
    assert pictures.evaluate("image => image.naturalWidth") > 300


def test_an_answer_cut_by_a_limit_says_so(notebook: OpenNotebook, gateway: Gateway) -> None:
    """It ends in the middle of a sentence, and somebody may not notice."""
    gateway.says("cut", "This sentence ends in the", finish_reason="length")
    opened = notebook("%%or\ncut")
    opened.run(0)
    assert "length" in opened.outputs(0).last.inner_text()
