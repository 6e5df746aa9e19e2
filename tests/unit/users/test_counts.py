"""The live counts add up."""

from __future__ import annotations

from lab.clock import FakeClock
from lab.model import Kind, Operation, Outcome, Try
from lab.users.counts import CrowdCounts, CrowdTally


def operation(
    outcome: Outcome, *results: str, release: str = "v1", edge: tuple[str, ...] = ("a1",), end: int = 2
) -> Operation:
    tries = tuple(
        Try(begin=1, end=2, result=result, release=release if result.isdigit() else None, edge=edge)
        for result in results
    )
    return Operation(id=0, user="u", device="u.1", kind=Kind.CART, begin=1, end=end, outcome=outcome, tries=tries)


def tallied(*operations: Operation) -> CrowdCounts:
    tally = CrowdTally(clock=FakeClock())
    for one in operations:
        tally.ended(one)
    return tally.counts(users=2, devices=3, logged_in=1, in_flight=0)


def test_good_first_tries() -> None:
    """What works at once counts as neither saved nor lost."""
    counts = tallied(operation(Outcome.OK, "200"), operation(Outcome.OK, "200", release="v2"))
    assert (counts.users, counts.devices, counts.logged_in) == (2, 3, 1)
    assert (counts.operations, counts.tries) == (2, 2)
    assert (counts.first_tries_failed, counts.saved_by_retry, counts.lost) == (0, 0, 0)
    assert counts.by_release == counts.by_release_last_second == {"v1": 1, "v2": 1}


def test_saved_and_lost() -> None:
    """A retry that works saved the operation; without any good answer it is lost; a 401 is an answer."""
    counts = tallied(
        operation(Outcome.OK, "cut", "200"),
        operation(Outcome.UNKNOWN, "cut", "503", "timeout"),
        operation(Outcome.REFUSED, "unsent", "unsent", "unsent"),
        operation(Outcome.REFUSED, "401"),
        operation(Outcome.UNKNOWN, "garbled"),
    )
    assert (counts.operations, counts.tries) == (5, 10)
    assert (counts.first_tries_failed, counts.saved_by_retry, counts.lost) == (3, 1, 3)
    assert counts.by_release == {"v1": 3}


def test_repeats_at_the_edge() -> None:
    """A try that the balancer sent to two replicas is counted once."""
    counts = tallied(operation(Outcome.OK, "200", edge=("a1", "b1")), operation(Outcome.OK, "200", edge=()))
    assert counts.repeated_at_edge == 1


def test_the_last_second_passes() -> None:
    """Answers leave the last second's count as time goes on, and stay in the whole."""
    clock = FakeClock()
    tally = CrowdTally(clock=clock)
    for release in ("v1", "v1", "v2"):
        tally.ended(operation(Outcome.OK, "200", release=release, end=clock.now()))
        clock.sleep(0.5)
    counts = tally.counts(users=1, devices=1, logged_in=0, in_flight=0)
    assert counts.by_release == {"v1": 2, "v2": 1}
    assert counts.by_release_last_second == {"v2": 1}
    clock.sleep(5)
    assert tally.counts(users=1, devices=1, logged_in=0, in_flight=0).by_release_last_second == {}


def test_the_worst_lag_stays() -> None:
    """The driver's worst lag is kept, not its last."""
    tally = CrowdTally(clock=FakeClock())
    for seconds in (0.1, 0.7, 0.2):
        tally.late(seconds)
    counts = tally.counts(users=1, devices=1, logged_in=0, in_flight=0)
    assert counts.worst_lag == 0.7
    assert not counts.late


def test_a_driver_that_was_late_says_so() -> None:
    """What it measured then is its own slowness: the run says so, and can tell nothing."""
    tally = CrowdTally(clock=FakeClock())
    tally.late(1.3)
    assert (
        tally.counts(users=1, devices=1, logged_in=0, in_flight=0).late == "the users' driver was 1.3 s behind itself"
    )
