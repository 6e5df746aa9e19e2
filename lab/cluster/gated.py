"""Replicas of somebody's own app, with nothing of the lab's inside: a gate beside each one holds its slot.

The gate is a small container that shares the replica's network and its processes. It passes requests from the slot's
socket to the app's port; told to enter it takes the slot, told to leave it gives it up, answers what it has and ends.
Only then is the app itself told to stop, so that no request can be on its way to it. An app that dies takes its gate
with it: the kernel sees to that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from docker import APIClient
from msgspec.structs import replace

from lab.cluster.compose import CONFLICT, GONE_MEANWHILE, USERS_PORT, ComposeCluster, remove_container
from lab.errors import EngineError
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.model import Release, Replica, ReplicaState, Role, Slot

SLOTS_VOLUME = "lab-slots"
ENTER, LEAVE = "SIGUSR1", "SIGTERM"
_SUFFIX = ".gate"


class GatedCluster(ComposeCluster):
    """One cluster of somebody's own app. The pattern's labels say at which port the app listens."""

    def __init__(self, engine: APIClient, *, project: str, slots: Sequence[Slot], epoch: int | None = None) -> None:
        super().__init__(engine, project=project, slots=slots, epoch=epoch)
        self._told_to_stop: set[str] = set()

    @staticmethod
    def is_one(engine: APIClient, project: str) -> bool:
        """Whether the cluster of this name is one of somebody's own app."""
        only = [f"{labels.PROJECT}={project}", f"{labels.ROLE}={Role.PATTERN.value}", labels.PORT]
        with engine_errors("look at the cluster", at=project):
            return bool(engine.containers(all=True, filters={"label": only}))

    def replicas(self) -> list[Replica]:
        with engine_errors("list the replicas", at=self.project):
            found = self._engine.containers(all=True, filters={"label": f"{labels.PROJECT}={self.project}"})
        found = [one for one in found if one["Labels"].get(labels.ROLE) in {Role.APP, Role.GATE}]
        if self._epoch is not None:
            found = self._take_all_over(found)
        gates = {
            one["Labels"].get(labels.REPLICA): one["State"] for one in found if one["Labels"][labels.ROLE] == Role.GATE
        }
        seen = (labels.replica_of(one["Id"], one["Labels"], one["State"]) for one in found)
        return [self._with_gate(one, gates.get(one.name)) for one in seen if one is not None]

    def start(self, replica: Replica) -> None:
        super().start(replica)
        name = self._gate_address(replica)
        with engine_errors(f"start the gate of {replica.name}", at=replica.container[:12]):
            try:
                self._engine.create_container_from_config(self._gate(replica), name)
            except APIError as exc:
                if exc.status_code != CONFLICT:
                    raise
            self._engine.start(name)
            self._run_hooks(replica)

    def _run_hooks(self, replica: Replica) -> None:
        """Begin the service's `post_start` commands, as Compose does; whether they are done only `ready` can tell."""
        hooks = json.loads(self._read_pattern()["Config"]["Labels"].get(labels.POST_START, "[]"))
        for hook in hooks:
            made = self._engine.exec_create(
                self._address(replica),
                hook["command"],
                user=hook.get("user", ""),
                workdir=hook.get("working_dir"),
                environment=hook.get("environment"),
            )
            self._engine.exec_start(made["Id"], detach=True)

    def signal(self, replica: Replica, signal: str) -> bool:
        if signal not in {ENTER, LEAVE}:
            return super().signal(replica, signal)
        if not self._is_still(replica):
            return False
        with engine_errors(f"send {signal} to the gate of {replica.name}", at=replica.container[:12]):
            try:
                self._engine.kill(self._gate_address(replica), signal)
            except APIError as exc:
                if exc.status_code not in GONE_MEANWHILE:
                    raise
                return False
        return True

    def remove(self, replica: Replica) -> None:
        with engine_errors(f"remove the gate of {replica.name}", at=replica.container[:12]):
            remove_container(self._engine, self._gate_address(replica))
        super().remove(replica)

    def addresses(self, container_port: str = USERS_PORT) -> tuple[tuple[str, int], ...]:
        front = self._read_pattern()["Config"]["Labels"].get(labels.FRONT)
        if container_port == USERS_PORT and front is not None:
            return self._published(Role.FRONT, f"{front}/tcp")
        return super().addresses(container_port)

    def _aliases(self, pattern: Mapping[str, Any], network: str) -> list[str]:
        """Behind a balancer of theirs the app's names are the lab's balancer's, which knows which replicas serve."""
        return [] if labels.FRONT in pattern["Config"]["Labels"] else super()._aliases(pattern, network)

    def _with_gate(self, replica: Replica, gate: str | None) -> Replica:
        """The replica as it is together with its gate: not started before both are, and stopped once its gate left."""
        if replica.state is not ReplicaState.RUNNING:
            return replica
        if gate in {None, "created"}:
            return replace(replica, state=ReplicaState.CREATED)
        if gate in {"exited", "dead"} and self._epoch is not None and replica.container not in self._told_to_stop:
            self._told_to_stop.add(replica.container)
            super().signal(replica, self._stop_signal(replica))
        return replica

    def _stop_signal(self, replica: Replica) -> str:
        """What `docker stop` would send."""
        with engine_errors(f"look at {replica.name}", at=replica.container[:12]):
            with suppress(NotFound):
                return self._engine.inspect_container(replica.container)["Config"].get("StopSignal") or LEAVE
            return LEAVE

    def _told(self, slot: Slot, name: str, release: Release) -> Mapping[str, str]:  # noqa: ARG002 -- as it overrides
        """Nothing: the app knows of no lab."""
        return {}

    def _name_part(self, its_labels: Mapping[str, str]) -> str:
        suffix = _SUFFIX if its_labels[labels.ROLE] == Role.GATE else ""
        return super()._name_part(its_labels) + suffix

    def _gate_address(self, replica: Replica) -> str:
        return self._container_name(replica.name + _SUFFIX)

    def _gate(self, replica: Replica) -> dict[str, Any]:
        """The engine's create call for a replica's gate."""
        pattern = self._read_pattern()["Config"]["Labels"]
        identity = labels.identity_of(pattern)
        if identity is None or labels.PORT not in pattern:
            raise EngineError("the pattern container says nothing of a port", at=self.project, hint="lab down")
        told = {
            "LAB_SLOT": replica.slot,
            "LAB_REPLICA": replica.name,
            "LAB_RELEASE": replica.release,
            "LAB_APP_PORT": pattern[labels.PORT],
        }
        own = {
            **identity.labels(Role.GATE.value),
            labels.SLOT: replica.slot,
            labels.ZONE: replica.zone,
            labels.RELEASE: replica.release,
            labels.REPLICA: replica.name,
            labels.GENERATION: str(replica.generation),
        }
        shared = f"container:{replica.container}"
        return {
            "Image": pattern[labels.GATE],
            "Cmd": ["python3", "-m", "shop.gate"],
            "User": "10001:10001",
            "Env": [f"{name}={value}" for name, value in told.items()],
            "Labels": own,
            "HostConfig": {
                "NetworkMode": shared,
                "PidMode": shared,
                "Binds": [f"{self.project}_{SLOTS_VOLUME}:/run/slots"],
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "Memory": 64 * 2**20,
                "PidsLimit": 32,
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            },
        }
