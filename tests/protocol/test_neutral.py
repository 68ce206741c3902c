"""R15 and R16 for text: whatever a model writes, no renderer makes something of it that runs, loads or hides."""

from __future__ import annotations

import re
from itertools import islice

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import InvalidNotebook

from or_magic.neutral import cite, fold, line, literal, markdown, plain, quote

from .ordinary import CHANGED, UNCHANGED
from .payloads import SIGNS, payloads, random_texts
from .renderers import Render, live, markdown_it, mistune

_EVERYDAY = 10_000
_PART = 30_000


def _living(render: Render, texts: list[str]) -> list[tuple[str, list[str]]]:
    """Return the texts of which a renderer makes something live, with what it is."""
    seen = zip(texts, map(live, render([markdown(text) for text in texts])), strict=True)
    return [(text, found) for text, found in seen if found]


def test_no_known_trick_is_live(render: Render) -> None:
    """R15: raw HTML, pictures, schemes, formulas and code that only some renderers take for code."""
    assert [] == _living(render, [payload.text for payload in payloads()])


def test_the_tricks_are_tricks(render: Render) -> None:
    """Untouched, half of them are live at the least: what is proven above is not that nothing was tried."""
    found = 0
    for payload in payloads():
        try:
            found += bool(live(render([payload.text])[0]))
        except InvalidNotebook:  # nbconvert misses an attachment
            found += 1
    assert len(payloads()) / 2 < found


def test_there_are_enough_of_them() -> None:
    """The issue wants 2,000 at least; no text counts twice, and the order is always the same."""
    assert len(payloads()) >= 2000
    assert len({payload.text for payload in payloads()}) == len(payloads())
    assert payloads() == payloads()
    assert {"html", "picture", "link", "formula", "code"} == {payload.kind for payload in payloads()}


def test_ten_thousand_random_texts_are_inert(render: Render) -> None:
    """The everyday run of the fuzz."""
    _fuzz(render, _EVERYDAY, seed=20261121)


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_six_hundred_thousand_random_texts_are_inert(render: Render, part: int) -> None:
    """The fuzz in full, in twenty parts that can run beside each other."""
    _fuzz(render, _PART, seed=part)


def _fuzz(render: Render, count: int, seed: int) -> None:
    texts = random_texts(seed)
    for _ in range(0, count, 500):
        assert [] == _living(render, list(islice(texts, 500)))


@settings(max_examples=600)
@given(st.lists(st.sampled_from(SIGNS), max_size=14).map("".join))
def test_signs_in_any_order_are_inert(text: str) -> None:
    """Hypothesis looks where chance does not, and shrinks what it finds."""
    for renderer in (markdown_it, mistune):
        assert [] == _living(renderer, [text])


def test_a_page_may_end_anywhere(render: Render) -> None:
    """A streaming answer is drawn again and again, unfinished; each state of it is a text of its own."""
    for payload in payloads()[::40]:
        assert [] == _living(render, [payload.text[:end] for end in range(len(payload.text))])


def test_what_is_inert_stays_inert_a_second_time(render: Render) -> None:
    """Pages and the whole may pass more than once on their way."""
    texts = [markdown(text) for text in islice(random_texts(seed=5), 2000)]
    assert [] == _living(render, texts)


def test_what_is_quoted_and_folded_is_inert(render: Render) -> None:
    """A quotation is made inert as the quotation that it is, and with the answer below it."""
    texts = random_texts(seed=6)
    pairs = [(next(texts), next(texts)) for _ in range(1500)]
    for html in render([quote(first) for first, _ in pairs]):
        assert [] == live(html)
    for html in render([fold("Reasoning", first, second) for first, second in pairs]):
        ours = ["<details>", "<summary>", "</summary>", "</details>"]
        assert ours == live(html)


def test_a_fold_is_one_block_of_html_around_a_quotation() -> None:
    """The shape is fixed: the title is text, the quotation cannot leave the fold, the answer stands below."""
    expected = "<details><summary>a &lt;b&gt;</summary>\n\n> x\n>\n> y\n\n</details>\n\n# answer"
    assert expected == fold("a <b>", "x\r\n\r\ny\n", "# answer")
    assert fold("t", "x", "y") == fold("t", "\ue000x\ue001", "\ue001y\ue000")


