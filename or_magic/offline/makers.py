"""``POST /images``, ``/audio/speech`` and ``/audio/transcriptions``: drawn, sounded and told by a simulator. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from or_magic.offline import asked as asking
from or_magic.offline import catalogue, chunks, media, refusals, tokens
from or_magic.offline.asked import Asked
from or_magic.offline.catalogue import DESCRIPTION, Model
from or_magic.offline.chat import Simulator, prepared, pseudo
from or_magic.offline.faults import find
from or_magic.offline.faults.fault import Tried
from or_magic.offline.ledger import UNMETERED, Meter
from or_magic.offline.steps import Event, Head, Plain, Raw, Steps, json_answer
from or_magic.offline.wire import Request
from or_magic.offline.words import Answer, Sound

_MOST_DOTS = 1024  # of one side
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_RATIO = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9")
_LETTERS_PER_S = 15
_LONGEST_S = 5.0
_SOUNDS = {"pcm": "audio/pcm", "mp3": "audio/mpeg"}
# Models that the dated catalogue of models that write does not list, at prices of the simulator's own.
_PRICING = {"prompt": "0.000002", "completion": "0.00001"}
_SPEAKS = Model(
    "mistralai/voxtral-mini-tts-2603", "mistralai/voxtral-mini-tts-2603", 32_768, frozenset({"text"}),
    frozenset({"speech"}), frozenset(), _PRICING,
)  # fmt: skip
_LISTENS = Model(
    "openai/whisper-large-v3", "openai/whisper-large-v3", 1_000_000, frozenset({"audio"}),
    frozenset({"transcription"}), frozenset(), _PRICING,
)  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """One endpoint: what is wrong with a body, the question in it, the answer to it and its body, who can answer."""

    wrong: Callable[[Mapping[str, Any]], str]
    content: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    answer: Callable[[Asked], Answer]
    body: Callable[[Asked, chunks.Call], Event | Raw]
    models: Callable[[], Mapping[str, Model]]


def make(sim: Simulator, request: Request) -> tuple[Steps, Meter]:
    """Return the steps of the answer to a request of one of the ``MAKERS``, and its meter."""
    maker = MAKERS[request.path]
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return refusals.refusal(400, "The request body is not a JSON object").steps(), UNMETERED
    if wrong := _wrong_model(body) or maker.wrong(body):
        return refusals.refusal(400, wrong).steps(), UNMETERED
    if (limit_usd := sim.key_limit_usd) is not None and sim.ledger.spent().cost_usd >= limit_usd:
        return refusals.limit_reached(limit_usd).steps(), UNMETERED
    message = {"role": "user", "content": maker.content(body)}
    found = _made(sim, maker, Asked({**body, "stream": False, "messages": [message]}), request.headers)
    return (found.steps(), UNMETERED) if isinstance(found, Plain) else found


def _made(sim: Simulator, maker: Maker, asked: Asked, headers: Mapping[str, str]) -> Plain | tuple[Steps, Meter]:
    name = asked.body["model"]
    fault, arg = find(name)
    model = pseudo(fault, name) if fault else maker.models().get(name)
    if sim.fault is not None and fault is None:
        fault, arg = find(sim.fault)  # a bad day of an ordinary model, at its own price
    if model is None:
        return _wrong_endpoint(name) if _known(name) else refusals.unknown_model(name)
    tried = Tried(asked, model, arg, headers, sim.port, sim.traffic, sim.clock())
    refused = asking.unsuited(asked, model) or (fault.refuse(tried) if fault else None)
    if refused:
        return refused
    return prepared(sim, tried, maker.answer(asked), fault, lambda call: _steps(call, maker.body(asked, call)))


def _steps(call: chunks.Call, body: Event | Raw) -> Iterator[Head | Event | Raw]:
    head = chunks.head(call)
    if isinstance(body, Raw):
        kind = ("Content-Type", "audio/mpeg" if body.data.startswith(b"ID3") else "audio/pcm")
        head = replace(head, headers=(kind, *head.headers[1:]))
    return iter((head, body))


def _known(name: str) -> bool:
    return catalogue.resolve(name) is not None or any(name in maker.models() for maker in MAKERS.values())


def _wrong_endpoint(name: str) -> Plain:
    told = refusals.unavailable("wrong_endpoint", name)
    return refusals.refusal(404, f"{name} does not answer at this endpoint", availability=told)


def _wrong_model(body: Mapping[str, Any]) -> str:
    return "" if isinstance(body.get("model"), str) and body["model"] else 'Input required: specify "model"'


# Pictures


def image_models() -> Plain:
    """Return the answer of ``GET /images/models``."""
    ratios = {"aspect_ratio": {"type": "enum", "values": list(_RATIOS)}, "n": {"type": "range", "min": 1, "max": 10}}
    items = [
        {
            "id": name, "name": item["name"], "description": DESCRIPTION, "created": item["created"],
            "architecture": {key: item["architecture"][key] for key in ("input_modalities", "output_modalities")},
            "supported_parameters": ratios, "supports_streaming": False,
            "endpoints": f"/api/v1/images/models/{name}/endpoints",
        }
        for name, item in catalogue.items().items() if name in _drawing_models()
    ]  # fmt: skip
    return json_answer({"data": items})


def _drawing_models() -> dict[str, Model]:
    found = [catalogue.resolve(name) for name in catalogue.items() if not name.startswith("openrouter/")]
    return {model.id: model for model in found if model is not None and "image" in model.outputs}


def _wrong_image(body: Mapping[str, Any]) -> str:
    count, references = body.get("n", 1), body.get("input_references", [])
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        return "prompt has to be a text"
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10:
        return "n has to be a number from 1 to 10"
    fits = isinstance(references, list) and len(references) <= 16
    if not fits or not all(isinstance(part, dict) and part.get("type") == "image_url" for part in references):
        return "input_references has to be a list of at most 16 pictures"
    return "stream is not simulated here" if body.get("stream") else ""


def _drawn(asked: Asked) -> Answer:
    count, seed = asked.body.get("n", 1), int(asked.digest[:4], 16)
    pictures = [media.png(seed + 37 * number, _paper(asked.body)) for number in range(count)]
    return Answer(images=tuple(base64.b64encode(data).decode("ascii") for data in pictures))


def _paper(body: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size in dots: as asked for, but no side longer than ``_MOST_DOTS``."""
    width, height = 512.0, 512.0
    if found := _SIZE.fullmatch(str(body.get("size", ""))):
        width, height = float(found[1]), float(found[2])
    elif (found := _RATIO.fullmatch(str(body.get("aspect_ratio", "")))) and float(found[1]) and float(found[2]):
        width, height = 512 * float(found[1]), 512 * float(found[2])
        width, height = 512 * width / max(width, height), 512 * height / max(width, height)
    most = max(width, height, _MOST_DOTS) / _MOST_DOTS
    return max(64, round(width / most)), max(64, round(height / most))


