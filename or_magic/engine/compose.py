"""Options and a prompt become a Request. Reads what the prompt names, sends nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..budget import Standing
from ..content import Text
from ..errors import OptionError
from ..events import Notice
from ..media import attached
from ..objects import attachable
from ..options import Options
from ..settings import Settings
from ..values import Message, Origin, Request
from .bills import Expected
from .choosing import is_auto
from .insert import Inserted, Note, Prompt, checked, system_parts, user_parts

LOCAL = "local:"
NO_FALLBACK = "none"


@dataclass(frozen=True, slots=True)
class Preview:
    """A call that was not made: its JSON body, what it will likely take, what it may cost at most.

    ``bound_usd`` is None where no bound can be given: an unknown price, or what nobody can count beforehand.
    ``standings`` are the budgets that it would have to keep; ``inserted`` what expressions and objects became;
    ``notes`` what is left out of the conversation; ``notices`` what is worth knowing before it is sent.
    """

    request: Request
    body: Mapping[str, Any]
    expected: Expected
    bound_usd: Decimal | None
    standings: tuple[Standing, ...] = ()
    inserted: tuple[Inserted, ...] = ()
    notes: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def prompt_tokens(self) -> int:
        """The likely figure alone."""
        return self.expected.prompt.likely


def compose(
    prompt: Prompt,
    options: Options,
    settings: Settings,
    origin: Origin,
    *,
    values: Mapping[str, Any] | None = None,
    note: Note | None = None,
) -> Request:
    """Return the request; ``values`` opts in to templates in the prompt and the system prompt.

    ``note`` is told what is inserted, by its expression.

    Raises:
        OptionError, TemplateError, MediaError: it cannot be composed; nothing was sent.
    """
    messages = []
    if options.system is not None:
        messages.append(Message("system", system_parts(options.system, values, note)))
    documents, shown = attached(options.attach, attachable)
    for part in (*documents, *shown):
        checked(part, "An attachment")
    parts = (*documents, *user_parts(prompt, values, note), *shown)
    if not any(not isinstance(part, Text) or part.text.strip() for part in parts):
        raise OptionError("The prompt is empty. Nothing was sent.")
    messages.append(Message("user", parts))
    model = _known(settings.resolve(options.model), settings)
    chain = [_known(settings.resolve(name), settings) for name in _fallbacks(options, settings)]
    others = [name for name in dict.fromkeys(chain) if name != model]
    remote = [] if is_local(model) else [name for name in others if not is_local(name)]
    params = _params(options, remote)
    if is_auto(model) and "models" not in options.params:  # the choice brings its own, unless the call names them
        named = {"models": remote} if options.fallback else {}
        params = {name: value for name, value in params.items() if name != "models"} | named
    return Request(
        model=model,
        messages=tuple(messages),
        params=params,
        stream=not options.no_stream,
        origin=origin,
        timeouts=settings.timeouts,
        budget_usd=options.budget,
        waived=options.yes,
        elsewhere=tuple([name for name in others if is_local(name)]),
    )


def is_local(model: str) -> bool:
    """Whether a model's name is that of a local server."""
    return model.startswith(LOCAL)


def local_name(model: str) -> tuple[str, str | None]:
    """Return the server and the model of ``local:NAME`` or ``local:NAME/MODEL``."""
    name, _, chosen = model.removeprefix(LOCAL).partition("/")
    return name, chosen or None


def _known(model: str, settings: Settings) -> str:
    if is_local(model) and local_name(model)[0] not in settings.local:
        name, known = local_name(model)[0], ", ".join([f"{LOCAL}{each}" for each in settings.local])
        told = f"Known are {known}." if known else "There are none yet."
        raise OptionError(
            f"{model!r} names no local server. {told} Nothing was sent. They go into the config file: below [local] "
            f'write {name or "ollama"} = "http://127.0.0.1:11434/v1".'
        )
    return model


def _fallbacks(options: Options, settings: Settings) -> tuple[str, ...]:
    if options.fallback == (NO_FALLBACK,) or "models" in options.params:
        return ()
    return options.fallback or settings.fallback_models


def _named(options: Options) -> dict[str, Any]:
    """Return the fields of the request that options of their own name (WIRE.md §2)."""
    routing = {"only": list(options.provider), "sort": options.sort, "zdr": options.zdr or None}
    named = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "max_tokens": options.max_tokens,
        "seed": options.seed,
        "stop": list(options.stop),
        "reasoning": _reasoning(options.reasoning),
        "provider": {name: value for name, value in routing.items() if value},
    }
    # Not by ==, which numpy's numbers answer with an array.
    return {
        name: value
        for name, value in named.items()
        if not (value is None or (isinstance(value, (list, dict)) and not value))
    }


def _reasoning(level: str | int | None) -> dict[str, Any] | None:
    if level is None:
        return None
    return {"effort": level} if isinstance(level, str) else {"max_tokens": level}


def _with(named: Mapping[str, Any], params: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Return both together.

    Raises:
        OptionError: they say different things about the same field.
    """
    both = dict(named)
    for name, value in params.items():
        mine = both.get(name)
        if isinstance(mine, dict) and isinstance(value, Mapping):
            both[name] = _with(mine, value, f"{at}{name}.")
        elif name in both and mine != value:
            raise OptionError(f"{at}{name} is given twice: {mine!r} and {value!r}. Nothing was sent.")
        else:
            both[name] = value
    return both


def _params(options: Options, models: list[str]) -> Mapping[str, Any]:
    params = _with(_named(options), options.params)
    if models:
        params["models"] = models
    told = [options.model, options.tag, *params]
    try:
        json.dumps([told, params], allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise OptionError(f"An option cannot be written as JSON: {error}. Nothing was sent.") from None
    for name in ("model", "messages", "stream"):
        if name in params:
            raise OptionError(f"{name!r} cannot be given as a parameter. Nothing was sent.")
    return params
