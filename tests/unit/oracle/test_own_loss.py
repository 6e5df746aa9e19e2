"""What somebody's own store lost: measured from the states that its users read, and held to a bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle.loss import LossJudgement, StoreStrike
from lab.oracle.oracle import Oracle
from lab.oracle.own_loss import judge_own_loss

STRIKE = StoreStrike(victim="redis", fault="SIGKILL", at=10 * NS, until=11 * NS)


def operation(kind: Kind, begin: float, end: float, answer: Any = None, allowed: Any = None) -> Operation:
    since, until = int(begin * NS), int(end * NS)
    return Operation(
        id=since,
        kind=kind,
        user="u1",
        device="u1",
        session="s",
        begin=since,
        end=until,
        tries=(Try(begin=since, end=until, result="200", replica="a1-1"),),
        outcome=Outcome.OK,
        answer=answer,
        allowed=allowed,
    )


def act(begin: float) -> Operation:
    return operation(Kind.ACT, begin, begin + 0.1)


def state(begin: float, *items: int, wanted: Sequence[int] | None = None) -> Operation:
    expected = list(items if wanted is None else wanted)
    return operation(Kind.STATE, begin, begin + 0.1, answer={"items": list(items)}, allowed=({"items": expected},))


def judged(*history: Operation, bound: float) -> LossJudgement:
    oracle = Oracle()
    for one in history:
        oracle.feed(one)
    oracle.finish()
    return judge_own_loss(oracle, lambda: history, [STRIKE], bound)


HISTORY = (
    operation(Kind.LOGIN, 0, 0.1),
    act(1),
    state(2, 1),
    act(8),
    state(9, 1, 2),
    act(9.4),
    state(9.7, 1, 2, 3),
)


def test_a_store_that_kept_all_lost_nothing() -> None:
    """All writes before the strike were followed."""
    seen = judged(*HISTORY, state(12, 1, 2, 3), bound=0)
    assert seen.loss.losses == 0
    assert seen.checks["loss_bound"] == 3
    assert not seen.findings


def test_the_oldest_that_was_lost_is_how_far_it_went_back() -> None:
    """It equals the state at 9 s: what was acknowledged at 9.5 s is gone, half a second before the strike."""
    history = (*HISTORY, state(12, 1, 2, wanted=(1, 2, 3)))
    within = judged(*history, bound=1)
    assert within.loss.oldest == 0.5
    assert not within.findings, "a second was allowed"
    assert within.hurt == 0
    beyond = judged(*history, bound=0.2)
    assert [one.promise for one in beyond.findings] == ["state_kept", "loss_bound"]
    assert "redis was struck (SIGKILL); the store lost: 1 losses of 1 users" in beyond.findings[-1].why


def test_a_store_that_shows_nothing_went_back_to_the_beginning() -> None:
    """Though nobody read it then: the first that was acknowledged is the oldest that was lost."""
    seen = judged(*HISTORY, state(12, wanted=(1, 2, 3)), bound=1)
    assert seen.loss.oldest == 8.9
    assert "the oldest acknowledged 8.90 s before it was struck; 1 s are stated" in seen.findings[-1].why


def test_what_was_added_since_says_nothing_of_what_was_lost() -> None:
    """The store went back to the state at 9 s, and took a new one."""
    seen = judged(*HISTORY, act(11.5), state(12, 1, 2, 4, wanted=(1, 2, 3, 4)), bound=1)
    assert seen.loss.oldest == 0.5
    assert not seen.findings


def test_what_no_state_before_it_explains_is_beyond_any_bound() -> None:
    """A store that shows what never was has not only forgotten."""
    seen = judged(*HISTORY, state(12, 2, wanted=(1, 2, 3)), bound=100)
    assert seen.loss.oldest is None
    assert [one.promise for one in seen.findings] == ["state_kept", "loss_bound"]


KEPT = state(11.5, 1, 2, 3)
"""After the strike, and all is there."""


@pytest.mark.parametrize(
    ("later", "lost"),
    [
        ((act(11.5), state(13, 1, 2, 3, wanted=(1, 2, 3, 4))), 0),
        ((act(11.5), act(12), state(13, 1, 2, 3, 4, wanted=(1, 2, 3, 4, 5))), 0),
        ((KEPT, state(13, 1, 2, wanted=(1, 2, 3))), 0),
        ((act(9.9), state(13, 1, 2, 3, wanted=(1, 2, 3, 4))), 1),
        ((act(10.5), act(11.5), state(13, 1, 2, 3, 5, wanted=(1, 2, 3, 4, 5))), 1),
        ((replace(KEPT, tries=(Try(0, 1, "200", replica="b1-1"),)), state(13, 1, 2, wanted=(1, 2, 3))), 1),
    ],
)
def test_no_strike_explains_what_was_done_or_read_after_it(later: Sequence[Operation], lost: int) -> None:
    """A bound excuses what the strike itself may have cost; not what the app loses by itself later. Another replica may
    have shown it from a cache."""
    seen = judged(*HISTORY, *later, bound=100)
    assert seen.loss.losses == lost
    assert [one.promise for one in seen.findings] == ([] if lost else ["state_kept"])


@pytest.mark.parametrize(("login", "is_excused"), [(9, True), (12, False)])
def test_a_session_that_was_made_after_the_strike_is_not_lost_by_it(login: float, *, is_excused: bool) -> None:
    """However long it may be."""
    made = replace(operation(Kind.LOGIN, login, login + 0.1), session="later")
    gone = operation(Kind.READ, 14, 14.1)
    gone = replace(gone, session="later", turned_away=True, outcome=Outcome.REFUSED)
    seen = judged(*HISTORY, made, gone, bound=100)
    assert [one.promise for one in seen.findings] == ([] if is_excused else ["logged_in"])


def test_what_was_lost_before_the_strike_is_no_loss_of_it() -> None:
    """It stays what it is."""
    seen = judged(*HISTORY[:-1], state(9.7, 1, wanted=(1, 2, 3)), bound=100)
    assert seen.loss.losses == 0
    assert [one.promise for one in seen.findings] == ["state_kept"]
