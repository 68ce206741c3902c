"""Completion in a real kernel, by the message that Lab and Notebook send, and by what a terminal asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from or_magic.gateway.catalog import bundled, parse_models
from or_magic.notebook.commands import COMMANDS
from or_magic.notebook.offers import Known, about_model, of_cell, of_command
from or_magic.template import unfinished

from ..guards import HANG_S
from .kernel import Kernel

CHEAP = "openai/gpt-5-mini"


@pytest.fixture(scope="module")
def at(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Asker:
    """The kernel with a few variables, a file, and one call that had a tag."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "notes.txt").write_text("text")
    (folder / "two words.txt").write_text("text")
    (folder / "sub").mkdir()
    (folder / "sub" / "map.png").write_bytes(b"")
    started = kernel.run(
        f"%cd -q {folder}\n"
        "class Frame:\n"
        "    def headline(self): return 1\n"
        "df = Frame(); rules = 'be brief'; _secret = 1; prices = {'apples': 1}\n"
        "from dataclasses import dataclass\nfrom typing import TypedDict\nfrom pydantic import BaseModel\n"
        "class Trip(BaseModel): days: int\n"
        "@dataclass\nclass Stop: city: str\n"
        "class Visit(TypedDict): day: int\n"
        "plan = {'type': 'object', 'properties': {}}; trips = list[Trip]; a_trip = Trip(days=1)\n"
        "%openrouter ask hello\n"
        f"%or alias quick {CHEAP}"
    )
    assert "ok" == started.status, started.error
    assert "ok" == kernel.run("%%or --tag billing\nhello").status
    assert "ok" == kernel.run("%%or -c travel\nhello").status
    assert "ok" == kernel.run("%%or -c 'two words'\nhello").status
    return Asker(kernel)


class Asker:
    """Asks for completions of a cell; ``|`` is the cursor."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __call__(self, marked: str) -> dict[str, Any]:
        """Return the kernel's answer."""
        cursor = marked.index("|")
        client = self._kernel.client
        sent = client.complete(marked.replace("|", "", 1), cursor)
        while True:
            reply = client.get_shell_msg(timeout=HANG_S)
            if reply["parent_header"].get("msg_id") == sent:
                return dict(reply["content"])

    def texts(self, marked: str) -> list[str]:
        """Return what the cell would read with each completion."""
        told, text = self(marked), marked.replace("|", "", 1)
        return [f"{text[: told['cursor_start']]}{match}{text[told['cursor_end'] :]}" for match in told["matches"]]

    def about(self, marked: str) -> dict[str, str]:
        """Return what the front end shows beside each completion."""
        told = self(marked)["metadata"]["_jupyter_types_experimental"]
        assert not [item for item in told if " " in item["type"] or "-" in item["type"]]  # Lab would break the line
        return {item["text"]: item["type"].replace("\xa0", " ").replace("\u2011", "-") for item in told}


