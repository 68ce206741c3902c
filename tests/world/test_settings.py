"""Settings: where each may come from, in which order, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from or_magic.api import Session, aask, ask, connect, current, forget_choices, set_settings, stream, use
from or_magic.errors import NoKeyError, OptionError, SettingsError
from or_magic.secrets import Secret
from or_magic.setting_kinds import BUDGETS, LocalServer, Pace
from or_magic.settings import DEFAULT_MODEL, NAMES, OPENROUTER, Settings, SettingsWarning, load_settings
from or_magic.values import Timeouts

from .kit import ROOT, RawServer, rows

KEY = {"OPENROUTER_API_KEY": "a-key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A notebook's folder inside a repository."""
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    notebooks = tmp_path / "repository" / "notebooks"
    notebooks.mkdir()
    return notebooks


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine's own config file and keyring are no part of a test; the home of somebody without settings."""
    monkeypatch.setattr("or_magic.settings._home", lambda: tmp_path / "nobody")
    monkeypatch.setattr("or_magic.settings.stored_key", lambda: (None, None))
    (tmp_path / "nobody").mkdir()
    return tmp_path / "nobody"


def load(folder: Path, environ: dict[str, str] | None = None, **given: Any) -> Settings:
    return load_settings(given, environ or {}, folder)


def test_without_anything_the_defaults_hold(folder: Path) -> None:
    """And there is no key."""
    settings = load(folder)
    assert (OPENROUTER, DEFAULT_MODEL, None, "openrouter") == (
        settings.base_url, settings.model, settings.key, settings.gateway,
    )  # fmt: skip
    assert settings.lacks_key


MEANT: dict[str, tuple[str, object]] = {
    "base_url": ("https://x.example/v1", "https://x.example/v1"),
    "home": ("/some/where", Path("/some/where")),
    "fallback_models": ("a/b, c/d,", ("a/b", "c/d")),
    "session_budget": ("$2.50", Decimal("2.50")),
    "daily_budget": ("5", Decimal(5)),
    "weekly_budget": ("0", Decimal(0)),
    "ledger": ("postgresql://ada:pw@db.example/team", "postgresql://ada:pw@db.example/team"),
}


def told(settings: Settings, name: str) -> object:
    value = getattr(settings, name)
    return value.reveal() if isinstance(value, Secret) else value


SPELLINGS = [(setting, name) for setting, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("setting", "name"), SPELLINGS)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_every_documented_name_is_read(folder: Path, setting: str, name: str, where: str) -> None:
    """Other tools' names are accepted too (DESIGN §2)."""
    value, meant = MEANT.get(setting, ("a value", "a value"))
    if where == ".env":
        (folder / ".env").write_text(f"{name}={value}\n")
    settings = load(folder, {name: value} if where == "environment" else {})
    assert meant == (getattr(settings.budgets, BUDGETS[setting]) if setting in BUDGETS else told(settings, setting))
    assert (where if where == "environment" else str(folder / ".env")) == settings.sources[setting]


def test_a_team_s_ledger_that_came_with_a_folder_is_told(folder: Path) -> None:
    """Whoever cloned the folder has not chosen where their rows go; the password is not told."""
    address = "postgresql://ada:secret-word@db.example/team"
    (folder / ".env").write_text(f"OR_MAGIC_LEDGER={address}\n")
    (warning,) = load(folder).warnings
    assert "names a ledger on db.example" in warning
    assert "secret-word" not in warning
    assert () == load(folder, {"OR_MAGIC_LEDGER": address}).warnings
    (folder / ".env").write_text("OR_MAGIC_LEDGER=postgresql://127.0.0.1/team\n")
    assert () == load(folder).warnings


def test_the_names_of_the_design_are_known() -> None:
    """They are the contract: tests elsewhere rely on them."""
    assert {"OPENROUTER_BASE_URL", "OPENROUTER_DEFAULT_MODEL", "OPENROUTER_APP_URL", "OPENROUTER_HTTP_REFERER",
            "OPENROUTER_SITE_URL", "OPENROUTER_APP_NAME", "OPENROUTER_X_TITLE", "OPENROUTER_SITE_NAME",
            "OPENROUTER_FALLBACK_MODELS", "OPENROUTER_SESSION_BUDGET", "OPENROUTER_DAILY_BUDGET",
            "OPENROUTER_WEEKLY_BUDGET", "OR_MAGIC_HOME", "OR_MAGIC_LEDGER"} <= {name for _, name in SPELLINGS}  # fmt: skip


