"""What is said about money: a bill beside its list price, a dry run, another model's price, a key's charges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from or_magic.api import Session, connect
from or_magic.content import Image, Video
from or_magic.engine.drift import Drift
from or_magic.notebook.commands.doctor import _charges
from or_magic.notebook.commands.spending import reconcile
from or_magic.notebook.preview import draw
from or_magic.notebook.words import status_line
from or_magic.options import Options
from or_magic.values import Reply, Usage

from .kernel import Kernel


def _reply(cost: str, listed: str | None, gateway: str = "openrouter") -> Reply:
    usage = Usage(100, 50, cost_usd=Decimal(cost), cached_tokens=0, byok=False)
    price = None if listed is None else Decimal(listed)
    return Reply(usage=usage, status="ok", model="a/b", gateway=gateway, listed_usd=price)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (_reply("0.0012", "0.0003"), "billed $0.001200, list price $0.000300"),
        (_reply("0.0012", "0.0003", "offline"), "billed $0.001200 simulated, list price $0.000300"),
        (_reply("0", "0.0003"), "billed $0.000000 although its tokens have a list price of $0.000300"),
        (_reply("0.0012", "0.0012"), "$0.001200"),
        (_reply("0.0012", None), "$0.001200"),
    ],
    ids=["dearer", "simulated", "nothing", "as listed", "not known"],
)
def test_the_status_line_names_a_bill_that_its_price_list_does_not_explain(reply: Reply, words: str) -> None:
    """Only there: a line that always compares is one that nobody reads."""
    assert words == status_line(reply, None).split(" · ")[-1]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with connect(offline=True, home=tmp_path) as opened:
        yield opened


def _drawn(session: Session, capsys: pytest.CaptureFixture[str], *things: Any) -> list[str]:
    draw(session.engine.preview(list(things), Options(model="google/gemini-2.5-flash", max_tokens=100)))
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_says_how_many_tokens_what_is_likely_and_at_most(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, in the order of certainty."""
    tokens, likely, most = _drawn(session, capsys, "What is a ledger? " * 40)[-1].split(" · ")
    assert tokens.startswith("About ")
    assert tokens.endswith(")")
    assert "–" in tokens
    assert likely.endswith(" likely")
    assert "–$" in likely
    assert most.startswith("at most $")
    assert most.endswith(" at the catalogue's prices")


def test_a_dry_run_of_several_parts_tells_each(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture may be most of the bill, and of a film nothing is known."""
    *_, parts, last = _drawn(session, capsys, "What is it?", Image(url="https://x"), Video(url="https://v"))
    assert parts.startswith("── tokens: user text ~3, user image ~1,398, user video not known")
    assert " likely" not in last


def test_spend_compares_with_another_model(kernel: Kernel) -> None:
    """A sentence for the first model, and the table."""
    assert "ok" == kernel.run("%%or openai/gpt-4o-mini\nWhat is a ledger?").status
    told = kernel.run("%or spend --what-if openai/gpt-5.5")
    assert "simulated; the same tokens would have cost $" in told.text
    assert "with openai/gpt-5.5, at list prices." in told.text
    assert "difference_usd" in told.displays[0]["data"]["text/plain"]
    assert "OptionError" in str(kernel.run("%or spend --what-if openai/gpt-4o-mni").error)


class _Watch:
    """What a key's watch found, decided by the test."""

    def __init__(self, used: str) -> None:
        self._found = Drift(Decimal(used), Decimal("0.5"), Decimal("0.5"), datetime(2026, 11, 21, 9, tzinfo=UTC))

    def compare(self) -> Drift:
        return self._found


@pytest.mark.parametrize(
    ("used", "mark", "words"),
    [
        ("0.5", "✓", "as the ledger says ($0.500000)"),
        ("0.6", "!", "charged $0.600000, the ledger explains $0.500000: others may use the same key"),
        ("0.4", "!", "charged $0.400000, the ledger says $0.500000: charges may come late"),
    ],
)
def test_doctor_and_reconcile_say_whether_the_key_was_charged_what_the_ledger_says(
    used: str, mark: str, words: str, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """One per cent apart is a finding."""
    engine: Any = session.engine
    engine.key_watch = _Watch(used)
    ((found, what, told),) = _charges(engine)
    assert [mark, "charges"] == [found, what]
    assert words in told
    face: Any = SimpleNamespace(session=lambda: session)
    reconcile(face, "")
    assert (mark == "!") == (words in capsys.readouterr().out)
