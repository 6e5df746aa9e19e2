"""Replicas of somebody's own app, with nothing of the lab's inside: a gate beside each one holds its slot.

The gate is a small container that shares the replica's network. It passes requests from the slot's socket to the app's
port, as a proxy would; told to enter it takes the slot, told to leave it gives it up, sees through what is under way
and ends. The app gets its own stop signal while those requests are in it: for a last moment before that it has its slot
again, or by then all of them would be answered. Only where the file says
`stop: after_answers` is it told when its gate has ended. It does not share the app's processes: what an app wrote
before it ended still has to reach whoever asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from docker import APIClient
from msgspec.structs import replace

from lab.clock import NS, SYSTEM_CLOCK, Clock
from lab.cluster.compose import CONFLICT, SERVICE, USERS_PORT, ComposeCluster
from lab.cluster.gate_words import GateWords
from lab.cluster.hooks import Hooks
from lab.cluster.one_off import DOCKER_GRACE
from lab.cluster.protocol import AppStop, StopWay
from lab.cluster.tear_down import GONE_MEANWHILE, remove_container
from lab.errors import EngineError
from lab.machine import labels
from lab.machine.engine import APIError, NotFound, engine_errors
from lab.model import Release, Replica, ReplicaState, Role, Slot

SLOTS_VOLUME = "lab-slots"
LAST_USE = 0.25
"""Seconds in which a replica that leaves is in use again, so that requests are in it when it gets its stop signal."""
SAID_WITHIN = 2.5
"""Seconds within which its gate says that it is time for that signal: it waits for a request, and until the app has
taken in what is in the kernel's queues, which nobody could answer after its signal."""
TOLD_WITHIN = 1.0
"""Seconds after a replica was told to leave in which its app is told to stop."""
ENTER, TAKE_BACK, LEAVE = "SIGUSR1", "SIGUSR2", "SIGTERM"
_SUFFIX = ".gate"


