"""Typed answers in a real kernel: what a cell shows while it waits, what it leaves, what it says when it fails."""

from __future__ import annotations

import pytest

from .kernel import Kernel


@pytest.fixture(autouse=True, scope="module")
def _city(kernel: Kernel) -> None:
    kernel.run(
        "import or_magic as orm\nfrom or_magic import api\napi.use(orm.connect(offline=True, pace_s=0.02))\n"
        "from dataclasses import dataclass\n@dataclass\nclass City:\n    name: str\n    n: int = 2\n"
    )


def test_a_list_is_left_as_a_table_with_the_receipt(kernel: Kernel) -> None:
    """A saved notebook stands alone; the raw JSON is in the reply."""
    done = kernel.run("%%or offline/plain --schema list[City] -o cities\nSome cities.")
    first, status = done.displays
    assert "| name | n |\n| --- | ---: |\n| simulated | 1 |" == first["data"]["text/markdown"]
    assert "ok" == first["metadata"]["or_magic"]["status"]
    assert status["data"]["text/plain"].startswith("✓ offline/plain")
    assert "[City(name='simulated', n=1)]" == kernel.value("cities.data")
    assert '\'{"value": [{"name": "simulated", "n": 1}]}\'' == kernel.value("cities.text")
    assert "['string', 'Int64']" == kernel.value("[d.name for d in cities.frame().dtypes]")


def test_while_json_comes_it_is_counted_and_not_shown(kernel: Kernel) -> None:
    """Half a brace tells nobody anything; a table that jumps is worse."""
    done = kernel.run("%%or offline/plain --schema 'name, a [str], b [str], c [str], d [str], e [str], f [str]'\nx")
    assert "characters of JSON" in done.drawn
    assert '{"name"' not in done.drawn
    assert "- **name**: simulated" in done.displays[0]["data"]["text/markdown"]


def test_an_answer_that_does_not_fit_is_asked_again_in_sight(kernel: Kernel) -> None:
    """The line says how often, and what the attempts before cost."""
    done = kernel.run("%%or offline/json-misfit-once --schema City\nx")
    assert "ok" == done.status
    told = done.displays[-1]["data"]["text/plain"]
    assert "2 attempts" in told
    assert "asked again (attempt 2 of 3)" in told
    assert "for earlier attempts" in told


def test_what_never_fits_fails_the_cell_and_is_shown_as_it_came(kernel: Kernel) -> None:
    """Run all stops there; _or has the text, and nothing is bound."""
    kernel.run("kept = None")
    done = kernel.run("%%or offline/json-misfit --schema City -o kept\nx")
    assert "error" == done.status
    assert (
        "SchemaMismatchError: The answer is not what the schema City asks for: $.name: Field required" in done.error[0]
    )
    shown = done.displays[0]["data"]["text/markdown"]
    assert shown.startswith('```json\n{\n  "simulated_misfit": true\n}\n```')
    assert shown.endswith("*— this is not what was asked for —*")
    assert done.displays[-1]["data"]["text/plain"].startswith("✗ error")
    assert ("None", "None") == (kernel.value("kept"), kernel.value("_or.data"))


def test_a_mistyped_name_fails_before_anything_is_sent(kernel: Kernel) -> None:
    """It is not taken for a field."""
    done = kernel.run("%%or --schema Citty\nx")
    assert "Did you mean City? Nothing was sent." in done.error[0]


def test_json_is_shown_indented_with_and_without_a_schema(kernel: Kernel) -> None:
    """What is no JSON stands in the block as it came."""
    done = kernel.run("%%or offline/plain --schema City -f json\nx")
    assert '```json\n{\n  "name": "simulated",\n  "n": 1\n}\n```' == done.displays[0]["data"]["text/markdown"]
    done = kernel.run('%%or offline/echo -f json\n{"a": [1, "<b>x</b>"]}')
    assert '```json\n{\n  "a": [\n    1,\n    "<b>x</b>"\n  ]\n}\n```' == done.displays[0]["data"]["text/markdown"]
    done = kernel.run("%%or offline/echo -f json\nno ```` JSON")
    assert "`````json\nno ```` JSON\n`````" == done.displays[0]["data"]["text/markdown"]


def test_a_dry_run_shows_the_schema_and_its_tokens(kernel: Kernel) -> None:
    """It is a part of the prompt that is paid for."""
    done = kernel.run("%%or --schema City --dry-run\nx")
    assert '"json_schema": {"name": "City", "strict": true' in done.text
    assert "request response_format ~" in done.text


def test_again_asks_for_the_same_type(kernel: Kernel) -> None:
    """The name is looked up anew: the class may have changed."""
    kernel.run("%%or offline/plain --schema City\nx")
    done = kernel.run("r = %or again -m offline/json-fenced\nprint(type(r.data).__name__)")
    assert ("ok", "City") == (done.status, done.text.strip().splitlines()[-1])
