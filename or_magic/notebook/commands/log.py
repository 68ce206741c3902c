"""Commands that look back at what happened: the session's calls, requests and answers, the last failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ... import neutral
from ...gateway.debug import KEPT, Exchange
from ...secrets import KEY_NAME, Secret, hide_pieces
from ...values import dollars, from_pico
from .command import Command, Parser, say

if TYPE_CHECKING:
    from ...engine.session import Engine
    from ..face import Face

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "started_at", "status", "finish_reason", "error", "model", "model_requested", "prompt_tokens", "completion_tokens",
    "cost_pico", "cost_source", "source", "purpose", "notebook", "tag", "attempt", "latency_s",
)  # fmt: skip
_OUTCOMES = {
    "open": "running",
    "ok": "answered",
    "partial": "broke off",
    "interrupted": "interrupted",
    "error": "failed",
    "refused": "refused",
    "unknown": "outcome not known",
    "cached": "from the cache",
}
_SOURCES = {"cell": "cell", "line": "line", "panel": "panel", "api": "Python"}


def log(face: Face, rest: str) -> None:
    """Say what was called in this session; with ``--debug`` keep and show what goes over the wire."""
    parser = Parser()
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument("--debug", action="store_true")
    switch.add_argument("--no-debug", action="store_true")
    told = parser.read(rest)
    engine = face.session().engine
    if told.debug:
        _debug(engine)
    elif told.no_debug:
        engine.gateway.record(on=False)
        say("Requests and answers are not kept any more; those that were are forgotten.")
    else:
        say("\n".join([*_calls(engine), _kept(engine)]))


def traceback(face: Face, rest: str) -> None:  # noqa: ARG001 - every command takes the rest of the line
    """Print the whole traceback of the last failure, as ``%xmode`` says, and nothing of the key in it."""
    if face.failure is None:
        say("Nothing of or_magic has failed in this session.")
        return
    printer = face.shell.InteractiveTB
    lines = printer.structured_traceback(type(face.failure), face.failure, face.failure.__traceback__)
    say(_without_key(printer.stb2text(lines)))


def _debug(engine: Engine) -> None:
    recorder = engine.gateway.recorder
    if recorder is None:
        engine.gateway.record(on=True)
        say(
            f"From now on the last {KEPT} requests of this session and their answers are kept: in memory only, without "
            "the key. Run %or log --debug again to see them, %or log --no-debug to forget them."
        )
        return
    kept = recorder.exchanges()
    told = neutral.plain("\n\n".join(["\n".join(_told(exchange)) for exchange in kept]))
    # A model that repeats the key does it in pieces, one in each event.
    say(engine.gateway.hide_pieces(told) or "Nothing was sent since.")


def _told(exchange: Exchange) -> Iterator[str]:
    yield f"── {exchange.started_at.astimezone():%H:%M:%S} request: POST /chat/completions"
    yield exchange.request
    if exchange.status_code is None:
        yield "── no response"
    else:
        yield f"── response: HTTP {exchange.status_code}"
        yield from (f"{name}: {value}" for name, value in exchange.headers.items())
        yield ""
        yield exchange.body
        if exchange.unkept_bytes:
            yield f"… {exchange.unkept_bytes:,} bytes more"
    yield f"── {exchange.ended or 'its end was not seen: it still runs, or was closed here'}"


def _calls(engine: Engine) -> Iterator[str]:
    rows = [
        dict(zip(_COLUMNS, record, strict=True))
        for batch in engine.ledger.batches(_COLUMNS, "session = ?", (engine.session,))
        for record in batch
    ]
    if not rows:
        yield "Nothing was asked in this session yet."
    width = max([len(_model(row)) for row in rows], default=0)
    for row in rows:
        yield _line(row, width, simulated=engine.simulated)


def _kept(engine: Engine) -> str:
    if engine.gateway.recorder is None:
        return "Requests and answers are not kept; %or log --debug keeps the next ones in memory."
    count = len(engine.gateway.recorder.exchanges())
    return f"{count} requests and answers are kept in memory: %or log --debug shows, --no-debug forgets them."


def _line(row: dict[str, Any], width: int, *, simulated: bool) -> str:
    at = (_EPOCH + timedelta(microseconds=row["started_at"])).astimezone()
    words = [f"{at:%H:%M:%S}  {_model(row):<{width}}  {_outcome(row)}"]
    if row["latency_s"] is not None:
        words.append(f"{row['latency_s']:.1f} s")
    if row["prompt_tokens"] is not None and row["completion_tokens"] is not None:
        words.append(f"{row['prompt_tokens']:,} → {row['completion_tokens']:,} tokens")
    return " · ".join([*words, _cost(row, simulated=simulated), _origin(row)])


def _model(row: dict[str, Any]) -> str:
    return neutral.line(row["model"] or row["model_requested"])


def _outcome(row: dict[str, Any]) -> str:
    said = _OUTCOMES.get(row["status"], row["status"])
    if row["status"] == "ok" and row["finish_reason"] in ("length", "content_filter"):
        return f"{said}, cut short: {row['finish_reason']}"
    return f"{said} ({row['error']})" if row["error"] else said


def _cost(row: dict[str, Any], *, simulated: bool) -> str:
    if row["cost_source"] == "none":
        return "nothing billed"
    if row["cost_pico"] is None or row["cost_source"] == "unknown":
        return "cost not known"
    amount = dollars(from_pico(row["cost_pico"])) + " simulated" * simulated
    return f"~{amount} estimated" if row["cost_source"] == "estimated" else amount


def _origin(row: dict[str, Any]) -> str:
    words = [_SOURCES.get(row["source"], row["source"]) + (f" of {row['notebook']}" if row["notebook"] else "")]
    words += [row["purpose"].replace("_", " ")] if row["purpose"] != "answer" else []
    words += [f"attempt {row['attempt']}"] if row["attempt"] > 1 else []
    words += [f"tag {row['tag']}"] if row["tag"] else []
    return neutral.line(", ".join(words))


def _without_key(text: str) -> str:
    """Return a traceback without the key: a belt, as no frame of ours is known to show it."""
    from ... import api

    session = api.existing()
    text = session.engine.gateway.hide_pieces(text) if session else text
    return hide_pieces(text, [Secret(os.environ.get(KEY_NAME, ""))])


COMMANDS = {
    "log": Command(log, "log [--debug] [--no-debug]", "the session's calls; --debug keeps and shows what is sent",
                   ("--debug", "--no-debug")),
    "traceback": Command(traceback, "traceback", "the whole traceback of the last failure"),
}  # fmt: skip
