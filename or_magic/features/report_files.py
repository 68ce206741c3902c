"""Reports written to files: whole or not at all, for whoever may read the folder, and over nothing but a report."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from ..errors import ReportError
from ..paths import whole_path
from . import receipts, spreadsheet
from .report import Report
from .report_page import MARK, page

_HEADER = tuple(name for name in receipts.COLUMNS if name != "cost_pico")


def write_html(told: Report, path: str | os.PathLike[str], made_at: datetime) -> Path:
    """Write the report as a page of its own.

    Raises:
        ReportError: it cannot be written, or something that is no report is in its place.
    """
    return _write(whole_path(path), page(told, made_at), MARK)


def write_csv(told: Report, path: str | os.PathLike[str], *, raw: bool = False) -> Path:
    """Write one line per answer; ``raw`` leaves out the apostrophes that keep spreadsheets from running formulas.

    Raises:
        ReportError: it cannot be written, or something that is no report is in its place.
    """
    text = csv_text(told.receipts, raw=raw)
    return _write(whole_path(path), text, text.partition("\r\n")[0])


def csv_text(answers: Iterable[receipts.Receipt], *, raw: bool = False) -> str:
    """Return one line per answer: costs exact, what is unknown empty."""
    rows = [[getattr(answer, name) for name in _HEADER] for answer in answers]
    return spreadsheet.csv_text(_HEADER, rows, raw=raw)


def _write(path: Path, text: str, mark: str) -> Path:
    # A report is for sharing: its mode is what the umask says. Nothing can lie in wait under this name.
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        _check(path, mark)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o666), "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink()
        why = error.strerror if isinstance(error, OSError) else "it is no name of a file"
        raise ReportError(f"{path} cannot be written: {why}. Name a file in a folder that can be.") from None
    return path


def _check(path: Path, mark: str) -> None:
    """Raise ReportError where something is that is not an older report."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise ReportError(f"{path} is not a plain file. Nothing was written; choose another name.")
    beginning = mark.encode()
    with open(path, "rb") as file:
        if found.st_size and file.read(len(beginning)) != beginning:
            raise ReportError(f"{path} is there already and is no report. Nothing was written; choose another name.")
