"""Puts real parts together: the only module that names backends."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import msgspec

from lab.balancer.config import BalancerSettings, render
from lab.balancer.nginx import NginxBalancer, speaks_http
from lab.chaos.opened import OpenFaults
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.commands import ClusterPlan
from lab.cluster.compose import (
    LAB_PORT,
    ComposeCluster,
    PortTaken,
    bring_up,
    start_later,
    tear_down,
    write_files,
    write_mounted,
)
from lab.cluster.edges import Edge
from lab.cluster.gated import GatedCluster
from lab.cluster.own_app import BALANCER, OwnApp, cluster_file, contents_of, front_of, jobs_of, later_of, others_of
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import read_compose
from lab.cluster.services import wait_for_services
from lab.cluster.store_look import StoreLook
from lab.cluster.stores import ONE_STORE, Stores
from lab.deploy.bearing import borne
from lab.deploy.deployer import Boundary, Deployer, Report
from lab.deploy.desk import Desk
from lab.deploy.rollout import Desired
from lab.errors import LabError
from lab.machine.engine import APIClient
from lab.machine.images import GATE, POSTGRES
from lab.machine.labels import KEPT, Identity, is_owner_gone, this_process
from lab.machine.places import Places, check_project
from lab.machine.ports import free_ports
from lab.machine.setup import Toolbox
from lab.machine.subnets import free_subnet
from lab.machine.sweep import check_name_is_free
from lab.model import Release, Slot, Value, release_name
from lab.retry import wait_until
from lab.state.file import FileState
from lab.state.protocol import State
from lab.state.redis import RedisState

RUN_LIVES = 3600
KEPT_LIVES = 24 * 3600
"""Seconds after which anybody's `lab clean` may remove a cluster of whose owner it knows nothing."""
PICKS = 3
"""How often ports are picked: another lab may pick one of them at the same time."""


class LiveCluster(Value):
    """A cluster whose balancer answers; replicas are the deployer's business."""

    project: str
    engine: APIClient
    cluster: ComposeCluster
    balancer: NginxBalancer
    doors: tuple[tuple[str, int], ...]
    """Host and port of each edge, for users."""
    start_later: Callable[[], None] = lambda: None
    """Starts the services that come once the app serves; may be called again."""
    recreate: Callable[[str, Release], None] = lambda _service, _release: None
    """Makes a worker of somebody's own anew from a release's image."""

    @property
    def url(self) -> str:
        host, port = self.doors[0]
        return f"http://{host}:{port}"


def release_of(toolbox: Toolbox, image: str) -> Release:
    """The release that an image's name stands for: "shop:v1" is release v1."""
    return Release(name=release_name(image), image=toolbox.images.tag(image))


