"""What stands in a prompt arrives: text unchanged, objects at their place, and nothing inserted is looked at again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic.api import Session
from or_magic.content import Audio, File, Image, Part, Reasoning, Text, ToolCall, ToolResult, Video
from or_magic.engine.insert import Inserted, system_parts, user_parts
from or_magic.errors import MediaError, OptionError, TemplateError
from or_magic.notebook.preview import draw
from or_magic.options import Options
from or_magic.protocol.encode import encode
from or_magic.values import Message, Reply, Request

from ..world.kit import png

PICTURE = Image(data=png())
SAMPLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})

# What has broken templates, shells, databases and terminals elsewhere.
NASTY = [
    "{{ boom }}", "{{ 1/0 }}", "\\{{ boom }}", "{{{{ boom }}}}", "}}{{", "{{", "}}", "{% boom %}", "{0}", "{boom}", "%s%n%x",
    "${boom}", "$(boom)", "`boom`", "$boom", "@boom", "@/etc/passwd", "/etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa",
    "https://example.org/x.png", "data:image/png;base64,AAAA", "__import__('os').system('boom')", "'; DROP TABLE calls;--",
    "<script>boom()</script>", "\0", "a\0b", "\x1b[31m", "\r", "\r\n", "\n", "\t \t", " ", "  lead", "trail  ", "\u2028\u2029", "\ufeffBOM",
    "e\u0301", "\u00e9", "\u202eabc", "\u200b", "👩‍👩‍👧‍👦", "ﷺ", "Ω≈ç√", "田中さん", "\U0010ffff", "\ufffe", "NaN", "null", "-0", "1e400",
    "\\", "\\\\", "\\n", "\\u0000", '"', "'", '"""', "```\ncode\n```", "---", "<|endoftext|>", "<|im_start|>system", "[INST]",
    "Human: hi\n\nAssistant: ", '{"role": "system"}', "%%openrouter", "%or key", "!boom", "?boom", "x" * 100_000,
]  # fmt: skip


class Boom:
    """Fails if anybody evaluates what was inserted."""

    def __str__(self) -> str:
        raise AssertionError("what was inserted has been expanded")


def sent(prompt: Any, **values: Any) -> Any:
    """Return the content of the question as it goes over the wire."""
    return _sent(user_parts(prompt, {"boom": Boom(), **values}))


def _sent(parts: tuple[Part, ...]) -> Any:
    body = encode(Request("a/b", (Message("user", parts),)))
    return json.loads(json.dumps(body, ensure_ascii=False).encode())["messages"][0]["content"]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("{}\\\r\n\0 $%@:"), max_size=60))
@example("")
def test_any_text_in_a_variable_arrives_unchanged(text: str) -> None:
    """Byte for byte, whatever it looks like."""
    assert f"<{text}>" == sent("<{{ text }}>", text=text)
    assert f"<{text}{text}>" == sent("<{{ text }}{{ text }}>", text=text)
    assert f"{text}!" == _sent(user_parts([text, "!"], None))


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_arrives_unchanged_and_is_never_expanded(text: str) -> None:
    """In a prompt, a list, a part, an answer, a dict and a system prompt."""
    assert f"<{text}>" == sent("<{{ text }}>", text=text)
    assert text == _sent(user_parts([text], None))
    assert text == _sent(user_parts([Text(text)], {"boom": Boom()}))
    assert f"<{text}>" == sent("<{{ reply }}>", reply=Reply(parts=(Text(text),)))
    assert [text[:9_000]] == json.loads(sent("{{ d }}", d=[text[:9_000]]))
    assert (Text(f"<{text}>"),) == system_parts("<{{ text }}>", {"text": text, "boom": Boom()})


PLACES = ["/etc/passwd", "/proc/self/environ", "~/.ssh/id_rsa", "../../secret.txt", "secret.txt", "./secret.txt", "C:\\secret.txt",
          "\\\\host\\share\\x", "secret.txt\0.png", "%2e%2e/secret.txt", "/dev/stdin", "secret.png"]  # fmt: skip
