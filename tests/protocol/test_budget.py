"""Budgets: what fits is let through, what does not is stopped, and days begin where the user lives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, Inexact, Rounded, localcontext
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from or_magic.budget import Budgets, Limit, Standing, Terms, admit, alert, amount, limits_of, over, parse_usd
from or_magic.errors import OverBudget
from or_magic.pricing import Prices, max_price
from or_magic.values import Row

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
ROW = Row(row_id="r", started_at=NOW, session="s", call_id="c", gateway="openrouter", model_requested="a/b")
USD = st.decimals(0, 1000, places=12)


def standing(usd: object, spent: object = 0, held: object = 0, scope: str = "session") -> Standing:
    return Standing(Limit(scope, Decimal(str(usd)), "s"), Decimal(str(spent)), Decimal(str(held)))


def terms(*standings: Standing, bound: object = None, waived: bool = False) -> Terms:
    usd = None if bound is None else Decimal(str(bound))
    return Terms(tuple(each.limit for each in standings), lambda _: usd, waived)


@given(limits=st.lists(st.tuples(USD, USD, USD), max_size=4), bound=USD | st.none())
def test_a_call_is_let_through_exactly_if_it_fits(limits: list[tuple[Decimal, ...]], bound: Decimal | None) -> None:
    """No overspend, and no false stop: a call is stopped only where a limit would be passed."""
    standings = [standing(*each) for each in limits]
    left = min([usd - spent - held for usd, spent, held in limits], default=None)
    fits = left is None or bound == 0 or (left > 0 if bound is None else left >= bound)
    try:
        row = admit(ROW, terms(*standings, bound=bound), standings)
    except OverBudget as error:
        assert not fits
        assert (error.asked_usd, error.limit_usd) in {(bound, usd) for usd, _, _ in limits}
    else:
        assert fits
        assert (bound, left if bound is None else bound) == (row.bound_usd, row.held_usd)
        assert row.waived is None


def test_a_call_of_unknown_price_reserves_all_that_is_left() -> None:
    """What it costs cannot be more than that without being a surprise."""
    standings = [standing(5, spent=1, held=1), standing(10)]
    assert Decimal(3) == admit(ROW, terms(*standings), standings).held_usd


def test_what_costs_nothing_goes_on_when_nothing_is_left() -> None:
    """A free model is the way out of a spent budget."""
    standings = [standing(1, spent=2)]
    assert Decimal(0) == admit(ROW, terms(*standings, bound=0), standings).held_usd


def test_yes_goes_past_every_budget_and_the_row_names_those() -> None:
    """Once, and on record."""
    standings = [standing(1, spent=2), standing(9, scope="day"), standing(2, held=2, scope="week")]
    row = admit(ROW, terms(*standings, bound="0.5", waived=True), standings)
    assert ("session, week", Decimal("0.5")) == (row.waived, row.held_usd)


def test_the_bound_is_asked_for_with_what_is_left() -> None:
    """An answer can be made as short as what is left allows."""
    asked: list[Decimal | None] = []

    def bound(left: Decimal | None) -> Decimal | None:
        asked.append(left)
        return left

    standings = [standing(5, spent=1), standing(3)]
    limits = tuple(each.limit for each in standings)
    admit(ROW, Terms(limits, bound), standings)
    admit(ROW, Terms(limits, bound, waived=True), standings)
    admit(ROW, Terms((), bound), ())
    assert [Decimal(3), None, None] == asked


@pytest.mark.parametrize("scope", ["call", "session", "day", "week", "total", "tag"])
def test_the_error_says_what_is_spent_held_and_asked_for_and_how_to_go_on(scope: str) -> None:
    """Whoever is stopped wants to know by what, and what now."""
    stop = standing(5, spent="4.5", held="0.25", scope=scope)
    with pytest.raises(OverBudget) as caught:
        admit(ROW, terms(stop, bound="1.5"), [stop])
    for words in ("$5.00", "$4.50 is spent", "$0.25 is held", "may cost $1.50", "Nothing was sent", "-y", "--budget"):
        assert words in str(caught.value) or (words == "--budget" and "%or budget --" in str(caught.value))
    assert 2 == len(caught.value._render_traceback_())


def test_money_of_the_simulator_is_called_so() -> None:
    """What it spends, holds and would spend is not money; nobody has to be afraid of it."""
    stop = standing(5, spent="4.5", held="0.25", scope="day")
    words = r"\$4.50 simulated is spent and \$0.25 simulated is held .* \$1.50 simulated\."
    with pytest.raises(OverBudget, match=words):
        admit(replace(ROW, gateway="offline"), terms(stop, bound="1.5"), [stop])
    assert "90 % of today's budget is spent: $4.50 simulated of $5.00." == alert(stop, simulated=True)


@pytest.mark.parametrize(
    ("spent", "alerting"), [("0", False), ("0.79", False), ("0.8", True), ("1", True), ("3", True)]
)
def test_from_four_fifths_on_it_is_said(spent: str, alerting: bool) -> None:
    """Before the stop, not with it; what is only held is not spent."""
    assert alerting == standing(1, spent=spent, held=9).alerting


def test_the_alert_tells_share_and_amounts() -> None:
    """A share alone is no money."""
    assert "83 % of today's budget is spent: $4.15 of $5.00." == alert(standing(5, spent="4.15", scope="day"))
    assert not standing(0).alerting
    assert "100 % of" in alert(standing(0, spent=1))


# --- limits ------------------------------------------------------------------------------------------------------


def test_every_budget_becomes_a_limit_of_its_scope() -> None:
    """And a tag's only where the call carries the tag."""
    budgets = Budgets(Decimal(1), Decimal(2), Decimal(3), Decimal(4), {"x": Decimal(5), "y": Decimal(6)})
    limits = limits_of(budgets, NOW, session="s", tag="y", call_id="c", call_usd=Decimal(0), zone=UTC)
    assert [
        ("call", 0, "c"),
        ("session", 1, "s"),
        ("day", 2, ""),
        ("week", 3, ""),
        ("total", 4, ""),
        ("tag", 6, "y"),
    ] == [(limit.scope, limit.usd, limit.key) for limit in limits]
    assert (datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)) == (
        limits[2].since,
        limits[3].since,
    )
    assert () == limits_of(Budgets(), NOW, session="s", tag="y", zone=UTC)
    assert (False, True, True) == (
        bool(Budgets()),
        bool(Budgets(day=Decimal(0))),
        bool(Budgets(tags={"x": Decimal(1)})),
    )


