"""The backend itself: worlds by project, brought up, attached to and taken down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lab import record, users
from lab.backends.one_engine import check_has_no_nodes
from lab.backends.protocol import ClusterOrder, OpenProject, Report, Say
from lab.backends.worker_fit import check_shared_users
from lab.clock import SYSTEM_CLOCK, Clock
from lab.cluster.found import FoundCluster
from lab.cluster.harm import Victim
from lab.deploy.rollout import Strategy
from lab.errors import UsageError
from lab.machine.labels import Identity
from lab.machine.sweep import Leftover
from lab.model import Release, Role, Slot, release_name
from lab.scenario.spec import ClusterSpec, Edges, Scenario
from lab.state.protocol import State
from lab.testing.in_process.app import MakeApp
from lab.testing.in_process.cluster import InProcessBalancer, InProcessCluster, InProcessStores
from lab.testing.in_process.door import TO_SLOT, Door
from lab.testing.in_process.workers import WORKER, ProcessPlaces
from lab.testing.in_process.world import World

ENDS_WITHIN = 5.0
"""Seconds that a world's loop may take to end."""


class InProcessBackend:
    """Clusters in this process. `apps` are its images; `make_store` makes what the replicas of one cluster share, and
    `open_state` opens the lab's own state.

    Records of runs lie in `runs`. Another process finds nothing of what is here, so deployers can't be processes.
    """

    name = "in process"
    is_shared = False

    def __init__(
        self,
        runs: Path,
        apps: Mapping[str, MakeApp],
        make_store: Callable[[], Any],
        open_state: Callable[[], AbstractContextManager[State]],
        worker: Sequence[str] = WORKER,
    ) -> None:
        """`worker` is the command of one worker of a crowd that is divided."""
        self._worker = tuple(worker)
        self.runs, self._apps, self._make_store, self._open_state = runs, apps, make_store, open_state
        self._worlds: dict[str, World] = {}
        self._identities: dict[str, Identity] = {}
        self._opened: dict[str, tuple[tuple[str, int], ...]] = {}
        self._closing: dict[str, ExitStack] = {}
        self._listeners: dict[str, list[SimpleQueue[record.ContainerEvent | None]]] = {}
        self._halted = ""

    def describe(self) -> Mapping[str, object]:
        return {"engine": {"name": self.name}, "compose": []}

    def release(self, image: str) -> Release:
        return Release(name=release_name(image), image=image)

    def image_ids(self, images: Sequence[str]) -> Mapping[str, str]:
        return {image: f"in process: {image}" for image in images}

    def provide(self, images: Sequence[str], say: Say) -> None:  # noqa: ARG002 -- nothing is made
        for missing in (one for one in images if one not in self._apps):
            raise UsageError("no such image", at=missing, hint=" | ".join(self._apps))

    def check(
        self,
        spec: ClusterSpec,
        releases: Sequence[str],
        say: Say,
        *,
        pulls: bool = False,  # noqa: ARG002 -- nothing here is pulled
    ) -> None:
        self.provide([spec.release, *releases], say)
        if spec.compose is not None:
            raise UsageError("a compose file needs an engine", at="cluster.compose", hint="lab setup")

    def cannot(self) -> Mapping[str, str]:
        return {}

    def check_scenario(self, scenario: Scenario) -> None:
        check_has_no_nodes(scenario)

    def check_workers(self, scenario: Scenario, count: int, say: Say) -> None:  # noqa: ARG002
        check_shared_users(scenario, count)

    def check_rollout(self, strategy: Strategy) -> None:
        """Whatever there is."""

    @contextmanager
    def bring_up(self, order: ClusterOrder, *, is_kept: Callable[[], bool] = lambda: False) -> Iterator[OpenProject]:
        project, spec = order.identity.project, order.spec
        self.check(spec, (), print)
        with ExitStack() as stack:
            loop = stack.enter_context(_loop())
            world = World(project, spec.slots, self._apps, self._make_store(), loop)
            world.listeners = self._listeners.setdefault(project, [])
            world.add(Role.STORE, "store")
            doors = [
                self._open_door(world, zone, order.port if not number else None, spec)
                for number, zone in enumerate(spec.zones if spec.edges is Edges.ZONES else ("",))
            ]
            by_container = {one.container: one for one in doors}
            world.on_balancer = lambda victim: _follow(world, by_container[victim.container], victim)
            stack.callback(_close, world, doors)
            self._worlds[project] = world
            self._identities[project] = order.identity
            self._opened[project] = tuple(("127.0.0.1", one.port) for one in doors)
            self._closing[project] = stack.pop_all()
        try:
            yield self._open(project)
        finally:
            if not is_kept():
                self.take_down(project)

    def attach(self, project: str, slots: tuple[Slot, ...]) -> AbstractContextManager[OpenProject]:  # noqa: ARG002
        return nullcontext(self._open(project))

    def cluster(self, project: str) -> InProcessCluster:
        return InProcessCluster(self._find(project))

    def found_again(self, project: str) -> FoundCluster | None:  # noqa: ARG002
        """What is here never outlives what is written down of it."""
        return None

    def owner(self, project: str) -> Leftover | None:
        identity = self._identities.get(project)
        return None if identity is None else Leftover(identity=identity, parts=1, is_abandoned=False)

    def is_there(self, project: str) -> bool:
        return project in self._worlds

    @contextmanager
    def events(self, project: str, report: Report, *, clock: Clock = SYSTEM_CLOCK) -> Iterator[object]:  # noqa: ARG002
        queue: SimpleQueue[record.ContainerEvent | None] = SimpleQueue()

        def listen() -> None:
            for event in iter(queue.get, None):
                report(event)

        listener = threading.Thread(target=listen, name=f"events of {project}", daemon=True)
        self._listeners.setdefault(project, []).append(queue)
        listener.start()
        try:
            yield queue
        finally:
            self._listeners[project].remove(queue)
            queue.put(None)
            listener.join()

    def log_lines(self, project: str, named: str, *, last: int, follows: bool) -> Iterator[str]:  # noqa: ARG002
        """Nothing here writes any."""
        if not any(named in {one.name, one.slot} for one in self._find(project).replicas()):
            raise UsageError("nobody of this name", at=named, hint="lab status")
        return iter(())

    def halted(self) -> str:
        return self._halted

    def halt(self, who: str) -> str:
        self._halted = self._halted or who
        return self._halted

    def lift(self) -> bool:
        was, self._halted = bool(self._halted), ""
        return was

    def tidy(self, project: str) -> None:
        """Nothing here needs a helper that could be left."""

    def state(self) -> AbstractContextManager[State]:
        return self._open_state()

    def close(self) -> None:
        """There is nothing to let go of."""

    def sweep_abandoned(self, say: Say) -> None:
        """Whatever a killed process had is gone with it."""

    def take_down(self, project: str) -> list[str]:
        if project not in self._worlds:
            return []
        with self._open_state() as state:
            state.forget(project)
        self._closing.pop(project).close()
        del self._worlds[project], self._opened[project], self._identities[project]
        return [f"world {project}"]

    def _open_door(self, world: World, zone: str, port: int | None, spec: ClusterSpec) -> Door:
        victim = world.add(Role.BALANCER, f"balancer-{zone}" if zone else "balancer", zone)

        async def opened() -> Door:
            door = Door(world, victim, repeats_writes=spec.repeats_writes)
            await door.open(port or 0)
            return door

        return asyncio.run_coroutine_threadsafe(opened(), world.loop).result(ENDS_WITHIN)

    def _open(self, project: str) -> OpenProject:
        world = self._find(project)
        return OpenProject(
            project=project,
            cluster=InProcessCluster(world),
            balancer=InProcessBalancer(world),
            strikable=world,
            stores=InProcessStores(world),
            doors=self._opened[project],
            halted=self.halted,
            run_once=partial(_run_once, world),
            workers=ProcessPlaces(self._worker, self._opened[project]),
            to_slot=lambda slot: users.Door(port=self._opened[project][0][1], prefix=f"{TO_SLOT}{slot}"),
        )

    def _find(self, project: str) -> World:
        world = self._worlds.get(project)
        if world is None:
            raise UsageError("no such cluster", at=project, hint="lab up")
        return world


def _run_once(
    world: World, service: str, release: Release, argv: Sequence[str], /, *, within: float, hear: Callable[[str], None]
) -> int:
    """Ends at once: there is no time to be over."""
    del within
    runs = world.apps[release.image].runs
    if runs is None:
        raise UsageError("nothing can be run in it", at=service, hint="MakeApp(runs=...)")
    code, lines = runs(argv, world.store)
    for line in lines:
        hear(line)
    return code


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own; what still runs on it in the end is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="in-process cluster", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(ENDS_WITHIN)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(ENDS_WITHIN)
        loop.close()


async def _cancel_all() -> None:
    others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _follow(world: World, door: Door, victim: Victim) -> None:
    asyncio.run_coroutine_threadsafe(door.follow(victim), world.loop).result(ENDS_WITHIN)


def _close(world: World, doors: Sequence[Door]) -> None:
    async def close() -> None:
        for door in doors:
            door.close()
        await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(close(), world.loop).result(ENDS_WITHIN)
