"""A conversation for people: as Markdown, as text for a terminal, as a notebook of cells. Inert; pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .. import neutral
from ..content import Audio, Image, Part
from ..options import Options, format_line
from ..pictures import media_type_of
from ..values import EXACT, Reply, dollars
from .rules import Conversation, begin
from .turn import Turn

_SHORT = 60


def markdown(name: str, conversation: Conversation) -> str:
    """Return the whole conversation as one inert text: each question and answer a quotation, so that none runs over."""
    blocks = [f"### {_escaped(headline(name, conversation))}"]
    system: str | None = None
    for number, turn, marked in _numbered(conversation):
        if (told := _system(turn)) != system and told:
            blocks += ["**System**", _quoted(told)]
        system = told
        marks = f" · *{marked}*" if marked else ""
        blocks += [f"**{number} · You**{marks}", _quoted(_question(turn))]
        blocks += [f"**{_escaped(served(turn.reply))}** · {_escaped(figures(turn))}", _quoted(_answer(turn))]
    return neutral.markdown("\n\n".join(blocks) + "\n")


def text(name: str, conversation: Conversation) -> str:
    """Return the whole conversation for a terminal."""
    blocks = [headline(name, conversation)]
    for number, turn, marked in _numbered(conversation):
        marks = f"  ({marked})" if marked else ""
        blocks.append(f"{number}  {served(turn.reply)} · {figures(turn)}{marks}")
        blocks += [f"▸ {_question(turn)}", f"◂ {_answer(turn)}"]
    return neutral.plain("\n\n".join(blocks))


def notebook(name: str, conversation: Conversation) -> dict[str, Any]:
    """Return a notebook: a cell that asks for each turn, with the answer as its output.

    There are no receipts in it: the answers were paid in the notebook where they were asked.
    """
    cells: list[dict[str, Any]] = [_markdown_cell(neutral.markdown(f"# {_escaped(name)}"))]
    cells.append(_code_cell("%load_ext or_magic", []))
    before: Turn | None = None
    for _, turn, marks in _numbered(conversation):
        if turn.attached:
            told = ", ".join([_described(part) for part in turn.attached])
            cells.append(_markdown_cell(neutral.markdown(f"*With the next question went {told}: not in this file.*")))
        cells.append(_code_cell(_source(name, turn, before), list(_outputs(turn, marks))))
        before = turn
    for number, cell in enumerate(cells):
        cell["id"] = f"turn-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def headline(name: str, conversation: Conversation) -> str:
    """Return one line: how many turns, what the next question takes with it of them, and what all their runs cost."""
    turns, aside = conversation.turns, conversation.set_aside
    sent = begin(conversation).sent
    told = {
        "set aside": aside,
        "stale": sum([turn.stale for turn in turns[aside:]]),
        "without a whole answer": sum([not turn.complete for turn in turns[aside:]]),
    }
    words = [f"{len(turns)} turn{'s' * (len(turns) != 1)}"]
    words += [f"{count} {what}" for what, count in told.items() if count]
    words += [f"{len(sent)} sent with the next question"] if len(sent) < len(turns) else []
    words += [f"about {sum([turn.tokens for turn in sent]):,} tokens", _costs(turns)]
    return f"{neutral.line(name)}: {', '.join(words)}"


def served(reply: Reply) -> str:
    """Return the model that answered, else the one that was asked."""
    return neutral.line(reply.model or reply.model_requested)


def figures(turn: Turn) -> str:
    """Return what a turn took: tokens, counted or about, and its cost as far as it is known."""
    about = "" if turn.counted else "about "
    words = [f"{about}{turn.question_tokens:,} → {turn.answer_tokens:,} tokens", _cost(turn.reply)]
    if turn.versions:
        words.append(f"{len(turn.versions)} earlier version{'s' * (len(turn.versions) != 1)}")
    return " · ".join(words)


def _cost(reply: Reply) -> str:
    if reply.cost_usd is None:
        return "cost not known"
    return dollars(reply.cost_usd) + " simulated" * reply.simulated


def _costs(turns: tuple[Turn, ...]) -> str:
    replies = [run.reply for turn in turns for run in turn.runs]
    known = [reply.cost_usd for reply in replies if reply.cost_usd is not None]
    total = Decimal(0)
    for usd in known:
        total = EXACT.add(total, usd)
    missing = "≥ " if len(known) < len(replies) else ""
    return f"{missing}{dollars(total)}{' simulated' * any(reply.simulated for reply in replies)}"


def _numbered(conversation: Conversation) -> Iterator[tuple[int, Turn, str]]:
    """Yield the turns, each with its number and what is to be known of it."""
    set_aside = conversation.set_aside
    for number, turn in enumerate(conversation.turns, 1):
        aside = ["set aside"] if number <= set_aside else []
        yield number, turn, ", ".join([neutral.line(mark) for mark in (*aside, *turn.marks)])


def _question(turn: Turn) -> str:
    held = [f"[{_described(part)}]" for part in turn.attached]
    return "\n\n".join([*held, *([turn.prompt] if turn.prompt else [])])


def _answer(turn: Turn) -> str:
    held = [f"[{_described(part)}]" for part in turn.reply.parts if isinstance(part, (Image, Audio))]
    words = [turn.reply.text] if turn.reply.text.strip() else []
    return "\n\n".join([*words, *held]) or "(no answer)"


def _system(turn: Turn) -> str:
    parts = turn.system.parts if turn.system is not None else ()
    return "".join([getattr(part, "text", "") for part in parts])


def _described(part: Part) -> str:
    name = getattr(part, "filename", None) or getattr(part, "media_type", None) or getattr(part, "format", None)
    return neutral.line(f"{part.kind} {str(name or '')[:_SHORT]}".rstrip())


def _quoted(words: str) -> str:
    return "\n".join([f"> {line}" for line in words.splitlines()]) or ">"


def _escaped(words: str) -> str:
    return "".join([f"\\{letter}" if letter in "\\`*_[]<>#|$~!&" else letter for letter in words])


def _source(name: str, turn: Turn, before: Turn | None) -> str:
    system, said = _system(turn), _system(before) if before else ""
    options = Options(
        model=turn.reply.model_requested or None,
        chat=name,
        new=turn.begins and before is not None,
        system=" ".join(system.split()) if system != said else None,  # the magic's line is one line
        verbatim="{{" in turn.prompt,
    )
    return f"%%or {format_line(options)}\n{turn.prompt}"


def _outputs(turn: Turn, marks: str) -> Iterator[dict[str, Any]]:
    if turn.reply.text.strip():
        shown = neutral.markdown(turn.reply.text)
        line = f"{served(turn.reply)} · {figures(turn)}"
        yield _output({"text/markdown": shown, "text/plain": line})
    for image in turn.reply.parts:
        if isinstance(image, Image) and image.data is not None and (media_type := media_type_of(image.data)):
            encoded = base64.b64encode(image.data).decode("ascii")
            yield _output({media_type: encoded, "text/plain": "a picture"})
    if marks:
        yield _output({"text/plain": marks})


def _output(data: dict[str, str]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _code_cell(source: str, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "source": source, "outputs": outputs}


def _markdown_cell(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def notebook_text(name: str, conversation: Conversation) -> str:
    """Return the notebook as the text of its file."""
    return json.dumps(notebook(name, conversation), indent=1) + "\n"
