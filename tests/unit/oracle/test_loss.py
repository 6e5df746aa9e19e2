"""What a store lost is measured from the record, and only what its bound states is forgiven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle import check
from lab.oracle.blame import blame
from lab.oracle.loss import LossJudgement, StoreStrike, judge_loss, store_strikes
from lab.oracle.promises import APPLIED_ONCE, LOGGED_IN, LOSS_BOUND, STATE_KEPT, TRIES, Anomaly
from lab.record import AnyEvent, StrikeSource
from tests.unit.oracle.losing import MS, STRUCK_AT, S, history, strike_of
from tests.unit.oracle.making import op, with_quiet_points


def judged(operations: Sequence[Operation], bound: float, events: Sequence[AnyEvent] | None = None) -> LossJudgement:
    """What comes of a history with this bound."""
    strikes = store_strikes(strike_of() if events is None else events)
    return judge_loss(check(operations), lambda: operations, strikes, bound)


@pytest.mark.parametrize("seed", range(8))
def test_a_store_that_loses_nothing_holds_any_bound(seed: int) -> None:
    """No finding, no loss, and something was followed."""
    told = judged(history(seed, loses=0.0), 0.0)
    assert (told.findings, told.loss.losses, told.loss.oldest) == ((), 0, None)
    assert told.checks[LOSS_BOUND] == told.loss.followed > 100


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("loses", [0.5, 1.5, 4.0])
def test_a_loss_within_the_bound_is_told_and_breaks_nothing(seed: int, loses: float) -> None:
    """It is measured to where it was planted: never more, and less only where nobody wrote."""
    told = judged(history(seed, loses=loses), loses + 0.3)
    assert told.findings == ()
    assert told.loss.losses > 0
    assert told.loss.beyond == 0
    assert told.loss.oldest is not None
    assert loses - 0.7 < told.loss.oldest <= loses + 0.1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("loses", [1.5, 4.0])
def test_a_loss_beyond_the_bound_breaks_as_ever(seed: int, loses: float) -> None:
    """By the promise that it would break without a bound, and by the bound's own."""
    told = judged(history(seed, loses=loses), loses / 3)
    assert told.loss.beyond > 0
    broken = {one.promise for one in told.findings}
    assert LOSS_BOUND in broken
    assert broken & {STATE_KEPT, LOGGED_IN, "name_register"}
    assert told.hurt > 0
    [own] = [one for one in told.findings if one.promise == LOSS_BOUND]
    assert own.anomaly == Anomaly.LOST_MORE
    assert "store-a was struck (SIGKILL)" in own.why


@pytest.mark.parametrize("seed", range(4))
def test_a_bound_of_nothing_forgives_nothing(seed: int) -> None:
    """What the oracle finds stays found, and the loss is measured beside it."""
    operations = history(seed, loses=1.0)
    told = judged(operations, 0.0)
    strict = check(operations).findings
    assert [one for one in told.findings if one.promise != LOSS_BOUND] == list(strict)
    assert told.loss.oldest is not None
    assert told.loss.beyond == told.loss.losses == len(strict)


def test_everything_lost_is_measured_as_everything() -> None:
    """A store without a disk: sessions too, from the first login on."""
    told = judged(history(3, loses=30.0), 0.0)
    assert {one.promise for one in told.findings} >= {STATE_KEPT, LOGGED_IN}
    assert told.loss.users == 6
    assert told.loss.oldest is not None
    assert told.loss.oldest > 17


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing struck"),
        pytest.param(strike_of(hit=False), id="the strike hit nothing"),
        pytest.param(strike_of("app"), id="an app was struck"),
        pytest.param(strike_of("orders"), id="the orders' database was struck"),
    ],
)
def test_without_a_proved_strike_on_a_store_nothing_is_forgiven(events: list[AnyEvent]) -> None:
    """And nothing was followed, so that the promise is never held for want of a strike."""
    operations = history(1, loses=1.0)
    told = judged(operations, 100.0, events)
    assert list(told.findings) == list(check(operations).findings)
    assert told.checks[LOSS_BOUND] == 0


def test_a_strike_that_lasts_excuses_until_it_is_undone() -> None:
    """A frozen primary that others think dead may acknowledge after the strike what is lost when it comes back."""
    [lasting] = store_strikes(strike_of(fault="freeze"))
    [dead] = store_strikes(strike_of())
    assert lasting.until - dead.until == 23 * S - (STRUCK_AT + 200 * MS)


