"""Pictures, speech and transcripts: the same way as every call, to endpoints of their own; booked, budgeted, retried."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from or_magic.api import Session
from or_magic.content import Audio, Image, Text
from or_magic.engine import making
from or_magic.errors import CallError, MediaError, OptionError, OverBudget, ProtocolError, ProviderError
from or_magic.events import Closed, Metered, Piece
from or_magic.offline import serve
from or_magic.offline.media import png, tone, wav
from or_magic.protocol.endpoints import WAYS
from or_magic.values import Origin

from ..guards import HANG_S
from .fixtures import Connect
from .kit import until

Check = Callable[[str, Any], None]
SOUND = wav(tone(0.1))


@pytest.fixture(scope="module")
def check(shared: Path) -> Check:
    """A function that validates a value by the name of a schema of OpenRouter's own document."""
    text = (shared / "openrouter" / "openapi.yaml").read_text("utf-8")
    registry = Registry().with_resource(
        "urn:openrouter", DRAFT202012.create_resource(yaml.load(text, Loader=yaml.CSafeLoader))
    )

    def validate(name: str, value: Any) -> None:
        schema = {"$ref": f"urn:openrouter#/components/schemas/{name}"}
        Draft202012Validator(schema, registry=registry).validate(value)

    return validate


def settled(session: Session, count: int = 1) -> list[dict[str, Any]]:
    """The rows of the books, once no cost is asked for any more."""
    assert session.engine.reconciler.wait(HANG_S)
    rows: list[dict[str, Any]] = session.tracker.frame().to_dict("records")
    assert count == len(rows)
    return rows


def test_a_picture_is_booked_at_what_it_cost(offline: Session) -> None:
    """To the last digit of the simulator's own books."""
    reply = offline.image("a red panda", n=2, aspect_ratio="16:9", tag="art")
    assert ("ok", 2) == (reply.status, len(reply.images))
    assert [(512, 288)] * 2 == [picture.size for picture in reply.images]
    (row,) = settled(offline)
    assert ("image", "art", "ok", "billed") == (row["purpose"], row["tag"], row["status"], row["cost_source"])
    (billed,) = offline.engine.gateways.server.billed()
    assert Decimal(billed.cost_text) == reply.cost_usd
    assert billed.generation_id == reply.id == row["generation_id"]


def test_speech_tells_no_cost_and_it_is_asked_for(offline: Session) -> None:
    """What is not known is never 0."""
    reply = offline.speak("Hello, this is a test.")
    assert reply.audio is not None
    assert reply.cost_usd is None
    assert ("pcm", "audio/wav") == (reply.audio.format, reply.audio.media_type)
    assert reply.audio.seconds == pytest.approx(22 / 15, abs=0.01)
    (row,) = settled(offline)
    (billed,) = offline.engine.gateways.server.billed()
    assert ("speech", "reconciled") == (row["purpose"], row["cost_source"])
    assert float(billed.cost_text) == row["cost_usd"]


def test_speech_as_mp3(offline: Session) -> None:
    """As its name says."""
    reply = offline.speak("Hello.", format="mp3", model="mistralai/voxtral-mini-tts-2603", voice="x")
    assert reply.audio is not None
    assert ("mp3", b"ID3") == (reply.audio.format, reply.audio[:3])


def test_what_was_spoken_can_be_heard(offline: Session, tmp_path: Path) -> None:
    """By its bytes, by a file, or as the reply has it: bare samples go out as a file that says what they are."""
    (tmp_path / "a.wav").write_bytes(SOUND)
    spoken = offline.speak("Hello.")
    for thing in (spoken.audio, tmp_path / "a.wav", SOUND, Audio(base64.b64encode(SOUND).decode(), "wav")):
        reply = offline.transcribe(thing, language="en")  # type: ignore[arg-type]
        assert "nobody listened" in reply.text
        assert "WAV" in reply.text
        assert reply.cost_usd
    assert {"speech", "transcription"} == {row["purpose"] for row in settled(offline, 5)}


def test_what_it_costs_is_not_known_before_so_it_holds_all_that_is_left(open_session: Connect) -> None:
    """A second call beside it could pass the budget together with it."""
    session = open_session(offline=True, session_budget=1)
    store, let_go = session.engine.ledger._store, threading.Event()
    settle = store.settle
    store.settle = lambda *told: let_go.wait(HANG_S) and settle(*told)  # type: ignore[method-assign]
    thread = threading.Thread(target=session.image, args=("x",))
    thread.start()
    assert until(lambda: _held(session))
    with pytest.raises(OverBudget, match="Nothing was sent"):
        session.ask("hi")
    let_go.set()
    thread.join()
    assert "ok" == session.ask("hi").status