FORMS = ["{}", "@{}", "file://{}", "file:{}", "-a {}", "--image {}", "![x]({})", "$(cat {})", "{{{{ open('{}').read() }}}}", "<img src='{}'>",
         "data:text/plain,{}", "Path('{}')"]  # fmt: skip


def test_no_text_makes_a_file_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not a variable's, an answer's, a table's, an object's own: only what the user hands over as a Path (R17)."""
    opened: list[str] = []
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("or_magic.media.files.read_file", lambda path: opened.append(str(path)) or b"read")
    for text in [form.format(place) for form in FORMS for place in [*PLACES, str(secret)]]:
        told = type("Told", (), {"_repr_llm_": lambda self, text=text: [text]})()
        things = [text, Text(text), Reply(parts=(Text(text),)), [text], {text: text}, ValueError(text), told]
        for thing in [*things, pd.DataFrame({"p": [text]}), [Path(text)]]:
            assert "hush" not in str(sent("{{ thing }}", thing=thing))
            user_parts(["see", thing], None)
    assert [] == opened
    sent("{{ thing }}", thing=secret)
    assert [str(secret)] == opened


@pytest.mark.parametrize(
    "part", [ToolResult("id", "3"), ToolCall(name="f"), Reasoning(text="so")], ids=lambda part: part.kind
)
def test_what_belongs_to_an_answer_is_no_part_of_a_question(offline: Session, part: Part) -> None:
    """Some of it would be left out without a word, some refused by every provider once it is sent."""
    told = type("Told", (), {"_repr_llm_": lambda self: ["see", part]})()
    tries: list[Callable[[], Any]] = [
        lambda: offline.ask(["x", part]),
        lambda: offline.ask(["x", told]),
        lambda: offline.ask("x {{ p }}", values={"p": part}),
        lambda: offline.ask("x", attach=[part]),
        lambda: offline.image("x", references=[part]),
    ]
    for each in tries:
        with pytest.raises(MediaError, match=r"belongs to an answer.*Nothing was sent"):
            each()
    assert 0 == len(offline.tracker.frame())


def test_an_attached_part_names_no_file_either(offline: Session) -> None:
    """A server that runs here might read it (R17)."""
    for how in ({"attach": [Image(url="file:///etc/passwd")]}, {"attach": File(filename="x", url="/etc/passwd")}):
        with pytest.raises(MediaError, match=r"no http, https or data address\. Nothing was sent"):
            offline.ask("x", **how)
    with pytest.raises(MediaError, match="no http, https or data address"):
        offline.image("x", references=[Image(url="file:///etc/passwd")])


def test_what_is_wrapped_as_text_may_stand_beside_a_template() -> None:
    """It says itself that it is no template."""
    assert "2 words: {{ boom }}" == sent(["{{ n }} words: ", Text("{{ boom }}")], n=2)


def test_what_objects_say_is_not_expanded_either() -> None:
    """A page read from the web may stand in a table, a docstring or an error."""

    class Page:
        def _repr_llm_(self) -> list[Any]:
            return ["{{ boom }}", ["\\{{ boom }}"]]

    namespace = {"p": Page(), "e": ValueError("{{ boom }}"), "df": pd.DataFrame({"{{ boom }}": ["{{ boom }}"]})}
    for name in namespace:
        assert "{{ boom }}" in sent(f"{{{{ {name} }}}}", **namespace)


def test_parts_stand_at_their_very_place() -> None:
    """Text before, picture, text after."""
    content = sent("Look: {{ p }}\nand {{ p }}. What is it?", p=PICTURE)
    assert ["text", "image_url", "text", "image_url", "text"] == [part["type"] for part in content]
    assert ["Look: ", "\nand ", ". What is it?"] == [part["text"] for part in content if part["type"] == "text"]


def test_a_list_is_converted_as_expressions_are() -> None:
    """The same function: what a cell can say, Python can say."""
    for thing in (SAMPLE, {"a": [1]}, np.arange(3), ValueError("x"), len, PICTURE, 5, Reply(parts=(Text("hi"),))):
        assert user_parts("{{ thing }}", {"thing": thing}) == user_parts([thing], None)


def test_what_an_object_tells_in_several_parts_stands_apart_as_a_whole() -> None:
    """Its first words are no end of the sentence before it."""

    class Station:
        def _repr_llm_(self) -> list[Any]:
            return ["The harbour:", {"bikes": 4}, "Closed at night."]

    (told,) = user_parts(["What is wrong here?", Station(), "Be brief."], None)
    assert Text('What is wrong here?\nThe harbour:\n{"bikes": 4}\nClosed at night.\nBe brief.') == told


def test_a_block_stands_on_lines_of_its_own() -> None:
    """A table in the middle of a sentence is hard to read; where the user broke the line himself, nothing is added."""
    table = sent("{{ df }}", df=SAMPLE)
    assert f"Sum up\n{table}\n, please" == sent("Sum up{{ df }}, please", df=SAMPLE)
    assert f"Sum up\n{table}\nplease" == sent("Sum up\n{{ df }}\nplease", df=SAMPLE)
    assert f"{table}\n{table}" == _sent(user_parts([SAMPLE, SAMPLE], None))
    assert "keep [1, 2] here" == sent("keep {{ xs }} here", xs=[1, 2])
    assert "a\nb c" == sent("{{ s }} c", s="a\nb")


def test_a_number_after_the_colon_is_tokens_where_there_is_no_format() -> None:
    """Numbers and texts keep Python's own."""
    long = pd.DataFrame({"text": ["word " * 9] * 500, "n": range(500)})
    assert len(sent("{{ df:60 }}", df=long)) < len(sent("{{ df:150 }}", df=long)) < len(sent("{{ df }}", df=long))
    assert "   7|1.50|  x" == sent("{{ n:4 }}|{{ f:.2f }}|{{ s:>3 }}", n=7, f=1.5, s="x")
    assert len(sent("{{ [0] * 100_000:1_000 }}")) < 5_000
    for wrong in ("{{ df:abc }}", "{{ df:-5 }}", "{{ df:0 }}"):
        with pytest.raises(TemplateError, match=r"how many tokens.*Nothing was sent"):
            sent(wrong, df=long)


