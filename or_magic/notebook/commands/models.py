"""Commands about models: what there is, and which one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ...engine.choosing import is_auto, parse_auto
from ...errors import OptionError
from ...features.models import ABILITIES, why_none
from .command import Command, Parser, is_terminal, say

if TYPE_CHECKING:
    import pandas as pd

    from ...features.models import Filters
    from ..face import Face

_SHOWN = {
    "id": "id",
    "context_tokens": "context",
    "prompt_usd_per_million": "$/M in",
    "completion_usd_per_million": "$/M out",
    "input": "input",
    "output": "output",
    "tools": "tools",
}
_IN_A_TERMINAL = 4  # more columns would hide those in the middle


def models(face: Face, rest: str) -> pd.DataFrame:
    """Return the models whose id or name holds every word, and that can do what the flags say; prices with them."""
    query, filters = _read(rest)
    found = face.session().models(query, **filters)[list(_SHOWN)].rename(columns=_SHOWN).set_index("id")
    if found.empty:
        say(why_none(face.session().engine.catalog.models(), query, filters))
    return found.iloc[:, : _IN_A_TERMINAL - 1] if is_terminal(face) else found


def _read(rest: str) -> tuple[str, Filters]:
    parser = Parser()
    parser.add_argument("QUERY", nargs="*")
    for name in ABILITIES:
        parser.add_argument(f"--{name}", action="store_const", const=True)
    parser.add_argument("--context")
    parser.add_argument("--max-price")
    told = vars(parser.read(rest))
    query = " ".join(told.pop("QUERY"))
    return query, cast("Filters", {name: value for name, value in told.items() if value is not None})


def use(face: Face, rest: str) -> None:
    """Choose the model for what follows, or the offline simulator."""
    if not rest or " " in rest:
        raise OptionError("use takes one model id, or the word offline, as in: %or use anthropic/claude-sonnet-4.6")
    if rest == "offline":
        face.use_offline()
        say("Answers now come from the offline simulator: no model writes them, and nothing is billed.")
        return
    settings = face.session().engine.settings
    if is_auto(settings.resolve(rest)):
        parse_auto(settings.resolve(rest), settings.choose)
    face.set_settings(model=rest)
    engine = face.session().engine
    model = engine.settings.resolve(rest)
    known = is_auto(model) or engine.catalog.models().find(model) is not None
    say(
        f"The default model is now {model}." + ("" if known else " The catalogue does not know it (it may lag behind).")
    )


COMMANDS = {
    "models": Command(
        models,
        "models [QUERY] [FILTERS]",
        "the models that match every word and can do what is asked, with prices",
        (*[f"--{name}" for name in ABILITIES], "--context", "--max-price"),
    ),
    "use": Command(use, "use ID|offline", "the model for what follows, or the simulator"),
}
