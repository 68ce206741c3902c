"""R30: text that would be SQL if it were ever put into a statement: in every filter and every field, to no effect."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from or_magic.errors import OptionError
from or_magic.features.report import BY, report
from or_magic.features.report_files import csv_text
from or_magic.features.spreadsheet import unescape
from or_magic.features.tracker import Tracker
from or_magic.ledger import Ledger
from or_magic.ledger.sqlite import SqliteStore
from or_magic.values import from_pico

from ..protocol.payloads import payloads
from .notebooks import cell, notebook, receipt
from .rows import row, tracker_of, unknown

_ENDS = ("--", "-- -", "#", "/*", ";--", ";#", "\x00", "%00", ")--", "')--")
_CLASSICS = (
    "'", "''", '"', '""', "`", "``", "\\", "\\'", "';", '";', "')", '")', "'))", "1'", "1' '", "1=1", "' OR 1=1",
    "' OR '1'='1", "' OR ''='", "\" OR \"\"=\"", "') OR ('1'='1", "' OR 1=1 LIMIT 1", "admin'", "' OR 'a' LIKE 'a",
    "1 OR 1=1", "1) OR (1=1", "1 AND 1=2", "' AND 1=0 UNION ALL SELECT 1,2,3", "' UNION SELECT NULL",
    "' UNION SELECT sql FROM sqlite_master", "' UNION ALL SELECT row_id, tag, model FROM calls",
    "1; DROP TABLE calls", "'; DROP TABLE calls", "\"; DROP TABLE calls", "x'); DROP TABLE calls", "model; DROP TABLE calls",
    "'; DELETE FROM calls", "'; UPDATE calls SET cost_pico=0", "'; INSERT INTO calls DEFAULT VALUES",
    "'; ATTACH DATABASE '/tmp/x' AS x", "'; PRAGMA user_version=99", "'; PRAGMA writable_schema=1", "'; VACUUM",
    "'; CREATE TRIGGER t AFTER INSERT ON calls BEGIN DELETE FROM calls; END", "load_extension('x')",
    "' AND (SELECT load_extension('x'))", "' AND randomblob(1000000000)", "' AND sleep(5)", "'; WAITFOR DELAY '0:0:5'",
    "'||(SELECT 1)||'", "'||pg_sleep(5)||'", "' AND EXTRACTVALUE(1,1)", "' GROUP BY 1", "' ORDER BY 99", "' HAVING 1=1",
    "CASE WHEN 1 THEN 1 END", "(SELECT 1)", "calls.model", "rowid", "*", "model, (SELECT sql FROM sqlite_master)",
    "?", "?1", ":x", "@x", "$x", "%s", "%(x)s", "{0}", "{model}", "${x}", "{{model}}", "' || char(65) || '", "x'41'",
    "0x41", "NULL", "null", "true", "-1", "1e309", "9223372036854775808", "NaN", "' ESCAPE '", "a%' OR '%'='", "_", "[x]",
    "' COLLATE NOCASE", "' GLOB '*", "' MATCH 'x", "' IS NOT NULL", "' BETWEEN 'a' AND 'z", "‘ OR 1=1", "＇ OR 1=1", "ʼ OR 1=1",
    "' OR 1=1\n--", "'\t;\tDROP\tTABLE\tcalls", "'/**/OR/**/1=1", "'+OR+1=1", "%27%20OR%201=1", "&#39; OR 1=1",
)  # fmt: skip
TRICKS = (*_CLASSICS, *[f"' OR 1=1{end}" for end in _ENDS], *[f"'; DROP TABLE calls{end}" for end in _ENDS])


_FILTERS: tuple[Callable[[Tracker, str], object], ...] = (
    lambda tracker, trick: tracker.summary(by=trick),
    lambda tracker, trick: tracker.summary(by=["model", trick]),
    lambda tracker, trick: tracker.plot(by=trick),
    lambda tracker, trick: tracker.frame(since=trick),
    lambda tracker, trick: tracker.total(since=trick),
    lambda tracker, trick: report(tracker.frame()).groups(trick),
)


def dump(path: Path) -> tuple[object, ...]:
    """Everything in the file: schema, version and rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return tuple(
            connection.execute(statement).fetchall()
            for statement in (
                "SELECT * FROM sqlite_master ORDER BY name", "PRAGMA user_version", "SELECT * FROM calls ORDER BY id",
            )
        )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tracker, Path, tuple[object, ...]]:
    """A ledger of honest rows, and what is in it."""
    folder = tmp_path_factory.mktemp("kept")
    tracker = tracker_of(
        folder, row(generation_id="gen-a", call_id="a"), unknown(), row(session="theirs", cost_usd="7")
    )
    return tracker, folder, dump(folder / "ledger.sqlite")


