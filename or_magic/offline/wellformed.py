"""What is wrong with the form of a request body, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_PRICE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,17})?(e-?[0-9]{1,2})?")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PARTS = frozenset({"text", "image_url", "input_audio", "file", "video_url", "input_video"})
_RANGES = {
    "temperature": (0, 2), "top_p": (0, 1), "min_p": (0, 1), "top_a": (0, 1),
    "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2), "repetition_penalty": (0, 2),
    "max_tokens": (1, 10**9), "max_completion_tokens": (1, 10**9),
}  # fmt: skip


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_tool(value: object) -> bool:
    if not isinstance(value, dict) or value.get("type") != "function":
        return isinstance(value, dict)
    function = value.get("function")
    schema = function.get("parameters", {}) if isinstance(function, dict) else None
    return isinstance(function, dict) and _is_text(function.get("name")) and isinstance(schema, (dict, type(None)))


def _is_choice(value: object) -> bool:
    return _is_text(value) or (isinstance(value, dict) and _is_object(value.get("function", {})))


def _is_format(value: object) -> bool:
    if not isinstance(value, dict) or value.get("type") != "json_schema":
        return isinstance(value, dict)
    wish = value.get("json_schema")
    return isinstance(wish, dict) and _is_object(wish.get("schema", {}))


def _is_routing(value: object) -> bool:
    highest = value.get("max_price") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(highest, (dict, type(None))):
        return False
    return all(map(_is_price, (highest or {}).values()))


def _is_price(value: object) -> bool:
    text = value if isinstance(value, str) else repr(value) if _is_number(value) else ""
    return bool(_PRICE.fullmatch(text))


_TYPES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("model", _is_text, "a text"),
    ("models", _are_texts, "a list of texts"),
    ("tools", lambda value: isinstance(value, list) and all(map(_is_tool, value)), "a list of tools, each with a name"),
    ("tool_choice", _is_choice, "a text or an object that names a function"),
    ("reasoning", _is_object, "an object"),
    ("response_format", _is_format, "an object, with a schema if its type is json_schema"),
    ("stop", lambda value: _is_text(value) or _are_texts(value), "a text or a list of texts"),
    ("modalities", _are_texts, "a list of texts"),
    ("audio", _is_object, "an object"),
    ("provider", _is_routing, "an object, with numbers in its max_price"),
)


def wrongness(body: Mapping[str, Any]) -> str:
    """Return the first thing that is wrong with a request body, empty if nothing is."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return 'Input required: specify "messages"'
    for index, message in enumerate(messages):
        if wrong := _wrong_message(message):
            return f"messages[{index}]: {wrong}"
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is not None and not (_is_number(value) and low <= value <= high):
            return f"{name} has to be a number from {low} to {high}"
    misfits = ((name, noun) for name, fits, noun in _TYPES if body.get(name) is not None and not fits(body[name]))
    return next((f"{name} has to be {noun}" for name, noun in misfits), "")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_message(message: object) -> str:
    if not isinstance(message, dict) or str(message.get("role")) not in _ROLES:
        return "role is missing or unknown"
    content = message.get("content")
    if content is None or isinstance(content, str):
        return "content is missing" if content is None and message["role"] in ("user", "system") else ""
    if not isinstance(content, list):
        return "content is neither a text nor a list of parts"
    return next((wrong for part in content if (wrong := _wrong_part(part))), "")


def _wrong_part(part: object) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str) or kind not in _PARTS:
        return f"content part of unknown type {kind!r}"
    fits = _is_text if kind == "text" else _is_object
    return "" if fits(part.get(kind)) else f"content part of type {kind!r} has no {kind!r}"
