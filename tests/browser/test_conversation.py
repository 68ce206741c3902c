"""A conversation in a real front end, whose cells have ids: running a cell again takes back nothing but its own turn."""

from __future__ import annotations

from .conftest import OpenNotebook
from .gateway import Gateway

_TURNS = "[(turn.prompt, turn.reply.text, turn.stale) for turn in __import__('or_magic').chat('trip').turns]"


def test_a_cell_that_runs_again_replaces_its_own_turn(notebook: OpenNotebook, gateway: Gateway) -> None:
    """What stands below was answered to another question: it is kept, and marked, until its cell runs again."""
    gateway.says("where", "Norway.")
    gateway.says("when", "In June.")
    opened = notebook("%%or -c trip\nwhere", "%%or -c trip\nwhen", _TURNS, fresh=True)
    for number in (0, 1, 2):
        opened.run(number)
    assert "[('where', 'Norway.', False), ('when', 'In June.', False)]" == opened.text(2).strip()
    gateway.says("where", "Iceland.")
    opened.run(0)
    opened.run(2)
    assert "[('where', 'Iceland.', False), ('when', 'In June.', True)]" == opened.text(2).strip()
    opened.run(1)
    opened.run(2)
    assert "[('where', 'Iceland.', False), ('when', 'In June.', False)]" == opened.text(2).strip()