@pytest.mark.parametrize(
    ("zone", "now", "day", "week"),
    [
        ("Asia/Tokyo", "2026-11-21T15:30Z", "2026-11-21T15:00Z", "2026-11-15T15:00Z"),
        ("America/New_York", "2026-11-21T03:00Z", "2026-11-20T05:00Z", "2026-11-16T05:00Z"),
        ("Asia/Kathmandu", "2026-11-21T12:00Z", "2026-11-20T18:15Z", "2026-11-15T18:15Z"),
        # The clocks went back on Sunday, 25 October 2026: that day has 25 hours, and its week began in summer time.
        ("Europe/Berlin", "2026-10-25T20:00Z", "2026-10-24T22:00Z", "2026-10-18T22:00Z"),
        ("Europe/Berlin", "2026-10-26T20:00Z", "2026-10-25T23:00Z", "2026-10-25T23:00Z"),
    ],
)
def test_days_and_weeks_begin_where_the_user_lives(zone: str, now: str, day: str, week: str) -> None:
    """A budget that starts anew at one in the morning is a budget nobody understands."""
    budgets = Budgets(day=Decimal(1), week=Decimal(1))
    limits = limits_of(budgets, datetime.fromisoformat(now), session="s", zone=ZoneInfo(zone))
    assert [datetime.fromisoformat(day), datetime.fromisoformat(week)] == [limit.since for limit in limits]


def test_without_a_zone_it_is_this_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was on that day: summer time may have begun since."""
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        limits = limits_of(
            Budgets(day=Decimal(1), week=Decimal(1)), datetime.fromisoformat("2026-10-25T20:00Z"), session="s"
        )
        assert ["2026-10-24T22:00:00+00:00", "2026-10-18T22:00:00+00:00"] == [
            str(each.since).replace(" ", "T") for each in limits
        ]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_day_may_begin_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Cairo the clock skips midnight when summer time begins: what was spent before it is not today's."""
    import time

    monkeypatch.setenv("TZ", "Africa/Cairo")
    time.tzset()
    try:
        now = datetime.fromisoformat("2026-04-24T20:00Z")
        (limit,) = limits_of(Budgets(day=Decimal(1)), now, session="s")
        assert datetime.fromisoformat("2026-04-23T22:00Z") == limit.since
    finally:
        monkeypatch.undo()
        time.tzset()


# --- amounts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        ("5", "5"),
        ("$2.50", "2.50"),
        (" 0 ", "0"),
        (1, "1"),
        (0.1, "0.1"),
        ("1e-3", "0.001"),
        ("off", None),
        ("OFF", None),
    ],
)
def test_amounts_are_read_as_people_write_them(text: object, usd: str | None) -> None:
    """Floats too: 0.1 means a tenth."""
    assert (None if usd is None else Decimal(usd)) == parse_usd(text)


@pytest.mark.parametrize("text", ["", "five", "-1", "NaN", "inf", "1e12", "1e6", "5 USD", True, None, "1,5", [], "$"])
def test_what_is_no_amount_is_refused(text: object) -> None:
    """A budget that is silently none would be the worst of all."""
    with pytest.raises(ValueError, match="is no amount of dollars"):
        parse_usd(text)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("5", "$5.00"),
        ("0.001", "$0.001"),
        ("1.5", "$1.50"),
        ("1234", "$1,234.00"),
        ("0", "$0.00"),
        ("0.000123456789", "$0.000123"),
    ],
)
def test_amounts_are_told_as_people_write_them(usd: str, text: str) -> None:
    """Without a tail of zeros."""
    assert text == amount(Decimal(usd))


@pytest.mark.parametrize(
    ("tag", "words"), [("thesis", "--tag thesis=USD"), ("my thesis", "--tag 'my thesis=USD'"), ("{}", "--tag '{}=USD'")]
)
def test_the_line_that_raises_a_tag_s_budget_can_be_typed(tag: str, words: str) -> None:
    """Whatever the tag is called."""
    spent = Standing(Limit("tag", Decimal(1), tag), Decimal(1), Decimal(0))
    assert f"raise it: %or budget {words}." in str(over(spent, Decimal(1)))


def test_a_notebook_s_own_precision_changes_no_money() -> None:
    """Whoever computes with Decimal sets it, and traps, for sums of their own."""
    spent = standing("1.23456", "1.11111", "0.1", scope="day")
    prices = Prices({"prompt": Decimal("0.00000123456"), "completion": Decimal("0.00001234567")})
    told = str(over(spent, Decimal("0.12345"))), alert(spent), max_price(prices)
    with localcontext() as context:
        context.prec = 3
        context.traps[Inexact] = context.traps[Rounded] = True
        assert told == (str(over(spent, Decimal("0.12345"))), alert(spent), max_price(prices))
    assert {"prompt": 1.23456, "completion": 12.34567} == max_price(prices)
