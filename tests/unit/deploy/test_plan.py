"""What the deployer decides, for every shape a cluster can be in."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from lab.clock import NS
from lab.deploy.plan import Act, Decision, Seen, Wanted, Why, decide
from lab.model import Replica, ReplicaState, Slot

SLOTS = tuple(Slot(name=name, zone=name[0]) for name in ("a1", "b1", "c1"))
V2_FROM_V1 = Wanted(release="v2", previous="v1")


def replica(slot: str, generation: int, release: str = "v1", state: ReplicaState = ReplicaState.RUNNING) -> Replica:
    return Replica(
        container=f"{generation:064x}",
        name=f"{slot}-{generation}",
        slot=slot,
        zone=slot[0],
        release=release,
        state=state,
        generation=generation,
    )


def look(*replicas: Replica, answering: dict[str, str] | None = None, **seen: object) -> Seen:
    if answering is None:
        answering = {one.slot: one.name for one in replicas if one.state is ReplicaState.RUNNING}
    return msgspec.structs.replace(Seen(at=100 * NS, replicas=replicas, answering=answering), **seen)


def acts(decision: Decision) -> list[tuple[Act, str]]:
    return [(step.act, step.replica.name if step.replica else step.slot) for step in decision.steps]


def test_an_empty_cluster_gets_a_replica_for_every_slot() -> None:
    """With nothing there, every slot is filled at once with the wanted release."""
    decision = decide(look(), Wanted(release="v1"), SLOTS)
    assert acts(decision) == [(Act.CREATE, "a1"), (Act.CREATE, "b1"), (Act.CREATE, "c1")]
    assert {step.release for step in decision.steps} == {"v1"}


def test_a_settled_cluster_is_left_alone() -> None:
    """One answering replica of the wanted release in each slot: nothing to do."""
    decision = decide(look(*(replica(slot.name, n + 1) for n, slot in enumerate(SLOTS))), Wanted(release="v1"), SLOTS)
    assert decision.is_settled
    assert decision.steps == ()


def test_an_upgrade_begins_with_one_newcomer() -> None:
    """N+1 at the peak: only one slot at a time gets a second replica, and nobody is stopped for it."""
    decision = decide(look(replica("a1", 1), replica("b1", 2), replica("c1", 3)), V2_FROM_V1, SLOTS)
    assert acts(decision) == [(Act.CREATE, "a1")]
    assert decision.steps[0].release == "v2"


def test_the_old_replica_stays_until_the_new_one_answers() -> None:
    """While the newcomer is not ready, the serving one is not touched, and no other slot is begun."""
    seen = look(
        replica("a1", 1), replica("b1", 2), replica("c1", 3), replica("a1", 4, "v2"),
        answering={"a1": "a1-1", "b1": "b1-2", "c1": "c1-3"},
    )  # fmt: skip
    assert decide(seen, V2_FROM_V1, SLOTS).steps == ()


def test_the_old_replica_drains_once_the_new_one_answers() -> None:
    """The newcomer has taken the slot over: the old one is told to leave, once."""
    seen = look(
        replica("a1", 1), replica("b1", 2), replica("c1", 3), replica("a1", 4, "v2"),
        answering={"a1": "a1-4", "b1": "b1-2", "c1": "c1-3"},
    )  # fmt: skip
    assert acts(decide(seen, V2_FROM_V1, SLOTS)) == [(Act.DRAIN, "a1-1")]
    told = msgspec.structs.replace(seen, drained_at={replica("a1", 1).container: 99 * NS})
    assert decide(told, V2_FROM_V1, SLOTS).steps == ()


def test_a_drain_that_takes_too_long_is_ended() -> None:
    """After its grace a draining replica is killed."""
    old = replica("a1", 1)
    seen = look(
        old, replica("b1", 2), replica("c1", 3), replica("a1", 4, "v2"),
        answering={"a1": "a1-4", "b1": "b1-2", "c1": "c1-3"}, drained_at={old.container: 80 * NS},
    )  # fmt: skip
    assert acts(decide(seen, V2_FROM_V1, SLOTS)) == [(Act.STOP, "a1-1")]


def test_a_dead_replica_is_replaced_before_anything_is_upgraded() -> None:
    """A gap comes first; before the new release has proven itself, the old one fills it."""
    dead = replica("b1", 2, state=ReplicaState.DEAD)
    decision = decide(look(replica("a1", 1), dead, replica("c1", 3)), V2_FROM_V1, SLOTS)
    assert acts(decision) == [(Act.REMOVE, "b1-2"), (Act.CREATE, "b1")]
    assert decision.steps[1].release == "v1"
    assert decision.steps[1].why is Why.REPLACEMENT


def test_a_gap_is_filled_with_the_new_release_once_that_is_proven() -> None:
    """A replica of the new release answers, so the gap's replacement is an upgrade too."""
    dead = replica("b1", 2, state=ReplicaState.DEAD)
    decision = decide(look(replica("a1", 4, "v2"), dead, replica("c1", 3)), V2_FROM_V1, SLOTS)
    assert decision.steps[1].release == "v2"


