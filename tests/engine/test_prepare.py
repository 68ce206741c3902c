"""What becomes of a request before it is sent: order of its parts, what the model takes, what is kept, what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from or_magic.api import Session
from or_magic.content import Audio, File, Image, ParsedFile, Part, Text, Video
from or_magic.engine.prepare import check_inputs, marked
from or_magic.errors import MediaError, ProviderError
from or_magic.events import Closed, Notice
from or_magic.gateway.catalog import bundled, parse_models
from or_magic.options import from_keywords
from or_magic.protocol.accumulate import Accumulation
from or_magic.protocol.encode import encode
from or_magic.protocol.faults import fault_of_error
from or_magic.values import Message, Origin, Request

from ..world.kit import RawServer, books, png, response

MODELS = bundled()
CLAUDE, CHEAP, BLIND = "anthropic/claude-sonnet-4.6", "openai/gpt-5-mini", "deepseek/deepseek-v4-flash"
LONG = "The quick brown fox jumps over the lazy dog. " * 600  # about 6,000 tokens
KEPT = {"type": "ephemeral"}


def sent(session: Session, prompt: Any, **options: Any) -> dict[str, Any]:
    """Return the body that would be sent, as JSON can say it."""
    values = options.pop("values", None)
    told = session.engine.preview(prompt, from_keywords(options), values=values).body
    found: dict[str, Any] = json.loads(json.dumps(told))
    return found


@pytest.fixture(scope="module")
def valid(shared: Path) -> Callable[[dict[str, Any]], None]:
    """Raises where a body is no ChatRequest of the official document."""
    spec = yaml.load((shared / "openrouter/openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    return Draft202012Validator({"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]}).validate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file of every kind."""
    from PIL import Image as Pictures

    for name, data in {
        "chart.png": png(), "paper.pdf": b"%PDF-1.7\n", "voice.wav": b"RIFF\x10\0\0\0WAVEfmt " + bytes(20), "song.mp3": b"ID3\x04\0\0" + bytes(20),
        "film.mp4": b"\0\0\0\x20ftypisom" + bytes(20), "notes.md": b"# Notes", "table.csv": b"a,b\n1,2\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    Pictures.new("RGB", (4, 3)).save(tmp_path / "scan.bmp")
    Pictures.new("L", (5000, 10)).save(tmp_path / "wide.png")
    return tmp_path


def test_documents_stand_before_the_question_and_pictures_after(
    offline: Session, folder: Path, valid: Callable[[dict[str, Any]], None]
) -> None:
    """Text first (WIRE.md §3), and what stays the same before what changes; all of it as the document says."""
    names = ("chart.png", "paper.pdf", "table.csv", "voice.wav", "film.mp4", "notes.md", "scan.bmp", "song.mp3")
    body = sent(offline, "What is this?", attach=[folder / name for name in names], model="google/gemini-2.5-flash")
    valid(body)
    content = body["messages"][0]["content"]
    texts = [part["text"] for part in content if part["type"] == "text"]
    assert ["table.csv:\n\na,b\n1,2\n\n\n", "notes.md:\n\n# Notes\n\n", "What is this?"] == texts
    kinds = [part["type"] for part in content[len(texts) :]]
    assert ["image_url", "file", "input_audio", "video_url", "image_url", "input_audio"] == kinds
    assert "data:image/png;base64," == content[-2]["image_url"]["url"][:22]


def test_the_recorded_document_question_is_what_is_sent(offline: Session, folder: Path, shared: Path) -> None:
    """Text, then the file with its name; the recording has its bytes cut out."""
    recorded = json.loads((shared / "openrouter/recorded/pai-file-annotation.request.json").read_bytes())
    (folder / "filename.pdf").write_bytes(b"%PDF-1.4\n")
    question = recorded["messages"][0]["content"][0]["text"]
    body = sent(offline, question, attach=folder / "filename.pdf", model=recorded["model"], no_stream=True)
    body["messages"][0]["content"][1]["file"]["file_data"] = "data:application/pdf;base64,…cut…"
    assert recorded == {name: body[name] for name in recorded}


def test_what_was_read_out_of_a_document_goes_back_as_it_came(shared: Path) -> None:
    """So that it is not paid twice: from the recorded answer into the next turn, unchanged."""
    from or_magic.protocol.decode import decode_whole

    raw = (shared / "openrouter/recorded/pai-file-annotation.json").read_bytes()
    answer = Accumulation()
    for event in decode_whole(raw, None):
        answer.add(event)
    reply = answer.reply()
    assert any(isinstance(part, ParsedFile) for part in reply.parts)
    turns = (
        Message("user", (Text("q"), File(data=b"%PDF-"))),
        Message("assistant", reply.parts),
        Message("user", (Text("more"),)),
    )
    told = json.loads(json.dumps(encode(Request("openai/gpt-5.1-codex-mini", turns))))
    message = json.loads(raw)["choices"][0]["message"]
    assert message["annotations"] == told["messages"][1]["annotations"]


def test_what_was_read_is_kept_when_the_model_failed_afterwards() -> None:
    """It rides on the error's reply (WIRE.md §3): the next try need not pay for it."""
    annotation = {"type": "file", "file": {"hash": "h", "name": "n", "content": []}}
    error = fault_of_error(
        {"code": 502, "message": "Provider failed", "metadata": {"file_annotations": [annotation, 5, {"type": "x"}]}}
    )
    answer = Accumulation("openrouter", "c", "a/b")
    answer.add(Closed("error", error))
    assert (ParsedFile(annotation),) == answer.reply().parts
    assert "" == answer.reply().text


def test_it_rides_on_the_exception_over_the_wire(open_session: Callable[..., Session], raw_server: RawServer) -> None:
    """From the bytes of a 502 to ``error.reply.parts``."""
    annotation = {"type": "file", "file": {"hash": "h", "name": "n", "content": []}}
    body = json.dumps({"error": {"code": 502, "message": "m", "metadata": {"file_annotations": [annotation]}}}).encode()
    raw_server.play = lambda sock, _: sock.sendall(response(body, "502 Bad Gateway"))
    session = open_session(base_url=raw_server.url)
    with pytest.raises(ProviderError) as caught:
        session.ask("hi", model="a/b")
    assert (ParsedFile(annotation),) == caught.value.reply.parts


def test_a_document_of_a_conversation_is_read_once(offline: Session, folder: Path) -> None:
    """The answer says what was read, and the next turn brings it back: the simulator tells that it came."""
    first = offline.ask("What is in it?", attach=folder / "paper.pdf", model=CHEAP, chat="paper")
    assert 1 == len([part for part in first.parts if isinstance(part, ParsedFile)])
    second = offline.ask("And what more?", model=CHEAP, chat="paper")
    assert "documents sent back as they were read before: 1" in second.text
    assert not [part for part in second.parts if isinstance(part, ParsedFile)]


# ── what a model takes ─────────────────────────────────────────────────────────────────────────────────────────────────

SHOWN: list[tuple[Part, str]] = [
    (Image(url="https://x.example/a.png"), "pictures"), (Audio("AAAA", "wav"), "sound"), (Video(url="https://x.example/a.mp4"), "videos"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "noun"), SHOWN)
def test_a_model_that_cannot_is_refused_with_the_cheapest_that_can(offline: Session, part: Part, noun: str) -> None:
    """Before anything is sent, so nothing is booked; the price is in the sentence."""
    with pytest.raises(
        MediaError, match=rf"{BLIND} takes no {noun}.*Nothing was sent\. The cheapest that can: \S+ \(\$"
    ) as caught:
        offline.ask(["What?", part], model=BLIND)
    named = [model for model in MODELS.entries if f" {model.id} (" in str(caught.value)]
    assert named
    assert all(part.kind in model.input_modalities for model in named)
    able = [m for m in MODELS.entries if part.kind in m.input_modalities and m.output_modalities == ("text",) and m.prices.known()
            and not m.id.startswith("openrouter/") and m.expires is None]  # fmt: skip
    least = min(3 * m.prices.usd["prompt"] + m.prices.usd["completion"] for m in able)
    assert least == min(3 * m.prices.usd["prompt"] + m.prices.usd["completion"] for m in named)
    assert 0 == offline.engine.gateways.server.received()
    with pytest.raises(MediaError, match="The cheapest that can"):
        offline.engine.preview(["What?", part], from_keywords({"model": BLIND}))


@pytest.mark.parametrize("name", ["acme/unheard-of", "openrouter/auto", "openrouter/free", "local:x", "acme/x:nitro"])
@pytest.mark.parametrize(("part", "noun"), SHOWN)
def test_an_unknown_model_and_a_router_are_sent_everything(name: str, part: Part, noun: str) -> None:
    """Catalogues lag behind; what a router chooses is not known."""
    check_inputs(Request(name, (Message("user", (part,)),)), MODELS)


def test_documents_go_to_every_model_and_what_a_model_made_goes_back() -> None:
    """OpenRouter reads documents for those that cannot (WIRE.md §3)."""
    check_inputs(Request(BLIND, (Message("user", (Text("q"), File(data=b"%PDF-"))),)), MODELS)
    check_inputs(Request(BLIND, (Message("assistant", (Image(data=png()),)), Message("user", (Text("q"),)))), MODELS)


def test_a_fallback_that_can_is_enough() -> None:
    """The gateway asks it when the first refuses; that none can is an error."""
    shown = (Message("user", (Image(url="https://x"),)),)
    check_inputs(Request(BLIND, shown, {"models": [CHEAP]}), MODELS)
    check_inputs(Request(f"{CHEAP}:nitro", shown), MODELS)
    with pytest.raises(MediaError):
        check_inputs(Request(f"{BLIND}:nitro", shown, {"models": ["deepseek/deepseek-v4-pro"]}), MODELS)


def test_a_catalogue_without_any_model_that_can_says_so() -> None:
    """Rather than naming nothing."""
    item = {
        "id": "a/b",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "1", "completion": "1"},
    }
    with pytest.raises(MediaError, match="knows no model that can"):
        check_inputs(
            Request("a/b", (Message("user", (Image(url="https://x"),)),)),
            parse_models({"data": [item]}, MODELS.date, "test"),
        )


