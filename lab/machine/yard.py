"""The yard: three engines in containers of this machine, joined to a swarm, so that there is more than one machine.

Everything is the lab's by its labels, reaches nothing outside, and is removed as any cluster is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from docker import APIClient
from docker.types import IPAMConfig, IPAMPool

from lab.errors import EngineError, SetupError, UsageError, WaitTimeout
from lab.machine import labels
from lab.machine.engine import NotFound, engine_errors, try_connect
from lab.machine.images import NODE
from lab.machine.labels import Identity
from lab.machine.ports import free_ports
from lab.machine.setup import Toolbox
from lab.machine.subnets import free_subnet
from lab.model import Value
from lab.retry import wait_until

Say = Callable[[str], None]

ROLE, BEGUN = "yard-node", "yard-begun"
"""The role of a node's container, and of a volume that is there only until all of them have joined."""
ZONE_LABEL = "zone"
"""On a node of a swarm: its zone."""
ZONES = ("a", "b", "c")
DOORS = (8080, 8081, 8082, 8083)
"""The ports of every node that are published here, so that so many clusters can stand beside each other."""
FIRST_ADDRESS = 11
STARTS_WITHIN, JOINS_WITHIN, LOOKS_WITHIN = 60.0, 60.0, 5.0
LONGEST_SOCKET = 104
"""Bytes in the path of a unix socket that every system takes."""


class YardNode(Value):
    """One engine of a yard."""

    name: str
    zone: str
    container: str
    """On the engine outside."""
    is_running: bool
    socket: str
    """Where its engine answers."""
    doors: Mapping[int, tuple[str, int]]
    """By the node's own port, where it is published on this machine."""

    @property
    def address(self) -> str:
        """As DOCKER_HOST has it."""
        return f"unix://{self.socket}"


def yard_name(project: str) -> str:
    """The name of a checkout's yard, by that of its own cluster."""
    return f"{project}-yard"


def find_yard(engine: APIClient, name: str) -> tuple[YardNode, ...]:
    """The nodes of this yard, those that do not run too; none where there is no yard of this name."""
    only = {"label": [f"{labels.PROJECT}={name}", f"{labels.ROLE}={ROLE}"]}
    with engine_errors("look for the yard's nodes", at=name):
        found = engine.containers(all=True, filters=only)
        read = []
        for one in found:
            try:
                read.append(_node_of(engine.inspect_container(one["Id"])))
            except NotFound:
                continue
    return tuple(sorted(read, key=lambda node: node.name))


def is_whole(engine: APIClient, name: str) -> bool:
    """Whether bringing it up came to its end."""
    with engine_errors("look for the yard", at=name):
        return not engine.volumes(filters={"label": [f"{labels.PROJECT}={name}", f"{labels.ROLE}={BEGUN}"]})["Volumes"]


def make_yard(toolbox: Toolbox, identity: Identity, folder: Path, say: Say, *, by: str = "") -> tuple[YardNode, ...]:
    """Three nodes that have joined one swarm, all of them managers, each in a zone. The caller removes what failed.

    `by` is the process that makes it, where `identity` is one that outlives it: should it be killed half-way, what is
    there is nobody's, and any lab may remove it. Raises SetupError on a machine on which no engine starts within a
    container.
    """
    engine, name = toolbox.engine, identity.project
    _check_path(folder)
    begun = msgspec.structs.replace(identity, owner=by or identity.owner)
    with engine_errors("begin a yard", at=name):
        engine.create_volume(f"{name}_begun", labels=begun.labels(BEGUN))
    subnet = free_subnet(engine)
    addresses = [str(one) for one in ipaddress.ip_network(subnet).hosts()][FIRST_ADDRESS:][: len(ZONES)]
    _make_network(engine, identity, subnet)
    ports = iter(free_ports(len(ZONES) * len(DOORS)))
    for number, (zone, address) in enumerate(zip(ZONES, addresses, strict=True), start=1):
        place = _Place(
            name=f"node{number}",
            zone=zone,
            address=address,
            folder=folder / f"node{number}",
            doors={door: next(ports) for door in DOORS},
        )
        _make_node(engine, identity, toolbox.images.tag(NODE), place)
    nodes = find_yard(engine, name)
    say(f"yard: {len(nodes)} engines are starting")
    with ThreadPoolExecutor(len(nodes)) as pool:
        clients = list(pool.map(lambda node: _wait_for_engine(engine, node), nodes))
    try:
        _join(clients, nodes, addresses)
    finally:
        for client in clients:
            client.close()
    with engine_errors("say that the yard is whole", at=name):
        engine.remove_volume(f"{name}_begun")
    return nodes


class _Place(Value):
    """What one node is to be."""

    name: str
    zone: str
    address: str
    folder: Path
    doors: Mapping[int, int]


def _check_path(folder: Path) -> None:
    longest = str(folder / "node1" / "docker.sock")
    if len(longest.encode()) > LONGEST_SOCKET:
        raise UsageError(
            "this folder's path is too long for a unix socket", at=longest, hint="a checkout with a shorter path"
        )


def _make_network(engine: APIClient, identity: Identity, subnet: str) -> None:
    pool = IPAMPool(subnet=subnet)
    with engine_errors("make the yard's network", at=identity.project):
        engine.create_network(
            f"{identity.project}_yard", labels=identity.labels("network"), ipam=IPAMConfig(pool_configs=[pool])
        )