def _pictures(_: Asked, call: chunks.Call) -> Event:
    data = [{"b64_json": text, "media_type": "image/png"} for text in call.answer.images]
    told = {"created": call.created, "data": data, "usage": chunks.usage(call)}
    return Event(told, "body", call.job.completion_tokens)


# Speech


def _wrong_speech(body: Mapping[str, Any]) -> str:
    if not isinstance(body.get("input"), str) or not body["input"]:
        return "input has to be a text"
    if body.get("response_format", "pcm") not in _SOUNDS:
        return f"response_format has to be one of {', '.join(_SOUNDS)}"
    voice = body.get("voice")
    return "" if voice is None or (isinstance(voice, str) and voice) else "voice has to be a text"


def _spoken(_: Asked) -> Answer:
    return Answer(sound=Sound("", "This is a simulated tone; nobody speaks here."))


def _sound(asked: Asked, call: chunks.Call) -> Raw:
    seconds = min(_LONGEST_S, max(0.25, len(asked.body["input"]) / _LETTERS_PER_S))
    is_mp3 = asked.body.get("response_format") == "mp3"
    data = media.mp3(seconds) if is_mp3 else media.tone(seconds)
    return Raw(data, "audio", call.job.completion_tokens)


# Transcripts


def _wrong_transcription(body: Mapping[str, Any]) -> str:
    told = body.get("input_audio")
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in ("data", "format")):
        return "input_audio has to be an object with data and format"
    known = ("json", "verbose_json")
    return (
        "" if body.get("response_format", "json") in known else f"response_format has to be one of {', '.join(known)}"
    )


def _heard(asked: Asked) -> Answer:
    return Answer(f"Simulated transcript: nobody listened to this. The {asked.attachments[0].says}.")


def _transcript(asked: Asked, call: chunks.Call) -> Event:
    counted = chunks.usage(call)
    seconds = asked.prompt_tokens / tokens.SECOND_OF_AUDIO
    told: dict[str, Any] = {"text": call.answer.text}
    if asked.body.get("response_format") == "verbose_json":
        told |= {"task": "transcribe", "language": asked.body.get("language", "english"), "duration": seconds}
    usage = {
        "cost": counted["cost"], "input_tokens": counted["prompt_tokens"],
        "output_tokens": counted["completion_tokens"], "seconds": seconds, "total_tokens": counted["total_tokens"],
    }  # fmt: skip
    return Event({**told, "usage": usage}, "body", call.job.completion_tokens)


def _text(name: str) -> Callable[[Mapping[str, Any]], list[dict[str, Any]]]:
    return lambda body: [{"type": "text", "text": body[name]}, *body.get("input_references", [])]


MAKERS: Mapping[str, Maker] = {
    "/api/v1/images": Maker(_wrong_image, _text("prompt"), _drawn, _pictures, _drawing_models),
    "/api/v1/audio/speech": Maker(_wrong_speech, _text("input"), _spoken, _sound, lambda: {_SPEAKS.id: _SPEAKS}),
    "/api/v1/audio/transcriptions": Maker(
        _wrong_transcription,
        lambda body: [{"type": "input_audio", "input_audio": body["input_audio"]}],
        _heard,
        _transcript,
        lambda: {_LISTENS.id: _LISTENS},
    ),
}
