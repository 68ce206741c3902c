"""Cells that are stopped, and cells that fail: at once, in a line, with what came kept and marked."""

from __future__ import annotations

from ..guards import HANG_S
from .conftest import OpenNotebook
from .gateway import Gateway

ERROR = ".jp-OutputArea-output:has([data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error'])"


def test_the_stop_button_ends_a_stream_that_would_never_end(notebook: OpenNotebook, gateway: Gateway) -> None:
    """What nobody wants is not paid for; what came is kept, marked, and the next cell works.

    How soon it ends is measured by benchmarks/bench_display.py.
    """
    script = gateway.says("never ends", "Words that **go on** and on. ", pace_s=0.005, endless=True)
    opened = notebook("%%or\nnever ends", "_or.status, len(_or.text) > 40, 'stream' in _or.text")
    opened.start(0)
    opened.wait_for(0, "go on and on. Words that go on")
    opened.interrupt()
    opened.done(0)
    assert script.gone.wait(HANG_S)
    answer, status, error = opened.outputs(0).all_inner_texts()
    assert "Words that go on and on." in answer
    assert status.startswith("✗ interrupted")
    assert error.startswith("CallInterruptedError: ")
    assert len(error.strip().splitlines()) <= 2
    opened.run(1)
    assert "('interrupted', True, False)" == opened.text(1).strip()


def test_the_stop_button_ends_a_silent_stream_too(notebook: OpenNotebook, gateway: Gateway) -> None:
    """Most are stopped because nothing comes."""
    script = gateway.says("silent", "One two three.", hold=7)
    opened = notebook("%%or\nsilent", "%%or\nnext")
    gateway.says("next", "The next cell works.")
    opened.start(0)
    opened.wait_for(0, "One two")
    opened.interrupt()
    opened.done(0)
    assert script.gone.wait(HANG_S)
    opened.run(1)
    assert "The next cell works." in opened.text(1)


def test_a_refused_call_fails_in_one_or_two_lines(notebook: OpenNotebook, gateway: Gateway) -> None:
    """A client's traceback of forty lines hides what to do."""
    gateway.says("refused", refusal=(402, {"error": {"code": 402, "message": "Insufficient credits"}}))
    opened = notebook("%%or\nrefused")
    opened.run(0)
    said = opened.outputs(0).last.inner_text().strip()
    assert said.startswith("PaymentError: ")
    assert "Insufficient credits" in said
    assert len(said.splitlines()) <= 2


def test_run_all_stops_at_a_cell_that_failed(notebook: OpenNotebook, gateway: Gateway) -> None:
    """What stands below would work with an answer that is not there.

    The first cell ends when all are queued: a kernel cannot call off what a busy browser has not sent yet.
    """
    first = gateway.says("first", "Fine.", hold=2)
    gateway.says("good", "Fine.")
    gateway.says("bad", refusal=(503, {"error": {"code": 503, "message": "No instances available"}}))
    opened = notebook("%%or\nfirst", "%%or\nbad", "%%or\ngood", "print('must not run')")
    opened.run_all()
    opened.queued(3)
    first.released.set()
    opened.done(1)
    assert "Fine." in opened.text(0)
    assert "ProviderError: " in opened.text(1)
    assert ["[ ]:", "[ ]:"] == [opened.prompt(number) for number in (2, 3)]
    assert "" == opened.text(2) + opened.text(3)


def test_an_answer_that_breaks_off_is_kept_and_marked(notebook: OpenNotebook, gateway: Gateway) -> None:
    """A stream that broke is never shown as finished."""
    error = {"error": {"code": 502, "message": "Provider disconnected"}}
    gateway.says("breaks", "Half of an answer", finish_reason="error", extra=error)
    opened = notebook("%%or\nbreaks")
    opened.run(0)
    answer, status, failure = opened.outputs(0).all_inner_texts()
    assert "Half" in answer
    assert status.startswith("✗ ")
    assert "ProviderError" in failure
