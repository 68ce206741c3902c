"""``%or log``: the session's calls in words; what goes over the wire only for who asked, and only in memory (R29)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.errors import CallError
from or_magic.events import Closed
from or_magic.gateway.debug import KEPT, Recorder

from ..canary import found_in
from .kernel import Kernel

PROMPT, ANSWER = "gurkensalat mit dill", "schmeckt im sommer"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session with the simulator, its files below ``tmp_path``."""
    with connect(offline=True, home=tmp_path) as session:
        yield session


class Everything(logging.Handler):
    """Keeps every record of every library, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def fill(session: Session, calls: int) -> None:
    """Ask ``calls`` times, well and badly: the simulator's echo answers with the words of the prompt."""
    models = ("offline/echo", "offline/cut", "offline/error-400", "offline/mid-stream-error", "openai/gpt-5-mini")
    for number in range(calls):
        try:
            reply = session.ask(f"{PROMPT} {ANSWER} {number}", model=models[number % len(models)], system=PROMPT)
        except CallError:
            continue
        if reply.model == "offline/echo":
            assert ANSWER in reply.text


def traces(folder: Path) -> list[str]:
    """Return every file below ``folder`` that holds words of the prompt or the answer."""
    words = [form for text in (PROMPT, ANSWER) for word in text.split() if len(word) > 6 for form in _forms(word)]
    return [str(p) for p in folder.rglob("*") if p.is_file() and any(word in p.read_bytes() for word in words)]


def _forms(word: str) -> list[bytes]:
    return [word.encode(), word.encode().hex().encode(), word.encode("utf-16-le")]


