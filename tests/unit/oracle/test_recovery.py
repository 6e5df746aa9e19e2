"""Recovery after strikes, availability and latency: told always, judged where a scenario asks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Kind, Operation, Outcome, Try
from lab.oracle.promises import ANSWERS_IN_TIME, AVAILABLE, RECOVERS
from lab.oracle.recovery import Recovery, find_recoveries, judge_recoveries
from lab.oracle.service import Service, ServiceReport, ServiceRules
from lab.record import AnyEvent, ContainerEvent, Serving, Step, Strike, StrikeProved
from tests.unit.oracle.making import op


def at(seconds: float) -> int:
    return round(seconds * NS)


def strike(when: float, number: int = 1, slot: str = "a1", *, hit: bool = True) -> list[AnyEvent]:
    struck = Strike(
        at=at(when),
        strike=number,
        fault="SIGKILL",
        victim=f"{slot}-1" if slot else "balancer",
        container="c",
        slot=slot,
        zone="a",
        release="v1",
        serving=6,
    )
    return [struck, StrikeProved(at=at(when) + 1, strike=number, hit=hit)]


def serving(when: float, total: int) -> Serving:
    return Serving(at=at(when), by_release={"v1": total}, total=total)


def entered(when: float, replica: str = "a1-2", slot: str = "a1") -> Step:
    return Step(at=at(when), action="enter", slot=slot, replica=replica, release="v1", why="replacement")


def only(*events: AnyEvent, failed: tuple[tuple[float, float], ...] = ()) -> Recovery:
    [one] = find_recoveries(events, [(at(begin), at(end)) for begin, end in failed])
    return one


def test_capacity_is_back_when_another_replica_has_the_slot() -> None:
    """The victim's own word, an entry elsewhere and an entry before the strike mean nothing."""
    before, own, elsewhere = entered(9), entered(10.5, "a1-1"), entered(10.6, "b1-2", "b1")
    one = only(before, *strike(10), own, elsewhere, serving(10.7, 5), entered(12))
    assert (one.capacity, one.users, one.whole) == (2.0, 0.0, 2.0)


def engine(when: float, action: str) -> ContainerEvent:
    return ContainerEvent(at=at(when), action=action, container="c", name="a1-1", role="app", slot="a1")


def test_a_frozen_replica_counts_for_nothing_until_it_is_replaced_or_thawed() -> None:
    """The deployer takes it for serving until it has been silent for long: full counts say nothing meanwhile."""
    full = (serving(10.1, 6), serving(13, 7))
    assert only(*strike(10), engine(10.1, "pause"), *full).capacity is None
    assert only(*strike(10), engine(10.1, "pause"), *full, entered(19)).capacity == 9.0
    assert only(*strike(10), engine(10.1, "pause"), *full, engine(14, "unpause"), entered(19)).capacity == 4.0


def test_capacity_is_back_when_as_many_serve_again_after_a_dip() -> None:
    """A full count that was taken before anybody noticed the strike is no recovery."""
    assert only(*strike(10), serving(10.1, 6), serving(10.2, 5), serving(11.5, 6)).capacity == 1.5
    assert only(*strike(10), serving(10.1, 6)).capacity is None
    assert only(*strike(10), serving(10.1, 6), serving(13, 6)).capacity == 3.0


def test_users_have_recovered_when_the_last_failed_try_is_over() -> None:
    """A try that failed before the strike, or began after capacity was back, is not the strike's."""
    failed = ((9.0, 9.5), (9.9, 10.4), (11.0, 14.0), (12.5, 20.0))
    one = only(*strike(10), serving(10.2, 5), entered(12), failed=failed)
    assert (one.capacity, one.users, one.whole) == (2.0, 4.0, 4.0)


def test_a_failure_belongs_to_the_last_strike_before_it() -> None:
    """Two strikes, and each has its own."""
    events = (*strike(10), entered(11), *strike(20, 2, "b1"), entered(21, "b1-2", "b1"))
    first, second = find_recoveries(events, [(at(10.1), at(10.3)), (at(20.1), at(20.6))])
    assert [round(one.users, 3) for one in (first, second)] == [0.3, 0.6]


def test_a_strike_that_hit_nothing_or_no_replica() -> None:
    """The one is no strike; the other takes no capacity away."""
    assert find_recoveries(strike(10, hit=False), []) == []
    assert only(*strike(10, slot=""), failed=((9.9, 10.2),)).capacity == 0.0


