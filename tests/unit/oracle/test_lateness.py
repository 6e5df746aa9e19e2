"""What comes late on a machine that is too busy is neither the app's fault nor proof of anything."""

from __future__ import annotations

import pytest

from lab.clock import NS, FakeClock
from lab.errors import ExitCode
from lab.model import Finding, Kind, Outcome, Try
from lab.oracle.lateness import may_be_the_machines
from lab.oracle.oracle import Oracle
from lab.oracle.promises import CLEAN_STOPS, SERVING_FLOOR, STATE_KEPT, TRIES, Anomaly
from lab.oracle.service import Service, ServiceRules
from lab.oracle.verdict import gather, judge
from lab.record import ContainerEvent, MachineBusy
from lab.run.machine_load import PER_CORE, MachineLoad
from tests.unit.oracle.making import op

BUSY = MachineBusy(at=100 * NS, load=18.0, cores=2)


def finding(promise: str, anomaly: Anomaly, *results: str, at: int = 100) -> Finding:
    tries = tuple(Try(at * NS, at * NS, one) for one in results)
    witness = (op(Kind.CART, at * NS, at * NS, outcome=Outcome.UNKNOWN, tries=tries),) if tries else ()
    return Finding(promise=promise, anomaly=str(anomaly), user="u", at=at * NS, why="w", witness=witness)


@pytest.mark.parametrize(
    ("found", "may_be"),
    [
        (finding(CLEAN_STOPS, Anomaly.CUT_BY_STOP, "502"), True),
        (finding(TRIES, Anomaly.NOT_ANSWERED, "timeout", "502", "503"), True),
        (finding(TRIES, Anomaly.NOT_ANSWERED, "timeout", "500", "503"), False),  # it had the time to say 500
        (finding(TRIES, Anomaly.NOT_ANSWERED, "garbled"), False),
        (finding(TRIES, Anomaly.REFUSED, "429"), False),
        (finding(SERVING_FLOOR, Anomaly.BELOW_FLOOR), True),
        (finding(STATE_KEPT, Anomaly.LOST_WRITE, "200"), False),
        (finding(CLEAN_STOPS, Anomaly.KILLED_AT_STOP), True),
        (finding(CLEAN_STOPS, Anomaly.IGNORED_SIGNAL), False),
        (finding(CLEAN_STOPS, Anomaly.CUT_BY_STOP, "502", at=200), False),  # long after
        (finding(CLEAN_STOPS, Anomaly.CUT_BY_STOP, "502", at=60), False),  # long before
    ],
)
def test_what_a_busy_machine_may_have_made(found: Finding, *, may_be: bool) -> None:
    """Only what judges time, and only around the moment; nobody is late with a wrong answer."""
    assert may_be_the_machines(found, [BUSY]) is may_be
    assert not may_be_the_machines(found, [])


@pytest.mark.parametrize(
    ("ended", "may_be"),
    [
        (("die", "a1", 100, 3), False),
        (("die", "b1", 100, 3), True),  # another one
        (("die", "a1", 90, 3), True),  # long ago
    ],
)
def test_whoever_ended_by_itself_was_not_late(ended: tuple[str, str, int, int], *, may_be: bool) -> None:
    """A balancer that is left without an answer is, on any machine."""
    action, slot, at, code = ended
    crash = ContainerEvent(at=at * NS, action=action, container="c", name="x", role="app", slot=slot, exit_code=code)
    tries = (Try(100 * NS, 100 * NS, "502", edge=("a1",)),)
    act = op(Kind.CART, 100 * NS, 100 * NS, outcome=Outcome.UNKNOWN, tries=tries)
    cut = Finding(promise=TRIES, anomaly=Anomaly.NOT_ANSWERED, user="u", at=100 * NS, why="w", witness=(act,))
    assert may_be_the_machines(cut, [BUSY], [crash]) is may_be


def test_what_is_doubtful_is_neither_red_nor_green() -> None:
    """Exit 4 with the load; exit 1 as soon as anything else was broken, and where the machine was free."""
    late = Try(99 * NS, 101 * NS, "502")
    service = Service(ServiceRules())
    service.feed(op(Kind.CART, 99 * NS, 101 * NS, outcome=Outcome.UNKNOWN, tries=(late, late, late)))
    oracle = Oracle()
    oracle.feed(op(Kind.CART, 99 * NS, 101 * NS, answer={}))
    oracle.finish()
    asked = (TRIES,)
    free = judge(gather(oracle, service.report()), asked=asked)
    assert free.exit_code is ExitCode.BROKEN
    busy = judge(gather(oracle, service.report(), busy=[BUSY]), asked=asked)
    assert busy.exit_code is ExitCode.COULD_NOT_TELL
    assert any("load average 18.0 on 2 cores" in reason and "tries" in reason for reason in busy.reasons)
    assert busy.promises[0].note.startswith("the machine was too busy")
    assert not busy.findings


def test_the_machine_is_looked_at_every_few_seconds() -> None:
    """And told of where its load is more than anybody can be on time with."""
    clock, loads = FakeClock(), [0.0]
    watch = MachineLoad(clock, lambda: loads[0])
    assert watch.busy() is None
    loads[0] = 10_000.0
    assert watch.busy() is None, "not yet"
    clock.sleep(6)
    seen = watch.busy()
    assert seen is not None
    assert seen.load / seen.cores > PER_CORE
    clock.sleep(6)
    assert watch.busy() is None, "told already"
    clock.sleep(20)
    assert watch.busy() is not None
