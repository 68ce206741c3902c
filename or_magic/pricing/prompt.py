"""How many tokens the prompt of a request may take at most: by its bytes, or by what was counted before. Pure.

A token is at least one byte with every tokenizer that knows each byte, so bytes bound tokens; signs of a template's own
come on top. No smaller figure holds for every text: rare scripts do take a token for every byte in old vocabularies.
"""

from __future__ import annotations

import json

from ..content import Audio, Citation, File, Image, Part, Reasoning, Text, Video
from ..estimate.media import most_picture_tokens
from ..values import Counted, Request

LIMITS = ("max_completion_tokens", "max_tokens")
# Some providers put a prompt of their own before ours: 670 tokens were seen in a recorded answer.
_HIDDEN_TOKENS = 1000
_TOKENS_PER_MESSAGE = 8  # role marks and separators of every template we know are fewer


def most_text_tokens(request: Request, model: str) -> int:
    """Return the most that the text of the prompt takes, tools and schemas included.

    What this very model has counted before replaces the bytes of that text alone: a thought or a call of a tool is
    read by one provider and passed over by the next, so those stay counted by their bytes.
    """
    written = {name: value for name, value in request.params.items() if name not in LIMITS}
    size = _bytes(json.dumps(written, default=str, ensure_ascii=False))
    size += sum([_part_bytes(part) for message in request.messages for part in message.parts])
    counted = request.counted
    if counted is not None and counted.model == model:
        size = min(size, max(0, size - counted.text_bytes) + counted.tokens)
    return size + _HIDDEN_TOKENS + _TOKENS_PER_MESSAGE * (len(request.messages) + 1)


def most_prompt_tokens(request: Request, model: str) -> int | None:
    """Return the most that the whole prompt takes, or None where it has parts that nothing bounds."""
    parts = [part for message in request.messages for part in message.parts]
    pictures = [most_picture_tokens(part, model) for part in parts if isinstance(part, Image)]
    known = [tokens for tokens in pictures if tokens is not None]
    if len(known) < len(pictures) or any(isinstance(part, (File, Audio, Video)) for part in parts):
        return None
    return most_text_tokens(request, model) + sum(known)


def counted_before(request: Request, prompt_tokens: int) -> Counted:
    """Return what the count of a request's prompt says of later requests that begin with the same messages."""
    parts = [part for message in request.messages for part in message.parts]
    return Counted(request.model, prompt_tokens, sum([_bytes(part.text) for part in parts if isinstance(part, Text)]))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _part_bytes(part: Part) -> int:
    if isinstance(part, Text):
        return _bytes(part.text)
    if isinstance(part, (Image, File, Audio, Video, Citation)):  # counted otherwise, or not sent
        return 0
    thought = _bytes(part.text) if isinstance(part, Reasoning) else 0
    return thought + _bytes(json.dumps(part.to_json(), ensure_ascii=False, default=str))
