"""What the lab's actors may ask of a balancer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from lab.model import Value


class ReplicaAnswer(Value):
    """What a replica said when it was asked how it is."""

    replica: str
    is_ready: bool
    saw: str = ""
    """Where a gate asked it: what was asked and what came, for a person."""
    is_silent: bool = False
    """Where a gate asked it: the replica itself said nothing."""
    idle: float | None = None
    """Where a gate stands before it: seconds after which it closes idle connections, if it was seen to."""


class Balancer(Protocol):
    """Knows slots, and lets the lab ask by itself whoever stands in one. Asking changes nothing."""

    def holders(self, slots: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        """By slot, the replica that requests go to. Slots where nobody answers are left out."""
        ...

    def replicas(self, names: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        """By name, what these replicas say, in a slot or not. Those that do not answer are left out."""
        ...


class LoadBalancer(Balancer, Protocol):
    """A balancer that also says how much it is asked."""

    def requests(self) -> tuple[int, int] | None:
        """Requests of users that were answered so far, and those in flight; None where it does not answer."""
        ...
