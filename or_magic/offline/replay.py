"""Recorded answers, served byte for byte and billed to nobody. Reads one directory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from or_magic.offline.refusals import refusal
from or_magic.offline.steps import Head, Raw, Steps

_PREFIX = "replay/"


@dataclass(frozen=True)
class Recording:
    """One recorded body."""

    stem: str
    file: Path
    request: Path | None
    status: int
    content_type: str


class Recordings:
    """The recordings of one directory: ``X.sse`` or ``X.json``, ``X.request.json`` beside it, and ``index.json``."""

    def __init__(self, directory: Path) -> None:
        index = directory / "index.json"
        facts = {row["file"]: row for row in json.loads(index.read_text("utf-8"))} if index.exists() else {}
        files = sorted(path for path in directory.iterdir() if path.suffix in (".sse", ".json"))
        bodies = [path for path in files if path != index and not path.name.endswith(".request.json")]
        found = [_recording(path, facts.get(path.name, {})) for path in bodies]
        self._by_stem = {recording.stem: recording for recording in found}

    def listed(self) -> list[dict[str, Any]]:
        """Return one row per recording."""
        return [
            {
                "model": _PREFIX + each.stem,
                "file": each.file.name,
                "status": each.status,
                "by_request": bool(each.request),
            }
            for each in self._by_stem.values()
        ]

    def answer(self, body: Mapping[str, Any]) -> Steps | None:
        """Return the recorded answer that a request names, or that was recorded for this very request."""
        model = str(body.get("model", ""))
        if model.startswith(_PREFIX):
            named = self._by_stem.get(model[len(_PREFIX) :])
            return _played(named) if named else refusal(404, f"No recording is named {model}").steps()
        return next((_played(each) for each in self._by_stem.values() if _same(each, body)), None)


def _recording(path: Path, fact: Mapping[str, Any]) -> Recording:
    request = path.with_name(path.stem + ".request.json")
    kind = "text/event-stream" if path.suffix == ".sse" else "application/json"
    content_type = fact.get("headers", {}).get("content-type", kind)
    return Recording(path.stem, path, request if request.exists() else None, fact.get("status", 200), content_type)


def _same(recording: Recording, body: Mapping[str, Any]) -> bool:
    return recording.request is not None and json.loads(recording.request.read_text("utf-8")) == body


def _played(recording: Recording) -> Iterator[Head | Raw]:
    yield Head(recording.status, (("Content-Type", recording.content_type), ("Cache-Control", "no-cache")))
    data = recording.file.read_bytes()
    for event in data.split(b"\n\n") if recording.file.suffix == ".sse" else ():
        piece = event + b"\n\n"
        yield Raw(piece[: len(data)], "text")
        data = data[len(piece) :]
    if data:
        yield Raw(data, "text")