def test_what_is_given_wins_over_the_environment_and_that_over_the_file(folder: Path) -> None:
    """One order, everywhere."""
    (folder / ".env").write_text("OPENROUTER_DEFAULT_MODEL=from/file\nOPENROUTER_APP_NAME=file\n")
    environ = {"OPENROUTER_DEFAULT_MODEL": "from/environment"}
    assert "from/call" == load(folder, environ, model="from/call").model
    assert "from/environment" == load(folder, environ).model
    assert ("from/file", "file") == (load(folder).model, load(folder, environ).app_name)


def test_the_config_file_comes_last_before_the_default(folder: Path, nobody: Path) -> None:
    """Call, %config, environment, .env, config file, default: and each says where it was."""
    config = nobody / "config.toml"
    config.write_text('model = "from/config"\napp_name = "config"\napp_url = "https://config.example"\n')
    (folder / ".env").write_text("OPENROUTER_DEFAULT_MODEL=from/file\nOPENROUTER_APP_NAME=file\n")
    settings = load(folder, {"OPENROUTER_DEFAULT_MODEL": "from/environment"})
    assert ("from/environment", "file", "https://config.example") == (
        settings.model, settings.app_name, settings.app_url,
    )  # fmt: skip
    assert {"model": "environment", "app_name": str(folder / ".env"), "app_url": str(config)} == settings.sources
    assert "from/config" == load(folder.parent).model
    assert "%config" == load_settings({"model": "x/y"}, {}, folder, giver="%config").sources["model"]


@pytest.mark.parametrize("where", ["environment", ".env", "given"])
def test_the_config_file_lies_in_the_home_that_is_set(folder: Path, tmp_path: Path, where: str) -> None:
    """OR_MAGIC_HOME says where, also from a .env."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    (home / "config.toml").write_text('model = "from/elsewhere"\n')
    if where == ".env":
        (folder / ".env").write_text(f"OR_MAGIC_HOME={home}\n")
    given = {"home": home} if where == "given" else {}
    settings = load(folder, {"OR_MAGIC_HOME": str(home)} if where == "environment" else {}, **given)
    assert ("from/elsewhere", home / "config.toml") == (settings.model, settings.config)


@pytest.mark.parametrize("text", ['model = "a/b', "model = 3", 'base_url = "ftp://x"'])
def test_a_config_file_that_cannot_be_used_is_named(folder: Path, nobody: Path, text: str) -> None:
    """Its values are held to the same rules as every other."""
    (nobody / "config.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"Nothing was sent\.") as caught:
        load(folder)
    assert str(nobody / "config.toml") in str(caught.value)


def test_an_alias_means_its_model_everywhere(folder: Path, nobody: Path) -> None:
    """As a cell's model, as the default, and from a .env that also holds the key."""
    (nobody / "config.toml").write_text('model = "good"\n[aliases]\ngood = "a/b"\nfast = "c/d"\n')
    settings = load(folder)
    assert ["a/b", "c/d", "x/y"] == [settings.resolve(name) for name in (None, "fast", "x/y")]
    (folder / ".env").write_text("FAST_MODEL=e/f\nREASONING_MODEL=g/h\n")
    assert {"good": "a/b", "fast": "c/d"} == load(folder).aliases
    (folder / ".env").write_text("OPENROUTER_API_KEY=k\nFAST_MODEL=e/f\nREASONING_MODEL=g/h\nDAILY_BUDGET=1\n")
    settings = load(folder)
    assert {"good": "a/b", "fast": "e/f", "reasoning": "g/h"} == settings.aliases
    assert str(folder / ".env") == settings.sources["aliases.fast"]
    assert str(nobody / "config.toml") == settings.sources["aliases.good"]


