"""Clusters on a Docker Swarm: Swarm places, updates and replaces; the lab brings users, strikes and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from lab.backends.protocol import ClusterOrder, OpenProject, Report, Say
from lab.backends.state import open_state
from lab.backends.swarm_balancer import SwarmBalancer
from lab.backends.swarm_fit import check_rollout, check_spec, check_steps, check_workers
from lab.backends.swarm_images import bring_images
from lab.backends.swarm_keeper import SwarmKeeper
from lab.balancer.by_name import render_by_name
from lab.balancer.config import BalancerSettings
from lab.balancer.nginx import speaks_http
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.bring_up import write_files
from lab.cluster.commands import ClusterPlan
from lab.cluster.found import FoundCluster
from lab.cluster.swarm_crowd import SwarmWorkers
from lab.cluster.swarm_events import SwarmWatch
from lab.cluster.swarm_harm import SwarmHarm
from lab.cluster.swarm_look import SwarmStore
from lab.cluster.swarm_stack import APP, APP_PORT, BALANCER, EDGES, USERS_PORT, StackPlan, make_stack
from lab.cluster.swarm_sweep import stacks, tear_stack_down
from lab.cluster.swarm_tasks import SwarmReplicas, slots_from
from lab.deploy.rollout import Strategy
from lab.errors import UsageError
from lab.machine import labels
from lab.machine.engine import describe
from lab.machine.halt import halt, halted_by, lift
from lab.machine.labels import Identity
from lab.machine.setup import Toolbox
from lab.machine.swarm import Swarm, SwarmNode, check_swarm
from lab.machine.sweep import Leftover, sweep
from lab.machine.worker_image import make_worker_image
from lab.machine.yard import DOORS
from lab.model import Release, Slot, release_name
from lab.retry import wait_until
from lab.scenario.spec import ClusterSpec, Edges, Scenario
from lab.state.protocol import State

PARTS = ("nginx", "redis")
FILES = ("store_acl", "store_conf", "store_password", "nginx.conf")
UP_WITHIN = 90.0


class SwarmBackend:
    """Clusters as services of a swarm. Images are made on this machine's engine and brought to the nodes."""

    name = "swarm"
    owns_lifecycle = True
    is_shared = True

    def __init__(self, toolbox: Toolbox, swarm: Swarm) -> None:
        self.toolbox, self.swarm = toolbox, swarm
        self._apps: dict[str, SwarmReplicas] = {}
        self._worker_image = ""
        """Of a crowd's workers, where somebody wants any."""

    @property
    def runs(self) -> Path:
        return self.toolbox.places.runs

    def describe(self) -> Mapping[str, object]:
        nodes = [f"{node.name}: zone {node.zone or 'none'}, engine {node.version}" for node in self.swarm.nodes()]
        engine = self.swarm.ask("ask the engine what it is", describe)
        return {"engine": engine, "nodes": nodes, "compose": []}

    def release(self, image: str) -> Release:
        return Release(name=release_name(image), image=self.toolbox.images.tag(image))

    def image_ids(self, images: Sequence[str]) -> Mapping[str, str]:
        return self.toolbox.images.ids(images)

    def provide(self, images: Sequence[str], say: Say) -> None:
        self.toolbox.images.make_missing(say, images)
        bring_images(self.toolbox, self.swarm, [self.toolbox.images.tag(one) for one in images], say)

    def check(
        self,
        spec: ClusterSpec,
        releases: Sequence[str],
        say: Say,
        *,
        pulls: bool = False,  # noqa: ARG002 -- nothing of somebody's own runs here
    ) -> None:
        check_spec(spec)
        check_swarm(self.swarm, tuple(spec.zones))
        self.provide([*PARTS, spec.release, *releases], say)

    def cannot(self) -> Mapping[str, str]:
        """What a node's engine does not do is refused by `check_scenario`, whatever the machine."""
        return {}

    def check_scenario(self, scenario: Scenario) -> None:
        check_steps(scenario)

    def check_workers(self, scenario: Scenario, count: int, say: Say) -> None:
        check_workers(scenario, count)
        self._worker_image = make_worker_image(
            self.toolbox.engine, self.toolbox.images, self.toolbox.places.images, say
        )
        bring_images(self.toolbox, self.swarm, [self._worker_image], say)

    def check_rollout(self, strategy: Strategy) -> None:
        check_rollout(strategy)

    @contextmanager
    def bring_up(self, order: ClusterOrder, *, is_kept: Callable[[], bool] = lambda: False) -> Iterator[OpenProject]:
        project, spec = order.identity.project, order.spec
        check_spec(spec)
        nodes = check_swarm(self.swarm, tuple(spec.zones))
        if self.is_there(project):
            raise UsageError(
                "a cluster of this name is on the swarm", at=project, hint=f"lab down --on swarm -p {project}"
            )
        try:
            stack = self._plan(order, nodes)
            self.provide([*PARTS, spec.release], lambda _: None)
            make_stack(self.swarm, stack, self._files(stack, order))
            self._app(project).slots = spec.slots
            live = self._open(order.identity, stack.edges, stack.port)
            wait_until("the store answers", lambda: not live.stores.trouble(), within=UP_WITHIN, every=0.3)
            wait_until("the balancers answer", lambda: all(map(speaks_http, live.doors)), within=UP_WITHIN, every=0.3)
            yield live
        finally:
            if not is_kept():
                self.take_down(project)

    @contextmanager
    def attach(self, project: str, slots: tuple[Slot, ...]) -> Iterator[OpenProject]:
        app = self._app(project)
        service = app.service()
        if service is None:
            raise UsageError("no such cluster", at=project, hint=f"lab up --on swarm -p {project}")
        app.slots = slots_from(service) or slots
        port = int(service.carried[labels.PORT])
        edges = service.carried[EDGES].split(",")
        identity = labels.identity_of(service.carried)
        assert identity is not None  # noqa: S101 -- the lab made it
        yield self._open(identity, [node for node in self.swarm.nodes() if node.name in edges], port)

    def cluster(self, project: str) -> SwarmReplicas:
        return self._app(project)

    def found_again(self, project: str) -> FoundCluster | None:
        service = self._app(project).service()
        slots = slots_from(service)
        if service is None or not slots or service.carried.get(labels.OWNER) != labels.KEPT:
            return None
        release = Release(name=service.release, image=service.image)
        active = tuple(sorted({one.slot for one in self._app(project).replicas()}))
        return FoundCluster(release=release, slots=slots, active=active, tenure=0)

    def owner(self, project: str) -> Leftover | None:
        found = stacks(self.swarm, now=SYSTEM_CLOCK.wall())
        return next((one for one in found if one.identity.project == project), None)

    def is_there(self, project: str) -> bool:
        return self.owner(project) is not None

    def events(self, project: str, report: Report, *, clock: Clock = SYSTEM_CLOCK) -> AbstractContextManager[object]:
        app = self._app(project)
        return SwarmWatch(self.swarm, project, report, slots=lambda: app.slots, clock=clock)

    def log_lines(self, project: str, named: str, *, last: int, follows: bool) -> Iterator[str]:
        if follows:
            hint = f"docker service logs --follow {project}_{APP}   # on a manager"
            raise UsageError("logs of a swarm are not followed", at="--follow", hint=hint)
        app = self._app(project)
        found = [one for one in app.replicas() if named in {one.name, one.slot}]
        if not found:
            raise UsageError("no replica of this name", at=named, hint=f"lab status --on swarm -p {project}")
        newest = max(found, key=lambda one: one.generation)
        return iter(app.logs(newest.container, last=last).splitlines())

    def halted(self) -> str:
        return halted_by(self.toolbox.engine)

    def halt(self, who: str) -> str:
        return halt(self.toolbox.engine, who)

    def lift(self) -> bool:
        return lift(self.toolbox.engine)

    def tidy(self, project: str) -> None:
        """No strike here needs a helper that could be left."""

    def state(self) -> AbstractContextManager[State]:
        return open_state(self.toolbox.places)

    def close(self) -> None:
        self.swarm.close()
        self.toolbox.engine.close()

    def sweep_abandoned(self, say: Say) -> None:
        found = [one for one in stacks(self.swarm, now=SYSTEM_CLOCK.wall()) if one.is_abandoned]
        swept = sweep(found, self.take_down)
        for what in swept.removed:
            say(f"removed {what}, left by a killed lab")
        for why in swept.stuck:
            say(f"could not remove leftovers of a killed lab: {why}")

    def take_down(self, project: str) -> list[str]:
        with open_state(self.toolbox.places) as state:
            state.forget(project)
        removed = tear_stack_down(self.swarm, project)
        with open_state(self.toolbox.places) as state:
            state.forget(project)
        self._apps.pop(project, None)
        return removed

    def _app(self, project: str) -> SwarmReplicas:
        return self._apps.setdefault(project, SwarmReplicas(self.swarm, project=project, slots=()))

    def _open(self, identity: Identity, edges: Sequence[SwarmNode], port: int) -> OpenProject:
        project = identity.project
        app = self._app(project)
        return OpenProject(
            project=project,
            cluster=app,
            balancer=SwarmBalancer(app),
            strikable=SwarmHarm(self.swarm, project=project, slots=lambda: app.slots),
            stores=SwarmStore(self.swarm, project=project),
            doors=tuple(self.swarm.door(node, port) for node in edges),
            halted=self.halted,
            deployer=partial(SwarmKeeper, self.swarm),
            workers=SwarmWorkers(self.swarm, identity, self._worker_image, _doors_inside(edges, port)),
        )

    def _plan(self, order: ClusterOrder, nodes: Sequence[SwarmNode]) -> StackPlan:
        identity, spec, images = order.identity, order.spec, self.toolbox.images
        chosen = {node.id for node in nodes}
        return StackPlan(
            plan=ClusterPlan(
                identity=identity,
                compose_file=self.toolbox.places.compose_file,
                folder=self.toolbox.places.cluster(identity.project),
                app_image=images.tag(spec.release),
                nginx_image=images.tag("nginx"),
                redis_image=images.tag("redis"),
                cutter_image=images.tag("cutter"),
                stores=spec.stores,
                edges=(),
            ),
            release=self.release(spec.release),
            replicas=spec.begin_with or len(spec.slots),
            nodes=tuple(nodes),
            others=tuple(node.id for node in self.swarm.nodes() if node.id not in chosen),
            edges=tuple(nodes) if spec.edges is Edges.ZONES else tuple(nodes[:1]),
            port=self._port(order),
        )

    def _port(self, order: ClusterOrder) -> int:
        """One that no service of the swarm publishes. Raises UsageError where none is left."""

        def published(manager: object) -> set[int]:
            ports = (one["Spec"].get("EndpointSpec", {}).get("Ports") or () for one in manager.services())  # type: ignore[attr-defined]
            return {port["PublishedPort"] for some in ports for port in some if "PublishedPort" in port}

        if order.port is not None and self.swarm.is_yard:
            raise UsageError("the yard's ports were published when it was made", at="--port", hint="leave --port out")
        taken = self.swarm.ask("look which ports are published", published)
        free = [port for port in ((order.port,) if order.port is not None else DOORS) if port not in taken]
        if not free:
            hint = "lab status --on swarm; lab down --on swarm -p ANOTHER"
            raise UsageError("every port that this swarm has for clusters is taken", at="the swarm", hint=hint)
        return free[0]

    def _files(self, stack: StackPlan, order: ClusterOrder) -> Mapping[str, str]:
        spec = order.spec
        settings = BalancerSettings(repeats_writes=spec.repeats_writes, answer_timeout=spec.answer_timeout)
        write_files(stack.plan, render_by_name(APP, APP_PORT, settings))
        return {name: (stack.plan.folder / name).read_text() for name in FILES}


def _doors_inside(edges: Sequence[SwarmNode], port: int) -> tuple[tuple[str, int], ...]:
    """The balancers as containers of the swarm find them: as users elsewhere do, by their nodes, so that each is the
    same door as long as its node lives. By name alone where a node's address is known to itself only."""
    if any(not node.host or node.host == "0.0.0.0" or node.host.startswith("127.") for node in edges):  # noqa: S104
        return ((BALANCER, USERS_PORT),)
    return tuple((node.host, port) for node in edges)
