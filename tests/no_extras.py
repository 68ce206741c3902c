"""What a user gets who installs nothing but or_magic; a plain script, because pytest is an extra."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CHECKS: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS.append(function)
    return function


@check
def python_asks_and_the_ledger_knows() -> None:
    import or_magic as orm

    with orm.connect(offline=True) as session:
        reply = session.ask("hello", model="openai/gpt-5-mini")
        assert reply.status == "ok"
        assert reply.simulated
        assert session.tracker.total().billed_usd == reply.cost_usd
        assert len(session.tracker.frame()) == 1
        session.tracker.plot()


@check
def an_answer_is_typed() -> None:
    from dataclasses import dataclass

    import or_magic as orm

    @dataclass
    class City:
        name: str
        inhabitants: int

    with orm.connect(offline=True) as session:
        assert session.ask("hello", model="openai/gpt-5-mini", schema=City).data == City("simulated", 1)
        assert session.ask("hello", model="openai/gpt-5-mini", schema="[name, n int]").frame()["n"].sum() == 1


@check
def a_shell_asks() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "or_magic")
    shell.run_line_magic("or", "use offline")
    assert shell.run_cell("%%or\nhello").success
    assert not shell.run_cell("%%or offline/cut\nhello").success
    shell.run_line_magic("unload_ext", "or_magic")


@check
def the_simulator_runs_by_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "or_magic.offline", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert "127.0.0.1" in server.stdout.readline()
        server.terminate()


@check
def a_team_s_ledger_says_what_it_needs() -> None:
    import or_magic as orm

    os.environ["OR_MAGIC_LEDGER"] = "postgresql://ada:word@127.0.0.1/team"
    try:
        orm.connect(base_url="http://127.0.0.1:9/v1")
    except orm.OrMagicError as error:
        assert 'pip install "or_magic[postgres]"' in str(error)
        assert "word" not in str(error)
    else:
        raise AssertionError("it began without its driver")
    finally:
        del os.environ["OR_MAGIC_LEDGER"]


@check
def the_package_says_that_it_is_typed() -> None:
    import or_magic

    assert Path(or_magic.__file__).with_name("py.typed").is_file()


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"OR_MAGIC_HOME": home, "IPYTHONDIR": home, "MPLBACKEND": "agg"}
        for function in CHECKS:
            function()
            print("ok", function.__name__)
    print(f"{len(CHECKS)} passed, 0 failed")


if __name__ == "__main__":
    main()