@pytest.mark.parametrize("text", UNCHANGED)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    """Code, math, tables, links and every language pass byte for byte."""
    assert text == markdown(text)


@pytest.mark.parametrize(("text", "expected", "why"), CHANGED, ids=[text for text, _, _ in CHANGED])
def test_what_changes_is_known(text: str, expected: str, why: str) -> None:
    """Each change has its reason, and happens once."""
    assert expected == markdown(text), why
    assert expected == markdown(expected), why


def test_the_corpus_is_worth_its_name() -> None:
    """Sixty ordinary texts at the least, and none that is nothing but words in all of them."""
    assert len(UNCHANGED) >= 60
    assert len(set(UNCHANGED)) == len(UNCHANGED)


def test_joined_ordinary_texts_are_left_as_they_are() -> None:
    """What one text leaves open in the reader's mind must not spoil the next."""
    finished = [text for text in UNCHANGED if "unfinished" not in text and "trailing colon" not in text]
    for first in finished:
        for second in finished:
            both = f"{first}\n\n{second}"
            assert both == markdown(both)


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>", "<img src=x>", "<p onclick=x>y</p>", "<a href='javascript:x'>y</a>", "<!-- x -->",
        "<a href=' java\nscript:x'>y</a>", "<a href='data:x'>y</a>", "<a href='ftp://x'>y</a>", "<p>x <img src=y onerror=z",
        "<p data-commandlinker-command='x'>y</p>", "<code class='language-x\" y'>z</code>", "<td style='color:red'>x</td>",
        "<?x?>", "<!DOCTYPE x>", "<svg>", "<a href='https://x' title='y' ping='z'>w</a>", "<input type=text>", "<p id=x>y</p>",
        "</style>", "<span style='x'>y</span>",
    ],
)  # fmt: skip
def test_the_watch_sees_what_is_live(html: str) -> None:
    """A watch that sleeps would pass every payload."""
    assert [] != live(html)


def test_the_watch_lets_markdown_pass(render: Render) -> None:
    """It finds nothing in what renderers make of ordinary text, so that every finding counts."""
    assert [] == _living(render, list(UNCHANGED))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evil.example/x.png", "evil.example"),
        ("HTTPS://evil.example:8080/x", "evil.example:8080"),
        ("https://good.example@evil.example/x", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("https://evil.example?good.example/", "evil.example"),
        ("https://evil.example#@good.example/", "evil.example"),
        ("https://ev*il_.example", "ev\ufffdil_.example"),
    ],
)
def test_a_picture_names_the_host_it_would_ask(url: str, host: str) -> None:
    """R16: nothing is fetched, and who follows the link knows where it leads."""
    assert f"[a · {host}]({url})" == markdown(f"![a]({url})")


def test_a_number_and_a_picture_do_not_make_a_new_picture() -> None:
    """What is taken away must not bring together what was apart."""
    assert "!\u200b[a · h.example](https://h.example/)" == markdown("!![a](https://h.example/)")
    assert "[x]\u200b‹a · y/z, not shown›" == markdown("[x]![a](data:y/z,w)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mred\x1b[0m", "a\ufffd[31mred\ufffd[0m"),
        ("a\x9b31m\x7f\x00\x08b", "a\ufffd31m\ufffd\ufffd\ufffdb"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("a\tb\nc\r\nd\re", "a\tb\nc\nd\ne"),
        ("a\u2028b\u2029c\x0bd", "a\nb\nc d"),
        ("user\u202egpj.exe\u2066x\u2069", "user\ufffdgpj.exe\ufffdx\ufffd"),
        ("op\u200ben\u2060ai\u00ad/\ufeffgpt\U000e0041\U000e0042", "openai/gpt"),
        ("\ud800 alone", "\ufffd alone"),
        ("\u3164hidden\u115f", "hidden"),
    ],
)  # fmt: skip
def test_plain_text_cannot_fake_what_is_read(text: str, expected: str) -> None:
    """Terminals act on control codes; readers do not see letters without a shape."""
    assert expected == plain(text)
    assert expected == plain(expected)


