"""A fault that is pinned to a moment of a rollout says in the record what it hits."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab import record
from lab.clock import NS, FakeClock
from lab.cluster.harm import Victim
from lab.model import Replica, ReplicaState, Role
from lab.run.pinned_faults import Pinned, PinnedFaultParts
from lab.scenario.pin_spec import Pin, PinnedFault

REPLICA = Replica(
    container="app-id", name="a1-1", slot="a1", zone="a", release="v1", state=ReplicaState.RUNNING, generation=1
)


class Target:
    """Everything runs, and whatever is done to it works."""

    def victims(self) -> Sequence[Victim]:
        return [Victim(container=f"{role}-id", name=role, role=role) for role in (Role.BALANCER, Role.STORE)]

    def read(self, container: str) -> Victim:
        return Victim(container=container, name=container, role=Role.APP)

    def do(self, *_: object) -> bool:
        return True


class Crew:
    def kill(self, _: object) -> None: ...


class Desk:
    def read(self) -> Any:
        releases = {"to": SimpleNamespace(name="v2"), "before": SimpleNamespace(name="v1")}
        return SimpleNamespace(desired=SimpleNamespace(rollout=SimpleNamespace(**releases)))

    def status(self) -> None: ...


@pytest.mark.parametrize(
    ("fault", "role", "slot"),
    [
        (PinnedFault.KILL_OLD, "app", "a1"),
        (PinnedFault.KILL_BALANCER, "balancer", ""),
        (PinnedFault.FREEZE_STORE, "store", ""),
        (PinnedFault.KILL_DEPLOYER, "deployer", ""),
    ],
)
def test_a_pinned_strike_says_what_it_hits(fault: PinnedFault, role: str, slot: str) -> None:
    """By its role, as any other strike does, so that a store's excuses what a store's may."""
    told: list[record.AnyEvent] = []
    cluster = SimpleNamespace(replicas=lambda: [REPLICA])
    live = SimpleNamespace(project="p", cluster=cluster, strikable=Target(), halted=str)
    ground = PinnedFaultParts(live=cast(Any, live), desk=cast(Any, Desk()), crew=cast(Any, Crew()))
    pinned = Pinned(ground, Pin(action="enter"), fault, seconds=60.0, report=told.append, clock=FakeClock(NS))
    step = record.Step(at=NS, action="enter", slot="a1", replica="a1-2", release="v2", why="upgrade")
    pinned(cast(Any, SimpleNamespace(pid=7)), "after", step)
    pinned.end()
    struck, proved, *undone = told
    assert isinstance(struck, record.Strike)
    assert (struck.fault, struck.role, struck.slot) == (fault, role, slot)
    assert isinstance(proved, record.StrikeProved)
    assert proved.hit
    assert (struck.fault_kind, struck.lasts) == (fault.does, fault.does == "freeze")
    assert struck.source is record.StrikeSource.PIN
    assert [(type(one), one.strike) for one in undone if isinstance(one, record.StrikeUndone)] == (
        [(record.StrikeUndone, struck.strike)] if struck.lasts else []
    )