@pytest.mark.parametrize(
    ("marked", "wanted"),
    [
        ("%%or openai/gpt-5-m|", f"%%or {CHEAP}"),
        ("%%openrouter openai/gpt-5-m|\nprose", f"%%openrouter {CHEAP}\nprose"),
        ("\n%%or openai/gpt-5-m|", f"\n%%or {CHEAP}"),
        ("%%or -t 0.2 openai/gpt-5-m|", f"%%or -t 0.2 {CHEAP}"),
        ("%%or -m openai/gpt-5-m|", f"%%or -m {CHEAP}"),
        ("%%or --model=openai/gpt-5-m|", f"%%or --model={CHEAP}"),
        ("%%or gpt-5-min|", f"%%or {CHEAP}"),
        ("%%or |", f"%%or {CHEAP}"),
        ("%%or |", "%%or --temperature"),
        ("%%or --temp|", "%%or --temperature"),
        ("%%or a/b |", "%%or a/b --temperature"),
        ("%%or -|", "%%or -t"),
        ("%%or -r hi|", "%%or -r high"),
        ("%%or --reasoning=xh|", "%%or --reasoning=xhigh"),
        ("%%or -f co|", "%%or -f code"),
        ("%%or --sort |", "%%or --sort price"),
        ("%%or --tag |", "%%or --tag billing"),
        ("%%or -s $ru|", "%%or -s $rules"),
        ("%%or --system=$|", "%%or --system=$rules"),
        ("%%or -p user=$ru|", "%%or -p user=$rules"),
        ("%%or -s @no|", "%%or -s @notes.txt"),
        ("%%or -s @|", "%%or -s @sub/"),
        ("%%or -a no|", "%%or -a notes.txt"),
        ("%%or -a |", "%%or -a sub/"),
        ("%%or -a @no|", "%%or -a @notes.txt"),
        ("%%or --attach=no|", "%%or --attach=notes.txt"),
        ("%%or --image no|", "%%or --image notes.txt"),
        ("%%or -a $ru|", "%%or -a $rules"),
        ("%%or -a sub/|", "%%or -a sub/map.png"),
        ("%%or -c tra|", "%%or -c travel"),
        ("%%or --chat=tr|", "%%or --chat=travel"),
        ("%%or -c tw|", "%%or -c 'two words'"),
        ("%or chat show tr|", "%or chat show travel"),
        ("%or again --chat tr|", "%or again --chat travel"),
        ("%%or --schema |", "%%or --schema json"),
        ("%%or --schema Tr|", "%%or --schema Trip"),
        ("%%or --schema=St|", "%%or --schema=Stop"),
        ("%%or --schema Vi|", "%%or --schema Visit"),
        ("%%or --schema tri|", "%%or --schema trips"),
        ("%%or --schema pl|", "%%or --schema plan"),
        ("%%or --schema $pl|", "%%or --schema $plan"),
        ("%%or --schema list[Tr|", "%%or --schema list[Trip]"),
        ("%or again --schema Tr|", "%or again --schema Trip"),
        ("%%or --cont|", "%%or --context"),
        ("%or fi|", "%or fix"),
        ("%or fix --temp|", "%or fix --temperature"),
        ("%or fix -m openai/gpt-5-m|", f"%or fix -m {CHEAP}"),
        ("%%or -s 'about {{ ru|", "%%or -s 'about {{ rules"),
        ("%or sp|", "%or spend"),
        ("%openrouter sp|", "%openrouter spend"),
        ("x = 1\n  %or sp|", "x = 1\n  %or spend"),
        ("%%time\n%or sp|", "%%time\n%or spend"),
        ("r = %or as|", "r = %or ask"),
        ("%or use openai/gpt-5-m|", f"%or use {CHEAP}"),
        ("%or use off|", "%or use offline"),
        ("%or models gpt-5-min|", f"%or models {CHEAP}"),
        ("%or spend --b|", "%or spend --by"),
        ("%or spend |", "%or spend --since"),
        ("%or again --temp|", "%or again --temperature"),
        ("%or again openai/gpt-5-m|", f"%or again {CHEAP}"),
        ("%or history |", "%or history all"),
        ("%or key --|", "%or key --set"),
        ("%or config base|", "%or config base_url"),
        ("%or alias qui|", "%or alias quick"),
        ("%or alias quick openai/gpt-5-m|", f"%or alias quick {CHEAP}"),
        ("%or use qui|", "%or use quick"),
        ("%%or qui|", "%%or quick"),
        ("%%or auto:co|", "%%or auto:coding"),
        ("%%or -m auto:|", "%%or -m auto:vision"),
        ("%or use auto:|", "%or use auto:simple"),
        ("%or models --vi|", "%or models --vision"),
        ("%or models claude --max|", "%or models claude --max-price"),
        ("%%or --preset rev|", "%%or --preset reviewer"),
        ("%%or --preset=|", "%%or --preset=coding"),
        ("%or preset |", "%or preset save"),
        ("%or preset show ana|", "%or preset show analytical"),
        ("%or preset save mine --temp|", "%or preset save mine --temperature"),
        ("%or preset save mine -m openai/gpt-5-m|", f"%or preset save mine -m {CHEAP}"),
        ("%or preset save mine -s @no|", "%or preset save mine -s @notes.txt"),
        ("%or spend --by prov|", "%or spend --by provider"),
        ("%or spend --by da|", "%or spend --by day"),
        ("%or plot --by spe|", "%or plot --by speed"),
        ("%%or\nis {{ df.he|", "%%or\nis {{ df.headline"),
        ("%%or\nis {{ df.he| }} so", "%%or\nis {{ df.headline }} so"),
        ("%%or\n{{ df:500 }} and {{ df.he|", "%%or\n{{ df:500 }} and {{ df.headline"),
        ("%%or\n{{ df }} and {{ ru|", "%%or\n{{ df }} and {{ rules"),
        ("%%or\n{{ prices['ap|", "%%or\n{{ prices['apples"),
        ("%%or\n{{ len(\n  df.he|", "%%or\n{{ len(\n  df.headline"),
    ],
)
def test_what_fits_is_offered(at: Asker, marked: str, wanted: str) -> None:
    """Options, their values, commands, models, variables, files, tags, and Python inside of expressions."""
    assert wanted in at.texts(marked)


