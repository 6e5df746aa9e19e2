"""What a cluster is made of on a swarm: a network, secrets, the store's service, the balancer's and the app's.

Nothing here places or replaces anything: Swarm does. What is multiplied is one service of as many tasks as there are
slots, spread over the zones; its tasks are found by name, since not every kernel has virtual addresses to give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from docker import APIClient, types

from lab.cluster.commands import ClusterPlan
from lab.machine import labels
from lab.machine.labels import Identity
from lab.machine.swarm import Swarm, SwarmNode
from lab.model import Release, Role, Value

NS = 1_000_000_000
APP_PORT = 8000
USERS_PORT = 8080
INSIDE = "inside"
APP, STORE, BALANCER, CROWD = "app", "store", "balancer", "crowd"
USER = "10001:10001"
ROLLOUT, SLOTS, EDGES = "lab.rollout", "lab.slots", "lab.edges"
"""On the app's service: the rollout that changed it last, the lab's names of its slots in Swarm's order, and the nodes
with a balancer."""
RESTARTS_AFTER = 1.0
"""Seconds between a task's end and the next one's begin."""
READY_WITHIN, GRACE = 30.0, 10.0
MONITOR = 2.0
"""Seconds for which Swarm watches each new task of an update."""
_ASKS_READY = (
    f"exec 3<>/dev/tcp/127.0.0.1/{APP_PORT}; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3;"
    ' read -r _ status _ <&3; [ "$status" = 200 ]'
)
"""In the shell alone: an interpreter that starts each second would take a third of a core from six replicas."""
MB = 2**20
WORKER_MEMORY = 2048
"""MB of one worker at most."""
_TMP = "/tmp"  # noqa: S108 -- in a container of its own, and in memory


class StackPlan(Value):
    """What is to be made, and where."""

    plan: ClusterPlan
    release: Release
    replicas: int
    nodes: tuple[SwarmNode, ...]
    """Those of the zones; the first has the store and its volume."""
    others: tuple[str, ...] = ()
    """The ids of nodes that get no replica."""
    edges: tuple[SwarmNode, ...] = ()
    """Where a balancer stands."""
    port: int = USERS_PORT
    """That the balancers publish on their nodes."""

    @property
    def project(self) -> str:
        return self.plan.identity.project


class StackParts(Value):
    """What services refer to by id."""

    network: str
    secrets: Mapping[str, str]
    configs: Mapping[str, str]


def service_name(project: str, part: str) -> str:
    """What Swarm calls a part of a cluster."""
    return f"{project}_{part}"


def make_stack(swarm: Swarm, stack: StackPlan, files: Mapping[str, str]) -> None:
    """Make all of it. `files` are what its containers read, by name. Whatever it made stays where it fails."""
    project = stack.project
    parts = _make_parts(swarm, stack, files)
    for spec in (store_service(stack, parts), balancer_service(stack, parts), app_service(stack, parts)):
        swarm.ask(f"make the service {spec['name']}", partial(create_service, spec), at=project)


def create_service(spec: Mapping[str, Any], manager: APIClient) -> None:
    """Let a manager make it."""
    manager.create_service(**spec)


def _make_parts(swarm: Swarm, stack: StackPlan, files: Mapping[str, str]) -> StackParts:
    identity, project = stack.plan.identity, stack.project

    def make(manager: Any) -> StackParts:
        network = manager.create_network(
            service_name(project, INSIDE), driver="overlay", labels=identity.labels("network"), scope="swarm"
        )
        own = {"labels": identity.labels("file")}
        secrets = {
            name: manager.create_secret(service_name(project, name), files[name].encode(), **own)["ID"]
            for name in ("store_acl", "store_conf", "store_password")
        }
        configs = {
            "nginx": manager.create_config(service_name(project, "nginx"), files["nginx.conf"].encode(), **own)["ID"]
        }
        return StackParts(network=network["Id"], secrets=secrets, configs=configs)

    return swarm.ask("make the cluster's network and secrets", make, at=project)


def store_service(stack: StackPlan, parts: StackParts) -> dict[str, Any]:
    """One Redis on the first node, where its volume is: nobody else has what it keeps."""
    project = stack.project
    container = types.ContainerSpec(
        stack.plan.redis_image,
        command=["/usr/bin/redis-server", "/run/secrets/store_conf"],
        labels=stack.plan.identity.labels(Role.STORE),
        mounts=[
            types.Mount("/data", service_name(project, STORE), labels=stack.plan.identity.labels("volume")),
            _memory(8),
        ],
        secrets=[_secret(project, parts, name) for name in ("store_acl", "store_conf")],
        **_hardened(),
    )
    task = _task(container, parts, STORE, memory=160, constraints=[f"node.id=={stack.nodes[0].id}"])
    return {
        "task_template": task,
        "name": service_name(project, STORE),
        "labels": stack.plan.identity.labels(Role.STORE),
        "mode": types.ServiceMode("replicated", 1),
        "endpoint_spec": types.EndpointSpec(mode="dnsrr"),
    }


def balancer_service(stack: StackPlan, parts: StackParts) -> dict[str, Any]:
    """One nginx on each node that is an edge, published there and nowhere else."""
    project = stack.project
    container = types.ContainerSpec(
        stack.plan.nginx_image,
        labels=stack.plan.identity.labels(Role.BALANCER),
        configs=[
            types.ConfigReference(
                parts.configs["nginx"], service_name(project, "nginx"), filename="/run/lab/nginx.conf", mode=0o444
            )
        ],
        mounts=[_memory(16)],
        **_hardened(),
    )
    is_one = len(stack.edges) == 1
    constraints = [f"node.id=={stack.edges[0].id}"] if is_one else [f"node.id!={other}" for other in stack.others]
    port: Any = {"Protocol": "tcp", "TargetPort": USERS_PORT, "PublishedPort": stack.port, "PublishMode": "host"}
    return {
        "task_template": _task(container, parts, BALANCER, memory=64, constraints=constraints),
        "name": service_name(project, BALANCER),
        "labels": stack.plan.identity.labels(Role.BALANCER),
        "mode": types.ServiceMode("global"),
        "endpoint_spec": types.EndpointSpec(mode="dnsrr", ports=[port]),
    }


def app_service(stack: StackPlan, parts: StackParts) -> dict[str, Any]:
    """The app: as many tasks as slots, spread over the zones."""
    project = stack.project
    return {
        "task_template": app_task(stack, parts),
        "name": service_name(project, APP),
        "labels": {
            **stack.plan.identity.labels(Role.APP),
            labels.PORT: str(stack.port),
            EDGES: ",".join(node.name for node in stack.edges),
        },
        "mode": types.ServiceMode("replicated", stack.replicas),
        "update_config": update_of(at_once=1, pause=0.0, in_place=False),
        "rollback_config": update_of(at_once=1, pause=0.0, in_place=False, fails="pause"),
        "endpoint_spec": types.EndpointSpec(mode="dnsrr"),
    }


def crowd_service(identity: Identity, image: str, network: str, count: int) -> dict[str, Any]:
    """The workers of a crowd: one that has ended is not started again, since nobody knows what it had done."""
    container = types.ContainerSpec(
        image, labels=identity.labels(CROWD), open_stdin=True, mounts=[_memory(8)], **_hardened()
    )
    parts = StackParts(network=network, secrets={}, configs={})
    task = _task(container, parts, CROWD, memory=WORKER_MEMORY, constraints=())
    task["RestartPolicy"] = types.RestartPolicy("none")
    task["Placement"]["Preferences"] = [{"Spread": {"SpreadDescriptor": "node.id"}}]
    task["LogDriver"] = {"Name": "none"}  # all that users do goes through it
    return {
        "task_template": task,
        "name": service_name(identity.project, CROWD),
        "labels": identity.labels(CROWD),
        "mode": types.ServiceMode("replicated", count),
        "endpoint_spec": types.EndpointSpec(mode="dnsrr"),
    }


def app_task(stack: StackPlan, parts: StackParts) -> dict[str, Any]:
    """One task of the app."""
    project, release = stack.project, stack.release
    container = types.ContainerSpec(
        release.image,
        env=[
            "STORE_URL=redis://shop@store:6379/0",
            "STORE_PASSWORD_FILE=/run/secrets/store_password",
            # What the app calls itself in its answers is what the lab calls its task: see `swarm_tasks`.
            'LAB_REPLICA={{.Task.Slot}}-{{printf "%.6s" .Task.ID}}',
            "LAB_ZONE={{.Node.Hostname}}",
            f"LAB_RELEASE={release.name}",
        ],
        labels={**stack.plan.identity.labels(Role.APP), labels.RELEASE: release.name},
        mounts=[_memory(8)],
        secrets=[_secret(project, parts, "store_password")],
        healthcheck=health_of(READY_WITHIN),
        dns_config=types.DNSConfig(options=["timeout:1", "attempts:1"]),
        **_hardened(),
    )
    constraints = [f"node.id!={other}" for other in stack.others]
    task = _task(container, parts, APP, memory=128, constraints=constraints)
    task["Placement"]["Preferences"] = [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]
    return task


def health_of(ready_within: float) -> Any:
    """Swarm's one check for both: a task serves once it is healthy, and one that is not is replaced."""
    return {
        "Test": ["CMD", "/bin/bash", "-c", _ASKS_READY],
        "Interval": NS,
        "Timeout": 2 * NS,
        "Retries": 5,
        "StartPeriod": round(ready_within * NS),
    }


