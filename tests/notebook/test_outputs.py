"""Pictures and sound in a cell: in their places, whole in the file, loading nothing; in a real kernel and nbconvert."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import wave
from decimal import Decimal
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from PIL import Image as PILImage

from or_magic.content import Audio, Image, Part, Reasoning, Text
from or_magic.features.receipts import read_notebook
from or_magic.notebook.outputs import outputs_of
from or_magic.offline.media import png, tone
from or_magic.options import Options
from or_magic.values import Reply, Usage

from ..protocol.payloads import SINK, payloads
from .kernel import Kernel, Run

ANSWER = Reply(status="ok", finish_reason="stop", model="m", usage=Usage(completion_tokens=5, cost_usd=Decimal("0.01")))
SOUND = Audio(base64.b64encode(tone(0.25)).decode(), "pcm16", "Hello *there*")


@pytest.fixture(autouse=True, scope="module")
def _quick(kernel: Kernel) -> None:
    """The simulator of cells takes its time, so that people see how answers stream; here it need not."""
    kernel.run("import or_magic as orm\nfrom or_magic import api\napi.use(orm.connect(offline=True, pace_s=0.001))")


def kinds(run: Run) -> list[str]:
    return [max(shown["data"], key=lambda kind: kind != "text/plain") for shown in run.displays]


def shown(*parts: Part, **options: Any) -> list[dict[str, Any]]:
    reply = Reply(parts=parts, **{f: getattr(ANSWER, f) for f in ("status", "finish_reason", "model", "usage")})
    return [data for data, _ in outputs_of(reply, Options(**options), "✓ m")]


def test_a_picture_stands_between_the_words_that_came_around_it(kernel: Kernel) -> None:
    """Streamed, with one receipt on the first output, and nothing of a state on the way left."""
    done = kernel.run("%%or offline/image-between\nhello")
    assert ["text/markdown", "image/png", "text/markdown", "text/html"] == kinds(done)
    first, picture, second, status = done.displays
    assert "Offline simulator" in first["data"]["text/markdown"]
    assert "still streaming" not in json.dumps(done.displays)
    assert (220, 36) == PILImage.open(io.BytesIO(base64.b64decode(picture["data"]["image/png"]))).size
    assert "a picture, 220 × 36 PNG, 0.3 kB: _or.images[0]" == re.sub(
        r"0\.\d kB", "0.3 kB", picture["data"]["text/plain"]
    )
    assert "\n" not in second["data"]["text/plain"]
    assert [True, False, False, False] == ["or_magic" in each["metadata"] for each in (first, picture, second, status)]
    assert "True" == kernel.value("_or.images[0].size == (220, 36) and _or.text.count('Offline simulator') == 1")


def test_a_picture_alone_is_the_answer(kernel: Kernel) -> None:
    """``content`` is null then: no empty output before it, and the receipt is on the picture."""
    done = kernel.run("%or image a red panda's hat --size 128x64 -n 2 -o hat --tag art")
    assert ["image/png", "image/png", "text/html"] == kinds(done)
    assert "hat.images[1]" in done.displays[1]["data"]["text/plain"]
    receipt = done.displays[0]["metadata"]["or_magic"]
    assert ("ok", "art") == (receipt["status"], receipt["tag"])
    assert "first word" not in done.displays[-1]["data"]["text/plain"]
    assert "((128, 64), 'image', True)" == kernel.value(
        "(hat.images[1].size, orm.tracker.frame().purpose.iloc[-1], hat is _or)"
    )
    stopped = kernel.run("%or image --size 1x1")
    assert "OptionError" in "".join(stopped.error)


def test_a_picture_to_go_by_is_sent_along(kernel: Kernel) -> None:
    """By its name on the line, or a variable."""
    kernel.run("mine = _or.images[0]")
    assert "ok" == kernel.run("%or image the same in blue -a $mine --budget 1").status
    assert "MediaError" in "".join(kernel.run("%or image x -a no_such.png").error)


def test_sound_is_a_player_with_its_words_below(kernel: Kernel) -> None:
    """Bare samples are made into a file that browsers play."""
    done = kernel.run(
        '%%or offline/audio -p modalities=\'["text","audio"]\' -p audio.voice=a -p audio.format=pcm16\nhello'
    )
    assert ["text/html", "text/markdown", "text/html"] == kinds(done), done.error
    player, words, _ = done.displays
    found = re.fullmatch(
        r'<audio controls preload="metadata" src="data:audio/wav;base64,([\w+/=]+)"></audio>',
        player["data"]["text/html"],
    )
    assert found is not None
    with wave.open(io.BytesIO(base64.b64decode(found[1]))) as file:
        assert (24_000, 6_000) == (file.getframerate(), file.getnframes())
    assert "a sound of 0.2 s, pcm16, 12.0 kB: _or.audio" == player["data"]["text/plain"]
    assert "> This is a simulated tone; nobody speaks here." == words["data"]["text/markdown"]
    assert "simulated tone" in done.drawn, "the words were seen while they came"
    assert "('pcm16', 12000)" == kernel.value("(_or.audio.format, len(_or.audio))")


def test_a_value_shows_all_of_it_again(kernel: Kernel) -> None:
    """As the cell did, but for the status line."""
    kernel.run("%%or offline/image-between -q -o kept\nhello")
    assert ["text/markdown", "image/png", "text/markdown"] == kinds(kernel.run("kept"))


def test_a_saved_notebook_shows_and_plays_everything(kernel: Kernel, tmp_path: Path) -> None:
    """In a page made of the file, with no kernel and no network; and the spend is read back from it."""
    cells = []
    for code in ("%%or offline/image-between\nhello", "%%or offline/audio\nhello", "%or image a hat"):
        outputs = [
            nbformat.v4.new_output("display_data", each["data"], metadata=each["metadata"])
            for each in kernel.run(code).displays
        ]
        cells.append(nbformat.v4.new_code_cell(code, outputs=outputs))
    path = tmp_path / "saved.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    page, _ = HTMLExporter(embed_images=True).from_filename(str(path))
    assert 2 == len(re.findall(r'<img[^>]+src="data:image/png;base64,', page))
    assert 1 == len(re.findall(r'<audio[^>]+src="data:audio/wav;base64,', page))
    assert 3 == len(read_notebook(path).receipts)


def test_thoughts_endings_and_sources_are_said_once() -> None:
    """Above everything, and below it."""
    told = shown(Reasoning("hm"), Image(data=png()), Text("after"))
    assert ["text/markdown", "image/png", "text/markdown", "text/html"] == [next(iter(data)) for data in told]
    assert "hm" in told[0]["text/markdown"]
    assert "after" == told[2]["text/markdown"]
    cut = outputs_of(Reply(parts=(Text("a"), Image(data=png()), Text("b")), status="partial"), Options(), None)
    assert ["a", True] == [cut[0][0]["text/markdown"], "broke off" in cut[2][0]["text/markdown"]]


@pytest.mark.parametrize("media_type", ["text/html", "application/javascript", "image/png", "text/markdown"])
@pytest.mark.parametrize("data", [b"<script>pwned()</script>", b"<svg onload=pwned()>", b"# heading", b""])
def test_what_a_gateway_calls_a_picture_is_not_believed(media_type: str, data: bytes) -> None:
    """The type in a data: URL is a word of the model's side; as a key of an output it would be run."""
    assert [{"text/plain"}, {"text/html", "text/plain"}] == [
        set(each) for each in shown(Image(data=data, media_type=media_type))
    ]


