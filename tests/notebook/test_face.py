"""The thin face in a real kernel: a cell asks, the answer appears, a failed cell fails."""

from __future__ import annotations

import json

import pytest

from ..guards import SOON_S
from .kernel import Kernel


def test_a_cell_leaves_one_markdown_output_and_one_status_line(kernel: Kernel) -> None:
    """What is saved is what DESIGN §2 says, and nothing more: words typed while streaming are cleared."""
    done = kernel.run("%%openrouter openai/gpt-5-mini\nWhat is the weather?")
    assert "ok" == done.status
    answer, status = done.displays
    assert {"text/markdown", "text/plain"} == set(answer["data"])
    assert "What is the weather?" in answer["data"]["text/markdown"]
    assert "\n" not in answer["data"]["text/plain"]
    receipt = answer["metadata"]["or_magic"]
    assert ("offline", "ok") == (receipt["gateway"], receipt["status"])
    line = status["data"]["text/plain"]
    assert line.startswith("✓ openai/gpt-5-mini")
    assert "tokens" in line
    assert "simulated" in line
    assert "session $" in line


def test_the_answer_streams_as_text_while_somebody_looks(kernel: Kernel) -> None:
    """The first word is not held back until the last one has come; what is shown then stays in its place."""
    done = kernel.run("%%or\nhello")
    kinds = [m["msg_type"] for m in done.messages]
    assert kinds.index("display_data") < kinds.index("update_display_data")
    assert "still streaming" in done.drawn
    assert "clear_output" not in kinds
    assert "still streaming" not in done.displays[0]["data"]["text/markdown"]


def test_nothing_is_typed_when_nobody_looks(kernel: Kernel) -> None:
    """A notebook run by a program has its outputs once."""
    done = kernel.run("%%or\nhello", watched=False)
    assert [] == [m for m in done.messages if m["msg_type"] in ("stream", "clear_output", "update_display_data")]
    assert 2 == len(done.displays)


def test_a_template_takes_python_values(kernel: Kernel) -> None:
    """The value arrives at its place; JSON and single braces stay as they are."""
    kernel.run('name = "Ada"; price = 1.5')
    done = kernel.run('%%or -s "You serve {{ name }}."\n{{ name.upper() }} pays {{ price:.2f }} {"a": {"b": 1}} $x$ {%')
    assert 'ADA pays 1.50 {"a": {"b": 1}} $x$ {%' in done.displays[0]["data"]["text/markdown"]


def test_an_undefined_name_stops_before_a_request(kernel: Kernel) -> None:
    """A cell never lies: it does not send a hole."""
    before = kernel.value("len(__import__('or_magic').tracker.frame())")
    kernel.run("weather = 1")
    done = kernel.run("%%or\nHow is the {{ wether }}?")
    assert "error" == done.status
    assert 1 == len(done.error)
    assert "weather" in done.error[0]
    assert "Nothing was sent" in done.error[0]
    assert before == kernel.value("len(__import__('or_magic').tracker.frame())")


def test_out_binds_the_reply_and_the_cell_is_worth_it(kernel: Kernel) -> None:
    """The answer is a value: in NAME, in _or and in Out, drawn once."""
    done = kernel.run(
        "%%or openai/gpt-5-mini -o answer --tag mine -t 0.3 --max-tokens 400 -p provider.sort=price\nhello"
    )
    assert "ok" == done.status
    assert 2 == len(done.displays)
    assert "(True, True)" == kernel.value("(_or is answer, list(Out.values())[-1] is answer)")
    assert "'mine'" == kernel.value("__import__('or_magic').tracker.frame().tag.iloc[-1]")
    redrawn = kernel.run("answer")
    assert "text/markdown" in redrawn.displays[0]["data"]


def test_the_line_magic_gives_its_reply_to_a_variable(kernel: Kernel) -> None:
    """``r = %or ask …`` is Python like any other."""
    done = kernel.run("r = %or ask what is {{ literal }} and $HOME?")
    assert "ok" == done.status
    assert "what is {{ literal }} and $HOME?" in done.displays[0]["data"]["text/markdown"]
    assert "'ok'" == kernel.value("r.status")


