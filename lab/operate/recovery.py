"""The desk of a cluster, also where what was written down of it is lost: then the cluster is found again."""

from __future__ import annotations

from collections.abc import Callable

from lab.backends.protocol import Backend
from lab.clock import SYSTEM_CLOCK
from lab.cluster.found import FoundCluster
from lab.deploy.desk import Desk
from lab.deploy.rollout import Desired
from lab.machine.labels import this_process
from lab.state.protocol import State

HELD = 60.0
"""Seconds; each lease is given back at once."""


def desk_of(backend: Backend, state: State, project: str, *, say: Callable[[str], None] = lambda _: None) -> Desk:
    """The desk of this cluster.

    Where nothing is written down of a cluster that `lab up` made and that stands, as after its state was moved away,
    what it is becomes what is wanted of it. A rollout that was under way then is not gone on with.
    """
    desk = Desk(state, project, clock=SYSTEM_CLOCK)
    if not desk.exists():
        found = backend.found_again(project)
        if found is not None:
            write_down(desk, state, project, found)
            say(f"{project}: nothing was written down of it; found again by its labels, with {found.release.name}")
    return desk


def write_down(desk: Desk, state: State, project: str, found: FoundCluster) -> None:
    """Want what there is. Tenures count on from the latest that any container bears, else that would be fenced off."""
    desk.begin(Desired(release=found.release, slots=found.slots, active=found.active))
    token = 0
    while token < found.tenure:
        lease = state.acquire(project, this_process(), HELD)
        if lease is None:  # somebody leads already, so that its tenure is one that counts
            return
        state.release(lease)
        token = lease.token
