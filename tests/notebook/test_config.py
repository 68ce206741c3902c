"""``%config``, ``%or config`` and ``%or alias`` in a real kernel; what ipython_config.py says; what unloading leaves."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..guards import HANG_S
from .kernel import Kernel


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def kernel(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel with a home and a folder of its own, and the simulator chosen."""
    monkeypatch.setenv("OR_MAGIC_HOME", str(home))
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    monkeypatch.chdir(tmp_path)
    kernel = Kernel()
    try:
        kernel.run("%load_ext or_magic")
        yield kernel
    finally:
        kernel.close()


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Path]]:
    """One kernel for all that changes nothing, and its home."""
    home = tmp_path_factory.mktemp("refusing")
    kernel = Kernel()
    try:
        kernel.run(f"import os; os.environ['OR_MAGIC_HOME'] = {str(home)!r}\n%load_ext or_magic\n%or use offline")
        yield kernel, home
    finally:
        kernel.close()


TRAITS = "next(c for c in get_ipython().configurables if type(c).__name__ == 'OpenRouterMagics')"


def asked(kernel: Kernel) -> str:
    """The model that a cell without a model asks."""
    assert "ok" == kernel.run("%%or\nhello").status
    return kernel.value("__import__('or_magic').tracker.frame().model_requested.iloc[-1]").strip("'")


def saved(home: Path) -> dict[str, object]:
    return tomllib.loads((home / "config.toml").read_text())


def rows(kernel: Kernel) -> dict[str, list[str]]:
    lines = kernel.run("%or config").text.splitlines()
    return {line.split("  ")[0]: line.split() for line in lines if line}


def test_config_of_ipython_takes_effect_on_the_next_cell(kernel: Kernel) -> None:
    """The session goes on; what is taken back is taken back."""
    default = asked(kernel)
    session = kernel.value("__import__('or_magic.api').api.current().engine.session")
    kernel.run('%config OpenRouterMagics.model = "openai/gpt-5-mini"')
    assert "openai/gpt-5-mini" == asked(kernel)
    kernel.run('%config OpenRouterMagics.model = ""')
    assert default == asked(kernel)
    assert session == kernel.value("__import__('or_magic.api').api.current().engine.session")


def test_config_of_ipython_shows_help_and_values_and_refuses_what_is_wrong(kernel: Kernel) -> None:
    """IPython draws it; there is no key among them, and none can be put there."""
    kernel.run("%or use openai/gpt-5-mini")
    told = kernel.run("%config OpenRouterMagics").text
    for words in ("OpenRouterMagics.model", "OpenRouterMagics.base_url", "app_url", "app_name", "vendor/name"):
        assert words in told
    assert "Current: 'openai/gpt-5-mini'" in told
    assert "key" not in told.lower()
    wrong = kernel.run('%config OpenRouterMagics.base_url = "ftp://x"')
    assert "no http(s) address" in wrong.text
    assert "''" == kernel.value(f"{TRAITS}.base_url")
    kernel.run("%config OpenRouterMagics.model = 3")
    assert "openai/gpt-5-mini" == asked(kernel)
    key = kernel.run('%config OpenRouterMagics.api_key = "abcdefghijkl"')
    assert "A key is no setting" in key.text
    assert "abcdefghijkl" not in kernel.value(f"{TRAITS}.config")
    for _ in range(2):  # a warning of traitlets comes once
        assert "use %or budget" in kernel.run("%config OpenRouterMagics.session_budget = 5").text
    assert "No budget holds." in kernel.run("%or budget").text


def test_another_gateway_begins_another_session_and_says_so(kernel: Kernel) -> None:
    """Its books are others; the model that was chosen stays."""
    kernel.run("from or_magic.offline import serve\nserver = serve()")
    kernel.run("%or use openai/gpt-5-mini")
    session = "__import__('or_magic.api').api.current().engine.gateway.base_url"
    before = kernel.value(session)
    assert "Another gateway answers from now on" in kernel.run("%config OpenRouterMagics.base_url = server.url").text
    assert "openai/gpt-5-mini" == asked(kernel)
    assert before != kernel.value(session)
    assert kernel.value("server.url").strip("'") == rows(kernel)["base_url"][1]
    assert "%config" == rows(kernel)["base_url"][2]
    assert "Another gateway answers from now on" in kernel.run("%or use offline").text
    assert "" == kernel.run("%or use offline").text.replace(
        "Answers now come from the offline simulator: no model writes them, and nothing is billed.\n", ""
    )