@pytest.mark.parametrize(
    "values",
    [
        {"fault": "cut from zone/a", "fault_kind": "cut", "lasts": True, "off": "zone/a", "source": StrikeSource.STEP},
        {"fault": "freeze the store", "fault_kind": "freeze", "lasts": True, "source": StrikeSource.PIN},
        {"fault": "a pause by hand", "fault_kind": "freeze", "lasts": True, "source": StrikeSource.HAND},
        {"fault": "cut from zone/a"},
        {"fault": "freeze the store"},
        {"fault": "slow"},
    ],
    ids=["directed cut", "pinned freeze", "by hand", "old directed cut", "old pinned freeze", "old slow"],
)
def test_what_lasts_explains_until_it_is_undone_whatever_it_is_called(values: dict[str, Any]) -> None:
    """A strike at 10 s that was undone at 18 s may have cost what was acknowledged until 19 s."""
    struck, proved, undone = strike_of(at=10 * S, undone=18 * S)
    replaced = {"fault_kind": "", "lasts": False, "signal": "", "source": None, **values}
    [window] = store_strikes([msgspec.structs.replace(struck, **replaced), proved, undone])
    assert (window.at, window.until) == (10 * S, 19 * S)


def test_what_ends_its_victim_explains_until_it_is_proved() -> None:
    """It is over at once, however late the store is restarted."""
    [window] = store_strikes(strike_of(at=10 * S, undone=18 * S, fault="kill the store"))
    assert window.until == 10 * S + 200 * MS + S


def test_what_no_loss_looks_like_is_never_forgiven() -> None:
    """A write that was applied twice within the bound stays what it is."""
    at = STRUCK_AT - S
    operations = with_quiet_points(
        [
            op(Kind.VIEW, at, at + MS, "u.1"),
            op(Kind.HISTORY, at + 5 * MS, at + 6 * MS, answer=[2, ["u.1", "u.1"]]),
            op(Kind.HISTORY, STRUCK_AT + 5 * S, STRUCK_AT + 6 * S, answer=[2, ["u.1", "u.1"]]),
        ]
    )
    strict = check(operations)
    assert [one.promise for one in strict.findings] == [APPLIED_ONCE]
    assert [one.promise for one in judged(operations, 100.0).findings] == [APPLIED_ONCE]


def test_a_loss_of_what_was_not_struck_is_beyond_every_bound() -> None:
    """Something that goes missing before the store was struck is not the store's."""
    operations = with_quiet_points(
        [
            op(Kind.VIEW, 1 * S, 1 * S + MS, "u.1"),
            op(Kind.HISTORY, 2 * S, 2 * S + MS, answer=[0, []]),
            op(Kind.HISTORY, STRUCK_AT + 5 * S, STRUCK_AT + 6 * S, answer=[0, []]),
        ]
    )
    told = judged(operations, 5.0)
    assert [one.promise for one in told.findings] == [STATE_KEPT]
    assert told.loss.losses == 0


def test_a_contradiction_is_held_against_what_its_proof_leaves_out() -> None:
    """An order without an answer holds one line of two: the other was lost before it, and no read says so."""
    lost = op(Kind.ADD, STRUCK_AT - 400 * MS, STRUCK_AT - 300 * MS, "u.1.2", argument=1)
    operations = [
        op(Kind.ADD, 5 * S, 5 * S + MS, "u.1.1", argument=1),
        lost,
        op(Kind.CHECKOUT, STRUCK_AT - 50 * MS, STRUCK_AT + 400 * MS, "u.1.3", outcome=Outcome.UNKNOWN),
        op(Kind.ORDERS, STRUCK_AT + 2 * S, STRUCK_AT + 2 * S + MS, answer=[["u.1.3", {"u.1.1": 1}]]),
    ]
    [found] = check(operations).findings
    assert found.anomaly == Anomaly.CONTRADICTION
    assert lost not in found.witness
    told = judged(operations, 1.3)
    assert told.findings == ()
    assert (told.loss.losses, told.loss.beyond) == (1, 0)
    assert told.loss.oldest == pytest.approx(0.3)
    assert {one.promise for one in judged(operations, 0.1).findings} == {STATE_KEPT, LOSS_BOUND}


AGAIN_AT = 30 * S
TWICE = [*strike_of(), *strike_of(number=2, at=AGAIN_AT, undone=33 * S)]


def missed(user: str, *, written: int, looked: int) -> list[Operation]:
    """A user whose second view is not there when they look."""
    first, second = f"{user}.1.1", f"{user}.1.2"
    return [
        op(Kind.VIEW, S, S + MS, first, user=user),
        op(Kind.VIEW, written, written + MS, second, user=user),
        op(Kind.HISTORY, looked, looked + MS, answer=[1, [first]], user=user),
    ]


