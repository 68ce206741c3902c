"""What becomes of a composed request before it is sent: is the model able to take it, and what should be kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..content import File, Image, Part, Text, Video
from ..errors import MediaError
from ..estimate import estimate
from ..events import Notice
from ..gateway.catalog import Catalog, Model, Models
from ..gateway.http import Gateway
from ..pricing import least_kept_tokens
from ..values import Message, Request, dollars

KEPT = {"type": "ephemeral"}
_OFF = (False, None, "off", "none")
CATALOGUED = ("openrouter", "offline")  # elsewhere a model of the same name may be another one
_NOUNS = {"image": "pictures", "audio": "sound", "video": "videos"}  # documents go to every model (WIRE.md §3)


def prepared(request: Request, catalog: Catalog, gateway: Gateway) -> Request:
    """Return the request as it goes out: with marks where a large part of the prompt is worth keeping.

    Raises:
        MediaError: the catalogue knows that no model asked for takes one of its parts.
    """
    ours = gateway.name in CATALOGUED
    models = catalog.models()
    if ours:
        check_inputs(request, models)
    return marked(request, models.find(request.model), ours=ours)


def notices(request: Request) -> Iterator[Notice]:
    """Yield what was done to attachments on their way."""
    yield from (Notice("attachment", note) for note in notes(request.messages[-1]))


def notes(message: Message) -> list[str]:
    """Return what the user has to know about the parts of a message."""
    return [part.note for part in message.parts if isinstance(part, (Image, File, Video)) and part.note]


def check_inputs(request: Request, models: Models) -> None:
    """Refuse what no model asked for can take; one that the catalogue does not know, and a router, may take all.

    Raises:
        MediaError: with the cheapest model that can.
    """
    needed = {part.kind for message in request.messages for part in message.parts if _is_shown(message, part)}
    if not needed:
        return
    others = request.params.get("models")
    names = [request.model, *(others if isinstance(others, (list, tuple)) else ())]
    known = [None if str(name).startswith("openrouter/") else models.find(str(name)) for name in names]
    if any(model is None or not model.input_modalities or needed <= set(model.input_modalities) for model in known):
        return
    lacking = known[0] and sorted(needed - set(known[0].input_modalities))
    told = " and ".join([_NOUNS[kind] for kind in lacking or sorted(needed)])
    raise MediaError(
        f"{request.model} takes no {told}, says the catalogue. Nothing was sent. "
        f"{cheapest(models, lambda model: needed <= set(model.input_modalities))}"
    )


def _is_shown(message: Message, part: Part) -> bool:
    # What a model made goes back in fields of its own, which others read or leave.
    return message.role != "assistant" and part.kind in _NOUNS


def cheapest(models: Models, can: Callable[[Model], bool]) -> str:
    """Return a sentence that names the cheapest model that can, and the cheapest that is paid for."""
    able = [
        model
        for model in models.entries
        if can(model) and model.output_modalities == ("text",) and model.prices.known()
        and not model.is_router and not model.is_expiring
    ]  # fmt: skip
    paid = [model for model in able if not model.is_free]
    best = [min(found, key=_price_of) for found in (able, paid) if found]
    told = " or ".join(dict.fromkeys(f"{model.id} ({_price(model)})" for model in best))
    return f"The cheapest that can: {told}." if told else "The catalogue knows no model that can."


def _price_of(model: Model) -> tuple[object, str]:
    return model.prices.usd["prompt"] * 3 + model.prices.usd["completion"], model.id  # prompts are the longer part


def _price(model: Model) -> str:
    prompt, completion = (model.prices.usd[name].scaleb(6) for name in ("prompt", "completion"))
    if not prompt and not completion:
        return "$0"
    return f"{dollars(prompt, digits=2)} and {dollars(completion, digits=2)} per million tokens in and out"


def marked(request: Request, model: Model | None, *, ours: bool = True) -> Request:
    """Return the request with its large stable parts marked for the provider's cache, where the model needs that.

    ``cache_control`` among the params decides instead: an object goes out as it is, ``off`` leaves all marks away.
    """
    if "cache_control" in request.params:
        if request.params["cache_control"] not in _OFF:
            return request
        return replace(request, params={n: v for n, v in request.params.items() if n != "cache_control"})
    least = least_kept_tokens(request.model, model.prices if model else None) if ours else None
    if least is None or _size(request) < least or _is_marked(request):
        return request
    places = set(_places(request, least))
    messages = [
        replace(message, parts=tuple(
            replace(part, cache_control=KEPT) if (row, column) in places and isinstance(part, Text) else part
            for column, part in enumerate(message.parts)
        ))
        if any(row == place[0] for place in places) else message
        for row, message in enumerate(request.messages)
    ]  # fmt: skip
    return replace(request, messages=tuple(messages)) if places else request


def _size(request: Request) -> int:
    """Return the characters of the text: fewer than that cannot be more tokens."""
    return sum(
        len(part.text.encode("utf-8", "replace"))
        for m in request.messages
        for part in m.parts
        if isinstance(part, Text)
    )


def _is_marked(request: Request) -> bool:
    return any(isinstance(part, Text) and part.cache_control is not None for m in request.messages for part in m.parts)


def _places(request: Request, least: int) -> Iterator[tuple[int, int]]:
    """Yield where the prompt so far is long enough and will come again: instructions, documents, past turns."""
    told = iter(estimate(request).parts)
    tokens = 0
    talk = request.origin.chat is not None or any(message.role == "assistant" for message in request.messages)
    for row, message in enumerate(request.messages):
        texts = [column for column, part in enumerate(message.parts) if isinstance(part, Text)]
        last = row == len(request.messages) - 1
        stable = texts[-1:] if message.role == "system" or (last and talk) else texts[-2:-1] if last else []
        for column, _ in enumerate(message.parts):
            found = next(told).tokens
            tokens += found.likely if found else 0
            if column in stable and tokens >= least:
                yield row, column
