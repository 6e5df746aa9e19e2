"""The cluster and balancer of a world, as the lab's actors see them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lab.balancer.protocol import ReplicaAnswer
from lab.cluster.protocol import USUAL_GRACE, USUAL_READY_WITHIN, AppStop
from lab.errors import EngineError, Fenced
from lab.model import Release, Replica, Role, Slot
from lab.testing.in_process.world import KILLED, World

ENTER = "SIGUSR1"


class InProcessCluster:
    """One deployer's handle of a world, or nobody's where it is not fenced."""

    def __init__(self, world: World, epoch: int | None = None) -> None:
        self._world, self._epoch = world, epoch

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self._world.slots

    def fenced(self, epoch: int) -> InProcessCluster:
        with self._world.lock:
            self._world.epoch = max(epoch, self._world.epoch)
        return InProcessCluster(self._world, epoch)

    def replicas(self) -> list[Replica]:
        self._check_fence()
        return self._world.replicas()

    def create(self, slot: Slot, release: Release) -> Replica:
        return self._world.create(slot, release)

    def start(self, replica: Replica) -> None:
        self._check_fence()
        try:
            self._world.start(replica.container)
        except KeyError:
            raise EngineError("no such container", at=replica.name) from None

    def signal(self, replica: Replica, signal: str) -> bool:
        self._check_fence()
        with self._world.lock:
            if replica.container not in self._world.running:
                return False
        self._world.tell_signal(replica.container, signal)
        if signal == ENTER:
            self._world.enter(replica.container)
        elif signal == "SIGKILL":
            self._world.end(replica.container, KILLED)
        else:
            self._world.leave(replica.container)
        return True

    def logs(self, container: str, *, last: int = 200) -> str:  # noqa: ARG002
        """Nothing here writes any."""
        return ""

    @property
    def grace(self) -> float:
        return USUAL_GRACE

    @property
    def ready_within(self) -> float:
        return USUAL_READY_WITHIN

    def trouble_of(self, replica: Replica) -> str:  # noqa: ARG002 -- as the real one
        return ""

    def stop_of(self, replica: Replica) -> AppStop | None:  # noqa: ARG002
        """Apps here drain by themselves."""
        return None

    def remove(self, replica: Replica) -> None:
        self._check_fence()
        self._world.remove(replica.container)

    def _check_fence(self) -> None:
        if self._epoch is not None and self._epoch < self._world.epoch:
            raise Fenced(f"tenure {self._epoch} is over, {self._world.epoch} leads", at=self._world.project)


class InProcessBalancer:
    """Asks replicas how they are, as the real one's own door does."""

    def __init__(self, world: World) -> None:
        self._world = world

    def holders(self, slots: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        with self._world.lock:
            names = {
                slot: self._world.there[self._world.holders[slot]].name for slot in slots if slot in self._world.holders
            }
        answers = self.replicas(names.values())
        return {slot: answers[name] for slot, name in names.items() if name in answers}

    def replicas(self, names: Collection[str]) -> Mapping[str, ReplicaAnswer]:
        if not self._is_up():
            return {}
        found = {name: one for name in names if (one := self._world.find(name)) is not None}
        return {name: ReplicaAnswer(replica=name, is_ready=self._world.is_ready(one)) for name, one in found.items()}

    def requests(self) -> tuple[int, int] | None:
        return (self._world.answered, self._world.in_flight) if self._is_up() else None

    def _is_up(self) -> bool:
        return any(one.is_running and not one.is_paused for one in self._world.parts(Role.BALANCER))


class InProcessStores:
    """The one store of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def primary(self) -> str:
        return next((one.name for one in self._world.parts(Role.STORE)), "")

    def trouble(self) -> str:
        for one in self._world.parts(Role.STORE):
            if not one.is_running or one.is_paused or not one.networks:
                return f"{one.name} is not back"
        return ""
