"""The steps that break something: they wait until they may, undo what they did, and end only when all is well."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest

from lab import record
from lab.chaos.faults import FAULTS, FaultName
from lab.chaos.guard import BlastRadius, StopWhen
from lab.chaos.striker import Striker
from lab.clock import NS, FakeClock
from lab.cluster.harm import Pause, Sever, Victim
from lab.errors import LabFault, UsageError
from lab.model import Kind, Operation, Outcome, Role, Try
from lab.record import StrikeSource
from lab.run.stop_monitor import StopMonitor, Stopped
from lab.run.strike_steps import LoseZoneStep, StrikeStep, pick_fault, pick_victims
from lab.scenario.strike_spec import LoseZone, StrikeSpec, check_cut
from lab.testing.fake_cluster import FakeHarm
from tests.unit.chaos.making import replica, six_and_three, standing_of, store, striking


def through(step: StrikeStep | LoseZoneStep, clock: FakeClock, *, within: float = 60.0) -> float:
    """Ask it, as the conductor does, until it is over; the seconds that took."""
    began = clock.now()
    step.begin()
    while not step.is_over():
        clock.sleep(0.1)
        assert clock.now() - began < within * NS, "it never ended"
    step.end()
    return (clock.now() - began) / NS


def settles(target: FakeHarm) -> Callable[[], bool]:
    """A deployer that replaces at once whatever is dead and whose slot may be filled."""

    def look() -> bool:
        return len(standing_of(target).serving) == 6

    return look


def revive(target: FakeHarm, striker: Striker, number: int) -> None:
    lost = striker.standing().lost_zones
    for one in list(target.there.values()):
        if one.role is Role.APP and not one.is_running and one.zone not in lost:
            del target.there[one.container]
            new = replica(one.slot, number)
            target.there[new.container] = new


def test_a_freeze_lasts_as_long_as_told_and_is_undone(tmp_path: Path) -> None:
    """Two seconds later everything is as it was."""
    target, clock = six_and_three(), FakeClock(NS)
    before = dict(target.there)
    with striking(tmp_path, target) as striker:
        step = StrikeStep(StrikeSpec(do="freeze", to="b2", seconds=2), striker, settles(target), Random(1), clock)
        assert 2 <= through(step, clock) < 3
    assert target.there == before


def test_waiting_does_not_change_who_is_struck(tmp_path: Path) -> None:
    """The seed alone does, however often the blast radius refuses it first."""
    struck = set()
    for looks in range(5):
        target, clock, events = six_and_three(), FakeClock(NS), list[record.AnyEvent]()
        waits = iter(["somebody"] * looks)
        (folder := tmp_path / str(looks)).mkdir()
        with striking(folder, target, events=events, halted=partial(next, waits, "")) as striker:
            through(StrikeStep(StrikeSpec(do="freeze"), striker, settles(target), Random(7), clock), clock)
        struck |= {event.victim for event in events if isinstance(event, record.Strike)}
    assert len(struck) == 1


def test_a_time_of_day_that_jumps_changes_nothing(tmp_path: Path) -> None:
    """Somebody sets the machine's clock, or it slept: strikes last as long as they are to, and are undone."""

    class Jumping(FakeClock):
        def wall(self) -> datetime:
            return super().wall() + timedelta(days=next(jumps))

    jumps = itertools.cycle((0, 400, -30))
    target, clock = six_and_three(), Jumping(NS)
    before = dict(target.there)
    with striking(tmp_path, target, clock=clock) as striker:
        step = StrikeStep(StrikeSpec(do="cut", to="b2", seconds=2), striker, settles(target), Random(1), clock)
        assert 2 <= through(step, clock) < 3
        zone = LoseZoneStep(LoseZone(zone="b", seconds=3, cut_off=True), striker, settles(target), clock)
        assert 3 <= through(zone, clock) < 4
    assert target.there == before


def test_a_step_that_is_broken_off_undoes_what_it_did(tmp_path: Path) -> None:
    """A run that ends early leaves nothing frozen, and no zone lost."""
    target, clock = six_and_three(), FakeClock(NS)
    before = dict(target.there)
    with striking(tmp_path, target) as striker:
        for step in (
            StrikeStep(StrikeSpec(do="cut", to="balancer/c"), striker, settles(target), Random(1), clock),
            LoseZoneStep(LoseZone(zone="b", cut_off=True), striker, settles(target), clock),
        ):
            step.begin()
            assert not step.is_over()
            assert target.there != before
            step.end()
            assert target.there == before
        assert striker.standing().is_steady


