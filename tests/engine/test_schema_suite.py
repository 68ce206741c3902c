"""R26 through the whole engine: JSON-Schema-Test-Suite as questions, its instances as the answers of a gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from or_magic.errors import SchemaMismatchError

from ..protocol.test_schema_suite import DRAFTS, same, told, usable
from ..suites import Case
from ..world.fixtures import Connect
from ..world.kit import RawServer, answer, streamed


def _ask(open_session: Connect, asked: list[tuple[Case, Any, list[dict[str, Any]]]]) -> int:
    """Ask once for each instance, and return how many rounds it took: one where it fits, three where it does not."""
    said = b""
    with RawServer(lambda sock, _: sock.sendall(streamed(answer(said.decode())))) as server:
        session = open_session(base_url=server.url)
        for case, sent, tests in asked:
            for test in tests:
                said = json.dumps(told(test["data"], sent)).encode()
                if test["valid"]:
                    assert same(test["data"], session.ask("x", model="a/b", schema=case.schema).data), case
                    continue
                with pytest.raises(SchemaMismatchError) as caught:
                    session.ask("x", model="a/b", schema=case.schema)
                assert (said.decode(), None) == (caught.value.text, caught.value.reply.data), case
        return len(server.asked)


def _required(draft: str) -> list[tuple[Case, Any]]:
    return [
        (case, sent) for case, _, sent in usable(draft) if "optional/" not in case.file and case.file != "format.json"
    ]


def test_one_schema_of_every_file_is_asked_for(open_session: Connect) -> None:
    """What fits is the data of the reply; what does not is an error that carries the text, after three rounds."""
    files = {case.file: (case, sent) for case, sent in _required("draft2020-12")}
    asked = []
    for case, sent in files.values():
        by_verdict = {test["valid"]: test for test in case.tests}
        asked.append((case, sent, list(by_verdict.values())))
    assert len(asked) >= 40
    verdicts = [test["valid"] for _, _, tests in asked for test in tests]
    assert sum(1 if fits else 3 for fits in verdicts) == _ask(open_session, asked)


@pytest.mark.long
@pytest.mark.parametrize("draft", DRAFTS)
def test_every_schema_is_asked_for_with_every_instance(open_session: Connect, draft: str) -> None:
    """The full N, about 1,200 instances a draft."""
    assert 800 < _ask(open_session, [(case, sent, case.tests) for case, sent in _required(draft)])
