"""Paths as they are shown: without the name of who the notebook belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from or_magic.paths import short_path, without_home


def test_a_home_is_shown_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook is given to others, with what was printed in it."""
    monkeypatch.setattr(Path, "home", lambda: Path("/home/mary"))
    assert "~/.config/or_magic/config.toml" == short_path(Path("/home/mary/.config/or_magic/config.toml"))
    assert "It is in ~/a.json, chmod 600 ~/a.json" == without_home(
        "It is in /home/mary/a.json, chmod 600 /home/mary/a.json"
    )
    for other in ("/home/mary2/a", "talk.json", "/srv/home/mary/a", "/home/mary"):
        assert other == short_path(other) == without_home(other)


def test_without_a_home_nothing_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """In containers it may be the root of the disk, or none."""

    def nobody() -> Path:
        raise RuntimeError

    for home in (nobody, lambda: Path("/")):
        monkeypatch.setattr(Path, "home", home)
        assert "/etc/hosts" == short_path("/etc/hosts") == without_home("/etc/hosts")
