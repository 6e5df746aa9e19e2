"""Does harm on a swarm: to a task's container by its own node's engine, to a node by whoever runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from lab.cluster.engine_harm import EngineHarm, victim_of
from lab.cluster.harm import Activate, AnyHarm, Drain, Pause, Send, Start, Unpause, Victim
from lab.cluster.swarm_stack import service_name
from lab.cluster.swarm_tasks import LONGEST_ID, slot_name
from lab.errors import LabError
from lab.machine.engine import GONE_OR_SO, SO_ALREADY, APIError, NotFound, engine_errors
from lab.machine.swarm import Swarm, SwarmNode
from lab.model import Role, Slot

TASK_NAME, SERVICE = "com.docker.swarm.task.name", "com.docker.swarm.service.name"
DIED_WITH_ITS_NODE = ("kill", "die")
"""What is as good as said of a container whose node was killed: nobody is left there to say it."""
Slots = Callable[[], Sequence[Slot]]


class SwarmHarm:
    """What may be struck of one cluster on a swarm, and its nodes. Nobody else's containers are ever among it."""

    def __init__(self, swarm: Swarm, *, project: str, slots: Slots) -> None:
        self._swarm, self._project, self._slots = swarm, project, slots
        self._lock = threading.Lock()
        self._where: dict[str, SwarmNode] = {}
        """By container, the node that it was last seen on."""

    def victims(self) -> list[Victim]:
        nodes = {node.id: node for node in self._swarm.nodes()}
        found = self._swarm.each("list what may be struck", partial(self._on_node, nodes))
        found += [self._node_victim(node) for node in nodes.values()]
        return sorted(found, key=lambda one: (one.role, one.zone, one.name))

    def read(self, container: str) -> Victim | None:
        node = self._node_named(container)
        if node is not None:
            return self._node_victim(node)
        nodes = {one.id: one for one in self._swarm.nodes()}
        return next(iter(self._swarm.each("read a container again", partial(self._read_there, container, nodes))), None)

    def do(self, container: str, harm: AnyHarm) -> bool:
        node = self._node_named(container)
        if node is not None:
            return self._do_to_node(node, harm)
        if isinstance(harm, Start):
            return False  # Swarm starts another in its place
        done = self._swarm.each("strike a container", partial(self._do_there, container, harm))
        if done:
            return any(done)
        return isinstance(harm, Send) and self._died_with_its_node(container)

    def mark(self) -> str:
        """Every engine's own time: each is asked by its own clock what it said since."""

        def time_there(engine: Any, node: str) -> list[str]:
            return [f"{node}={EngineHarm(engine, project=self._project).mark()}"]

        marks = self._swarm.each("ask the engines for the time", time_there)
        if self._swarm.outside is not None:
            marks.append(f"outside={EngineHarm(self._swarm.outside, project=self._project).mark()}")
        return ";".join(marks)

    def said(self, container: str, since: str) -> Sequence[str]:
        marks = dict(one.partition("=")[::2] for one in since.split(";") if one)
        node = self._node_named(container)
        if node is not None:
            return self._said_of_node(node, marks)
        found = self._swarm.each("read an engine's events", partial(self._said_there, container, marks))
        if not found and self._died_with_its_node(container):
            return DIED_WITH_ITS_NODE
        return found

    # containers

    def _on_node(self, nodes: Mapping[str, SwarmNode], engine: Any, node: str) -> list[Victim]:
        found = []
        for one in engine.containers(filters={"label": f"lab.project={self._project}"}):
            victim = self._read_one(engine, one["Id"], nodes[node])
            if victim is not None:
                found.append(victim)
        return found

    def _read_there(self, container: str, nodes: Mapping[str, SwarmNode], engine: Any, node: str) -> list[Victim]:
        victim = self._read_one(engine, container, nodes[node])
        return [] if victim is None else [victim]

    def _read_one(self, engine: Any, container: str, node: SwarmNode) -> Victim | None:
        try:
            inspected = engine.inspect_container(container)
        except NotFound:
            return None
        victim = victim_of(inspected, self._project)
        if victim is None:
            return None
        with self._lock:
            self._where[victim.container] = node
        return msgspec.structs.replace(
            victim, **names_of(inspected["Config"]["Labels"], self._project, victim.role, node.zone, self._slots())
        )

    def _do_there(self, container: str, harm: AnyHarm, engine: Any, _: str) -> list[bool]:
        there = EngineHarm(engine, project=self._project)
        if there.read(container) is None:
            return []
        return [there.do(container, harm)]

    def _said_there(self, container: str, marks: Mapping[str, str], engine: Any, node: str) -> list[str]:
        return list(EngineHarm(engine, project=self._project).said(container, marks[node])) if node in marks else []

    def _died_with_its_node(self, container: str) -> bool:
        with self._lock:
            node = self._where.get(container)
        outer = None if node is None else self._swarm.outer(node)
        return outer is not None and not self._swarm.state_of(outer).get("Running")

    # nodes

    def _node_named(self, container: str) -> SwarmNode | None:
        """The node that is meant: by its container, or by its id where it is a machine of its own."""
        for node in self._swarm.nodes():
            outer = self._swarm.outer(node)
            if container == (node.id if outer is None else outer.container):
                return node
        return None

    def _node_victim(self, node: SwarmNode) -> Victim:
        outer = self._swarm.outer(node)
        state = {} if outer is None else self._swarm.state_of(outer)
        return Victim(
            container=node.id if outer is None else outer.container,
            name=node.name,
            role=Role.NODE,
            zone=node.zone,
            is_running=bool(state.get("Running", node.is_ready)),
            is_paused=bool(state.get("Paused", False)),
            leads=node.leads,
        )

    def _do_to_node(self, node: SwarmNode, harm: AnyHarm) -> bool:
        if isinstance(harm, (Drain, Activate)):
            return self._set_availability(node, "drain" if isinstance(harm, Drain) else "active")
        outer = self._swarm.outer(node)
        if outer is None or self._swarm.outside is None:
            raise LabError(
                f"{node.name} is a machine that the lab can't stop",
                at=node.name,
                hint=f"do: drain, to: node/{node.zone}",
            )
        engine = self._swarm.outside
        with engine_errors(f"{type(harm).__name__.lower()} {node.name}", at=node.name):
            try:
                match harm:
                    case Send():
                        engine.kill(outer.container, harm.signal)
                        self._swarm.forget(node.id)
                    case Start():
                        if self._swarm.state_of(outer).get("Running"):
                            return False
                        engine.start(outer.container)
                    case Pause():
                        engine.pause(outer.container)
                    case Unpause():
                        engine.unpause(outer.container)
                    case _:
                        return False
            except APIError as exc:
                if exc.status_code not in GONE_OR_SO and not any(said in str(exc) for said in SO_ALREADY):
                    raise
                return False
        return True

    def _set_availability(self, node: SwarmNode, to: str) -> bool:
        def change(manager: Any) -> bool:
            told = manager.inspect_node(node.id)
            if told["Spec"]["Availability"] == to:
                return False
            manager.update_node(node.id, told["Version"]["Index"], {**told["Spec"], "Availability": to})
            return True

        return self._swarm.ask(f"make {node.name} {to}", change, at=node.name)

    def _said_of_node(self, node: SwarmNode, marks: Mapping[str, str]) -> Sequence[str]:
        outer = self._swarm.outer(node)
        words = [] if node.is_active else ["drain"]
        if outer is None or self._swarm.outside is None or "outside" not in marks:
            return words
        return [*EngineHarm(self._swarm.outside, project="").said(outer.container, marks["outside"]), *words]


def names_of(carried: Mapping[str, str], project: str, role: str, zone: str, slots: Sequence[Slot]) -> dict[str, Any]:
    """What the lab calls a task's container, by what Swarm wrote on it: its name, slot and zone."""
    part = carried.get(SERVICE, "").removeprefix(service_name(project, ""))
    if role != Role.APP:
        return {"name": f"{part}-{zone}" if role == Role.BALANCER else part, "zone": zone}
    _, number, task = [*carried.get(TASK_NAME, "").rsplit(".", 2), "", ""][:3]
    at = int(number) if number.isdigit() else 0
    return {"name": f"{number}-{task[:LONGEST_ID]}", "slot": slot_name(at, slots), "zone": zone}