@pytest.mark.parametrize(
    "marked",
    [
        "%%or\nWe pri|",
        "%%or\nWe print the {{ df }} of d|",
        "%%or a/b\nfirst\n\n    def|",
        "%%or\nfour $ru|",
        "%%or\n%or sp|",
        "%%or\nimport o|",
        "%%or --verbatim\n{{ ru|",
        "%%or\n\\{{ ru|",
        "%%or -t |",
        "%%or --context |",
        "%%or -c nobody|",
        "%%or --schema 'name, a|",
        "%%or -s 'be ru|",
        "%%or -o df|",
        "%%or a/b openai/|",
        "%or ask what is pri|",
        "%or ask $ru|",
        "%or nonsense |",
        "%or use $ru|",
    ],
)
def test_nothing_is_offered_where_nothing_fits(at: Asker, marked: str) -> None:
    """Prose is no Python: a popup over every word would be in the way."""
    assert [] == at(marked)["matches"]


@pytest.mark.parametrize(("marked", "wanted"), [("pri|", "print"), ("%%timeit\npri|", "print"), ("%%o|", "%%or")])
def test_other_cells_complete_as_ever(at: Asker, marked: str, wanted: str) -> None:
    """What is not ours is IPython's."""
    assert wanted in at(marked)["matches"]


def test_a_model_shows_its_price_and_abilities(at: Asker) -> None:
    """A choice is made by them, before the call and not after it."""
    assert "$0.25/$2 · 400k · vision tools reasoning" == at.about("%%or openai/gpt-5-m|")[CHEAP]
    assert "the longest answer, in tokens" == at.about("%%or --max|")["--max-tokens"]
    assert "str" == at.about("%%or -s $ru|")["$rules"]
    assert "what works and what does not" == at.about("%or doc|")["doctor"]


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({"pricing": {"prompt": "0.000003", "completion": "0.000015"}, "context_length": 200000}, "$3/$15 · 200k"),
        ({"pricing": {"prompt": "0", "completion": "0"}, "context_length": 1048576}, "$0 · 1.05M"),
        ({"pricing": {"prompt": "0.00000007", "completion": "0"}}, "$0.07/$0"),
        ({"pricing": {"prompt": "-1", "completion": "-1"}, "context_length": 2000000}, "price varies · 2M"),
        ({"architecture": {"input_modalities": ["text", "audio"], "output_modalities": ["image"]}},
         "price varies · audio pictures"),
    ],
)  # fmt: skip
def test_prices_are_told_per_million_tokens(item: dict[str, Any], wanted: str) -> None:
    """What is unknown is not told as 0."""
    [model] = parse_models({"data": [{"id": "a/b", **item}]}, bundled().date, "test").entries
    assert wanted == about_model(model)


