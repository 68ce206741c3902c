"""Which path answers what. Reads the clock through the simulator; sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from or_magic.offline import catalogue, local, makers, refusals
from or_magic.offline.chat import Simulator, complete
from or_magic.offline.faults import TABLE, rows
from or_magic.offline.ledger import UNMETERED, Meter
from or_magic.offline.steps import Plain, Steps, json_answer
from or_magic.offline.wire import Request

_CACHED = (("Cache-Control", "public, max-age=300, stale-while-revalidate=3600"),)
_MODEL = "/api/v1/model/"


def route(sim: Simulator, request: Request) -> tuple[Steps, Meter]:
    """Return the steps of the answer to a request, and its meter."""
    if sim.local is not None and not request.path.startswith("/offline/"):
        return local.route(sim, sim.local, request)
    if request.method == "POST" and request.path == "/api/v1/chat/completions":
        return complete(sim, request.body, request.headers)
    if request.method == "POST" and request.path in makers.MAKERS:
        return makers.make(sim, request)
    found = _plain(sim, request)
    # What answers HEAD may not have a body.
    return (replace(found, body=b"") if request.method == "HEAD" else found).steps(), UNMETERED


def _plain(sim: Simulator, request: Request) -> Plain:
    if request.method not in ("GET", "HEAD"):
        return refusals.not_found(f"{request.method} {request.path}")
    if request.path.startswith(_MODEL):
        return _one_model(request.path[len(_MODEL) :])
    get = _GETS.get(request.path)
    return get(sim, request) if get else refusals.not_found(request.path)


def _models(_: Simulator, request: Request) -> Plain:
    found = _chosen(request)
    start, limit = _natural(request, "offset", 0), _natural(request, "limit", len(found))
    page = found[start : start + limit]
    return json_answer({"data": page, "total_count": len(found), "links": {"next": None}}, headers=_CACHED)


def _count(_: Simulator, request: Request) -> Plain:
    return json_answer({"data": {"count": len(_chosen(request))}}, headers=_CACHED)


def _chosen(request: Request) -> list[dict[str, Any]]:
    everything = [catalogue.listed(item) for item in catalogue.items().values()]
    # Pseudo-models are for those who look for them; a list of models to choose from has none.
    if "offline" in request.query.get("q", "") or request.query.get("output_modalities") == "all":
        everything += [_pseudo(fault.name, fault.says, fault.pricing) for fault in TABLE]
    return catalogue.chosen(everything, request.query)


def _natural(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else default


def _pseudo(name: str, says: str, pricing: Any) -> dict[str, Any]:
    inputs, outputs = ["text", "image", "file", "audio", "video"], ["text", "image", "audio"]
    item = {
        "id": f"offline/{name}", "canonical_slug": f"offline/{name}", "name": f"Offline: {name}", "created": 1777593600,
        "context_length": 131_072,
        "architecture": {
            "modality": "text+image+file+audio+video->text+image+audio", "input_modalities": inputs,
            "output_modalities": outputs, "tokenizer": "Other", "instruct_type": None,
        },
        "pricing": pricing,
        "top_provider": {"context_length": 131_072, "max_completion_tokens": None, "is_moderated": False},
        "supported_parameters": ["max_tokens", "reasoning", "response_format", "stop", "tool_choice", "tools"],
        "knowledge_cutoff": None, "expiration_date": None,
    }  # fmt: skip
    return catalogue.listed(item, says)


def _one_model(name: str) -> Plain:
    found = catalogue.resolve(name) if "/" in name else None
    if found is None:
        return refusals.not_found(f"Model {name}")
    return json_answer({"data": catalogue.listed(catalogue.items()[found.id])})


def _key(sim: Simulator, _: Request) -> Plain:
    now = datetime.fromtimestamp(sim.clock(), UTC)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = {"daily": day, "weekly": day - timedelta(days=day.weekday()), "monthly": day.replace(day=1)}
    spent = sim.ledger.spent()
    since = {name: sim.ledger.spent(begin.timestamp()) for name, begin in begins.items()}
    limit = sim.key_limit_usd
    data = {
        "label": "offline simulator (any key)", "limit": limit,
        "limit_remaining": None if limit is None else max(limit - spent.cost_usd, Decimal(0)), "limit_reset": None,
        "usage": spent.cost_usd, **{f"usage_{name}": each.cost_usd for name, each in since.items()},
        "byok_usage": spent.byok_usd, **{f"byok_usage_{name}": each.byok_usd for name, each in since.items()},
        "include_byok_in_limit": False, "is_free_tier": False, "is_management_key": False, "is_provisioning_key": False,
        "creator_user_id": None, "expires_at": None,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated; no limit is simulated."},
    }  # fmt: skip
    return json_answer({"data": data})


def _generation(sim: Simulator, request: Request) -> Plain:
    identity = request.query.get("id", "")
    data = sim.ledger.generation(identity)
    return json_answer({"data": data}) if data else refusals.not_found(f"Generation {identity}")


def _ledger(sim: Simulator, _: Request) -> Plain:
    return json_answer({"data": [asdict(billed) for billed in sim.ledger.billed()]})


def _faults(_sim: Simulator, _: Request) -> Plain:
    return json_answer({"data": [{"model": name, "bills": bills, "description": says} for name, says, bills in rows()]})


def _replay(sim: Simulator, _: Request) -> Plain:
    listed = sim.recordings.listed() if sim.recordings else []
    return json_answer({"data": listed, "billing": "Recordings are billed to nobody and stand in no ledger."})


_GETS: dict[str, Callable[[Simulator, Request], Plain]] = {
    "/api/v1/models": _models,
    "/api/v1/images/models": lambda _sim, _request: makers.image_models(),
    "/api/v1/models/count": _count,
    "/api/v1/key": _key,
    "/api/v1/generation": _generation,
    "/offline/ledger": _ledger,
    "/offline/faults": _faults,
    "/offline/replay": _replay,
}
