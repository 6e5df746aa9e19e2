"""What any backend promises those who run on it: the same suite for the one in this process and for Docker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from random import Random

import pytest

from lab import record
from lab.backends.protocol import Backend, ClusterOrder, OpenProject
from lab.chaos.faults import FAULTS
from lab.deploy.rollout import first_desired
from lab.errors import LabError
from lab.machine.projects import run_identity
from lab.model import Operation, ReplicaState, Role
from lab.retry import wait_until
from lab.run.deployed import deployed, wait_settled
from lab.scenario.spec import ClusterSpec
from lab.users import Crowd, CrowdSize, Door
from tests.in_process import InProcessLab

SPEC = ClusterSpec(release="shop:v1", zones={"a": 1, "b": 1})


REAL = [pytest.param("docker", marks=pytest.mark.e2e), pytest.param("swarm", marks=pytest.mark.prove)]


@pytest.fixture(params=["in process", *REAL], scope="module")
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    if request.param in {"docker", "swarm"}:
        found: Backend = request.getfixturevalue("backend" if request.param == "docker" else "swarm_backend")
        return found
    return InProcessLab(tmp_path_factory.mktemp("lab")).backend


@pytest.fixture(scope="module")
def events() -> list[record.AnyEvent]:
    return []


@pytest.fixture(scope="module")
def live(ground: Backend, events: list[record.AnyEvent]) -> Iterator[OpenProject]:
    """A cluster of which both slots serve, and whose events are heard."""
    identity = run_identity(f"contract-{secrets.token_hex(3)}")
    first = first_desired(ground.release("shop:v1"), SPEC.slots)
    with (
        ground.events(identity.project, events.append),
        ground.bring_up(ClusterOrder(identity=identity, spec=SPEC)) as live,
        ground.state() as state,
        deployed(live, state, lambda _: None, first=first) as (desk, at_work),
    ):
        wait_settled(desk, at_work, within=90)
        yield live


def test_every_slot_serves_through_the_doors(live: OpenProject) -> None:
    """Replicas, the balancer's answers and what users get are of one cluster."""
    running = {one.name for one in live.cluster.replicas() if one.state is ReplicaState.RUNNING}
    assert {one.replica for one in live.balancer.holders(["a1", "b1"]).values()} == running
    seen: list[Operation] = []
    doors = [Door(host=host, port=port) for host, port in live.doors]
    size = CrowdSize(users=2, think=0.02)
    with Crowd(doors, size, chance=Random(1), on_operation=seen.append) as crowd:
        crowd.log_in(20)
        crowd.shop()
        wait_until("both have answered", lambda: {t.replica for op in seen for t in op.tries} >= running, within=20)
        crowd.settle(10)
    assert all(one.tries[-1].release == "v1" for one in seen if one.tries)


def test_whatever_is_struck_is_found_by_its_role(live: OpenProject) -> None:
    """Replicas in their slots, a balancer and a store; nobody else's."""
    found = live.strikable.victims()
    assert sorted(one.slot for one in found if one.role is Role.APP) == ["a1", "b1"]
    assert {Role.BALANCER, Role.STORE} <= {one.role for one in found}
    assert live.stores.trouble() == ""
    assert live.stores.primary() in {one.name for one in found if one.role is Role.STORE}


def test_a_death_is_heard_and_made_good(live: OpenProject, events: list[record.AnyEvent]) -> None:
    """The engine's words come in order: killed, dead; then another one is made and starts."""
    victim = next(one for one in live.strikable.victims() if one.slot == "a1" and one.is_running)
    assert live.strikable.do(victim.container, FAULTS["kill"].do(victim, "SIGKILL"))

    def words() -> list[str]:
        mine = (one for one in events if isinstance(one, record.ContainerEvent) and one.container == victim.container)
        return [one.action for one in mine if one.action in {"create", "start", "kill", "die"}]

    wait_until("its death is heard", lambda: "die" in words(), within=20)
    told = words()
    assert told.count("kill") in {1, 2}  # a lab's own deployer tells it to enter its slot, too
    assert [word for word in told if word != "kill"] == ["create", "start", "die"]
    assert told[-2:] == ["kill", "die"]
    replaced = wait_until(
        "another one serves",
        lambda: (now := live.balancer.holders(["a1"]).get("a1")) and now.is_ready and now.replica != victim.name,
        within=30,
    )
    assert replaced


def test_a_store_that_is_away_is_told_and_comes_back(live: OpenProject) -> None:
    """While it is frozen the stores are not whole."""
    store = next(one for one in live.strikable.victims() if one.role is Role.STORE)
    fault = FAULTS["freeze"]
    assert live.strikable.do(store.container, fault.do(store, "SIGKILL"))
    assert store.name in live.stores.trouble()
    for harm in fault.undo(store):
        assert live.strikable.do(store.container, harm)
    wait_until("the stores are whole", lambda: not live.stores.trouble(), within=20)


def test_what_is_up_can_be_attached_to(ground: Backend, live: OpenProject) -> None:
    """The same doors and replicas; nothing is done to it by that."""
    assert ground.is_there(live.project)
    with ground.attach(live.project, SPEC.slots) as again:
        assert again.doors == live.doors
        assert {one.container for one in again.cluster.replicas()} >= {
            one.container for one in ground.cluster(live.project).replicas()
        }
    assert ground.is_there(live.project)


def test_a_cluster_is_gone_after_its_block(ground: Backend) -> None:
    """Also where the block fails; taking down what is not there is no error."""
    identity = run_identity(f"contract-{secrets.token_hex(3)}")
    with pytest.raises(RuntimeError), ground.bring_up(ClusterOrder(identity=identity, spec=SPEC)):
        raise RuntimeError("the block fails")
    assert not ground.is_there(identity.project)
    assert ground.take_down(identity.project) == []


def test_a_cluster_that_is_kept_is_taken_down_by_name(ground: Backend) -> None:
    """As by `lab down`."""
    identity = run_identity(f"contract-{secrets.token_hex(3)}")
    with ground.bring_up(ClusterOrder(identity=identity, spec=SPEC), is_kept=lambda: True):
        pass
    assert ground.is_there(identity.project)
    assert ground.take_down(identity.project)
    assert not ground.is_there(identity.project)


def test_what_cant_be_had_is_refused_before_anything_is_there(ground: Backend) -> None:
    """An image that nobody has."""
    with pytest.raises(LabError):
        ground.provide(["nobody-has-this:v1"], lambda _: None)


def test_it_says_what_it_is(ground: Backend) -> None:
    """For the record of a run: the engine, and the release's image by content."""
    assert ground.describe()["engine"]
    image = ground.release("shop:v1").image
    assert ground.image_ids(["shop:v1"])[image]
