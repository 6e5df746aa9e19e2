"""Writes that were in a replica when it was killed: told and counted, and broken only where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle import Oracle, Service, ServiceRules
from lab.oracle.promises import TRIES
from lab.oracle.telling import not_checked
from lab.oracle.verdict import gather, judge
from lab.record import Strike, StrikeProved, StrikeUndone


def operation(number: int, kind: Kind, one: Try, **more: Any) -> Operation:
    told = {"id": number, "user": "u", "device": "u.1", "begin": one.begin, "end": one.end, "outcome": Outcome.UNKNOWN}
    return Operation(**{**told, "kind": kind, "tries": (one,), **more})


def write(number: int, begin: float, end: float, *, result: str = "cut", edge: tuple[str, ...] = ()) -> Operation:
    one = Try(begin=int(begin * NS), end=int(end * NS), result=result, edge=edge)
    return operation(number, Kind.ACT, one, is_repeatable=False)


def state(number: int, answer: Any, *allowed: Any) -> Operation:
    one = Try(begin=90 * NS, end=91 * NS, result="200")
    return operation(number, Kind.STATE, one, answer=answer, allowed=allowed, outcome=Outcome.OK, is_conclusion=True)


def kill(at: float, slot: str = "a1", **more: Any) -> Strike:
    told = {"strike": 1, "fault": "SIGKILL", "victim": f"{slot}-1", "container": "c", "zone": "a", "release": "v1"}
    return Strike(
        **{"at": int(at * NS), "slot": slot, "serving": 3, "role": "app", "fault_kind": "kill", **told, **more}
    )


def judged(*operations: Operation, events: tuple[Any, ...], through: bool = False) -> Service:
    service = Service(ServiceRules(tries=3, tries_through_kills=through))
    for one in operations:
        service.feed(one)
    for event in events:
        service.event(event)
    return service


def test_a_write_in_a_killed_replica_is_in_doubt() -> None:
    """Told and counted with what became of it, and no promise is broken."""
    told = (write(1, 9, 10), state(2, [1], [], [1]), write(3, 9.5, 10.1, edge=("a1",)), state(4, [1], [1], [1, 2]))
    report = judged(*told, events=(kill(10), StrikeProved(at=11 * NS, strike=1, hit=True))).report()
    assert report.broken[TRIES] == 0
    assert report.findings == ()
    assert report.killed_writes.text == "2 writes were in a killed replica; 1 had happened"
    judgement = judge(gather(Oracle(), report), asked=(TRIES,))
    assert judgement.promises[0].note.endswith("2 writes were in a killed replica; 1 had happened")
    assert any("tries_through_kills" in line for line in not_checked(judgement, report))


@pytest.mark.parametrize("kind", ["freeze", "cut"])
def test_a_write_in_a_replica_that_could_not_answer_is_in_doubt(kind: str) -> None:
    """As long as it could not."""
    undone = StrikeUndone(at=14 * NS, strike=1, fault=kind, victim="a1-1")
    report = judged(write(1, 9, 13), write(2, 14.5, 15), events=(kill(10, fault_kind=kind), undone)).report()
    assert report.broken[TRIES] == 1
    assert report.killed_writes.text.startswith("1 write was in a replica that was struck; 0 had happened")


@pytest.mark.parametrize(
    ("one", "event"),
    [
        (write(1, 9, 9.5), kill(10)),  # before
        (write(1, 11.5, 12), kill(10)),  # after it had surely gone
        (write(1, 9, 11, edge=("b1",)), kill(10)),  # elsewhere
        (write(1, 9, 11), kill(10, signal="SIGTERM")),  # it had time to answer
        (write(1, 9, 11), kill(10, fault_kind="slow")),
        (write(1, 9, 11), kill(10, role="store")),
    ],
)
def test_what_no_kill_explains_breaks_the_promise(one: Operation, event: Strike) -> None:
    """As any action that is not answered."""
    report = judged(one, events=(event, StrikeProved(at=int(10.5 * NS), strike=1, hit=True))).report()
    assert report.broken[TRIES] == 1
    assert report.killed_writes.writes == 0
    assert "not answered" in report.findings[0].why


def test_a_login_that_was_in_a_killed_replica_is_in_doubt_as_well() -> None:
    """Its requests are writes too; whether it happened no state says."""
    one = write(1, 9, 13, result="504").final
    login = operation(1, Kind.BROWSE, one, is_repeatable=False)
    report = judged(login, state(2, [1], [1]), events=(kill(10),)).report()
    assert report.broken[TRIES] == 0
    assert report.killed_writes.text == "1 write was in a killed replica; 0 had happened, of 1 nobody knows"


def test_who_asks_for_an_answer_through_kills_gets_it_judged() -> None:
    """And what may be repeated is asked for one anyhow."""
    assert judged(write(1, 9, 11), events=(kill(10),), through=True).report().broken[TRIES] == 1
    one = write(1, 9, 11)
    again = operation(1, Kind.ACT, one.final, tries=(one.final,) * 3)
    assert judged(again, events=(kill(10),)).report().broken[TRIES] == 1