def test_the_row_names_the_model_that_an_alias_means(home: Path) -> None:
    """Spend is counted by models, not by what somebody called them."""
    home.mkdir()
    (home / "config.toml").write_text('[aliases]\nfast = "openai/gpt-5-mini"\n')
    with connect(offline=True) as session:
        session.ask("hi", model="fast")
        assert ["openai/gpt-5-mini"] == [row["model_requested"] for row in rows(session)]


def test_a_typo_in_the_config_file_warns_once_where_a_call_is_made(home: Path) -> None:
    """Passed over in silence it would be searched for in vain; and it stops no call."""
    home.mkdir()
    (home / "config.toml").write_text('modle = "a/b"\n')
    with connect(offline=True) as session:
        with pytest.warns(SettingsWarning, match="line 1: 'modle' is not a setting. Did you mean 'model'"):
            session.ask("hi", model="offline/plain")
        assert "ok" == session.ask("again", model="offline/plain").status


def test_what_is_chosen_wins_and_is_taken_back(home: Path) -> None:
    """``%config`` is nothing but this; the session goes on, for it is the same gateway."""
    use(None)
    set_settings(base_url="offline", model="offline/plain")
    session = current()
    assert ("offline/plain", "%config") == (session.engine.settings.model, session.engine.settings.sources["model"])
    assert not set_settings(model="offline/long:3", app_name="Mine")
    assert session is current()
    assert "offline/long:3" == ask("hi").model
    assert not set_settings(model=None)
    assert DEFAULT_MODEL == current().engine.settings.model
    assert "Mine" == current().engine.settings.app_name
    with pytest.raises(SettingsError):
        set_settings(base_url="ftp://x")
    with pytest.raises(OptionError, match="'app_name'"):
        set_settings(app_nmae="x")
    assert session is current()
    use(None)
    forget_choices()


def test_another_base_url_begins_another_session(home: Path, raw_server: RawServer) -> None:
    """Its books and its connections are others."""
    use(None)
    set_settings(base_url="offline")
    before = current()
    assert set_settings(base_url=raw_server.url)
    assert "Hello" == ask("hi", model="m").text
    assert (True, False) == (before.engine.simulated, current().engine.simulated)
    assert before is not current()
    assert before.engine.session == current().engine.session  # a kernel has one life, and one budget of its session
    assert not set_settings(base_url=raw_server.url)
    assert set_settings(base_url=None)
    use(None)
    forget_choices()


@pytest.mark.usefixtures("no_key")
def test_a_key_that_comes_into_the_environment_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``os.environ[…] = …`` after an error must help without a restart."""
    with pytest.raises(NoKeyError):
        ask("Hello")
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-key")
    assert "environment" == current().engine.settings.key.source
    use(None)


def test_an_empty_variable_is_no_value(folder: Path) -> None:
    """Containers set variables to nothing to unset them."""
    (folder / ".env").write_text("OPENROUTER_DEFAULT_MODEL=from/file\nOPENROUTER_API_KEY=\n")
    settings = load(folder, {"OPENROUTER_DEFAULT_MODEL": "", "OPENROUTER_API_KEY": "  "})
    assert ("from/file", None) == (settings.model, settings.key)


def test_the_search_for_a_file_ends_at_the_repository(folder: Path, tmp_path: Path) -> None:
    """What lies above a clone is somebody else's."""
    (tmp_path / ".env").write_text("OPENROUTER_DEFAULT_MODEL=outside\n")
    assert DEFAULT_MODEL == load(folder).model
    (folder.parent / ".env").write_text("OPENROUTER_DEFAULT_MODEL=root\n")
    assert "root" == load(folder).model
    (folder / ".env").write_text("OPENROUTER_DEFAULT_MODEL=nearest\n")
    assert "nearest" == load(folder).model


def test_a_worktree_s_git_file_ends_the_search_too(tmp_path: Path) -> None:
    """There ``.git`` is a file."""
    (tmp_path / ".env").write_text("OPENROUTER_DEFAULT_MODEL=outside\n")
    inside = tmp_path / "worktree"
    inside.mkdir()
    (inside / ".git").write_text("gitdir: elsewhere")
    assert DEFAULT_MODEL == load(inside).model


