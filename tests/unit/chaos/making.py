"""A small cluster that may be struck, without containers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import record
from lab.chaos.guard import BlastRadius, Capacity
from lab.chaos.opened import OpenFaults
from lab.chaos.striker import Striker, StrikerParts
from lab.clock import Clock, FakeClock
from lab.cluster.harm import Victim
from lab.model import Replica, ReplicaState, Role
from lab.state.file import FileState
from lab.testing.fake_cluster import FakeHarm

ZONES = ("a", "b", "c")


def replica(slot: str, number: int = 1) -> Victim:
    return Victim(
        container=f"{slot}-{number}".ljust(64, "0"),
        name=f"{slot}-{number}",
        role=Role.APP,
        slot=slot,
        zone=slot[0],
        release="v1",
        memory=128,
        memory_swap=256,
        networks={"inside": ("app", f"{slot}-{number}")},
        addresses=(f"10.0.0.{ZONES.index(slot[0]) + 1}{slot[1]}",) if slot[0] in ZONES else (),
    )


def edge(zone: str) -> Victim:
    return Victim(
        container=f"edge-{zone}".ljust(64, "0"),
        name=f"balancer-{zone}",
        role=Role.BALANCER,
        zone=zone,
        networks={"edge": ("balancer",), "inside": ("balancer",)},
        addresses=(f"10.0.0.{ZONES.index(zone) + 1}9",),
    )


def store(zone: str, role: Role = Role.STORE) -> Victim:
    """A member of a replicated store, or its Sentinel."""
    return Victim(container=f"{role}-{zone}".ljust(64, "0"), name=f"{role}-{zone}", role=role, zone=zone)


def six_and_three() -> FakeHarm:
    """Two replicas and an edge in each of three zones."""
    there = [replica(f"{zone}{number}") for zone in ZONES for number in (1, 2)] + [edge(zone) for zone in ZONES]
    return FakeHarm(there={one.container: one for one in there})


def standing_of(target: FakeHarm) -> Capacity:
    apps = [one for one in target.there.values() if one.role is Role.APP]
    return Capacity(
        zone_of={f"{zone}{number}": zone for zone in ZONES for number in (1, 2)},
        serving={one.slot: one.container for one in apps if one.is_running and not one.is_paused},
    )


@contextmanager
def striking(
    folder: Path,
    target: FakeHarm,
    *,
    radius: BlastRadius | None = None,
    evidence: Callable[[Victim], str] = lambda _: "it answered",
    events: list[record.AnyEvent] | None = None,
    standing: Callable[[], Capacity] | None = None,
    halted: Callable[[], str] = str,
    clock: Clock | None = None,
    primary: Callable[[], str] = lambda: "",
    unwell: Callable[[], str] = lambda: "",
) -> Iterator[Striker]:
    """A striker over a state file in `folder`, so that another one may come after it."""
    seen: list[record.AnyEvent] = [] if events is None else events
    with FileState(folder / "state.db") as state:
        ground = StrikerParts(
            target=target,
            opened=OpenFaults(state, "lab-test"),
            standing=standing or (lambda: standing_of(target)),
            evidence=evidence,
            report=seen.append,
            numbers=itertools.count(1),
            halted=halted,
            primary=primary,
            unwell=unwell,
        )
        yield Striker(ground, radius or BlastRadius(), clock=clock or FakeClock(10**12))


class Field:
    """A cluster that mends itself at once, as far as it is allowed to."""

    def __init__(self) -> None:
        self.target = six_and_three()
        self.events: list[record.AnyEvent] = []
        self.mends = True
        self.looks = 0
        self._made = 100

    def answering(self) -> list[Replica]:
        """Whoever serves; what is dead has been made anew."""
        self.looks += 1
        for one in list(self.target.there.values()):
            if self.mends and one.role is Role.APP and not one.is_running:
                self._made += 1
                del self.target.there[one.container]
                new = replica(one.slot, self._made)
                self.target.there[new.container] = new
        return [
            Replica(
                container=one.container,
                name=one.name,
                slot=one.slot,
                zone=one.zone,
                release="v1",
                state=ReplicaState.RUNNING,
            )
            for one in self.target.there.values()
            if one.role is Role.APP and one.is_running and not one.is_paused
        ]

    def struck(self) -> list[str]:
        """The names of those that were struck, in order."""
        return [event.victim for event in self.events if isinstance(event, record.Strike)]
