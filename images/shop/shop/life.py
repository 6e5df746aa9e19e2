"""Where a replica is in its life, and when one that drains may leave."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_DRAIN_SECONDS = 0.3


@dataclass(slots=True)
class Life:
    """What the rest of the replica may know of its own life: shared, and changed by `serve` alone."""

    ready: bool = False
    draining: bool = False
    aside: bool = False
    """Whether another replica has its slot, or none: it stands by, and nobody is to be sent to it again."""
    why: str = "starting"
    """Why it is not ready."""


@dataclass(slots=True)
class Drain:
    """Decides when a replica that was told to go has nobody left to answer.

    It stays for LEAST_DRAIN_SECONDS, since the balancer may be connecting at this very moment; then until two looks
    in a row found nobody, because a connection is in neither place while it is being accepted; and no longer
    than `longest` seconds.
    """

    longest: float
    _was_idle: bool = False

    def may_leave(self, *, after: float, connections: int, callers: bool) -> bool:
        """Whether to leave `after` seconds of draining; `callers` says if somebody waits to be accepted."""
        if after >= self.longest:
            return True
        idle = after >= LEAST_DRAIN_SECONDS and connections == 0 and not callers
        leave = idle and self._was_idle
        self._was_idle = idle
        return leave
