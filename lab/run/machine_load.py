"""Whether this machine has so much else to do that what comes late may be its fault."""

from __future__ import annotations

import os
from collections.abc import Callable

from lab.clock import NS, Clock
from lab.record import MachineBusy

PER_CORE = 8.0
"""The load average of the last minute for each core from which on nobody who comes late can be blamed for it. A run by
itself makes about one on two cores, three beside each other six to seven."""
LOOK_EVERY, TELL_EVERY = 5.0, 20.0
"""Seconds between two looks; and between two words where it stays busy."""


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


class MachineLoad:
    """Looks every few seconds; not safe for several threads."""

    def __init__(self, clock: Clock, load: Callable[[], float] | None = None) -> None:
        self._clock, self._load = clock, load or load_average
        self._cores = os.cpu_count() or 1
        self._looked_at: int | None = None
        self._told_at: int | None = None

    def busy(self) -> MachineBusy | None:
        """What the record is to say, where it is time to look and the machine is too busy."""
        now = self._clock.now()
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY * NS:
            return None
        self._looked_at = now
        load = self._load()
        is_told = self._told_at is not None and now - self._told_at < TELL_EVERY * NS
        if load <= PER_CORE * self._cores or is_told:
            return None
        self._told_at = now
        return MachineBusy(at=now, load=round(load, 1), cores=self._cores)
