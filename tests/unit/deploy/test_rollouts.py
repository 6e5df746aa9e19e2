"""Whole rollouts in a small world: every strategy, with deaths, lost acts, bad releases and changed minds."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest

from lab.deploy.gate import JudgeSettings
from lab.deploy.rollout import (
    Canary,
    Desired,
    DrainThenMove,
    Ending,
    Order,
    Phase,
    RedBlack,
    Rolling,
    RolloutRequest,
    Strategy,
    begin_rollout,
    first_desired,
    ordered,
    strategy_from,
)
from lab.errors import UsageError
from lab.model import Release
from lab.scale.policy import ScaleSettings, choose_slots, decide_scale
from tests.unit.deploy.conftest import SLOTS, World

V1, V2 = Release(name="v1", image="shop:1"), Release(name="v2", image="shop:2")
STRATEGIES: dict[str, Strategy] = {
    "rolling": Rolling(),
    "rolling, two at a time": Rolling(batch=2),
    "rolling, a third at a time, zone by zone": Rolling(batch="33%", order=Order.ZONE),
    "rolling without surge": Rolling(surge=0),
    "drain then move": DrainThenMove(),
    "canary": Canary(shares=(0.1, 0.5, 1.0), hold=2),
    "red/black": RedBlack(keep=5),
    "red/black in shares": RedBlack(shares=(0.34, 1.0), hold=2, keep=3),
}
PEAK = {"rolling, two at a time": 8, "rolling, a third at a time, zone by zone": 8, "red/black": 12}
PEAK |= {"red/black in shares": 12, "rolling without surge": 6, "drain then move": 6}


ROUNDS_LEAST, ROUNDS_MOST = 15, 80
"""Rounds that any of these rollouts needs at least, and at most, where nobody turns it back."""


def settled_world(random: Random, *, broken: str = "", obeys: float = 1.0) -> tuple[World, Desired]:
    world = World(random, broken=broken, obeys=obeys)
    desired, decision = world.run(first_desired(V1, SLOTS))
    assert decision.is_settled
    world.most_live, world.fewest_serving = world.live(), len(world.serving())
    return world, desired


def begun(desired: Desired, strategy: Strategy, world: World) -> Desired:
    return begin_rollout(desired, V2, strategy, id="r1", now=world.at, by="test")


@pytest.mark.parametrize("named", STRATEGIES)
def test_a_rollout_ends_with_the_new_release_everywhere(named: str) -> None:
    """One replica of the new release in each slot, nothing else, and no more live replicas than the strategy says."""
    world, desired = settled_world(Random(1))
    strategy = STRATEGIES[named]
    desired, decision = world.run(begun(desired, strategy, world))
    assert decision.is_settled
    assert desired.rollout is not None
    assert (desired.rollout.ending, desired.release) == (Ending.DONE, V2)
    assert (world.releases(), len(world.there)) == ({"v2"}, len(SLOTS))
    assert world.most_live <= PEAK.get(named, 7)
    assert world.fewest_serving == (len(SLOTS) - 1 if strategy.in_place else len(SLOTS))


@pytest.mark.parametrize("named", STRATEGIES)
@pytest.mark.parametrize("seed", range(15))
def test_deaths_and_lost_acts_change_nothing_about_the_end(named: str, seed: int) -> None:
    """Whatever dies and whichever acts are lost with a deployer, all slots end with the new release."""
    random = Random(seed)
    world, desired = settled_world(random, obeys=0.8)
    desired = begun(desired, STRATEGIES[named], world)
    for number in range(60):
        desired, _ = world.round(desired, kills=random.random() < 0.15)
        assert desired.under_way is not None or number > 5
    desired, decision = world.run(desired)
    assert decision.is_settled
    assert desired.rollout is not None
    assert desired.rollout.ending is Ending.DONE
    assert (world.releases(), len(world.there)) == ({"v2"}, len(SLOTS))


@pytest.mark.parametrize("named", STRATEGIES)
def test_a_release_that_never_gets_ready_is_rolled_back(named: str) -> None:
    """It never has a slot, and in the end the old release has every one of them."""
    world, desired = settled_world(Random(2), broken="v2")
    strategy = msgspec.structs.replace(STRATEGIES[named], ready_within=5.0)
    desired, decision = world.run(begun(desired, strategy, world))
    assert decision.is_settled
    assert desired.rollout is not None
    assert (desired.rollout.ending, desired.release) == (Ending.ROLLED_BACK, V1)
    assert (world.releases(), len(world.there)) == ({"v1"}, len(SLOTS))
    assert world.fewest_serving >= len(SLOTS) - (1 if strategy.in_place else 0)


def turned_back(named: str, after: int) -> tuple[World, Desired] | None:
    """The world at rest again, in which somebody wanted the old release `after` rounds after a rollout began; None
    where it had ended by then."""
    world, desired = settled_world(Random(after))
    desired = begun(desired, STRATEGIES[named], world)
    for _ in range(after):
        desired, _ = world.round(desired)
    if desired.under_way is None:
        return None
    rollout = msgspec.structs.replace(desired.under_way, asked=RolloutRequest.REVERSE)
    desired, decision = world.run(msgspec.structs.replace(desired, rollout=rollout))
    assert decision.is_settled, f"after {after} rounds"
    return world, desired


@pytest.mark.parametrize("named", STRATEGIES)
def test_a_person_may_turn_it_back_at_any_moment(named: str) -> None:
    """Asked to reverse at any round until it has ended, every slot is served by the old release in the end, without a
    gap."""
    for after in range(ROUNDS_MOST):
        found = turned_back(named, after)
        if found is None:
            break
        world, desired = found
        assert desired.rollout is not None
        assert (desired.rollout.ending, world.releases()) == (Ending.REVERSED, {"v1"}), f"after {after} rounds"
        fewest = len(SLOTS) - (1 if STRATEGIES[named].in_place else 0)
        assert world.fewest_serving >= fewest, f"after {after} rounds"
    assert found is None, "it was never over"
    assert after >= ROUNDS_LEAST, "there was hardly a moment to turn it back"


def test_a_canary_holds_at_each_of_its_shares() -> None:
    """A tenth of six slots is one, a half is three; each stage is watched before the next begins."""
    world, desired = settled_world(Random(3))
    desired = begun(desired, Canary(shares=(0.1, 0.5, 1.0), hold=3), world)
    watched: dict[int, int] = {}
    for _ in range(200):
        desired, _ = world.round(desired)
        rollout = desired.under_way
        if rollout is None:
            break
        if rollout.phase is Phase.WATCH:
            watched[rollout.stage] = sum(one.release == "v2" for one in world.serving())
    assert watched == {0: 1, 1: 3, 2: 6}


def test_red_black_reverses_at_once_while_the_old_group_is_kept() -> None:
    """After all traffic has moved, one round of orders sends all of it back to the group that stood by."""
    world, desired = settled_world(Random(4))
    desired = begun(desired, RedBlack(keep=100), world)
    for _ in range(60):
        desired, _ = world.round(desired)
        if desired.under_way is not None and desired.under_way.phase is Phase.KEEP:
            break
    assert {one.release for one in world.serving()} == {"v2"}
    assert desired.rollout is not None
    desired = msgspec.structs.replace(
        desired, rollout=msgspec.structs.replace(desired.rollout, asked=RolloutRequest.REVERSE)
    )
    desired, _ = world.round(desired)  # the phase turns
    desired, _ = world.round(desired)  # the old group is told to enter
    assert {one.release for one in world.serving()} == {"v1"}
    assert world.live() == 2 * len(SLOTS)


def test_nothing_goes_on_before_a_person_approves() -> None:
    """A human gate holds the stage for as long as it takes."""
    world, desired = settled_world(Random(5))
    desired = begun(desired, Canary(shares=(0.5, 1.0), hold=0, approve=True), world)
    for _ in range(80):
        desired, _ = world.round(desired)
    assert desired.under_way is not None
    assert (desired.under_way.phase, desired.under_way.stage) == (Phase.WATCH, 0)
    desired = msgspec.structs.replace(desired, rollout=msgspec.structs.replace(desired.under_way, approved=1))
    for _ in range(80):
        desired, _ = world.round(desired)
    assert desired.under_way is not None
    assert (desired.under_way.phase, desired.under_way.stage) == (Phase.WATCH, 1)


def test_scaling_while_rolling_settles() -> None:
    """Slots added and taken away in the middle of a rollout: one replica of the new release in each that is left."""
    world, desired = settled_world(Random(6))
    desired = begun(desired, Rolling(), world)
    for _ in range(10):
        desired, _ = world.round(desired)
    desired, _ = world.run(msgspec.structs.replace(desired, active=("a1", "b1", "c1", "a2")))
    assert sorted(one.slot for one in world.serving()) == ["a1", "a2", "b1", "c1"]
    assert world.releases() == {"v2"}
    desired, _ = world.run(msgspec.structs.replace(desired, active=tuple(slot.name for slot in SLOTS)))
    assert len(world.serving()) == len(world.there) == len(SLOTS)


@pytest.mark.parametrize("named", STRATEGIES)
@pytest.mark.parametrize("seed", range(20))
def test_scaling_a_rollout_and_replacement_at_once_settle(named: str, seed: int) -> None:
    """In whatever order the load, a person and death come, with acts lost on the way: they want one and the same, so
    that in the end each active slot has one replica of the one release, and nothing else is there."""
    random = Random(f"{named} {seed}")
    world, desired = settled_world(random, obeys=0.85)
    desired = begun(desired, STRATEGIES[named], world)
    settings = ScaleSettings(target=10, least=2, most=len(SLOTS), cool_down_out=2, cool_down_in=4)
    changed_at: int | None = None
    sizes, turned = set(), False
    for _ in range(90):
        desired, _ = world.round(desired, kills=random.random() < 0.1)
        count = decide_scale(
            random.choice((15, 35, 70)), len(desired.active), settings, now=world.at, changed_at=changed_at
        )
        if count != len(desired.active):
            changed_at = world.at
            desired = msgspec.structs.replace(desired, active=choose_slots(SLOTS, desired.active, count))
        sizes.add(len(desired.active))
        if desired.under_way is not None and not turned and random.random() < 0.01:
            turned = True
            asked = msgspec.structs.replace(
                desired.under_way, asked=random.choice((RolloutRequest.REVERSE, RolloutRequest.ABORT))
            )
            desired = msgspec.structs.replace(desired, rollout=asked)
    desired, decision = world.run(desired)
    assert decision.is_settled
    assert len(sizes) > 1, "nothing was scaled"
    assert desired.rollout is not None
    endings = {Ending.DONE, Ending.REVERSED, Ending.ABORTED} if turned else {Ending.DONE}
    assert desired.rollout.ending in endings
    assert sorted(one.slot for one in world.serving()) == sorted(desired.active)
    assert len(world.there) == len(desired.active)
    assert world.releases() == {desired.release.name}


def test_a_replica_that_never_gets_ready_is_replaced_without_any_rollout() -> None:
    """It hangs while it starts: after the time that it has it is ended and made anew, and the others serve on."""
    world, desired = settled_world(Random(8))
    world.broken = "v1"  # whoever starts now hangs
    world.die(world.serving()[0])
    for _ in range(40):
        desired, decision = world.round(desired)
    assert not decision.is_settled
    assert len(world.serving()) == len(SLOTS) - 1
    hung = {one.container for one in world.there.values() if one.name not in world.ready}
    world.broken = ""
    world.ready -= {one.name for one in world.there.values() if one.container in hung}
    desired, decision = world.run(desired)
    assert decision.is_settled
    assert len(world.serving()) == len(world.there) == len(SLOTS)
    assert world.made > len(SLOTS) + 1


def test_one_rollout_at_a_time() -> None:
    """A second rollout is refused while one is under way, and so is one to what serves already."""
    world, desired = settled_world(Random(7))
    under_way = begun(desired, Rolling(), world)
    with pytest.raises(UsageError, match="in progress"):
        begun(under_way, Rolling(), world)
    with pytest.raises(UsageError, match="already"):
        begin_rollout(desired, V1, Rolling(), id="r2", now=0, by="test")
    with pytest.raises(UsageError, match="identified by their tags"):
        begin_rollout(desired, Release(name="v1", image="fixed:v1"), Rolling(), id="r2", now=0, by="test")


@pytest.mark.parametrize(
    "strategy",
    [
        Canary(shares=(0.5, 0.2, 1.0)),
        Canary(shares=(0.5,)),
        Rolling(batch="many"),
        Rolling(batch=0),
        Rolling(surge=-1),
        Rolling(surge=0, batch="100%"),
        DrainThenMove(batch=6),
        DrainThenMove(batch="90%"),
        Rolling(pause=math.inf),
        Rolling(grace=math.nan),
        Rolling(ready_within=-1.0),
        RedBlack(keep=math.inf),
        Canary(hold=math.nan),
        Canary(judge=JudgeSettings(patience=math.inf)),
        Canary(judge=JudgeSettings(failed="many")),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(strategy: Strategy) -> None:
    """Before anything is done, with the key and an example."""
    with pytest.raises(UsageError):
        begin_rollout(first_desired(V1, SLOTS), V2, strategy, id="r", now=0, by="test")


@pytest.mark.parametrize("left", [("c1", "c2"), ("c2",)])
def test_somebody_serves_where_it_is_scaled_in_while_slots_are_changed_in_place(left: tuple[str, ...]) -> None:
    """Two at once were right for six slots, and are all that there are now."""
    world, desired = settled_world(Random(1))
    desired, _ = world.round(begun(desired, DrainThenMove(batch=2), world))
    desired, decision = world.run(msgspec.structs.replace(desired, active=left))
    assert decision.is_settled
    assert world.releases() == {"v2"}
    assert world.fewest_serving > 0


@pytest.mark.parametrize("name", ["rolling", "drain-then-move", "canary", "red-black"])
def test_every_strategy_has_a_name(name: str) -> None:
    """As the command line and the scenario file know it."""
    assert strategy_from(name, {}).__struct_config__.tag == name


def test_slots_are_taken_in_the_order_asked_for() -> None:
    """Spread goes round the zones; by zone finishes one before the next."""
    assert [one.name for one in ordered(SLOTS, Order.SPREAD)] == ["a1", "b1", "c1", "a2", "b2", "c2"]
    assert [one.name for one in ordered(SLOTS, Order.ZONE)] == ["a1", "a2", "b1", "b2", "c1", "c2"]
