"""Who is taken for frozen: never all at once, and none that its gate calls slow; and what is told of the others."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from lab import record
from lab.balancer.protocol import ReplicaAnswer
from lab.clock import NS, FakeClock
from lab.cluster.protocol import AppStop
from lab.deploy.deployer import Deployer
from lab.deploy.desk import Desk
from lab.deploy.look import FROZEN_AFTER, Lookout
from lab.deploy.news import TOLD_AFTER
from lab.deploy.rollout import first_desired
from lab.model import Release, Replica, ReplicaState, Slot
from lab.state.file import FileState
from lab.testing.fake_cluster import FakeCluster


def replica(number: int, state: ReplicaState = ReplicaState.RUNNING) -> Replica:
    return Replica(
        container=f"{number:064x}",
        name=f"s{number}-{number}",
        slot=f"s{number}",
        zone="a",
        release="v1",
        state=state,
        generation=number,
    )


class Words:
    """A balancer that says what it is told to say."""

    def __init__(self) -> None:
        self.said: dict[str, ReplicaAnswer] = {}

    def holders(self, _slots: Collection[str]) -> dict[str, ReplicaAnswer]:
        return {}

    def replicas(self, names: Collection[str]) -> dict[str, ReplicaAnswer]:
        return {name: self.said[name] for name in names if name in self.said}


ALL = [replica(number) for number in (1, 2, 3)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def well(words: Words) -> None:
    words.said = {one.name: ReplicaAnswer(replica=one.name, is_ready=True) for one in ALL}


def test_where_all_are_silent_one_is_replaced_and_then_the_next(clock: FakeClock) -> None:
    """As they are when the machine is slow: nobody takes all of them away at once."""
    words = Words()
    lookout = Lookout(words, clock)
    well(words)
    lookout.look(ALL)
    words.said.clear()
    clock.sleep(FROZEN_AFTER + 1)
    first = lookout.look(ALL).frozen
    assert len(first) == 1
    assert lookout.look(ALL).frozen == first, "it is still there"
    left = [one for one in ALL if one.container not in first]
    starting = replica(4)
    assert not lookout.look([*left, starting]).frozen, "its replacement is starting"
    words.said = {starting.name: ReplicaAnswer(replica=starting.name, is_ready=True)}
    lookout.look([*left, starting])
    assert len(lookout.look([*left, starting]).frozen) == 1


def test_one_that_its_gate_calls_silent_is_silent(clock: FakeClock) -> None:
    """The gate answers for it, which is no answer of its own; one that is slow has its last word."""
    words = Words()
    lookout = Lookout(words, clock)
    well(words)
    lookout.look(ALL)
    slow, gone, _ = ALL
    for _ in range(int(FROZEN_AFTER) + 2):
        clock.sleep(1.1)
        words.said[slow.name] = ReplicaAnswer(replica=slow.name, is_ready=True, saw="slow; before, it said 200")
        words.said[gone.name] = ReplicaAnswer(replica=gone.name, is_ready=False, saw="refused", is_silent=True)
        seen = lookout.look(ALL)
    assert seen.frozen == {gone.container}
    assert lookout.saw == {slow.name: "slow; before, it said 200", gone.name: "refused"}


SLOTS = (Slot(name="a1", zone="a"),)


class SaysWhy:
    """Its replicas run, and never get ready."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster, self.saw = cluster, "GET /healthz on 8000: 503"

    def holders(self, _slots: Collection[str]) -> dict[str, ReplicaAnswer]:
        return {}

    def replicas(self, names: Collection[str]) -> dict[str, ReplicaAnswer]:
        return {name: ReplicaAnswer(replica=name, is_ready=False, saw=self.saw) for name in names}


def test_who_never_gets_ready_is_told_with_what_was_seen(clock: FakeClock, tmp_path: Path) -> None:
    """Once it had a few seconds, and again only when that changes; and when an app got its stop signal, once."""
    events: list[record.AnyEvent] = []
    cluster = FakeCluster(slots=SLOTS)
    balancer = SaysWhy(cluster)
    with FileState(tmp_path / "state.db") as state:
        desk = Desk(state, "c", clock=clock)
        desk.begin(first_desired(Release(name="v1", image="web:v1"), SLOTS))
        deployer = Deployer(cluster, balancer, state, "c", events.append, holder="one", clock=clock)
        rounds = 0

        def is_over() -> bool:
            nonlocal rounds
            rounds += 1
            if rounds == 5:
                clock.sleep(TOLD_AFTER + 0.1)
            if rounds == 8:
                balancer.saw = "GET /healthz on 8000: connection refused"
                [one] = cluster.replicas()
                cluster.stops[one.container] = AppStop(at=7, service="web", signal="SIGTERM", grace=3.0, process="sh")
            return rounds > 11

        deployer.run_until(is_over)
    told = [one for one in events if isinstance(one, record.NotReady)]
    assert [one.saw for one in told] == ["GET /healthz on 8000: 503", "GET /healthz on 8000: connection refused"]
    [stop] = [one for one in events if isinstance(one, record.AppStopped)]
    assert (stop.at, stop.service, stop.process) == (7, "web", "sh")
    assert told[0].at >= TOLD_AFTER * NS