def test_bare_names_count_only_beside_the_key(folder: Path) -> None:
    """``DEFAULT_MODEL`` alone may mean anything."""
    (folder / ".env").write_text("DEFAULT_MODEL=bare/model\n")
    assert DEFAULT_MODEL == load(folder).model
    assert DEFAULT_MODEL == load(folder, KEY).model
    (folder / ".env").write_text("OPENROUTER_API_KEY=k\nDEFAULT_MODEL=bare/model\n")
    assert "bare/model" == load(folder).model
    assert DEFAULT_MODEL == load(folder.parent, KEY | {"DEFAULT_MODEL": "environment/bare"}).model
    (folder / ".env").write_text("OPENROUTER_API_KEY=k\nDEFAULT_MODEL=bare/model\nOPENROUTER_DEFAULT_MODEL=full/name\n")
    assert "full/name" == load(folder).model


@pytest.mark.parametrize(
    ("line", "value"),
    [("A=plain", "plain"), ("A='single quoted'", "single quoted"), ('A="double quoted"', "double quoted"),
     ("export A=exported", "exported"), ("A = spaced", "spaced"), ("A=value # comment", "value"),
     ('A="with # hash"', "with # hash"), ("A=a=b", "a=b"), ("A='$HOME'", "$HOME"), ("\ufeffA=bom", "bom"),
     ("A=crlf\r", "crlf")],
)  # fmt: skip
def test_the_file_is_read_as_other_tools_read_it(folder: Path, line: str, value: str) -> None:
    """Quotes, comments and exports are what people write."""
    (folder / ".env").write_text(line.replace("A", "OPENROUTER_APP_NAME", 1) + "\n", encoding="utf-8")
    assert value == load(folder).app_name


@pytest.mark.parametrize("data", ["OPENROUTER_APP_NAME=Pr\xfcf\n".encode("latin-1"), "A=b\n".encode("utf-16")])
def test_a_file_in_another_encoding_is_named(folder: Path, data: bytes) -> None:
    """Windows writes them; the error says which file."""
    (folder / ".env").write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        load(folder)
    assert str(folder / ".env") in str(caught.value)


def test_the_key_comes_from_the_environment_before_the_file(folder: Path) -> None:
    """And its source is known without showing it."""
    (folder / ".env").write_text("OPENROUTER_API_KEY=' from-file '\n")
    assert ("from-file", ".env") == (load(folder).key.secret.reveal(), load(folder).key.source)
    both = load(folder, KEY)
    assert ("a-key", "environment") == (both.key.secret.reveal(), both.key.source)
    assert "a-key" not in repr(both)


@pytest.mark.parametrize("key", ["sk-or-v1-schl\xfcssel", "two\nlines", "a\x00b"])
def test_a_key_that_is_no_header_is_refused_without_showing_it(folder: Path, key: str) -> None:
    """A copy of a web page brings such characters along."""
    with pytest.raises(SettingsError, match="characters that no key has") as caught:
        load(folder, {"OPENROUTER_API_KEY": key})
    assert key not in str(caught.value)


@pytest.mark.parametrize("name", ["api_key", "key"])
def test_connect_takes_no_key(home: Path, name: str) -> None:
    """Keys in code end up in notebooks."""
    with pytest.raises(OptionError, match="not an option"):
        connect(**{name: "x"})


def test_an_unknown_setting_names_the_closest(home: Path) -> None:
    """A typo is not ignored."""
    with pytest.raises(OptionError, match="Did you mean 'base_url'"):
        connect(base_ulr="http://localhost:1")


SAFE = [
    "http://127.0.0.1:1/v1",
    "http://localhost:1",
    "http://[::1]:1/v1",
    "http://127.8.9.1/",
    "https://api.example/v1",
]
UNSAFE = ["http://api.example/v1", "http://127.evil.example/v1", "http://127.0.0.1.evil.example/v1", "http://10.0.0.1/v1",
          "http://localhost.evil.example/v1", "http://evil.example/127.0.0.1", "http://127.0.0.1@evil.example/v1"]  # fmt: skip


