"""``orm.choose``: a model for a task, by the rules (``rules.py``), from the catalogue as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from ..budget import parse_usd
from ..engine.auto import wanted
from ..engine.choosing import Wanted, choose
from ..engine.compose import compose
from ..engine.insert import Prompt
from ..errors import OptionError
from ..options import Options, closest
from ..rules import Choice, parse_rules
from ..values import Origin

if TYPE_CHECKING:
    from ..engine.session import Engine


class Wishes(TypedDict, total=False):
    """The keywords of ``choose``; see ``or_magic.choose``."""

    max_usd: Decimal | float | str | None
    prompt: Prompt | None
    free: bool
    expiring: bool
    rules: Mapping[str, Mapping[str, Any]]


def choose_model(engine: Engine, task: str, complexity: str | None, wishes: Wishes) -> Choice:
    """Return the model that the rules choose.

    Raises:
        OptionError: an argument cannot be used, or no model fits; the cheapest that can is named.
        MediaError: the prompt names what cannot be read.
    """
    for name in wishes:
        if name not in Wishes.__annotations__:
            raise OptionError(
                f"{name!r} is nothing to choose by.{closest(name, ['complexity', *Wishes.__annotations__])}"
            )
    for name, told in (("task", task), ("complexity", complexity)):
        if not isinstance(told, str | None):
            raise OptionError(f"{name}={told!r:.60} is not a word. Nothing was sent.")
    for name in ("free", "expiring"):
        if not isinstance(wishes.get(name, False), bool):
            raise OptionError(f"{name}={wishes.get(name)!r:.60} is not True or False. Nothing was sent.")
    limit, prompt = wishes.get("max_usd"), wishes.get("prompt")
    try:
        max_usd = None if limit is None else parse_usd(limit)
        rules = {**engine.settings.choose, **parse_rules(wishes.get("rules", {}))}
    except ValueError as error:
        raise OptionError(f"{error}. Nothing was sent.") from None
    asked = Wanted(task, complexity)
    if prompt is not None:
        placeholder = Options(model="openrouter/auto")
        request = compose(prompt, placeholder, engine.settings, Origin())
        asked = wanted(engine.asking.chats.whole(request), task, complexity, rules)
    free, expiring = wishes.get("free", False), wishes.get("expiring", False)
    asked = replace(asked, max_usd=max_usd, free=free, expiring=expiring)
    return choose(engine.catalog.refresh(), asked, rules, datetime.now(UTC).date())
