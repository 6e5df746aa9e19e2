"""A deployer's surroundings without containers: a fake cluster, a balancer that asks it, a real state and its desk."""

from __future__ import annotations

from collections.abc import Collection

from lab import record
from lab.balancer.protocol import ReplicaAnswer
from lab.clock import SYSTEM_CLOCK, Clock
from lab.deploy.deployer import Boundary, Deployer
from lab.deploy.desk import Desk
from lab.deploy.rollout import Ending, first_desired
from lab.model import Release, ReplicaState, Slot
from lab.state.file import FileState
from lab.testing.fake_cluster import FakeCluster

SLOTS = tuple(Slot(name=f"{zone}1", zone=zone) for zone in "abc")
V1, V2 = Release(name="v1", image="shop:1"), Release(name="v2", image="shop:2")


class Killed(BaseException):
    """What a SIGKILL is to a thread."""


class FakeBalancer:
    """Every running replica is ready at once, but for those of a broken release."""

    def __init__(self, cluster: FakeCluster, broken: str = "") -> None:
        self._cluster, self._broken = cluster, broken

    def holders(self, slots: Collection[str]) -> dict[str, ReplicaAnswer]:
        engine = self._cluster.engine
        found = {}
        for slot in slots:
            one = engine.there.get(engine.entered.get(slot, ""))
            if one is not None and one.state is ReplicaState.RUNNING:
                found[slot] = ReplicaAnswer(replica=one.name, is_ready=True)
        return found

    def takes(self) -> None:
        """How long an answer takes."""

    def replicas(self, names: Collection[str]) -> dict[str, ReplicaAnswer]:
        self.takes()
        return {
            one.name: ReplicaAnswer(replica=one.name, is_ready=one.release != self._broken)
            for one in list(self._cluster.engine.there.values())
            if one.name in names and one.state is ReplicaState.RUNNING
        }


class Ground:
    """A fake cluster, its state and its desk."""

    def __init__(self, state: FileState, broken: str = "", clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.state, self.cluster = state, FakeCluster(slots=SLOTS)
        self.balancer = FakeBalancer(self.cluster, broken)
        self.desk = Desk(state, "c", clock=clock)
        self.events: list[record.AnyEvent] = []
        self.desk.begin(first_desired(V1, SLOTS))

    def deployer(self, holder: str, boundary: Boundary = lambda _moment, _step: None) -> Deployer:
        return Deployer(
            self.cluster,
            self.balancer,
            self.state,
            "c",
            self.events.append,
            holder=holder,
            is_gone=lambda other: other in self.gone,
            boundary=boundary,
            clock=self.clock,
        )

    gone: Collection[str] = frozenset()

    def settle(self, deployer: Deployer) -> None:
        deployer.run_until(self.desk.is_settled)

    def releases(self) -> list[str]:
        return sorted(one.release for one in self.cluster.replicas())

    def ending(self) -> Ending | None:
        rollout = self.desk.read().desired.rollout
        return rollout.ending if rollout is not None else None