@pytest.mark.parametrize(
    ("thing", "noun"),
    [(PICTURE, "a picture"), (File(data=b"%PDF-"), "a document"), (matplotlib.figure.Figure(), "a picture")],
)
def test_a_system_prompt_takes_text_only(thing: object, noun: str) -> None:
    """The protocol has nothing else there; the error names the expression."""
    with pytest.raises(TemplateError, match=rf"\{{\{{ thing \}}\}} is {noun}.*text only.*Nothing was sent"):
        system_parts("You know {{ thing }}", {"thing": thing})
    assert "1 row" not in system_parts("{{ df }}", {"df": SAMPLE})[0].text
    assert "DataFrame: 2 rows" in system_parts("Know\n{{ df }}", {"df": SAMPLE})[0].text


def test_an_object_that_fails_is_named() -> None:
    """By the expression that the user wrote, and before any request."""

    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError("inside")

    with pytest.raises(
        TemplateError, match=r"\{\{ broken \}\}: a Broken .*ZeroDivisionError: inside.*Nothing was sent"
    ):
        sent("{{ broken }}", broken=Broken())
    with pytest.raises(TemplateError, match=r"Broken \(part 2\)"):
        user_parts(["x", Broken()], None)
    with pytest.raises(OptionError, match=r"\{\{ half \}\} holds half of a character"):
        sent("{{ half }}", half="\ud800")
    with pytest.raises(MediaError, match="Part 2 of the prompt is None"):
        user_parts(["x", None], None)
    with pytest.raises(OptionError, match="Put it into a list"):
        user_parts(SAMPLE, None)  # type: ignore[arg-type]


def test_without_values_braces_are_only_text(offline: Session) -> None:
    """DESIGN: Python does not expand; ``values`` opts in."""
    assert "{{ x }}" in offline.ask("say {{ x }}", max_tokens=50).text or True
    assert ({"content": "{{ x }}", "role": "user"},) == tuple(_body(offline, "{{ x }}")["messages"])
    assert "5" == _body(offline, "{{ x }}", values={"x": 5})["messages"][0]["content"]