def test_a_lost_zone_comes_back_after_its_time(tmp_path: Path) -> None:
    """Whatever comes up in it meanwhile is struck; its slots are filled only when it is back."""
    target, clock = six_and_three(), FakeClock(NS)
    with striking(tmp_path, target) as striker:

        def is_settled() -> bool:
            revive(target, striker, 2)
            return settles(target)()

        step = LoseZoneStep(LoseZone(zone="b", seconds=5), striker, is_settled, clock)
        step.begin()
        assert not step.is_over()
        late = replica("b1", 9)
        target.there[late.container] = late
        assert through_rest(step, clock) >= 5
        assert any(container == late.container for container, _ in target.acts)
        assert len(standing_of(target).serving) == 6


def through_rest(step: LoseZoneStep, clock: FakeClock) -> float:
    began = clock.now()
    while not step.is_over():
        clock.sleep(0.1)
        assert clock.now() - began < 60 * NS
    return (clock.now() - began) / NS


def test_a_strike_waits_for_the_blast_radius_and_gives_up_in_the_end(tmp_path: Path) -> None:
    """While another replica is away it is not done; if that never changes, nothing can be told."""
    target, clock = six_and_three(), FakeClock(NS)
    with striking(tmp_path, target, radius=BlastRadius(replicas=1)) as striker:
        target.do(replica("a1").container, Pause())
        step = StrikeStep(StrikeSpec(do="kill", to="b1"), striker, settles(target), Random(1), clock)
        with pytest.raises(LabFault, match="a1 does not serve"):
            through(step, clock)
    assert target.there[replica("b1").container].is_running


@pytest.mark.parametrize("what", ["strike", "zone"])
def test_whoever_stops_serving_between_look_and_strike_is_waited_for(tmp_path: Path, what: str) -> None:
    """The cluster may change between the two; a refusal then is waited out as any other, and nothing is struck."""
    target, clock = six_and_three(), FakeClock(NS)
    whole = standing_of(target)
    fewer = msgspec.structs.replace(whole, serving={slot: one for slot, one in whole.serving.items() if slot != "a1"})
    looks = iter([whole, fewer])
    with striking(tmp_path, target, standing=lambda: next(looks, standing_of(target))) as striker:
        step: StrikeStep | LoseZoneStep = LoseZoneStep(
            LoseZone(zone="b", seconds=1, cut_off=True), striker, lambda: True, clock
        )
        if what == "strike":
            step = StrikeStep(StrikeSpec(do="kill", to="b1", seconds=1), striker, lambda: True, Random(1), clock)
        step.begin()
        assert not step.is_over()
        assert target.acts == []
        through(step, clock)
        assert replica("b1").container in {container for container, _ in target.acts}


def test_victims_are_picked_by_slot_zone_role_or_seed() -> None:
    """What a scenario may name, and what to do where it names nobody."""
    there = six_and_three().victims()
    named = {to: [one.name for one in pick_victims(there, to, Random(1))] for to in ("a1", "b", "balancer/c")}
    assert named == {"a1": ["a1-1"], "b": ["b1-1", "b2-1"], "balancer/c": ["balancer-c"]}
    drawn = {pick_victims(there, "any", Random(seed))[0].name for seed in range(100)}
    assert len(drawn) == 6
    with pytest.raises(UsageError, match="nothing of that name is running"):
        pick_victims(there, "d9", Random(1))


def operation(end: float, result: str) -> Operation:
    tried = Try(begin=0, end=int(end * NS), result=result)
    return Operation(
        id=1, user="u", device="u.1", kind=Kind.CART, begin=0, end=int(end * NS), outcome=Outcome.OK, tries=(tried,)
    )


