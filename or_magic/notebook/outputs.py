"""What a finished cell holds: words, pictures and sound in the order in which they came, then the status line. Pure.

A picture is its own MIME part, a sound a player with its bytes in it, so that a saved notebook needs nobody else.
Nothing is loaded from elsewhere: a picture by address is a link that names its host.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from .. import neutral
from ..content import Audio, Citation, Image, Part, Reasoning
from ..options import Options
from ..pictures import media_type_of
from ..sound import Sound, player
from ..values import Reply
from .words import Bundle, about_picture, about_sound, answer_bundle, is_json, receipt, status_bundle

Outputs = list[tuple[Bundle, dict[str, Any]]]

_SVG = "image/svg+xml"


def outputs_of(reply: Reply, options: Options, line: str | None = None) -> Outputs:
    """Return what a finished cell holds; the first output has the receipt."""
    bundles = [] if options.quiet else list(_shown(reply, options))
    if line is not None:
        bundles.append(status_bundle(line))
    return [
        (data, {"or_magic": receipt(reply, options.tag)} if place == 0 else {}) for place, data in enumerate(bundles)
    ]


def _shown(reply: Reply, options: Options) -> Iterator[Bundle]:
    """Yield the outputs of the answer: thoughts before everything, how it ended and its sources after it."""
    around = [part for part in reply.parts if isinstance(part, Citation)]
    thoughts = [part for part in reply.parts if isinstance(part, Reasoning)]
    said = [part for part in reply.parts if not isinstance(part, (Citation, Reasoning))]
    blocks = [(media, list(parts)) for media, parts in groupby(said, lambda part: isinstance(part, (Image, Audio)))]
    if not blocks or blocks[-1][0]:
        blocks.append((False, []))
    if blocks[0][0] and thoughts:
        blocks.insert(0, (False, []))
    last, pictures = len(blocks) - 1, 0
    for place, (media, parts) in enumerate(blocks):
        if media:
            for part in parts:
                yield from _media(part, pictures, options)
                pictures += isinstance(part, Image)
            continue
        before, after = thoughts if place == 0 else [], around if place == last else []
        yield from _words(reply, (*before, *parts, *after), options, first=place == 0, last=place == last)


def _words(reply: Reply, parts: tuple[Part, ...], options: Options, *, first: bool, last: bool) -> Iterator[Bundle]:
    some = replace(reply, parts=parts)
    if not last:  # how it ended is said once
        some = replace(some, status="ok", finish_reason=None, typed=None)
    how = options.format or "markdown"
    if is_json(options) and reply.typed is None and how == "markdown":  # what does not fit is shown as it came
        how = "json"
    found = answer_bundle(some, how, hide_reasoning=options.hide_reasoning)
    if found and not first and "text/markdown" in found:
        found["text/plain"] = " ".join(neutral.plain(some.text[:400]).split())[:80]
    if found:
        yield found


def _media(part: Part, place: int, options: Options) -> Iterator[Bundle]:
    name = options.out or "_or"
    if isinstance(part, Image):
        yield _picture(part, f"{name}.images[{place}]")
    elif isinstance(part, Audio):
        yield from _sound(Sound.of(part), f"{name}.audio", options)


def _picture(part: Image, name: str) -> Bundle:
    told = about_picture(part, name)
    if part.data is None:
        return {"text/markdown": neutral.link(told, part.url or ""), "text/plain": told}
    data = base64.b64encode(part.data).decode("ascii")
    if media_type := media_type_of(part.data):
        return {media_type: data, "text/plain": told}
    if part.media_type == _SVG:  # as a picture of HTML it can neither run nor load anything
        return {"text/html": f'<img alt="{html.escape(told)}" src="data:{_SVG};base64,{data}">', "text/plain": told}
    return {"text/plain": told}


def _sound(sound: Sound, name: str, options: Options) -> Iterator[Bundle]:
    told = about_sound(sound, name)
    played = player(sound)
    yield {"text/html": played, "text/plain": told} if played else {"text/plain": told}
    words = neutral.plain(sound.transcript)
    if words and options.format == "text":
        yield {"text/plain": words}
    elif words:
        yield {"text/markdown": neutral.quote(words), "text/plain": " ".join(words[:400].split())[:80]}