def _make_node(engine: APIClient, identity: Identity, image: str, place: _Place) -> None:
    project = identity.project
    volume = f"{project}_{place.name}"
    place.folder.mkdir(parents=True, exist_ok=True)
    carried = {**identity.labels(ROLE), labels.ZONE: place.zone, labels.REPLICA: place.name}
    host: dict[str, Any] = {
        "NetworkMode": f"{project}_yard",
        "Init": True,
        "CapAdd": ["ALL"],
        "CapDrop": ["SYS_RESOURCE"],  # which an engine can do without, and some machines don't give
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "CgroupnsMode": "host",
        "Binds": ["/sys/fs/cgroup:/sys/fs/cgroup", f"{volume}:/var/lib/docker", f"{place.folder.resolve()}:/yard"],
        "Tmpfs": {"/run": "exec,mode=755"},
        "PortBindings": {
            f"{door}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}] for door, port in place.doors.items()
        },
    }
    with engine_errors(f"make {place.name} of the yard", at=project):
        engine.create_volume(volume, labels=identity.labels("volume"))
        made = engine.create_container_from_config(
            {
                "Image": image,
                "Hostname": place.name,
                # Without it no task gets into a network where IPv6 can't be switched off.
                "Env": ["DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1"],
                "Labels": carried,
                "ExposedPorts": {f"{door}/tcp": {} for door in place.doors},
                "HostConfig": host,
                "NetworkingConfig": {
                    "EndpointsConfig": {f"{project}_yard": {"IPAMConfig": {"IPv4Address": place.address}}}
                },
            },
            f"{project}-{place.name}",
        )
        engine.start(made["Id"])


def _wait_for_engine(engine: APIClient, node: YardNode) -> APIClient:
    """A client of a node's engine. Raises SetupError with the engine's last words where it does not start."""

    def has_ended() -> bool:
        return not engine.inspect_container(node.container)["State"]["Running"]

    try:
        return wait_until(
            f"the engine of {node.name}",
            lambda: try_connect(node.address),
            within=STARTS_WITHIN,
            every=0.2,
            gives_up=has_ended,
        )
    except WaitTimeout as exc:
        said = engine.logs(node.container, tail=3).decode(errors="replace").strip().splitlines() or ["no output"]
        raise SetupError(
            f"an engine within a container does not start on this machine: {said[-1]}",
            at=node.name,
            hint="a machine, or a container, that may mount and make networks (--privileged)",
        ) from exc


def _join(clients: Sequence[APIClient], nodes: Sequence[YardNode], addresses: Sequence[str]) -> None:
    """One swarm of them all: each a manager, labelled with its zone."""
    first, *others = clients
    with engine_errors("begin the yard's swarm", at=nodes[0].name):
        first.init_swarm(advertise_addr=addresses[0])
        token = first.inspect_swarm()["JoinTokens"]["Manager"]
        for client, address in zip(others, addresses[1:], strict=True):
            client.join_swarm([f"{addresses[0]}:2377"], token, advertise_addr=address)
        zones = {node.name: node.zone for node in nodes}

        def are_there() -> bool:
            known = {one["Description"]["Hostname"] for one in first.nodes() if one["Status"]["State"] == "ready"}
            return known == set(zones)

        wait_until("every node is in the swarm", are_there, within=JOINS_WITHIN, every=0.2)
        for one in first.nodes():
            label_node(first, one, {ZONE_LABEL: zones[one["Description"]["Hostname"]]})


def label_node(manager: APIClient, node: Mapping[str, Any], more: Mapping[str, str]) -> None:
    """Give a node of a swarm these labels beside its own."""
    spec: Any = dict(node["Spec"])
    spec["Labels"] = {**(spec.get("Labels") or {}), **more}
    manager.update_node(node["ID"], node["Version"]["Index"], spec)


def _node_of(inspected: Mapping[str, Any]) -> YardNode:
    carried = inspected["Config"]["Labels"]
    sockets = [one["Source"] for one in inspected["Mounts"] if one["Destination"] == "/yard"]
    bound = inspected["HostConfig"]["PortBindings"] or {}
    return YardNode(
        name=carried[labels.REPLICA],
        zone=carried[labels.ZONE],
        container=inspected["Id"],
        is_running=bool(inspected["State"]["Running"]),
        socket=f"{sockets[0]}/docker.sock",
        doors={
            int(port.partition("/")[0]): (one["HostIp"], int(one["HostPort"])) for port, [one] in sorted(bound.items())
        },
    )


def look_at_yard(nodes: Sequence[YardNode]) -> dict[str, str]:
    """What the swarm says of each node, by name, as the first manager that answers sees it."""
    said = {node.name: "stopped" if not node.is_running else "its engine is silent" for node in nodes}
    for node in nodes:
        client = try_connect(node.address, timeout=LOOKS_WITHIN) if node.is_running else None
        if client is None:
            continue
        try:
            with engine_errors("ask the swarm for its nodes", at=node.name):
                for one in client.nodes():
                    name = one["Description"]["Hostname"]
                    leads = ", leads" if (one.get("ManagerStatus") or {}).get("Leader") else ""
                    state, is_asked = one["Status"]["State"], one["Spec"]["Availability"]
                    said[name] = f"{state}{'' if is_asked == 'active' else f', {is_asked}'}{leads}"
        except EngineError:
            continue
        finally:
            client.close()
        break
    return said
