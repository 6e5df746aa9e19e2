"""What the engines of all nodes say happens to a cluster's containers, in one order: that in which it was heard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec

from lab import record
from lab.clock import NS, Clock
from lab.cluster.events import EngineWatch, container_event
from lab.cluster.swarm_harm import Slots, names_of
from lab.errors import LabError
from lab.machine.swarm import Swarm, SwarmNode

AWAY_AT_MOST = 30.0
"""Seconds for which the engine of a node that runs may be silent before nobody knows what happens there."""
LOOKS_AGAIN = 0.2

Report = Callable[[record.AnyEvent], None]


class NodeWatch(EngineWatch):
    """One node's engine. It ends with its node and begins again with it: what ran there died with it."""

    def __init__(
        self,
        project: str,
        report: Report,
        *,
        address: str,
        node: SwarmNode,
        runs: Callable[[], bool],
        slots: Slots,
        clock: Clock,
    ) -> None:
        super().__init__(project, report, translate=self._named, address=address, clock=clock)
        self._node, self._runs, self._slots = node, runs, slots
        self._alive: dict[str, record.ContainerEvent] = {}

    def _run(self) -> None:
        silent_since: int | None = None
        while not self._ending.is_set():
            try:
                self._follow()
                silent_since = None
            except LabError as exc:
                if self._ending.is_set():
                    return
                if not self._runs():
                    silent_since = None
                    self._bury()
                elif silent_since is None:
                    silent_since = self._clock.now()
                elif self._clock.now() - silent_since > AWAY_AT_MOST * NS:
                    what = f"the events of {self._node.name} ended: {exc}"
                    self._report(record.Trouble(at=self._clock.now(), what=what))
                    return
            self._ending.wait(LOOKS_AGAIN)

    def _bury(self) -> None:
        """Its engine said nothing of what ran there and never will: that it died with the node is what was seen."""
        for one in self._alive.values():
            self._report(msgspec.structs.replace(one, at=self._clock.now(), action="die", exit_code=137, engine_ns=0))
        self._alive.clear()

    def _named(self, said: Mapping[str, Any], at: int) -> record.ContainerEvent | None:
        """An engine's event with the lab's names; Swarm clears away what has ended, whoever ended it."""
        event = container_event(said, at)
        if event is None or event.action == "destroy":
            return None
        own = names_of(said["Actor"]["Attributes"], self._project, event.role, self._node.zone, self._slots())
        named = msgspec.structs.replace(event, **own)
        if named.action == "start":
            self._alive[named.container] = named
        elif named.action == "die":
            self._alive.pop(named.container, None)
        return named


class SwarmWatch:
    """All nodes together, until it is closed."""

    def __init__(self, swarm: Swarm, project: str, report: Report, *, slots: Slots, clock: Clock) -> None:
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._watches: Sequence[NodeWatch] = [
            NodeWatch(
                project,
                self._one_at_a_time(report),
                address=swarm.addresses[node.id],
                node=node,
                runs=partial(_runs, swarm, node),
                slots=slots,
                clock=clock,
            )
            for node in swarm.nodes()
            if node.id in swarm.addresses
        ]

    def __enter__(self) -> Self:
        for watch in self._watches:
            self._stack.enter_context(watch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, value, trace)

    def _one_at_a_time(self, report: Report) -> Report:
        def one(event: record.AnyEvent) -> None:
            with self._lock:
                report(event)

        return one


def _runs(swarm: Swarm, node: SwarmNode) -> bool:
    """Whether a node is there; where nobody can say so just now, its engine's silence is not explained by that."""
    if swarm.outer(node) is not None:
        return swarm.runs(node)
    try:
        return any(one.id == node.id and one.is_ready for one in swarm.nodes())
    except LabError:
        return True
