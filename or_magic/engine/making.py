"""Keywords become the Request of a picture, of speech, of a transcript. Reads what they name, sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from ..content import Audio, Image, Part, Text
from ..errors import MediaError, OptionError
from ..media import attached, part_of
from ..objects import attachable
from ..options import Options, closest, from_keywords
from ..options.plain import plain
from ..settings import Settings
from ..values import Endpoint, Message, Origin, Request
from .compose import is_local
from .insert import checked

# What is asked where no model is named. Any other name is sent as it is.
IMAGE_MODEL = "google/gemini-2.5-flash-image"
SPEECH_MODEL, SPEECH_VOICE = "mistralai/voxtral-mini-tts-2603", "en_paul_neutral"
TRANSCRIPTION_MODEL = "openai/whisper-large-v3"


class MakeOptions(TypedDict, total=False):
    """The keywords that ``image``, ``speak`` and ``transcribe`` share; ``params`` are further fields of the request."""

    model: str
    params: Mapping[str, Any]
    tag: str
    budget: Decimal | float | str
    yes: bool


class ImageOptions(MakeOptions, total=False):
    """The keywords of ``image``; ``references`` are pictures to go by, as ``attach`` takes them."""

    n: int
    size: str
    aspect_ratio: str
    resolution: str
    quality: str
    background: str
    output_format: str
    seed: int
    references: Sequence[Any]


class SpeechOptions(MakeOptions, total=False):
    """The keywords of ``speak``; ``format`` is pcm (made into a WAV file where it is played) or mp3."""

    voice: str
    format: str
    speed: float


class TranscriptionOptions(MakeOptions, total=False):
    """The keywords of ``transcribe``; ``language`` is a code such as ``en``."""

    language: str
    temperature: float


class _Field(NamedTuple):
    wire: str
    noun: str
    fits: Callable[[Any], bool]


def _text(wire: str) -> _Field:
    return _Field(wire, "a text", lambda value: isinstance(value, str) and bool(value))


def _number(wire: str) -> _Field:
    return _Field(wire, "a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))


def _whole(wire: str) -> _Field:
    return _Field(wire, "a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool))


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be made: by which endpoint and default model, with which keywords of its own."""

    endpoint: Endpoint
    model: str
    fields: Mapping[str, _Field]
    taken: tuple[str, ...]  # fields of the request that are ours to write


IMAGE = Kind(
    "image",
    IMAGE_MODEL,
    {
        "n": _Field("n", "a number from 1 to 10", lambda value: _whole("").fits(value) and 1 <= value <= 10),
        **{name: _text(name) for name in (
            "size", "aspect_ratio", "resolution", "quality", "background", "output_format",
        )},
        "seed": _whole("seed"),
    },
    ("model", "prompt", "stream", "input_references"),
)  # fmt: skip
SPEECH = Kind(
    "speech",
    SPEECH_MODEL,
    {"voice": _text("voice"), "format": _text("response_format"), "speed": _number("speed")},
    ("model", "input"),
)
TRANSCRIPTION = Kind(
    "transcription",
    TRANSCRIPTION_MODEL,
    {"language": _text("language"), "temperature": _number("temperature")},
    ("model", "input_audio"),
)
_COMMON = ("model", "params", "tag", "budget", "yes")


@dataclass(frozen=True, slots=True)
class Made:
    """What is to be made, checked: call it with settings and an origin for the Request."""

    kind: Kind
    parts: tuple[Part, ...]
    options: Options
    params: Mapping[str, Any]

    def __call__(self, settings: Settings, origin: Origin) -> Request:
        """Return the request.

        Raises:
            OptionError: the model is one of a local server.
        """
        model = settings.resolve(self.options.model) if self.options.model else self.kind.model
        if is_local(model):
            raise OptionError(f"{model} is a local server, which answers questions only. Nothing was sent.")
        return Request(
            model=model,
            messages=(Message("user", self.parts),),
            params=self.params,
            stream=False,
            origin=replace(origin, purpose=self.kind.endpoint, tag=self.options.tag),
            timeouts=settings.timeouts,
            budget_usd=self.options.budget,
            waived=self.options.yes,
            endpoint=self.kind.endpoint,
        )