def test_a_newcomer_that_never_answers_is_given_up() -> None:
    """Not ready in time: it is stopped and named as failed; the serving replica is left alone."""
    new = replica("a1", 4, "v2")
    seen = look(
        replica("a1", 1), replica("b1", 2), replica("c1", 3), new,
        answering={"a1": "a1-1", "b1": "b1-2", "c1": "c1-3"}, started_at={new.container: 60 * NS},
    )  # fmt: skip
    decision = decide(seen, V2_FROM_V1, SLOTS)
    assert acts(decision) == [(Act.STOP, "a1-4")]
    assert decision.failed == new


def test_a_created_replica_is_started() -> None:
    """A deployer that died between creating and starting is the same as one that did not."""
    seen = look(
        replica("a1", 1), replica("b1", 2), replica("c1", 3), replica("a1", 4, "v2", ReplicaState.CREATED)
    )  # fmt: skip
    assert acts(decide(seen, V2_FROM_V1, SLOTS)) == [(Act.START, "a1-4")]


def test_a_pause_is_kept_between_two_upgrades() -> None:
    """The next slot is not begun before the pause since the last one is over."""
    seen = look(replica("a1", 4, "v2"), replica("b1", 2), replica("c1", 3), upgraded_at=99 * NS)
    slow = msgspec.structs.replace(V2_FROM_V1, pause=5.0)
    assert decide(seen, slow, SLOTS).steps == ()
    assert acts(decide(seen, msgspec.structs.replace(V2_FROM_V1, pause=0.5), SLOTS)) == [(Act.CREATE, "b1")]


def test_a_replica_in_no_known_slot_is_drained() -> None:
    """What an earlier, larger cluster left in a slot that is no more is let go."""
    seen = look(replica("a1", 1), replica("b1", 2), replica("c1", 3), replica("d1", 4))
    assert acts(decide(seen, Wanted(release="v1"), SLOTS)) == [(Act.DRAIN, "d1-4")]


