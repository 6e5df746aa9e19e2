"""The state of somebody's own app: what is compared, what is not, and how a difference is told."""

from __future__ import annotations

from typing import Any

import pytest

from lab.model import Kind, Operation, Outcome, Try
from lab.oracle import Service, ServiceRules, check
from lab.oracle.promises import STATE_KEPT, TRIES


def operation(number: int, kind: Kind, **more: Any) -> Operation:
    told = {"outcome": Outcome.OK, "tries": (Try(begin=number * 10, end=number * 10 + 5, result="200"),), **more}
    return Operation(
        id=number,
        user="u",
        device="u.1",
        kind=kind,
        begin=number * 10,
        end=number * 10 + 5,
        is_conclusion=False,
        **told,
    )


def state(number: int, answer: Any, *allowed: Any) -> Operation:
    return operation(number, Kind.STATE, answer=answer, allowed=allowed)


@pytest.mark.parametrize(
    ("answer", "allowed", "anomaly"),
    [
        ({"cart": ["a"]}, {"cart": ["a", "b"]}, "lost write"),
        ({}, {"cart": []}, "lost write"),
        ({"cart": ["a", "a"]}, {"cart": ["a"]}, "contradiction"),
        ({"name": "other"}, {"name": "mine"}, "contradiction"),
        (None, {"name": "mine"}, "lost write"),
    ],
)
def test_a_difference_is_found_and_named(answer: Any, allowed: Any, anomaly: str) -> None:
    """What is not there at all is lost; all else contradicts."""
    found = check([operation(1, Kind.ACT), state(2, answer, allowed)]).findings
    assert [(one.promise, one.anomaly) for one in found] == [(STATE_KEPT, anomaly)]
    assert [one.kind for one in found[0].witness] == [Kind.ACT, Kind.STATE]


def test_the_first_difference_is_told_and_no_other() -> None:
    """What follows a loss is its aftermath."""
    assert len(check([state(1, [], ["a"]), state(2, [], ["b"])]).findings) == 1


def test_either_outcome_fits_and_is_counted() -> None:
    """In doubt there are two; where no state is known there is nothing to compare."""
    judged = check([state(1, [1], [], [1]), state(2, [], [], [1]), operation(3, Kind.STATE, answer=[7])])
    assert judged.findings == []
    assert judged.counts[STATE_KEPT] == 2


def test_a_conclusion_is_no_action_of_its_own() -> None:
    """Only requests are counted as served."""
    service = Service(ServiceRules(tries=3))
    service.feed(operation(1, Kind.ACT))
    concluded = operation(2, Kind.STATE)
    service.feed(
        Operation(**{name: getattr(concluded, name) for name in concluded.__struct_fields__} | {"is_conclusion": True})
    )
    assert service.report().checks[TRIES] == 1


def test_what_may_not_be_repeated_and_failed_is_not_answered() -> None:
    """The user did not stop early: there was nothing more to do, so it counts against the app."""
    cut = (Try(begin=10, end=15, result="cut"),)
    service = Service(ServiceRules(tries=3))
    service.feed(operation(1, Kind.ACT, outcome=Outcome.UNKNOWN, tries=cut, is_repeatable=False))
    assert service.first_tries.dropped == 0
    assert service.report().broken[TRIES] == 1
