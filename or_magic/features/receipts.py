"""What saved notebooks keep about their answers: receipts read from the files, as nouns and as a frame. Only reads.

A receipt is the metadata ``or_magic`` of an output (``notebook/words.py`` writes it). The file may have been edited, or
sent by somebody: what is not plausible in a receipt is unknown, never 0, and an answer is never dropped for it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ReportError
from ..paths import whole_path
from ..values import CostSource, from_pico, to_pico

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 256 * 2**20
_MOST_USD = Decimal(1_000_000)  # for one answer; what claims more is damaged
_MOST_TOKENS = 2**53
_TEXTS = (
    "cell_id", "tag", "model_requested", "model", "provider", "gateway", "status", "finish_reason", "generation_id",
    "call_id",
)  # fmt: skip
_FREE, _LOCAL = ("refused", "cached"), "local:"  # nothing is billed for these
_ASKS = re.compile(
    r"\A\s*%%(?:or|openrouter)\b(?![^\n]*--dry-run)"
    r"|^[ \t]*(?:\w+ *= *)?%(?:or|openrouter) +(?:(?:ask|image)\b|(?:again|fix)\b(?![^\n]*--dry-run))",
    re.MULTILINE,
)

# The frame's columns in order; the names are the ledger's where they mean the same.
COLUMNS = {
    "notebook": "string", "cell": "Int64", "cell_id": "string", "tag": "string", "model_requested": "string",
    "model": "string", "provider": "string", "gateway": "string", "simulated": "bool", "status": "string",
    "finish_reason": "string", "prompt_tokens": "Int64", "completion_tokens": "Int64", "total_tokens": "Int64",
    "cost_usd": "float64", "cost_pico": "Int64", "cost_source": "string", "latency_s": "float64",
    "generation_id": "string", "call_id": "string", "copies": "Int64",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One answer. ``cell`` is its cell's place in the file, from 1; ``copies`` how often the file shows the answer."""

    notebook: str | None = None
    cell: int | None = None
    cell_id: str | None = None
    tag: str | None = None
    model_requested: str | None = None
    model: str | None = None
    provider: str | None = None
    gateway: str | None = None
    status: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_pico: int | None = None
    cost_source: CostSource = "unknown"
    latency_s: float | None = None
    generation_id: str | None = None
    call_id: str | None = None
    copies: int = 1
    earlier_unknown: bool = False  # attempts before the answer may have cost something: its own cost is not all
    running: bool = False  # a call under way: its cost is not unknown, it is not due yet

    @property
    def simulated(self) -> bool:
        """Whether the offline simulator gave this answer: its money is none."""
        return self.gateway == "offline"

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost, exactly; None where nobody knows."""
        return None if self.cost_pico is None else from_pico(self.cost_pico)

    @property
    def total_tokens(self) -> int | None:
        """Both counts together; None unless both are known."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Notebook:
    """One file: its receipts in the order of the cells, and how many cells ask a model but hold no output at all."""

    name: str
    receipts: tuple[Receipt, ...]
    unanswered_cells: int = 0


def read_notebooks(paths: Iterable[str | os.PathLike[str]]) -> list[Notebook]:
    """Return what these files tell, each file once; where two have the same name, their paths tell them apart.

    Raises:
        ReportError: one cannot be read, or is no notebook.
    """
    places = list({whole_path(path).resolve(): whole_path(path) for path in paths}.values())
    names = [place.name for place in places]
    return [read_notebook(place, str(place) if names.count(place.name) > 1 else None) for place in places]


def read_notebook(path: str | os.PathLike[str], name: str | None = None) -> Notebook:
    """Return what a saved notebook (nbformat 4, or 3) tells about its answers, each answer once.

    Raises:
        ReportError: it cannot be read, or is no notebook.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ReportError(f"path={path!r:.60} is not the path of a notebook.")
    place = whole_path(path)
    told = _json(place)
    name = _text(name or place.name) or "notebook"
    found: list[Receipt] = []
    unanswered = 0
    for number, cell in enumerate(_cells(place, told), 1):
        outputs = [output for output in _list(cell.get("outputs")) if isinstance(output, Mapping)]
        cell_id = _text(cell.get("id"))
        found += [_receipt(data, name, number, cell_id) for data in _kept(outputs)]
        unanswered += not outputs and bool(_ASKS.search(_source(cell)))
    return Notebook(name, once(found), unanswered)


def once(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Return every answer once, at its first place, with the number of its copies and the dearest of their costs.

    An answer is drawn again wherever somebody displays its Reply, and cells are copied: neither costs money twice.
    """
    answers: dict[Any, Receipt] = {}
    for receipt in receipts:
        same = (receipt.gateway, receipt.generation_id, receipt.call_id)
        key = same if receipt.generation_id or receipt.call_id else object()
        first = answers.get(key)
        answers[key] = receipt if first is None else _merged(first, receipt)
    return tuple(answers.values())


def with_known_costs(
    receipts: Sequence[Receipt], known: Callable[[Sequence[str]], Iterator[tuple[Any, ...]]]
) -> tuple[Receipt, ...]:
    """Return the receipts, unknown costs filled in from records (gateway, generation, call, pico-dollars)."""
    wanted = sorted({r.generation_id for r in receipts if r.cost_source == "unknown" and r.generation_id})
    learnt: dict[tuple[str | None, str | None, str | None], int] = {}
    for gateway, generation, call, pico in known(wanted) if wanted else ():
        learnt[gateway, generation, call] = learnt[gateway, generation, None] = pico
    keys = [(r.gateway, r.generation_id, r.call_id) for r in receipts]
    return tuple(
        replace(receipt, cost_pico=learnt[key], cost_source="reconciled")
        if receipt.cost_source == "unknown" and not receipt.earlier_unknown and key in learnt
        else receipt
        for receipt, key in zip(receipts, keys, strict=True)
    )


