"""What the lab's actors may ask of a cluster, and nothing that only one backend could do."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, Self

from lab.model import Release, Replica, Slot, Value

USUAL_GRACE, USUAL_READY_WITHIN = 10.0, 30.0
"""Seconds that a draining replica has, and one that starts."""


class StopWay(StrEnum):
    """When a replica of somebody's own app that leaves gets its stop signal."""

    AT_ONCE = "at_once"
    """While requests are in it, as in production; then SIGKILL after the service's `stop_grace_period`."""
    AFTER_ANSWERS = "after_answers"
    """Only when all that it was asked is answered: how the app itself stops is not tested then."""


class AppStop(Value):
    """What an app that knows nothing of the lab was sent when its replica was told to leave."""

    at: int
    """When, in monotonic nanoseconds."""
    service: str
    signal: str
    grace: float
    """Seconds that it had before SIGKILL."""
    process: str = ""
    """What ran as its process 1, where that is known."""
    hook: str = ""
    """What came of a command that should have run before, where it failed."""
    heard: int = 0
    """When the engine had delivered it; 0 where that is not known."""


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

    def logs(self, container: str, *, last: int = 200) -> str:
        """The last lines that a container wrote; "" where it is gone."""
        ...

    @property
    def grace(self) -> float:
        """Seconds that a replica which was told to leave has, where whoever rolls says nothing."""
        ...

    @property
    def ready_within(self) -> float:
        """Seconds in which a replica must be ready, where there is no rollout that says it."""
        ...

    def stop_of(self, replica: Replica) -> AppStop | None:
        """What the replica's app was sent when it was to leave, by this handle.

        None where it was not sent anything yet, or drains by itself.
        """
        ...

    def trouble_of(self, replica: Replica) -> str:
        """Why it counts as dead though its process runs, for a person; "" where it does not."""
        ...

    def remove(self, replica: Replica) -> None:
        """Remove a replica and what it alone held, whatever it is doing; one that is gone counts as removed."""
        ...
