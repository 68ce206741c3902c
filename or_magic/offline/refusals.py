"""Error answers with OpenRouter's envelope. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from or_magic.offline.money import number_text
from or_magic.offline.steps import Headers, Plain, json_answer

_TYPES = {
    400: "invalid_request", 401: "authentication", 402: "payment_required", 403: "permission_denied",
    404: "not_found", 408: "timeout", 413: "payload_too_large", 422: "unprocessable", 429: "rate_limit_exceeded",
    500: "server", 502: "provider_unavailable", 503: "provider_unavailable", 504: "timeout",
    524: "timeout", 529: "provider_overloaded",
}  # fmt: skip
_DOCS = "https://openrouter.ai/docs/api/reference/errors"


def refusal(
    status: int,
    message: str,
    metadata: Mapping[str, Any] | None = None,
    *,
    headers: Headers = (),
    availability: Mapping[str, Any] | None = None,
) -> Plain:
    """Return an error answer; ``error_type`` is that of the status unless the metadata names another."""
    known = {"error_type": _TYPES[status]} if status in _TYPES else {}
    error: dict[str, Any] = {"message": message, "code": status, "metadata": {**known, **(metadata or {})}}
    if availability is not None:
        error["availability"] = availability
    return json_answer({"error": error, "user_id": "user_offline_simulator"}, status, headers)


def unavailable(code: str, model: str, *, retryable: bool = False, **more: Any) -> dict[str, Any]:
    """Return the ``error.availability`` object."""
    return {"code": code, "retryable": retryable, "requested_models": [model], **more, "docs_url": _DOCS}


def unknown_model(model: str) -> Plain:
    """Return the refusal of a model id that the catalogue does not have."""
    return refusal(400, f"{model} is not a valid model ID", availability=unavailable("model_not_found", model))


def limit_reached(limit_usd: Decimal) -> Plain:
    """Return the refusal of a key whose limit is spent."""
    told = f"This key has reached its limit of {number_text(limit_usd)} USD; raise it or wait for its reset (simulated)"
    return refusal(402, told, {"limit_source": "openrouter_key_limit"})


def too_dear(model: str, field: str) -> Plain:
    """Return the refusal of a model whose price is above the request's maximum."""
    said = {"field": f"provider.max_price.{field}", "detail": f"Every endpoint asks for more per {field}"}
    told = unavailable("constraint_filtered", model, constraint=said)
    return refusal(404, f"No endpoints found for {model} within provider.max_price", availability=told)


def not_found(what: str) -> Plain:
    """Return the answer for a path or an id that does not exist."""
    return refusal(404, f"{what} not found")
