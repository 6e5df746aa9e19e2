"""What Swarm says of tasks and services in the lab's words, and what it is asked for: without any engine."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import types

from lab.cluster.commands import ClusterPlan
from lab.cluster.swarm_change import Change, changed
from lab.cluster.swarm_harm import names_of
from lab.cluster.swarm_stack import StackParts, StackPlan, app_service, balancer_service, store_service
from lab.cluster.swarm_tasks import replica_of, service_of, slots_from, slots_text, task_of
from lab.machine import labels
from lab.machine.labels import Identity
from lab.machine.swarm import SwarmNode
from lab.model import Release, ReplicaState, Slot

SLOTS = (Slot(name="a1", zone="a"), Slot(name="b1", zone="b"))
IDENTITY = Identity(project="lab-x", run="r", owner="o", expires=9_999_999_999)
PARTS = StackParts(
    network="net", secrets={"store_acl": "1", "store_conf": "2", "store_password": "3"}, configs={"nginx": "4"}
)


def node(name: str, zone: str, *, is_ready: bool = True) -> SwarmNode:
    return SwarmNode(
        id=f"id-{name}",
        name=name,
        zone=zone,
        version="26",
        is_ready=is_ready,
        is_active=True,
        is_manager=True,
        leads=False,
        host="10.0.0.1",
    )


def told(**more: Any) -> dict[str, Any]:
    """A task as a manager lists it."""
    return {
        "ID": "abcdefghij",
        "Slot": 2,
        "NodeID": "id-node2",
        "DesiredState": "running",
        "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c0ffee"}},
        "Spec": {"ContainerSpec": {"Image": "shop:v1", "Labels": {labels.RELEASE: "v1"}}},
        **more,
    }


def stack(edges: int = 2) -> StackPlan:
    nodes = (node("node1", "a"), node("node2", "b"))
    plan = ClusterPlan(
        identity=IDENTITY,
        compose_file=cast("Any", None),
        folder=cast("Any", None),
        app_image="shop:v1",
        nginx_image="nginx",
        redis_image="redis",
        cutter_image="cutter",
        edges=(),
    )
    release = Release(name="v1", image="shop:v1")
    return StackPlan(plan=plan, release=release, replicas=2, nodes=nodes, others=("id-node3",), edges=nodes[:edges])


def test_a_task_is_called_what_the_app_calls_itself() -> None:
    """Else no answer of a user would be known to be of a replica: the service's environment is the other half."""
    assert task_of(told()).name == "2-abcdef"
    env = app_service(stack(), PARTS)["task_template"]["ContainerSpec"]["Env"]
    assert 'LAB_REPLICA={{.Task.Slot}}-{{printf "%.6s" .Task.ID}}' in env


def test_a_task_is_a_replica_in_the_zone_of_its_node() -> None:
    """Its slot keeps its name wherever Swarm puts it."""
    nodes = {"id-node2": node("node2", "c")}
    replica = replica_of(task_of(told()), nodes, SLOTS)
    assert (replica.slot, replica.zone, replica.release, replica.state) == ("b1", "c", "v1", ReplicaState.RUNNING)


@pytest.mark.parametrize(
    ("state", "is_ready", "expected"),
    [
        ("preparing", True, ReplicaState.CREATED),
        ("starting", True, ReplicaState.RUNNING),
        ("failed", True, ReplicaState.DEAD),
        ("running", False, ReplicaState.DEAD),
    ],
)
def test_a_task_of_a_node_that_is_down_is_dead_whatever_is_remembered(
    state: str, is_ready: bool, expected: ReplicaState
) -> None:
    """Its manager has not heard from there, and says what it heard last."""
    task = task_of(told(Status={"State": state}))
    assert replica_of(task, {"id-node2": node("node2", "b", is_ready=is_ready)}, SLOTS).state is expected


def test_only_a_healthy_task_that_is_wanted_serves() -> None:
    """One that starts is not sent to, nor one that is to leave."""
    assert task_of(told()).serves
    assert not task_of(told(Status={"State": "starting"})).serves
    assert not task_of(told(DesiredState="shutdown")).serves


