"""Clusters on a Docker engine: the only module that puts its real parts together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from lab.backends.abilities import known_abilities
from lab.backends.one_engine import check_has_no_nodes
from lab.backends.own_app import balancer_settings, check_own_app, own_app
from lab.backends.protocol import ClusterOrder, OpenProject, Report, Say
from lab.backends.state import open_state
from lab.backends.worker_fit import check_has_no_workers
from lab.balancer.config import BalancerSettings, render, slots_in
from lab.balancer.nginx import NginxBalancer, speaks_http
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.bring_up import PortTaken, adapt, bring_up, bring_up_by_copy, start_later, write_files, write_mounted
from lab.cluster.commands import BOUNDED, OF_SLOTS, ClusterPlan
from lab.cluster.compose import LAB_PORT, ComposeCluster
from lab.cluster.cutter import remove_cutters
from lab.cluster.edges import EDGE_NETWORK, Edge
from lab.cluster.engine_harm import EngineHarm
from lab.cluster.events import EngineWatch
from lab.cluster.found import FoundCluster, find_cluster
from lab.cluster.gated import GatedCluster
from lab.cluster.logs import log_lines
from lab.cluster.one_off import recreate, run_once
from lab.cluster.own_app import (
    BALANCER,
    EDGE,
    OwnApp,
    cluster_file,
    contents_of,
    front_of,
    jobs_of,
    later_of,
    others_of,
)
from lab.cluster.own_checks import check_service
from lab.cluster.own_files import read_compose
from lab.cluster.services import wait_for_services
from lab.cluster.store_look import StoreLook
from lab.cluster.stores import ONE_STORE, Stores
from lab.cluster.tear_down import tear_down
from lab.deploy.rollout import Strategy
from lab.errors import LabError
from lab.machine.engine import APIClient, describe, engine_address, is_podman
from lab.machine.halt import halt, halted_by, lift
from lab.machine.images import GATE, POSTGRES
from lab.machine.labels import Identity
from lab.machine.places import Places
from lab.machine.ports import free_ports
from lab.machine.reach import check_bind, engine_host, find_reach, join, own_container
from lab.machine.setup import Toolbox
from lab.machine.subnets import free_subnet
from lab.machine.sweep import Leftover, check_name_is_free, find_clusters, sweep
from lab.model import Release, Slot, release_name
from lab.retry import wait_until
from lab.scenario.spec import ClusterSpec, Edges, Scenario
from lab.state.protocol import State
from lab.users.wire import Door

PICKS = 3
"""How often ports are picked: another lab may pick one of them at the same time."""


class LiveCluster(OpenProject, kw_only=True):
    """An open project on the engine, with what only tests and this room may ask of it."""

    engine: APIClient
    cluster: ComposeCluster
    balancer: NginxBalancer


class DockerBackend:
    """Clusters of containers on this machine's engine: Compose brings up what is not multiplied."""

    name = "docker"
    is_shared = True

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    @property
    def runs(self) -> Path:
        return self.toolbox.places.runs

    def describe(self) -> Mapping[str, object]:
        return {"engine": describe(self.toolbox.engine), "compose": list(self.toolbox.compose)}

    def release(self, image: str) -> Release:
        return release_of(self.toolbox, image)

    def image_ids(self, images: Sequence[str]) -> Mapping[str, str]:
        return self.toolbox.images.ids(images)

    def provide(self, images: Sequence[str], say: Say) -> None:
        self.toolbox.images.make_missing(say, images)

    def check(self, spec: ClusterSpec, releases: Sequence[str], say: Say, *, pulls: bool = False) -> None:
        bind = check_bind()
        if engine_host(engine_address()):
            say(f"the engine is elsewhere: files are copied to it, and users' doors published on its {bind}")
        check_own_app(self.toolbox, spec, releases, say=say, pulls=pulls)

    def cannot(self) -> Mapping[str, str]:
        return known_abilities(self.toolbox).impossible

    def check_scenario(self, scenario: Scenario) -> None:
        check_has_no_nodes(scenario)

    def check_workers(self, scenario: Scenario, count: int, say: Say) -> None:  # noqa: ARG002
        check_has_no_workers("on one engine")

    def check_rollout(self, strategy: Strategy) -> None:
        """Whatever there is."""

    def bring_up(
        self, order: ClusterOrder, *, is_kept: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[LiveCluster]:
        spec = order.spec
        return temporary_cluster(
            self.toolbox,
            order.identity,
            spec.slots,
            self.release(spec.release).image,
            balancer_settings(spec, order.may_be_empty),
            port=order.port,
            edges=tuple(spec.zones) if spec.edges is Edges.ZONES else ("",),
            stores=spec.stores,
            own=own_app(spec),
            is_kept=is_kept,
        )

    @contextmanager
    def attach(self, project: str, slots: tuple[Slot, ...]) -> Iterator[LiveCluster]:
        engine = self.toolbox.engine
        cluster = open_cluster(engine, project, slots)
        _come_in(self.toolbox, cluster)
        with NginxBalancer(*cluster.addresses(LAB_PORT)) as balancer:
            yield _live(engine, cluster, balancer)

    def cluster(self, project: str) -> ComposeCluster:
        return open_cluster(self.toolbox.engine, project, ())

    def found_again(self, project: str) -> FoundCluster | None:
        return find_cluster(self.toolbox.engine, project, _slots_of(self.toolbox.places, project))

    def owner(self, project: str) -> Leftover | None:
        found = find_clusters(self.toolbox.engine, now=SYSTEM_CLOCK.wall())
        return next((one for one in found if one.identity.project == project), None)

    def is_there(self, project: str) -> bool:
        return self.owner(project) is not None

    def events(
        self, project: str, report: Report, *, clock: Clock = SYSTEM_CLOCK
    ) -> AbstractContextManager[EngineWatch]:
        return EngineWatch(project, report, clock=clock)

    def log_lines(self, project: str, named: str, *, last: int, follows: bool) -> Iterator[str]:
        return log_lines(self.toolbox.engine, project, named, last=last, follows=follows)

    def halted(self) -> str:
        return halted_by(self.toolbox.engine)

    def halt(self, who: str) -> str:
        return halt(self.toolbox.engine, who)

    def lift(self) -> bool:
        return lift(self.toolbox.engine)

    def tidy(self, project: str) -> None:
        remove_cutters(self.toolbox.engine, project)

    def state(self) -> AbstractContextManager[State]:
        return open_state(self.toolbox.places)

    def close(self) -> None:
        self.toolbox.engine.close()

    def sweep_abandoned(self, say: Say) -> None:
        found = find_clusters(self.toolbox.engine, now=SYSTEM_CLOCK.wall())
        swept = sweep([one for one in found if one.is_abandoned], self.take_down)
        for what in swept.removed:
            say(f"removed {what}, left by a killed lab")
        for why in swept.stuck:
            say(f"could not remove leftovers of a killed lab: {why}")

    def take_down(self, project: str) -> list[str]:
        return take_down(self.toolbox.engine, self.toolbox.places, project)


def _slots_of(places: Places, project: str) -> tuple[str, ...]:
    """Those that its balancer knows, by the file that it was given; none where that is not here."""
    try:
        return slots_in((places.cluster(project) / "nginx.conf").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()


def release_of(toolbox: Toolbox, image: str) -> Release:
    """The release that an image's name stands for: "shop:v1" is release v1."""
    return Release(name=release_name(image), image=toolbox.images.tag(image))


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
        slots_options=OF_SLOTS if is_podman(toolbox.engine) else BOUNDED,
    )
    made = _bring_up(toolbox, plan, render(slots, settings or BalancerSettings()), own, port)
    kind = ComposeCluster if own is None else GatedCluster
    cluster = kind(toolbox.engine, project=identity.project, slots=slots)
    _come_in(toolbox, cluster)
    balancer = NginxBalancer(*cluster.addresses(LAB_PORT))
    try:
        _wait_for_all(toolbox, cluster, balancer, own, stores)
    except LabError:
        balancer.__exit__(None, None, None)
        raise
    live = _live(toolbox.engine, cluster, balancer)
    return msgspec.structs.replace(live, start_later=partial(start_later, toolbox.compose, made))


def _wait_for_all(
    toolbox: Toolbox, cluster: ComposeCluster, balancer: NginxBalancer, own: OwnApp | None, stores: Stores
) -> None:
    """Wait until balancers, a front of theirs and stores answer; raises LabError for the one that does not."""
    wait_until("the balancers answer", balancer.is_alive, within=30, every=0.1, next_step="lab status")
    if own is not None and own.front is not None:
        front = own.front.service
        [door] = cluster.addresses()
        said = f"docker compose logs {front}   # it must ask for {own.service}:{own.port}"
        wait_until(f"{front} answers", lambda: speaks_http(door), within=30, every=0.1, next_step=said)
    if stores != ONE_STORE:  # of one store alone its replicas say whether it answers
        look = StoreLook(toolbox.engine, project=cluster.project)
        wait_until("the stores are whole", lambda: not look.trouble(), within=60, every=0.2, next_step="lab status")


def _come_in(toolbox: Toolbox, cluster: ComposeCluster) -> None:
    """Be where the cluster's doors are: in its network, if they are reached there alone."""
    network = cluster.inside
    if network:
        container = own_container(toolbox.engine, toolbox.places.own)
        if container:
            join(toolbox.engine, container, network)


def _live(engine: APIClient, cluster: ComposeCluster, balancer: NginxBalancer) -> LiveCluster:
    project = cluster.project
    live = LiveCluster(
        project=project,
        cluster=cluster,
        balancer=balancer,
        strikable=EngineHarm(engine, project=project),
        stores=StoreLook(engine, project=project),
        doors=cluster.addresses(),
        halted=partial(halted_by, engine),
        to_slot=partial(_to_slot, cluster),
        engine=engine,
    )
    if not isinstance(cluster, GatedCluster):
        return live
    return msgspec.structs.replace(
        live, recreate=partial(recreate, engine, cluster), run_once=partial(run_once, engine, cluster)
    )


def _to_slot(cluster: ComposeCluster, slot: str) -> Door:
    """By the lab's own door of the first balancer."""
    host, port = cluster.addresses(LAB_PORT)[0]
    return Door(host=host, port=port, prefix=f"/_lab/slot/{slot}")


def _bring_up(
    toolbox: Toolbox, plan: ClusterPlan, nginx_conf: str, own: OwnApp | None, port: int | None
) -> ClusterPlan:
    """Write what a cluster is made from, and make it; on other ports where one of those picked has been taken since.

    Gives the plan that it was made by.
    """
    reach = find_reach(toolbox.engine, plan.nginx_image, toolbox.places.own)
    for picks_left in reversed(range(PICKS)):
        if own is None:
            write_files(plan, nginx_conf)
            made = plan
        else:
            made = _plan_own(toolbox, plan, own, nginx_conf)
        edge = EDGE_NETWORK if own is None else EDGE
        made, carriage = adapt(toolbox.engine, toolbox.compose, made, reach, edge)
        try:
            if carriage is None:
                bring_up(toolbox.compose, made)
            else:
                bring_up_by_copy(toolbox.engine, toolbox.compose, made, carriage)
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
