"""The choice of a model by the rules, from the facts of a catalogue. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from functools import cache

from ..budget import amount
from ..errors import OptionError
from ..gateway.catalog import Model, Models
from ..options import closest
from ..rules import COMPLEXITIES, FAMILIES, FAMILIES_DATE, RULES, SHARES, Choice, Rule
from ..values import EXACT, dollars

AUTO = "auto"
_ENOUGH = 3  # models with an index, for it to decide
_FALLBACKS = 2  # OpenRouter takes three models for one call
_PER_TOKEN = 10  # a price of a picture that is hardly more than a token's is one of its tokens (WIRE.md §8)
_ORDER = {"high": ("high", "medium", "low"), "medium": ("medium", "low", "high"), "low": ("low", "medium", "high")}
_NOUNS = {"coding_index": "coding", "agentic_index": "agentic", "intelligence_index": "intelligence"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a model is chosen for; tokens are those of the call, where they are known.

    ``room_tokens`` is what it has to read with the longest answer that is asked for.
    """

    task: str
    complexity: str | None = None
    max_usd: Decimal | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    room_tokens: int = 0
    inputs: frozenset[str] = frozenset()
    suits: Callable[[Model], bool] = field(default=lambda _: True)
    free: bool = False
    expiring: bool = False


def is_auto(model: str) -> bool:
    """Whether a model's name asks for a choice; OpenRouter's own router does not."""
    return model == AUTO or model.startswith(f"{AUTO}:")


def parse_auto(model: str, rules: Mapping[str, Rule]) -> tuple[str, str | None]:
    """Return task and complexity of ``auto:TASK[:COMPLEXITY]``.

    Raises:
        OptionError: there is no such task or complexity.
    """
    _, _, rest = model.partition(":")
    task, colon, complexity = rest.partition(":")
    _check(task, complexity if colon else None, {**RULES, **rules})
    return task, complexity or None


def choose(models: Models, wanted: Wanted, rules: Mapping[str, Rule], today: date) -> Choice:
    """Return the model that the rules choose.

    Raises:
        OptionError: the task is unknown, no model can do it, or none does it for ``max_usd``; the cheapest is named.
    """
    known = {**RULES, **rules}
    _check(wanted.task, wanted.complexity, known)
    rule = known[wanted.task]
    usd = {model.id: _usd(model, rule, wanted) for model in models.entries if _can(model, rule, wanted, today)}
    able = [model for model in models.entries if model.id in usd]
    able = [model for model in able if wanted.suits(model)] or able
    if not able:
        raise OptionError(
            f"No model of the catalogue ({models.source}) can do {wanted.task!r}: {_needs(rule, wanted)}. "
            "Nothing was sent. %or models lists what there is."
        )
    limit = wanted.max_usd
    fitting = [model for model in able if limit is None or usd[model.id] <= limit]
    if not fitting:
        cheapest = min(able, key=lambda model: (usd[model.id], model.id))
        raise OptionError(
            f"No model does {wanted.task!r} for {amount(limit or Decimal(0))} a call. Nothing was sent. The cheapest "
            f"that can is {cheapest.id}, about {dollars(usd[cheapest.id])}."
        )
    complexity = wanted.complexity or rule.complexity
    ranked = list(_ranked(fitting, rule, complexity, usd))
    first, why = ranked[0]
    within = "" if limit is None else f" within {amount(limit)}"
    reason = f"{wanted.task}, {complexity}: {why}, of {len(fitting)} that can do it{within}."
    return Choice(first.id, _fallbacks([model for model, _ in ranked]), reason, usd[first.id])


def _check(task: str, complexity: str | None, known: Mapping[str, Rule]) -> None:
    if task not in known:
        near = closest(task, list(known)) if task else ""
        hint = near if near.startswith(" Did") else ""
        named = f"There is no task {task!r} to choose a model for.{hint}" if task else "auto: needs a task."
        raise OptionError(f"{named} Tasks are {', '.join(known)}, as in -m auto:coding:high. Nothing was sent.")
    if complexity is not None and complexity not in COMPLEXITIES:
        raise OptionError(
            f"There is no complexity {complexity!r}.{closest(complexity, list(COMPLEXITIES))} Nothing was sent."
        )


def _can(model: Model, rule: Rule, wanted: Wanted, today: date) -> bool:
    """Whether a model may be chosen: it can do the task, has a price, and stays."""
    if model.is_router or model.is_alias or not model.prices.known() or set(model.output_modalities) - {"text"}:
        return False
    if (model.is_free and not wanted.free) or (model.is_expiring and not wanted.expiring) or model.is_gone(today):
        return False
    _, answer = _tokens(rule, wanted)
    longest, context = model.max_completion_tokens, model.context_tokens
    return (
        set(rule.inputs) | wanted.inputs <= set(model.input_modalities)
        and set(rule.parameters) <= set(model.supported)
        and (context or 0) >= _room(rule, wanted)
        and (longest is None or longest >= answer)
    )


def _tokens(rule: Rule, wanted: Wanted) -> tuple[int, int]:
    told = (wanted.prompt_tokens, wanted.answer_tokens)
    return (rule.prompt_tokens if told[0] is None else told[0], rule.answer_tokens if told[1] is None else told[1])


