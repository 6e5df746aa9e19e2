"""Whether rollouts end in time with no slot moved twice: judged where a scenario asks."""

from __future__ import annotations

import pytest

from lab.clock import NS
from lab.model import Kind
from lab.oracle.promises import ROLLOUTS_END
from lab.oracle.rollouts import judge_rollouts
from lab.oracle.service import Service, ServiceRules
from lab.record import AnyEvent, ContainerEvent, RolloutMoved, Step, Strike
from tests.unit.oracle.making import op


def moves(slot: str, when: float, replica: str, *, old: str = "", why: str = "upgrade") -> list[AnyEvent]:
    """What a deployer says of one slot."""
    said = [("create", replica, "v2"), ("start", replica, "v2"), ("enter", replica, "v2"), ("drain", old, "v1")]
    return [
        Step(at=round((when + 0.1 * number) * NS), action=action, slot=slot, replica=who, release=release, why=why)
        for number, (action, who, release) in enumerate(said)
    ]


def ended(when: float, ending: str = "done") -> RolloutMoved:
    return RolloutMoved(at=round(when * NS), rollout="r", to="v2", before="v1", phase="ended", ending=ending)


def judged(*events: AnyEvent, within: float = 10, until: float = 60) -> tuple[int, list[str]]:
    checks, found = judge_rollouts(events, within, until=round(until * NS))
    return checks, [one.anomaly for one in found]


BOTH = (*moves("a1", 1, "a1-3"), *moves("b1", 2, "b1-4"))


def test_a_rollout_that_ends_in_time_is_right() -> None:
    """Each slot that was moved counts once."""
    assert judged(*BOTH, ended(5)) == (2, [])


def test_one_that_ends_too_late_or_never_is_not() -> None:
    """From its first step on."""
    assert judged(*BOTH, ended(11.5)) == (2, ["rollout not ended"])
    assert judged(*BOTH) == (2, ["rollout not ended"])


def test_one_that_had_no_time_to_end_is_not_judged() -> None:
    """The run may have been interrupted; with nothing checked nothing is told."""
    assert judged(*BOTH, until=9) == (0, [])


def test_a_slot_that_gets_two_new_replicas_was_moved_twice() -> None:
    """Told once, however often it goes on."""
    again = moves("a1", 3, "a1-5"), moves("a1", 4, "a1-6")
    assert judged(*BOTH, *again[0], *again[1], ended(6)) == (4, ["slot moved twice"])


def test_a_replica_may_be_told_twice_to_take_its_slot_or_to_leave() -> None:
    """Whoever comes next repeats what may be repeated."""
    assert judged(*BOTH, *moves("b1", 3, "b1-4", old="b1-2")[2:], ended(6)) == (2, [])


def test_a_slot_may_be_moved_again_in_the_next_rollout() -> None:
    """Each is judged by itself."""
    next_one = (*moves("a1", 11, "a1-7"), ended(13))
    assert judged(*BOTH, ended(5), *next_one) == (3, [])


@pytest.mark.parametrize("slot", ["a1", "b1"])
def test_a_struck_slot_is_excused_and_no_other(slot: str) -> None:
    """Its replica was taken away; that another slot's was is no reason."""
    struck = Strike(
        at=2 * NS, strike=1, fault="kill", victim="", container="", slot=slot, zone="a", release="v2", serving=2
    )
    events = (*BOTH, struck, *moves("a1", 3, "a1-5"), ended(6))
    assert judged(*events)[1] == ([] if slot == "a1" else ["slot moved twice"])


def test_a_new_replica_that_dies_by_itself_is_replaced_and_excused() -> None:
    """One that ends as it was told to, with 0, is not."""
    for code, found in ((137, []), (0, ["slot moved twice"])):
        died = ContainerEvent(
            at=2 * NS, action="die", container="c", name="a1-3", role="app", slot="a1", exit_code=code
        )
        assert judged(*BOTH, died, *moves("a1", 3, "a1-5"), ended(6))[1] == found


def test_replacements_are_no_moves() -> None:
    """A replica that died is made again, whoever upgrades what."""
    assert judged(*BOTH, *moves("a1", 3, "a1-5", why="replacement"), ended(6)) == (2, [])


@pytest.mark.parametrize(("within", "checks", "broken"), [(0.0, 0, 0), (3.0, 2, 1), (10.0, 2, 0)])
def test_it_is_judged_where_a_scenario_asks(within: float, checks: int, broken: int) -> None:
    """And only there."""
    service = Service(ServiceRules(rollout_within=within))
    service.feed(op(Kind.BROWSE, 0, 30 * NS))
    for event in (*BOTH, ended(5)):
        service.event(event)
    report = service.report()
    assert (report.checks[ROLLOUTS_END], report.broken[ROLLOUTS_END]) == (checks, broken)