def test_the_table_tells_every_setting_and_its_source(kernel: Kernel, home: Path, tmp_path: Path) -> None:
    """Where a value comes from is what people ask."""
    table = rows(kernel)
    assert ["offline", "environment"] == table["base_url"][1:]
    assert "default" == table["model"][2]
    assert [str(home), "environment"] == table["home"][1:]
    assert "not there yet" in kernel.run("%or config").text
    kernel.run("%or config app_name My Little App\n%or alias fast openai/gpt-5-mini\n%or config model fast")
    table = rows(kernel)
    path = str(home / "config.toml")
    assert ["fast", "=", "openai/gpt-5-mini", path] == table["model"][1:]
    assert ["My", "Little", "App", path] == table["app_name"][1:]
    assert ["openai/gpt-5-mini", path] == table["alias fast"][2:]
    assert "openai/gpt-5-mini" == asked(kernel)
    kernel.run("%or use offline/plain")
    assert ["offline/plain", "%config"] == rows(kernel)["model"][1:]
    masked = kernel.run("%config OpenRouterMagics.app_url = 'https://me:password@x.example/'\n%or config")
    assert "https://x.example/" in masked.text
    assert "me:password" not in masked.text


def test_what_is_saved_is_there_in_the_next_kernel_and_here(kernel: Kernel, home: Path) -> None:
    """And what wins over it is named."""
    assert f"model is saved in {home / 'config.toml'}." in kernel.run("%or config model openai/gpt-5-mini").text
    assert "openai/gpt-5-mini" == asked(kernel)
    assert "The catalogue does not know" in kernel.run("%or config model no/such-model").text
    kernel.run("%or use openai/gpt-5-mini")
    told = kernel.run("%or config model anthropic/claude-sonnet-4.6").text
    assert "But model is openai/gpt-5-mini here: %config wins over the file." in told
    moved = kernel.run("%or config base_url https://gateway.example/v1").text
    assert "This session keeps its gateway" in moved
    assert "But base_url is offline here: environment wins over the file." in moved
    assert {"model": "anthropic/claude-sonnet-4.6", "base_url": "https://gateway.example/v1"} == saved(home)
    assert "is removed" in kernel.run("%or config base_url --unset").text
    assert "nothing was changed" in kernel.run("%or config base_url --unset").text
    assert "openai/gpt-5-mini" == asked(kernel)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("config modle a/b", "Did you mean 'model'"),
        ("config rate_limits 3", "rate_limits is a table: write it into config.toml itself, below [rate_limits]."),
        ("config base_url ftp://x", "no http(s) address"),
        ("config model", "a name and a value, or a name and --unset"),
        ("config model a/b --unset", "a name and a value, or a name and --unset"),
        ("config api_key x", "%or key --set"),
        ("config home /x", "OR_MAGIC_HOME"),
        ("config --unset-all", "does not belong here. Did you mean --unset?"),
        ("alias a/b c/d", "cannot be an alias"),
        ("alias fast", "a name and a model id, or a name and --delete"),
        ("alias fast a/b c/d", "a name and a model id, or a name and --delete"),
        ("alias offline c/d", "cannot be an alias"),
        ("alias nothing --delete", "There is no alias 'nothing'. There are none."),
    ],
)
def test_what_cannot_be_saved_is_refused_in_one_line(refusing: tuple[Kernel, Path], line: str, words: str) -> None:
    """And nothing is written."""
    kernel, home = refusing
    done = kernel.run(f"%or {line}")
    assert "error" == done.status
    assert 1 == len(done.error)
    assert words in done.error[0]
    assert not (home / "config.toml").exists()


def test_an_alias_is_a_model_everywhere(kernel: Kernel, home: Path) -> None:
    """In a cell, in Python, as the default; and no alias of an alias, which a typo would make a circle."""
    assert "There are no aliases" in kernel.run("%or alias").text
    assert "fast now stands for openai/gpt-5-mini" in kernel.run("%or alias fast openai/gpt-5-mini").text
    assert "ok" == kernel.run("%%or fast\nhello").status
    kernel.run("import or_magic as orm; orm.ask('hello', model='fast')")
    assert "{'openai/gpt-5-mini'}" == kernel.value("set(orm.tracker.frame().model_requested)")
    assert "The default model is now openai/gpt-5-mini." in kernel.run("%or use fast").text
    assert "openai/gpt-5-mini" == asked(kernel)
    assert "Did you mean: %or alias quick openai/gpt-5-mini" in " ".join(kernel.run("%or alias quick fast").error)
    assert "fast  openai/gpt-5-mini" in kernel.run("%or alias").text
    assert "Did you mean 'fast'" in " ".join(kernel.run("%or alias fasst --delete").error)
    assert "it stood for openai/gpt-5-mini" in kernel.run("%or alias fast --delete").text
    assert {"aliases": {}} == saved(home)