@pytest.mark.parametrize("is_kept", [True, False], ids=["what came in between was seen", "nothing was seen of it"])
def test_what_the_first_strike_cost_is_laid_at_it_though_it_shows_after_the_second(is_kept: bool) -> None:
    """Half a second at the first explains it all; the second cost nothing."""
    operations = [
        *missed("u-1", written=STRUCK_AT - 300 * MS, looked=22 * S),
        *missed("u-2", written=STRUCK_AT - 500 * MS, looked=34 * S),
    ]
    if is_kept:
        operations += [
            op(Kind.VIEW, 26 * S, 26 * S + MS, "u-3.1.1", user="u-3"),
            op(Kind.HISTORY, 34 * S, 34 * S + MS, answer=[1, ["u-3.1.1"]], user="u-3"),
        ]
    told = judged(operations, 1.3, TWICE)
    assert told.findings == ()
    assert (told.loss.losses, told.loss.beyond) == (2, 0)
    assert told.loss.oldest == pytest.approx(0.5, abs=0.01)


def test_each_of_two_strikes_is_held_against_the_bound() -> None:
    """What had been acknowledged longer before its own strike is lost beyond it, whichever of the two it was."""
    for written in (STRUCK_AT - 2 * S, AGAIN_AT - 2 * S):
        near = missed("u-1", written=AGAIN_AT - S, looked=34 * S)
        operations = [*near, *missed("u-2", written=written, looked=34 * S)]
        told = judged(operations, 1.3, TWICE)
        assert {one.promise for one in told.findings} == {STATE_KEPT, LOSS_BOUND}
        assert told.loss.oldest == pytest.approx(2, abs=0.01)
        assert judged(operations, 2.3, TWICE).findings == ()


def test_a_strike_that_lasts_does_not_hide_what_the_next_one_cost() -> None:
    """A replica is cut off, and meanwhile the primary is killed: what it cost is not laid at the cut."""
    events = [*strike_of(fault="cut", undone=24 * S), *strike_of(number=2, at=23 * S, undone=33 * S)]
    operations = [
        *missed("u-1", written=STRUCK_AT - 10 * MS, looked=34 * S),
        *missed("u-2", written=21 * S, looked=34 * S),
    ]
    told = judged(operations, 1.0, events)
    assert {one.promise for one in told.findings} == {STATE_KEPT, LOSS_BOUND}
    assert told.loss.oldest == pytest.approx(3, abs=0.02)


def test_a_strike_that_cost_nothing_is_given_nothing() -> None:
    """Even where nobody looked between the two, and somebody undid something before the first."""
    operations = [
        op(Kind.ADD, S, S + MS, "u-2.1.1", argument=1, user="u-2"),
        op(Kind.REMOVE, 10 * S, 10 * S + MS, "u-2.1.2", argument="u-2.1.1", answer=True, user="u-2"),
        op(Kind.CART, 34 * S, 34 * S + MS, answer={}, user="u-2"),
        *missed("u-1", written=AGAIN_AT - S, looked=34 * S),
    ]
    told = judged(operations, 1.3, TWICE)
    assert told.findings == ()
    assert told.loss.oldest == pytest.approx(1, abs=0.01)


def test_what_nobody_answers_while_the_store_is_struck_is_laid_at_that() -> None:
    """And not at replicas that have just got their slots; nor is what fails later."""
    for at, is_so in ((STRUCK_AT + MS, True), (STRUCK_AT + 60 * S, False)):
        unanswered = op(Kind.ADD, at, at + MS, "u.1.1", outcome=Outcome.UNKNOWN, result="503")
        finding = Finding(
            promise=TRIES, anomaly=str(Anomaly.NOT_ANSWERED), user="u", at=at + MS, why="", witness=(unanswered,)
        )
        likely = blame([finding], strike_of())[1]
        assert (likely == "store-a was struck (SIGKILL), and what needs it was not answered meanwhile") is is_so


def test_what_was_done_after_a_strike_is_not_laid_at_it() -> None:
    """By whoever lost it later; an own store is called by its own name."""
    for at, is_so in ((STRUCK_AT - S, True), (STRUCK_AT + 5 * S, False)):
        act = op(Kind.ACT, at, at + MS, replica="a1-1", release="v1")
        gone = op(Kind.STATE, STRUCK_AT + 8 * S, STRUCK_AT + 8 * S, replica="b1-1", release="v1")
        lost = Finding(
            promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=gone.end, why="", witness=(act, gone)
        )
        likely = blame([lost], strike_of())[1]
        assert (likely == "store-a came back without what it had acknowledged: it was struck (SIGKILL)") is is_so


def test_the_blame_names_the_stores_strike() -> None:
    """A failover where there are several stores, a store that came back without its state where there is one."""
    findings = check(history(2, loses=1.0)).findings
    caused, likely = blame(findings, strike_of())
    assert likely == "acknowledged writes were lost by failover: store-a was struck (SIGKILL)"
    assert all("store-a was struck (SIGKILL)" in one.cause for one in caused)
    assert isinstance(store_strikes(strike_of())[0], StoreStrike)
