"""The dated catalogue: which models there are, their prices, how a model id is resolved. Reads one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().parent.parent / "data" / "models-2026-05-01.json"
_ROUTERS = {"openrouter/auto": "openai/gpt-5-mini", "openrouter/free": "meta-llama/llama-3.3-70b-instruct:free"}
_VIRTUAL_SUFFIXES = (":nitro", ":floor", ":exacto", ":online")
DEFAULT = "openai/gpt-4o-mini"
DESCRIPTION = "Dated catalogue entry of the offline simulator."


@dataclass(frozen=True)
class Model:
    """One model that can answer; ``served`` is the name that the answer carries."""

    id: str
    served: str
    context_length: int
    inputs: frozenset[str]
    outputs: frozenset[str]
    parameters: frozenset[str]
    pricing: Mapping[str, Any]
    router: str | None = None
    receiver: str = "OpenRouter"


@lru_cache(maxsize=1)
def items() -> Mapping[str, dict[str, Any]]:
    """Return the items of the catalogue file by id, in the file's order."""
    data = json.loads(_FILE.read_text(encoding="utf-8"))["data"]
    return {item["id"]: item for item in data}


def resolve(wanted: str) -> Model | None:
    """Return the model that answers to an id, alias, router, canonical slug or suffixed id; None if there is none."""
    name = wanted.partition("@preset/")[0].rstrip("@") or DEFAULT
    item = _find(name)
    if item is None and name.endswith(_VIRTUAL_SUFFIXES):
        name = name.rpartition(":")[0]
        item = _find(name)
    if item is None:
        return None
    target = _ROUTERS.get(item["id"]) or item.get("alias_target", {}).get("slug")
    return _model(items()[target] if target else item, router=item["id"] if item["id"] in _ROUTERS else None)


def _find(name: str) -> dict[str, Any] | None:
    if found := items().get(name):
        return found
    slug, _, variant = name.partition(":")
    matches = (item for item in items().values() if item["canonical_slug"] == slug)
    return next((item for item in matches if item["id"].partition(":")[2] == variant), None)


def _model(item: dict[str, Any], router: str | None) -> Model:
    variant = item["id"].partition(":")[2]
    architecture = item["architecture"]
    return Model(
        item["id"],
        item["canonical_slug"] + (f":{variant}" if variant else ""),
        item["context_length"],
        frozenset(architecture["input_modalities"]),
        frozenset(architecture["output_modalities"]),
        frozenset(item["supported_parameters"]),
        item["pricing"],
        router,
    )


def listed(item: Mapping[str, Any], description: str = DESCRIPTION) -> dict[str, Any]:
    """Return an item with every key that ``GET /models`` promises."""
    details = {"details": f"/api/v1/models/{item['canonical_slug']}/endpoints"}
    rest = {"per_request_limits": None, "default_parameters": {}, "supported_voices": None, "links": details}
    return {**item, "description": description, "hugging_face_id": None, **rest}


def chosen(found: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the items that the query of ``GET /models`` asks for."""
    words = query.get("q", "").lower()
    inputs, outputs = _set(query, "input_modalities"), _set(query, "output_modalities") or {"text"}
    needed = _set(query, "supported_parameters")
    return [
        item
        for item in found
        if words in f"{item['id']} {item['name']}".lower()
        and inputs <= set(item["architecture"]["input_modalities"])
        and (outputs == {"all"} or outputs & set(item["architecture"]["output_modalities"]))
        and needed <= set(item["supported_parameters"])
    ]


def _set(query: Mapping[str, str], name: str) -> set[str]:
    return set(query.get(name, "").split(",")) - {""}
