"""Budgets as a frame: what is allowed, spent, held and left. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Standing, parse_usd
from ..errors import OptionError
from ..setting_kinds import BUDGETS

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("limit_usd", "spent_usd", "held_usd", "left_usd")


def budget_frame(standings: Sequence[Standing]) -> pd.DataFrame:
    """Return one row per budget, named session, day, week, total, or tag NAME; amounts are floats in dollars.

    ``held_usd`` is the most that calls may cost which run now, or whose cost nobody has told yet.
    """
    import pandas as pd

    names = [_name(standing) for standing in standings]
    amounts = [(standing.limit.usd, standing.spent_usd, standing.held_usd, standing.left_usd) for standing in standings]
    index = pd.Index(names, name="budget", dtype="str")
    return pd.DataFrame(amounts, index=index, columns=list(_COLUMNS)).astype("float64")


def settings_of(usd: Mapping[str, Any], tags: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings that budgets by scope and by tag stand for.

    Raises:
        OptionError: there is no such scope or tag, or an amount is none.
    """
    if not isinstance(tags, Mapping | None):
        raise OptionError(f"tags={tags!r:.60} is not budgets by tag, as in {{'draft': 0.50}}. Nothing was changed.")
    names = {scope: name for name, scope in BUDGETS.items()}
    for scope in usd:
        if scope not in names:
            near = difflib.get_close_matches(scope, names, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(names)} and tags."
            raise OptionError(f"There is no budget {scope!r}. {hint} Nothing was changed.")
    for name, amount in {**usd, **(tags or {})}.items():
        _check(name, amount)
    return {names[scope]: amount for scope, amount in usd.items()} | ({"tag_budgets": dict(tags)} if tags else {})


def _check(name: object, amount: object) -> None:
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise OptionError(f"{name!r:.60} is not the name of a tag. Nothing was changed.")
    try:
        parse_usd(amount)
    except ValueError as error:
        raise OptionError(f"{name}: {error}. Nothing was changed.") from None


def _name(standing: Standing) -> str:
    limit = standing.limit
    return f"tag {limit.key}" if limit.scope == "tag" else limit.scope
