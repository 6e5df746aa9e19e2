"""A small world that obeys a deployer's decisions: replicas get ready after a while, some never, and some die."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from lab.clock import NS
from lab.deploy.advance import RolloutProgress, advance
from lab.deploy.deployer import Deployer
from lab.deploy.plan import Act, ClusterLook, Decision, decide
from lab.deploy.rollout import Desired
from lab.deploy.target import target_of
from lab.model import Replica, ReplicaState, Slot

SLOTS = tuple(Slot(name=f"{zone}{number}", zone=zone) for number in (1, 2) for zone in "abc")


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


class World:
    """Rounds last a second. `obeys` is the share of acts that are done: a deployer may die between any two."""

    def __init__(self, random: Random, *, broken: str = "", obeys: float = 1.0) -> None:
        self.random, self.broken, self.obeys = random, broken, obeys
        self.there: dict[str, Replica] = {}
        self.ready: set[str] = set()
        self.holders: dict[str, str] = {}
        self.started: dict[str, int] = {}
        self.drained: dict[str, int] = {}
        self.held: set[str] = set()
        self.made, self.at, self.most_live, self.fewest_serving = 0, 0, 0, len(SLOTS)
        self.most_by_zone = 0

    def round(self, desired: Desired, *, kills: bool = False) -> tuple[Desired, Decision]:
        """Let a second pass, decide, obey, and let the rollout advance."""
        self.at += NS
        self._live_on()
        if kills:
            running = [one for one in self.there.values() if one.state is ReplicaState.RUNNING]
            if running:
                self.die(self.random.choice(running))
        decision = decide(self.seen(), target_of(desired, SLOTS))
        failed = "it did not get ready" if decision.failed is not None else ""
        in_phase = (self.at - desired.rollout.since) / NS if desired.rollout is not None else 0.0
        progress = RolloutProgress(at=self.at, in_phase=in_phase, is_settled=decision.is_settled, failed=failed)
        further = advance(desired, progress, by="test")
        if further is not desired:
            return further, Decision()  # what is to be had has changed with it
        for step in decision.steps:
            if self.random.random() < self.obeys:
                self._obey(step.act, step.slot, step.replica, step.release)
        self.most_live = max(self.most_live, self.live())
        self.fewest_serving = min(self.fewest_serving, len(self.serving()))
        return desired, decision

    def run(self, desired: Desired, *, rounds: int = 400) -> tuple[Desired, Decision]:
        """Rounds until nothing is left to do."""
        for _ in range(rounds):
            desired, decision = self.round(desired)
            if decision.is_settled and desired.under_way is None:
                break
        return desired, decision

    def seen(self) -> ClusterLook:
        return ClusterLook(
            at=self.at,
            replicas=tuple(self.there.values()),
            ready=frozenset(self.ready),
            holders=dict(self.holders),
            started_at=self.started,
            drained_at=self.drained,
            held=frozenset(self.held),
        )

    def live(self) -> int:
        return sum(one.state is not ReplicaState.DEAD for one in self.there.values())

    def serving(self) -> list[Replica]:
        return [one for one in self.there.values() if one.name in self.holders.values() and one.name in self.ready]

    def releases(self) -> set[str]:
        return {one.release for one in self.there.values()}

    def die(self, who: Replica) -> None:
        self.there[who.container] = msgspec.structs.replace(who, state=ReplicaState.DEAD)
        self.ready.discard(who.name)
        if self.holders.get(who.slot) == who.name:
            del self.holders[who.slot]

    def _live_on(self) -> None:
        for one in list(self.there.values()):
            ripe = self.at - self.started.get(one.container, self.at) >= 2 * NS
            is_well = one.release != self.broken and one.container not in self.drained
            if one.state is ReplicaState.RUNNING and ripe and is_well:
                self.ready.add(one.name)
            if one.container in self.drained and self.random.random() < 0.5:
                self.die(one)

    def _obey(self, act: Act, slot: str, who: Replica | None, release: str) -> None:
        if act is Act.CREATE:
            self.made += 1
            made = replica(slot, self.made, release, ReplicaState.CREATED)
            self.there[made.container] = made
            return
        assert who is not None
        if who.container not in self.there:
            return
        if act is Act.START:
            self.there[who.container] = msgspec.structs.replace(who, state=ReplicaState.RUNNING)
            self.started[who.container] = self.at
        elif act is Act.ENTER:
            self.holders[slot] = who.name
            self.held.add(slot)
        elif act is Act.DRAIN:
            self.drained[who.container] = self.at
            self.ready.discard(who.name)
            if self.holders.get(slot) == who.name:
                del self.holders[slot]
        elif act is Act.STOP:
            self.die(who)
        else:
            del self.there[who.container]


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here takes time, so that rounds need not wait."""
    monkeypatch.setattr(Deployer, "ROUND", 0.003)
    monkeypatch.setattr(Deployer, "IDLE_ROUND", 0.01)
    monkeypatch.setattr(Deployer, "STANDBY_LOOKS", 0.01)
