"""What was asked and what it cost: the ledger as a frame, a total, a summary and a plot. Reads, writes nothing."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..budget import Standing
from ..errors import OptionError
from ..ledger import Ledger
from ..ledger.record import microseconds
from ..values import Total, from_pico
from .frame import build, select

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..gateway.catalog import Model

Usd = Decimal | float | str
Since = datetime | date | timedelta | str | None

_AGO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ASKED_AT_ONCE = 500  # databases take so many values in one question, and more
_UNKNOWN = "cost_source = 'unknown' OR cost_source <> 'none' AND cost_pico IS NULL"
_TOTAL = (
    "sum(CASE WHEN cost_source NOT IN ('estimated', 'unknown') THEN cost_pico END)",
    "sum(CASE WHEN cost_source = 'estimated' THEN cost_pico END)",
    f"count(CASE WHEN ({_UNKNOWN}) AND NOT (status = 'open' AND session = ?) THEN 1 END)",
)


class Tracker:
    """A view of the ledger: of this session, with ``all`` of every session, with ``since`` of a stretch of time.

    ``since`` is a moment, a date, a timedelta (ago), or text like "7d", "12h", "30m", "2026-11-01"; a moment without a
    zone is local time. Every method raises OptionError where it cannot be understood, LedgerError where the ledger
    cannot be read.
    """

    def __init__(
        self,
        ledger: Ledger,
        session: str,
        *,
        simulated: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        standings: Callable[[], Sequence[Standing]] = list,
        set_budgets: Callable[[Mapping[str, Any]], None] | None = None,
        model: Callable[[str], Model] | None = None,
    ) -> None:
        self._ledger = ledger
        self._session = session
        self._simulated = simulated
        self._now = now
        self._standings = standings
        self._set_budgets = set_budgets
        self._model = model
        self._lock = threading.Lock()
        self._last: tuple[object, pd.DataFrame] | None = None

    def frame(self, *, all: bool = False, since: Since = None) -> pd.DataFrame:  # noqa: A002 - the word people type
        """Return one row per attempt, oldest first; it is yours to change.

        Columns are those of ``frame.COLUMNS``: ``started_at`` in UTC, texts of few values categorical, counts Int64,
        money and seconds float. What is unknown is NA, never 0. Attempts that run now are there, ``open``.
        """
        return self._read(all, since).copy()

    def total(self, *, all: bool = False, since: Since = None) -> Total:  # noqa: A002 - the word people type
        """Return the exact sums. Calls of this session that run now are in none of the three figures."""
        where, values = self._where(all, since)
        found = self._ledger.figures(_TOTAL, where, (self._session, *values))
        billed, estimated, unknown = (int(figure or 0) for figure in found)
        return Total(from_pico(billed), from_pico(estimated), unknown, self._simulated)

    def summary(
        self,
        by: str | Sequence[str] = "model",
        *,
        all: bool = False,  # noqa: A002 - the word people type
        since: Since = None,
    ) -> pd.DataFrame:
        """Return calls, success, latency, tokens and cost by one or more columns, the dearest first."""
        from .summary import check_columns, summarize

        check_columns([by] if isinstance(by, str) else by)
        return summarize(self._read(all, since), by, running=self._session)

    def budget(self, *, tags: Mapping[str, Usd] | None = None, **usd: Usd) -> pd.DataFrame:
        """Set budgets, if any are given, and return how all stand: one row each, amounts in dollars.

        Args:
            tags: budgets by tag.
            **usd: ``session``, ``day``, ``week`` or ``total``, in dollars; the word "off" takes one off.

        Raises:
            OptionError, SettingsError: there is no such budget, or a value cannot be used; nothing was changed.
        """
        from .budget import budget_frame, settings_of

        if (told := settings_of(usd, tags)) and self._set_budgets is not None:
            self._set_budgets(told)
        return budget_frame(self._standings())

    def plot(
        self,
        by: str | None = None,
        *,
        ax: Axes | None = None,
        all: bool = False,  # noqa: A002 - the word people type
        since: Since = None,
    ) -> Axes:
        """Draw a picture on ``ax`` or on a figure of its own, and return the axes.

        Without ``by`` it is the spend over time, with "day" a bar per calendar day, with "latency", "first_token_s" or
        "speed" how long answers took, and with any other column, or "cell", the spend by its values. The budgets that
        hold for what is shown are dashed lines. A notebook shows the figure by itself, once, at the end of the cell.
        """
        from . import plots
        from .summary import check_columns, total_of

        check_columns(["model" if by is None else by], also=plots.SPREADS)
        if ax is not None and not hasattr(ax, "get_figure"):
            raise OptionError(f"ax={ax!r:.60} is not a matplotlib Axes, as plt.subplots() gives.")
        frame = self._read(all, since)
        if by is not None and by in plots.SPREADS:
            return plots.plot_spread(frame, by, ax, simulated=self._simulated)
        total = total_of(frame, running=self._session, simulated=self._simulated)
        if by is None:
            return plots.plot_over_time(frame, total, ax, budgets=self._holding(all, since))
        if by == "day":
            whole = all or since is not None
            budgets = self._holding(all, since, "day")
            return plots.plot_days(frame, total, ax, budgets=budgets, whole=whole, running=self._session)
        return plots.plot_by(frame, "cell" if by == "cell_id" else by, total, ax, running=self._session)

    def _holding(self, everything: bool, since: Since, *names: str) -> Mapping[str, Decimal]:
        """Return the named budgets, or those whose spend a line over time of this view is."""
        if not names and since is None:
            names = ("total",) if everything else ("session",)
        limits = [standing.limit for standing in self._standings()] if names else []
        return {limit.scope: limit.usd for limit in limits if limit.scope in names}

    def receipts(self, path: str | os.PathLike[str], *, reconciled: bool = False) -> pd.DataFrame:
        """Return what the receipts saved in a notebook file tell: one row per answer, in the order of its cells.

        Columns are those of ``receipts.COLUMNS``. An answer that the file shows more than once is one row, with the
        number of its ``copies``. What is unknown is NA, never 0.

        Args:
            path: a saved notebook; it need not be of this machine.
            reconciled: fill in costs that the file does not know but this ledger does.

        Raises:
            ReportError: the file cannot be read, or is no notebook.
        """
        from .receipts import frame, read_notebook, with_known_costs

        _check_flag("reconciled", reconciled)
        found = read_notebook(path).receipts
        return frame(with_known_costs(found, self._known_costs) if reconciled else found)

    def _known_costs(self, generations: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for begin in range(0, len(generations), _ASKED_AT_ONCE):
            some = generations[begin : begin + _ASKED_AT_ONCE]
            where = f"generation_id IN ({', '.join('?' * len(some))}) AND cost_source IN ('billed', 'reconciled')"
            columns = ("gateway", "generation_id", "call_id", "cost_pico")
            for batch in self._ledger.batches(columns, f"{where} AND cost_pico IS NOT NULL", some):
                yield from batch

    def what_if(
        self,
        model: str | Sequence[str],
        *,
        all: bool = False,  # noqa: A002 - the word people type
        since: Since = None,
    ) -> pd.DataFrame:
        """Return what these calls cost and would have cost with other models, at their list prices, cheapest first.

        Raises:
            OptionError: the catalogue does not know a model.
        """
        from .what_if import reprice

        if self._model is None:
            raise OptionError("This tracker has no catalogue of prices.")
        names = [model] if isinstance(model, str) else model
        if not isinstance(names, Sequence) or not names or [n for n in names if not (isinstance(n, str) and n)]:
            raise OptionError(f"model={model!r:.60} is not a model or a list of models, by their ids.")
        models = [self._model(name) for name in names]
        return reprice(self._read(all, since), models, simulated=self._simulated)

    def _where(self, everything: bool, since: Since) -> tuple[str, tuple[Any, ...]]:
        _check_flag("all", everything)
        if since is not None:
            return "started_at >= ?", (microseconds(moment(since, self._now())),)
        return ("1 = 1", ()) if everything else ("session = ?", (self._session,))

    def _read(self, everything: bool, since: Since) -> pd.DataFrame:
        """Return the frame, read again only if the ledger has changed; it is not to be changed."""
        where = self._where(everything, since)
        with self._lock:
            # Looked at before reading: what is written meanwhile makes the next look differ.
            seen = (self._ledger.version(), where)
            if self._last is None or self._last[0] != seen:
                self._last = None
                self._last = (seen, build(self._ledger.batches(select(), *where)))
            return self._last[1]


def _check_flag(name: str, value: object) -> None:
    try:
        fits = value in (True, False)
    except ValueError:  # an array of several
        fits = False
    if not fits:
        raise OptionError(f"{name}={value!r:.60} is neither True nor False.")


def moment(since: datetime | date | timedelta | str, now: datetime) -> datetime:
    """Return when ``since`` begins.

    Raises:
        OptionError: it cannot be understood.
    """
    try:
        since = _of_python(since)
        if isinstance(since, timedelta):
            return now - since
        if isinstance(since, datetime):
            return since.astimezone(UTC)
        if isinstance(since, date):
            return datetime.combine(since, time()).astimezone(UTC)
        if ago := _AGO.fullmatch(since):
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(since.strip()).astimezone(UTC)
    except (AttributeError, OSError, OverflowError, TypeError, ValueError) as error:
        raise OptionError(
            f"since={since!r:.60} is not understood. Write for example since='7d' ('12h', '30m'), "
            "since='2026-11-01', or give a datetime, date or timedelta."
        ) from error


def _of_python(since: Any) -> Any:
    """Return a moment or a stretch of time of numpy or pandas as Python's own; NaT is neither."""
    if hasattr(since, "dtype") and not isinstance(since, str):
        since = since.astype(f"{since.dtype.kind}8[us]").item()
    convert = getattr(since, "to_pydatetime", None) or getattr(since, "to_pytimedelta", None)
    if since != since:  # noqa: PLR0124 - so is NaT
        raise ValueError("no moment")
    return convert() if convert else since
