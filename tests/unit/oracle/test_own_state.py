"""The state of somebody's own app: what is compared, what is not, and how a difference is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lab.model import Kind, Operation, Outcome, Try
from lab.oracle import Service, ServiceRules, check
from lab.oracle.promises import APPLIED_ONCE, OWN_DATA, STATE_KEPT, TRIES
from lab.oracle.verdict import gather, judge


def operation(number: int, kind: Kind, *, by: str | None = None, result: str = "200", **more: Any) -> Operation:
    one = Try(begin=number * 10, end=number * 10 + 5, result=result, replica=by)
    told = {"outcome": Outcome.OK, "tries": (one,), **more}
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


def write(number: int, by: str = "a1-1", **more: Any) -> Operation:
    return operation(number, Kind.ACT, by=by, **more)


def state(number: int, answer: Any, *allowed: Any, by: str = "b1-2", **more: Any) -> Operation:
    return operation(number, Kind.STATE, answer=answer, allowed=allowed, by=by, **more)


@pytest.mark.parametrize(
    ("answer", "allowed", "anomaly"),
    [
        ({"cart": ["a"]}, {"cart": ["a", "b"]}, "lost write"),
        ({}, {"cart": []}, "lost write"),
        ({"points": 3}, {"points": 2}, "contradiction"),
        ({"cart": ["a", "a"]}, {"cart": ["a", "b"]}, "lost write"),
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


def test_what_is_there_twice_was_applied_twice() -> None:
    """Where members are unique; where the model has one twice as well, it is only another state."""
    found = check([write(1), state(2, {"orders": ["a", "b", "a"]}, {"orders": ["a", "b"]})]).findings
    assert [(one.promise, one.anomaly) for one in found] == [(APPLIED_ONCE, "applied twice")]
    assert "'a' was acknowledged once" in found[0].why
    found = check([write(1), state(2, ["a", "a", "a"], ["a", "a"])]).findings
    assert [one.promise for one in found] == [STATE_KEPT]


@pytest.mark.parametrize(
    ("answer", "allowed", "leaks"),
    [
        ({"notes": ["user-018.1"]}, {"notes": ["user-010.1"]}, True),
        ({"notes": ["user-010.1", "user-018.1.2"]}, {"notes": ["user-010.1"]}, True),
        ({"notes": []}, {"notes": ["user-010.1"]}, False),
        ({"notes": ["user-010.2"]}, {"notes": ["user-010.1"]}, False),
        ({"notes": ["user-018.1"]}, {"notes": ["user-010.1", "user-018.1"]}, False),
        ({"by": "user-018"}, {"by": "nobody"}, False),
    ],
)
def test_what_is_another_user_s_is_called_so(answer: Any, allowed: Any, *, leaks: bool) -> None:
    """By the mark of whoever made it; not where the model knows of it, nor where a state only names somebody."""
    made, read = (msgspec.structs.replace(one, user="user-010") for one in (write(1), state(2, answer, allowed)))
    [found] = check([made, read]).findings
    assert (found.promise == OWN_DATA) is leaks
    assert ("belongs to user-018, and is shown to user-010" in found.why) is leaks


def test_either_outcome_fits_and_is_counted() -> None:
    """In doubt there are two; where no state is known there is nothing to compare."""
    told = [write(0), state(1, [1], [], [1]), write(2), state(3, [], [], [1]), write(4)]
    judged = check([*told, operation(5, Kind.STATE, answer=[7])])
    assert judged.findings == []
    assert judged.counts[STATE_KEPT] == 2


def test_members_that_are_there_once_are_counted_with_what_was_read_back() -> None:
    """So that `applied_once` is asked where it means something."""
    judged = check([write(0), state(1, [1], [1], argument=1), write(2), state(3, [1, 2, 3], [1, 2, 3], argument=3)])
    assert judged.counts[APPLIED_ONCE] == 3


def test_a_change_counts_once_another_replica_has_shown_it() -> None:
    """The one that took it knows it anyhow, and may be the only one that does."""
    same = [write(0), state(1, [1], [1], by="a1-1"), write(2), state(3, [1, 2], [1, 2], by="a1-1")]
    judged = check(same)
    assert judged.counts[STATE_KEPT] == 0
    assert judged.why_nothing == ""  # no action was told to have ended
    later = state(4, [1, 2], [1, 2], could_not_fail="the state never changed")
    assert check([*same, later]).counts[STATE_KEPT] == 1
    assert check([*same, later, later]).counts[STATE_KEPT] == 1


WHOLE = {"ended_early": ""}
UNCHANGED = {"could_not_fail": "the state never changed", **WHOLE}
ASKS_NOTHING = {"could_not_fail": "state() asks the app nothing", **WHOLE}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], ""),
        ([state(1, [], [], **UNCHANGED)], "no write was accepted"),
        ([write(0, result="409"), state(1, [], [], **UNCHANGED)], "no write was accepted"),
        ([write(0), state(1, [], [], **UNCHANGED)], "the state never changed"),
        ([write(0), state(1, [1], [1], **ASKS_NOTHING)], "state() asks the app nothing"),
        (
            [write(0), state(1, [1], [1], by="a1-1", **WHOLE)],
            "no change was read back through another replica than the one that took it",
        ),
        (
            [state(1, [], [], could_not_fail="the state never changed", ended_early="no field 'csrf' in GET /form")],
            "act ended early in 100 % of its calls: no field 'csrf' in GET /form",
        ),
        ([write(0), state(1, [1], [1], **WHOLE)], ""),
    ],
)
def test_what_proved_nothing_says_why(told: list[Operation], why: str) -> None:
    """Comparisons that could not have failed are not counted, and the verdict begins with the reason."""
    judged = check(told)
    assert judged.why_nothing == why
    assert bool(judged.counts[STATE_KEPT]) == (bool(told) and not why)
    ended = judge(gather(judged, Service().report()), asked=(STATE_KEPT,))
    if why:
        assert (ended.exit_code, ended.reasons[0]) == (5, why)


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
