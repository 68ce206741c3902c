"""What the simulator answers: it says that it is one, and tells back what it received. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from or_magic.offline import media, tokens
from or_magic.offline.asked import Asked, outline_of, text_of
from or_magic.offline.attachments import read_out_of, sent_back
from or_magic.offline.catalogue import Model
from or_magic.offline.example import example, marked
from or_magic.offline.prompt_cache import marks

_QUOTE_CHARACTERS = 600
_TOLD_ELSEWHERE = frozenset({"messages", "model", "models", "tools", "stream"})
_CODE = '```python\n# The offline simulator wrote this, not a model.\nprint("simulated")\n```'


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool; ``arguments`` is the JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Sound:
    """Spoken output: base64 data and what it says."""

    data: str
    transcript: str


@dataclass(frozen=True)
class Answer:
    """One answer before it is cut into chunks."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    images: tuple[str, ...] = ()
    sound: Sound | None = None
    citations: tuple[Mapping[str, Any], ...] = ()
    refusal: str | None = None
    finish_reason: str | None = "stop"
    native_finish_reason: str | None = "stop"
    chunk_tokens: int = 2

    @property
    def reasoning_tokens(self) -> int:
        """Return what the thinking counts."""
        return tokens.count(self.reasoning)

    @property
    def media_tokens(self) -> int:
        """Return what the pictures count."""
        return tokens.PICTURE * len(self.images)

    @property
    def audio_tokens(self) -> int:
        """Return what the sound counts."""
        return tokens.SECOND_OF_AUDIO if self.sound else 0

    @property
    def completion_tokens(self) -> int:
        """Return what everything that is said counts."""
        said = tokens.count(self.text) + tokens.count(self.refusal or "") + self.reasoning_tokens
        called = sum(call_tokens(call) for call in self.calls)
        return said + called + self.media_tokens + self.audio_tokens


def call_tokens(call: ToolCall) -> int:
    """Return what a tool call counts: its name and its arguments."""
    return tokens.count(call.name) + tokens.count(call.arguments)


def answer(asked: Asked, model: Model) -> Answer:
    """Return the answer to a request, the same for the same body."""
    reasoning = _thought(asked) if asked.reasons else ""
    call = called(asked)
    if call:
        found = Answer(calls=(call,), finish_reason="tool_calls", native_finish_reason="tool_calls")
    elif asked.schema is not None:
        value = marked(example(asked.schema or {"type": "object"}), asked.schema)
        found = Answer(json.dumps(value, ensure_ascii=False))
    else:
        found = _told(asked, model)
    return limited(replace(found, reasoning=reasoning), asked)


def _told(asked: Asked, model: Model) -> Answer:
    wanted = set(asked.body.get("modalities") or [])
    if "audio" in wanted:
        return Answer(sound=sound(asked))
    images = (picture(asked),) if "image" in wanted else ()
    return Answer(report(asked, model), images=images, citations=read_out_of(asked.messages))


def limited(found: Answer, asked: Asked) -> Answer:
    """Return the answer as ``stop`` and ``max_tokens`` leave it."""
    ends = [position for stop in asked.stops if (position := found.text.find(stop)) >= 0]
    if ends:
        found = replace(found, text=found.text[: min(ends)])
    if asked.max_tokens is None or found.completion_tokens <= asked.max_tokens:
        return found
    return _cut(found, asked.max_tokens)


def _cut(found: Answer, left: int) -> Answer:
    reasoning = tokens.cut(found.reasoning, left)
    left -= tokens.count(reasoning)
    text = tokens.cut(found.text, left)
    left -= tokens.count(text)
    calls = tuple(replace(call, arguments=tokens.cut(call.arguments, max(0, left - 2))) for call in found.calls[:1])
    fits = replace(found, reasoning=reasoning, text=text, calls=calls if left > 2 else ())
    return replace(fits, finish_reason="length", native_finish_reason="max_tokens")


def _thought(asked: Asked) -> str:
    count = len(asked.messages)
    return (
        "This is simulated thinking; no model thinks here. "
        f"The request has {count} message{'s' * (count != 1)} and about {asked.prompt_tokens} tokens. "
        "The simulator will tell back what it received."
    )


