"""A deployer's time in office: the lease it holds, and the guard before each of its acts."""

from __future__ import annotations

from collections.abc import Callable

from lab.clock import NS, Clock
from lab.errors import Fenced
from lab.state.protocol import Lease, State

LEASE_SECONDS = 4.0
"""How long another deployer waits, at most, for one that fell silent on another machine or was stopped."""
RENEW_AFTER = 1.0
MARGIN = 0.5
"""Seconds before the lease's end from which nothing is begun any more: a call takes time too."""


class Tenure:
    """Holds one cluster's lease. `guard` is asked before every act and raises Fenced once the time is over.

    The end is measured by this process' monotonic clock from before the lease was asked for, so that neither a
    clock that is set nor a process that was stopped can make it seem longer than it is.
    """

    def __init__(
        self, state: State, lease: Lease, *, asked_at: int, seconds: float = LEASE_SECONDS, clock: Clock
    ) -> None:
        self._state, self.lease, self._seconds, self._clock = state, lease, seconds, clock
        self._asked_at = asked_at

    @classmethod
    def begin(
        cls,
        state: State,
        cluster: str,
        holder: str,
        *,
        is_gone: Callable[[str], bool],
        seconds: float = LEASE_SECONDS,
        clock: Clock,
    ) -> Tenure | None:
        """Take the lease, or None while somebody else's runs. A holder that is surely dead holds nothing."""
        asked_at = clock.now()
        lease = state.acquire(cluster, holder, seconds, is_gone=is_gone)
        return None if lease is None else cls(state, lease, asked_at=asked_at, seconds=seconds, clock=clock)

    def guard(self) -> None:
        """Renew where it is time to. Raises Fenced where the lease is over or somebody else's."""
        age = (self._clock.now() - self._asked_at) / NS
        if age > self._seconds - MARGIN:
            raise Fenced(
                f"this deployer was silent for {age:.1f} s and has lost its lease",
                at=self.lease.name,
                hint="lab lock",
            )
        if age > RENEW_AFTER:
            asked_at = self._clock.now()
            self.lease = self._state.renew(self.lease, self._seconds)
            self._asked_at = asked_at

    def end(self) -> None:
        """Let somebody else have it at once."""
        self._state.release(self.lease)
