"""A cluster without containers, for tests of what acts on a cluster; one contract suite holds for it and Docker."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from lab.cluster.harm import (
    Activate,
    AnyHarm,
    Crash,
    Drain,
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
from lab.cluster.protocol import AppStop
from lab.errors import EngineError, Fenced
from lab.model import Release, Replica, ReplicaState, Slot

_Plain = Send | Crash | Stop | Start | Pause | Unpause | Throttle | Squeeze | Limit | Leave | Join | Drain | Activate
"""What changes a victim alone."""


@dataclass
class FakeEngine:
    """What all handles of one fake cluster share."""

    there: dict[str, Replica] = field(default_factory=dict)
    entered: dict[str, str] = field(default_factory=dict)
    """By slot, the container that took it last."""
    acts: list[str] = field(default_factory=list)
    made: int = 0
    epoch: int = 0


@dataclass
class FakeCluster:
    """Replicas are values in a dict; one that gets SIGUSR1 has its slot, any other signal ends it."""

    slots: tuple[Slot, ...]
    engine: FakeEngine = field(default_factory=FakeEngine)
    epoch: int | None = None
    stops: dict[str, AppStop] = field(default_factory=dict)
    """What the apps of replicas were sent, by container, for a test to say."""

    @property
    def acts(self) -> list[str]:
        """Everything that was done, in order."""
        return self.engine.acts

    def fenced(self, epoch: int) -> FakeCluster:
        self.engine.epoch = max(epoch, self.engine.epoch)
        return FakeCluster(self.slots, self.engine, epoch, self.stops)

    def replicas(self) -> list[Replica]:
        self._check_fence()
        return list(self.engine.there.values())

    def create(self, slot: Slot, release: Release) -> Replica:
        self.engine.made += 1
        made = self.engine.made
        replica = Replica(
            container=f"{made:064x}",
            name=f"{slot.name}-{made}",
            slot=slot.name,
            zone=slot.zone,
            release=release.name,
            generation=made,
            state=ReplicaState.CREATED,
        )
        self.engine.there[replica.container] = replica
        self.acts.append(f"create {replica.name} {release.name}")
        return replica

    def start(self, replica: Replica) -> None:
        self._check_fence()
        there = self._find(replica)
        if there.state is ReplicaState.CREATED:
            self._become(there, ReplicaState.RUNNING)
            self.acts.append(f"start {replica.name}")

    def signal(self, replica: Replica, signal: str) -> bool:
        self._check_fence()
        there = self.engine.there.get(replica.container)
        if there is None or there.state is not ReplicaState.RUNNING:
            return False
        self.acts.append(f"{signal} {replica.name}")
        if signal == "SIGUSR1":
            self.engine.entered[there.slot] = there.container
        else:
            self._become(there, ReplicaState.DEAD)
        return True

    def remove(self, replica: Replica) -> None:
        self._check_fence()
        if self.engine.there.pop(replica.container, None) is not None:
            self.acts.append(f"remove {replica.name}")

    def logs(self, container: str, *, last: int = 200) -> str:  # noqa: ARG002 -- as the real one
        return ""

    @property
    def grace(self) -> float:
        return 10.0

    @property
    def ready_within(self) -> float:
        return 30.0

    def stop_of(self, replica: Replica) -> AppStop | None:
        return self.stops.get(replica.container)

    def trouble_of(self, replica: Replica) -> str:  # noqa: ARG002 -- as the real one
        return ""

    def _check_fence(self) -> None:
        if self.epoch is not None and self.epoch < self.engine.epoch:
            raise Fenced(f"tenure {self.epoch} is over, {self.engine.epoch} leads", at="the fake cluster")

    def _find(self, replica: Replica) -> Replica:
        try:
            return self.engine.there[replica.container]
        except KeyError:
            raise EngineError("no such container", at=replica.name) from None

    def _become(self, replica: Replica, state: ReplicaState) -> None:
        self.engine.there[replica.container] = msgspec.structs.replace(replica, state=state)


@dataclass
class FakeHarm:
    """Victims as values in a dict; what is done to them is kept in order, and said at once."""

    there: dict[str, Victim] = field(default_factory=dict)
    acts: list[tuple[str, AnyHarm]] = field(default_factory=list)
    is_silent: bool = False
    """An engine that says nothing of what it did."""
    idle: bool = False
    """Nobody talks to anybody."""
    severed: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    """Containers, with the addresses that they are cut off from."""
    _said: list[tuple[str, str]] = field(default_factory=list)

    def victims(self) -> list[Victim]:
        return list(self.there.values())

    def read(self, container: str) -> Victim | None:
        return self.there.get(container)

    def do(self, container: str, harm: AnyHarm) -> bool:
        victim = self.there.get(container)
        if victim is None or isinstance(harm, Start) == victim.is_running:
            return False
        changed, said = self._cut(victim, harm) if isinstance(harm, Sever | Mend) else _harmed(victim, harm)
        if not said:
            return False
        if changed == victim and isinstance(harm, Pause | Unpause | Leave | Join):
            return False
        self.there[container] = changed
        if not changed.is_running:
            self.severed = {cut for cut in self.severed if cut[0] != container}
        self.acts.append((container, harm))
        if not self.is_silent:
            self._said += [(container, one) for one in said]
        return True

    def _cut(self, victim: Victim, harm: Sever | Mend) -> tuple[Victim, tuple[str, ...]]:
        """As `_harmed`; nothing is said of what was so already."""
        cut = (victim.container, harm.addresses)
        if isinstance(harm, Sever) == (cut in self.severed):
            return victim, ()
        self.severed ^= {cut}
        done = "not connected" if self.idle else "severed"
        return victim, (done,) if isinstance(harm, Sever) else ("mended",)

    def mark(self) -> str:
        return str(len(self._said))

    def said(self, container: str, since: str) -> list[str]:
        return [action for about, action in self._said[int(since) :] if about == container]


def _harmed(victim: Victim, harm: _Plain) -> tuple[Victim, tuple[str, ...]]:
    """The victim afterwards, and what an engine says of it."""
    change = msgspec.structs.replace
    dead = change(victim, is_running=False, is_paused=False)
    ended: tuple[Victim, tuple[str, ...]]
    match harm:
        case Send():
            ended = (dead, ("kill", "die")) if harm.signal == "SIGKILL" else (victim, ("kill",))
        case Crash():
            ended = dead, ("die",)
        case Stop():
            ended = dead, ("kill", "die", "stop")
        case Squeeze():
            ended = dead, ("update", "oom", "die")
        case Start():
            ended = change(victim, is_running=True), ("start",)
        case Pause() | Unpause():
            ended = change(victim, is_paused=isinstance(harm, Pause)), (type(harm).__name__.lower(),)
        case Throttle():
            ended = change(victim, cpu_quota=harm.quota), ("update",)
        case Limit():
            ended = change(victim, memory=harm.memory, memory_swap=harm.memory_swap), ("update",)
        case Leave():
            left = {name: one for name, one in victim.networks.items() if name not in harm.networks}
            ended = change(victim, networks=left), ("disconnect",)
        case Join():
            ended = change(victim, networks={**victim.networks, **harm.networks}), ("connect",)
        case Drain() | Activate():
            ended = victim, (type(harm).__name__.lower(),)
    return ended
