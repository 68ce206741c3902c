"""``POST /chat/completions``: from a request to the steps of its answer and its meter. Pure but for the clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from or_magic.offline import asked as asking
from or_magic.offline import catalogue, chunks, refusals, words
from or_magic.offline.asked import Asked
from or_magic.offline.example import SchemaError
from or_magic.offline.faults import find
from or_magic.offline.faults.fault import Fault, Tried
from or_magic.offline.ledger import UNMETERED, Job, Ledger, Meter
from or_magic.offline.prompt_cache import PromptCache, Use
from or_magic.offline.replay import Recordings
from or_magic.offline.steps import Pause, Plain, Steps
from or_magic.offline.traffic import Traffic
from or_magic.offline.words import Answer

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST_SILENCE_S = 2.0


@dataclass(frozen=True)
class Simulator:
    """All that one running simulator knows."""

    clock: Callable[[], float]
    pace_s: float
    ledger: Ledger
    recordings: Recordings | None = None
    port: int = 0
    key_limit_usd: Decimal | None = None
    local: str | None = None
    fault: str | None = None
    traffic: Traffic = field(default_factory=Traffic)
    cache: PromptCache = field(default_factory=PromptCache)


def complete(sim: Simulator, data: bytes, headers: Mapping[str, str]) -> tuple[Steps, Meter]:
    """Return the steps of the answer to one request body, and its meter."""
    asked = asking.read(data)
    if isinstance(asked, Plain):
        return asked.steps(), UNMETERED
    recorded = sim.recordings.answer(asked.body) if sim.recordings else None
    if recorded:
        return recorded, UNMETERED
    if (limit_usd := sim.key_limit_usd) is not None and sim.ledger.spent().cost_usd >= limit_usd:
        return refusals.limit_reached(limit_usd).steps(), UNMETERED
    refused: Plain = refusals.unknown_model("")
    for name in asked.candidates:
        found = _try(sim, asked, name, headers)
        if not isinstance(found, Plain):
            return found
        refused = found
        if refused.status < 400:  # also a dropped connection
            break  # whatever it is, the gateway does not see an error in it
    return refused.steps(), UNMETERED


def _try(sim: Simulator, asked: Asked, name: str, headers: Mapping[str, str]) -> Plain | tuple[Steps, Meter]:
    fault, arg = find(name)
    model = pseudo(fault, name) if fault else catalogue.resolve(name)
    if sim.fault is not None and fault is None:
        fault, arg = find(sim.fault)  # a bad day of an ordinary model, at its own price
    if model is None:
        return refusals.unknown_model(name)
    tried = Tried(asked, model, arg, headers, sim.port, sim.traffic, sim.clock())
    refused = asking.unsuited(asked, model) or (fault.refuse(tried) if fault else None)
    if refused:
        return refused
    try:
        answer = words.answer(asked, model)
        if fault:
            answer = words.limited(fault.answer(answer, tried), asked)
    except SchemaError as error:
        return refusals.refusal(400, str(error))
    return prepared(sim, tried, answer, fault)


def pseudo(fault: Fault, name: str) -> catalogue.Model:
    """Return the model that a fault answers as."""
    everything = frozenset({"text", "image", "file", "audio", "video"})
    outputs = frozenset({"text", "image", "audio"})
    return catalogue.Model(name, name, 131_072, everything, outputs, frozenset({"tools", "reasoning"}), fault.pricing)


def prepared(
    sim: Simulator,
    tried: Tried,
    answer: Answer,
    fault: Fault | None,
    steps: Callable[[chunks.Call], Steps] | None = None,
) -> tuple[Steps, Meter]:
    """Return the steps of an answer that is decided on, and its meter; ``steps`` are those of no chat."""
    used = _used(sim, tried) if fault is None and steps is None else Use()
    job, now = _job(tried, answer, fault, sim.clock(), used), int(sim.clock())
    wish = tried.asked.body.get("stream_options")
    call = chunks.Call(
        job,
        now,
        answer,
        tried.arg,
        fault.shape if fault else "2026-08",
        bool(isinstance(wish, Mapping) and wish.get("include_usage")),
        "gzip" in tried.headers.get("accept-encoding", ""),
    )
    meter = UNMETERED if fault and fault.bills == "nothing" else sim.ledger.meter(job)
    if fault:
        return fault.deliver((steps or chunks.steps)(call), call), meter
    return (chunks.steps(call) if job.streamed else _after_a_while(sim, call, steps or chunks.whole)), meter


def _after_a_while(sim: Simulator, call: chunks.Call, whole: Callable[[chunks.Call], Steps]) -> Steps:
    silence_s = min(_LONGEST_SILENCE_S, sim.pace_s * call.job.completion_tokens / call.answer.chunk_tokens)
    if silence_s:
        yield Pause(silence_s)
    yield from whole(call)


def _used(sim: Simulator, tried: Tried) -> Use:
    return sim.cache.use(tried.asked.body, tried.model.served, tried.model.pricing, sim.clock())


def _job(tried: Tried, answer: Answer, fault: Fault | None, now_s: float, used: Use) -> Job:
    body, asked = tried.asked.body, tried.asked
    return Job(
        generation_id=(fault.id_prefix if fault and fault.id_prefix else f"gen-{int(now_s)}-") + _unique(),
        model=tried.model.served,
        prompt=asked.last_user_text[:200],
        pricing=tried.model.pricing,
        prompt_tokens=asked.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        media=len(answer.images),
        finish_reason=answer.finish_reason,
        native_finish_reason=answer.native_finish_reason,
        status=fault.status if fault else "ok",
        streamed=asked.stream,
        # Closing the connection stops and bills only streams; a whole answer runs on and is paid in full.
        runs_on=not asked.stream or bool(fault and fault.bills == "all, always"),
        late_s=fault.late(tried.arg) if fault else 0.0,
        user=_text(body.get("user")),
        session_id=_text(body.get("session_id")),
        router=tried.model.router,
        rate=fault.rate(tried.arg) if fault else Decimal(1),
        byok=bool(fault and fault.byok),
        cached_tokens=used.read,
        cache_write_tokens=used.written,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _unique() -> str:
    number = int.from_bytes(os.urandom(16), "big")
    letters = []
    for _ in range(20):
        number, index = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[index])
    return "".join(letters)