def test_a_typo_in_the_file_is_said_once_and_a_broken_file_stops(kernel: Kernel, home: Path) -> None:
    """In the cell's own output, above the answer; the doctor and the table say it every time."""
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('modle = "a/b"\n')
    kernel.run("%reload_ext or_magic")
    sentence = "line 1: 'modle' is not a setting. Did you mean 'model'?"
    first = kernel.run("%%or\nhello")
    assert "ok" == first.status
    assert sentence in first.text
    assert "SettingsWarning" not in first.text
    assert sentence not in kernel.run("%%or\nhello").text
    assert sentence in kernel.run("%or config").text
    assert sentence in kernel.run("%or doctor").text
    (home / "config.toml").write_text('model = "a/b\n')
    kernel.run("%reload_ext or_magic")
    broken = kernel.run("%%or\nhello")
    assert "SettingsError" == broken.reply["content"]["ename"]
    assert f"{home / 'config.toml'}: " in broken.error[0]
    assert "line 1" in broken.error[0]
    assert "Nothing was sent." in broken.error[0]
    doctor = kernel.run("%or doctor")
    assert ("ok", True) == (doctor.status, "✗ settings" in doctor.text)


def test_a_command_says_the_typo_too(kernel: Kernel, home: Path) -> None:
    """Somebody may never run a cell."""
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('modle = "a/b"\n')
    kernel.run("%reload_ext or_magic")
    assert "'modle' is not a setting" in kernel.run("%or spend").text
    assert "'modle' is not a setting" not in kernel.run("%%or\nhello").text


def test_unloading_takes_the_settings_back(kernel: Kernel) -> None:
    """No trait outlives the extension, and no choice does."""
    kernel.run("%or use openai/gpt-5-mini")
    kernel.run("%unload_ext or_magic")
    assert "OpenRouterMagics" not in kernel.run("%config").text
    assert "{}" == kernel.value("dict(__import__('or_magic.api').api.chosen())")
    kernel.run("%load_ext or_magic")
    assert "OpenRouterMagics" in kernel.run("%config").text
    assert "openai/gpt-5-mini" != asked(kernel)


IPYTHON_CONFIG = """
c = get_config()
c.InteractiveShellApp.extensions = ["or_magic"]
c.OpenRouterMagics.model = "openai/gpt-5-mini"
c.OpenRouterMagics.base_url = "offline"
"""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (IPYTHON_CONFIG, "openai/gpt-5-mini"),
        (IPYTHON_CONFIG + "c.OpenRouterMagics.api_key = 'abcdefghijkl'\n", "A key is no setting"),
        (IPYTHON_CONFIG.replace('"offline"', '"ftp://x"'), "no http(s) address"),
    ],
    ids=["used", "a key", "a wrong address"],
)
def test_ipython_config_is_read_when_the_extension_loads(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, words: str
) -> None:
    """In IPython's own file, as for every extension; what is wrong in it is said, and IPython starts all the same."""
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(config)
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    monkeypatch.setenv("OR_MAGIC_HOME", str(home))
    script = "import or_magic as orm; print(orm.ask('hi').text and orm.tracker.frame().model_requested.iloc[-1])"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", "-c", script if "api_key" not in config and "ftp" not in config else "1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S,
    )  # fmt: skip
    assert words in done.stdout + done.stderr
    assert "abcdefghijkl" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("daily_budget", "5", "$5.00"),
        ("fallback_models", "a/b,c/d", "a/b, c/d"),
        ("fallback_sticky", "yes", "true"),
        ("retries", "1", "1"),
        ("circuit_breaker", "off", "false"),
        ("ledger", "postgresql://127.0.0.1:9/team", ""),
    ],
)
def test_every_kind_of_setting_is_saved_and_shown(fresh_kernel: Kernel, name: str, value: str, shown: str) -> None:
    """Written as people write it; a ledger's address is for the next kernel, and is shown nowhere."""
    fresh_kernel.run("import os\n%load_ext or_magic")
    saved = fresh_kernel.run(f"%or config {name} {value}")
    assert "ok" == saved.status, saved.error
    assert f"{name} is saved in" in saved.text
    table = fresh_kernel.run("%or config").text
    assert any(line.startswith(name) and shown in line for line in table.splitlines()) or name == "daily_budget"
    assert "127.0.0.1:9" not in table
    assert "error" == fresh_kernel.run(f"%or config {name} -").status or name in ("fallback_models", "ledger")
    assert "is removed from" in fresh_kernel.run(f"%or config {name} --unset").text