# ── what is told ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_done_to_a_picture_is_a_notice_of_the_call(offline: Session, folder: Path) -> None:
    """Nobody should wonder why a detail cannot be read."""
    with offline.stream("What?", attach=str(folder / "wide.png"), model="offline/plain") as stream:
        notices = [event for event in stream if isinstance(event, Notice) and event.reason == "attachment"]
    assert [Notice("attachment", "wide.png: scaled down from 5,000 × 10 to 4,096 × 8 pixels")] == notices


def test_what_cannot_be_attached_leaves_no_row(offline: Session, folder: Path) -> None:
    """Nothing was sent, so nothing is booked."""
    for thing in (folder / "missing.png", "https://x.example/a.mp3", b"PK\3\4\x14\0", folder, ""):
        with pytest.raises(MediaError):
            offline.ask("What?", model="offline/plain", attach=thing)
    offline.close()
    assert not offline.engine.ledger.path.exists() or [] == books(offline.engine.ledger.path)


# ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────────────────


def texts(request: Request) -> list[tuple[str, bool]]:
    """Return the first word of every text, and whether the prompt is kept up to it."""
    return [
        (part.text[:3], part.cache_control is not None)
        for m in request.messages
        for part in m.parts
        if isinstance(part, Text)
    ]


def ask(*messages: tuple[str, list[str]], model: str = CLAUDE, chat: str | None = None, **params: Any) -> Request:
    """Return the request as it is sent."""
    turns = tuple(Message(role, tuple(Text(text) for text in said)) for role, said in messages)  # type: ignore[arg-type]
    return marked(Request(model, turns, params, origin=Origin(chat=chat)), MODELS.find(model))