def test_private_and_quoted_names_stay_out(at: Asker) -> None:
    """A file whose name has a space would need quotes that the popup does not type; ``_x`` is nobody's business."""
    assert ["%%or -s @notes.txt", "%%or -s @sub/"] == sorted(at.texts("%%or -s @|"))
    offered = at("%%or -s $|")["matches"]
    assert "$_secret" not in offered
    assert "$get_ipython" not in offered
    assert "$In" not in offered


def test_only_what_can_be_a_schema_is_offered_as_one(at: Asker) -> None:
    """With its kind; no instance, no other dict, no class without fields, nothing that was only imported."""
    expected = {
        "json": "any JSON object", "Trip": "pydantic model", "Stop": "dataclass", "Visit": "TypedDict",
        "plan": "JSON Schema", "trips": "list", "list[Trip]": "several Trip", "list[Stop]": "several Stop",
        "list[Visit]": "several Visit",
    }  # fmt: skip
    assert expected == at.about("%%or --schema |")


def test_whatever_is_offered_as_a_schema_is_one(at: Asker, kernel: Kernel) -> None:
    """An offer that fails would be worse than none."""
    for name in at.about("%%or --schema |"):
        done = kernel.run(f"%%or --dry-run --schema {name}\nhello")
        assert "ok" == done.status, (name, done.error)


def test_no_magic_is_offered_inside_an_expression(at: Asker) -> None:
    """IPython offers ``%prun`` for ``pr``; there it would be a syntax error."""
    offered = at("%%or\n{{ pr|")["matches"]
    assert "print" in offered
    assert [] == [match for match in offered if match.startswith("%")]


def test_four_hundred_models_are_all_offered(at: Asker, kernel: Kernel, tmp_path: Path) -> None:
    """As many as OpenRouter has; the catalogue on the disk is the one that counts."""
    entry = {"pricing": {"prompt": "0.000001", "completion": "0.000002"}, "context_length": 128000}
    body = {"data": [{"id": f"vendor{n % 40}/model-{n}", **entry} for n in range(400)]}
    (tmp_path / "models-127.0.0.1_9.json").write_text(json.dumps({"date": "2026-01-01T00:00:00+00:00", "body": body}))
    kernel.run(
        "import or_magic as orm\n"
        f"kept, orm.api._process.session = orm.api._process.session, orm.connect(base_url='http://127.0.0.1:9/v1', home={str(tmp_path)!r})"
    )
    try:
        assert 400 == len([text for text in at("%%or |")["matches"] if text.startswith("vendor")])
        assert {"$1/$2 · 128k"} == set(at.about("%%or vendor7/|").values())
    finally:
        kernel.run("orm.api._process.session.close()\norm.api._process.session = kept")


def test_the_terminal_is_offered_the_same(at: Asker, kernel: Kernel) -> None:
    """prompt_toolkit asks the same completer, and shows the price beside the name."""
    done = kernel.run(
        "from IPython.terminal.ptutils import IPythonPTCompleter\n"
        "from prompt_toolkit.document import Document\n"
        "def offered(text):\n"
        "    found = IPythonPTCompleter(get_ipython().Completer).get_completions(Document(text, len(text)), None)\n"
        "    return {one.text: one.display_meta_text.replace('\\xa0', ' ') for one in found}"
    )
    assert "ok" == done.status, done.error
    assert "{'openai/gpt-5-mini': '$0.25/$2 · 400k · vision tools reasoning'}" == kernel.value(
        "offered('%%or openai/gpt-5-mini')"
    )
    assert "{}" == kernel.value(r"offered('%%or\nWe pri')")
    assert "True" == kernel.value(r"'headline' in offered('%%or\n{{ df.he')")


def test_asking_for_a_completion_makes_no_session(fresh_kernel: Kernel) -> None:
    """A Tab must neither wait for a ledger nor for the network: the catalogue that ships answers."""
    fresh_kernel.run("%load_ext or_magic\nget_ipython().events.callbacks['post_run_cell'].clear()")
    assert f"%%or {CHEAP}" in Asker(fresh_kernel).texts("%%or openai/gpt-5-m|")
    fresh_kernel.run("from or_magic import api")
    assert "None" == fresh_kernel.value("api.existing()")