def image(prompt: str, keywords: Mapping[str, Any]) -> Made:
    """Return the pictures to be made.

    Raises:
        OptionError, MediaError: they cannot be asked for; nothing was sent.
    """
    told = dict(keywords)
    references = told.pop("references", None)
    references = () if references is None else references
    if isinstance(references, (str, bytes, Path)) or not isinstance(references, Sequence):
        references = [references]
    texts, parts = attached(references, attachable)
    for part in (*texts, *parts):
        if not isinstance(checked(part, "A reference"), Image):
            raise MediaError(f"A reference is a {part.kind}, not a picture. Nothing was sent.")
    return _made(IMAGE, (_words(prompt, "prompt"), *parts), told)


def speech(text: str, keywords: Mapping[str, Any]) -> Made:
    """Return the speech to be made; the voice is that of the default model where none is named.

    Raises:
        OptionError: it cannot be asked for; nothing was sent.
    """
    usual = {} if keywords.get("model") else {"voice": SPEECH_VOICE}
    said = {name: value for name, value in keywords.items() if value is not None}
    return _made(SPEECH, (_words(text, "text"),), usual | said)


def transcription(sound: object, keywords: Mapping[str, Any]) -> Made:
    """Return the transcript to be made of a Path, bytes, a part, or what ``Reply.audio`` is.

    Raises:
        OptionError, MediaError: it cannot be asked for; nothing was sent.
    """
    if isinstance(sound, str):
        raise MediaError("Sound is given as a Path or bytes, not as a text. Nothing was sent. Write Path('…').")
    playable = getattr(sound, "playable", sound)  # bare samples have no head that says what they are
    part = part_of(playable)
    if not isinstance(part, Audio):
        raise MediaError(f"It is a {part.kind}, not a sound. Nothing was sent.")
    return _made(TRANSCRIPTION, (part,), keywords)


def asked_format(request: Request) -> str | None:
    """Return the format of sound that a request names; an answer repeats it nowhere."""
    told = (
        request.params.get("audio") if request.endpoint == "chat" else {"format": request.params.get("response_format")}
    )
    found = told.get("format") if isinstance(told, Mapping) else None
    return found if isinstance(found, str) else None


def _words(text: object, noun: str) -> Text:
    if not isinstance(text, str):
        raise OptionError(f"The {noun} is a {type(text).__name__}, not a text. Nothing was sent.")
    if not text.strip():
        raise OptionError(f"The {noun} is empty. Nothing was sent.")
    return Text(text)


def _made(kind: Kind, parts: tuple[Part, ...], keywords: Mapping[str, Any]) -> Made:
    known = [*_COMMON, *kind.fields, *(["references"] if kind is IMAGE else [])]
    params: dict[str, Any] = {}
    for name, value in {name: plain(value) for name, value in keywords.items()}.items():
        if name not in known:
            raise OptionError(f"{name!r} is not a keyword.{closest(name, known)} Nothing was sent.")
        if name in kind.fields and value is not None:
            field = kind.fields[name]
            if not field.fits(value):
                raise OptionError(f"{name}={value!r} is not {field.noun}. Nothing was sent.")
            params[field.wire] = value
    options = from_keywords({name: value for name, value in keywords.items() if name in _COMMON})
    return Made(kind, parts, options, _checked(kind, {**params}, options.params, parts))


def _checked(kind: Kind, params: dict[str, Any], more: Mapping[str, Any], parts: tuple[Part, ...]) -> Mapping[str, Any]:
    for name, value in more.items():
        if name in kind.taken:
            raise OptionError(f"{name!r} cannot be given as a parameter. Nothing was sent.")
        if params.get(name, value) != value:
            raise OptionError(f"{name} is given twice: {params[name]!r} and {value!r}. Nothing was sent.")
        params[name] = value
    told = [params, *[part.text for part in parts if isinstance(part, Text)]]
    try:
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise OptionError(f"What is asked for cannot be written as JSON: {error}. Nothing was sent.") from None
    return params