def leaks(session: Session, folder: Path, calls: int) -> list[str]:
    """Return where words of ``calls`` calls were found: log records, rows, files."""
    handler, root = Everything(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        fill(session, calls)
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    rows = list(session.engine.ledger.batches(("*",), "1", ()))
    assert calls == sum(map(len, rows))
    told = {"log": "\n".join(handler.lines), "row": repr(rows)}
    return [*(place for place, text in told.items() if "gurkensalat" in text or "schmeckt" in text), *traces(folder)]


def test_without_opt_in_no_word_is_kept_anywhere(session: Session, tmp_path: Path) -> None:
    """R29: no byte of a prompt or an answer in any log record at DEBUG, any row, any file; and none in memory."""
    assert [] == leaks(session, tmp_path, 100)
    assert session.engine.gateway.recorder is None


@pytest.mark.long
def test_without_opt_in_no_word_of_a_thousand_calls_is_kept(session: Session, tmp_path: Path) -> None:
    """R29 at its full N."""
    assert [] == leaks(session, tmp_path, 1000)


def test_the_search_finds_a_word_that_is_there(tmp_path: Path) -> None:
    """A search that finds nothing proves nothing, unless it would have found something."""
    (tmp_path / "spill.txt").write_text(f"x {PROMPT} x")
    assert [str(tmp_path / "spill.txt")] == traces(tmp_path)


def test_with_opt_in_words_are_in_memory_only(session: Session, tmp_path: Path) -> None:
    """R29: what was asked for is there, and still in no file, no row and no record."""
    session.engine.gateway.record(on=True)
    assert [] == leaks(session, tmp_path, 10)
    assert session.engine.gateway.recorder is not None
    kept = session.engine.gateway.recorder.exchanges()
    assert PROMPT in kept[0].request
    assert "schmeckt" in kept[0].body
    assert [200, 200, 400, 200, 200] == [exchange.status_code for exchange in kept[:5]]
    assert ["ok", "partial", "refused", "error", "ok"] == [str(x.ended).partition(":")[0] for x in kept[:5]]
    assert "text/event-stream" in kept[0].headers["content-type"]


def test_only_the_last_ones_are_kept(session: Session) -> None:
    """A notebook that runs for days must not grow by its log."""
    session.engine.gateway.record(on=True)
    for number in range(KEPT + 5):
        session.ask(f"number {number}")
    kept = session.engine.gateway.recorder.exchanges()  # type: ignore[union-attr]
    assert KEPT == len(kept)
    assert "number 5" in kept[0].request


def test_switching_it_off_forgets(session: Session) -> None:
    """Nothing stays behind, and nothing more is kept."""
    gateway = session.engine.gateway
    gateway.record(on=True)
    session.ask("hello")
    gateway.record(on=False)
    session.ask("hello")
    assert gateway.recorder is None


def exchange(redact: Callable[[bytes], bytes] = lambda body: body, **body: Any) -> Any:
    return Recorder(redact).begin({"model": "a/b", **body})


def test_pictures_and_long_bodies_are_shortened() -> None:
    """One picture would fill the log; what is left out is told."""
    told = exchange(messages=[{"image_url": f"data:image/png;base64,{'iVBORw0KGgo' * 9000}"}])
    assert "iVBORw0KGgoiVBORw0KGgoiV… (99,000 characters)" in told.request
    assert len(told.request) < 1000
    long = exchange(text="word " * 200_000)
    assert long.request.endswith("characters more")
    for _ in range(1000):
        told.take(b"data: 1234\n\n" * 100)
    assert 1_200_000 - 256 * 1024 == told.unkept_bytes
    assert 256 * 1024 == len(told.body)


@pytest.mark.parametrize("cut", range(1, 74, 6))
def test_the_key_is_not_kept_even_when_it_comes_in_two_pieces(canary: str, cut: int) -> None:
    """A gateway may echo what it got, cut anywhere."""
    told = exchange(lambda body: body.replace(canary.encode(), b"[key]"), user=canary)
    whole = f"Bearer {canary} was refused; {canary}".encode()
    for piece in (whole[:cut], whole[cut : cut + 9], whole[cut + 9 :]):
        told.take(piece)
    assert "Bearer [key] was refused; [key]" == told.body
    assert [] == list(found_in(canary, bytes(told._body)))
    assert '"user": "[key]"' in told.request


def test_only_harmless_headers_are_kept() -> None:
    """A cookie or an echo of what was sent is nobody's business."""
    told = exchange()
    told.answer(
        200,
        {
            "content-type": "a",
            "x-generation-id": "b",
            "set-cookie": "c",
            "authorization": "d",
            "x-ratelimit-limit": "e",
        },
    )
    assert {"content-type": "a", "x-generation-id": "b", "x-ratelimit-limit": "e"} == told.headers


def test_a_repr_tells_nothing() -> None:
    """Tracebacks print what frames hold, and notebooks are shared."""
    told = exchange(messages=PROMPT)
    told.end(Closed("ok"))
    assert "gurken" not in repr(told)


def test_the_log_tells_each_call_in_a_line(fresh_kernel: Kernel) -> None:
    """Oldest first: when, which model, how it ended, what it took and cost, where it came from."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    assert "Nothing was asked in this session yet." == fresh_kernel.run("%or log").text.splitlines()[0]
    for cell in ("%%or openai/gpt-5-mini --tag mine\nhello", "%%or offline/cut\nhello", "%%or offline/error-429-daily\nhello",
                 "%or ask hello", "import or_magic as orm\norm.ask('hello', max_tokens=3)"):  # fmt: skip
        fresh_kernel.run(cell)
    *lines, note = fresh_kernel.run("%or log").text.splitlines()
    assert 5 == len(lines)
    for line, words in zip(lines, [
        ("openai/gpt-5-mini", "answered", "tokens", "simulated", "cell", "tag mine"),
        ("offline/cut", "broke off (TruncatedError)", "cell"),
        ("offline/error-429-daily", "refused (RateLimitedError 429)", "nothing billed", "cell"),
        ("answered", "line"),
        ("answered, cut short: length", "Python"),
    ], strict=True):  # fmt: skip
        assert [] == [word for word in words if word not in line], line
    assert "Requests and answers are not kept" in note


def test_debugging_is_asked_for_in_a_cell(fresh_kernel: Kernel) -> None:
    """Off by default, said when switched on, shown on demand, forgotten on demand."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\n%or ask before")
    assert "From now on" in fresh_kernel.run("%or log --debug").text
    assert "Nothing was sent since." == fresh_kernel.run("%or log --debug").text.strip()
    fresh_kernel.run("%%or openai/gpt-5-mini -t 0.5\nhello there")
    fresh_kernel.run("%%or offline/error-402\nhello")
    assert "2 requests and answers are kept in memory" in fresh_kernel.run("%or log").text
    told = fresh_kernel.run("%or log --debug").text
    assert "before" not in told
    request = json.loads(told[told.index("{") : told.index("── response")])
    assert ("hello there", 0.5) == (request["messages"][-1]["content"], request["temperature"])
    assert "── response: HTTP 200\n" in told
    assert "content-type: text/event-stream" in told
    assert "data: [DONE]" in told
    assert "── response: HTTP 402" in told
    assert "── refused: " in told
    assert "forgotten" in fresh_kernel.run("%or log --no-debug").text
    assert "From now on" in fresh_kernel.run("%or log --debug").text


def test_the_kept_words_cannot_touch_a_terminal(fresh_kernel: Kernel) -> None:
    """What a model or a gateway writes is printed inert."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline\n%or log --debug")
    fresh_kernel.run("import or_magic as orm\nr = orm.ask('\\x1b]0;owned\\x07 \\u202e', model='offline/echo')")
    told = fresh_kernel.run("%or log --debug").text
    assert "owned" in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_the_log_with_a_real_gateway_has_no_key(fresh_kernel: Kernel, canary: str) -> None:
    """Requests are shown without Authorization, and an echo of the key without the key."""
    fresh_kernel.run(
        "%load_ext or_magic\nfrom or_magic.offline import serve\nserver = serve()\n"
        "os.environ['OPENROUTER_BASE_URL'] = server.url\n%or log --debug"
    )
    fresh_kernel.run("%%or offline/echo-key\nhello")
    fresh_kernel.run("%%or offline/echo\nmy key is {{ os.environ['OPENROUTER_API_KEY'] }} and so on")
    told = fresh_kernel.run("%or log --debug").text
    assert "[key]" in told
    assert [] == list(found_in(canary, told.encode()))
