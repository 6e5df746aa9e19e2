"""The app's tasks on a swarm, as the lab's replicas: read from what a manager says, and nothing is done to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from lab.cluster.protocol import AppStop
from lab.cluster.swarm_stack import APP, GRACE, READY_WITHIN, SLOTS, service_name
from lab.errors import LabFault
from lab.machine import labels
from lab.machine.engine import NotFound
from lab.machine.swarm import Swarm, SwarmNode
from lab.model import Release, Replica, ReplicaState, Slot, Value

_STATES = {
    **dict.fromkeys(("new", "pending", "assigned", "accepted", "preparing", "ready"), ReplicaState.CREATED),
    **dict.fromkeys(("starting", "running"), ReplicaState.RUNNING),
}
"""Whatever else a task's state is, it has ended."""
LONGEST_ID = 6
"""Characters of a task's id that stand in its replica's name; the app's own environment says the same."""


class Task(Value):
    """One task of the app's service."""

    id: str
    number: int
    """Swarm's slot, from 1."""
    node: str
    state: str
    is_wanted: bool
    """Whether Swarm means it to run."""
    container: str
    release: str
    image: str
    said: str = ""
    """Why it failed."""

    @property
    def name(self) -> str:
        """As the app calls itself in its answers."""
        return f"{self.number}-{self.id[:LONGEST_ID]}"

    @property
    def serves(self) -> bool:
        """Whether Swarm sends to it: it is healthy, and not about to leave."""
        return self.state == "running" and self.is_wanted


class AppService(Value):
    """The app's service, as a manager has it."""

    id: str
    version: int
    spec: Mapping[str, Any]
    replicas: int
    update: str = ""
    """How far its last update or rollback is; "" where there was none."""
    update_said: str = ""
    update_began: str = ""

    @property
    def carried(self) -> Mapping[str, str]:
        return self.spec.get("Labels") or {}

    @property
    def release(self) -> str:
        """What its tasks are to be."""
        return str((self.spec["TaskTemplate"]["ContainerSpec"].get("Labels") or {}).get(labels.RELEASE, ""))

    @property
    def image(self) -> str:
        return str(self.spec["TaskTemplate"]["ContainerSpec"]["Image"])

    @property
    def is_changing(self) -> bool:
        """Whether Swarm is at an update or a rollback."""
        return self.update in {"updating", "rollback_started"}


def service_of(told: Mapping[str, Any]) -> AppService:
    """A service of what a manager says."""
    update = told.get("UpdateStatus") or {}
    return AppService(
        id=told["ID"],
        version=told["Version"]["Index"],
        spec=told["Spec"],
        replicas=told["Spec"]["Mode"]["Replicated"]["Replicas"],
        update=update.get("State", ""),
        update_said=update.get("Message", ""),
        update_began=update.get("StartedAt", ""),
    )


def task_of(told: Mapping[str, Any]) -> Task:
    """A task of what a manager lists."""
    status, container = told["Status"], told["Spec"]["ContainerSpec"]
    return Task(
        id=told["ID"],
        number=told.get("Slot", 0),
        node=told.get("NodeID", ""),
        state=status["State"],
        is_wanted=told["DesiredState"] in {"running", "ready"},
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        release=(container.get("Labels") or {}).get(labels.RELEASE, ""),
        image=container["Image"],
        said=status.get("Err", ""),
    )


