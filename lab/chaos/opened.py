"""The faults that are not undone yet, kept in the lab's state: whoever comes later can undo them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lab.cluster.harm import AnyHarm, Victim
from lab.model import Value
from lab.state.change import again_while_stale
from lab.state.documents import decode, encode
from lab.state.protocol import State


class OpenFault(Value):
    """One victim that is hurt until somebody undoes it. Times are wall-clock nanoseconds."""

    strike: int
    fault: str
    victim: Victim
    """As it was before."""
    undo: tuple[AnyHarm, ...]
    since: int
    by: str = ""
    """The process that did it."""
    zone: str = ""
    """The lost zone that it is part of."""


class LostZone(Value):
    """A zone in which nothing is made until it is back."""

    zone: str
    cut_off: bool
    since: int


class Opened(Value):
    """Everything that is open in one cluster."""

    faults: tuple[OpenFault, ...] = ()
    zones: tuple[LostZone, ...] = ()

    @property
    def lost_zones(self) -> tuple[str, ...]:
        return tuple(one.zone for one in self.zones)


class OpenFaults:
    """The document of one cluster's open faults, over a State; written before anything is done."""

    def __init__(self, state: State, cluster: str) -> None:
        self._state, self._key = state, f"{cluster}/faults"

    def read(self) -> Opened:
        """What is open now."""
        return self._read()[1]

    def add(self, fault: OpenFault) -> None:
        """From here on somebody has to undo it."""
        self._change(lambda now: msgspec.structs.replace(now, faults=(*now.faults, fault)))

    def drop(self, fault: OpenFault) -> None:
        """It is undone."""
        self._change(lambda now: msgspec.structs.replace(now, faults=tuple(one for one in now.faults if one != fault)))

    def lose(self, zone: LostZone) -> None:
        """From here on no deployer makes anything in this zone."""
        self._change(lambda now: msgspec.structs.replace(now, zones=(*_without(now, zone.zone), zone)))

    def regain(self, zone: str) -> None:
        """The zone is there again."""
        self._change(lambda now: msgspec.structs.replace(now, zones=_without(now, zone)))

    def _read(self) -> tuple[int, Opened]:
        found = self._state.read(self._key)
        return (0, Opened()) if found is None else (found.version, decode(found.body, Opened, at=self._key))

    def _change(self, change: Callable[[Opened], Opened]) -> None:
        def once() -> None:
            version, now = self._read()
            self._state.write(self._key, encode(change(now)), version=version)

        again_while_stale(once)


def _without(now: Opened, zone: str) -> tuple[LostZone, ...]:
    return tuple(one for one in now.zones if one.zone != zone)
