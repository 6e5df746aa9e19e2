"""A deployer of this process at work on a cluster, until the block ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.backends.protocol import OpenProject
from lab.chaos.opened import OpenFaults
from lab.clock import SYSTEM_CLOCK, Clock
from lab.deploy.bearing import borne
from lab.deploy.deployer import Boundary, Deployer, Report
from lab.deploy.desk import Desk
from lab.deploy.rollout import Desired
from lab.machine.labels import is_owner_gone, this_process
from lab.retry import wait_until
from lab.state.protocol import State


@contextmanager
def deployed(
    live: OpenProject,
    state: State,
    report: Report,
    *,
    first: Desired | None = None,
    boundary: Boundary = lambda _moment, _step: None,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[tuple[Desk, Deployer]]:
    """A deployer of this process at work on a cluster, and the desk at which it is told what is wanted."""
    desk = Desk(state, live.project, clock=clock)
    if first is not None:
        desk.begin(first)
    with live.deployer(
        live.cluster,
        live.balancer,
        state,
        live.project,
        report,
        holder=this_process(),
        is_gone=is_owner_gone,
        boundary=boundary,
        lost_zones=lost_zones_of(state, live.project),
        clock=clock,
    ) as deployer:
        yield desk, deployer


def wait_settled(desk: Desk, deployer: Deployer, *, within: float) -> None:
    """Wait until it is in its desired state. Raises what ended the deployer, or WaitTimeout with its last step."""

    def look() -> bool:
        deployer.check()
        return is_settled()

    is_settled = borne(desk.is_settled)
    wait_until("the cluster reaches its desired state", look, within=within, next_step="lab status")


def lost_zones_of(state: State, project: str) -> Callable[[], tuple[str, ...]]:
    """The zones in which a deployer finds no machine, by the open faults of the cluster."""
    opened = OpenFaults(state, project)
    return lambda: opened.read().lost_zones