class SwarmReplicas:
    """The app of one cluster. It makes, starts and removes nothing: that is Swarm's business."""

    def __init__(self, swarm: Swarm, *, project: str, slots: Sequence[Slot]) -> None:
        self._swarm, self.project = swarm, project
        self._slots = tuple(slots)

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._slots

    @slots.setter
    def slots(self, those: Sequence[Slot]) -> None:
        self._slots = tuple(those)

    def fenced(self, epoch: int) -> Self:  # noqa: ARG002 -- a service's version fences whoever comes too late
        return self

    def service(self) -> AppService | None:
        """The service itself; None where there is none."""
        name = service_name(self.project, APP)

        def read(manager: Any) -> AppService | None:
            try:
                return service_of(manager.inspect_service(name))
            except NotFound:
                return None

        return self._swarm.ask("look at the app's service", read, at=self.project)

    def tasks(self) -> list[Task]:
        """All that Swarm remembers, those that ended too; none where there is no service."""
        name = service_name(self.project, APP)

        def read(manager: Any) -> list[Task]:
            try:
                return [task_of(one) for one in manager.tasks(filters={"service": name})]
            except NotFound:
                return []

        found = self._swarm.ask("list the app's tasks", read, at=self.project)
        return sorted(found, key=lambda task: (task.number, task.id))

    def replicas(self) -> list[Replica]:
        nodes = {node.id: node for node in self._swarm.nodes()}
        slots = self._slots or slots_from(self.service())
        alive = [task for task in self.tasks() if task.container and task.is_wanted]
        return [replica_of(task, nodes, slots, number) for number, task in enumerate(alive)]

    def create(self, slot: Slot, release: Release) -> Replica:  # noqa: ARG002
        self._refuse("make replicas")

    def start(self, replica: Replica) -> None:  # noqa: ARG002
        self._refuse("start replicas")

    def remove(self, replica: Replica) -> None:  # noqa: ARG002
        self._refuse("remove replicas")

    def _refuse(self, what: str) -> NoReturn:
        raise LabFault(f"on a swarm it is Swarm's to {what}", at=self.project, hint="docker service ps")

    def signal(self, replica: Replica, signal: str) -> bool:
        """Send it by the node's own engine."""

        def send(engine: Any, _: str) -> list[bool]:
            try:
                engine.kill(replica.container, signal)
            except NotFound:
                return []
            return [True]

        return bool(self._swarm.each(f"send {signal} to {replica.name}", send))

    def logs(self, container: str, *, last: int = 200) -> str:
        def read(engine: Any, _: str) -> list[str]:
            try:
                return [str(engine.logs(container, tail=last).decode(errors="replace"))]
            except NotFound:
                return []

        return "".join(self._swarm.each("read a container's log", read))

    @property
    def grace(self) -> float:
        return GRACE

    @property
    def ready_within(self) -> float:
        return READY_WITHIN

    def stop_of(self, replica: Replica) -> AppStop | None:  # noqa: ARG002 -- the shop drains by itself
        return None

    def trouble_of(self, replica: Replica) -> str:  # noqa: ARG002 -- Swarm gives up a task that does not get ready
        return ""


def slots_from(service: AppService | None) -> tuple[Slot, ...]:
    """The lab's names of a service's slots, in Swarm's order; none where nobody has said them yet."""
    told = "" if service is None else service.carried.get(SLOTS, "")
    return tuple(Slot(name=name, zone=zone) for name, _, zone in (one.partition(":") for one in told.split(",") if one))


def slots_text(slots: Sequence[Slot]) -> str:
    """The same for the label."""
    return ",".join(f"{slot.name}:{slot.zone}" for slot in slots)


def slot_name(number: int, slots: Sequence[Slot]) -> str:
    """The lab's name of Swarm's slot."""
    return slots[number - 1].name if 0 < number <= len(slots) else str(number)


def replica_of(task: Task, nodes: Mapping[str, SwarmNode], slots: Sequence[Slot], generation: int = 0) -> Replica:
    """The replica that a task is: its zone is that of the node on which it is now."""
    node = nodes.get(task.node)
    is_here = node is not None and node.is_ready
    state = _STATES.get(task.state, ReplicaState.DEAD)
    return Replica(
        container=task.container,
        name=task.name,
        slot=slot_name(task.number, slots),
        zone=node.zone if node is not None else "",
        release=task.release,
        generation=generation,
        state=state if is_here else ReplicaState.DEAD,
    )
