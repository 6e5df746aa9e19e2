"""Does harm to real containers: chosen by labels, read again by full id just before, proved by the engine's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from docker import APIClient

from lab.cluster.cutter import MEND, SEVER, run_cutter, word_of
from lab.cluster.harm import (
    AnyHarm,
    Crash,
    Join,
    Leave,
    Limit,
    Mend,
    Pause,
    Send,
    Sever,
    Squeeze,
    Start,
    Stop,
    Throttle,
    Unpause,
    Victim,
)
from lab.errors import EngineError
from lab.machine import labels
from lab.machine.engine import GONE_OR_SO, SO_ALREADY, APIError, NotFound, engine_errors, is_podman, set_nano_cpus
from lab.model import Role

CPU_PERIOD = 100_000
"""Microseconds over which processor time is counted out."""
NANO_CPUS = 10**9 // CPU_PERIOD
"""Billionths of a processor in each microsecond of a CPU_PERIOD."""
LEFT_OVER = 4 * 2**20
"""Bytes that a squeezed container has left; then something in it asks for more, and the kernel must end the largest."""
PODMAN_READS_ON = 0.5
"""Seconds for which Podman is let go on with reading its events. Told to end at once, it does so wherever it has come
to by then, which is before the newest ones as soon as there are many."""
NOT_STRUCK = frozenset({Role.PATTERN, Role.GATE, Role.FRONT, Role.SERVICE})
"""The pattern never runs, a gate shares its replica's life, a front is somebody's own with nothing beside it, and so is
a service that the scenario gives no role."""


class EngineHarm:
    """What may be struck of one project. What bears half of the labels, or another project's, is left alone."""

    def __init__(self, engine: APIClient, *, project: str) -> None:
        self._engine, self._project = engine, project

    @cached_property
    def _reads_on(self) -> float:
        return PODMAN_READS_ON if is_podman(self._engine) else 0.0

    def victims(self) -> list[Victim]:
        with engine_errors("list what may be struck", at=self._project):
            found = self._engine.containers(all=True, filters={"label": f"{labels.PROJECT}={self._project}"})
        read = (self.read(one["Id"]) for one in found)
        return sorted((one for one in read if one is not None), key=lambda one: (one.role, one.zone, one.name))

    def read(self, container: str) -> Victim | None:
        with engine_errors("read a container again", at=container[:12]):
            try:
                now = self._engine.inspect_container(container)
            except NotFound:
                return None
        return victim_of(now, self._project)

    def do(self, container: str, harm: AnyHarm) -> bool:
        victim = self.read(container)
        if victim is None or victim.container != container:
            return False
        with engine_errors(f"{type(harm).__name__.lower()} a container", at=container[:12]):
            try:
                return self._act(victim, harm)
            except NotFound:
                return False
            except APIError as exc:
                if exc.status_code not in GONE_OR_SO and not any(said in str(exc) for said in SO_ALREADY):
                    raise
                return False

    def mark(self) -> str:
        with engine_errors("ask the engine for the time"):
            now = datetime.fromisoformat(self._engine.info()["SystemTime"])
        return f"{now.timestamp():.6f}"

    def said(self, container: str, since: str) -> Sequence[str]:
        until = float(self.mark()) + self._reads_on
        asked: dict[str, Any] = {"since": since, "until": f"{until:.6f}", "decode": True}
        with engine_errors("read the engine's events", at=container[:12]):
            told = list(self._engine.events(**asked))
        return [word for one in told if (word := _word_about(one, container))]

    def _act(self, victim: Victim, harm: AnyHarm) -> bool:
        acts: Mapping[type[AnyHarm], Callable[[Any], object]] = {
            Send: lambda it: self._engine.kill(victim.container, it.signal),
            Crash: lambda _: self._run_inside(victim, "kill -KILL -1"),
            Stop: lambda it: self._engine.stop(victim.container, timeout=it.patience),
            Start: lambda _: self._engine.start(victim.container),
            Pause: lambda _: self._engine.pause(victim.container),
            Unpause: lambda _: self._engine.unpause(victim.container),
            Throttle: lambda it: self._throttle(victim, it.quota),
            Squeeze: lambda _: self._squeeze(victim),
            Limit: lambda it: self._engine.update_container(
                victim.container, mem_limit=it.memory or -1, memswap_limit=it.memory_swap or -1
            ),
            Leave: lambda it: self._leave(victim, it),
            Join: lambda it: self._join(victim, it),
            Sever: lambda it: self._cut(victim, SEVER, it.addresses),
            Mend: lambda it: self._cut(victim, MEND, it.addresses),
        }
        # Starting what runs, and ending what does not, would each be taken for done.
        if isinstance(harm, Start) == victim.is_running or (isinstance(harm, Pause) and victim.is_paused):
            return False
        return acts[type(harm)](harm) is not False

    def _run_inside(self, victim: Victim, script: str) -> None:
        made = self._engine.exec_create(victim.container, ["/bin/sh", "-c", script])
        self._engine.exec_start(made["Id"])

    def _throttle(self, victim: Victim, quota: int) -> None:
        """`cpus: 0.5` is another setting than a quota: where the one was given, the engine refuses the other."""
        if self._engine.inspect_container(victim.container)["HostConfig"].get("NanoCpus"):
            set_nano_cpus(self._engine, victim.container, quota * NANO_CPUS)
        else:
            self._engine.update_container(victim.container, cpu_quota=quota, cpu_period=CPU_PERIOD)

    def _squeeze(self, victim: Victim) -> None:
        """A limit under what is in use would be refused by some kernels; so a little is left, and used up from inside.

        Whatever uses it up stays smaller than the app, which the kernel therefore ends first.
        """
        used = self._engine.stats(victim.container, stream=False).get("memory_stats") or {}
        by_kind = used.get("stats") or {}
        held = int(by_kind.get("rss") or by_kind.get("anon") or used.get("usage") or 0)
        if not held:
            raise EngineError("the engine does not say how much memory a container uses", at=victim.name)
        limit = held + LEFT_OVER
        self._engine.update_container(victim.container, mem_limit=limit, memswap_limit=limit)
        self._run_inside(victim, "tail /dev/zero")

    def _leave(self, victim: Victim, harm: Leave) -> bool:
        there = [network for network in harm.networks if network in victim.networks]
        for network in there:
            self._engine.disconnect_container_from_network(victim.container, network)
        return bool(there)

    def _join(self, victim: Victim, harm: Join) -> bool:
        missing = {network: aliases for network, aliases in harm.networks.items() if network not in victim.networks}
        for network, aliases in missing.items():
            has_own = victim.address and victim.address_in in {"", network}
            own: dict[str, Any] = {"ipv4_address": victim.address} if has_own else {}
            self._engine.connect_container_to_network(victim.container, network, aliases=list(aliases), **own)
        return bool(missing)

    def _cut(self, victim: Victim, act: str, addresses: Sequence[str]) -> bool:
        identity = labels.identity_of(self._engine.inspect_container(victim.container)["Config"]["Labels"])
        return identity is not None and run_cutter(self._engine, victim.container, identity, act, addresses)


