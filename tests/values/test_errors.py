"""Errors: one family, drawn as it is, with data as attributes."""

from __future__ import annotations

import pickle
import re

import pytest

from or_magic import errors
from or_magic.errors import CallError, CallTimeoutError, OrMagicError, RefusedError

FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_the_tree_of_the_docstring_is_the_tree() -> None:
    """It is what a reader sees first."""
    lines = (errors.__doc__ or "").splitlines()
    depths = [
        (found.start(1), found[1]) for line in lines if (found := re.match(r"[ │├└─]*?(\w+Error|OverBudget)\b", line))
    ]
    drawn: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for depth, name in depths:
        path = [(above, parent) for above, parent in path if above < depth]
        drawn[name] = path[-1][1] if path else None
        path.append((depth, name))
    real = {kind.__name__: None if kind is OrMagicError else kind.__bases__[0].__name__ for kind in FAMILY}
    assert real == drawn


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_every_error_is_an_ordinary_exception_of_one_line(kind: type[OrMagicError]) -> None:
    """A BaseException would pass ``except Exception`` of a batch."""
    error = kind("It happened.")
    assert isinstance(error, Exception)
    assert 1 == len(kind.__bases__)
    assert str(error).startswith("It happened.")
    assert 1 == len(error._render_traceback_())
    assert (kind.__doc__ or "").strip()


@pytest.mark.parametrize(
    "kind", [kind for kind in FAMILY if issubclass(kind, CallError)], ids=lambda kind: kind.__name__
)
def test_every_call_error_says_what_was_billed(kind: type[CallError]) -> None:
    """Nobody is surprised by a bill."""
    error = kind("It happened.", "Do this.")
    assert f"It happened. {error.billed} Do this." == str(error)
    assert error.billed
    assert issubclass(kind, RefusedError) == ("nothing was billed" in error.billed)
    assert (None, None, None, None, None) == (
        error.reply,
        error.status_code,
        error.error_type,
        error.body,
        error.retry_after_s,
    )
    assert "It happened" not in error.label


def test_the_label_of_a_timeout_says_its_phase() -> None:
    """The ledger holds no words of prompts, but this one."""
    error = CallTimeoutError("x")
    error.phase = "idle"
    assert "CallTimeoutError idle" == error.label
    assert "CallTimeoutError" == CallTimeoutError("x").label


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_worker_process(kind: type[OrMagicError]) -> None:
    """joblib and multiprocessing pickle it; one that cannot be read back hangs the pool."""
    error = kind("It happened.")
    again = pickle.loads(pickle.dumps(error))
    assert type(error) is type(again)
    assert str(error) == str(again)
