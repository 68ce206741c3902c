"""Events become a Reply; parts are joined once, when somebody looks. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..content import Audio, ParsedFile, Part, Reasoning, join
from ..errors import CallError
from ..events import Closed, Event, Metered, Notice, Opened, Piece
from ..values import Reply, Status, Usage


class Accumulation:
    """The answer so far: add events as they come, ask for the reply at any time."""

    def __init__(
        self, gateway: str = "", call_id: str = "", model_requested: str = "", audio_format: str | None = None
    ) -> None:
        self._gateway = gateway
        self._audio_format = audio_format  # as it was asked for: no answer repeats it
        self._model_requested = model_requested
        self._call_id = call_id
        self._fragments: list[Part] = []
        self._usage: Usage | None = None
        self._generation_id: str | None = None
        self._closed: Closed | None = None

    @property
    def error(self) -> CallError | None:
        """What the call failed of; None while another attempt is to follow."""
        return self._closed.error if self._closed and self._closed.final else None

    @property
    def sent(self) -> bool:
        """Whether the last attempt left this side, as far as is known."""
        return self._closed is None or self._closed.sent

    def add(self, event: Event) -> None:
        """Take one event in."""
        if self._closed is not None and self._another(event, self._closed):
            self._forget()
        if isinstance(event, Piece):
            self._fragments.append(event.part)
        elif isinstance(event, Opened):
            self._generation_id = event.generation_id
        elif isinstance(event, Metered):
            self._usage = event.usage
        elif isinstance(event, Closed):
            self._closed = event

    def reply(self, unfinished: Status = "interrupted") -> Reply:
        """Return the reply of what has come; ``unfinished`` is its status if no Closed came."""
        closed = self._closed if self._closed and self._closed.final else Closed(unfinished)
        return Reply(
            parts=tuple(
                self._completed(part, closed) for part in join([*self._fragments, *_parsed_files(closed.error)])
            ),
            usage=self._usage,
            model=closed.model,
            model_requested=self._model_requested,
            provider=closed.provider,
            gateway=closed.gateway or self._gateway,
            finish_reason=closed.finish_reason,
            status=closed.status,
            id=closed.generation_id or self._generation_id,
            call_id=self._call_id,
        )

    def _completed(self, part: Part, closed: Closed) -> Part:
        if isinstance(part, Reasoning) and part.model is None:
            return replace(part, model=self._author(closed))
        if isinstance(part, Audio) and part.format is None:
            return replace(part, format=self._audio_format)
        return part

    def _author(self, closed: Closed) -> str | None:
        # The name by which the next turn will ask for it; a router's name says nothing of who answered.
        asked = self._model_requested
        return closed.model if not asked or asked.startswith("openrouter/") else asked

    @staticmethod
    def _another(event: Event, closed: Closed) -> bool:
        """Whether ``event`` belongs to an attempt after the one that ``closed`` ended."""
        return isinstance(event, Opened) or not (closed.final or isinstance(event, Notice))

    def _forget(self) -> None:
        # A new attempt answers from the beginning: texts of two attempts never mix.
        self._fragments.clear()
        self._usage = None
        self._generation_id = None
        self._closed = None


def _parsed_files(error: CallError | None) -> Iterator[ParsedFile]:
    """Yield what was read out of documents before the model failed: it is paid, and can be sent back (WIRE.md §3)."""
    body = error.body if error else None
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    told = metadata.get("file_annotations") if isinstance(metadata, Mapping) else None
    for item in told if isinstance(told, list) else ():
        if isinstance(item, Mapping) and item.get("type") == "file" and isinstance(item.get("file"), Mapping):
            yield ParsedFile(item)