def test_the_names_of_slots_are_kept_on_the_service() -> None:
    """So that another process calls them the same."""
    spec: dict[str, Any] = {**app_service(stack(), PARTS)}
    service = service_of(
        {
            "ID": "s",
            "Version": {"Index": 3},
            "Spec": {
                "Labels": {**spec["labels"], "lab.slots": slots_text(SLOTS)},
                "TaskTemplate": spec["task_template"],
                "Mode": {"Replicated": {"Replicas": spec["mode"].replicas}},
            },
        }
    )
    assert slots_from(service) == SLOTS
    assert (service.release, service.replicas, service.is_changing) == ("v1", 2, False)
    assert slots_from(None) == ()


def test_an_upgrade_changes_the_release_and_nothing_of_the_place() -> None:
    """Image, its label and its word in the environment go together, whatever was there before."""
    spec = app_service(stack(), PARTS)
    before = {"Labels": spec["labels"], "TaskTemplate": spec["task_template"], "Name": spec["name"]}
    change = Change(
        rollout="r1",
        to=Release(name="v2", image="shop:v2"),
        at_once=2,
        pause=0.5,
        in_place=True,
        ready_within=7.0,
        grace=4.0,
    )
    after = changed(changed(before, change), change)
    container = after["TaskTemplate"]["ContainerSpec"]
    assert container["Image"] == "shop:v2"
    assert container["Labels"][labels.RELEASE] == "v2"
    assert [one for one in container["Env"] if one.startswith("LAB_RELEASE=")] == ["LAB_RELEASE=v2"]
    assert container["Healthcheck"]["StartPeriod"] == 7 * 10**9
    assert container["StopGracePeriod"] == 4 * 10**9
    assert after["UpdateConfig"]["Order"] == "stop-first"
    assert (after["UpdateConfig"]["Parallelism"], after["UpdateConfig"]["FailureAction"]) == (2, "rollback")
    assert after["TaskTemplate"]["Placement"] == before["TaskTemplate"]["Placement"]
    assert before["TaskTemplate"]["ContainerSpec"]["Image"] == "shop:v1"  # what was read is not changed


def test_everything_carries_the_labs_labels() -> None:
    """Services and the containers of their tasks: whatever is removed or struck is chosen by these alone."""
    for made in (store_service(stack(), PARTS), balancer_service(stack(), PARTS), app_service(stack(), PARTS)):
        assert labels.identity_of(made["labels"]) == IDENTITY
        assert labels.identity_of(made["task_template"]["ContainerSpec"]["Labels"]) == IDENTITY
        assert made["task_template"]["ContainerSpec"]["ReadOnly"]


def test_the_store_stays_where_its_volume_is_and_replicas_only_in_their_zones() -> None:
    """A balancer stands on each edge, or on the one that there is."""
    store = store_service(stack(), PARTS)["task_template"]["Placement"]
    assert store["Constraints"] == ["node.id==id-node1"]
    assert app_service(stack(), PARTS)["task_template"]["Placement"]["Constraints"] == ["node.id!=id-node3"]
    assert balancer_service(stack(edges=1), PARTS)["task_template"]["Placement"]["Constraints"] == ["node.id==id-node1"]
    assert balancer_service(stack(), PARTS)["mode"] == types.ServiceMode("global")


def test_a_container_of_swarms_is_named_by_what_swarm_wrote_on_it() -> None:
    """A task by its slot and id, a balancer by its zone, a store as it is."""
    task = {"com.docker.swarm.service.name": "lab-x_app", "com.docker.swarm.task.name": "lab-x_app.2.abcdefghij"}
    assert names_of(task, "lab-x", "app", "b", SLOTS) == {"name": "2-abcdef", "slot": "b1", "zone": "b"}
    balancer = {"com.docker.swarm.service.name": "lab-x_balancer"}
    assert names_of(balancer, "lab-x", "balancer", "b", SLOTS)["name"] == "balancer-b"
    assert names_of({"com.docker.swarm.service.name": "lab-x_store"}, "lab-x", "store", "a", SLOTS)["name"] == "store"
