"""How long one request may wait for the stores: one deadline for all that it asks them, before the balancer's own."""

from __future__ import annotations

import time
from contextvars import ContextVar

REQUEST_SECONDS = 3.2
"""With LEAST_SECONDS less than the balancer waits for a replica, so that it is told rather than left to guess."""
LEAST_SECONDS = 0.5
"""What is sent at the last moment may take so long to be answered."""
PROBE_SECONDS = 0.3
"""For a probe, which wants to know how it is now."""

_until: ContextVar[float | None] = ContextVar("patience", default=None)


def begin(seconds: float = REQUEST_SECONDS) -> None:
    """From now on whatever this request asks the stores shares so many seconds."""
    _until.set(time.monotonic() + seconds)


def deadline() -> float:
    """When it is over, in monotonic seconds; a whole request's time from now where nobody has begun."""
    until = _until.get()
    return time.monotonic() + REQUEST_SECONDS if until is None else until


def left(until: float, most: float) -> float:
    """Seconds that something may take which is begun now: `most` at most, LEAST_SECONDS at least."""
    return min(most, max(LEAST_SECONDS, until - time.monotonic()))
