"""Which model for which task: the rules as data, to be read and changed; and what a choice is. Pure.

A rule says what a model must be able to do, how long a usual call is, and which families are preferred where the
catalogue has no benchmarks. ``[choose.TASK]`` in the config file changes a rule's fields, or adds a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any

from . import neutral
from .values import dollars

COMPLEXITIES = ("low", "medium", "high")
INDICES = ("intelligence_index", "coding_index", "agentic_index")
# Of the models that can do it, the cheapest that reaches this share of the best one's index.
SHARES = {"low": 0.5, "medium": 0.75, "high": 0.95}

# Families for where no benchmarks are told, in the order of preference; the newest of each is meant. # is a version,
# such as 5 or 4.6, * is anything, [] may be missing. Families outlive models, but not for ever: the date is the list's.
FAMILIES_DATE = date(2026, 5, 1)
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "high": (
        "anthropic/claude-opus-#",
        "openai/gpt-#",
        "google/gemini-#-pro[-preview]",
        "x-ai/grok-#",
        "deepseek/deepseek-v#-pro",
        "moonshotai/kimi-k#",
    ),
    "medium": (
        "anthropic/claude-sonnet-#",
        "openai/gpt-#-mini",
        "google/gemini-#-flash[-preview]",
        "deepseek/deepseek-v#*",
        "mistralai/mistral-large-#",
        "qwen/qwen#-plus",
    ),
    "low": (
        "google/gemini-#-flash-lite[-preview]",
        "openai/gpt-#-nano",
        "mistralai/mistral-small-#*",
        "amazon/nova-*lite-v#",
        "deepseek/deepseek-v#-flash",
        "anthropic/claude-haiku-#",
    ),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a task asks of a model; ``high``, ``medium`` and ``low`` are families that stand before the general ones.

    ``inputs`` and ``parameters`` are the catalogue's words (``image``; ``tools``), ``index`` one of its benchmarks.
    """

    about: str = "a task of yours"
    prompt_tokens: int = 1_000
    answer_tokens: int = 500
    complexity: str = "medium"
    inputs: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    context_tokens: int = 0
    index: str = "intelligence_index"
    high: tuple[str, ...] = ()
    medium: tuple[str, ...] = ()
    low: tuple[str, ...] = ()


RULES: Mapping[str, Rule] = {
    "coding": Rule(
        "writing and mending code", 2_000, 1_500, index="coding_index", context_tokens=32_000,
        high=("anthropic/claude-opus-#", "openai/gpt-#-codex*"),
        medium=("anthropic/claude-sonnet-#", "openai/gpt-#-codex-mini"),
        low=("qwen/qwen#-coder*", "openai/gpt-#-mini", "mistralai/codestral-#"),
    ),
    "creative": Rule("stories, names, variations", 500, 1_500),
    "analysis": Rule("conclusions from data and texts", 4_000, 1_000, context_tokens=32_000),
    "summary": Rule("a long text made short", 8_000, 500, complexity="low", context_tokens=64_000),
    "reasoning": Rule("problems that need thinking first", 1_000, 4_000, complexity="high", parameters=("reasoning",)),
    "tools": Rule("calling functions", 3_000, 500, index="agentic_index", parameters=("tools",)),
    "vision": Rule("questions about a picture", 2_000, 500, inputs=("image",)),
    "long": Rule("questions about very long texts", 150_000, 1_000, context_tokens=400_000),
    "simple": Rule("short questions, many of them", 300, 200, complexity="low"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, who is asked where it fails, why it was chosen, and what a usual call of it costs."""

    id: str
    fallbacks: tuple[str, ...]
    reason: str
    estimate_usd: Decimal

    def _repr_markdown_(self) -> str:
        then = f" Where it fails: {', '.join(self.fallbacks)}." if self.fallbacks else ""
        told = f"{self.id}: {self.reason} A usual call costs about {dollars(self.estimate_usd)}.{then}"
        return neutral.literal(told)


def parse_rules(value: object) -> dict[str, Rule]:
    """Return the rules of a table of tables, each with what it changes of the built-in rule of its task.

    Raises:
        ValueError: a field is unknown or of another kind.
    """
    if not isinstance(value, Mapping) or not all(isinstance(told, Mapping) for told in value.values()):
        raise ValueError('it is a table of tables: below [choose.coding] write high = ["anthropic/claude-opus-#"]')
    return {str(task): _changed(str(task), told) for task, told in value.items()}


def _changed(task: str, told: Mapping[str, Any]) -> Rule:
    if not task.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{task!r} cannot be the name of a task")
    rule = RULES.get(task, Rule())
    known = {field.name: getattr(rule, field.name) for field in fields(Rule)}
    for name, value in told.items():
        if name not in known:
            raise ValueError(f"{task} has {name!r}, which is none of {', '.join(known)}")
        if not _fits(name, value, known[name]):
            raise ValueError(f"{name} of {task} cannot be {value!r}")
    changes: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return replace(rule, **changes)


def _fits(name: str, value: object, example: object) -> bool:
    if name == "complexity":
        return value in COMPLEXITIES
    if name == "index":
        return value in INDICES
    if isinstance(example, tuple):
        return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)
    if isinstance(example, int):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, str)
