"""What only a notebook has: cells as source, earlier values, the session's last exception, its figures."""

from __future__ import annotations

from .kernel import Kernel, Run


def dry(kernel: Kernel, body: str) -> Run:
    """Return the dry run of a cell."""
    return kernel.run(f"%%or openai/gpt-4o-mini --dry-run\n{body}")


def test_functions_and_classes_of_cells_are_their_source(kernel: Kernel) -> None:
    """There is no file; a class without methods too, and the latest of several."""
    kernel.run("def f(x):\n    return 1  # the old one")
    kernel.run("def f(x):\n    # doubles\n    return x * 2")
    kernel.run("class Old: pass\nclass C:\n    tag = 'old'")
    kernel.run("from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int  # where it is")
    said = dry(kernel, "{{ f }}\n{{ C }}")
    assert "ok" == said.status, said.error
    assert "def f(x):\n    # doubles\n    return x * 2\n" in said.text
    assert "@dataclass\nclass C:\n    x: int  # where it is\n" in said.text
    assert "the old one" not in said.text


def test_earlier_values_can_be_named(kernel: Kernel) -> None:
    """``Out[n]`` and ``_``."""
    done = kernel.run("{'answer': 41 + 1}")
    number = done.reply["content"]["execution_count"]
    assert '{"answer": 42}' in dry(kernel, f"{{{{ Out[{number}] }}}}").text


def test_error_is_the_last_exception_with_its_lines(kernel: Kernel) -> None:
    """Of one's own code: no frames of IPython, no values, no path of the machine; questions of ours do not count."""
    kernel.run("def inner(rows):\n    hush = 'sk-or-v1-hush'\n    return rows['missing']\ninner({'a': 1})\n\n\n1")
    failed = dry(kernel, "{{ eror }}")
    assert "error" == failed.status
    said = dry(kernel, "Why?\n{{ error }}")
    assert "ok" == said.status, said.error
    shown = said.text.partition("── other fields")[0]
    assert "KeyError: 'missing'" in shown
    assert ">   3      return rows['missing']" in shown
    assert ">   4  inner({'a': 1})\n  A cell" in shown  # without the empty lines that follow
    assert "A cell, line 3, in inner" in shown
    for hidden in ("IPython", "ipykernel", "site-packages", "/tmp", "TemplateError", "{'rows'"):
        assert hidden not in shown
    assert "── inserted {{ error }}: ~" in said.text


def test_a_variable_that_is_called_error_is_the_users(kernel: Kernel) -> None:
    """His names win."""
    kernel.run("1 / 0")
    kernel.run("error = 'my own'")
    assert "my own" in dry(kernel, "{{ error }}").text
    kernel.run("del error")
    assert "ZeroDivisionError" in dry(kernel, "{{ error }}").text
    kernel.run("for")
    assert "SyntaxError" in dry(kernel, "{{ error }}").text


def test_without_an_exception_there_is_no_error(fresh_kernel: Kernel) -> None:
    """What was raised before the extension was loaded counts."""
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    failed = dry(fresh_kernel, "{{ error }}")
    assert "error" == failed.status
    assert "'error' is not defined" in "\n".join(failed.error)
    fresh_kernel.run("%reload_ext or_magic")
    fresh_kernel.run("%unload_ext or_magic\n[][3]")
    fresh_kernel.run("%load_ext or_magic\n%or use offline")
    assert "IndexError" in dry(fresh_kernel, "{{ error }}").text


def test_a_figure_of_an_earlier_cell_is_drawn_and_pyplot_left_alone(kernel: Kernel) -> None:
    """The inline backend has closed it by then."""
    kernel.run("import matplotlib.pyplot as plt, pandas as pd\nfig, ax = plt.subplots(); ax.plot([1, 2])")
    said = dry(kernel, "{{ fig }} or {{ ax }}?")
    assert "ok" == said.status, said.error
    assert 2 == said.text.count("[image: ")
    assert [] == said.displays
    assert "[]" == kernel.value("plt.get_fignums()")


def test_an_answer_goes_into_the_next_question(kernel: Kernel) -> None:
    """``_or``, ``--out`` and ``Out`` are replies."""
    kernel.run("%%or openai/gpt-4o-mini --out first\nSay one word.")
    words = kernel.value("first.text")
    said = dry(kernel, "Shorter: {{ first }} {{ _or }}")
    assert said.text.count(words[1:20]) >= 2
