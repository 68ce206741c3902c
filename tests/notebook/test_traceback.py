"""``%or traceback``: the whole of the last failure, in every mode, and nothing of the key in it, whatever broke in."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.ultratb import VerboseTB

from or_magic.api import Session, connect
from or_magic.errors import OptionError, OrMagicError, RefusedError
from or_magic.offline import Server, serve
from or_magic.secrets import Secret, hide_pieces

from ..canary import found_in
from .kernel import Kernel

BELOW = ("httpcore2", "h11", "httpx2", "openai", "or_magic/gateway", "or_magic\\gateway", "or_magic/secrets")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A simulator that is reached as a real gateway is: by address, with the key."""
    running = serve()
    yield running
    running.close()


@pytest.fixture
def session(server: Server, tmp_path: Path) -> Iterator[Session]:
    """A session that sends the canary."""
    with connect(base_url=server.url, home=tmp_path) as session:
        session.ask("hello")  # what a first call imports is no part of what follows
        yield session


Place = tuple[str, int]


class Watch:
    """Follows a call line by line, below the gateway's door; notes or interrupts where a frame holds the key."""

    def __init__(self, key: str, stop_at: Place | None = None) -> None:
        self._piece = key[20:50]
        self._stop_at = stop_at
        self.places: dict[Place, None] = {}

    def __enter__(self) -> Watch:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: types.FrameType, event: str, _: Any) -> Any:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if not any(name in place[0] for name in BELOW) or self._stop_at not in (None, place):
            return self._trace
        if event == "line" and self._holds(frame):
            if place == self._stop_at:
                sys.settrace(None)
                raise KeyboardInterrupt
            self.places[place] = None
        return self._trace

    def _holds(self, frame: types.FrameType) -> bool:
        sys.settrace(None)
        try:
            return any(self._piece in _repr(value) for value in list(frame.f_locals.values()))
        finally:
            sys.settrace(self._trace)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - half-built objects have no repr
        return ""


def ask(session: Session, model: str) -> BaseException | None:
    try:
        if model == "GET":
            session.engine.gateway.get("/models/count")
        else:
            session.ask("hello", model=model)
    except (OrMagicError, KeyboardInterrupt) as error:
        return error
    return None


def verbose(error: BaseException) -> str:
    return str(VerboseTB().text(type(error), error, error.__traceback__))


@pytest.mark.parametrize("model", ["openai/gpt-5-mini", "offline/echo-key", "GET"])
def test_an_interrupt_anywhere_shows_no_key(session: Session, canary: str, model: str, request: Any) -> None:
    """Python's own KeyboardInterrupt has the frames of the HTTP stack, whose locals are headers on their way.

    Each line where a frame holds the key is interrupted once, and drawn by IPython's longest traceback; in the daily
    run every tenth.
    """
    with Watch(canary) as watch:
        ask(session, model)
    places = list(watch.places)
    assert len(places) > 100, "the watch sees nothing: no proof"
    interrupted = 0
    for place in places[:: 1 if request.config.getoption("--long") else 10]:
        with Watch(canary, stop_at=place):
            error = ask(session, model)
        if isinstance(error, KeyboardInterrupt):
            interrupted += 1
            assert [] == list(found_in(canary, verbose(error).encode())), place
    assert interrupted > 10


