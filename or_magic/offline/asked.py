"""A chat request as the simulator reads it, and what is wrong with it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from or_magic.offline import tokens
from or_magic.offline.attachments import Attachment, attachment
from or_magic.offline.catalogue import DEFAULT, Model
from or_magic.offline.money import price
from or_magic.offline.refusals import refusal, too_dear
from or_magic.offline.steps import Plain
from or_magic.offline.wellformed import wrongness


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
        if self._schema_in_words is not None:
            return self._schema_in_words
        return {} if wish.get("type") == "json_object" else None

    @cached_property
    def _schema_in_words(self) -> Mapping[str, Any] | None:
        """Return the JSON Schema that stands in the instructions, as a model would read it there."""
        told = "".join(text_of(message) for message in self.messages if message["role"] in ("system", "developer"))
        _, found, rest = told.partition("JSON Schema:")
        if not found:
            return {} if "JSON object" in told else None
        try:
            schema = json.JSONDecoder().raw_decode(rest.lstrip())[0]
        except (ValueError, RecursionError):
            return None
        return schema if isinstance(schema, dict) else None


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, its text parts joined by blank lines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n\n".join(str(part.get("text", "")) for part in _parts(message) if part["type"] == "text")


def outline_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message with what is no text in brackets, at its very place."""
    if isinstance(message.get("content"), str):
        return text_of(message)
    told = ""
    for part in _parts(message):
        is_text = part["type"] == "text"
        shown = str(part.get("text", "")) if is_text else f"[{attachment(part).says.split(',')[0]}]"
        told += shown if is_text or not told or told[-1].isspace() else f"\n{shown}"
    return told


def read(data: bytes) -> Asked | Plain:
    """Return the request, or the refusal that it gets."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return refusal(400, "The request body is not valid JSON")
    if not isinstance(body, dict):
        return refusal(400, "The request body is not a JSON object")
    wrong = wrongness(body)
    return refusal(400, wrong) if wrong else Asked(body)


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
    return _too_long(asked, model) or _too_dear(asked, model)


# What a maximum is told in: tokens in USD per million, the rest in USD each.
_UNITS = {"prompt": 1_000_000, "completion": 1_000_000, "request": 1, "image": 1}


def _too_dear(asked: Asked, model: Model) -> Plain | None:
    highest = (asked.body.get("provider") or {}).get("max_price") or {}
    prices = price(model.pricing, asked.prompt_tokens)
    for field, unit in _UNITS.items():
        if field in highest and Decimal(str(prices.get(field, 0))) * unit > Decimal(str(highest[field])):
            return too_dear(model.id, field)
    return None


def _too_long(asked: Asked, model: Model) -> Plain | None:
    if asked.prompt_tokens <= model.context_length:
        return None
    message = (
        f"This endpoint's maximum context length is {model.context_length} tokens. "
        f"However, you requested about {asked.prompt_tokens} tokens of input."
    )
    return refusal(400, message, {"error_type": "context_length_exceeded", "provider_name": None})
