"""The real cluster: Compose brings up what is not multiplied, the engine clones the app's replicas."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docker import APIClient

from lab.cluster import commands, labels
from lab.cluster.commands import ClusterPlan
from lab.cluster.engine import APIError, NotFound, engine_errors
from lab.errors import ClusterError, EngineError
from lab.model import Release, Replica, ReplicaState, Role, Slot

APP_SERVICE = "app"
USERS_PORT, LAB_PORT = "8080/tcp", "8081/tcp"

LAB_PASSWORD = "lab_password"  # noqa: S105 -- the name of a file that no container mounts
"""The store's administrator, for tests and for people: `redis-cli --user lab`."""
REMOVALS_AT_ONCE = 4
GONE_MEANWHILE = {404, 409}
"""What the engine answers where a container was removed, died or is being removed between a look and an act."""

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
_STORE_RIGHTS = (
    "~shop:* resetchannels -@all +@read +@write +@transaction +@scripting +@connection -@dangerous"
    " -flushall -flushdb -swapdb"
)


class ComposeCluster:
    """One cluster on a Docker engine. Everything it makes carries `identity`'s labels and nothing else is touched."""

    def __init__(self, engine: APIClient, *, project: str, slots: Sequence[Slot]) -> None:
        self._engine, self.project = engine, project
        self._slots = tuple(slots)
        self._pattern: dict[str, Any] | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._slots

    def replicas(self) -> list[Replica]:
        with engine_errors("list the replicas", at=self.project):
            found = self._engine.containers(all=True, filters={"label": self._only(Role.APP)})
        seen = (labels.replica_of(one["Id"], one["Labels"], one["State"]) for one in found)
        return [replica for replica in seen if replica is not None]

    def create(self, slot: Slot, release: Release) -> Replica:
        generation = 1 + max((replica.generation for replica in self.replicas()), default=0)
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
        told = {"LAB_SLOT": slot.name, "LAB_ZONE": slot.zone, "LAB_REPLICA": name, "LAB_RELEASE": release.name}
        body = _clone(pattern, image=release.image, hostname=name, own_labels=own, told=told)
        with engine_errors(f"create replica {name}", at=release.image):
            made = self._engine.create_container_from_config(body, f"{self.project}-{name}")
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
            self._engine.start(replica.container)

    def signal(self, replica: Replica, signal: str) -> bool:
        if not self._is_still(replica):
            return False
        with engine_errors(f"send {signal} to {replica.name}", at=replica.container[:12]):
            try:
                self._engine.kill(replica.container, signal)
            except APIError as exc:
                if exc.status_code not in GONE_MEANWHILE:
                    raise
                return False
        return True

    def remove(self, replica: Replica) -> None:
        with engine_errors(f"remove {replica.name}", at=replica.container[:12]):
            _remove_container(self._engine, replica.container)

    def address(self, container_port: str = USERS_PORT) -> tuple[str, int]:
        """Where the balancer's port is published: always on loopback. Raises ClusterError if it is not."""
        with engine_errors("find the balancer's port", at=self.project):
            found = self._engine.containers(filters={"label": self._only(Role.BALANCER)})
            ports = self._engine.inspect_container(found[0]["Id"])["NetworkSettings"]["Ports"] if found else {}
        bound = ports.get(container_port) or []
        if not bound:
            raise ClusterError("the balancer does not run", at=self.project, way_out="lab status")
        return bound[0]["HostIp"], int(bound[0]["HostPort"])

    def logs(self, container: str, *, last: int = 200) -> str:
        """The last lines that a container wrote."""
        with engine_errors("read a container's log", at=container[:12]):
            return self._engine.logs(container, tail=last).decode(errors="replace")

    def _only(self, role: Role) -> list[str]:
        return [f"{labels.PROJECT}={self.project}", f"{labels.ROLE}={role.value}"]

    def _is_still(self, replica: Replica) -> bool:
        """Read the victim again by its full id just before anything is done to it."""
        with engine_errors(f"read {replica.name} again", at=replica.container[:12]):
            try:
                now = self._engine.inspect_container(replica.container)
            except NotFound:
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
            with engine_errors("read the app's pattern container", at=self.project):
                found = self._engine.containers(all=True, filters={"label": self._only(Role.PATTERN)})
                if not found:
                    raise EngineError(
                        "the app's pattern container is gone",
                        at=self.project,
                        way_out=f"lab down -p {self.project}",
                    )
                pattern = self._engine.inspect_container(found[0]["Id"])
                pattern["ImageConfig"] = self._engine.inspect_image(pattern["Image"])["Config"]
            self._pattern = pattern
        return self._pattern