@pytest.mark.parametrize(
    ("cell", "name", "words"),
    [
        ("%%or offline/error-401\nhi", "KeyRefusedError", "nothing was billed"),
        ("%%or offline/error-429:400\nhi", "RateLimitedError", "Wait 400 s"),
        ("%%or offline/cut\nhi", "TruncatedError", "before it was finished"),
        ("%%or openai/gpt-5-mni\nhi", "UnknownModelError", "openai/gpt-5-mini"),
        ("%%or --temprature 1\nhi", "OptionError", "--temperature"),
        ("%%or a/b stray words\nhi", "OptionError", "'stray'"),
        ("%%or -s \"open\nhi", "OptionError", "quote"),
        ("%%or --api-key x\nhi", "OptionError", "never an option"),
        ("%%or -s @no.md\nhi", "OptionError", "@no.md cannot be read: No such file or directory. Nothing was sent."),
        ("%%or -s @~nobody-here/no.md\nhi", "OptionError", "there is no such user"),
        ("%%or\n   ", "OptionError", "empty"),
        ("%or spnd", "OptionError", "%or spend"),
        ("%or tell me a joke", "OptionError", "%or ask tell me a joke"),
        ("%or plot --by modl", "OptionError", "model"),
    ],
)  # fmt: skip
def test_a_failed_cell_fails_in_one_line(kernel: Kernel, cell: str, name: str, words: str) -> None:
    """*Run all* stops, and the line says what happened and what to do."""
    done = kernel.run(cell)
    assert "error" == done.status
    assert name == done.reply["content"]["ename"]
    assert len(done.error) <= 2
    assert words in " ".join(done.error)


def test_a_broken_answer_is_kept_and_marked(kernel: Kernel) -> None:
    """What came was paid for; it is shown, and not as finished."""
    done = kernel.run("%%or offline/cut\nhello there")
    answer, status = done.displays
    assert "partial" == answer["metadata"]["or_magic"]["status"]
    assert status["data"]["text/plain"].startswith("✗ partial")
    assert "('partial', True)" == kernel.value("(_or.status, len(_or.text) > 0)")


def test_an_interrupt_closes_the_connection_and_books_the_row(kernel: Kernel) -> None:
    """An open stream goes on billing; the row must say what happened."""
    done = kernel.run("%%or offline/long:100000\nhello", interrupt_after=" ")
    assert "error" == done.status
    assert "CallInterruptedError" == done.reply["content"]["ename"]
    assert len(done.error) <= 2
    assert "'interrupted'" == kernel.value("__import__('or_magic').tracker.frame(all=True).status.iloc[-1]")
    assert "'interrupted'" == kernel.value("_or.status")
    server = "__import__('or_magic').api.current().engine.gateways.server"
    assert "True" == kernel.value(f"{server}.idle({SOON_S})")
    assert "'cancelled'" == kernel.value(f"{server}.billed()[-1].status")
    assert "ok" == kernel.run("%%or\nthe next cell works").status


def test_a_stream_left_open_by_a_failed_cell_is_closed(kernel: Kernel) -> None:
    """A traceback keeps a generator alive, and the bill running, for as long as the kernel lives."""
    done = kernel.run(
        "import or_magic as orm\nfor event in orm.stream('hi', model='offline/long:100000'):\n    if type(event).__name__ == 'Piece': 1/0"
    )
    assert "ZeroDivisionError" == done.reply["content"]["ename"]
    assert "'interrupted'" == kernel.value("orm.tracker.frame().status.iloc[-1]")


def test_commands_answer(kernel: Kernel) -> None:
    """The few commands of this floor do what their help says."""
    kernel.run("%%or offline/cut\nhi")
    models = kernel.run("%or models sonnet")
    assert "anthropic/claude-sonnet-4.6" in models.displays[0]["data"]["text/plain"]
    spend = kernel.run("%or spend --by status")
    assert spend.text.startswith("$")
    assert "simulated" in spend.text
    assert "partial" in spend.displays[0]["data"]["text/plain"]
    for plot in ("%or plot", "%or plot --by day", "%or plot --by latency --all"):
        assert "image/png" in kernel.run(plot).displays[0]["data"]
    help_text = kernel.run("%or help").text
    assert help_text.startswith("usage: %%openrouter")
    assert "--temperature" in help_text
    assert 100 >= max(map(len, help_text.splitlines()))  # a cell of a notebook is hardly wider
    assert kernel.run("%or").text == help_text
    assert "ok" == kernel.run("%or use anthropic/claude-sonnet-4.6").status
    assert "anthropic/claude-sonnet-4.6" in kernel.run("%or ask hi").displays[0]["data"]["text/markdown"]