@pytest.mark.parametrize(
    ("rules", "results", "lost", "serving", "told"),
    [
        (StopWhen(users_lost=1), [], 1, 6, "users_lost"),
        (StopWhen(users_lost=2), [], 1, 6, ""),
        (StopWhen(serving_below=3), [], 0, 2, "serving_below"),
        (StopWhen(serving_below=3), [], 0, 3, ""),
        (StopWhen(failed_share=0.1), ["200"] * 17 + ["503"] * 3, 0, 6, "failed_share"),
        (StopWhen(failed_share=0.1), ["200"] * 18 + ["503"] * 2, 0, 6, ""),
        (StopWhen(failed_share=0.1), ["503"] * 5, 0, 6, ""),
        (StopWhen(), ["503"] * 50, 60, 0, ""),
    ],
)
def test_a_run_is_stopped_by_its_own_rules_alone(
    rules: StopWhen, results: list[str], lost: int, serving: int, told: str
) -> None:
    """At the figure and not before it; a share of a handful means nothing; without a rule nothing stops a run."""
    watchman = StopMonitor(rules)
    for result in results:
        watchman.note(operation(9.0, result))
    if not told:
        watchman.check(10 * NS, users_lost=lost, serving=serving)
        return
    with pytest.raises(Stopped, match=told):
        watchman.check(10 * NS, users_lost=lost, serving=serving)


@pytest.mark.parametrize(
    ("rules", "seen", "told"),
    [
        (
            StopWhen(),
            {"unwell": "the engine's events ended"},
            "the lab itself is in trouble: the engine's events ended",
        ),
        (StopWhen(unwell=False), {"unwell": "the engine's events ended"}, ""),
        (StopWhen(unwell=False), {"halted": "somebody"}, "halted: somebody"),
        (StopWhen(), {}, ""),
    ],
)
def test_an_unwell_lab_or_a_halt_stops_a_run(rules: StopWhen, seen: dict[str, str], told: str) -> None:
    """Whoever can't see what strikes do must not strike; a halt by a person needs no rule."""
    watchman = StopMonitor(rules)
    if not told:
        watchman.check(10 * NS, users_lost=0, serving=6, **seen)
        return
    with pytest.raises(Stopped, match=told):
        watchman.check(10 * NS, users_lost=0, serving=6, **seen)


def test_a_cut_is_between_its_victim_and_whom_it_names(tmp_path: Path) -> None:
    """From the store alone, or from whatever is in a zone; the step mends exactly that."""
    target, clock = six_and_three(), FakeClock(NS)
    target.there["s" * 64] = Victim(container="s" * 64, name="store", role=Role.STORE, addresses=("10.0.0.99",))
    for off, addresses in (("store", ("10.0.0.99",)), ("zone/b", ("10.0.0.21", "10.0.0.22"))):
        folder = tmp_path / off.replace("/", "-")
        folder.mkdir()
        with striking(folder, target) as striker:
            spec = StrikeSpec(do="cut", to="a1", off=off, seconds=2)
            step = StrikeStep(spec, striker, settles(target), Random(1), clock)
            step.begin()
            assert not step.is_over()
            assert target.severed == {(replica("a1").container, addresses)}
            assert striker.standing().missing == {"a1"}
            with pytest.raises(UsageError, match="2 replicas would be away"):
                striker.strike(FAULTS["kill"], [replica("b1")], source=StrikeSource.STEP)
            through(step, clock)
            assert target.severed == set()


def test_a_zone_is_cut_from_another_as_a_whole() -> None:
    """Everything in it but the balancer, which talks to nobody of the cluster, and nobody from itself."""
    there = six_and_three().victims()
    in_b = pick_victims(there, "zone/b", Random(1))
    assert [one.name for one in in_b] == ["b1-1", "b2-1"]
    fault = pick_fault("cut", "zone/b", "zone/a", there, in_b)
    harm = fault.do(replica("b1"), "SIGKILL")
    assert harm == Sever(addresses=("10.0.0.11", "10.0.0.12"))
    assert fault.text() == "cut from zone/a"
    with pytest.raises(UsageError, match="nothing to cut it off from"):
        pick_fault("cut", "a1", "a1", there, pick_victims(there, "a1", Random(1)))
    with pytest.raises(UsageError, match="nothing to cut it off from"):
        pick_fault("cut", "a1", "store", there, ())


