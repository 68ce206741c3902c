"""The simulator as a plain OpenAI-compatible local server: one model, no cost, no provider. Reads the clock only.

The pseudo-models answer here too, in their own way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from or_magic.offline import asked as asking
from or_magic.offline import words
from or_magic.offline.asked import Asked
from or_magic.offline.catalogue import Model
from or_magic.offline.chat import Simulator, complete, prepared
from or_magic.offline.example import SchemaError
from or_magic.offline.faults import find
from or_magic.offline.faults.fault import Fault, Tried
from or_magic.offline.faults.payloads import openai_plain
from or_magic.offline.faults.table import FREE
from or_magic.offline.ledger import UNMETERED, Meter
from or_magic.offline.steps import Plain, Steps, json_answer
from or_magic.offline.wire import Request

PREFIX = "/v1"

_CONTEXT = 131_072
_CREATED = 1_777_593_600
_ANSWER = Fault("local", "An answer of a local server.", deliver=openai_plain, id_prefix="chatcmpl-", pricing=FREE)


def route(sim: Simulator, name: str, request: Request) -> tuple[Steps, Meter]:
    """Return the steps of the answer to a request, and its meter."""
    if request.method == "POST" and request.path == f"{PREFIX}/chat/completions":
        return _answer(sim, name, request.body, request.headers)
    if request.method == "GET" and request.path == f"{PREFIX}/models":
        return json_answer({"object": "list", "data": [_item(name)]}).steps(), UNMETERED
    if request.method == "GET" and request.path == f"{PREFIX}/models/{name}":
        return json_answer(_item(name)).steps(), UNMETERED
    return _refusal(404, f"{request.method} {request.path} is not known here").steps(), UNMETERED


def _item(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "offline simulator"}


def _refusal(status: int, message: str, code: str | None = None) -> Plain:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return json_answer({"error": error}, status)


def _answer(sim: Simulator, name: str, data: bytes, headers: Mapping[str, str]) -> tuple[Steps, Meter]:
    asked = asking.read(data)
    if isinstance(asked, Plain):
        return _plainly(asked).steps(), UNMETERED
    wanted = asked.body.get("model", "")
    if sim.fault is not None and wanted == name:
        return complete(sim, json.dumps({**asked.body, "model": sim.fault}).encode(), headers)
    if find(wanted)[0]:
        return complete(sim, data, headers)
    if wanted != name:
        return _refusal(404, f'model "{wanted}" not found, try {name}', "model_not_found").steps(), UNMETERED
    model = _model(name)
    if refused := asking.unsuited(asked, model):
        return _plainly(refused).steps(), UNMETERED
    return _said(sim, asked, model, headers)


def _said(sim: Simulator, asked: Asked, model: Model, headers: Mapping[str, str]) -> tuple[Steps, Meter]:
    try:
        answer = words.answer(asked, model)
    except SchemaError as error:
        return _refusal(400, str(error)).steps(), UNMETERED
    tried = Tried(asked, model, "", headers, sim.port, sim.traffic, sim.clock())
    return prepared(sim, tried, answer, _ANSWER)


def _model(name: str) -> Model:
    kinds, text = frozenset({"text", "image"}), frozenset({"text"})
    return Model(name, name, _CONTEXT, kinds, text, frozenset({"tools"}), FREE, receiver="a local server")


def _plainly(refused: Plain) -> Plain:
    return _refusal(refused.status, json.loads(refused.body)["error"]["message"])
