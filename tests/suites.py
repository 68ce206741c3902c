"""Test suites of others, read from the archives that ``.ci/suites`` fetched; they are no part of this project. Does I/O."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Case(NamedTuple):
    """One schema of JSON-Schema-Test-Suite with its instances: ``{description, data, valid}`` each."""

    file: str
    about: str
    schema: Any
    tests: list[dict[str, Any]]


def json_texts() -> dict[str, bytes]:
    """Return the files of JSONTestSuite by name: ``y_`` is JSON, ``n_`` is none, ``i_`` may be taken for either."""
    return {Path(name).name: data for name, data in _files("pyjson5-2.0.1.tar.gz", "/test_parsing/")}


def schema_cases(draft: str) -> list[Case]:
    """Return JSON-Schema-Test-Suite's cases of a draft, the optional ones as well."""
    return [
        Case(name.partition(f"/{draft}/")[2], case["description"], case["schema"], case["tests"])
        for name, data in _files("jsonschema-4.26.0.tar.gz", f"/json/tests/{draft}/")
        for case in json.loads(data)
    ]


def naughty_strings() -> list[str]:
    """Return the Big List of Naughty Strings."""
    ((_, data),) = _files("blns-2.0.4.tgz", "/resources/blns.json")
    found: list[str] = json.loads(data)
    return found


def _files(archive: str, part: str) -> Iterator[tuple[str, bytes]]:
    folder = os.environ.get("OR_MAGIC_SUITES")
    if not folder:
        pytest.skip("OR_MAGIC_SUITES names no folder: `.ci/suites build/suites` fetches the suites of others there")
    with tarfile.open(Path(folder) / archive) as opened:
        for member in opened:
            file = opened.extractfile(member) if part in member.name and member.name.endswith(".json") else None
            if file is not None:
                yield member.name, file.read()