def frame(receipts: Iterable[Receipt]) -> pd.DataFrame:
    """Return one row per answer; unknown is NA, never 0; ``cost_pico`` is exact where ``cost_usd`` is a float."""
    import pandas as pd

    kept = list(receipts)
    columns: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        values = [getattr(receipt, name) for receipt in kept]
        if kind == "float64":
            values = [math.nan if value is None else float(value) for value in values]
        columns[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)


def of_frame(table: pd.DataFrame, *, running: str | None = None) -> tuple[Receipt, ...]:
    """Return the rows of a tracker's frame as receipts; open rows of the session ``running`` are calls under way."""
    names = [field.name for field in fields(Receipt) if field.name in table.columns]
    columns = [_plain(table[name]) for name in names]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    if "cost_pico" not in table.columns:
        for row, usd in zip(rows, _plain(table["cost_usd"]), strict=True):
            row["cost_pico"] = None if usd is None else round(usd * 1e12)
    if running is not None and "session" in table.columns:
        for row, session in zip(rows, _plain(table["session"]), strict=True):
            row["running"] = row.get("status") == "open" and session == running
    return tuple(Receipt(**row) for row in rows)


def _plain(column: pd.Series[Any]) -> list[Any]:
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna().tolist(), strict=True)]


def _json(place: Path) -> Any:
    try:
        found = place.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ReportError(f"{place} is not a file. Name a saved notebook (.ipynb).")
        if found.st_size > MOST_BYTES:
            size, most = found.st_size >> 20, MOST_BYTES >> 20
            raise ReportError(f"{place} has {size:,} MiB; more than {most} are not read. Clear its large outputs.")
        # Decimal: an edited receipt may hold its cost as a number.
        return json.loads(place.read_bytes().decode("utf-8-sig"), parse_float=Decimal, parse_constant=lambda _: None)
    except (OSError, ValueError, RecursionError, InvalidOperation, MemoryError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not JSON, or was cut short"
        raise ReportError(f"{place} cannot be read as a notebook: {why}. Nothing was counted.") from None


def _cells(place: Path, told: Any) -> list[Mapping[str, Any]]:
    cells = told.get("cells") if isinstance(told, Mapping) else None
    if cells is None and isinstance(told, Mapping) and isinstance(told.get("worksheets"), list):  # nbformat 3
        sheets = [sheet for sheet in told["worksheets"] if isinstance(sheet, Mapping)]
        cells = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    if not isinstance(cells, list):
        raise ReportError(f"{place} is JSON, but not a notebook: it has no cells. Nothing was counted.")
    return [cell if isinstance(cell, Mapping) else {} for cell in cells]


def _kept(outputs: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield the receipts of a cell's outputs."""
    for output in outputs:
        metadata = output.get("metadata")
        if isinstance(metadata, Mapping) and "or_magic" in metadata:
            yield metadata["or_magic"]


def _receipt(data: Any, notebook: str, number: int, cell_id: str | None) -> Receipt:
    told: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    texts: dict[str, Any] = {name: _text(told.get(name)) for name in _TEXTS} | {"cell_id": cell_id}
    pico = _pico(told.get("cost_usd"))
    source: CostSource = "billed"
    if pico is None:
        free = texts["status"] in _FREE or (texts["gateway"] or "").startswith(_LOCAL)
        pico, source = (0, "none") if free and told.get("cost_usd") is None else (None, "unknown")
    elif pico == 0 and texts["status"] != "ok":
        source = "none"
    earlier = told.get("earlier")
    if isinstance(earlier, Mapping):
        pico, source = _with_earlier(pico, source, earlier)
    return Receipt(
        **texts,
        notebook=notebook,
        cell=number,
        prompt_tokens=_count(told.get("prompt_tokens")),
        completion_tokens=_count(told.get("completion_tokens")),
        cost_pico=pico,
        cost_source=source,
        latency_s=_seconds(told.get("latency_s")),
        earlier_unknown=isinstance(earlier, Mapping) and pico is None,
    )


def _with_earlier(pico: int | None, source: CostSource, earlier: Mapping[str, Any]) -> tuple[int | None, CostSource]:
    """Return the cost together with that of attempts before the answer; what is not known of one is not of all."""
    billed, estimated = _pico(earlier.get("billed_usd")), _pico(earlier.get("estimated_usd"))
    if pico is None or billed is None or estimated is None or earlier.get("unknown_calls") != 0:
        return None, "unknown"
    return pico + billed + estimated, "estimated" if estimated else source


def _merged(first: Receipt, copy: Receipt) -> Receipt:
    copies = first.copies + copy.copies
    if copy.cost_pico is not None and (first.cost_pico is None or copy.cost_pico > first.cost_pico):
        return replace(first, copies=copies, cost_pico=copy.cost_pico, cost_source=copy.cost_source)
    return replace(first, copies=copies)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    # Half a surrogate pair is JSON, but no text that a file takes.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, Decimal) and 0 <= value < _MOST_TOKENS else None


def _pico(value: Any) -> int | None:
    if type(value) not in (str, int, Decimal) or len(str(value)) > 64:
        return None
    try:
        usd = Decimal(value)
    except InvalidOperation:
        return None
    return to_pico(usd) if usd.is_finite() and 0 <= usd <= _MOST_USD else None


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", cell.get("input"))
    return source if isinstance(source, str) else "".join([line for line in _list(source) if isinstance(line, str)])