def test_a_drawing_of_lines_is_shown_as_a_picture_that_cannot_run() -> None:
    """As ``image/svg+xml`` its scripts would run where notebooks are made into pages."""
    (drawing, _) = shown(Image(data=b"<svg onload='pwned()'/>", media_type="image/svg+xml"))
    assert {"text/html", "text/plain"} == set(drawing)
    assert drawing["text/html"].startswith('<img alt="a picture')
    assert "onload" not in drawing["text/html"]


def test_a_picture_by_address_is_a_link_that_names_its_host() -> None:
    """A picture that loads would tell its server who reads."""
    told = shown(Image(url="https://user@cdn.example/a.png?x=1"))[0]
    assert "[a picture at cdn.example, not loaded](https://user@cdn.example/a.png?x=1)" == told["text/markdown"]
    assert {"text/markdown", "text/plain"} == set(told)


def test_nothing_that_a_model_says_gets_out_of_its_place() -> None:
    """Nasty transcripts, formats, addresses, types: what is shown as HTML is ours to the last letter."""
    ours = re.compile(r'<audio controls preload="metadata" src="data:audio/[\w]+;base64,[\w+/=]+"></audio>')
    for payload in payloads():
        sound = Audio(SOUND.base64, payload.text, payload.text)
        link = Image(url=payload.text)
        for data in shown(sound, link, Image(data=b"x", media_type=payload.text), Image(url=f"{SINK}/{payload.text}"))[
            :-1
        ]:
            assert {"text/html", "text/markdown", "text/plain"} >= set(data)
            assert "text/html" not in data or ours.fullmatch(data["text/html"])
            assert "<script" not in data.get("text/markdown", "").lower()
            assert not re.search(r"!\[[^\]]*\]\(", data.get("text/markdown", ""))


def test_the_names_in_the_status_are_text() -> None:
    """A name of a reply is the user's own."""
    assert html.escape("_or.images[0]") in shown(Image(data=png()))[0]["text/plain"]
    assert "mine.images[0]" in shown(Image(data=png()), out="mine")[0]["text/plain"]


def test_quiet_and_text_hold_for_them_too() -> None:
    """-q hides the answer; -f text shows words as they came."""
    assert 1 == len(shown(Text("a"), Image(data=png()), quiet=True))
    assert ["text/plain", "image/png", "text/html", "text/plain", "text/html"] == [
        next(iter(data)) for data in shown(Text("*a*"), Image(data=png()), SOUND, format="text")
    ]
