"""The verbs of ``orm`` beside asking: conversations, pictures, speech and transcripts of this process's session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from .api import current
from .content import Audio
from .engine.making import ImageOptions, SpeechOptions, TranscriptionOptions
from .setting_kinds import Policy
from .values import Reply

if TYPE_CHECKING:
    from .features.chat import Chat


def chat(name: str, *, policy: Policy | None = None) -> Chat:
    """Return the conversation ``name`` of this process's session; see ``Session.chat``."""
    return current().chat(name, policy=policy)


def image(prompt: str, **options: Unpack[ImageOptions]) -> Reply:
    """Make pictures of a text and return them as a reply: ``reply.images[0]`` is a PIL image.

    Args:
        prompt: what is to be seen; nothing in it is expanded.
        **options: ``model n size aspect_ratio resolution quality background output_format seed``, ``references``
            (pictures to go by), ``params`` for any other field of the request, ``budget yes tag`` as for ``ask``.

    Raises:
        CallError: anything but a complete answer.
        OverBudget: something else is under way in the same budget: what this costs is not known beforehand, so that
            it holds all that is left.
        NoKeyError, OptionError, MediaError: nothing was sent.
    """
    return current().image(prompt, **options)


def speak(text: str, **options: Unpack[SpeechOptions]) -> Reply:
    """Return a text as speech: ``reply.audio`` is bytes with a ``format``, and draws itself as a player.

    Args:
        text: what is to be said.
        **options: ``model voice speed``, ``format`` (pcm or mp3), and ``params budget yes tag`` as for ``image``.

    Raises:
        CallError, OverBudget, NoKeyError, OptionError: as for ``image``.
    """
    return current().speak(text, **options)


def transcribe(sound: Path | bytes | Audio, **options: Unpack[TranscriptionOptions]) -> Reply:
    """Return what is said in a sound as the reply's text.

    Args:
        sound: a Path, the bytes of a file, or what ``reply.audio`` is.
        **options: ``model language temperature``, and ``params budget yes tag`` as for ``image``.

    Raises:
        CallError, OverBudget, NoKeyError, OptionError, MediaError: as for ``image``.
    """
    return current().transcribe(sound, **options)