def test_there_are_enough_of_them() -> None:
    """A hundred at the least, none twice, and among them what any careless statement would fall for."""
    assert len(TRICKS) >= 100
    assert len(set(TRICKS)) == len(TRICKS)
    with contextlib.closing(sqlite3.connect(":memory:")) as careless:
        careless.executescript("CREATE TABLE calls (tag TEXT); INSERT INTO calls VALUES ('a'), ('b')")
        fell = 0
        for trick in TRICKS:
            with contextlib.suppress(sqlite3.Error, ValueError):
                fell += len(careless.execute(f"SELECT tag FROM calls WHERE tag = '{trick}'").fetchall()) > 0
        assert fell >= 5


def test_a_filter_is_a_value_and_never_a_statement(kept: tuple[Tracker, Path, tuple[object, ...]]) -> None:
    """By, since, and the ids of a foreign notebook's receipts: refused, or without effect; the ledger stays as it is."""
    tracker, folder, before = kept
    lost = {"cost_usd": None, "status": "partial"}
    known = receipt(generation_id="gen-a", call_id="a", **lost)
    for trick in TRICKS:
        for ask in _FILTERS:
            with pytest.raises(OptionError):
                ask(tracker, trick)
        foreign = receipt(generation_id=trick, call_id=trick, gateway=trick, **lost)
        found = tracker.receipts(notebook(folder, [cell(foreign, known)]), reconciled=True)
        assert ["unknown", "reconciled"] == list(found["cost_source"]), trick
    assert (from_pico(10**9), 1) == (tracker.total().billed_usd, tracker.total().unknown_calls)
    assert before == dump(folder / "ledger.sqlite")


def test_a_field_comes_back_as_it_went(tmp_path: Path) -> None:
    """Tags, models and notebooks are other people's words; every view has them whole, and only them."""
    ledger = Ledger(SqliteStore(tmp_path / "ledger.sqlite"))
    fields = ("tag", "model", "notebook", "cell_id", "provider", "user", "chat", "generation_id")
    tricks = [trick for trick in TRICKS if "\0" not in trick]
    for trick in tricks:
        told = dict.fromkeys(fields, trick)
        running = unknown(session="other", status="open", gateway=trick)
        ledger.open(running)
        ledger.settle(row(session=trick, gateway=trick, **told))
        ledger.note_generation(running, trick)
        ledger.discard(unknown(row_id=trick))
        tracker = Tracker(ledger, trick)
        frame = tracker.frame()
        assert [told] == frame[list(told)].astype(object).to_dict("records")
        assert [trick] == list(tracker.summary(by="tag").index)
        assert from_pico(10**9) == tracker.total().billed_usd
        assert [1, 1, 1] == [len(report(frame).groups(by)) for by in BY]
        assert [] == ledger.pending(trick)
    assert 2 * len(tricks) == len(tracker.frame(all=True))
    ledger.close()


def test_thousands_of_nasty_texts_pass_the_books_and_the_table(tmp_path: Path) -> None:
    """What models write to act in a browser does nothing in a database or a spreadsheet either."""
    texts = [*TRICKS[:-1], *(payload.text for payload in payloads())]
    # SQLite's functions end a text at a zero byte.
    texts = [text for text in texts if "\0" not in text]
    frame = tracker_of(tmp_path, *[row(n, tag=text, notebook=text) for n, text in enumerate(texts)]).frame()
    assert texts == list(frame["tag"])
    receipts = report(frame).receipts
    lines = list(csv.DictReader(io.StringIO(csv_text(receipts), newline="")))
    assert texts == [unescape(line["tag"]) for line in lines]
    assert {"0.001"} == {line["cost_usd"] for line in lines}
    assert len(texts) * 10**9 == report(frame).real.billed_pico
    assert len(texts) >= 2000


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_no_text_is_a_column(kept: tuple[Tracker, Path, tuple[object, ...]], text: str) -> None:
    """But for the columns' own names."""
    tracker, folder, before = kept
    if text not in tracker.frame().columns:
        with pytest.raises(OptionError):
            tracker.summary(by=text)
    assert before == dump(folder / "ledger.sqlite")