def _held(session: Session) -> Decimal:
    return session.engine.standings()[0].held_usd


def test_a_bad_moment_is_tried_again(open_session: Connect) -> None:
    """By the one owner of retries; each attempt is a row."""
    session = open_session(offline=True, retries=1)
    reply = session.image("x", model="offline/flaky:1")
    assert 1 == len(reply.images)
    assert ["error", "ok"] == [row["status"] for row in settled(session, 2)]


def test_closing_it_is_an_interrupted_call(offline: Session) -> None:
    """Its cost is asked for, or unknown; never 0."""
    stream = offline.engine.start(making.image("x", {"model": "offline/stall-headers"}), Origin())
    timer = threading.Timer(0.3, stream.stop)
    timer.start()
    with pytest.raises(CallError):
        stream.run()
    row = settled(offline)[0]
    assert "interrupted" == row["status"] or "unknown" == row["status"]
    assert row["cost_usd"] != 0


def test_half_a_picture_is_no_picture(offline: Session) -> None:
    """A body that ends in the middle fails the call."""
    with pytest.raises(CallError) as caught:
        offline.image("x", model="offline/cut")
    assert "ok" != caught.value.reply.status
    with pytest.raises(ProviderError):
        offline.image("x", model="offline/error-503")


def test_nothing_is_sent_that_cannot_be_meant(offline: Session) -> None:
    """Each says what to do."""
    for wrong, told in (
        (lambda: offline.image("x", siz="1x1"), "Did you mean size"),
        (lambda: offline.image(" "), "empty"),
        (lambda: offline.image("x", n=11), "from 1 to 10"),
        (lambda: offline.image("x", params={"stream": True}), "'stream' cannot be given"),
        (lambda: offline.image("x", size="1x1", params={"size": "2x2"}), "given twice"),
        (lambda: offline.image("x", model="local:llama"), "local server"),
        (lambda: offline.image("x", seed=float("nan")), "whole number"),
        (lambda: offline.image("x\ud800"), "JSON"),
        (lambda: offline.speak("x", voice=""), "not a text"),
    ):
        with pytest.raises(OptionError, match=told):
            wrong()
    for wrong in (
        lambda: offline.image("x", references=[SOUND]),
        lambda: offline.image("x", references=np.arange(3)),
        lambda: offline.transcribe(png()),
        lambda: offline.transcribe("a.wav"),
    ):
        with pytest.raises(MediaError, match="Nothing was sent"):
            wrong()
    server = offline.engine.gateways.server
    assert server is None or 0 == server.received()


def _body(made: making.Made, session: Session) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(session.engine.gateway.body(made(session.engine.settings, Origin()))))
    return told


def test_requests_are_those_of_the_published_schema(offline: Session, check: Check) -> None:
    """With everything that can be said."""
    everything = {
        "n": 2, "size": "1024x1024", "quality": "high", "background": "auto", "output_format": "png", "seed": 3,
        "references": [png(), Image(url="https://a.example/b.png")], "params": {"output_compression": 50},
    }  # fmt: skip
    drawn = _body(making.image("x", everything), offline)
    check("ImageGenerationRequest", drawn)
    assert ["data:image/png;base64", "https://a.example/b.png"] == [
        part["image_url"]["url"].partition(",")[0] for part in drawn["input_references"]
    ]
    check("ImageGenerationRequest", _body(making.image("x", {"aspect_ratio": "16:9", "resolution": "2K"}), offline))
    spoken = _body(making.speech("x", {"speed": 1.5, "format": "mp3"}), offline)
    check("SpeechRequest", spoken)
    assert making.SPEECH_VOICE == spoken["voice"]
    assert "voice" not in _body(making.speech("x", {"model": "openai/tts"}), offline)
    check("STTRequest", _body(making.transcription(SOUND, {"language": "en", "temperature": 0}), offline))


