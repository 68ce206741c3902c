"""Money: exact, rounded once, never a float, and drawn so that unknown is not mistaken for nothing."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.values import Total, Usage, dollars, from_pico, to_pico

AMOUNTS = (
    st.decimals(0, 10**6, allow_nan=False, allow_infinity=False)
    | st.decimals(0, 1, places=17)
    | st.decimals(0, 1, places=40)
)
PICO = st.integers(0, 10**18)


@pytest.fixture(params=["prec 3", "prec 28", "round up", "traps"])
def notebook(request: pytest.FixtureRequest) -> Iterator[None]:
    """The decimal settings of a user's own sums, which are not ours."""
    with decimal.localcontext() as context:
        if request.param == "prec 3":
            context.prec = 3
        elif request.param == "round up":
            context.rounding = decimal.ROUND_UP
        elif request.param == "traps":
            context.traps[decimal.Inexact] = context.traps[decimal.FloatOperation] = context.traps[decimal.Rounded] = (
                True
            )
        yield


def _half_even(amount: Decimal) -> int:
    """Return pico-dollars by another way: exact fractions, whose ``round`` is half-even."""
    return round(Fraction(amount) * 10**12)


@given(AMOUNTS)
def test_whole_pico_dollars_are_rounded_half_even_and_once(amount: Decimal) -> None:
    """Two roundings in a row can differ from one."""
    assert _half_even(amount) == to_pico(amount)


@pytest.mark.parametrize(
    ("written", "pico"),
    [
        ("0.0000000000005", 0),
        ("0.0000000000015", 2),
        ("0.0000000000025", 2),
        ("0.00000000000050000000000000000000000000000000001", 1),
        ("0.0076509169000000005", 7650916900),
        ("1", 10**12),
        ("999999.999999999999", 999999999999999999),
        ("1E-13", 0),
        ("-0.0", 0),
        ("1.86e-05", 18600000),
    ],
)
def test_halves_go_to_the_even_side(written: str, pico: int) -> None:
    """By hand."""
    assert pico == to_pico(Decimal(written))


@given(PICO)
def test_pico_dollars_there_and_back_are_the_same(pico: int) -> None:
    """Nothing is lost in the ledger."""
    assert pico == to_pico(from_pico(pico))
    assert Fraction(pico, 10**12) == Fraction(from_pico(pico))


def test_twenty_times_five_cents_are_one_dollar() -> None:
    """In floats they are not."""
    total = Total()
    for _ in range(20):
        total += Total(Decimal("0.05"))
    assert Decimal(1) == total.billed_usd
    assert "$1.0000" == str(total)


@given(st.lists(AMOUNTS.map(to_pico), max_size=30), st.randoms())
def test_totals_do_not_depend_on_the_order(picos: list[int], rng: object) -> None:
    """Rows come back from a database in any order."""
    amounts = [from_pico(pico) for pico in picos]
    shuffled = amounts[:]
    rng.shuffle(shuffled)
    there = sum((Total(amount, amount, 1) for amount in amounts), Total())
    back = sum((Total(amount, amount, 1) for amount in shuffled), Total())
    assert there == back
    assert sum(picos) == to_pico(there.billed_usd)
    assert len(picos) == there.unknown_calls


@pytest.mark.usefixtures("notebook")
def test_a_notebooks_own_decimal_settings_do_not_touch_our_money() -> None:
    """``getcontext().prec = 3`` in a cell must not change what was billed."""
    cost = Decimal("0.01234567890123")
    assert 12345678901 == to_pico(cost)
    assert "0.012345678901" == str(from_pico(12345678901))
    assert 1012345678901 == to_pico((Total(from_pico(12345678901)) + Total(Decimal(1))).billed_usd)
    assert "$0.012346" == dollars(cost)
    assert "$0.000012" == dollars(Decimal("0.0000123456"))
    assert "$0.000000012" == dollars(Decimal("0.0000000123456"))
    assert "$0.0123 + ~$0.0123 estimated + 1 unknown" == str(Total(cost, cost, 1))


@pytest.mark.parametrize(
    ("total", "drawn", "at_least"),
    [
        (Total(), "$0.0000", "$0.0000"),
        (Total(Decimal("0.0412")), "$0.0412", "$0.0412"),
        (Total(Decimal("0.0412"), Decimal("0.001"), 2), "$0.0412 + ~$0.0010 estimated + 2 unknown", "≥ $0.0412"),
        (Total(Decimal("0.0412"), unknown_calls=1), "$0.0412 + 1 unknown", "≥ $0.0412"),
        (Total(Decimal(0), Decimal("0.25")), "$0.0000 + ~$0.2500 estimated", "≥ $0.0000"),
        (Total(unknown_calls=3), "$0.0000 + 3 unknown", "≥ $0.0000"),
        (Total(Decimal("0.0023"), simulated=True), "$0.0023 simulated", "$0.0023"),
        (Total(Decimal("0.00001234")), "$0.000012", "$0.000012"),
        (Total(Decimal("12345.6")), "$12,345.6000", "$12,345.6000"),
    ],
)
def test_a_total_says_what_it_does_not_know(total: Total, drawn: str, at_least: str) -> None:
    """Unknown cost is never 0 inside a sum (DESIGN §1)."""
    assert drawn == str(total) == repr(total) == f"{total}"
    assert at_least == total.at_least


@pytest.mark.parametrize(
    ("written", "drawn"),
    [
        ("0", "$0.000000"),
        ("0.00231", "$0.002310"),
        ("0.000001", "$0.000001"),
        ("0.0000001", "$0.00000010"),
        ("0.00000465", "$0.000005"),
        ("0.000000465", "$0.00000046"),
        ("0.000000000001", "$0.000000000001"),
        ("0.0000009999999", "$0.00000100"),
        ("1.5", "$1.500000"),
        ("1234.5", "$1,234.500000"),
        ("-0.0", "$0.000000"),
        ("0E-20", "$0.000000"),
    ],
)
def test_an_amount_is_drawn_with_the_digits_that_say_something(written: str, drawn: str) -> None:
    """Where six decimals would be zeros only, two digits of the amount are shown."""
    assert drawn == dollars(Decimal(written))


@given(st.decimals(min_value="0.000000000001", max_value=10**6), st.integers(2, 6))
def test_money_that_was_spent_is_never_drawn_as_nothing(amount: Decimal, digits: int) -> None:
    """``$0.000000`` for a paid call is a lie."""
    drawn = dollars(amount, digits)
    told = Decimal(drawn.removeprefix("$").replace(",", ""))
    assert told > 0
    assert abs(told - amount) <= max(Decimal(10) ** -digits, amount / 10)


def test_later_usage_wins_where_it_knows_and_undoes_nothing() -> None:
    """Figures come in pieces, and the last may know less."""
    first = Usage(1, 2, 3, 4, 5, 6, Decimal("0.5"), Decimal("0.25"))
    assert first == first | Usage()
    assert first == Usage() | first
    assert Usage(9, 2, 3, 4, 5, 6, Decimal(0), Decimal("0.25")) == first | Usage(prompt_tokens=9, cost_usd=Decimal(0))


@given(
    *[
        st.builds(
            Usage,
            st.none() | st.integers(0, 9),
            st.none() | st.integers(0, 9),
            cost_usd=st.none() | st.decimals(0, 1, places=3),
        )
    ]
    * 3
)
def test_merging_usage_does_not_depend_on_the_grouping(a: Usage, b: Usage, c: Usage) -> None:
    """Chunks may be folded as they come or at the end."""
    assert (a | b) | c == a | (b | c)