def _clone(
    pattern: Mapping[str, Any],
    *,
    image: str,
    hostname: str,
    own_labels: Mapping[str, str],
    told: Mapping[str, str],
) -> dict[str, Any]:
    """The engine's create call for a container like the pattern, from another image, with other labels."""
    config, image_config = dict(pattern["Config"]), pattern["ImageConfig"]
    for key in _FROM_IMAGE:
        if config.get(key) == image_config.get(key):
            config.pop(key, None)
    from_image = set(image_config.get("Env") or ())
    env = [line for line in config.get("Env") or () if line not in from_image]
    networks = {name: {"Aliases": [APP_SERVICE]} for name in pattern["NetworkSettings"]["Networks"]}
    return {
        **config,
        "Image": image,
        "Hostname": hostname,
        "Env": [*env, *(f"{name}={value}" for name, value in told.items())],
        "Labels": {**config["Labels"], **own_labels},
        "HostConfig": pattern["HostConfig"],
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def write_files(plan: ClusterPlan, nginx_conf: str) -> None:
    """Write what the cluster's containers mount. The store's password is new for every cluster."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    plan.folder.parent.chmod(0o700)  # the folder is closed, so that its files may be readable inside containers
    password, lab_password = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    acl = (
        "user default off\n"
        "user health on >health -@all +ping\n"
        f"user shop on #{_digest(password)} {_STORE_RIGHTS}\n"
        f"user lab on #{_digest(lab_password)} ~* &* +@all\n"
    )
    mounted = {"nginx.conf": nginx_conf, "store_acl": acl, "store_password": password}
    for name, text in {**mounted, LAB_PASSWORD: lab_password}.items():
        path = plan.folder / name
        path.write_text(text)
        path.chmod(0o444 if name in mounted else 0o400)


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def bring_up(engine: APIClient, compose: Sequence[str], plan: ClusterPlan, slots: Sequence[Slot]) -> ComposeCluster:
    """Make the cluster's networks, volumes, balancer, store and pattern, and return it without any replica.

    Doing it again changes nothing. Whatever it made stays where it fails: the caller tears down.
    Raises ClusterError with Compose's own words, naming a port that is taken.
    """
    for argv in (commands.create_pattern(compose, plan), commands.up(compose, plan)):
        done = subprocess.run(
            argv,
            env={**os.environ, **commands.environment(plan)},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if done.returncode:
            raise _compose_failed(plan, done.stderr.strip() or done.stdout.strip())
    return ComposeCluster(engine, project=plan.identity.project, slots=slots)


def _compose_failed(plan: ClusterPlan, said: str) -> ClusterError:
    last = said.splitlines()[-1] if said else "nothing was said"
    if "address already in use" in said or "port is already allocated" in said:
        return ClusterError(
            f"port {plan.port} of 127.0.0.1 is taken by another program",
            at="--port",
            way_out=f"leave --port out for a free one, or see who has it: ss -ltnp 'sport = :{plan.port}'",
        )
    return ClusterError(
        f"compose could not bring the cluster up: {last}", at=str(plan.compose_file), way_out="lab doctor"
    )


def tear_down(engine: APIClient, project: str, *, folder: Path | None = None) -> list[str]:
    """Remove every container, network and volume that carries this project's labels; say what was removed.

    Nothing is chosen by name, and what bears only some of the lab's labels is left alone. May be repeated.
    """
    only = {"label": [f"{labels.PROJECT}={project}"]}
    removed = []
    with engine_errors("remove the cluster's parts", at=project, way_out=f"lab down -p {project}"):
        ours = [one for one in engine.containers(all=True, filters=only) if labels.identity_of(one["Labels"])]
        with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
            list(pool.map(lambda one: _remove_container(engine, one["Id"]), ours))
        removed += [f"container {one['Names'][0].lstrip('/')}" for one in ours]
        for network in engine.networks(filters=only):
            if labels.identity_of(network["Labels"]):
                engine.remove_network(network["Id"])
                removed.append(f"network {network['Name']}")
        for volume in engine.volumes(filters=only)["Volumes"] or ():
            if labels.identity_of(volume["Labels"]):
                engine.remove_volume(volume["Name"])
                removed.append(f"volume {volume['Name']}")
    if folder is not None and folder.exists():
        shutil.rmtree(folder)
    return removed


def _remove_container(engine: APIClient, container: str) -> None:
    try:
        engine.remove_container(container, force=True, v=True)
    except APIError as exc:
        if exc.status_code not in GONE_MEANWHILE:
            raise
