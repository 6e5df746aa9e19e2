"""What the lab's actors may ask of a cluster, and nothing that only one backend could do."""

from __future__ import annotations

from typing import Protocol, Self

from lab.model import Release, Replica, Slot


class Cluster(Protocol):
    """App replicas in slots. Every act names a replica by its full container id and may safely be repeated.

    All methods raise EngineError where the engine fails; none of them waits for a replica to be ready or gone.
    """

    @property
    def slots(self) -> tuple[Slot, ...]: ...

    def fenced(self, epoch: int) -> Self:
        """This cluster for the deployer of tenure `epoch`, which is above all before it.

        From now on every replica bears that tenure's name: whatever an earlier tenure still does to a replica
        finds none of its name and raises Fenced, and so does everything that it asks after. Replicas that an
        earlier one makes too late are taken over at the next `replicas()`.
        """
        ...

    def replicas(self) -> list[Replica]:
        """Every app replica of this cluster that exists, dead ones too, as the engine sees it now."""
        ...

    def create(self, slot: Slot, release: Release) -> Replica:
        """Make, but don't start, a replica of `release` for `slot`; its generation is above all others."""
        ...

    def start(self, replica: Replica) -> None:
        """Start a created replica; a running one is left alone."""
        ...

    def signal(self, replica: Replica, signal: str) -> bool:
        """Send a signal ("SIGTERM") to the replica's process; False where it no longer runs."""
        ...

    def remove(self, replica: Replica) -> None:
        """Remove a replica and what it alone held, whatever it is doing; one that is gone counts as removed."""
        ...
