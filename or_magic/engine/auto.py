"""``auto:TASK[:COMPLEXITY]`` in the place of a model: chosen when the call is made, for just that call. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date

from ..errors import OptionError
from ..estimate import estimate_tokens
from ..events import Notice
from ..gateway.catalog import Models
from ..rules import RULES, Choice, Rule
from ..values import Request
from .chat import Whole
from .choosing import Wanted, choose, is_auto, parse_auto
from .suitability import lacking

_SEEN = ("image", "audio", "video")  # documents go to every model (WIRE.md §3)
_LIMITS = ("max_tokens", "max_completion_tokens")


def with_choice(
    request: Request,
    whole: Callable[[Request], Whole],
    rules: Mapping[str, Rule],
    models: Models | None,
    today: date,
) -> tuple[Request, tuple[Notice, ...]]:
    """Return the request to the chosen model, its fallbacks along, and a short word on what was chosen.

    What the model is to read is the ``whole`` conversation; where that may be shortened and no model reads it all, the
    question alone decides. A budget of the call is also the most that a usual answer to it may cost. Fallbacks that
    the call names stay.

    Raises:
        OptionError: nothing can be chosen; ``models`` is None where the gateway has another catalogue.
    """
    if not is_auto(request.model) or request.endpoint != "chat":
        return request, ()
    task, complexity = parse_auto(request.model, rules)
    rule = {**RULES, **rules}[task]
    if models is None:
        raise OptionError(
            f"{request.model} chooses among OpenRouter's models, and another gateway is asked. Nothing was sent. "
            "Name a model of that gateway."
        )
    seen = whole(request)
    try:
        found = choose(models, wanted(seen, task, complexity, rules), rules, today)
    except OptionError:
        if not seen.may_shrink:
            raise
        found = choose(models, wanted(Whole(request, estimate_tokens(request)), task, complexity, rules), rules, today)
    return _to(request, found), (Notice("chosen", f"{found.id} chosen for {task}, {complexity or rule.complexity}"),)


def wanted(whole: Whole, task: str, complexity: str | None, rules: Mapping[str, Rule]) -> Wanted:
    """Return what a model has to be able to do for just this request."""
    request = whole.request
    rule = {**RULES, **rules}.get(task, Rule())
    limits = [limit for name in _LIMITS if isinstance(limit := request.params.get(name), int)]
    params = (
        {"response_format": {"type": "json_schema"}, **request.params} if request.schema is not None else request.params
    )
    kinds = {part.kind for message in request.messages for part in message.parts if message.role != "assistant"}
    return Wanted(
        task,
        complexity,
        max_usd=request.budget_usd,
        prompt_tokens=whole.tokens,
        answer_tokens=min([rule.answer_tokens, *limits]),
        room_tokens=whole.tokens + max(limits, default=0),
        inputs=frozenset(kinds & set(_SEEN)),
        suits=lambda model: not lacking(model, params),
    )


def _to(request: Request, choice: Choice) -> Request:
    params = {"models": list(choice.fallbacks), **request.params}
    if not params.get("models"):
        params.pop("models", None)
    return replace(request, model=choice.id, params=params)