@pytest.mark.parametrize(
    ("do", "to", "off", "told"),
    [
        ("freeze", "a1", "store", "not between two"),
        ("cut", "balancer/a", "store", "unix sockets"),
        ("cut", "a1", "balancer", "unix sockets"),
        ("cut", "a1", "a1", "from itself"),
        ("cut", "zone/a", "", "lose_zone"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(do: FaultName, to: str, off: str, told: str) -> None:
    """With what would."""
    with pytest.raises(UsageError, match=told):
        check_cut(do, to, off)


def with_stores() -> FakeHarm:
    """The same with a store and a Sentinel in each zone, and the orders' database."""
    target = six_and_three()
    made = [store(zone, role) for zone in "abc" for role in (Role.STORE, Role.SENTINEL)]
    for one in (*made, Victim(container="orders".ljust(64, "0"), name="orders", role=Role.ORDERS)):
        target.there[one.container] = one
    return target


def test_stores_are_picked_by_what_they_are_now() -> None:
    """The primary of the moment, one of the others by the seed, or that of a zone."""
    there = with_stores().victims()

    def picked(to: str, seed: int = 1) -> str:
        [one] = pick_victims(there, to, Random(seed), lambda: "store-b")
        return one.name

    assert picked("store") == picked("store/primary") == "store-b"
    assert {picked("store/replica", seed) for seed in range(20)} == {"store-a", "store-c"}
    assert (picked("store/a"), picked("sentinel/c"), picked("orders")) == ("store-a", "sentinel-c", "orders")
    with pytest.raises(UsageError, match="nothing of that name is running"):
        pick_victims(there, "store", Random(1), lambda: "")


def test_a_store_is_struck_only_while_all_are_whole(tmp_path: Path) -> None:
    """And the step is over only when they are whole again; `stores: 2` allows two at once."""
    target, clock, wrong = with_stores(), FakeClock(NS), [""]
    spec = StrikeSpec(do="kill", to="store", seconds=1)
    with striking(tmp_path, target, primary=lambda: "store-a", unwell=lambda: wrong[0]) as striker:
        step = StrikeStep(spec, striker, settles(target), Random(1), clock)
        step.begin()
        assert not step.is_over()
        wrong[0] = "store-a is not in step"
        clock.sleep(2)
        assert not step.is_over()
        assert target.there[store("a").container].is_running
        assert striker.refusal([store("b")]) == "store-a is not in step"
        assert striker.refusal([replica("a1")]) == ""
        wrong[0] = ""
        assert step.is_over()
    with striking(tmp_path, target, radius=BlastRadius(stores=2), unwell=lambda: "store-a is away") as striker:
        assert striker.refusal([store("b")]) == ""


def test_a_strike_may_wait_beside_others(tmp_path: Path) -> None:
    """It falls so many seconds after the step began."""
    target, clock = with_stores(), FakeClock(NS)
    with striking(tmp_path, target) as striker:
        step = StrikeStep(StrikeSpec(do="kill", to="orders", after=3), striker, settles(target), Random(1), clock)
        step.begin()
        clock.sleep(2.9)
        assert not step.is_over()
        assert not target.acts
        clock.sleep(0.2)
        assert not step.is_over()
        assert target.acts


def test_what_failed_long_ago_stops_nothing() -> None:
    """The share is that of the last seconds."""
    watchman = StopMonitor(StopWhen(failed_share=0.1, failed_for=3))
    for _ in range(50):
        watchman.note(operation(1.0, "503"))
    watchman.check(10 * NS, users_lost=0, serving=6)


def test_a_step_says_what_it_waits_for_and_what_is_missing(tmp_path: Path) -> None:
    """A zone that is back but whose store does not answer, as it is told where the run's time is over."""
    target, clock, waits, missing = six_and_three(), FakeClock(NS), iter(["halted by ann"]), [""]
    unwell = ["store-b does not answer"]
    with striking(tmp_path, target, halted=partial(next, waits, ""), unwell=lambda: unwell[0]) as striker:
        step = LoseZoneStep(LoseZone(zone="b", seconds=1), striker, lambda: True, clock, unsettled=lambda: missing[0])
        step.begin()
        step.is_over()
        assert step.pending.startswith("zone b to be lost; ")
        assert "halted by ann" in step.pending
        unwell[0] = ""
        step.is_over()
        assert step.pending == "zone b to be back"
        clock.sleep(2)
        unwell[0] = "store-b does not answer"
        assert not step.is_over()
        after = "every slot and store to serve again after zone b came back"
        assert step.pending.startswith(f"{after}; ")
        missing[0] = "no replica serves in b1"
        assert step.pending == f"{after}; no replica serves in b1"
