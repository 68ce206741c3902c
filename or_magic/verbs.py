"""The verbs of ``orm`` beside asking: conversations, pictures, sound and the choice of a model, of this session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from .api import current
from .content import Audio
from .conversation import Policy
from .engine.making import ImageOptions, SpeechOptions, TranscriptionOptions
from .rules import Choice
from .values import Reply

if TYPE_CHECKING:
    import pandas as pd

    from .features.chat import Chat
    from .features.choose import Wishes
    from .features.models import Filters


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


def models(query: str = "", **filters: Unpack[Filters]) -> pd.DataFrame:
    """Return the models whose id or name holds every word of ``query``, with prices per million tokens.

    Args:
        query: words; none is every model.
        **filters: ``text vision audio video files pictures tools structured reasoning free``, each True for models
            that can, False for those that cannot; ``context``, the fewest tokens that it must hold; ``max_price``, in
            dollars per million tokens, for prompt and answer each.

    Raises:
        OptionError: a filter is unknown or wrong; the closest is named.
    """
    return current().models(query, **filters)


def choose(task: str, complexity: str | None = None, **wishes: Unpack[Wishes]) -> Choice:
    """Return the model that the rules choose for a task: ``Choice(id, fallbacks, reason, estimate_usd)``.

    Nothing is sent to a model. ``or_magic.rules`` has the rules, ``[choose.TASK]`` in the config file changes them.

    Args:
        task: coding, creative, analysis, summary, reasoning, tools, vision, long, simple, or one of yours.
        complexity: low, medium or high; a task has its own usual one.
        **wishes: ``max_usd``, the most that a usual call may cost by the catalogue's prices; ``prompt``, what will be
            asked, in place of a usual one; ``free`` and ``expiring``, True to choose among such models as well;
            ``rules``, fields of rules by task.

    Raises:
        OptionError: the task is unknown, no model can do it, or none for ``max_usd``; the cheapest that can is named.
    """
    return current().choose(task, complexity, **wishes)
