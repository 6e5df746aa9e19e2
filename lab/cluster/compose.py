"""The real cluster: Compose brings up what is not multiplied, the engine clones the app's replicas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from docker import APIClient

from lab.cluster.carried import carried_files
from lab.cluster.protocol import USUAL_GRACE, USUAL_READY_WITHIN, AppStop
from lab.cluster.tear_down import GONE_MEANWHILE, remove_container
from lab.errors import ClusterError, EngineError, Fenced
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.machine.reach import find_door_host
from lab.model import Release, Replica, ReplicaState, Role, Slot

SERVICE = "com.docker.compose.service"
USERS_PORT, LAB_PORT = "8080/tcp", "8081/tcp"

CONFLICT = 409
# What docker makes of the image where the service says nothing: another release's image has its own.
_FROM_IMAGE = (
    "Cmd",
    "Entrypoint",
    "WorkingDir",
    "User",
    "Healthcheck",
    "StopSignal",
    "ExposedPorts",
    "Volumes",
)


class ComposeCluster:
    """One cluster on a Docker engine. Everything it makes carries `identity`'s labels and nothing else is touched."""

    def __init__(self, engine: APIClient, *, project: str, slots: Sequence[Slot], epoch: int | None = None) -> None:
        self._engine, self.project = engine, project
        self._slots = tuple(slots)
        self._epoch = epoch
        self._pattern: dict[str, Any] | None = None
        self._carried: bytes | None = None
        """What was copied into the pattern, once it is known."""
        self._newest = 0
        """The highest generation made or removed by this handle: its name is not given again."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._slots

    def fenced(self, epoch: int) -> Self:
        return type(self)(self._engine, project=self.project, slots=self._slots, epoch=epoch)

    def replicas(self) -> list[Replica]:
        with engine_errors("list the replicas", at=self.project):
            found = self._engine.containers(all=True, filters={"label": self._only(Role.APP)})
        if self._epoch is not None:
            found = self._take_all_over(found)
        seen = (labels.replica_of(one["Id"], one["Labels"], one["State"]) for one in found)
        return [replica for replica in seen if replica is not None]

    def create(self, slot: Slot, release: Release) -> Replica:
        self._newest = generation = 1 + max([self._newest, *(one.generation for one in self.replicas())])
        name = f"{slot.name}-{generation}"
        pattern = self._read_pattern()
        own = {
            labels.ROLE: Role.APP.value,
            labels.SLOT: slot.name,
            labels.ZONE: slot.zone,
            labels.RELEASE: release.name,
            labels.REPLICA: name,
            labels.GENERATION: str(generation),
            "com.docker.compose.container-number": str(generation),
        }
        told = self._told(slot, name, release)
        [first, *_] = [*_networks(pattern), ""]
        aliases = self._aliases(pattern, first, pattern["Config"]["Labels"][SERVICE])
        body = _clone(pattern, image=release.image, hostname=name, own_labels=own, told=told, aliases=aliases)
        with engine_errors(f"create replica {name}", at=release.image):
            made = self._engine.create_container_from_config(body, self._container_name(name))
            if self._carried is None:
                self._carried = carried_files(self._engine, pattern)
            if self._carried:
                self._engine.put_archive(made["Id"], "/", self._carried)
        return Replica(
            container=made["Id"],
            name=name,
            slot=slot.name,
            zone=slot.zone,
            release=release.name,
            generation=generation,
            state=ReplicaState.CREATED,
        )

    def start(self, replica: Replica) -> None:
        with engine_errors(f"start {replica.name}", at=replica.container[:12]):
            try:
                self._join_others(replica)
                self._engine.start(self._address(replica))
            except NotFound:
                self._check_fence(replica)
                raise

    def signal(self, replica: Replica, signal: str) -> bool:
        return self._is_still(replica) and self._send(replica, signal)

    def _send(self, replica: Replica, signal: str) -> bool:
        """To one that was just read again."""
        with engine_errors(f"send {signal} to {replica.name}", at=replica.container[:12]):
            try:
                self._engine.kill(self._address(replica), signal)
            except APIError as exc:
                if exc.status_code not in GONE_MEANWHILE:
                    raise
                return False
        return True

    def remove(self, replica: Replica) -> None:
        self._newest = max(self._newest, replica.generation)
        with engine_errors(f"remove {replica.name}", at=replica.container[:12]):
            if not remove_container(self._engine, self._address(replica)):
                self._check_fence(replica)

    @property
    def grace(self) -> float:
        """As long as the shop is given."""
        return USUAL_GRACE

    @property
    def ready_within(self) -> float:
        """As long as the shop is given."""
        return USUAL_READY_WITHIN

    def stop_of(self, replica: Replica) -> AppStop | None:  # noqa: ARG002 -- these replicas drain by themselves
        return None

    def trouble_of(self, replica: Replica) -> str:  # noqa: ARG002 -- the shop's replicas have no hooks
        return ""

    def addresses(self, container_port: str = USERS_PORT) -> tuple[tuple[str, int], ...]:
        """Where each balancer's port is reached from here, by zone, and for one that is down too.

        Raises ClusterError where there is none.
        """
        return self._published(Role.BALANCER, container_port)

    def _published(self, role: Role, container_port: str) -> tuple[tuple[str, int], ...]:
        with engine_errors("find the balancers' ports", at=self.project):
            found = self._engine.containers(all=True, filters={"label": self._only(role)})
            found.sort(key=lambda one: str(one["Labels"].get(labels.ZONE, "")))
            bound = [self._engine.inspect_container(one["Id"])["HostConfig"]["PortBindings"] for one in found]
        doors = [
            (find_door_host(one[container_port][0]["HostIp"]), int(one[container_port][0]["HostPort"]))
            for one in bound
            if one and one.get(container_port)
        ]
        if not doors:
            raise ClusterError("there is no balancer", at=self.project, hint="lab status")
        inside = [str(one["Labels"].get(labels.INSIDE, "")).rpartition(" ")[2] for one in found]
        if all(inside):
            return tuple((address, int(container_port.partition("/")[0])) for address in inside)
        return tuple(doors)

    @property
    def inside(self) -> str:
        """The network in which the doors are reached, where that is so; "" where they are published."""
        with engine_errors("look at the balancers", at=self.project):
            found = self._engine.containers(all=True, filters={"label": self._only(Role.BALANCER)})
        networks = [str(one["Labels"].get(labels.INSIDE, "")).partition(" ")[0] for one in found]
        return networks[0] if networks else ""

    def logs(self, container: str, *, last: int = 200) -> str:
        """The last lines that a container wrote; "" where it is gone."""
        with engine_errors("read a container's log", at=container[:12]):
            try:
                return str(self._engine.logs(container, tail=last).decode(errors="replace"))
            except NotFound:
                return ""

    def _join_others(self, replica: Replica) -> None:
        pattern = self._read_pattern()
        if len(_networks(pattern)) > 1:
            self.join_others(pattern, self._address(replica), pattern["Config"]["Labels"][SERVICE])

    def join_others(self, pattern: Mapping[str, Any], address: str, service: str) -> None:
        """Connect it to the networks beside its first one, if there are: engines before 25 create it in one alone."""
        joined = self._engine.inspect_container(address)["NetworkSettings"]["Networks"]
        for name in _networks(pattern)[1:]:
            if name not in joined:  # a deployer may have died in between
                links = [tuple(link.split(":", 1)) for link in _endpoint(pattern, name).get("Links", ())]
                more: dict[str, Any] = {"links": links} if links else {}
                aliases = self._aliases(pattern, name, service) if service else []
                self._engine.connect_container_to_network(address, name, aliases=aliases, **more)

    def _told(self, slot: Slot, name: str, release: Release) -> Mapping[str, str]:
        """What a replica's environment says of its place."""
        return {
            "LAB_SLOT": slot.name,
            "LAB_ZONE": slot.zone,
            "LAB_REPLICA": name,
            "LAB_RELEASE": release.name,
            "LAB_ENTERS": "told",
            **release.env,
        }

    def _aliases(self, pattern: Mapping[str, Any], network: str, service: str) -> list[str]:
        """The names under which a container is found in a network that is made as the pattern is."""
        return aliases_of(pattern, network, service)

    def _only(self, role: Role) -> list[str]:
        return [f"{labels.PROJECT}={self.project}", f"{labels.ROLE}={role.value}"]

    def _container_name(self, replica: str) -> str:
        """A container bears the tenure of the deployer that leads, so that an earlier one's call finds none."""
        return f"{self.project}-{replica}" + ("" if self._epoch is None else f".e{self._epoch}")

    def _address(self, replica: Replica) -> str:
        """How an act names its container: by full id, or for a deployer by the name that its tenure gave."""
        return replica.container if self._epoch is None else self._container_name(replica.name)

    def _take_all_over(self, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those that bear this tenure's names now. Of two that would bear one, the later tenure's does."""
        latest_first = sorted(found, key=lambda one: -_epoch_of(one["Names"][0]))
        return [one for one in latest_first if self._take_over(one)]

    def _take_over(self, found: Mapping[str, Any]) -> bool:
        """Give an earlier tenure's container this one's name; False for one that was made too late and is removed.

        Raises Fenced where a later tenure named it.
        """
        name, replica = found["Names"][0].lstrip("/"), self._name_part(found["Labels"])
        if name == self._container_name(replica):
            return True
        epoch = _epoch_of(name)
        if self._epoch is not None and epoch > self._epoch:
            raise self._fenced_by(epoch)
        with engine_errors(f"take {replica} over", at=name):
            try:
                self._engine.rename(found["Id"], self._container_name(replica))
            except NotFound:
                return False
            except APIError as exc:
                if exc.status_code != CONFLICT:
                    raise
                # Made by an earlier tenure after a later one had made or renamed another of this name. It was never
                # started: whoever made it looks before it starts anything, and finds that it leads no more.
                remove_container(self._engine, found["Id"])
                return False
        return True

    def _name_part(self, its_labels: Mapping[str, str]) -> str:
        """What tells a container's name from those of the cluster's others."""
        return its_labels.get(labels.REPLICA, "")

    def _check_fence(self, replica: Replica) -> None:
        """Raise Fenced if the container of this name is gone only because a later tenure named it."""
        if self._epoch is None:
            return
        with engine_errors(f"read {replica.name} again", at=replica.container[:12]):
            try:
                now = self._engine.inspect_container(replica.container)
            except NotFound:
                return
        epoch = _epoch_of(now["Name"])
        if epoch > self._epoch:
            raise self._fenced_by(epoch)

    def _fenced_by(self, epoch: int) -> Fenced:
        return Fenced(f"tenure {self._epoch} is over, {epoch} leads", at=self.project, hint="lab lock")

    def _is_still(self, replica: Replica) -> bool:
        """Read the victim again by its full id just before anything is done to it."""
        with engine_errors(f"read {replica.name} again", at=replica.container[:12]):
            try:
                now = self._engine.inspect_container(self._address(replica))
            except NotFound:
                self._check_fence(replica)
                return False
        seen = labels.replica_of(now["Id"], now["Config"]["Labels"], now["State"]["Status"])
        identity = labels.identity_of(now["Config"]["Labels"])
        return (
            seen is not None
            and identity is not None
            and identity.project == self.project
            and seen.container == replica.container
            and bool(now["State"]["Running"])
        )

    def _read_pattern(self) -> dict[str, Any]:
        if self._pattern is None:
            with engine_errors("read the app's template container", at=self.project):
                found = self._engine.containers(all=True, filters={"label": self._only(Role.PATTERN)})
                if not found:
                    raise EngineError(
                        "the app's template container is gone",
                        at=self.project,
                        hint=f"lab down -p {self.project}",
                    )
                pattern = self._engine.inspect_container(found[0]["Id"])
                pattern["ImageConfig"] = self._engine.inspect_image(pattern["Image"])["Config"]
            self._pattern = pattern
        return self._pattern


def aliases_of(pattern: Mapping[str, Any], network: str, service: str) -> list[str]:
    """The names of a container in a network, but for those that are its own alone."""
    endpoint = pattern["NetworkSettings"]["Networks"].get(network) or {}
    own = {pattern["Id"][:12], pattern["Name"].lstrip("/")}
    return list(dict.fromkeys([service, *(one for one in endpoint.get("Aliases") or () if one not in own)]))


def clone(
    pattern: Mapping[str, Any],
    *,
    image: str,
    own_labels: Mapping[str, str],
    service: str,
    told: Mapping[str, str],
) -> dict[str, Any]:
    """The engine's create call for a container in another one's place, from another image.

    `told` is what its environment says beside the other's. Without a `service` nobody finds it by a name.
    """
    hostname = pattern["Config"].get("Hostname", "")
    own = hostname if hostname and not pattern["Id"].startswith(hostname) else ""
    [first, *_] = [*_networks(pattern), ""]
    aliases = aliases_of(pattern, first, service) if service else []
    return _clone(pattern, image=image, hostname=own, own_labels=own_labels, told=told, aliases=aliases)


def _clone(
    pattern: Mapping[str, Any],
    *,
    image: str,
    hostname: str,
    own_labels: Mapping[str, str],
    told: Mapping[str, str],
    aliases: Sequence[str],
) -> dict[str, Any]:
    """The engine's create call for a container like the pattern, from another image, with other labels, in the first
    of the pattern's networks alone."""
    config, image_config = dict(pattern["Config"]), pattern["ImageConfig"]
    stated = json.loads(config["Labels"].get(labels.STATED, "{}"))
    for key in _FROM_IMAGE:
        if key not in stated.get("keys", ()) and config.get(key) == image_config.get(key):
            config.pop(key, None)
    from_image, said = set(image_config.get("Env") or ()), set(stated.get("env", ()))
    lines = [line for line in config.get("Env") or () if line.partition("=")[0] not in told]
    env = [line for line in lines if line not in from_image or line.partition("=")[0] in said]
    networks = {name: {**_endpoint(pattern, name), "Aliases": list(aliases)} for name in _networks(pattern)[:1]}
    return {
        **config,
        "Image": image,
        "Hostname": hostname,
        "Env": [*env, *(f"{name}={value}" for name, value in told.items())],
        "Labels": {**config["Labels"], **own_labels},
        "HostConfig": _host_config(pattern),
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def _host_config(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """The pattern's, as a create call takes it: Podman 4 tells limits by names that it does not take itself."""
    host = dict(pattern["HostConfig"])
    limits = [{**one, "Name": one["Name"].removeprefix("RLIMIT_").lower()} for one in host.get("Ulimits") or ()]
    return {**host, "Ulimits": limits} if limits else host


def _networks(pattern: Mapping[str, Any]) -> list[str]:
    """The pattern's networks; the first is the one that the engine takes a container to be created in."""
    first = pattern["HostConfig"].get("NetworkMode")
    return sorted(pattern["NetworkSettings"]["Networks"], key=lambda name: name != first)


def _endpoint(pattern: Mapping[str, Any], network: str) -> dict[str, Any]:
    """What a container has in a network beside its names: the links that Compose made."""
    links = (pattern["NetworkSettings"]["Networks"][network] or {}).get("Links")
    return {"Links": list(links)} if links else {}


def _epoch_of(container_name: str) -> int:
    """The tenure that a container's name tells of; 0 for none."""
    _, _, epoch = container_name.rpartition(".e")
    return int(epoch) if epoch.isdigit() else 0