@pytest.mark.parametrize(
    "text",
    [
        "👩‍💻 👨‍👩‍👧 ❤️ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇩🇪", "می‌خواهم", "क्षि श्री क्‍ष", "ภาษาไทย", "Tiếng Việt", "שלום \u200fabc\u200e", "e\u0301 ñ Å",
        "日本語\u3000한국어", "ქართული Ελληνικά Кириллица", "a\u00a0b – … “x” €", "∑ ∫ √ ≤ 𝔸", "<b> & [x](y) `c` $d$",
    ],
)  # fmt: skip
def test_plain_leaves_every_language_alone(text: str) -> None:
    """Joiners, marks and emoji are letters to those who use them."""
    assert text == plain(text)


def test_a_line_is_one_line() -> None:
    """A name must not add lines to the status line it stands in."""
    assert "a b c" == line(" a\nb\r\n\tc\u2028")


@pytest.mark.parametrize(
    ("title", "url", "expected"),
    [
        ("Title", "https://a.example/x", "1. [Title](https://a.example/x)"),
        ("Ti\ntle ", "HTTP://a.example", "1. [Ti tle](HTTP://a.example)"),
        ("", "https://a.example/x", "1. [https&#58;//a.example/x](https://a.example/x)"),
        ("a](javascript:x)[b", "https://a.example", "1. [a&#93;(javascript:x)&#91;b](https://a.example)"),
        ("<img src=x>", "https://a.example", "1. [&#60;img src=x&#62;](https://a.example)"),
        ("x", "https://a.example/(b)?c=d&e=f g", "1. [x](https://a.example/%28b%29?c=d&amp;e=f%20g)"),
        ("x", 'https://a.example/$"é', "1. [x](https://a.example/%24%22%C3%A9)"),
        ("x", "javascript:pwned()", "1. x · javascript:pwned()"),
        ("x", "data:text/html,<b>", "1. x · data:text/html,&#60;b&#62;"),
        ("", "", "1. "),
        ("# x", "", "1. &#35; x"),
        ("- x", "", "1. &#45; x"),
        ("2. x", "", "1. 2&#46; x"),
        (
            "a*b_c~d`e|f!g@h\\i$j&k",
            "",
            "1. a&#42;b&#95;c&#126;d&#96;e&#124;f&#33;g&#64;h<span>&#92;</span>i<span>&#36;</span>j&#38;k",
        ),
    ],
)
def test_a_citation_is_one_item_of_a_list(title: str, url: str, expected: str) -> None:
    """Title and address come from the model; the shape of the item does not."""
    assert expected == cite(1, title, url)


def test_no_citation_is_live(render: Render) -> None:
    """Whatever stands in the title or the address, it is one item with at most one link of the web."""
    tricks = [payload.text for payload in payloads()[::2]]
    items = [cite(1, trick, "https://a.example/") for trick in tricks]
    items += [cite(1, "title", trick) for trick in tricks]
    items += [cite(1, "title", f"https://a.example/{trick}") for trick in tricks]
    for html in render(items):
        assert [] == live(html)
        assert 1 == html.count("<li>"), html
        assert html.count("<a ") <= 1, html
        assert not re.search(r"<(?:h\d|pre|code|table|blockquote|hr)\b", html), html


@pytest.mark.parametrize("text", ["from $5 to $7", r"\(x\) and \[y\]", r"\begin{x}y\end{x}", "$$x$$", r"\$5 \\("])
def test_no_sign_of_a_literal_begins_a_formula(text: str, render: Render) -> None:
    """MathJax looks for two signs in what was drawn, within one element; entities are letters by then."""
    (html,) = render([literal(text)])
    drawn = BeautifulSoup(html, "html.parser")
    assert text == drawn.get_text().strip()
    assert all(len(piece) == 1 for piece in drawn.find_all(string=True) if re.search(r"[$\\]", piece))
