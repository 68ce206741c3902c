"""The scan for the key must find what it looks for: a check that cannot fail shows nothing."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

import pytest

from .canary import findings, found_in, make_canary

CANARY = make_canary(7)
MIDDLE = CANARY[20:32]


@pytest.mark.parametrize(
    ("how", "data"),
    [
        ("plain", CANARY.encode()),
        ("plain", MIDDLE.encode()),
        ("reversed", CANARY[::-1].encode()),
        ("base64", base64.b64encode(b"Bearer " + CANARY.encode())),
        ("base64", base64.b64encode(b"x" + MIDDLE.encode() + b"yy")),
        ("UTF-16", CANARY.encode("utf-16")),
        ("hexadecimal", CANARY.encode().hex().encode()),
        ("gzip of plain", gzip.compress(b"before " + CANARY.encode(), mtime=0)),
    ],
)
def test_a_planted_key_is_found(how: str, data: bytes, tmp_path: Path) -> None:
    """Every channel may encode what it leaks."""
    (tmp_path / "planted").write_bytes(b"some text \0 " + data if how[:4] != "gzip" else data)
    assert [f"{tmp_path / 'planted'}: {how}"] == findings(CANARY, tmp_path)


def test_an_innocent_file_is_not_accused() -> None:
    """A scan that cries wolf is switched off."""
    assert [] == list(found_in(CANARY, b"sk-or-v1- is how keys begin" + bytes(range(256)) * 1000))
    assert [] == list(found_in(CANARY, CANARY[20:31].encode()))
