"""Templates: only ``{{ expression }}`` is syntax, and what is inserted is never looked at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from or_magic.api import Session
from or_magic.errors import TemplateError
from or_magic.template import expand

from .kit import books, hard_deadline


def told(text: str, **namespace: Any) -> str:
    """Return the text as it would be sent."""
    return "".join([part if isinstance(part, str) else str(part.value) for part in expand(text, namespace)])


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("{}\\$%:\"'"), max_size=80))
@example("}} {% if x %} ${x} {x} \\{ { {")
@example("\\")
def test_text_without_two_braces_arrives_unchanged(text: str) -> None:
    """Prompts are full of code."""
    text = text.replace("{{", "{ {")
    assert text == told(text, x=1)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
@example("{{ boom }}", "\\{{ boom }}")
def test_nothing_inserted_is_expanded(one: str, two: str) -> None:
    """A variable may hold a web page, and that must not run code."""
    text = "<{{ one }}|{{ two }}>"
    assert f"<{one}|{two}>" == told(text, one=one, two=two)


LITERAL = [
    '{"a": {"b": {"c": 1}}}', '[{"a":{}},{"b":{}}]', r"\frac{1}{2} \sum_{i=1}^{n}", "{% for x in y %}{# c #}{% endfor %}",
    "f'{x}' + '%s' % {1: {2: 3}}[1][2]", "${HOME} $(ls) `pwd`", "struct A { int x[2] = {1, 2}; };", "}}", "{{", "a {{ b", "}} {{",
    "{ {x} }",
]  # fmt: skip


@pytest.mark.parametrize("text", LITERAL)
def test_json_latex_and_code_are_literal(text: str) -> None:
    """And so is a ``{{`` that no ``}}`` follows."""
    assert text == told(text, x=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x }}", "7"),
        ("{{x}}", "7"),
        ("{{ x }}{{ x }}", "77"),
        ("a {{ x + 1 }} b", "a 8 b"),
        ('{{ {"a": {"b": 1}}["a"]["b"] }}', "1"),
        ('{{ {"a": {"b": 1}} }}', "{'a': {'b': 1}}"),
        ('{{ "}}" }}', "}}"),
        ('{{ "{{" }}', "{{"),
        ("{{ [y for y in range(3)] }}", "[0, 1, 2]"),
        ("{{ (lambda a: a * 2)(x) }}", "14"),
        ("{{ xs[1:3] }}", "[2, 3]"),
        ("{{ str(xs[1:3]):>8 }}", "  [2, 3]"),
        ("{{ price:.2f }}", "3.14"),
        ("{{ price:>8.1f}}|", "     3.1|"),
        ("{{ now:%Y-%m-%d %H:%M }}", "2026-11-21 04:05"),
        ("{{ x if x else 'a: b' }}", "7"),
        ("{{ d['a:b'] }}", "colon"),
        ("{{ d['a:b']:>7 }}", "  colon"),
        ("{{\n  x\n}}", "7"),
        (r"\{{ x }}", "{{ x }}"),
        (r"\{{ x }} {{ x }}", "{{ x }} 7"),
        ("{{ None }}", "None"),
        ("{{ '' }}", ""),
    ],
)
def test_an_expression_becomes_its_value(text: str, expected: str) -> None:
    """Found by the shortest end that parses, with a format if one is given."""
    namespace = {
        "x": 7, "xs": [1, 2, 3, 4], "price": 3.14159, "now": datetime(2026, 11, 21, 4, 5, tzinfo=UTC), "d": {"a:b": "colon"},
    }  # fmt: skip
    assert expected == told(text, **namespace)
    assert {"x", "xs", "price", "now", "d"} == set(namespace), "the namespace was written to"


def test_the_value_itself_is_kept_for_conversion() -> None:
    """A picture stays a picture; only a format makes text of it."""
    thing = object()
    assert thing is expand("look: {{ thing }}", {"thing": thing})[1].value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ pric }}", "Did you mean price"),
        ("{{ pric }}", "'pric' is not defined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ price.nothing }}", "AttributeError"),
        ("{{ price.is_intger() }}", "Did you mean is_integer"),
        (r"\frac{{qq}}{{2}}", r"Braces that are no template are written \{{"),
        ("{{ price:.2q }}", "ValueError"),
        ("{{ for }}", "not a Python expression"),
        ("{{ x = 1 }}", "not a Python expression"),
        ("{{ }}", "not a Python expression"),
        ("{{ import os }}", "not a Python expression"),
    ],
)
def test_a_failing_expression_is_named(text: str, named: str) -> None:
    """Before any request."""
    with pytest.raises(TemplateError, match=r"Nothing was sent\.") as caught:
        expand(text, {"price": 1.0})
    assert named in str(caught.value)


def test_a_failing_template_leaves_no_row(offline: Session) -> None:
    """An undefined name stops before a request (DESIGN §1)."""
    with pytest.raises(TemplateError):
        offline.ask("Hello {{ nobody }}", model="offline/plain", values={})
    with pytest.raises(TemplateError):
        offline.ask("Hello", model="offline/plain", system="{{ nobody }}", values={})
    assert 0 == offline.engine.gateways.server.received()
    offline.close()
    assert not offline.engine.ledger.path.exists() or [] == books(offline.engine.ledger.path)


def test_ask_does_not_expand_unless_values_are_given(offline: Session) -> None:
    """A DataFrame's cell may hold braces of its own."""
    assert "{{ x }}" == offline.ask("{{ x }}", model="offline/echo").text
    assert "7" == offline.ask("{{ x }}", model="offline/echo", values={"x": 7}).text
    assert "{{ x }}" == offline.ask("{{ y }}", model="offline/echo", values={"y": "{{ x }}", "x": 7}).text


LARGE = {
    "helm chart": "{{ range .Items }}\nkey: {{ .Values.a.b }} : {{ x | quote }}\n" * 2_000,
    "colons": "{{ a b " + "a: b }} " * 5_000,
    "opened": "{{ " * 20_000 + "}}",
    "closed": "{{ " + "}} " * 20_000,
    "nested": "{{" * 5_000 + "}}" * 5_000,
    "brackets": "{{ " + "[" * 50_000 + " }}",
    "backslashes": "\\{{" * 50_000,
    "literal": "{ " * 500_000,
}


@pytest.mark.parametrize("name", LARGE)
def test_text_that_looks_like_a_template_does_not_freeze(name: str) -> None:
    """A pasted chart must not freeze the kernel, and the error must not repeat it."""
    with hard_deadline():
        try:
            expand(LARGE[name], {})
        except TemplateError as error:
            assert len(str(error)) < 500
