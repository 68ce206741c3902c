"""The config file: what it may say, how it is changed, and that no key is ever in it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
import traceback
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from or_magic.config_file import FILE_NAME, NAMES, read_config, write_alias, write_setting
from or_magic.errors import OptionError, SettingsError
from or_magic.setting_kinds import BUDGETS, PLAIN
from or_magic.settings import Settings

from ..guards import HANG_S
from .kit import ROOT

KEY = "-".join(["sk", "or", "v1", "0123456789abcdef" * 4])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def say(home: Path, text: str | bytes) -> Path:
    home.mkdir(exist_ok=True)
    path = home / FILE_NAME
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(home: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_config(home)
    assert str(home / FILE_NAME) in str(caught.value)
    assert "Nothing was sent." in str(caught.value)
    return str(caught.value)


def test_a_missing_file_says_nothing(home: Path) -> None:
    """Most people have none."""
    config = read_config(home)
    assert ({}, {}, ()) == (config.settings, config.aliases, config.warnings)
    assert not home.exists()


def test_settings_and_aliases_are_read(home: Path) -> None:
    """By their names; an empty value is none, as in the environment."""
    say(home, 'model = "a/b"\napp_url = ""\napp_name = " My App "\n[aliases]\nfast = "c/d"\nkey = "e/f"\n')
    config = read_config(home)
    assert {"model": "a/b", "app_name": "My App"} == config.settings
    assert {"fast": "c/d", "key": "e/f"} == config.aliases


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ('# mine\nmodle = "a/b"\n', "line 2", "'model'"),
        ('Model = "a/b"\n', "line 1", "'model'"),
        ('base-url = "https://x"\n', "line 1", "'base_url'"),
        ('model = "a/b"\n\n[alias]\nfast = "a/b"\n', "line 3", "[aliases]"),
        ('home = "/x"\n', "line 1", "OR_MAGIC_HOME"),
        ("timeouts.total = 3\n", "line 1", "Known are"),
        ('"quoted" = "x"\n', "line 1", "Known are"),
    ],
)
def test_a_typo_is_named_with_its_line_and_stops_nothing(home: Path, text: str, line: str, hint: str) -> None:
    """It must not be passed over in silence, and must not stop a cell that works without it."""
    path = say(home, text)
    (warning,) = read_config(home).warnings
    assert warning.startswith(f"{path}: {line}: ")
    assert hint in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model = "a/b\n', "line 1"),
        ("[aliases\n", "line 1"),
        ('model = "a/b"\nmodel = "c/d"\n', "line 2"),
        ("model = 3\n", "line 1: model: it is no text"),
        ('model = "two words"\n', "one model id"),
        ('\n\naliases = "fast"\n', "line 3: aliases are a table"),
        ("[aliases]\nfast = 3\n", "line 2: The alias fast"),
        ('[aliases]\n"a/b" = "c/d"\n', "line 2: 'a/b' cannot be an alias"),
        ('[aliases]\noffline = "c/d"\n', "line 2"),
        ('app_name = "a\\u0000b"\n', "cannot be seen"),
        ('base_url = "https://me:word@x/v1"\n', "password"),
        ("a = " + "[" * 5000, "nested too deeply" if sys.version_info < (3, 14) else "home"),
        (b"app_name = 'Pr\xfcf'\n", "byte 14 is not UTF-8"),
    ],
)
def test_a_broken_file_is_an_error_that_names_file_and_position(home: Path, text: str | bytes, words: str) -> None:
    """Somebody has to mend it, so it says where."""
    say(home, text)
    assert words in refused(home)


@pytest.mark.parametrize(
    "text",
    [
        f'key = "{KEY}"\n', f'api_key = "{KEY}"\n', f'API-KEY = "{KEY}"\n', f'OPENROUTER_API_KEY = "{KEY}"\n',
        f'token = "{KEY}"\n', f'[openrouter]\napi_key = "{KEY}"\n', f'model = "{KEY}"\n', f'app_name = "x {KEY}"\n',
        f'[aliases]\nfast = "{KEY}"\n', f"[aliases]\n{KEY} = 'a/b'\n", f"{KEY} = 1\n", f"{KEY}\n",
        f"api_key = {KEY}\n", f"[{KEY}]\n[{KEY}]\n",
    ],
)  # fmt: skip
def test_a_key_in_the_file_is_refused_and_not_shown(home: Path, text: str) -> None:
    """Not in the message, and not in the longest traceback."""
    say(home, text)
    with pytest.raises(SettingsError) as caught:
        read_config(home)
    if text.count("=") == 1 and '"' in text:
        assert "%or key --set" in str(caught.value)
    ours = traceback.TracebackException(
        type(caught.value), caught.value, caught.value.__traceback__.tb_next, capture_locals=True
    )
    assert KEY[9:21] not in "".join(ours.format())


def test_what_is_written_is_read_and_comments_stay(home: Path) -> None:
    """A person wrote them."""
    say(home, '# my models\nmodel = "a/b"  # the good one\n\n[aliases]\n# quick\nfast = "c/d"\n')
    assert write_setting(home, "app_name", "Mine")
    assert write_setting(home, "model", "e/f")
    assert write_alias(home, "deep", "g/h")
    text = (home / FILE_NAME).read_text()
    for comment in ("# my models", "# the good one", "# quick"):
        assert comment in text
    assert {"model": "e/f", "app_name": "Mine", "aliases": {"fast": "c/d", "deep": "g/h"}} == tomllib.loads(text)
    assert not write_alias(home, "deep", "g/h")
    assert write_alias(home, "deep", None)
    assert write_setting(home, "model", None)
    assert not write_setting(home, "model", None)
    assert {"app_name": "Mine", "aliases": {"fast": "c/d"}} == tomllib.loads((home / FILE_NAME).read_text())


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# only a comment", 'aliases.fast = "a/b"\n', 'aliases = { fast = "a/b" }\n', "[aliases]\n",
     'model = "a/b"\r\n[aliases]\r\nfast = "c/d"\r\n', "\ufeffmodel = 'a/b'\n", 'modle = "kept"\n'],
)  # fmt: skip
def test_every_way_to_write_the_file_can_be_written_on(home: Path, text: str) -> None:
    """TOML has several; what was there stays, and what was said is there."""
    say(home, text)
    before = tomllib.loads(text.removeprefix("\ufeff"))
    write_setting(home, "app_name", 'quotes " and \\')
    write_alias(home, "new", "x/y")
    after = tomllib.loads((home / FILE_NAME).read_text(encoding="utf-8-sig"))
    aliases = {**before.get("aliases", {}), "new": "x/y"}
    assert {**before, "app_name": 'quotes " and \\', "aliases": aliases} == after


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("modle", "a/b", "Did you mean 'model'"),
        ("home", "/x", "OR_MAGIC_HOME"),
        ("key", KEY, "%or key --set"),
        ("api_key", KEY, "%or key --set"),
        ("model", KEY, "looks like a key"),
        ("base_url", "https://me:word@x", "password"),
        ("app_name", "a\nb", "cannot be seen"),
    ],
)
def test_what_the_file_may_not_say_is_not_written(home: Path, name: str, value: str, words: str) -> None:
    """The same rules as for reading, before anything is touched."""
    with pytest.raises(OptionError, match=words) as caught:
        write_setting(home, name, value)
    assert "Nothing was changed." in str(caught.value)
    assert KEY[9:21] not in str(caught.value)
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("a/b", "c/d"),
        ("offline", "c/d"),
        ("", "c/d"),
        ("x", "two words"),
        ("x", ""),
        ("x", "--y"),
        ("-x", "a/b"),
        (KEY, "a/b"),
        ("x", KEY),
    ],
)
def test_an_alias_is_a_word_and_means_one_model(home: Path, name: str, model: str) -> None:
    """An alias with a slash would hide a model, and 'offline' the simulator."""
    with pytest.raises(OptionError) as caught:
        write_alias(home, name, model)
    assert KEY[9:21] not in str(caught.value)
    assert not home.exists()


def test_a_broken_file_is_not_written_over(home: Path) -> None:
    """What is in it is worth more than one setting."""
    path = say(home, 'model = "a/b\n')
    with pytest.raises(SettingsError):
        write_setting(home, "app_name", "x")
    assert 'model = "a/b\n' == path.read_text()
    assert [FILE_NAME] == os.listdir(home)


@pytest.mark.skipif(os.name != "posix", reason="modes of Unix")
def test_file_and_folder_are_their_owners(tmp_path: Path) -> None:
    """Whatever the umask, and also where the file was open to all before."""
    before = os.umask(0)
    try:
        home = tmp_path / "deep" / "home"
        write_setting(home, "model", "a/b")
        path = home / FILE_NAME
        modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, home, home.parent)]
        path.chmod(0o644)
        write_setting(home, "model", "c/d")
    finally:
        os.umask(before)
    assert [0o600, 0o700, 0o700] == modes
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need rights on Windows")
def test_a_link_stays_a_link(home: Path, tmp_path: Path) -> None:
    """Some keep their settings in one collection."""
    kept = tmp_path / "dotfiles.toml"
    kept.write_text('model = "a/b"\n')
    home.mkdir()
    (home / FILE_NAME).symlink_to(kept)
    write_setting(home, "app_name", "x")
    assert (home / FILE_NAME).is_symlink()
    assert {"model": "a/b", "app_name": "x"} == tomllib.loads(kept.read_text())


def test_a_disk_that_fails_leaves_the_file_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all: no half file, no temporary one."""
    path = say(home, 'model = "a/b"\n')

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("or_magic.config_file.os.fsync", full)
    with pytest.raises(SettingsError, match="No space left on device"):
        write_setting(home, "model", "c/d")
    assert 'model = "a/b"\n' == path.read_text()
    assert [FILE_NAME] == os.listdir(home)