def test_without_a_key_a_cell_simulates_and_says_so_but_python_refuses(fresh_kernel: Kernel) -> None:
    """A missing variable must never fill a DataFrame with a simulator's words."""
    fresh_kernel.run("os.environ.pop('OPENROUTER_API_KEY', None)\n%load_ext or_magic")
    first = fresh_kernel.run("%%or\nhello")
    assert "ok" == first.status
    assert (
        "No key: answers come from the offline simulator" in first.messages[-2]["content"].get("text", "") + first.text
    )
    assert "No key" not in fresh_kernel.run("%%or\nhello").text
    refused = fresh_kernel.run("import or_magic as orm\norm.ask('hello')")
    assert "NoKeyError" == refused.reply["content"]["ename"]
    assert "2" == fresh_kernel.value("len(orm.tracker.frame())")
    fresh_kernel.run("%or use offline")
    assert "'ok'" == fresh_kernel.value("orm.ask('hello').status")


def test_unloading_leaves_nothing_behind(fresh_kernel: Kernel) -> None:
    """No magic, hook, thread or server outlives the extension; loading again works."""
    fresh_kernel.run("import threading, gc\nbefore = set(threading.enumerate())\n%load_ext or_magic\n%or use offline")
    fresh_kernel.run("%%or\nhello")
    fresh_kernel.run("%%or offline/cut\nhello")
    fresh_kernel.run("%unload_ext or_magic")
    assert "set()" == fresh_kernel.value("{t.name for t in threading.enumerate()} - {t.name for t in before}")
    assert "[]" == fresh_kernel.value(
        "[n for n in ('or', 'openrouter') if n in get_ipython().magics_manager.magics['cell']]"
    )
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    assert "ok" == fresh_kernel.run("%%or\nhello").status


def test_the_key_is_in_no_traceback_and_no_history(fresh_kernel: Kernel, canary: str) -> None:
    """Not even in IPython's longest traceback, with a gateway that repeats the key; the session's scan reads the rest."""
    fresh_kernel.run("%xmode Verbose\n%load_ext or_magic")
    fresh_kernel.run(
        "from or_magic.offline import serve\nserver = serve()\nos.environ['OPENROUTER_BASE_URL'] = server.url\nimport or_magic as orm"
    )
    outputs = [
        fresh_kernel.run("%%or offline/echo-key\nhi"),
        fresh_kernel.run("%%or offline/cut\nhi"),
        fresh_kernel.run("orm.ask('hi', model='offline/echo-key')"),
        fresh_kernel.run("%tb"),
        fresh_kernel.run("session = orm.api.current(); vars(session.engine.gateway), session.engine.settings"),
        fresh_kernel.run("%whos"),
        fresh_kernel.run("%history"),
        fresh_kernel.run(
            "import openai\nvars(session.engine.gateway._client()), vars(session.engine.gateway._client()._client)"
        ),
    ]
    assert "KeyRefusedError" == outputs[0].reply["content"]["ename"]
    assert "[key]" in " ".join(outputs[0].error)
    told = json.dumps([run.messages for run in outputs], default=str)
    assert not [start for start in range(9, 60) if canary[start : start + 12] in told]


def test_a_reply_that_was_bound_is_drawn_when_asked_for(kernel: Kernel) -> None:
    """Drawn once in its own cell; afterwards it is a value like any other."""
    kernel.run("%%or -o bound\nhello\n")
    kernel.run("r = %or ask hello")
    assert "text/markdown" in kernel.run("r").displays[0]["data"]


def test_two_magics_in_one_cell_keep_both_answers(kernel: Kernel) -> None:
    """Both were paid for."""
    done = kernel.run("for word in ('one', 'two'):\n    get_ipython().run_cell_magic('or', '', word)")
    assert 4 == len(done.displays)


def test_choosing_offline_again_keeps_the_session(kernel: Kernel) -> None:
    """Running the first cell of a notebook twice must not forget what was spent."""
    kernel.run("%or ask hello")
    before = kernel.value("orm.tracker.total()") if kernel.run("import or_magic as orm").status == "ok" else ""
    kernel.run("%or use offline")
    assert before == kernel.value("orm.tracker.total()")