def update_of(*, at_once: int, pause: float, in_place: bool, fails: Literal["rollback", "pause"] = "rollback") -> Any:
    """How Swarm changes the tasks of a service."""
    return types.UpdateConfig(
        parallelism=at_once,
        delay=round(pause * NS),
        failure_action=fails,
        monitor=round(MONITOR * NS),
        max_failure_ratio=0.0,
        order="stop-first" if in_place else "start-first",
    )


def _task(
    container: types.ContainerSpec, parts: StackParts, alias: str, *, memory: int, constraints: Sequence[str]
) -> dict[str, Any]:
    made: dict[str, Any] = types.TaskTemplate(
        container,
        resources=types.Resources(mem_limit=memory * MB),
        restart_policy=types.RestartPolicy("any", delay=round(RESTARTS_AFTER * NS)),
        placement=types.Placement(constraints=list(constraints)),
        networks=[types.NetworkAttachmentConfig(parts.network, aliases=[alias])],
    )
    return made


def _hardened() -> dict[str, Any]:
    return {
        "user": USER,
        "read_only": True,
        "init": True,
        "cap_drop": ["ALL"],
        "stop_grace_period": round(GRACE * NS),
    }


def _secret(project: str, parts: StackParts, name: str) -> types.SecretReference:
    uid, _, gid = USER.partition(":")
    return types.SecretReference(
        parts.secrets[name], service_name(project, name), filename=name, uid=uid, gid=gid, mode=0o400
    )


def _memory(megabytes: int) -> types.Mount:
    return types.Mount(_TMP, None, type="tmpfs", tmpfs_size=megabytes * MB, tmpfs_mode=0o1777)
