"""``%or history``: the wordings of a cell with what changed, what they answered, and what each cost."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ... import neutral
from ...charges import charge, cost, served, together
from ...errors import LedgerError, OptionError
from ...options import format_line
from ...values import Reply, Total, from_pico
from ..cell import Asked
from ..display import publish
from ..wordings import Bit, as_html, as_text, compared
from .command import Command, is_terminal, say

if TYPE_CHECKING:
    from ...ledger import Ledger
    from ..face import Face

_SHORT_OPTION = 40  # characters
_ASKED_AT_ONCE = 500  # databases take so many values in one question, and more


@dataclass(frozen=True, slots=True)
class _Wording:
    """One line of the history."""

    number: int
    options: tuple[str, ...]
    words: tuple[Bit, ...]
    answer: str
    outcome: str
    cost: str


def history(face: Face, rest: str) -> None:
    """Show the wordings of the cell that asked last, oldest first; ``all``: of every cell; a number: one, whole.

    Raises:
        OptionError: the words are not understood, or there is no such number.
    """
    everything, number = _read(rest)
    if not face.asked:
        say("Nothing was asked yet.")
        return
    last = face.asked[-1]
    # Without an id, as in a terminal, all cells are one.
    found = [each for each in face.asked if everything or last.cell_id is None or each.cell_id == last.cell_id]
    if number is None:
        _show_all(face, found)
    elif 1 <= number <= len(found):
        _show_one(face, found[number - 1], number)
    else:
        raise OptionError(f"There is no wording {number}: the history has 1 to {len(found)}.")


def _read(rest: str) -> tuple[bool, int | None]:
    words = rest.split()
    everything = words[:1] == ["all"]
    words = words[everything:]
    if not words:
        return everything, None
    if len(words) > 1 or not words[0].isdecimal():
        near = " Did you mean all?" if difflib.get_close_matches(words[0], ["all"]) else ""
        raise OptionError(f"history takes the word all and a number, or nothing; not {' '.join(words)!r}.{near}")
    return everything, int(words[0])


def _show_all(face: Face, found: Sequence[Asked]) -> None:
    later = _told_later(face, [each.reply for each in found if each.reply])
    told = list(_wordings(found, later))
    below = _below(found, later)
    plain = "\n\n".join(["\n".join(_lines(wording)) for wording in told] + [below])
    if is_terminal(face):
        say(plain)
        return
    rows = [_row(wording) for wording in told]
    html = neutral.table(("", "wording", "answer", "", "cost"), rows, below)
    face.shell.display_pub.publish(data={"text/html": html, "text/plain": plain})


def _show_one(face: Face, asked: Asked, number: int) -> None:
    later = _told_later(face, [asked.reply] if asked.reply else [])
    [wording] = _wordings([asked], later)
    options = [f"   {' '.join(wording.options)}"] if wording.options else []
    head = [f"{number}  {wording.outcome} · {wording.cost}", *options, "", asked.prompt, ""]
    say(neutral.plain("\n".join(head)))
    if asked.reply is not None:
        publish(face.shell, asked.reply)


def _wordings(found: Sequence[Asked], later: Mapping[str, Total]) -> Iterator[_Wording]:
    before: dict[str | None, str] = {}
    for number, asked in enumerate(found, 1):
        reply = asked.reply
        yield _Wording(
            number,
            tuple([neutral.line(shlex.quote(word)) for word in shlex.split(format_line(asked.options))]),
            compared(before.get(asked.cell_id), asked.prompt),
            asked.answer or "[not answered]",
            f"{served(reply)} · {reply.status}" if reply else "no reply",
            str(later[reply.call_id]) if reply and reply.call_id in later else cost(reply) if reply else "not known",
        )
        before[asked.cell_id] = asked.prompt


def _lines(wording: _Wording) -> Iterator[str]:
    yield f"{wording.number}  {wording.outcome} · {wording.cost}"
    if wording.options:
        yield f"   {' '.join(wording.options)}"
    yield f"   ▸ {as_text(wording.words)}"
    yield f"   ◂ {wording.answer}"


def _row(wording: _Wording) -> tuple[str, ...]:
    options = " ".join(map(_option, wording.options))
    told = (wording.answer, wording.outcome, wording.cost)
    return (
        str(wording.number),
        as_html(wording.words) + ("<br>" if options else "") + options,
        *map(neutral.cell, told),
    )


def _option(word: str) -> str:
    """Return an option as code that is not broken at its hyphens, unless it is a long one."""
    whole = ' style="white-space:nowrap"' if len(word) <= _SHORT_OPTION else ""
    return f"<code{whole}>{neutral.cell(word)}</code>"


def _below(found: Sequence[Asked], later: Mapping[str, Total]) -> str:
    count = "1 wording" if len(found) == 1 else f"{len(found)} wordings"
    replies = [each.reply for each in found if each.reply]
    return f"{count} · {together([later.get(reply.call_id) or charge(reply) for reply in replies])}"


def _told_later(face: Face, replies: Sequence[Reply]) -> Mapping[str, Total]:
    """Return what the books have learnt since about calls whose reply knows no cost."""
    session = face.existing()
    ids = [reply.call_id for reply in replies if reply.cost_usd is None and reply.status != "refused"]
    found: dict[str, Total] = {}
    if session is None:
        return found
    try:
        for call_id, pico, source in _costs(session.engine.ledger, ids):
            one = Total.of(None if pico is None or source == "unknown" else from_pico(pico), source)
            found[call_id] = found.get(call_id, Total(simulated=session.engine.simulated)) + one
    except LedgerError:  # the reply's own words are there
        return {}
    return {call_id: total for call_id, total in found.items() if not total.unknown_calls}


def _costs(ledger: Ledger, call_ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield id, pico-dollars and source of every attempt of these calls."""
    for begin in range(0, len(call_ids), _ASKED_AT_ONCE):
        some = call_ids[begin : begin + _ASKED_AT_ONCE]
        where = f"call_id IN ({', '.join('?' * len(some))})"
        for batch in ledger.batches(("call_id", "cost_pico", "cost_source"), where, some):
            yield from batch


COMMANDS = {
    "history": Command(
        history, "history [all] [N]", "what the last cell asked: wordings, answers, costs; all cells; number N, whole"
    ),
}