def run_identity(run: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that lives as long as this process."""
    return _identity(f"lab-{run}", run, this_process(), RUN_LIVES, clock)


def kept_identity(project: str, clock: Clock = SYSTEM_CLOCK) -> Identity:
    """The identity of a cluster that outlives this process, until `lab down` or a day has passed."""
    return _identity(project, "kept", KEPT, KEPT_LIVES, clock)


def project_of(places: Places, given: str | None) -> str:
    """The project that a command line names, or this checkout's own. Raises UsageError for what is no name."""
    if not given:
        return default_project(places)
    check_project(given)
    return given


def default_project(places: Places) -> str:
    """This checkout's own project, different from that of a folder of the same name elsewhere."""
    stem = re.sub(r"[^a-z0-9]+", "-", places.root.name.lower()).strip("-") or "lab"
    return f"lab-{stem[:24]}-{hashlib.sha256(str(places.root).encode()).hexdigest()[:6]}"


@contextmanager
def temporary_cluster(
    toolbox: Toolbox,
    identity: Identity,
    slots: tuple[Slot, ...],
    app_image: str,
    balancer: BalancerSettings | None = None,
    *,
    port: int | None = None,
    edges: Sequence[str] = ("",),
    stores: Stores = ONE_STORE,
    own: OwnApp | None = None,
    is_kept: Callable[[], bool] = lambda: False,
) -> Iterator[LiveCluster]:
    """A cluster that is gone afterwards, however the block ends; teardown is entered before anything is made.

    Where `is_kept` says so in the end it is left, for `lab down` or `lab clean` to remove.
    """
    try:
        live = start_cluster(
            toolbox, identity, slots, app_image, balancer, port=port, edges=edges, stores=stores, own=own
        )
        with live.balancer:
            yield live
    finally:
        if not is_kept():
            take_down(toolbox.engine, toolbox.places, identity.project)


@contextmanager
def deployed(
    live: LiveCluster,
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
    with Deployer(
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
    """Wait until the cluster is as wanted. Raises what ended the deployer, or WaitTimeout with its last step."""

    def look() -> bool:
        deployer.check()
        return is_settled()

    is_settled = borne(desk.is_settled)
    wait_until("the cluster is as wanted", look, within=within, next_step="lab status")


def take_down(engine: APIClient, places: Places, project: str) -> list[str]:
    """Remove a cluster by its labels, its files, and what was wanted of it; say what was removed.

    That it is wanted is forgotten first: a deployer that looks after it ends, and makes nothing anew. Where that
    fails it is removed all the same. What a deployer wrote meanwhile is the next cluster's of this name no more.
    """
    folder = places.cluster(project)
    try:
        _forget(places, project)
    finally:
        removed = tear_down(engine, project, folder=folder)
    _forget(places, project)
    return removed


def _forget(places: Places, project: str) -> None:
    with open_state(places) as state:
        state.forget(project)


def lost_zones_of(state: State, project: str) -> Callable[[], tuple[str, ...]]:
    """The zones in which a deployer finds no machine, by the open faults of the cluster."""
    opened = OpenFaults(state, project)
    return lambda: opened.read().lost_zones


def open_state(places: Places) -> State:
    """The lab's durable state: the Redis that LAB_STATE names, or else this checkout's file."""
    url = os.environ.get("LAB_STATE", "")
    return RedisState(url) if url else FileState(places.state)


def start_cluster(
    toolbox: Toolbox,
    identity: Identity,
    slots: tuple[Slot, ...],
    app_image: str,
    settings: BalancerSettings | None = None,
    *,
    port: int | None = None,
    edges: Sequence[str] = ("",),
    stores: Stores = ONE_STORE,
    own: OwnApp | None = None,
) -> LiveCluster:
    """Bring up balancers, stores and pattern, and wait until all of them answer. The caller tears down.

    `edges` are the zones of the balancers; the first gets `port`.
    With `own` the pattern and what stands beside it are somebody's own compose file's.
    Raises UsageError, before anything is made, where the project's name is a stranger's.
    """
    check_name_is_free(toolbox.engine, identity.project)
    plan = ClusterPlan(
        identity=identity,
        compose_file=toolbox.places.compose_file,
        folder=toolbox.places.cluster(identity.project),
        app_image=app_image,
        nginx_image=toolbox.images.tag("nginx"),
        redis_image=toolbox.images.tag("redis"),
        cutter_image=toolbox.images.tag("cutter"),
        postgres_image=toolbox.images.tag(POSTGRES),
        stores=stores,
        subnet=free_subnet(toolbox.engine) if stores.tier.is_replicated else "",
        others=stores.services,
        edges=_edges(edges, port),
    )
    made = _bring_up(toolbox, plan, render(slots, settings or BalancerSettings()), own, port)
    kind = ComposeCluster if own is None else GatedCluster
    cluster = kind(toolbox.engine, project=identity.project, slots=slots)
    balancer = NginxBalancer(*cluster.addresses(LAB_PORT))
    try:
        wait_until("the balancers answer", balancer.is_alive, within=30, every=0.1, next_step="lab status")
        if own is not None and own.front is not None:
            front = own.front.service
            [door] = cluster.addresses()
            said = f"docker compose logs {front}   # it must ask for {own.service}:{own.port}"
            wait_until(f"{front} answers", lambda: speaks_http(door), within=30, every=0.1, next_step=said)
        if stores != ONE_STORE:  # of one store alone its replicas say whether it answers
            look = StoreLook(toolbox.engine, project=identity.project)
            wait_until("the stores are whole", lambda: not look.trouble(), within=60, every=0.2, next_step="lab status")
    except LabError:
        balancer.__exit__(None, None, None)
        raise
    return LiveCluster(
        project=identity.project,
        engine=toolbox.engine,
        cluster=cluster,
        balancer=balancer,
        doors=cluster.addresses(),
        start_later=partial(start_later, toolbox.compose, made),
        **({"recreate": cluster.recreate} if isinstance(cluster, GatedCluster) else {}),
    )


def _bring_up(
    toolbox: Toolbox, plan: ClusterPlan, nginx_conf: str, own: OwnApp | None, port: int | None
) -> ClusterPlan:
    """Write what a cluster is made from, and make it; on other ports where one of those picked has been taken since.

    Gives the plan that it was made by.
    """
    for picks_left in reversed(range(PICKS)):
        if own is None:
            write_files(plan, nginx_conf)
            made = plan
        else:
            made = _plan_own(toolbox, plan, own, nginx_conf)
        try:
            bring_up(toolbox.compose, made)
        except PortTaken as exc:
            if exc.port == port or not picks_left:
                raise
            tear_down(toolbox.engine, plan.identity.project, folder=plan.folder)
            plan = msgspec.structs.replace(plan, edges=_edges([edge.zone for edge in plan.edges], port))
        else:
            if own is not None:
                wait_for_services(toolbox.engine, made)
            return made
    raise AssertionError("the last pick returns or raises")


def _edges(zones: Sequence[str], port: int | None) -> tuple[Edge, ...]:
    """A balancer in each of the zones, on free ports; the first on `port`, if that is given."""
    ports = free_ports(2 * len(zones))
    if port is not None:
        ports = (port, *ports[1:])
    return tuple(
        Edge(zone=zone, port=one, door=door) for zone, one, door in zip(zones, ports[::2], ports[1::2], strict=True)
    )


def _plan_own(toolbox: Toolbox, plan: ClusterPlan, own: OwnApp, nginx_conf: str) -> ClusterPlan:
    """Write what a cluster of somebody's own app is made from."""
    read = read_compose(toolbox.compose, own.compose)
    config = read.config
    check_service(config, own)
    plan = msgspec.structs.replace(
        plan,
        compose_file=plan.folder / "compose.json",
        app=own.service,
        balancer=BALANCER,
        others=others_of(config, own),
        front=front_of(own),
        later=later_of(config, own),
        jobs=jobs_of(config),
    )
    made = cluster_file(config, own, plan, toolbox.images.tag(GATE))
    contents = contents_of(config, read.environment)
    write_mounted(plan, {"nginx.conf": nginx_conf, "compose.json": json.dumps(made), **contents})
    return plan


def open_cluster(engine: APIClient, project: str, slots: tuple[Slot, ...]) -> ComposeCluster:
    """A cluster that is up, as what it was brought up as."""
    if GatedCluster.is_one(engine, project):
        return GatedCluster(engine, project=project, slots=slots)
    return ComposeCluster(engine, project=project, slots=slots)


def _identity(project: str, run: str, owner: str, lives: int, clock: Clock) -> Identity:
    return Identity(project=project, run=run, owner=owner, expires=int(clock.wall().timestamp()) + lives)