@pytest.mark.parametrize("url", UNSAFE)
def test_a_key_never_travels_unencrypted(folder: Path, url: str) -> None:
    """Everybody on the way could read it; a name that only looks like this machine is not this machine."""
    with pytest.raises(SettingsError, match="unencrypted"):
        load(folder, KEY, base_url=url)
    assert url.rstrip("/") == load(folder, base_url=url).base_url


@pytest.mark.parametrize("url", SAFE)
def test_this_machine_and_https_may_have_it(folder: Path, url: str) -> None:
    """Local gateways are plain."""
    assert load(folder, KEY, base_url=url).key


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "openrouter.ai", "http://", "http://[::1", "http://x:port/v1", "http://x:99999/v1", "//x", "https://"],
)
def test_an_address_that_is_none_is_refused_at_once(folder: Path, url: str) -> None:
    """Not at the first call, and not with somebody else's exception."""
    with pytest.raises(SettingsError, match=r"Nothing was sent\."):
        load(folder, base_url=url)


@pytest.mark.parametrize(
    ("url", "name"),
    [(OPENROUTER, "openrouter"), (OPENROUTER + "/", "openrouter"), ("https://openrouter.ai:443/api/v1", "openrouter"),
     ("https://OpenRouter.ai/api/v1", "openrouter"), ("offline", "offline"), ("http://user:word@localhost:8000/v1", "localhost:8000"),
     ("https://api.example/v1", "api.example")],
)  # fmt: skip
def test_a_gateway_has_one_name_however_its_address_is_spelled(folder: Path, url: str, name: str) -> None:
    """The ledger counts by it; passwords are no part of it."""
    assert name == load(folder, base_url=url).gateway


def test_offline_has_no_key(folder: Path) -> None:
    """The simulator needs none, so it gets none."""
    assert None is load(folder, KEY, offline=True).key is load(folder, KEY | {"OPENROUTER_BASE_URL": "offline"}).key


@pytest.fixture
def no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    use(None)


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize("verb", [ask, stream])
def test_python_without_a_key_is_an_error(verb: Any) -> None:
    """A missing variable must never fill a DataFrame with a simulator's words."""
    with pytest.raises(NoKeyError, match=r"Nothing was sent\."):
        verb("Hello")
    use(None)


@pytest.mark.usefixtures("no_key")
def test_aask_without_a_key_is_an_error_too() -> None:
    """The same rule on the way through a thread."""
    with pytest.raises(NoKeyError):
        asyncio.run(aask("Hello"))
    use(None)


@pytest.mark.usefixtures("no_key")
def test_offline_by_the_environment_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OPENROUTER_BASE_URL=offline`` is how CI runs."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    assert ask("Hello", model="offline/plain").simulated
    use(None)


@pytest.mark.usefixtures("no_key")
def test_offline_rows_have_a_ledger_of_their_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated money is never mixed with real money."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    ask("Hello", model="offline/plain")
    use(None)
    assert (True, False) == ((home / "offline" / "ledger.sqlite").exists(), (home / "ledger.sqlite").exists())


@pytest.mark.usefixtures("no_key")
def test_a_cells_own_offline_session_is_not_pythons(home: Path) -> None:
    """What a cell starts by itself was chosen by nobody."""
    chosen = connect(offline=True)
    with Session(chosen.engine, automatic=True) as automatic, pytest.raises(NoKeyError):
        automatic.ask("Hello")


def test_an_odd_key_warns_nobody_and_is_used(folder: Path) -> None:
    """The prefix is a habit, not a contract; looks_odd is for whoever shows it."""
    assert load(folder, KEY).key.secret.looks_odd()
    assert not load(folder, {"OPENROUTER_API_KEY": "sk-or-" + "v1-abc"}).key.secret.looks_odd()


def test_timeouts_are_a_setting(folder: Path) -> None:
    """They travel with every request."""
    assert Timeouts(1, 2, 3, 4) == load(folder, timeouts=Timeouts(1, 2, 3, 4)).timeouts