def called(asked: Asked) -> ToolCall | None:
    """Return the tool call that the request leads to: required, named, or mentioned; none right after a result."""
    choice = asked.body.get("tool_choice")
    if not asked.functions or choice == "none" or asked.messages[-1]["role"] == "tool":
        return None
    name = choice.get("function", {}).get("name") if isinstance(choice, Mapping) else None
    by_name = {function["name"]: function for function in asked.functions}
    mentioned = [each for each in by_name if each in asked.last_user_text]
    chosen = [each for each in (name, *mentioned, *(by_name if choice == "required" else ())) if each in by_name]
    return tool_call(asked, by_name[chosen[0]]) if chosen else None


def tool_call(asked: Asked, function: Mapping[str, Any], number: int = 0) -> ToolCall:
    """Return a call of this function with arguments made from its schema."""
    arguments = example(function.get("parameters") or {"type": "object"})
    identity = f"call_{asked.digest[24 * number : 24 * number + 24] or asked.digest[:24]}"
    return ToolCall(identity, function["name"], json.dumps(arguments, ensure_ascii=False))


def picture(asked: Asked) -> str:
    """Return a small picture as a data URL; its colour depends on the request."""
    return media.data_url(media.png(int(asked.digest[:4], 16)))


def sound(asked: Asked) -> Sound:
    """Return a short tone in the format that was asked for: pcm16 is bare samples, anything else a WAV file."""
    samples = media.tone()
    bare = (asked.body.get("audio") or {}).get("format") in ("pcm16", "pcm24")
    data = base64.b64encode(samples if bare else media.wav(samples)).decode("ascii")
    return Sound(data, "This is a simulated tone; nobody speaks here.")


def report(asked: Asked, model: Model) -> str:
    """Return Markdown that tells back the request."""
    facts = [
        f"- model `{_inline(model.id)}`, served as `{_inline(model.served)}`",
        f"- messages: {_roles(asked)}; about {asked.prompt_tokens:,} tokens",
        *(f"- attachment: {_inline(part.says)}" for part in asked.attachments),
    ]
    known = sent_back(asked.messages)
    facts += [f"- documents sent back as they were read before: {known}"] if known else []
    kept = marks(asked.body)
    facts += [f"- parts to be kept in a prompt cache: {kept}"] if kept else []
    names = ", ".join(f"`{_inline(function['name'])}`" for function in asked.functions)
    options = _options(asked)
    facts += [f"- tools offered: {names}"] if names else []
    facts += [f"- options: {options}"] if options else []
    blocks = [
        f"**Offline simulator.** No model wrote this: it tells back what {model.receiver} would have received.",
        "\n".join(facts),
        *_earlier(asked),
        _result(asked) or _quoted("The last user text:", _last(asked)),
    ]
    if "code" in asked.last_user_text.lower():
        blocks.append(_CODE)
    return "\n\n".join(blocks)


def _last(asked: Asked) -> str:
    return next((outline_of(message) for message in reversed(asked.messages) if message["role"] == "user"), "")


def _roles(asked: Asked) -> str:
    sizes: dict[str, list[int]] = {}
    for message in asked.messages:
        sizes.setdefault(message["role"], []).append(len(text_of(message)))
    return ", ".join(f"{len(found)} {role} ({sum(found):,} characters)" for role, found in sizes.items())


def _result(asked: Asked) -> str:
    last = asked.messages[-1]
    return _quoted("The tool returned:", text_of(last)) if last["role"] == "tool" else ""


def _earlier(asked: Asked) -> list[str]:
    """Return what shows that the turns before have come: how many answers, and the question before this one."""
    answers = sum(message["role"] == "assistant" for message in asked.messages)
    asked_before = [message for message in asked.messages if message["role"] == "user"][:-1]
    if not answers or not asked_before:
        return []
    title = f"{answers} earlier answer{'s' * (answers != 1)} came with it. The question before was:"
    return [_quoted(title, text_of(asked_before[-1]))]


def _quoted(title: str, text: str) -> str:
    shown = text[:_QUOTE_CHARACTERS].rstrip("\n")
    more = f"\n\n… ({len(text) - len(shown):,} more characters)" if len(shown) < len(text.rstrip("\n")) else ""
    # Several lines stay lines: indented they are shown as they are, and are no block of code for -f code to find.
    mark = ">     " if "\n" in shown else "> "
    return f"{title}\n\n{mark}" + shown.replace("\n", f"\n{mark}") + more


def _options(asked: Asked) -> str:
    told = ((name, value) for name, value in asked.body.items() if name not in _TOLD_ELSEWHERE and value is not None)
    return ", ".join(
        f"{_inline(name)} `{_inline(json.dumps(value, ensure_ascii=False))[:120]}`" for name, value in told
    )


def _inline(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
