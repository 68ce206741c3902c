"""A prompt's texts, expressions and objects become content parts, each at its own place. Reads files it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..content import Audio, File, Image, Part, Text, Video
from ..content.address import is_address
from ..errors import MediaError, OptionError, OrMagicError, TemplateError
from ..objects import is_words, parts_of
from ..template import Filled, expand

Prompt = str | list[Any]
_ASKABLE = (Text, Image, Audio, File, Video)


@dataclass(frozen=True, slots=True)
class Inserted:
    """What an expression, or an object of a list, became; ``name`` is how the user wrote it."""

    name: str
    parts: tuple[Part, ...]


Note = Callable[[Inserted], None]
Values = Mapping[str, Any] | None


def user_parts(prompt: Prompt, values: Values, note: Note | None = None) -> tuple[Part, ...]:
    """Return the parts of a question: text, and what stands between it.

    With ``values`` a text is a template, also as the only one of a list. Of several each may be words of others,
    which are never expanded, so that such a list is refused.

    Raises:
        OptionError, TemplateError, MediaError: something in it cannot be sent; nothing was.
    """
    if not isinstance(prompt, (str, list)):
        raise OptionError(
            f"The prompt is a {type(prompt).__name__}, not text or a list. Nothing was sent. Put it into a list, "
            "with what is asked about it: ['Sum it up', …]."
        )
    if not isinstance(values, Mapping | None):
        raise OptionError(f"values={values!r:.60} is not a mapping of names to values. Nothing was sent.")
    things = [prompt] if isinstance(prompt, str) else prompt
    if values is not None and sum([isinstance(thing, str) for thing in things]) > 1:
        raise OptionError(
            "values= expands one text, and this list has several: nothing tells what you wrote from what you read. "
            "Nothing was sent. Put the things themselves into the list, as in ['Sum it up', df], write one text, or "
            "wrap what goes as it is: or_magic.content.Text(…)."
        )
    return tuple(_joined(piece for place, thing in enumerate(things) for piece in _pieces(thing, place, values, note)))


def system_parts(text: str, values: Values, note: Note | None = None) -> tuple[Part, ...]:
    """Return the system prompt.

    Raises:
        OptionError, TemplateError, MediaError: something in it cannot be sent, or is no text; nothing was sent.
    """
    pieces = []
    for piece in _pieces(text, 0, values, note):
        if not isinstance(piece.part, Text):
            raise TemplateError(
                f"{piece.name} is {_NOUNS.get(piece.part.kind, piece.part.kind)}, and a system prompt is text only. "
                "Nothing was sent. Put it into the question."
            )
        pieces.append(piece)
    return tuple(_joined(iter(pieces))) or (Text(""),)


_NOUNS = {"image": "a picture", "file": "a document", "audio": "sound", "video": "a video"}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part, and whether it stands on lines of its own: a table in the middle of a sentence is hard to read."""

    part: Part
    name: str = ""
    block: bool = False


def _pieces(thing: Any, place: int, values: Values, note: Note | None) -> Iterator[_Piece]:
    if isinstance(thing, str):
        for found in expand(thing, values) if values is not None else (str.__str__(thing),):
            if isinstance(found, Filled):
                yield from _converted(found.name, found.value, found.tokens, note)
            else:
                yield _Piece(checked(Text(found), "The prompt"))
    elif thing is None:
        raise MediaError(f"Part {place + 1} of the prompt is None. Nothing was sent.")
    else:  # a part that the user made himself is among the parts of a dry run already
        told = None if isinstance(thing, Part) else note
        yield from _converted(f"{type(thing).__name__} (part {place + 1})", thing, None, told)


def _converted(name: str, value: Any, tokens: int | None, note: Note | None) -> Iterator[_Piece]:
    try:
        parts = parts_of(value, tokens)
    except OrMagicError:
        raise
    except Exception as error:  # whatever the object's own methods raise is the user's to see, by name
        raise TemplateError(
            f"{name}: a {type(value).__name__} that cannot be told: {type(error).__name__}: {error}. Nothing was sent."
        ) from error
    if note is not None:
        note(Inserted(name, tuple(parts)))
    own = not is_words(value) and not isinstance(value, Part)
    # What tells several things of itself stands apart as a whole: its first words are no end of a sentence before.
    several = own and (len(parts) > 1 or any(isinstance(part, Text) and "\n" in part.text for part in parts))
    for part in parts:
        yield _Piece(checked(part, name), name, several and isinstance(part, Text))


def _joined(pieces: Iterator[_Piece]) -> Iterator[Part]:
    """Yield the parts with neighbouring texts put together, empty ones left out."""
    texts: list[str] = []
    after_block = False
    for piece in pieces:
        part = piece.part
        if not isinstance(part, Text) or part.cache_control is not None:
            yield from _whole(texts)
            texts.clear()
            yield part
            after_block = False
        elif part.text:
            apart = texts and not texts[-1].endswith("\n") and not part.text.startswith("\n")
            texts.append("\n" + part.text if apart and (piece.block or after_block) else part.text)
            after_block = piece.block
    yield from _whole(texts)


def _whole(texts: list[str]) -> Iterator[Text]:
    if texts:
        yield Text("".join(texts))


def checked(part: Part, name: str) -> Part:
    """Return the part.

    Raises:
        OptionError: its text has half of a character, which cannot be sent.
        MediaError: it belongs to an answer, or its address is none that a provider may be given.
    """
    if not isinstance(part, _ASKABLE):
        raise MediaError(
            f"{name}: a {type(part).__name__} belongs to an answer, and no question can hold it. Nothing was sent. "
            "Write what it says as text."
        )
    if isinstance(part, (Image, Video, File)) and part.url is not None and not is_address(part.url):
        raise MediaError(
            f"{name}: {part.url[:120]!r} is no http, https or data address. Nothing was sent. To send a file, give its "
            "Path."
        )
    if isinstance(part, Text):
        try:
            part.text.encode()
        except UnicodeEncodeError as error:
            raise OptionError(
                f"{name} holds half of a character at position {error.start} (a lone surrogate). Nothing was sent."
            ) from None
    return part
