"""The real cluster: Compose brings up what is not multiplied, the engine clones the app's replicas."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from docker import APIClient

from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster import commands
from lab.cluster.commands import ClusterPlan
from lab.cluster.edges import edges_file
from lab.cluster.members import StoreKeys, addresses, members_file, sentinel_acl, sentinel_conf, store_acl, store_conf
from lab.cluster.protocol import USUAL_GRACE, USUAL_READY_WITHIN, AppStop
from lab.cluster.stores import STORE_SERVICE
from lab.errors import ClusterError, EngineError, Fenced, WaitTimeout
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.model import Release, Replica, ReplicaState, Role, Slot, Value
from lab.retry import wait_until

SERVICE = "com.docker.compose.service"
USERS_PORT, LAB_PORT = "8080/tcp", "8081/tcp"

LAB_PASSWORD = "lab_password"  # noqa: S105 -- the name of a file that no container mounts
"""The store's administrator, for tests and for people: `redis-cli --user lab`."""
UP_WITHIN = 180.0
"""Seconds for each of Compose's parts in bringing a cluster up."""
REMOVALS_AT_ONCE = 4
GONE_MEANWHILE = {404, 409}
"""What the engine answers where a container was removed, died or is being removed between a look and an act."""
CONFLICT = 409
IN_USE = {403, 409}
"""What the engine answers where a network or a volume still has a container."""
GONE_WITHIN = 10.0
"""Seconds for which what stays is removed again and again: as long as another lab needs to do the same."""

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
        if not self._is_still(replica):
            return False
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

    def addresses(self, container_port: str = USERS_PORT) -> tuple[tuple[str, int], ...]:
        """Where each balancer's port is published, by zone: always on loopback, and for one that is down too.

        Raises ClusterError where there is none.
        """
        return self._published(Role.BALANCER, container_port)

    def _published(self, role: Role, container_port: str) -> tuple[tuple[str, int], ...]:
        with engine_errors("find the balancers' ports", at=self.project):
            found = self._engine.containers(all=True, filters={"label": self._only(role)})
            found.sort(key=lambda one: str(one["Labels"].get(labels.ZONE, "")))
            bound = [self._engine.inspect_container(one["Id"])["HostConfig"]["PortBindings"] for one in found]
        published = [ports[container_port][0] for ports in bound if ports and ports.get(container_port)]
        if not published:
            raise ClusterError("there is no balancer", at=self.project, hint="lab status")
        return tuple((one["HostIp"], int(one["HostPort"])) for one in published)

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
                aliases = self._aliases(pattern, name, service)
                self._engine.connect_container_to_network(address, name, aliases=aliases, **more)

    def _told(self, slot: Slot, name: str, release: Release) -> Mapping[str, str]:
        """What a replica's environment says of its place."""
        return {
            "LAB_SLOT": slot.name,
            "LAB_ZONE": slot.zone,
            "LAB_REPLICA": name,
            "LAB_RELEASE": release.name,
            "LAB_ENTERS": "told",
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


def clone(pattern: Mapping[str, Any], *, image: str, own_labels: Mapping[str, str], service: str) -> dict[str, Any]:
    """The engine's create call for a container in another one's place, from another image."""
    hostname = pattern["Config"].get("Hostname", "")
    own = hostname if hostname and not pattern["Id"].startswith(hostname) else ""
    [first, *_] = [*_networks(pattern), ""]
    aliases = aliases_of(pattern, first, service)
    return _clone(pattern, image=image, hostname=own, own_labels=own_labels, told={}, aliases=aliases)


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
    env = [line for line in config.get("Env") or () if line not in from_image or line.partition("=")[0] in said]
    networks = {name: {**_endpoint(pattern, name), "Aliases": list(aliases)} for name in _networks(pattern)[:1]}
    return {
        **config,
        "Image": image,
        "Hostname": hostname,
        "Env": [*env, *(f"{name}={value}" for name, value in told.items())],
        "Labels": {**config["Labels"], **own_labels},
        "HostConfig": pattern["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def _networks(pattern: Mapping[str, Any]) -> list[str]:
    """The pattern's networks; the first is the one that the engine takes a container to be created in."""
    first = pattern["HostConfig"].get("NetworkMode")
    return sorted(pattern["NetworkSettings"]["Networks"], key=lambda name: name != first)


def _endpoint(pattern: Mapping[str, Any], network: str) -> dict[str, Any]:
    """What a container has in a network beside its names: the links that Compose made."""
    links = (pattern["NetworkSettings"]["Networks"][network] or {}).get("Links")
    return {"Links": list(links)} if links else {}


def write_files(plan: ClusterPlan, nginx_conf: str) -> None:
    """Write what the cluster's containers mount. The store's password is new for every cluster."""
    keys = StoreKeys(shop=secrets.token_urlsafe(32), lab=secrets.token_urlsafe(32), member=secrets.token_urlsafe(32))
    stores = plan.stores
    if stores.tier.is_replicated:
        members = members_file(plan.compose_file.read_text(), stores, plan.subnet)
        first = addresses(stores, plan.subnet)[stores.members(STORE_SERVICE)[0]]
        told = {"sentinel_acl": sentinel_acl(keys), "sentinel_conf": sentinel_conf(first, keys)}
        write_mounted(plan, {plan.members_file.name: members, **told})
    if len(plan.edges) > 1:
        edges = edges_file(plan.compose_file.read_text(), plan.edges[1:])
        write_mounted(plan, {plan.edges_file.name: edges})
    write_mounted(
        plan,
        {
            "nginx.conf": nginx_conf,
            "store_acl": store_acl(stores, keys),
            "store_conf": store_conf(stores, keys),
            "store_password": keys.shop,
            "orders_password": secrets.token_urlsafe(32),
        },
    )
    _write_anew(plan.folder / LAB_PASSWORD, keys.lab, 0o400)


def write_mounted(plan: ClusterPlan, files: Mapping[str, str]) -> None:
    """Write files that containers may read, into the cluster's folder."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.folder.parent.chmod(0o700)  # the folder is closed, so that its files may be readable inside containers
    for name, text in files.items():
        _write_anew(plan.folder / name, text, 0o444)


def _write_anew(path: Path, text: str, mode: int) -> None:
    """A file that a killed lab left may be read by anybody and written by nobody, its owner included."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)


class PortTaken(ClusterError):
    """A port of 127.0.0.1 that a container should have is another program's."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} of 127.0.0.1 is taken by another program",
            at="--port",
            hint=f"leave --port out for a free one, or see who has it: ss -ltnp 'sport = :{port}'",
        )


_TAKEN = re.compile(r"127\.0\.0\.1:(\d+)\b.*(?:address already in use|port is already allocated)")
"""How the engine says so: of a port that another container has, and of one that any other program has."""


def bring_up(compose: Sequence[str], plan: ClusterPlan) -> None:
    """Make the cluster's networks, volumes, balancer, store and pattern, without any replica.

    Doing it again changes nothing. Whatever it made stays where it fails: the caller tears down.
    Raises ClusterError with Compose's own words, or PortTaken.
    """
    _run_compose(commands.create_pattern(compose, plan), plan)
    _run_compose(commands.up(compose, plan), plan)


def start_later(compose: Sequence[str], plan: ClusterPlan) -> None:
    """Start the services that come once the app serves; may be repeated. Raises ClusterError with Compose's words."""
    if plan.later:
        _run_compose(commands.up_later(compose, plan), plan)


def _run_compose(argv: Sequence[str], plan: ClusterPlan) -> None:
    environment = {**os.environ, **commands.environment(plan)}
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=UP_WITHIN)
    except subprocess.TimeoutExpired as exc:
        raise _compose_failed(plan, f"it did not finish within {UP_WITHIN:g} s") from exc
    if done.returncode:
        raise _compose_failed(plan, done.stderr.strip() or done.stdout.strip())


def _compose_failed(plan: ClusterPlan, said: str) -> ClusterError:
    last = said.splitlines()[-1] if said else "no output"
    taken = _TAKEN.search(said)
    if taken:
        return PortTaken(int(taken[1]))
    return ClusterError(f"compose could not bring the cluster up: {last}", at=str(plan.compose_file), hint="lab doctor")


class StuckPart(Value):
    """A part that could not be removed yet."""

    kind: str
    name: str
    why: str
    is_engines_own: bool = False
    """A network in which no container is: the engine forgot to let go of one that was."""


def tear_down(engine: APIClient, project: str, *, folder: Path | None = None, clock: Clock = SYSTEM_CLOCK) -> list[str]:
    """Remove every container, network and volume that carries this project's labels; say what was removed.

    Nothing is chosen by name, and what bears only some of the lab's labels is left alone. May be repeated, and by
    several labs at once: what is still in use after that is tried again for GONE_WITHIN seconds.
    Raises EngineError, with the engine's own words, where something stays; all else is removed by then. A network that
    only the engine itself still holds is not waited for twice.
    """
    removed: list[str] = []
    stays: list[StuckPart] = []

    def is_gone() -> bool:
        with engine_errors("remove the cluster's parts", at=project, hint=f"lab down -p {project}"):
            stays[:] = _remove_parts(engine, project, removed)
        return not stays

    try:
        if not is_gone() and (removed or not all(one.is_engines_own for one in stays)):
            wait_until(f"{project} is gone", is_gone, within=GONE_WITHIN, every=0.3, clock=clock)
    except WaitTimeout:
        pass
    if folder is not None and folder.exists() and all(one.is_engines_own for one in stays):
        with suppress(FileNotFoundError):  # somebody else's `down` was quicker
            shutil.rmtree(folder)
    if stays:
        raise _stuck(project, stays)
    return removed


def _stuck(project: str, stays: Sequence[StuckPart]) -> EngineError:
    one = next((one for one in stays if not one.is_engines_own), stays[0])
    if one.is_engines_own:
        what = f"the engine keeps {one.kind} {one.name} though no container is in it; all else is removed"
        return EngineError(what, at=project, hint="a fault of the engine's own: the network goes with its next start")
    held = f"{'name' if one.kind == 'container' else one.kind}={one.name}"
    hint = f"docker ps -a --filter {held}   # who has it; then: lab down -p {project}"
    return EngineError(f"can't remove {one.kind} {one.name}: {one.why}", at=project, hint=hint)


def _remove_parts(engine: APIClient, project: str, removed: list[str]) -> list[StuckPart]:
    """Remove what can be removed now, and add it to `removed`; what stays for now."""
    only = {"label": [f"{labels.PROJECT}={project}"]}

    def ours() -> list[Mapping[str, Any]]:
        return [one for one in engine.containers(all=True, filters=only) if labels.identity_of(one["Labels"])]

    with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
        found = ours()
        done = list(pool.map(lambda one: remove_container(engine, one["Id"]), found))
    removed += [f"container {_name_of(one)}" for one, was_there in zip(found, done, strict=True) if was_there]
    stays = []
    parts = [("network", one["Name"], one["Id"], one["Labels"]) for one in engine.networks(filters=only)]
    volumes = engine.volumes(filters=only)["Volumes"] or ()
    parts += [("volume", one["Name"], one["Name"], one["Labels"]) for one in volumes]
    for kind, name, key, carried in parts:
        if not labels.identity_of(carried):
            continue
        remove: Callable[[str], object] = engine.remove_network if kind == "network" else engine.remove_volume
        try:
            remove(key)
        except NotFound:  # somebody else's `down` was quicker
            continue
        except APIError as exc:
            if exc.status_code not in IN_USE:
                raise
            is_own = kind == "network" and not ours() and _is_empty(engine, key)
            if is_own and _let_go(engine, key, [_name_of(one) for one in found]):
                removed.append(f"{kind} {name}")
                continue
            why = str(exc.explanation or exc)
            stays.append(StuckPart(kind=kind, name=name, why=why, is_engines_own=is_own))
        else:
            removed.append(f"{kind} {name}")
    # One that somebody else is removing is still told of; another may be a deployer's that made it meanwhile.
    return stays or [StuckPart(kind="container", name=_name_of(one), why="it is still there") for one in ours()]


def _is_empty(engine: APIClient, network: str) -> bool:
    """Whether the engine itself says that no container is in a network."""
    try:
        return not engine.inspect_network(network).get("Containers")
    except NotFound:
        return True


def _let_go(engine: APIClient, network: str, names: Sequence[str]) -> bool:
    """Make the engine drop what is left of these containers in a network, and remove it; whether that worked.

    An engine may keep an endpoint of a container that was removed while it started. A disconnection by force finds it
    by the container's name, though there is no container of it any more.
    """
    for name in names:
        with suppress(APIError):
            engine.disconnect_container_from_network(name, network, force=True)
    try:
        engine.remove_network(network)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def _name_of(container: Mapping[str, Any]) -> str:
    return str(container["Names"][0]).lstrip("/")


def _epoch_of(container_name: str) -> int:
    """The tenure that a container's name tells of; 0 for none."""
    _, _, epoch = container_name.rpartition(".e")
    return int(epoch) if epoch.isdigit() else 0


def remove_container(engine: APIClient, container: str) -> bool:
    """Remove it, whatever it is doing; False where it was gone or going already."""
    try:
        engine.remove_container(container, force=True, v=True)
    except APIError as exc:
        if exc.status_code not in GONE_MEANWHILE:
            raise
        return False
    return True