def _room(rule: Rule, wanted: Wanted) -> int:
    """Return how many tokens a model has to read, its answer included."""
    usual = rule.context_tokens if wanted.prompt_tokens is None else 0
    return max(usual, sum(_tokens(rule, wanted)), wanted.room_tokens)


def _usd(model: Model, rule: Rule, wanted: Wanted) -> Decimal:
    """Return what a call costs at the dearest of the model's prices for such a prompt."""
    prompt, answer = _tokens(rule, wanted)
    usd = model.prices.dearest(prompt)
    picture = usd.get("image", Decimal(0))
    with localcontext(EXACT):
        fee = picture if "image" in {*rule.inputs, *wanted.inputs} and picture > usd["prompt"] * _PER_TOKEN else 0
        return usd["prompt"] * prompt + usd["completion"] * answer + usd.get("request", Decimal(0)) + fee


def _ranked(
    models: list[Model], rule: Rule, complexity: str, usd: Mapping[str, Decimal]
) -> Iterator[tuple[Model, str]]:
    """Yield models, the best first, each with the reason: by benchmark, else by family, else by price."""
    index = {model.id: model.benchmarks[rule.index] for model in models if rule.index in model.benchmarks}
    if len(index) >= _ENOUGH:
        yield from _by_index(models, index, rule.index, complexity, usd)
        return
    levels = [list(_by_family(models, rule, level)) for level in _ORDER[complexity]]
    others = [pair for level in levels[1:] for pair in level]
    if complexity == "low":  # where none of its families is there, a low price is still what is meant
        others.sort(key=lambda pair: usd[pair[0].id])
    found: dict[str, tuple[Model, str]] = {}
    for model, why in [*levels[0], *others]:
        found.setdefault(model.id, (model, why))
    yield from found.values()
    yield from _by_price([model for model in models if model.id not in found], complexity, usd)


def _by_index(
    models: list[Model], index: Mapping[str, float], name: str, complexity: str, usd: Mapping[str, Decimal]
) -> Iterator[tuple[Model, str]]:
    best, share = max(index.values()), SHARES[complexity]
    good = [model for model in models if index.get(model.id, -1.0) >= share * best]
    others = [model for model in models if model.id in index and model not in good]
    for model in sorted(good, key=lambda model: (usd[model.id], model.id)):
        yield (
            model,
            (
                f"the cheapest with at least {share:.0%} of the best {_NOUNS[name]} index "
                f"({index[model.id]:g} of {best:g}, says the catalogue)"
            ),
        )
    for model in sorted(others, key=lambda model: -index[model.id]):
        yield model, f"the next best {_NOUNS[name]} index"


def _by_family(models: list[Model], rule: Rule, level: str) -> Iterator[tuple[Model, str]]:
    """Yield the newest of each family of one complexity, the task's own first."""
    for family in (*getattr(rule, level), *FAMILIES[level]):
        members = [model for model in models if _pattern(family).fullmatch(model.id)]
        if members:
            newest = max(members, key=lambda model: (model.created or 0, model.id))
            yield newest, f"the newest {_plain(family)} (families of {FAMILIES_DATE.isoformat()}, {level})"


def _by_price(models: list[Model], complexity: str, usd: Mapping[str, Decimal]) -> Iterator[tuple[Model, str]]:
    """Yield the rest: the newest of the cheap, middle or dear third first."""
    ordered = sorted(models, key=lambda model: (usd[model.id], model.id))
    place = COMPLEXITIES.index(complexity)
    third = ordered[len(ordered) * place // 3 : max(len(ordered) * (place + 1) // 3, 1)] or ordered
    third = sorted(third, key=lambda model: (-(model.created or 0), model.id))
    word = ("cheapest", "middle", "dearest")[place]
    yield from ((model, f"the newest of the {word} third: no benchmark and no known family") for model in third)
    yield from ((model, "one of the others") for model in ordered if model not in third)


def _fallbacks(ranked: list[Model]) -> tuple[str, ...]:
    """Return who is asked next: of other vendors first, since a vendor fails as a whole."""
    first, *rest = ranked
    found: list[Model] = []
    for model in rest:
        if len(found) < _FALLBACKS and model.vendor not in {each.vendor for each in [first, *found]}:
            found.append(model)
    found += [model for model in rest if model not in found][: _FALLBACKS - len(found)]
    return tuple(model.id for model in found)


def _needs(rule: Rule, wanted: Wanted) -> str:
    told = [
        f"input {', '.join(sorted({*rule.inputs, *wanted.inputs}))}" if {*rule.inputs, *wanted.inputs} else "",
        f"parameters {', '.join(rule.parameters)}" if rule.parameters else "",
        f"room for {_room(rule, wanted):,} tokens",
    ]
    return "it needs " + ", ".join([text for text in told if text])


def _plain(family: str) -> str:
    """Return a family's name without what stands for versions: anthropic/claude-opus."""
    return re.sub(r"-+(?=-|$)", "", re.sub(r"\[.*?\]|-v#|[#*]", "", family))


@cache
def _pattern(family: str) -> re.Pattern[str]:
    escaped = re.escape(family).replace(r"\#", r"\d+(?:\.\d+)*").replace(r"\*", ".*")
    return re.compile(re.sub(r"\\\[(.*?)\\\]", r"(?:\1)?", escaped))
