"""What any cluster promises those who act on it: the same suite for the fake and for Docker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from lab.backends.docker import release_of, temporary_cluster
from lab.backends.protocol import ClusterOrder
from lab.cluster.protocol import Cluster
from lab.errors import EngineError, Fenced
from lab.machine.projects import run_identity
from lab.model import Release, Replica, ReplicaState, Slot
from lab.retry import wait_until
from lab.scenario.spec import ClusterSpec
from lab.testing.fake_cluster import FakeCluster
from tests.in_process import InProcessLab

SLOTS = (Slot(name="a1", zone="a"), Slot(name="b1", zone="b"))
V1 = Release(name="v1", image="unused by the fake")


@pytest.fixture(params=["fake", "in process", pytest.param("docker", marks=pytest.mark.e2e)], scope="module")
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Release]]:
    """A cluster without replicas, and a release that it can run."""
    if request.param == "fake":
        yield FakeCluster(slots=SLOTS), V1
        return
    if request.param == "in process":
        backend = InProcessLab(tmp_path_factory.mktemp("lab")).backend
        spec = ClusterSpec(release="shop:v1", zones={"a": 1, "b": 1})
        with backend.bring_up(ClusterOrder(identity=run_identity("contract"), spec=spec)) as live:
            yield live.cluster, backend.release("shop:v1")
        return
    toolbox = request.getfixturevalue("toolbox")
    release = release_of(toolbox, "shop:v1")
    identity = run_identity(f"contract-{secrets.token_hex(3)}")
    with temporary_cluster(toolbox, identity, SLOTS, release.image) as live:
        yield live.cluster, release


@pytest.fixture
def cluster(ground: tuple[Cluster, Release]) -> Iterator[Cluster]:
    yield ground[0]
    for left in ground[0].replicas():
        ground[0].remove(left)


@pytest.fixture
def release(ground: tuple[Cluster, Release]) -> Release:
    return ground[1]


def find(cluster: Cluster, replica: Replica) -> Replica | None:
    return next((one for one in cluster.replicas() if one.container == replica.container), None)


def wait_for(cluster: Cluster, replica: Replica, state: ReplicaState) -> Replica:
    def look() -> Replica | None:
        found = find(cluster, replica)
        return found if found is not None and found.state is state else None

    return wait_until(f"{replica.name} is {state}", look, within=20)


def test_a_created_replica_is_there_and_does_not_run(cluster: Cluster, release: Release) -> None:
    """Creation and start are two acts, so that a deployer may die between them."""
    made = cluster.create(SLOTS[0], release)
    found = find(cluster, made)
    assert found is not None
    assert found.state is ReplicaState.CREATED
    assert (found.slot, found.zone, found.release, found.name) == ("a1", "a", "v1", made.name)
    assert len(found.container) == 64


def test_every_replica_has_a_higher_generation_and_its_own_name(cluster: Cluster, release: Release) -> None:
    """Of two replicas in one slot it is always known which is newer."""
    first, second = cluster.create(SLOTS[0], release), cluster.create(SLOTS[0], release)
    assert second.generation > first.generation
    assert second.name != first.name


def test_a_name_is_not_given_again(cluster: Cluster, release: Release) -> None:
    """Records tell replicas apart by name, so one that replaces the newest must not be called as it was."""
    newest = cluster.create(SLOTS[0], release)
    cluster.remove(newest)
    assert cluster.create(SLOTS[0], release).name != newest.name


def test_starting_twice_is_starting_once(cluster: Cluster, release: Release) -> None:
    """Every act may be repeated."""
    made = cluster.create(SLOTS[0], release)
    cluster.start(made)
    cluster.start(made)
    wait_for(cluster, made, ReplicaState.RUNNING)


def test_a_killed_replica_is_dead_and_stays_dead(cluster: Cluster, release: Release) -> None:
    """No restart policy of an engine brings it back: that is the deployer's business."""
    made = cluster.create(SLOTS[1], release)
    cluster.start(made)
    wait_for(cluster, made, ReplicaState.RUNNING)
    assert cluster.signal(made, "SIGKILL")
    wait_for(cluster, made, ReplicaState.DEAD)
    assert not cluster.signal(made, "SIGKILL")
    found = find(cluster, made)
    assert found is not None
    assert found.state is ReplicaState.DEAD


def test_a_signal_to_one_that_never_ran_or_is_gone_does_nothing(cluster: Cluster, release: Release) -> None:
    """A late kill hits nobody."""
    made = cluster.create(SLOTS[0], release)
    assert not cluster.signal(made, "SIGKILL")
    cluster.remove(made)
    assert not cluster.signal(made, "SIGKILL")


def test_removing_twice_is_removing_once(cluster: Cluster, release: Release) -> None:
    """What is gone counts as removed, running or not."""
    made = cluster.create(SLOTS[0], release)
    cluster.start(made)
    cluster.remove(made)
    cluster.remove(made)
    assert find(cluster, made) is None


def test_starting_what_is_gone_is_an_engine_error(cluster: Cluster, release: Release) -> None:
    """A start that can't have happened is told, not swallowed."""
    made = cluster.create(SLOTS[0], release)
    cluster.remove(made)
    with pytest.raises(EngineError):
        cluster.start(made)


def test_an_earlier_tenure_acts_no_more(cluster: Cluster, release: Release) -> None:
    """Once a later deployer has looked, whatever an earlier one still does to a replica is refused."""
    old, new = cluster.fenced(11), cluster.fenced(12)
    made = cluster.create(SLOTS[0], release)
    cluster.start(made)
    wait_for(cluster, made, ReplicaState.RUNNING)
    assert [one.container for one in new.replicas()] == [made.container]
    with pytest.raises(Fenced):
        old.signal(made, "SIGTERM")
    with pytest.raises(Fenced):
        old.remove(made)
    with pytest.raises(Fenced):
        old.replicas()
    found = find(cluster, made)
    assert found is not None
    assert found.state is ReplicaState.RUNNING
    assert new.signal(made, "SIGKILL")
    wait_for(cluster, made, ReplicaState.DEAD)


def test_an_earlier_tenure_starts_nothing(cluster: Cluster, release: Release) -> None:
    """What it made is taken over, unstarted."""
    old, new = cluster.fenced(21), cluster.fenced(22)
    made = old.create(SLOTS[0], release)
    assert [one.container for one in new.replicas()] == [made.container]
    with pytest.raises(Fenced):
        old.start(made)
    new.start(made)
    wait_for(cluster, made, ReplicaState.RUNNING)


def test_what_is_made_too_late_is_taken_over(cluster: Cluster, release: Release) -> None:
    """A replica that an earlier tenure makes after the later one looked belongs to the later one at its next look."""
    old, new = cluster.fenced(31), cluster.fenced(32)
    new.replicas()
    late = old.create(SLOTS[1], release)
    assert late.container in [one.container for one in new.replicas()]
    with pytest.raises(Fenced):
        old.start(late)
    new.remove(late)
    assert find(cluster, late) is None


def test_whoever_is_not_fenced_goes_on_by_full_id(cluster: Cluster, release: Release) -> None:
    """Chaos and teardown are nobody's tenure: a renamed replica is still the same container."""
    made = cluster.create(SLOTS[0], release)
    cluster.start(made)
    wait_for(cluster, made, ReplicaState.RUNNING)
    cluster.fenced(41).replicas()
    assert cluster.signal(made, "SIGKILL")
    wait_for(cluster, made, ReplicaState.DEAD)