class World:
    """A cluster that obeys decisions, loses replicas at random, and readies newcomers after a few rounds."""

    def __init__(self, random: Random, *, broken_release: str = "") -> None:
        self.random, self.broken_release = random, broken_release
        self.there: dict[str, Replica] = {}
        self.answering: dict[str, str] = {}
        self.started: dict[str, int] = {}
        self.drained: dict[str, int] = {}
        self.made, self.at = 0, 0

    def step(self, wanted: Wanted, *, kill: bool) -> Decision:
        self.at += NS
        for one in list(self.there.values()):
            ripe = self.at - self.started.get(one.container, self.at) >= 2 * NS
            if one.state is ReplicaState.RUNNING and ripe and one.release != self.broken_release:
                now = next((r for r in self.there.values() if r.name == self.answering.get(one.slot)), None)
                if (now is None or now.generation < one.generation) and one.container not in self.drained:
                    self.answering[one.slot] = one.name
            if one.container in self.drained and self.random.random() < 0.5:
                self._become(one, ReplicaState.DEAD)
        if kill:
            running = [one for one in self.there.values() if one.state is ReplicaState.RUNNING]
            if running:
                self._become(self.random.choice(running), ReplicaState.DEAD)
        seen = Seen(
            at=self.at,
            replicas=tuple(self.there.values()),
            answering=self.answering,
            started_at=self.started,
            drained_at=self.drained,
        )
        decision = decide(seen, wanted, SLOTS)
        for step in decision.steps:
            if self.random.random() < 0.8:  # the deployer may die between any two of its acts
                self._obey(step.act, step.slot, step.replica, step.release)
        return decision

    def live(self) -> int:
        return sum(one.state is not ReplicaState.DEAD for one in self.there.values())

    def _obey(self, act: Act, slot: str, who: Replica | None, release: str) -> None:
        if act is Act.CREATE:
            self.made += 1
            made = replica(slot, self.made, release, ReplicaState.CREATED)
            self.there[made.container] = made
        elif who is None or who.container not in self.there:
            return
        elif act is Act.START:
            self._become(who, ReplicaState.RUNNING)
            self.started[who.container] = self.at
        elif act is Act.DRAIN:
            self.drained[who.container] = self.at
        elif act is Act.STOP:
            self._become(who, ReplicaState.DEAD)
        else:
            del self.there[who.container]

    def _become(self, who: Replica, state: ReplicaState) -> None:
        if who.container in self.there:
            self.there[who.container] = msgspec.structs.replace(who, state=state)
        if state is ReplicaState.DEAD and self.answering.get(who.slot) == who.name:
            del self.answering[who.slot]


@pytest.mark.parametrize("seed", range(40))
def test_an_upgrade_amid_random_kills_ends_right(seed: int) -> None:
    """Whatever dies and whichever acts are lost, it ends with one replica of the new release in each slot, and
    never more than one more live replica than slots."""
    random = Random(seed)
    world = World(random)
    for _ in range(30):
        if world.step(Wanted(release="v1"), kill=False).is_settled:
            break
    most = 0
    for round_number in range(400):
        decision = world.step(V2_FROM_V1, kill=round_number < 60 and random.random() < 0.15)
        most = max(most, world.live())
        if decision.is_settled and round_number >= 60:
            break
    assert decision.is_settled
    assert {one.release for one in world.there.values()} == {"v2"}
    assert len(world.there) == len(SLOTS)
    assert most <= len(SLOTS) + V2_FROM_V1.batch


def test_without_kills_an_upgrade_never_leaves_a_slot_unserved() -> None:
    """At every round of an undisturbed upgrade all slots answer."""
    world = World(Random(1))
    for _ in range(30):
        if world.step(Wanted(release="v1"), kill=False).is_settled:
            break
    for _ in range(200):
        decision = world.step(V2_FROM_V1, kill=False)
        assert len(world.answering) == len(SLOTS)
        if decision.is_settled:
            break
    assert decision.is_settled


def test_a_release_that_never_gets_ready_never_takes_a_slot() -> None:
    """The failed newcomer is named; going back leaves the old release in every slot."""
    world = World(Random(2), broken_release="v2")
    for _ in range(30):
        if world.step(Wanted(release="v1"), kill=False).is_settled:
            break
    wanted = msgspec.structs.replace(V2_FROM_V1, ready_within=5.0)
    failed = None
    for _ in range(100):
        decision = world.step(wanted, kill=False)
        if decision.failed is not None:
            failed = decision.failed
            wanted = Wanted(release="v1")
        if failed is not None and decision.is_settled:
            break
    assert failed is not None
    assert failed.release == "v2"
    assert {one.release for one in world.there.values()} == {"v1"}
    assert len(world.there) == len(SLOTS)
