"""A chat request as the simulator reads it, and what is wrong with it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from or_magic.offline import tokens
from or_magic.offline.attachments import Attachment, attachment
from or_magic.offline.catalogue import DEFAULT, Model
from or_magic.offline.refusals import refusal
from or_magic.offline.steps import Plain

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PARTS = frozenset({"text", "image_url", "input_audio", "file", "video_url", "input_video"})
_RANGES = {
    "temperature": (0, 2), "top_p": (0, 1), "min_p": (0, 1), "top_a": (0, 1),
    "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2), "repetition_penalty": (0, 2),
    "max_tokens": (1, 10**9), "max_completion_tokens": (1, 10**9),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request body that is well formed."""

    body: Mapping[str, Any]

    @property
    def stream(self) -> bool:
        """Return whether a stream is wanted."""
        return self.body.get("stream") is True

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """Return the messages as they came."""
        messages: list[Mapping[str, Any]] = self.body["messages"]
        return messages

    @property
    def candidates(self) -> list[str]:
        """Return the model ids in the order in which they are tried."""
        first = [self.body["model"]] if self.body.get("model") else []
        return list(dict.fromkeys([*first, *(self.body.get("models") or [])])) or [DEFAULT]

    @cached_property
    def digest(self) -> str:
        """Return what identifies this body, so that equal questions get equal answers."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()

    @cached_property
    def attachments(self) -> list[Attachment]:
        """Return every part that is not text, in order."""
        return [attachment(part) for message in self.messages for part in _parts(message) if part["type"] != "text"]

    @cached_property
    def prompt_tokens(self) -> int:
        """Return what the whole prompt counts."""
        texts = sum(tokens.count(text_of(message)) + tokens.PER_MESSAGE for message in self.messages)
        tools = tokens.count(json.dumps(self.body["tools"])) if self.body.get("tools") else 0
        return texts + tools + sum(part.tokens for part in self.attachments)

    @property
    def last_user_text(self) -> str:
        """Return the text of the last user message."""
        users = (text_of(message) for message in reversed(self.messages) if message["role"] == "user")
        return next(users, "")

    @property
    def max_tokens(self) -> int | None:
        """Return the smaller of the two limits."""
        limits = (self.body.get("max_completion_tokens"), self.body.get("max_tokens"))
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def stops(self) -> list[str]:
        """Return the texts before which the answer ends."""
        stop = self.body.get("stop") or []
        return [stop] if isinstance(stop, str) else [text for text in stop if text]

    @property
    def functions(self) -> list[Mapping[str, Any]]:
        """Return the function tools offered; server tools are not simulated."""
        return [tool["function"] for tool in self.body.get("tools") or [] if tool.get("type") == "function"]

    @property
    def reasons(self) -> bool:
        """Return whether thinking was asked for and may be shown."""
        wish = self.body.get("reasoning") or {}
        effort = wish.get("effort", self.body.get("reasoning_effort"))
        if wish.get("exclude") or wish.get("enabled") is False or effort == "none":
            return False
        return bool(effort or wish.get("max_tokens") or wish.get("enabled"))

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """Return the JSON schema that the answer has to match, {} for any object, None for free text."""
        wish = self.body.get("response_format") or {}
        if wish.get("type") == "json_schema":
            schema: Mapping[str, Any] = (wish.get("json_schema") or {}).get("schema") or {}
            return schema
        return {} if wish.get("type") == "json_object" else None


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, its text parts joined by blank lines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part.get("text", "")) for part in _parts(message) if part["type"] == "text")


def read(data: bytes) -> Asked | Plain:
    """Return the request, or the refusal that it gets."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return refusal(400, "The request body is not valid JSON")
    if not isinstance(body, dict):
        return refusal(400, "The request body is not a JSON object")
    wrong = _wrong(body)
    return refusal(400, wrong) if wrong else Asked(body)


def _wrong(body: dict[str, Any]) -> str:
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
    return _wrong_type(body)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_message(message: object) -> str:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        return "role is missing or unknown"
    content = message.get("content")
    if content is None or isinstance(content, str):
        return "content is missing" if content is None and message["role"] in ("user", "system") else ""
    if not isinstance(content, list):
        return "content is neither a text nor a list of parts"
    kinds = [part.get("type") if isinstance(part, dict) else None for part in content]
    unknown = [kind for kind in kinds if kind not in _PARTS]
    return f"content part of unknown type {unknown[0]!r}" if unknown else ""


_TYPES: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("model", str, "a text"),
    ("models", list, "a list"),
    ("tools", list, "a list"),
    ("reasoning", dict, "an object"),
    ("response_format", dict, "an object"),
    ("stop", (str, list), "a text or a list of texts"),
    ("modalities", list, "a list"),
)


def _wrong_type(body: dict[str, Any]) -> str:
    for name, kind, noun in _TYPES:
        if body.get(name) is not None and not isinstance(body[name], kind):
            return f"{name} has to be {noun}"
    if not all(isinstance(name, str) for name in body.get("models") or []):
        return "models has to be a list of texts"
    for tool in body.get("tools") or []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or (tool.get("type") == "function" and not isinstance(function, dict)):
            return "tools has to be a list of tools"
        if isinstance(function, dict) and not isinstance(function.get("name"), str):
            return "a function tool has no name"
    return ""


def unsuited(asked: Asked, model: Model) -> Plain | None:
    """Return the refusal when this model cannot take this request."""
    if any(part.broken for part in asked.attachments):
        broken = next(part for part in asked.attachments if part.broken)
        kind = {"error_type": "invalid_image"} if broken.needs == "image" else {}
        return refusal(400, f"A content part cannot be read: {broken.says}", kind)
    # A file goes to every model: OpenRouter parses it into text where the model cannot.
    missing = {part.needs for part in asked.attachments} - model.inputs - {"file"}
    if missing:
        noun = {"image": "image input", "audio": "input audio", "video": "video input"}[min(missing)]
        return refusal(404, f"No endpoints found that support {noun}")
    if asked.functions and "tools" not in model.parameters:
        return refusal(404, f'No endpoints found that support tool use. Try disabling "{asked.functions[0]["name"]}".')
    wanted = set(asked.body.get("modalities") or []) - model.outputs
    if wanted:
        return refusal(
            404, f"No endpoints found that support the requested output modalities: {', '.join(sorted(wanted))}"
        )
    if "audio" in (asked.body.get("modalities") or []) and not asked.stream:
        return refusal(400, "Audio output requires stream: true")
    return _too_long(asked, model)


def _too_long(asked: Asked, model: Model) -> Plain | None:
    if asked.prompt_tokens <= model.context_length:
        return None
    message = (
        f"This endpoint's maximum context length is {model.context_length} tokens. "
        f"However, you requested about {asked.prompt_tokens} tokens of input."
    )
    return refusal(400, message, {"error_type": "context_length_exceeded", "provider_name": None})
