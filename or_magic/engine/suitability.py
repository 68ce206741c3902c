"""What the catalogue tells of a request before it is sent: a model that goes away, fields that it ignores. Pure."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from ..errors import OptionError
from ..events import Notice
from ..gateway.catalog import Model, Models
from ..values import Request
from .prepare import cheapest

# A field of the request -> the words of the catalogue's ``supported_parameters`` of which any one will do.
_ANY_OF: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("temperature", "top_p", "top_k", "min_p", "top_a", "seed", "stop", "logit_bias",
                                  "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty",
                                  "repetition_penalty", "verbosity", "tools")},
    "max_tokens": ("max_tokens", "max_completion_tokens"),
    "max_completion_tokens": ("max_tokens", "max_completion_tokens"),
    "response_format": ("response_format", "structured_outputs"),
    "reasoning": ("reasoning", "include_reasoning", "reasoning_effort"),
}  # fmt: skip


def lacking(model: Model, params: Mapping[str, Any]) -> list[str]:
    """Return the fields that a model does not support; none where the catalogue does not tell, as for routers."""
    if not model.supported or model.is_router:
        return []
    return [name for name, value in params.items() if _is_asked(name, value) and not _takes(model, name)]


def check(request: Request, models: Models) -> None:
    """Refuse fields that no provider of the model takes, where the request insists on them.

    Raises:
        OptionError: with the cheapest model that takes them; nothing was sent.
    """
    provider = request.params.get("provider")
    if not isinstance(provider, Mapping) or not provider.get("require_parameters"):
        return
    found = models.find(request.model)
    missing = lacking(found, request.params) if found else []
    if missing and "models" not in request.params:
        raise OptionError(
            f"{request.model} does not support {_and(missing)}, says the catalogue, and provider.require_parameters "
            f"asks for providers that do. Nothing was sent. {cheapest(models, lambda m: _takes_all(m, missing))}"
        )


class Suitability:
    """Tells what a call should know of its model; that a model goes away is told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def notices(self, request: Request, models: Models, today: date, *, once: bool = True) -> Iterator[Notice]:
        """Yield what is worth knowing before the request is sent."""
        model = models.find(request.model)
        if model is None or request.endpoint != "chat":
            return
        if model.is_expiring and (not once or self._is_news(model.id)):
            yield Notice("expiring", about_end(model, models, today))
        if missing := lacking(model, request.params):
            yield Notice("unsupported", f"{request.model} does not support {_and(missing)}: ignored, most likely")

    def _is_news(self, model: str) -> bool:
        with self._lock:
            news = model not in self._told
            self._told.add(model)
        return news


def about_end(model: Model, models: Models, today: date) -> str:
    """Return when a model goes away, or that it should be gone, and what to take instead."""
    other = successor(model, models)
    told = "should be gone since" if model.is_gone(today) else "goes away on"
    return f"{model.id} {told} {(model.expires or '')[:10]}" + (f": take {other.id} instead" if other else "")


def successor(model: Model, models: Models) -> Model | None:
    """Return the model that comes nearest and stays: the newest of its family, else of its vendor the nearest price."""
    inputs = set(model.input_modalities) - {"file"}  # documents go to every model (WIRE.md §3)
    stays = [
        each
        for each in models.entries
        if not (each.is_expiring or each.is_router or each.is_alias) and each.is_free == model.is_free
        and each.prices.known() and each.output_modalities == model.output_modalities
        and inputs <= set(each.input_modalities)
    ]  # fmt: skip
    family = [each for each in stays if _family(each.id) == _family(model.id)]
    if family:
        return max(family, key=lambda each: (each.created or 0, each.id))
    kin = [each for each in stays if each.vendor == model.vendor] or stays
    if not model.prices.known() or not kin:
        return None
    return min(kin, key=lambda each: (abs(_level(each) - _level(model)), -(each.created or 0), each.id))


def _family(name: str) -> str:
    """Return a model's name without versions and what they are called: claude-3.7-sonnet is a claude-sonnet."""
    return (
        re.sub(r"-+", "-", re.sub(r"-(?:v?\d[\w.]*|preview|exp|latest)(?=[-:]|$)", "-", name))
        .replace("-:", ":")
        .strip("-")
    )


def _level(model: Model) -> float:
    usd = model.prices.usd
    return float(usd["prompt"] * 3 + usd["completion"])  # prompts are the longer part


def _is_asked(name: str, value: Any) -> bool:
    if name == "reasoning" and isinstance(value, Mapping):  # not to think needs no ability
        return value.get("effort") != "none" and value.get("enabled") is not False
    return name in _ANY_OF and value is not None


def _takes(model: Model, name: str) -> bool:
    return any(word in model.supported for word in _ANY_OF[name])


def _takes_all(model: Model, names: list[str]) -> bool:
    return all(_takes(model, name) for name in names)


def _and(names: list[str]) -> str:
    return " and ".join([text for text in (", ".join(names[:-1]), names[-1]) if text])