def test_who_is_answered_by_nobody_has_not_recovered() -> None:
    """Without a balancer no replica is missing, and users fail while that lasts; later failures are others'."""
    failed = tuple((10.5 + second, 11 + second) for second in range(30))
    events = strike(10, slot="")
    assert only(*events, failed=(*failed, (60, 61))).whole == pytest.approx(31 - 1)
    checks, [finding] = judge_recoveries([only(*events, failed=failed)], 5, at(100))
    assert (checks, finding.promise) == (1, RECOVERS)
    assert only(*events, failed=((60, 61),)).whole == 0.0


def test_a_strike_on_a_deployer_fails_nobody() -> None:
    """What fails after it has another cause."""
    [struck, proved] = strike(10, slot="")
    assert only(replace(struck, role="deployer"), proved, failed=((10.5, 11), (11, 12))).users == 0.0


def test_recovery_is_judged_against_what_is_allowed() -> None:
    """In time, late, never, and too near the end to say."""
    quick = only(*strike(10), entered(12))
    slow = only(*strike(10), entered(17))
    never = only(*strike(10))
    assert judge_recoveries([quick], 5, at(30)) == (1, [])
    for one, word in ((slow, "took 7.0 s"), (never, "was not made good")):
        checks, [finding] = judge_recoveries([one], 5, at(30))
        assert (checks, finding.promise) == (1, RECOVERS)
        assert word in finding.why
    assert judge_recoveries([never], 5, at(14)) == (0, [])


def acted(number: int, result: str = "200", took: float = 0.1) -> Operation:
    begin = at(number)
    end = begin + at(took)
    tries = (Try(begin=begin, end=end, result=result),)
    outcome = Outcome.OK if result == "200" else Outcome.UNKNOWN
    return op(Kind.BROWSE, begin, end, outcome=outcome, tries=tries)


def report(rules: ServiceRules, *operations: Operation) -> ServiceReport:
    service = Service(rules)
    for operation in operations:
        service.feed(operation)
    return service.report()


def test_availability_is_the_share_of_first_tries_that_were_answered() -> None:
    """Told always; judged where a share is asked for, and then exactly."""
    seen = [acted(number) for number in range(99)] + [acted(99, "503")]
    for asked, broken in ((0.0, 0), (0.99, 0), (0.995, 1)):
        said = report(ServiceRules(tries=1, available=asked), *seen)
        assert said.available == pytest.approx(0.99)
        assert said.broken.get(AVAILABLE, 0) == broken
        assert sum(one.promise == AVAILABLE for one in said.findings) == broken


def test_latency_is_judged_by_its_99th_percentile() -> None:
    """Two slow ones in a hundred are too many, one in two hundred is not."""
    for slow, of, broken in ((2, 100, 1), (1, 200, 0)):
        seen = [acted(number, took=2.0 if number < slow else 0.05) for number in range(of)]
        said = report(ServiceRules(tries=1, p99_within=0.5), *seen)
        assert said.broken.get(ANSWERS_IN_TIME, 0) == broken


def test_latency_is_judged_to_the_nanosecond() -> None:
    """What just came in time did, and 1 % may not."""
    within = ServiceRules(tries=1, p99_within=1.0)
    for slow, just, broken in ((5, 1.0, 0), (10, 1.0, 0), (11, 1.0, 1), (0, 1.000000001, 1)):
        seen = [acted(number, took=1.2 if number < slow else just) for number in range(1000)]
        said = report(within, *seen)
        assert said.broken.get(ANSWERS_IN_TIME, 0) == broken
    assert "1000 of 1000 operations took more than 1 s" in said.findings[0].why


def test_unknown_outcomes_are_counted() -> None:
    """They are told among what was not checked."""
    assert report(ServiceRules(), acted(0), acted(1, "cut")).unknown == 1


def test_without_its_store_nobody_serves_until_all_do_again() -> None:
    """The users' failures meanwhile are the strike's; a store that nobody missed took no capacity away."""
    [struck, proved] = strike(10, slot="")
    struck = replace(struck, role="store", victim="store-a")
    one = only(struck, proved, serving(10.5, 0), serving(12, 3), serving(13, 6), failed=((11, 12.5), (14, 15)))
    assert one.capacity == pytest.approx(3.0)
    assert one.users == pytest.approx(2.5)
    assert only(struck, proved, serving(10.5, 0), serving(12, 3)).capacity is None
    assert only(struck, proved).capacity == 0


def test_without_their_node_replicas_do_not_serve_until_others_do() -> None:
    """However late the rest of the cluster notices; users' failures until then are its doing."""
    struck, proved = strike(10, slot="")
    struck = replace(struck, role="node", victim="node3")
    found = only(struck, serving(10.6, 4), proved, serving(25.5, 5), serving(26, 6), failed=((12, 13), (24, 24.5)))
    assert found.capacity == 16.0
    assert found.users == 14.5