def victim_of(inspected: Mapping[str, Any], project: str) -> Victim | None:
    """What may be struck of `project`, from the engine's whole description; None for everything else."""
    carried = inspected["Config"]["Labels"] or {}
    identity = labels.identity_of(carried)
    role = carried.get(labels.ROLE)
    if identity is None or identity.project != project or role not in set(Role) - NOT_STRUCK:
        return None
    host, state = inspected["HostConfig"], inspected["State"]
    networks = inspected["NetworkSettings"]["Networks"] or {}
    inside, _, address = carried.get(labels.INSIDE, "").rpartition(" ")
    return Victim(
        container=inspected["Id"],
        name=carried.get(labels.REPLICA) or _name_of_part(inspected["Name"].lstrip("/"), project, carried),
        role=Role(role),
        slot=carried.get(labels.SLOT, ""),
        zone=carried.get(labels.ZONE, ""),
        release=carried.get(labels.RELEASE, "") if role == Role.APP else "",
        is_running=bool(state["Running"]),
        is_paused=bool(state["Paused"]),
        cpu_quota=_quota_of(host),
        memory=host.get("Memory") or 0,
        memory_swap=host.get("MemorySwap") or -1,
        address=carried.get(labels.ADDRESS, address),
        address_in=inside,
        networks={name: _aliases(one, inspected["Id"]) for name, one in networks.items()},
        addresses=tuple(sorted(one["IPAddress"] for one in networks.values() if one.get("IPAddress"))),
    )


def _quota_of(host: Mapping[str, Any]) -> int:
    """Microseconds of processor in each CPU_PERIOD, in whichever way the limit was given; -1 for none."""
    if host.get("NanoCpus"):
        return int(host["NanoCpus"]) // NANO_CPUS
    quota = int(host.get("CpuQuota") or -1)
    return quota if quota < 0 else quota * CPU_PERIOD // int(host.get("CpuPeriod") or CPU_PERIOD)


def _name_of_part(container: str, project: str, carried: Mapping[str, str]) -> str:
    """What people call a container that is no replica: "balancer-b", or its service."""
    if carried[labels.ROLE] == Role.BALANCER and carried.get(labels.ZONE):
        return f"{Role.BALANCER}-{carried[labels.ZONE]}"
    return container.removeprefix(f"{project}-").removesuffix("-1")


def _aliases(endpoint: Mapping[str, Any], container: str) -> tuple[str, ...]:
    """Its names there; the engine adds the short id again by itself."""
    return tuple(one for one in endpoint.get("Aliases") or () if one != container[:12])


def _word_about(event: Mapping[str, Any], container: str) -> str:
    """What an event says of a container, or "".

    Events of networks name the container that left or came among their attributes, those of cutters the one in whose
    network they ran.
    """
    actor, action = event.get("Actor") or {}, str(event["Action"])
    attributes = actor.get("Attributes") or {}
    if container in {actor.get("ID"), attributes.get("container")}:
        return action
    return word_of(attributes, action) if attributes.get(labels.CUT_OFF) == container else ""
