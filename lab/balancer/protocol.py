"""What the lab's actors may ask of a balancer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Balancer(Protocol):
    """Knows slots. A replica that is ready takes its slot over by itself; the lab only asks who answers there."""

    def answering(self, slots: Iterable[str]) -> dict[str, str]:
        """By slot, the name of the replica that says it is ready there. Slots where none does are left out."""
        ...