def test_the_simulators_answers_are_valid(check: Check) -> None:
    """And its list of models that draw."""
    with serve() as server:

        def fetch(path: str, body: Any = None) -> Any:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)
            connection.request("POST" if body else "GET", f"/api/v1{path}", json.dumps(body) if body else None)
            told = json.loads(connection.getresponse().read())
            connection.close()
            return told

        check("ImageModelsListResponse", fetch("/images/models"))
        picture = {"model": making.IMAGE_MODEL, "prompt": "x"}
        check("ImageGenerationResponse", fetch("/images", picture))
        sound = {"data": base64.b64encode(SOUND).decode(), "format": "wav"}
        for form in ("json", "verbose_json"):
            body = {"model": making.TRANSCRIPTION_MODEL, "input_audio": sound, "response_format": form}
            check("STTResponse", fetch("/audio/transcriptions", body))
        for path, body in (("/images", {**picture, "n": 0}), ("/audio/speech", picture), ("/images", {"prompt": "x"}),
                           ("/audio/transcriptions", {"model": "x", "input_audio": {}})):  # fmt: skip
            check("BadRequestResponse", fetch(path, body))


def _read(endpoint: Any, body: bytes, kind: str = "application/json") -> tuple[list[Any], Closed]:
    events, stream = [], WAYS[endpoint].decode(body, "gen-1", kind)
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            return events[1:], end.value


@pytest.mark.parametrize("endpoint", ["image", "speech", "transcription"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data":[]}', b'{"data":[{"b64_json":"*"}],"text":7}']
)
def test_an_answer_of_another_kind_is_an_error(endpoint: Any, body: bytes) -> None:
    """Whatever a proxy says."""
    events, closed = _read(endpoint, body)
    assert ([], "error") == (events, closed.status)
    assert isinstance(closed.error, ProtocolError)


@pytest.mark.parametrize("endpoint", ["image", "speech", "transcription"])
def test_an_error_in_an_answer_is_an_error(endpoint: Any) -> None:
    """HTTP 200 around it, billed or not."""
    error = {"error": {"code": 502, "message": "Provider returned error"}}
    events, closed = _read(endpoint, json.dumps(error).encode())
    assert ([], "error") == (events, closed.status)
    paid = {**error, "usage": {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1, "cost": 0.5}}
    events, closed = _read(endpoint, json.dumps(paid).encode())
    assert Decimal("0.5") == events[0].usage.cost_usd
    assert closed.error is not None
    assert "It was billed." == closed.error.billed


def test_answers_of_the_document_are_read() -> None:
    """Its own examples."""
    picture = {"created": 1, "data": [{"b64_json": base64.b64encode(png()).decode()}, {"b64_json": "*"}],
               "usage": {"completion_tokens": 4175, "cost": 0.04, "prompt_tokens": 0, "total_tokens": 4175}}  # fmt: skip
    events, closed = _read("image", json.dumps(picture).encode())
    assert [Piece(Image(data=png()))] == events[:1]
    assert isinstance(events[1], Metered)
    assert (4175, Decimal("0.04")) == (events[1].usage.completion_tokens, events[1].usage.cost_usd)
    assert ("ok", "gen-1") == (closed.status, closed.generation_id)
    heard = {"text": "Hello", "usage": {"cost": 0.000508, "input_tokens": 83, "output_tokens": 30, "total_tokens": 113}}
    events, closed = _read("transcription", json.dumps(heard).encode())
    assert Piece(Text("Hello")) == events[0]
    assert (83, 30, 113) == tuple(getattr(events[1].usage, f"{n}_tokens") for n in ("prompt", "completion", "total"))
    events, closed = _read("speech", b"\0\1" * 5, "audio/pcm;rate=16000;channels=1")
    assert ("pcm", 16_000, b"\0\1" * 5) == (events[0].part.format, events[0].part.rate_hz, events[0].part.data)
    assert "ok" == closed.status


def test_what_is_made_has_the_name_of_its_model(offline: Session) -> None:
    """These answers name none; in a summary by model they are no group without a name."""
    offline.image("a fox")
    offline.transcribe(SOUND)
    table = offline.tracker.summary(by="model")
    assert not table.index.isna().any()
    assert {making.IMAGE_MODEL, making.TRANSCRIPTION_MODEL} == set(table.index)
    assert table[["prompt_tokens", "completion_tokens", "total_tokens"]].notna().all(axis=None)
    assert {"Int64"} == {str(kind) for kind in table[["prompt_tokens", "total_tokens"]].dtypes}