def test_the_proof_above_would_see_a_key(canary: str) -> None:
    """A frame that holds it, drawn in the same way, is found."""

    def sends(headers: list[tuple[bytes, bytes]]) -> None:
        raise KeyboardInterrupt(len(headers))

    with pytest.raises(KeyboardInterrupt) as caught:
        sends([(b"Authorization", b"Bearer " + canary.encode())])
    assert ["plain"] == list(found_in(canary, verbose(caught.value).encode()))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Bearer {key}.", "Bearer [key]."),
        ("{key}{key}", "[key][key]"),
        ("'{start}...{end}'", "'[key]...[key]'"),
        ("keys begin with sk-or-v1-", "keys begin with sk-or-v1-"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_pieces_of_a_key_are_hidden(text: str, wanted: str) -> None:
    """IPython cuts long values in their middle: what is left of a key on both sides must go."""
    key = "hgkjmnvwxyz-qrstuptnmkv"
    told = hide_pieces(text.format(key=key, start=key[:11], end=key[-9:]), [Secret(key), Secret("")])
    assert wanted == told


def test_the_whole_traceback_is_shown_on_demand(fresh_kernel: Kernel) -> None:
    """The cell showed one line; this shows the frames, as ``%xmode`` says."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    assert "Nothing of or_magic has failed" in fresh_kernel.run("%or traceback").text
    assert len(fresh_kernel.run("%%or --temprature 1\nhello").error) <= 2
    told = fresh_kernel.run("%or traceback").text
    assert "OptionError" in told
    assert "parse_line" in told
    fresh_kernel.run("1/0")
    assert told == fresh_kernel.run("%or traceback").text
    fresh_kernel.run("%xmode Verbose")
    verbose_told = fresh_kernel.run("%or traceback").text
    assert "--temprature" in verbose_told
    assert len(verbose_told) > len(told)
    fresh_kernel.run("%xmode Minimal")
    assert "parse_line" not in fresh_kernel.run("%or traceback").text


def test_the_end_of_a_stream_is_not_told_as_the_cause(fresh_kernel: Kernel) -> None:
    """Python ends an iteration by an exception of its own, which explains nothing."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    fresh_kernel.run("%%or offline/cut\nhello")
    told = fresh_kernel.run("%or traceback").text
    assert "TruncatedError" in told
    assert "During handling" not in told


def test_percent_tb_stays_sensible(fresh_kernel: Kernel) -> None:
    """IPython's own command shows the short form again, not an error about drawing it."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    shown = fresh_kernel.run("%%or offline/error-401\nhello").error
    again = fresh_kernel.run("%tb")
    assert "".join(shown).strip() in "".join([*again.error, again.text])


def test_no_traceback_has_the_key(fresh_kernel: Kernel, canary: str) -> None:
    """Failures of every kind, with a gateway that repeats the key, in the longest mode."""
    fresh_kernel.run(
        "%load_ext or_magic\n%xmode Verbose\nfrom or_magic.offline import serve\nserver = serve()\n"
        "os.environ['OPENROUTER_BASE_URL'] = server.url\nimport or_magic as orm"
    )
    told = []
    for cell in ("%%or offline/echo-key\nhi", "%%or offline/cut\nhi", "%%or offline/reset\nhi", "%%or -s $nothing\nhi",
                 "orm.ask('hi', model='offline/echo-key')", "list(orm.stream('hi', model='offline/html'))",
                 "%%or\n{{ 1/0 }}"):  # fmt: skip
        assert "error" == fresh_kernel.run(cell).status, cell
        run = fresh_kernel.run("%or traceback")
        assert "Traceback" in run.text or "Error" in run.text
        told.append(run.messages)
    assert [] == list(found_in(canary, json.dumps(told, default=str).encode()))


def test_a_kept_failure_keeps_no_connection(fresh_kernel: Kernel) -> None:
    """A traceback holds frames, and frames hold what they worked with; an open stream goes on billing."""
    fresh_kernel.run(
        "%load_ext or_magic\n%or use offline\nimport gc, types, or_magic as orm\n"
        "def running():\n"
        "    gc.collect()\n"
        "    return {o.gi_code.co_name for o in gc.get_objects() if isinstance(o, types.GeneratorType)\n"
        "            and o.gi_frame is not None and 'or_magic' in o.gi_code.co_filename\n"
        "            and o.gi_code.co_name in ('send', '_exchange', 'decode', 'payloads', '_read')}"
    )
    fresh_kernel.run("stream = orm.stream('hi', model='offline/long:100000'); next(stream)")
    assert "True" == fresh_kernel.value("running() > {'send', '_read'}")  # a connection in use has these
    fresh_kernel.run("stream.close()")
    assert "error" == fresh_kernel.run("%%or offline/long:100000\nhello", interrupt_after=" ").status
    for cell in ("%%or offline/cut\nhello", "%%or offline/reset\nhello", "orm.ask('hi', model='offline/cut-done')",
                 "for event in orm.stream('hi', model='offline/reset'): pass"):  # fmt: skip
        assert "error" == fresh_kernel.run(cell).status, cell
        assert "set()" == fresh_kernel.value("running()"), cell


def test_hidden_contexts_are_let_go(fresh_kernel: Kernel) -> None:
    """What ``from None`` hides from the reader must not be held for him either."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\nimport sys")
    assert "error" == fresh_kernel.run("%%or -a no-such-file.png\nhello").status
    assert "(True, None)" == fresh_kernel.value("(sys.last_value.__suppress_context__, sys.last_value.__context__)")


@pytest.mark.parametrize(
    "error",
    [
        OptionError("bad \x1b[31m\x1b]0;owned\x07 \u202ename\nsecond"),
        RefusedError("bad \x1b[2J\x9b5A", "do \x1b[31m\u202ethat"),
    ],
)
def test_what_an_error_repeats_is_inert(error: OrMagicError) -> None:
    """Names, paths and a gateway's words stand in it; a terminal must not act on them."""
    lines = error._render_traceback_()
    assert len(lines) <= 2
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith(f"{type(error).__name__}: bad")


def test_a_failed_cell_cannot_write_on_the_terminal(fresh_kernel: Kernel) -> None:
    """What the cell itself says wrong is repeated, without what a terminal would do."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    for cell in ("%%or --\x1b[31mx\nhello", "%%or a/b\x1b]0;owned\x07\nhello", "%or \x1b[2Jspend"):
        shown = fresh_kernel.run(cell).error
        assert "\x07" not in "".join(shown)
        assert "\x1b[2J" not in "".join(shown)
        assert "\x1b[31mx" not in "".join(shown)
