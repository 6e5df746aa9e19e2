"""A cluster without containers, for tests of what acts on a cluster; one contract suite holds for it and Docker."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from lab.errors import EngineError
from lab.model import Release, Replica, ReplicaState, Slot


@dataclass
class FakeCluster:
    """Replicas are values in a dict; `never_ready` names releases that start and never answer."""

    slots: tuple[Slot, ...]
    never_ready: frozenset[str] = frozenset()
    acts: list[str] = field(default_factory=list)
    _there: dict[str, Replica] = field(default_factory=dict)
    _made: int = 0

    def replicas(self) -> list[Replica]:
        return list(self._there.values())

    def create(self, slot: Slot, release: Release) -> Replica:
        self._made += 1
        replica = Replica(
            container=f"{self._made:064x}",
            name=f"{slot.name}-{self._made}",
            slot=slot.name,
            zone=slot.zone,
            release=release.name,
            generation=self._made,
            state=ReplicaState.CREATED,
        )
        self._there[replica.container] = replica
        self.acts.append(f"create {replica.name} {release.name}")
        return replica

    def start(self, replica: Replica) -> None:
        there = self._find(replica)
        if there.state is ReplicaState.CREATED:
            self._become(there, ReplicaState.RUNNING)
            self.acts.append(f"start {replica.name}")

    def signal(self, replica: Replica, signal: str) -> bool:
        there = self._there.get(replica.container)
        if there is None or there.state is not ReplicaState.RUNNING:
            return False
        self.acts.append(f"{signal} {replica.name}")
        self._become(there, ReplicaState.DEAD)
        return True

    def remove(self, replica: Replica) -> None:
        if self._there.pop(replica.container, None) is not None:
            self.acts.append(f"remove {replica.name}")

    def answering(self) -> dict[str, str]:
        """By slot, the replica that answers there: the newest that runs and whose release gets ready at all."""
        ready: dict[str, Replica] = {}
        for replica in self._there.values():
            if replica.state is ReplicaState.RUNNING and replica.release not in self.never_ready:
                newest = ready.get(replica.slot)
                if newest is None or newest.generation < replica.generation:
                    ready[replica.slot] = replica
        return {slot: replica.name for slot, replica in ready.items()}

    def _find(self, replica: Replica) -> Replica:
        try:
            return self._there[replica.container]
        except KeyError:
            raise EngineError("no such container", at=replica.name) from None

    def _become(self, replica: Replica, state: ReplicaState) -> None:
        self._there[replica.container] = msgspec.structs.replace(replica, state=state)