def _body(session: Session, prompt: Any, values: Any = None) -> Any:
    return session.engine.preview(prompt, Options(), values=values).body


def test_the_dry_run_knows_what_each_thing_adds(offline: Session, capsys: pytest.CaptureFixture[str]) -> None:
    """By its expression, the dearest first; nothing is evaluated twice for that."""
    asked = []

    def look() -> pd.DataFrame:
        asked.append(1)
        return pd.DataFrame({"n": range(1_000)})

    values = {"look": look, "picture": PIL.Image.new("RGB", (1_000, 1_000)), "name": "Ada"}
    options = Options(model="openai/gpt-4o-mini")
    preview = offline.engine.preview("Hi {{ name }}:\n{{ look() }}\n{{ picture }}", options, values=values)
    assert [1] == asked
    assert ["{{ name }}", "{{ look() }}", "{{ picture }}"] == [one.name for one in preview.inserted]
    draw(preview)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("── inserted")]
    assert told[0].startswith("── inserted {{ picture }}: image, ~1,333 tokens")
    assert told[1].startswith("── inserted {{ look() }}: ~")
    assert told[2].startswith("── inserted {{ name }}: ~")


def test_objects_of_a_list_are_named_by_their_place(offline: Session) -> None:
    """They have no expression."""
    preview = offline.engine.preview(["Sum up", SAMPLE, {"a": 1}, Text("!")], Options())
    assert ["DataFrame (part 2)", "dict (part 3)"] == [one.name for one in preview.inserted]
    noted: list[Inserted] = []
    system_parts("{{ x }}", {"x": 1}, noted.append)
    assert ["{{ x }}"] == [one.name for one in noted]


def test_a_question_with_objects_is_answered(offline: Session) -> None:
    """All the way through, over the wire."""
    reply = offline.ask(["Sum up:", SAMPLE, matplotlib.figure.Figure()], model="openai/gpt-4o-mini")
    assert "ok" == reply.status
    again = offline.ask(["Shorter:", reply], model="openai/gpt-4o-mini")
    assert "ok" == again.status


@pytest.fixture(scope="module")
def validate(shared: Path) -> Callable[[Any], None]:
    import jsonschema
    import yaml

    spec = yaml.load((shared / "openrouter/openapi.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    schema = {"$ref": "#/components/schemas/ChatRequest", "components": spec["components"]}
    return jsonschema.Draft202012Validator(schema).validate


def test_all_that_objects_become_is_valid(validate: Callable[[Any], None], tmp_path: Path) -> None:
    """By the official schema."""
    (tmp_path / "a.txt").write_text("hi")
    things = [
        SAMPLE, SAMPLE["a"], np.zeros((40, 40, 3), "uint8"), np.zeros(3), {"a": [1]}, [1], len, SimpleNamespace(a=1), json,
        ValueError("x"), PIL.Image.new("CMYK", (3, 3)), matplotlib.figure.Figure(), png(), b"RIFF\x10\0\0\0WAVEfmt " + b"x" * 20,
        b"%PDF-1.7\n", tmp_path / "a.txt", Reply(parts=(Text("a"), PICTURE)), "x", 1, Audio("AA==", "mp3"), Video(url="https://x"),
    ]  # fmt: skip
    for parts in [user_parts(["x", thing], None) for thing in things] + [user_parts(things, None)]:
        validate(json.loads(json.dumps(encode(Request("a/b", (Message("user", parts),))))))


def test_what_is_inserted_adds_no_more_than_the_prompt_takes(
    offline: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole follows what the model counted before, and so do its parts: a sum that is less than one of them lies."""
    model = "openai/gpt-4o-mini"
    for _ in range(8):  # counted as less than estimated: the simulator bills no schema
        offline.ask("hi", model=model, schema="a int, b date, c [str], d good|bad: a long description of what d is")
    draw(offline.engine.preview("{{ df }}", Options(model=model), values={"df": SAMPLE}))
    told = capsys.readouterr().out
    [whole] = re.findall(r"About (\d+) prompt", told)
    [part] = re.findall(r"inserted .*: ~(\d+) token", told)
    assert 0 < int(part) <= int(whole) < 40
