"""Commands about models: what there is, and which one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import OptionError
from .command import Command, is_terminal, say

if TYPE_CHECKING:
    import pandas as pd

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
    """Return the models whose id or name holds every word of ``rest``, with prices; ``orm.models`` tells more."""
    found = face.session().models(rest)[list(_SHOWN)].rename(columns=_SHOWN).set_index("id")
    return found.iloc[:, : _IN_A_TERMINAL - 1] if is_terminal(face) else found


def use(face: Face, rest: str) -> None:
    """Choose the model for what follows, or the offline simulator."""
    if not rest or " " in rest:
        raise OptionError("use takes one model id, or the word offline, as in: %or use anthropic/claude-sonnet-4.6")
    if rest == "offline":
        face.use_offline()
        say("Answers now come from the offline simulator: no model writes them, and nothing is billed.")
        return
    face.choose(model=rest)
    engine = face.session().engine
    model = engine.settings.resolve(rest)
    known = engine.catalog.models().find(model) is not None
    say(
        f"The default model is now {model}." + ("" if known else " The catalogue does not know it (it may lag behind).")
    )


COMMANDS = {
    "models": Command(models, "models [QUERY]", "the models that match every word, with prices"),
    "use": Command(use, "use ID|offline", "the model for what follows, or the simulator"),
}
