"""The lab's one clock: monotonic nanoseconds for order and length, wall time only for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

NS = 1_000_000_000
"""Nanoseconds in a second."""


class Clock(Protocol):
    """Where time comes from; an argument everywhere, so that tests own it."""

    def now(self) -> int:
        """Monotonic nanoseconds: comparable within this machine's boot, never across machines."""
        ...

    def wall(self) -> datetime:
        """The time of day in UTC, for names and reports; never used to order anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


class SystemClock:
    """The machine's own clock."""

    now = staticmethod(time.monotonic_ns)
    """The function itself: the users' driver asks it several times a request."""

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FakeClock:
    """A clock that moves only when it is told to sleep."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        return self._now

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self._now / NS, UTC)

    def sleep(self, seconds: float) -> None:
        self._now += int(seconds * NS)


SYSTEM_CLOCK: Clock = SystemClock()