def test_a_folder_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    """A kernel outlives the folder it was started in."""
    script = (
        "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)\n"
        "from or_magic.settings import load_settings; print(load_settings({}, {}).model)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (DEFAULT_MODEL, "") == (done.stdout.strip(), done.stderr)


STRANGER = """
model = "local:theirs"
[local]
theirs = {base_url = "http://stranger.example/v1"}
"""


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('base_url = "https://stranger.example/v1"', "the key is from the environment: it does not go there"),
        (STRANGER, "no prompt goes there"),
    ],
)
def test_a_home_that_came_with_a_folder_sends_nothing_to_strangers(
    folder: Path, tmp_path: Path, config: str, message: str
) -> None:
    """Whoever cloned a folder has chosen neither its .env nor the config file to which that leads."""
    theirs = tmp_path / "repository" / "home"
    theirs.mkdir()
    (theirs / "config.toml").write_text(config)
    (folder / ".env").write_text(f"OR_MAGIC_HOME={theirs}")
    with pytest.raises(SettingsError, match=message):
        load(folder, KEY)
    assert load(folder, KEY | {"OR_MAGIC_HOME": str(theirs)}).config == theirs / "config.toml"  # this is a choice


def test_a_home_that_came_with_a_folder_gets_no_stored_key(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a key was meant for OpenRouter."""
    monkeypatch.setattr("or_magic.settings.stored_key", lambda: pytest.fail("the keyring was opened"))
    (tmp_path / "config.toml").write_text('base_url = "https://stranger.example/v1"')
    (folder / ".env").write_text(f"OR_MAGIC_HOME={tmp_path}")
    assert load(folder).key is None


def test_the_config_file_holds_tables(folder: Path, nobody: Path) -> None:
    """Local servers, budgets of tags and limits a minute have no other place."""
    (nobody / "config.toml").write_text(
        """
        fallback_models = ["a/b"]
        [local]
        ollama = "http://127.0.0.1:11434/v1"
        studio = {base_url = "http://127.0.0.1:1234/v1", model = "m"}
        [rate_limits]
        "*" = {requests = 60}
        [tag_budgets]
        thesis = 2.50
        """
    )
    settings = load(folder)
    assert {
        "ollama": LocalServer("http://127.0.0.1:11434/v1"),
        "studio": LocalServer("http://127.0.0.1:1234/v1", "m"),
    } == settings.local
    assert {"*": Pace(requests=60)} == settings.rate_limits
    assert {"thesis": Decimal("2.50")} == settings.budgets.tags


def test_a_session_that_goes_on_with_its_gateway_goes_on_with_its_budgets(
    home: Path, raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that now names the simulator frees no call that still goes to a gateway."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", raw_server.url)
    monkeypatch.setenv("OPENROUTER_DAILY_BUDGET", "5")
    monkeypatch.setenv("OR_MAGIC_HOME", str(home))
    engine = current().engine
    monkeypatch.setenv("OPENROUTER_BASE_URL", "offline")
    try:
        set_settings(model="a/b")
        assert (raw_server.url, Decimal(5)) == (engine.settings.base_url, engine.settings.budgets.day)
    finally:
        use(None)
        forget_choices()


def test_tables_in_code_may_hold_numbers_of_numpy(folder: Path) -> None:
    """A limit that was computed is a limit."""
    limits = {"*": {"requests": np.int64(60)}}
    rules = {"coding": {"answer_tokens": np.int32(3000), "high": ["a/b"]}}
    given = {"rate_limits": limits, "choose": rules, "tag_budgets": {"thesis": np.float64(2.5)}, "retries": np.int8(2)}
    settings = load_settings(given, {}, folder)
    assert {"*": Pace(requests=60)} == settings.rate_limits
    assert (int, 3000) == (type(settings.choose["coding"].answer_tokens), settings.choose["coding"].answer_tokens)
    assert ({"thesis": Decimal("2.5")}, 2) == (settings.budgets.tags, settings.retries)


@pytest.mark.parametrize("tags", [{"": 5}, {"x\n": 5}])
def test_a_budget_of_no_tag_is_refused(folder: Path, tags: dict[str, Any]) -> None:
    """Calls without a tag are added up under none: such a budget would look as if it held, and stop nobody."""
    with pytest.raises(SettingsError, match="tag_budgets cannot be used"):
        load(folder, tag_budgets=tags)
