"""Replicas, balancers and the store of one cluster in this process: who is there, and who is well."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

import msgspec

from lab import record
from lab.clock import NS, SYSTEM_CLOCK
from lab.cluster.harm import AnyHarm, Send, Victim
from lab.model import Release, Replica, ReplicaState, Role, Slot
from lab.testing.fake_cluster import FakeHarm
from lab.testing.in_process.app import InProcessApp, MakeApp

INSIDE = "inside"
"""The network in which replicas reach their store."""
_SAID = frozenset({"kill", "die", "oom", "stop", "start", "pause", "unpause", "create", "destroy"})
"""What an engine tells as an event of a container, of all that is said of a victim."""
KILLED = 137
_NUMBERS = {"SIGKILL": 9, "SIGTERM": 15, "SIGINT": 2, "SIGQUIT": 3, "SIGHUP": 1, "SIGUSR1": 10}


class Running:
    """One replica that is being run. Its state as a victim is the world's; here is what only a process has."""

    def __init__(self, replica: Replica, kit: MakeApp, app: InProcessApp, ready_at: int) -> None:
        self.replica, self.kit, self.app, self.ready_at = replica, kit, app, ready_at
        self.in_flight = 0
        self.is_leaving = False
        self.died = asyncio.Event()


class World(FakeHarm):
    """All of one cluster. May be used from several threads; replicas themselves live on `loop`."""

    def __init__(
        self,
        project: str,
        slots: tuple[Slot, ...],
        apps: Mapping[str, MakeApp],
        store: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__()
        self.project, self.slots, self.store, self.loop = project, slots, store, loop
        self.apps = apps
        self.lock = threading.RLock()
        self.epoch = 0
        self.created: dict[str, Replica] = {}
        """Replicas that exist and were never started."""
        self.running: dict[str, Running] = {}
        self.holders: dict[str, str] = {}
        """By slot, the container that requests go to."""
        self.listeners: list[SimpleQueue[record.ContainerEvent | None]] = []
        self.on_balancer: Callable[[Victim], None] = lambda _: None
        """Told of each balancer whose state changed, on whichever thread changed it."""
        self.answered = self.in_flight = 0
        """Requests of users."""
        self._images: dict[str, str] = {}
        """What each replica was made from, by its container."""
        self._numbers = itertools.count(1)
        self._containers = itertools.count(1)

    # what is there

    def add(self, role: Role, name: str, zone: str = "") -> Victim:
        """One more part that is not multiplied; it runs."""
        number = next(self._containers)
        victim = Victim(
            container=f"{number:064x}",
            name=name,
            role=role,
            zone=zone,
            networks={INSIDE: (name,)},
            addresses=(f"10.9.0.{number}",),
            memory=64 * 2**20,
            memory_swap=128 * 2**20,
        )
        with self.lock:
            self.there[victim.container] = victim
        self._tell(victim, "start")
        return victim

    def parts(self, role: Role) -> list[Victim]:
        """All of this role, in the order in which they were made."""
        with self.lock:
            return [one for one in self.there.values() if one.role is role]

    def replicas(self) -> list[Replica]:
        with self.lock:
            started = [self._as_replica(one) for one in self.parts(Role.APP)]
            return [*self.created.values(), *started]

    def create(self, slot: Slot, release: Release) -> Replica:
        with self.lock:
            number = next(self._numbers)
            replica = Replica(
                container=f"{next(self._containers):064x}",
                name=f"{slot.name}-{number}",
                slot=slot.name,
                zone=slot.zone,
                release=release.name,
                generation=number,
                state=ReplicaState.CREATED,
            )
            self.created[replica.container] = replica
            self._images[replica.container] = release.image
        self._tell(self._as_victim(replica), "create")
        return replica

    def start(self, container: str) -> None:
        """Start a created replica; raises KeyError for one that is gone."""
        with self.lock:
            if container in self.there:
                return
            replica = self.created.pop(container)
            kit = self.apps[self._images[container]]
            app = kit.make(replica.release, self.store)
            ready_at = SYSTEM_CLOCK.now() + int(min(kit.ready_after, 1e6) * NS)
            victim = self.there[container] = self._as_victim(replica)
            self.running[container] = Running(replica, kit, app, ready_at)
        self._tell(victim, "start")

    def enter(self, container: str) -> None:
        """Requests for the replica's slot go to it from now on; whoever had it keeps what it has begun."""
        with self.lock:
            self.holders[self.running[container].replica.slot] = container

    def leave(self, container: str) -> None:
        """It is told to stop: it takes nothing new, and ends once it has answered, at once if it does not drain."""
        with self.lock:
            one = self.running[container]
            one.is_leaving = True
            if self.holders.get(one.replica.slot) == container:
                del self.holders[one.replica.slot]
            is_idle = not one.in_flight or not one.kit.drains
        if is_idle:
            self.end(container, 0)

    def tell_signal(self, container: str, signal: str) -> None:
        """As an engine does, whatever the signal brings about."""
        self._tell(self.there[container], "kill", signal=_NUMBERS.get(signal))

    def end(self, container: str, code: int) -> None:
        """Its process ends with this code; what it was answering is cut off."""
        with self.lock:
            victim = self.there.get(container)
            if victim is None or not victim.is_running:
                return
            self.there[container] = msgspec.structs.replace(victim, is_running=False, is_paused=False)
            self._bury(container)
        self._tell(victim, "die", exit_code=code)

    def remove(self, container: str) -> None:
        with self.lock:
            self.end(container, KILLED)
            gone = self.there.pop(container, None)
            created = self.created.pop(container, None)
        left = self._as_victim(created) if created is not None else gone
        if left is not None:
            self._tell(left, "destroy")

    # who is well

    def find(self, name: str) -> Running | None:
        """The replica of this name, if it runs and is not frozen."""
        with self.lock:
            for container, one in self.running.items():
                if one.replica.name == name and not self.there[container].is_paused:
                    return one
            return None

    def is_ready(self, one: Running) -> bool:
        return SYSTEM_CLOCK.now() >= one.ready_at and not one.is_leaving and self.reaches_store(one.replica.container)

    def reaches_store(self, container: str) -> bool:
        """Whether a replica gets through to a store that works."""
        with self.lock:
            cut_from = {address for cut, addresses in self.severed if cut == container for address in addresses}
            return INSIDE in self.there[container].networks and any(
                one.is_running and not one.is_paused and one.networks and not cut_from & set(one.addresses)
                for one in self.parts(Role.STORE)
            )

    def is_frozen(self, container: str) -> bool:
        with self.lock:
            return container in self.there and self.there[container].is_paused

    # harm, as it is done to a container

    def do(self, container: str, harm: AnyHarm) -> bool:
        with self.lock:
            before = self.there.get(container)
            said = len(self._said)
            done = super().do(container, harm)
            if not done or before is None:
                return done
            words = [word for about, word in self._said[said:] if about == container]
            after = self.there[container]
            if before.is_running and not after.is_running:
                self._bury(container)
        number = _NUMBERS.get(harm.signal if isinstance(harm, Send) else "SIGTERM")
        for word in words:
            if word in _SAID:
                code = KILLED if word == "die" else None
                self._tell(before, word, exit_code=code, signal=number if word == "kill" else None)
        if before.role is Role.BALANCER:
            self.on_balancer(after)
        elif isinstance(harm, Send) and after.is_running and container in self.running and harm.signal != "SIGHUP":
            self.leave(container)
        return True

    # inside

    def _bury(self, container: str) -> None:
        one = self.running.pop(container, None)
        if one is not None:
            if self.holders.get(one.replica.slot) == container:
                del self.holders[one.replica.slot]
            self.loop.call_soon_threadsafe(one.died.set)

    def _as_replica(self, victim: Victim) -> Replica:
        state = ReplicaState.PAUSED if victim.is_paused else ReplicaState.RUNNING
        return Replica(
            container=victim.container,
            name=victim.name,
            slot=victim.slot,
            zone=victim.zone,
            release=victim.release,
            generation=int(victim.name.rpartition("-")[2]),
            state=state if victim.is_running else ReplicaState.DEAD,
        )

    def _as_victim(self, replica: Replica) -> Victim:
        return Victim(
            container=replica.container,
            name=replica.name,
            role=Role.APP,
            slot=replica.slot,
            zone=replica.zone,
            release=replica.release,
            networks={INSIDE: (replica.name,)},
            addresses=(f"10.9.1.{int(replica.container, 16)}",),
            memory=64 * 2**20,
            memory_swap=128 * 2**20,
        )

    def _tell(self, victim: Victim, action: str, *, exit_code: int | None = None, signal: int | None = None) -> None:
        event = record.ContainerEvent(
            at=SYSTEM_CLOCK.now(),
            action=action,
            container=victim.container,
            name=victim.name,
            role=victim.role,
            slot=victim.slot,
            zone=victim.zone,
            release=victim.release,
            exit_code=exit_code,
            signal=signal,
        )
        for listener in tuple(self.listeners):
            listener.put(event)