class GatedCluster(ComposeCluster):
    """One cluster of somebody's own app. The pattern's labels say at which port the app listens."""

    def __init__(
        self,
        engine: APIClient,
        *,
        project: str,
        slots: Sequence[Slot],
        epoch: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(engine, project=project, slots=slots, epoch=epoch)
        self._told_to_stop: set[str] = set()
        """Those that got their stop signal after their gate had ended."""
        self._stops: dict[str, AppStop] = {}
        self._leaving: dict[str, int] = {}
        """By container, when it was told to leave."""
        self._clock = clock
        self._entered: set[str] = set()
        """Those that took their slots by this handle: what fails in them later does not undo their start."""
        self._after_start, self._before_stop = Hooks(engine, "post_start"), Hooks(engine, "pre_stop")

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
        there = [one for one in seen if one is not None]
        self._stop_in_use([one for one in there if self._is_to_stop(one)])
        return [self._with_gate(one, gates.get(one.name)) for one in there]

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
            hooks = self._hooks_of(labels.POST_START)
            if hooks:
                self._after_start.begin(replica.container, self._address(replica), hooks)

    def _hooks_of(self, key: str) -> list[dict[str, Any]]:
        return list(json.loads(self._read_pattern()["Config"]["Labels"].get(key, "[]")))

    def trouble_of(self, replica: Replica) -> str:
        """What came of the `post_start` command that failed; Compose says of such a container that it did not start."""
        return self._after_start.failed.get(replica.container, "")

    def signal(self, replica: Replica, signal: str) -> bool:
        if signal not in {ENTER, LEAVE}:
            return super().signal(replica, signal)
        if not self._is_still(replica):
            return False
        if signal == ENTER:
            self._entered.add(replica.name)
        if signal == LEAVE and self._stops_at_once and replica.container not in self._leaving:
            self._leaving[replica.container] = self._clock.now()
            hooks = self._hooks_of(labels.PRE_STOP)
            if hooks:
                with engine_errors(f"begin the pre_stop hooks of {replica.name}", at=replica.container[:12]):
                    self._before_stop.begin(replica.container, self._address(replica), hooks)
            return self._tell_gate(replica, TAKE_BACK)
        return self._tell_gate(replica, signal)

    def _tell_gate(self, replica: Replica, signal: str) -> bool:
        with engine_errors(f"send {signal} to the gate of {replica.name}", at=replica.container[:12]):
            try:
                self._engine.kill(self._gate_address(replica), signal)
            except APIError as exc:
                if exc.status_code not in GONE_MEANWHILE:
                    raise
                return False
        return True

    def _stop_in_use(self, leaving: Sequence[Replica]) -> None:
        """Their gates say when a request is in each app that it has taken in, and take no new one; at once the app gets
        its stop signal. Until then users come to them. Those whose gates say nothing are told after SAID_WITHIN."""
        words = GateWords(self._engine)
        told = {one.container: self._stop_of(one) for one in leaving if self._is_still(one)}
        leaving = [one for one in leaving if one.container in told]
        for one in leaving:
            with engine_errors(f"listen to the gate of {one.name}", at=one.container[:12]):
                words.listen(self._gate_address(one), one.container)
        for one in leaving:
            self._tell_gate(one, LEAVE)
        waiting = {one.container: one for one in leaving}
        until = self._clock.now() + int(SAID_WITHIN * NS)
        while waiting and (said := words.next((until - self._clock.now()) / NS)) is not None:
            self._stop(waiting.pop(said), told[said])
        for one in waiting.values():
            self._stop(one, told[one.container])

    def _stop(self, replica: Replica, told: AppStop) -> None:
        at = self._clock.now()
        self._send(replica, told.signal)  # each millisecond counts: it was read again just before
        self._stops[replica.container] = replace(told, at=at, heard=self._clock.now())

    def _stop_of(self, replica: Replica) -> AppStop:
        return AppStop(
            at=0,
            service=self._read_pattern()["Config"]["Labels"][SERVICE],
            signal=self._stop_signal(replica),
            grace=self._own_grace,
            process=self._first_process(replica),
            hook=self._before_stop.failed.get(replica.container, ""),
        )

    @property
    def grace(self) -> float:
        """The service's own `stop_grace_period`, or Docker's, from when its app is told."""
        return self._own_grace + TOLD_WITHIN if self._stops_at_once else super().grace

    @property
    def _own_grace(self) -> float:
        return float(self._read_pattern()["Config"].get("StopTimeout") or DOCKER_GRACE)

    @property
    def ready_within(self) -> float:
        """What the scenario says of it."""
        return float(self._read_pattern()["Config"]["Labels"].get(labels.READY_WITHIN, super().ready_within))

    def stop_of(self, replica: Replica) -> AppStop | None:
        return self._stops.get(replica.container)

    @property
    def _stops_at_once(self) -> bool:
        return bool(self._read_pattern()["Config"]["Labels"].get(labels.STOP) != StopWay.AFTER_ANSWERS)

    def _is_to_stop(self, replica: Replica) -> bool:
        since = self._leaving.get(replica.container)
        if since is None or replica.state is not ReplicaState.RUNNING or replica.container in self._stops:
            return False
        waited = self._clock.now() - since
        with engine_errors(f"look at the pre_stop hooks of {replica.name}", at=replica.container[:12]):
            is_prepared = self._before_stop.look(replica.container, self._address(replica))
        return waited >= LAST_USE * NS and (is_prepared or waited >= self._own_grace * NS)

    def _first_process(self, replica: Replica) -> str:
        """What runs as process 1: that got the signal, and nobody passes it on unless it does. "" if not known."""
        with engine_errors(f"look at {replica.name}", at=replica.container[:12]), suppress(NotFound):
            now = self._engine.inspect_container(replica.container)
            with suppress(APIError):  # it has ended
                top = self._engine.top(replica.container, "-o pid,comm")
                names = dict(top["Processes"])
                if str(now["State"]["Pid"]) in names:
                    return str(names[str(now["State"]["Pid"])])
            return PurePosixPath(now.get("Path") or "").name
        return ""

    def remove(self, replica: Replica) -> None:
        self._stops.pop(replica.container, None)
        self._leaving.pop(replica.container, None)
        for hooks in (self._after_start, self._before_stop):
            hooks.forget(replica.container)
            hooks.failed.pop(replica.container, None)
        with engine_errors(f"remove the gate of {replica.name}", at=replica.container[:12]):
            remove_container(self._engine, self._gate_address(replica))
        super().remove(replica)

    def addresses(self, container_port: str = USERS_PORT) -> tuple[tuple[str, int], ...]:
        front = self._read_pattern()["Config"]["Labels"].get(labels.FRONT)
        if container_port == USERS_PORT and front is not None:
            return self._published(Role.FRONT, f"{front}/tcp")
        return super().addresses(container_port)

    def _aliases(self, pattern: Mapping[str, Any], network: str, service: str) -> list[str]:
        """Behind a balancer of theirs the app's names are the lab's balancer's, which knows which replicas serve."""
        return [] if labels.FRONT in pattern["Config"]["Labels"] else super()._aliases(pattern, network, service)

    def _with_gate(self, replica: Replica, gate: str | None) -> Replica:
        """The replica as it is together with its gate: not started before both are, and stopped once its gate left."""
        if replica.state is not ReplicaState.RUNNING:
            return replica
        if gate in {None, "created"}:
            return replace(replica, state=ReplicaState.CREATED)
        if not self._after_start.look(replica.container, self._address(replica)):
            return replica
        if replica.container in self._after_start.failed and replica.name not in self._entered:
            return replace(replica, state=ReplicaState.DEAD)
        has_left = gate in {"exited", "dead"} and self._epoch is not None
        if has_left and not self._stops_at_once and replica.container not in self._told_to_stop:
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
        """Nothing but what its release says: the app knows of no lab."""
        return release.env

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
            raise EngineError("the template container names no port", at=self.project, hint="lab down")
        told = {
            "LAB_SLOT": replica.slot,
            "LAB_REPLICA": replica.name,
            "LAB_RELEASE": replica.release,
            "LAB_APP_PORT": pattern[labels.PORT],
            "LAB_KEEP_ALIVE": pattern[labels.KEEP_ALIVE],
            "LAB_ANSWER_TIMEOUT": pattern[labels.ANSWER_TIMEOUT],
            "LAB_SAYS_WHEN": "yes" if self._stops_at_once else "no",
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
                "Binds": [f"{self.project}_{SLOTS_VOLUME}:/run/slots"],
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "Memory": 64 * 2**20,
                "PidsLimit": 32,
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            },
        }