def test_a_home_that_is_no_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    """And reading from it says nothing: the ledger will say it better."""
    home = tmp_path / "file"
    home.write_text("x")
    assert {} == read_config(home).settings
    with pytest.raises(SettingsError, match="cannot be written"):
        write_setting(home, "model", "a/b")


def test_kernels_that_write_at_once_lose_nothing(home: Path) -> None:
    """Each reads, changes and replaces the file alone."""
    code = (
        "import sys; from pathlib import Path; from or_magic.config_file import write_alias\n"
        "for n in range(15): write_alias(Path(sys.argv[1]), f'a{sys.argv[2]}-{n}', f'm/{n}')"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(home), str(number)], cwd=ROOT, stderr=subprocess.PIPE)
        for number in range(4)
    ]
    assert [b""] * 4 == [process.communicate(timeout=HANG_S)[1] for process in running]
    expected = {f"a{number}-{n}": f"m/{n}" for number in range(4) for n in range(15)}
    assert expected == read_config(home).aliases
    assert [FILE_NAME] == os.listdir(home)


def test_every_name_of_the_file_is_a_setting(home: Path) -> None:
    """And every one of them can be written."""
    special = {
        "fallback_sticky": "yes",
        "circuit_breaker": "no",
        "retries": "5",
        "context_policy": "compress",
        **dict.fromkeys(BUDGETS, "2.50"),
    }
    values = dict.fromkeys(NAMES, "a://b") | special
    for name in NAMES:
        assert write_setting(home, name, values[name])
    meant = {name: PLAIN[name](values[name]) for name in NAMES}
    assert (Decimal("2.50"), True, False, 5) == tuple(
        meant[name] for name in ("daily_budget", "fallback_sticky", "circuit_breaker", "retries")
    )
    assert meant == read_config(home).settings
    assert {f.name for f in fields(Settings)} >= set(NAMES) - set(BUDGETS)
