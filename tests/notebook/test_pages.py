"""Pages: a growing answer is cut where Markdown may be cut, nothing is lost, and every page stands alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from or_magic.notebook.pages import STREAMING, TAIL, Pages, closed, finished

from ..browser.texts import SHAPES, answer, marks

SENTENCE = "The quick brown fox jumps over the lazy dog, and then it rests in the **shade** of a `tree`. "
TEXTS = {
    "prose": "".join([f"## Part {n}\n\n{SENTENCE * 3}\n\n- one\n- two\n\n" for n in range(200)]),
    "one paragraph": SENTENCE * 600,
    "code": "```python\n" + "x = compute(1, 2, 3)  # a comment\n" * 1500 + "```\n",
    "code in a list": "1. First:\n\n   ```sh\n" + "   run --with words\n" * 2000 + "   ```\n",
    "table": "| a | b | c |\n|---|---|---|\n" + "| 1 | some words | 3 |\n" * 2000,
    "list": "- an item of a list with some words in it\n" * 1200,
    "blob": "A1b2" * 12000,
    "math": "$$\na + b\n$$\n\nSo $x < y$ holds.\n\n" * 1500,
}
BLOCKS = st.sampled_from([
    SENTENCE, "\n\n", "\n", "# Head\n\n", "- item\n", "3. item\n", "   more of it\n", "```py\ncode = 1\n```\n", "```\nopen code\n", "~~~\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n", "> quote\n", "$$\nx\n$$\n", "---\n", "`tick", "**bold", "é€😀", " ", "\r\n",
])  # fmt: skip


def outputs(text: str, step: int, *, paged: bool = True) -> tuple[list[str], int]:
    """The pages as a front end has them in the end, and how many characters that took."""
    pages, shown, sent = Pages(paged=paged), [], 0
    for start in range(0, len(text), step):
        pages.add(text[start : start + step])
        for place, page in pages.draw():
            assert place <= len(shown), "a page that the front end does not know yet is updated"
            shown[place : place + 1] = [page]
            sent += len(page)
    assert pages.count == len(shown)
    return shown, sent


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [40, 240, 900])
def test_words_that_move_to_another_page_are_never_gone(shape: str, step: int) -> None:
    """Each change is a message of its own, and a slow browser draws after each: the page must not get lower meanwhile."""
    text, pages, shown, words = answer(shape, 12_000), Pages(), [""], set[str]()
    for start in range(0, len(text), step):
        pages.add(text[start : start + step])
        for place, page in pages.draw():
            shown[place : place + 1] = [page]
            now = {word for page in shown for word in marks(page)} & set(marks(text))  # no half of one
            assert set() == words - now
            words = now
    assert len(words) > 50
    assert len(shown) > 3


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_lost_and_nothing_comes_twice(name: str) -> None:
    """The letters of all pages are the letters of the answer, but for the lines that open and close again."""
    text = TEXTS[name][:40_000]
    shown, _ = outputs(text, 240)
    again = {
        "code": r"```(?:python)?\n?",
        "code in a list": r" *```(?:sh)?\n?",
        "table": r"\| a \| b \| c \|\n\|---\|---\|---\|\n",
    }
    together = "".join(shown).replace(STREAMING, "")
    reopened = again.get(name, r"(?!)")
    assert re.sub(r"\s+", "", re.sub(reopened, "", text)).startswith(
        re.sub(r"\s+", "", re.sub(reopened, "", together))[: len(text) - 2 * TAIL]
    )
    assert len(together) >= len(text) - 20


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("size", [8_000, 40_000])
def test_an_answer_costs_bytes_in_proportion_to_its_length(name: str, size: int) -> None:
    """At 240 characters a tick (2 kB a second): 10 bytes of messages for each of the answer, envelopes left aside."""
    text = TEXTS[name][:size]
    _, sent = outputs(text, 240)
    assert sent < 9 * len(text)


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_answer_has_fewer_outputs_than_front_ends_show(name: str) -> None:
    """JupyterLab shows 50 outputs of a cell."""
    shown, _ = outputs((TEXTS[name] * 5)[:200_000], 240)
    assert len(shown) < 50


def test_an_ordinary_answer_needs_two_outputs() -> None:
    """So that its end is a change in place: no jump."""
    assert 1 == len(outputs(TEXTS["prose"][:700], 50)[0])
    assert 2 == len(outputs(TEXTS["prose"][:3_500], 240)[0])


@pytest.mark.parametrize("name", TEXTS)
def test_where_other_outputs_stand_two_must_do(name: str) -> None:
    """Nothing can be cleared there."""
    assert 2 >= len(outputs(TEXTS[name][:40_000], 240, paged=False)[0])


@pytest.mark.parametrize(("name", "kind"), [("code", "fence"), ("table", "table_open"), ("list", "bullet_list_open")])
def test_every_page_renders_as_what_it_is_part_of(name: str, kind: str) -> None:
    """A fence that goes on is opened again, a table repeats its head."""
    shown, _ = outputs(TEXTS[name][:20_000], 240)
    assert len(shown) > 3
    for page in shown:
        tokens = [token.type for token in MarkdownIt("commonmark").enable("table").parse(page.replace(STREAMING, ""))]
        assert kind == tokens[0]
        assert tokens.count(kind) == 1


@settings(max_examples=300, deadline=None)
@given(st.lists(BLOCKS, max_size=60), st.integers(1, 400))
@example(["```\nopen code\n"] * 3 + [SENTENCE * 20], 7)
@example(["\r\n", "```\nopen code\n", "\r\n" * 900], 100)
def test_any_text_can_be_cut_anywhere(blocks: list[str], step: int) -> None:
    """Every page is drawn in order, the last one says that it is not the end, and the answer's words are there."""
    text = "".join(blocks)
    shown, _ = outputs(text, step)
    together = "".join(shown)
    assert text.count("fox") <= together.count("fox")
    if shown:
        assert shown[-1].endswith(STREAMING)
        assert not any(STREAMING in page for page in shown[:-1])


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("Some words\n-", "Some words"),
        ("Some words\n- ", "Some words"),
        ("Some\n==", "Some"),
        ("a\n\n1.", "a\n"),
        ("a\n```", "a"),
    ],
)
def test_a_line_that_has_only_begun_is_held_back(begun: str, shown: str) -> None:
    """It would flash as a heading, a rule or an empty item."""
    pages = Pages()
    pages.add(begun)
    assert [(0, shown + STREAMING)] == list(pages.draw())


def test_an_open_fence_is_closed_before_what_follows() -> None:
    """A mark after a broken answer must not become code."""
    assert "```py\nx\n```" == closed("```py\nx\n")
    assert "```py\nx\n```" == closed("```py\nx")
    assert "~~~~\nx\n~~~~" == closed("~~~~\nx")
    assert "```py\nx\n```\ndone" == closed("```py\nx\n```\ndone")


def test_only_whole_blocks_are_finished() -> None:
    """A terminal prints a block once."""
    assert 0 == finished("One paragraph that goes on")
    assert len("One.\n\n") == finished("One.\n\nTwo goes on")
    assert 0 == finished("```\nx\n\ny\n")
    assert 0 == finished("- a\n\n- b\n")
