"""A store that takes no writes is told from replicas that are cut, killed, slow or spoilt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.promises import STATE_KEPT, TRIES, Anomaly
from lab.oracle.writes_alone import CAUSE, writes_alone
from tests.unit.oracle.making import op

MANY = 60
SERVING = [("a1-1", "v1"), ("b1-2", "v1"), ("a1-3", "v2"), ("b1-4", "v2")]


def asked(number: int, kind: Kind, *, fails: bool = False, result: str = "503", told: bool = True) -> Operation:
    replica, release = SERVING[number % len(SERVING)]
    return op(
        kind,
        number * NS,
        number * NS + 1000,
        f"k{number}",
        outcome=Outcome.UNKNOWN if fails else Outcome.OK,
        result=result if fails else "200",
        replica=replica if told else None,
        release=release if told else None,
        argument="POST /cart" if kind is Kind.ACT else None,
    )


def found(history: list[Operation], promise: str = TRIES) -> list[Finding]:
    failed = [one for one in history if one.outcome is Outcome.UNKNOWN]
    return [
        Finding(promise=promise, anomaly=Anomaly.NOT_ANSWERED, user="u", at=one.end, why="", witness=(one,))
        for one in (failed[0], failed[-1])
    ]


def run_of(write: Kind = Kind.ADD, read: Kind = Kind.CART, **failing: object) -> Iterator[Operation]:
    """Each write fails, each read is answered."""
    for number in range(MANY):
        yield asked(number, write, fails=True, **failing)  # type: ignore[arg-type]
        yield asked(number, read)


@pytest.mark.parametrize(("write", "read"), [(Kind.ADD, Kind.CART), (Kind.LOGIN, Kind.BROWSE), (Kind.ACT, Kind.READ)])
def test_writes_that_fail_everywhere_while_reads_are_answered_are_the_stores(write: Kind, read: Kind) -> None:
    """Of the shop and of somebody's own app."""
    history = list(run_of(write, read))
    assert writes_alone(found(history), history) == CAUSE


def test_what_went_well_before_and_after_says_nothing() -> None:
    """A store is full from some moment on, until there is room again."""
    failing = list(run_of())
    before = [asked(-number, Kind.ADD) for number in range(1, 1000)]
    after = [asked(MANY + number, Kind.ADD) for number in range(1, 1000)]
    assert writes_alone(found(failing), [*before, *failing, *after]) == CAUSE


def test_reads_that_fail_too_are_not_the_stores_alone() -> None:
    history = [*run_of(), *(asked(number, Kind.CART, fails=True) for number in range(MANY // 4))]
    assert not writes_alone(found(history), history)


def test_writes_that_are_cut_off_are_not_refused() -> None:
    """A balancer repeats reads and no writes: it is they alone that a stop costs."""
    history = list(run_of(result="502", told=False))
    assert not writes_alone(found(history), history)


def test_one_release_that_refuses_them_is_its_own_cause() -> None:
    history = [
        asked(number, kind, fails=kind is Kind.ADD and SERVING[number % len(SERVING)][1] == "v2")
        for number in range(2 * MANY)
        for kind in (Kind.ADD, Kind.CART)
    ]
    assert not writes_alone(found(history), history)


def test_a_few_say_nothing() -> None:
    history = list(run_of())[:30]
    assert not writes_alone(found(history), history)


def test_findings_of_another_kind_need_another_cause() -> None:
    history = list(run_of())
    assert not writes_alone(found(history, STATE_KEPT), history)
