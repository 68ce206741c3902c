"""Choosing a model in a real kernel: filters, ``auto:``, and what the status line and the dry run say."""

from __future__ import annotations

import pytest

from .kernel import Kernel


@pytest.fixture(scope="module", autouse=True)
def orm(kernel: Kernel) -> None:
    """The package, by the name that people give it."""
    kernel.run("import or_magic as orm")


def test_auto_says_what_was_chosen_and_why(kernel: Kernel) -> None:
    """In the status line that stays, and in the dry run."""
    done = kernel.run("%%or -m auto:coding:high\nhello")
    assert "ok" == done.status, done.error
    status = str(done.displays[-1])
    assert "chosen for coding, high" in status
    seen = kernel.run("%%or auto:summary --dry-run\nhello").text
    assert "chosen for summary, low" in seen
    assert '"models": [' in seen
    assert "Did you mean coding?" in "".join(kernel.run("%%or auto:codign\nhello").error)


def test_fields_that_are_ignored_stay_in_the_status_line(kernel: Kernel) -> None:
    """And stand in the dry run; the cell is not stopped."""
    done = kernel.run("%%or openai/gpt-5-mini -t 0.3\nhello")
    assert "ok" == done.status, done.error
    assert "openai/gpt-5-mini does not support temperature: ignored, most likely" in str(done.messages)
    seen = kernel.run("%%or openai/gpt-5-mini -t 0.3 --dry-run\nhello").text
    assert "does not support temperature" in seen


def test_models_are_filtered_by_words_and_flags(kernel: Kernel) -> None:
    """A DataFrame, as without them."""
    assert "ok" == kernel.run("found = %or models claude --vision --context 200k --max-price 20").status
    assert "True" == kernel.value("len(found) > 0 and bool(found.index.str.contains('claude').all())")
    assert "True" == kernel.value("len(found) == len(orm.models('claude', vision=True, context=200_000, max_price=20))")
    none = kernel.run("none = %or models claude --max-price 0.0001")
    assert "Without --max-price 0.0001 there are" in none.text
    assert "0" == kernel.value("len(none)")
    assert "Did you mean --vision?" in "".join(kernel.run("%or models --visoin").error)
    assert "no number of tokens" in "".join(kernel.run("%or models --context many").error)


def test_a_choice_draws_itself(kernel: Kernel) -> None:
    """As the value of a cell."""
    done = kernel.run("orm.choose('vision', max_usd=0.01)")
    assert "ok" == done.status, done.error
    assert "A usual call costs about" in str(done.messages)
    assert "Choice(id=" in kernel.value("orm.choose('vision')")


def test_auto_may_be_the_default_or_have_a_short_name(kernel: Kernel) -> None:
    """It is no model that the catalogue lacks; an unknown task is told at once, and nothing is changed."""
    assert "The default model is now auto:simple." == kernel.run("%or use auto:simple").text.strip()
    assert "Tasks are coding" in "".join(kernel.run("%or use auto:smple").error)
    assert "chosen for simple, low" in kernel.run("%%or --dry-run\nhello").text
    assert "catalogue" not in kernel.run("%or alias code auto:coding:high").text
    assert "chosen for coding, high" in kernel.run("%%or code --dry-run\nhello").text


def test_a_choice_is_a_model_on_the_line(kernel: Kernel) -> None:
    """What was looked at first is used next, and who stands in for it comes along."""
    kernel.run("import or_magic as orm\nchosen = orm.choose('vision')")
    assert "ok" == kernel.run("%%or $chosen -q\nHello").status
    assert "True" == kernel.value("_or.model_requested == chosen.id")
    assert "('x',)" == kernel.value(
        "__import__('or_magic.options', fromlist=['x']).parse_line('$c --fallback x', lambda word: chosen if word == '$c' else word).fallback"
    )
