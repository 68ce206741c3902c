"""What is in the file: what was seen and nothing more, and it is seen again where nothing runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from .conftest import OpenNotebook
from .gateway import Gateway
from .notebook import Notebook, saved, write
from .server import Server
from .texts import answer, marks


@pytest.mark.parametrize("size", [300, 40_000])
def test_a_saved_cell_is_one_answer_and_one_status_line(size: int, notebook: OpenNotebook, gateway: Gateway) -> None:
    """However it was streamed: ``text/markdown`` and a short ``text/plain``, the receipt, then the status."""
    text = answer("prose", size)
    gateway.says("saved", text, piece=max(4, size // 300), pace_s=0.004)
    opened = notebook("%%or\nsaved")
    opened.run(0)
    (cell,) = opened.save()
    assert ["text/markdown", "text/html"] == cell.kinds
    shown, status = cell.outputs
    assert text.strip() == "".join(shown["data"]["text/markdown"]).strip()
    plain = "".join(shown["data"]["text/plain"])
    assert "\n" not in plain
    assert len(plain) < 200
    receipt = shown["metadata"]["or_magic"]
    assert ("test/writer", "ok", "0.00005") == (receipt["model"], receipt["status"], receipt["cost_usd"])
    assert "".join(status["data"]["text/plain"]).startswith("✓ test/writer")


def test_two_magics_in_one_cell_leave_two_answers(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Both were paid for; neither may wipe the other away."""
    gateway.says("one", "The first answer.", pace_s=0.02)
    gateway.says("two", "The second answer.", pace_s=0.02)
    opened = notebook(
        "print('before')\nfor word in ('one', 'two'):\n    get_ipython().run_cell_magic('or', '', word)\nprint('after')"
    )
    opened.run(0)
    (cell,) = opened.save()
    shown = [
        "".join(output["data"]["text/markdown"]) for output in cell.outputs if "text/markdown" in output.get("data", {})
    ]
    assert ["The first answer.", "The second answer."] == shown
    assert cell.kinds[0] == cell.kinds[-1] == "stdout"


def test_a_reopened_notebook_shows_what_was_seen(
    server: Server, notebook: OpenNotebook, gateway: Gateway, browser: Browser
) -> None:
    """A new tab and a new kernel: only the file is left."""
    text = answer("prose", 2_000)
    gateway.says("again", text, pace_s=0.001)
    gateway.says("bad", refusal=(503, {"error": {"code": 503, "message": "No instances available"}}))
    opened = notebook("%%or\nagain", "%%or\nbad", fresh=True)
    opened.run(0)
    opened.run(1)
    before = [opened.text(0), opened.text(1)]
    assert marks(text)[-1] in before[0]
    opened.save()
    server.end_kernels()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    second = Notebook(context.new_page(), server, opened.name)
    second.open()
    assert before == [second.text(0), second.text(1)]
    context.close()


def test_a_file_saved_in_the_middle_says_that_it_is_unfinished(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Ctrl+S is pressed at any time; half an answer in the file must not look whole."""
    script = gateway.says("middle", "The first half. The second half.", hold=15)
    opened = notebook("%%or\nmiddle")
    opened.start(0)
    opened.wait_for(0, "The first half.")
    (cell,) = opened.save()
    script.released.set()
    opened.done(0)
    assert "still streaming" in str(cell.outputs)


def test_a_cell_run_twice_holds_only_the_second_answer(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Updates of the first run must not come to rest in the second."""
    gateway.says("twice", "The first answer.")
    opened = notebook("%%or\ntwice")
    opened.run(0)
    gateway.says("twice", "The second answer.")
    opened.run(0)
    (cell,) = opened.save()
    assert ["text/markdown", "text/html"] == cell.kinds
    assert "The second answer." == "".join(cell.outputs[0]["data"]["text/markdown"])


def test_the_rig_sees_what_is_in_a_file(server: Server) -> None:
    """The other tests of this module compare with what it reads."""
    write(server.root / "written.ipynb", ["1"])
    assert [[]] == [cell.kinds for cell in saved(server.root / "written.ipynb")]