def test_long_instructions_and_documents_are_kept() -> None:
    """What comes again: not the question."""
    assert [("The", True), ("q", False)] == texts(ask(("system", [LONG]), ("user", ["q"])))
    assert [("The", True), ("q", False)] == texts(ask(("user", [LONG, "q"])))
    assert [("sys", False), ("a", False), ("The", True), ("q", False)] == texts(
        ask(("system", ["sys"]), ("user", ["a", LONG, "q"]))
    )
    assert [("The", False)] == texts(ask(("user", [LONG])))
    assert [("sys", False), ("q", False)] == texts(ask(("system", ["sys"]), ("user", ["q"])))


def test_conversations_are_kept_up_to_their_last_word() -> None:
    """The next turn begins with all of it."""
    talk = [("user", [LONG]), ("assistant", ["yes"]), ("user", ["q"])]
    assert [("The", False), ("yes", False), ("q", True)] == texts(ask(*talk))
    assert [("The", True)] == texts(ask(("user", [LONG]), chat="work"))
    assert [("q", False)] == texts(ask(("user", ["q"]), chat="work"))


@pytest.mark.parametrize("model", ["openai/gpt-5-mini", "google/gemini-2.5-flash", "acme/unheard-of"])
def test_other_models_are_not_asked(model: str) -> None:
    """They keep prompts by themselves, or nobody knows what they would take for it."""
    assert [("The", False), ("q", False)] == texts(ask(("user", [LONG, "q"]), model=model))


@pytest.mark.parametrize("off", ["off", "none", False, None])
def test_it_can_be_turned_off(offline: Session, off: Any) -> None:
    """``-p cache_control=off``; the word itself is not sent."""
    body = sent(offline, "q", system=LONG, model=CLAUDE, params={"cache_control": off})
    assert "cache_control" not in json.dumps(body)


def test_what_the_user_says_decides(offline: Session) -> None:
    """The field at the top is the gateway's own way; a mark of one's own stands alone."""
    control = {"type": "ephemeral", "ttl": "1h"}
    body = sent(offline, "q", system=LONG, model=CLAUDE, params={"cache_control": control})
    assert control == body["cache_control"]
    assert "cache_control" not in json.dumps(body["messages"])
    body = sent(offline, [Text(LONG, cache_control=control), "q"], system=LONG, model=CLAUDE)
    system, question = body["messages"]
    assert LONG == system["content"]
    assert [control, None] == [part.get("cache_control") for part in question["content"]]


def test_a_marked_request_is_valid_and_says_so(
    offline: Session, valid: Callable[[dict[str, Any]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the dry run shows where; its bound is the price of writing."""
    from or_magic.notebook.preview import draw

    (tmp_path / "book.txt").write_text(LONG)
    options = from_keywords({"attach": tmp_path / "book.txt", "model": CLAUDE, "max_tokens": 10})
    preview = offline.engine.preview("q", options)
    valid(json.loads(json.dumps(preview.body)))
    draw(preview)
    assert "keep the prompt up to here" in capsys.readouterr().out
    assert preview.bound_usd is not None
    assert preview.bound_usd > Decimal("0.00000375") * 6_000
