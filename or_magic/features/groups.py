"""What a frame can be grouped by beside its columns: the user's day, which reads the zone, cell, and model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Codes = npt.NDArray[np.int64]

_LONGEST_NOTEBOOK = 24
_ID_LETTERS = 8


def column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Return a column, or what follows from several, by name."""
    return DERIVED[name](frame) if name in DERIVED else frame[name]


def local_days(started: pd.Series[Any]) -> tuple[Codes, list[date]]:
    """Return the place of every row's day, and all days from the first to the last, those without rows too.

    A day begins at the user's midnight and may have 23 or 25 hours.
    """
    import numpy as np

    if started.empty:
        return np.zeros(0, np.int64), []
    first, last = (moment.to_pydatetime().astimezone().date() for moment in (started.min(), started.max()))
    dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    # Not by astimezone: where the clock skips midnight, that is an hour too early.
    edges = np.array([int(datetime.combine(day, time()).timestamp()) * 1_000_000 for day in dates])
    return np.maximum(np.searchsorted(edges, started.array.asi8, side="right") - 1, 0), dates


def _day(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return every row's day as text like 2026-11-20."""
    import pandas as pd

    codes, dates = local_days(frame["started_at"])
    names = pd.Index([day.isoformat() for day in dates], dtype="str")
    return pd.Series(pd.Categorical.from_codes(codes, names), index=frame.index)


def _model(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the model that answered every row, or the one that was asked where none did: refused calls have a name."""
    import numpy as np
    import pandas as pd

    served, asked = frame["model"].cat, frame["model_requested"].cat
    if (served.codes >= 0).all():
        return frame["model"]
    names = pd.Index(sorted({*served.categories, *asked.categories}), dtype="str")
    # The last place answers for -1, which is NA.
    places = [np.append(names.get_indexer(of.categories), -1)[of.codes.to_numpy()] for of in (served, asked)]
    codes = np.where(places[0] < 0, places[1], places[0])
    return pd.Series(pd.Categorical.from_codes(codes, names), index=frame.index)


def _cell(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return every row's cell as "notebook · 3 · 1a2b3c4d": the third that was asked in it, and the id's beginning."""
    import numpy as np
    import pandas as pd

    ids, cells = pd.factorize(frame["cell_id"])
    notebooks = frame["notebook"].cat
    width = len(notebooks.categories) + 1
    both, pairs = pd.factorize(ids * width + notebooks.codes.to_numpy().astype(np.int64) % width)
    names = _cell_names(pairs.tolist(), list(cells), [*map(_name, notebooks.categories), ""])
    different = sorted(set(names))
    number = {name: code for code, name in enumerate(different)}
    codes = np.array([number[name] for name in names], np.int64)[both]
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(different, dtype="str")), index=frame.index)


def _cell_names(pairs: list[int], cells: list[str], notebooks: list[str]) -> list[str]:
    """Return a name for every pair of a cell and a notebook, which come in the order of asking."""
    asked = [0] * len(notebooks)
    names = []
    for pair in pairs:
        cell, place = divmod(pair, len(notebooks))  # -1 is no cell
        words = [notebooks[place]] if notebooks[place] else []
        if cell >= 0:
            asked[place] += 1
            words += [str(asked[place]), cells[cell][:_ID_LETTERS]]
        names.append(" · ".join(words if cell >= 0 else [*words, "no cell"]))
    return names


def _name(notebook: str) -> str:
    stem = notebook.removesuffix(".ipynb")
    half = _LONGEST_NOTEBOOK // 2
    return stem if len(stem) <= _LONGEST_NOTEBOOK else f"{stem[: half - 1]}…{stem[-half:]}"


DERIVED: Mapping[str, Callable[[pd.DataFrame], pd.Series[Any]]] = {"day": _day, "cell": _cell, "model": _model}
