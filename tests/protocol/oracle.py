"""A naive reader of answers, as an oracle: json.loads line by line, and the simplest fold that can be right. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass
class Naive:
    """What the naive reader makes of an answer."""

    text: str = ""
    reasoning: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    tools: list[dict[str, str]] = field(default_factory=list)
    citations: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    error: Any = None
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    comments: int = 0
    broken: bool = False
    costs: list[Any] = field(default_factory=list)
    words_only: bool = False


def naive_data(raw: bytes) -> list[str]:
    """Return the data of every event, by the letter of the standard, in the slowest way."""
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = re.split("\r\n|\r|\n", text)
    events: list[str] = []
    data: list[str] = []
    for line in lines[:-1]:
        if not line:
            if data:
                events.append("\n".join(data))
            data = []
            continue
        name, _, value = line.partition(":")
        if name == "data" and not line.startswith(":"):
            data.append(value.removeprefix(" "))
    return events


def naive(raw: bytes, *, words_only: bool = False) -> Naive:
    """Read a stream; of a broken one only the words, the reason and the money can be read so simply."""
    told = Naive(comments=len(re.findall(rb"(?:^|[\r\n]):", raw)), words_only=words_only)
    for data in naive_data(raw):
        if data.strip() == "[DONE]":
            break
        if data.strip():
            _take(told, data)
    return told


def naive_whole(body: bytes) -> Naive:
    """Read an answer that was not streamed."""
    told = Naive()
    _take(told, body.decode("utf-8", "replace"))
    return told


def _take(told: Naive, data: str) -> None:
    try:
        chunk = json.loads(data, parse_float=Decimal)
    except (ValueError, RecursionError):
        told.broken = True
        return
    if not isinstance(chunk, dict):
        told.broken = True
        return
    for name in ("model", "provider"):
        setattr(told, name, chunk.get(name) or getattr(told, name))
    told.id = told.id or chunk.get("id")
    told.error = told.error or chunk.get("error")
    if isinstance(chunk.get("usage"), dict):
        told.costs.append(chunk["usage"].get("cost"))
        told.usage |= {key: value for key, value in chunk["usage"].items() if value is not None}
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and not choice.get("index"):
            _take_choice(told, choice)


def _take_choice(told: Naive, choice: dict[str, Any]) -> None:
    reason = choice.get("finish_reason")
    told.finish = reason if isinstance(reason, str) and reason else told.finish
    told.error = told.error or choice.get("error")
    delta = choice.get("delta") or choice.get("message")
    if not isinstance(delta, dict):
        return
    if isinstance(delta.get("content"), str):
        told.text += delta["content"]
    told.text += "".join([part["text"] for part in _list(delta, "content") if isinstance(part.get("text"), str)])
    if not told.words_only:
        _take_parts(told, delta)


def _take_parts(told: Naive, delta: dict[str, Any]) -> None:
    if isinstance(delta.get("reasoning"), str):
        told.reasoning += delta["reasoning"]
    for detail in _list(delta, "reasoning_details"):
        _take_detail(told.details, detail)
    for annotation in _list(delta, "annotations"):
        if annotation.get("type") == "file":
            told.files.append(annotation)
        elif annotation["url_citation"]["url"] not in told.citations:
            told.citations.append(annotation["url_citation"]["url"])
    told.images += [image["image_url"]["url"] for image in _list(delta, "images")]
    for call in _list(delta, "tool_calls"):
        while len(told.tools) <= call["index"]:
            told.tools.append({"id": "", "name": "", "arguments": ""})
        known = told.tools[call["index"]]
        known["id"] = known["id"] or call.get("id") or ""
        known["name"] = known["name"] or call["function"].get("name") or ""
        known["arguments"] += call["function"].get("arguments") or ""


def _take_detail(details: list[dict[str, Any]], told: dict[str, Any]) -> None:
    for known in details:
        if (known.get("index"), known["type"]) == (told.get("index"), told["type"]):
            for key, value in told.items():
                known[key] = known.get(key, "") + value if key in ("text", "summary") else value or known.get(key)
            return
    details.append(dict(told))


def _list(delta: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = delta.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