def test_a_tab_while_the_module_is_being_imported_is_answered(fresh_kernel: Kernel) -> None:
    """The warmer imports it in its thread; what is half there must break neither a completion nor a cell."""
    fresh_kernel.run(
        "%load_ext or_magic\nimport sys, types\nhooks = get_ipython().events.callbacks['post_run_cell']\n"
        "hooks[:] = [hook for hook in hooks if 'idle' not in hook.__name__]\n"
        "sys.modules['or_magic.api'] = types.ModuleType('or_magic.api')"
    )
    assert f"%%or {CHEAP}" in Asker(fresh_kernel).texts("%%or openai/gpt-5-m|")
    failed = fresh_kernel.run("1/0")
    assert "ZeroDivisionError" == failed.reply["content"]["ename"]
    assert "Error in callback" not in failed.text
    assert "True" == fresh_kernel.value("'_after_cell' in [hook.__name__ for hook in hooks]")


def test_unloading_takes_the_completion_back(fresh_kernel: Kernel) -> None:
    """And reloading adds it once."""
    fresh_kernel.run("%load_ext or_magic\n%reload_ext or_magic")
    assert "1" == fresh_kernel.value("len(get_ipython().Completer.custom_matchers)")
    fresh_kernel.run("%unload_ext or_magic")
    assert "[]" == fresh_kernel.value("get_ipython().Completer.custom_matchers")
    assert "print" in Asker(fresh_kernel)("%%or\npri|")["matches"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a {{ df.he", " df.he"),
        ("a {{ df }} prose", None),
        ("a {{ {1: {2: 3}}.ke", " {1: {2: 3}}.ke"),
        ("{{ {1: {2: 3}} }} prose", None),
        ("{{ a b }} prose", None),
        ("{{ a b }} and {{ c", " c"),
        ("\\{{ a", None),
        ("{{ old\n\nprose", None),
        ("{{", ""),
        ("{ a", None),
        ("", None),
    ],
)
def test_an_open_expression_is_told_from_prose(text: str, wanted: str | None) -> None:
    """By the template's own rules: the shortest end that parses closes it."""
    assert wanted == unfinished(text)


@pytest.mark.parametrize("name", ["%%openrouter?", "%or?", "%openrouter?"])
def test_help_of_the_magic_is_the_help(at: Asker, kernel: Kernel, name: str) -> None:
    """Core options first, then the others, then the commands."""
    [page] = kernel.run(name).reply["content"]["payload"]
    told = page["data"]["text/plain"]
    assert told.index("--temperature") < told.index("--top-p") < told.index("%or spend")
    assert "{{ expression }}" in told


def test_contextual_help_finds_the_magic(at: Asker, kernel: Kernel) -> None:
    """Lab's inspector asks with the cursor; ipykernel finds no ``or`` there, it takes it for Python's."""
    sent = kernel.client.inspect("%%openrouter", 8)
    while (reply := kernel.client.get_shell_msg(timeout=HANG_S))["parent_header"].get("msg_id") != sent:
        continue
    assert "--temperature" in reply["content"]["data"]["text/plain"]


def test_local_servers_are_offered_as_models() -> None:
    """With their address, and for nothing."""
    known = Known(local={"ollama": "http://127.0.0.1:11434/v1"})
    assert ("local:ollama", "$0 · http://127.0.0.1:11434/v1") in [
        tuple(each) for each in of_cell("local:", known).found
    ]
    assert "local:ollama" in [each.text for each in of_cell("some/model --fallback lo", known).found]


def test_every_option_of_a_command_says_what_it_takes() -> None:
    """A front end calls one of which nothing is told "unknown"."""
    for name, command in COMMANDS.items():
        assert all(offer.about for offer in of_command(f"{name} --", COMMANDS, Known()).found), command.usage
